/* test_auth.c: keys, rights and limits in the chain of a request, without sockets. */
#include "service_fixture.h"

#include <stdio.h>

#include "account_fixture.h"
#include "server/auth.h"
#include "server/exchange.h"

static struct service *service;
static struct exchange_context context;
static struct exchange exchange;
static struct accounts *accounts;
static _Atomic bool draining;

static int set_up(void **state)
{
    (void)state;
    struct dp_error error;
    service = fixture_service(NULL, true);
    fixture_index(service, "things", FIXTURE_ROWS);
    fixture_call_end();
    struct account_options options = fixture_options(fixture_database());
    options.registry = service_metrics(service);
    accounts = fixture_open(&options);
    context = (struct exchange_context){.api = {.service = service, .draining = &draining},
                                        .body_max = 10000,
                                        .bodies_max = 1 << 20,
                                        .request_timeout_ms = 60000,
                                        .accounts = accounts};
    assert_int_equal(exchange_context_init(&context, service_metrics(service), &error), DP_OK);
    exchange_init(&exchange, &context);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    exchange_deinit(&exchange);
    exchange_context_deinit(&context);
    accounts_close(accounts);
    service_free(service);
    return 0;
}

/* Asks as a client would; `headers` are "name: value\n" lines. True when an I/O thread could answer. */
static bool ask(const char *method, const char *target, const char *headers, const char *body)
{
    struct head *head = &exchange.head;
    assert_true(exchange_line(&exchange, span_str(target)));
    *head = (struct head){.method = span_str(method), .version = span_str("HTTP/1.1")};
    head->fields[head->count++] = (struct head_field){span_str("Host"), span_str("a")};
    while (*headers) {
        const char *colon = strchr(headers, ':'), *end = strchr(headers, '\n');
        head->fields[head->count++] = (struct head_field){span_of(headers, (size_t)(colon - headers)),
                                                          span_of(colon + 1, (size_t)(end - colon - 1))};
        headers = end + 1;
    }
    exchange_begin(&exchange);
    if (*body && !exchange.must_close)
        assert_true(exchange_body(&exchange, span_str(body)));
    if (exchange_try(&exchange))
        return true;
    exchange_run(&exchange);
    return false;
}

static bool ask_with(const char *key, const char *method, const char *target, const char *body)
{
    char headers[200];
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\n", key);
    return ask(method, target, headers, body);
}

static const char *header(const char *name)
{
    for (size_t i = 0; i < exchange.response.header_count; i++)
        if (strcmp(exchange.response.headers[i].name, name) == 0)
            return exchange.response.headers[i].value;
    return NULL;
}

static void assert_answer(unsigned status, const char *holds)
{
    struct span body = exchange_answer(&exchange);
    if (exchange.response.status != status || (holds[0] && !memmem(body.data, body.len, holds, strlen(holds))))
        fail_msg("expected %u with %s, but the answer is %u: %.*s", status, holds, exchange.response.status,
                 SPAN_FMT(body));
    exchange_end(&exchange, true);
    assert_null(exchange.pass.key);
}

static const char EMBED[] = "{\"text\": \"hello\"}";
static const char EMBED_THREE[] = "{\"texts\": [\"a\", \"b\", \"c\"]}";
static const char OPENAI[] = "{\"model\": \"tiny\", \"input\": \"hello\"}";
static const char QUERY[] = "{\"rank_by\": [\"vector\", \"ANN\", [\"Embed\", \"hello\"]]}";

static void test_auth_asks_for_a_key_where_it_should(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target;
        unsigned status;
    } cases[] = {{"GET", "/", 200},
                 {"GET", "/assets/app.js", 200},
                 {"GET", "/health", 200},
                 {"GET", "/health/live", 200},
                 {"GET", "/metrics", 200},
                 {"OPTIONS", "/v1/embed", 204},
                 {"GET", "/v1/models", 401},
                 {"GET", "/v1/namespaces", 401},
                 {"POST", "/v1/embed", 401},
                 {"POST", "/v1/embeddings", 401},
                 {"POST", "/v2/namespaces/things/query", 401},
                 {"POST", "/v2/namespaces/things", 401},
                 {"GET", "/nowhere", 404},
                 {"GET", "/v1/embed", 405}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask(cases[i].method, cases[i].target, "", "");
        assert_answer(cases[i].status, "");
    }
    context.watch_needs_key = true;
    ask("GET", "/health", "", "");
    assert_answer(401, "");
    ask("GET", "/metrics", "", "");
    assert_answer(401, "");
    ask("GET", "/", "", "");
    assert_answer(200, "");
}

static void test_auth_refuses_in_each_dialect(void **state)
{
    (void)state;
    ask("POST", "/v1/embed", "", EMBED);
    assert_string_equal(header("WWW-Authenticate"), "Bearer");
    assert_answer(401, "{\"error\":\"invalid_api_key\",\"message\":\"");
    ask_with("sk-nothing", "POST", "/v1/embeddings", OPENAI);
    assert_answer(401, "\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"invalid_api_key\"");
    ask_with("sk-nothing", "POST", "/v2/namespaces/things/query", QUERY);
    assert_answer(401, "{\"status\":\"error\",\"error\":\"the API key is not valid");
}

static void test_auth_takes_a_key_in_the_ways_that_clients_have(void **state)
{
    (void)state;
    const char *key = fixture_key(accounts, "a@b", TIER_PRO)->text;
    static const char *const ways[] = {"Authorization: Bearer ", "authorization: bearer   ",
                                       "X-API-Key: ", "api-key: "};
    char headers[200];
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        snprintf(headers, sizeof headers, "%s%s\n", ways[i], key);
        assert_int_equal(ask("GET", "/v1/models", headers, ""), i > 0); /* the first one has to be looked up */
        assert_answer(200, "tiny");
    }
    snprintf(headers, sizeof headers, "Authorization: Basic %s\n", key);
    ask("GET", "/v1/models", headers, "");
    assert_answer(401, "");
}

/* An I/O thread answers a cached text of a key that it knows, and counts it. */
static void test_auth_of_a_cached_text_waits_for_nobody(void **state)
{
    (void)state;
    const char *key = fixture_key(accounts, "a@b", TIER_FREE)->text;
    struct service *cached = fixture_cached_service(100);
    context.api.service = cached;
    assert_false(ask_with(key, "POST", "/v1/embed", EMBED));
    assert_string_equal(header("X-RateLimit-Remaining"), "99");
    assert_answer(200, "\"cached\":false");
    assert_true(ask_with(key, "POST", "/v1/embed", EMBED));
    assert_string_equal(header("X-RateLimit-Limit"), "100");
    assert_string_equal(header("X-RateLimit-Remaining"), "98");
    assert_string_equal(header("X-RateLimit-Reset"), "1796083200");
    assert_answer(200, "\"cached\":true");
    assert_int_equal(accounts_settle(accounts), DP_OK);
    assert_int_equal(fixture_used(accounts, "a@b"), 2);
    /* What is refused is refused there, too. */
    assert_int_equal(fixture_use(accounts, key, 98), ACCOUNT_FINE);
    assert_false(ask_with(key, "POST", "/v1/embed", EMBED)); /* whether that is all must be asked */
    assert_answer(429, "");
    assert_true(ask_with(key, "POST", "/v1/embed", EMBED));
    assert_answer(429, "\"reset_at\":\"2026-12-01T00:00:00Z\"}");
    context.api.service = service;
    service_free(cached);
}

static void test_auth_counts_texts_that_are_answered(void **state)
{
    (void)state;
    const char *key = fixture_key(accounts, "a@b", TIER_FREE)->text;
    ask_with(key, "POST", "/v1/embed/batch", EMBED_THREE);
    assert_answer(200, "");
    ask_with(key, "POST", "/v1/embeddings", OPENAI);
    assert_answer(200, "");
    ask_with(key, "POST", "/v2/namespaces/things/query", QUERY);
    assert_answer(200, "");
    static const char *const refused[] = {"{\"text\": \"\"}", "{", "{\"text\": \"a\", \"dimensions\": 100000}",
                                          "{\"texts\": []}"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        ask_with(key, "POST", "/v1/embed", refused[i]);
        assert_answer(400, "");
    }
    ask_with(key, "GET", "/v1/models", "");
    assert_answer(200, "");
    assert_int_equal(accounts_settle(accounts), DP_OK);
    assert_int_equal(fixture_used(accounts, "a@b"), 5);
    assert_int_equal(fixture_sql(accounts, "SELECT requests FROM key_usage"), 8);
}

static void test_auth_month_over(void **state)
{
    (void)state;
    const char *key = fixture_key(accounts, "a@b", TIER_FREE)->text;
    assert_int_equal(fixture_use(accounts, key, 99), ACCOUNT_FINE);
    ask_with(key, "POST", "/v1/embed/batch", EMBED_THREE);
    assert_string_equal(header("X-RateLimit-Limit"), "100");
    assert_string_equal(header("X-RateLimit-Remaining"), "1");
    assert_non_null(header("Retry-After"));
    assert_answer(429, "{\"error\":\"rate_limit_exceeded\",\"message\":\"");
    ask_with(key, "POST", "/v1/embed", EMBED);
    assert_answer(200, "");
    ask_with(key, "POST", "/v1/embed", EMBED);
    assert_answer(429, "\"reset_at\":\"2026-12-01T00:00:00Z\"}");
    ask_with(key, "POST", "/v1/embeddings", OPENAI);
    assert_answer(429, "\"code\":\"rate_limit_exceeded\"");
    ask_with(key, "POST", "/v2/namespaces/things/query", QUERY);
    assert_answer(429, "{\"status\":\"error\"");
    ask_with(key, "GET", "/v1/models", "");
    assert_answer(200, "");
}

static void test_auth_minute_over(void **state)
{
    (void)state;
    const char *key = fixture_key(accounts, "a@b", TIER_FREE)->text;
    for (int i = 0; i < 20; i++) {
        ask_with(key, "GET", "/v1/models", "");
        assert_answer(200, "");
    }
    ask_with(key, "GET", "/v1/models", "");
    assert_string_equal(header("X-RateLimit-Limit"), "20");
    assert_string_equal(header("X-RateLimit-Remaining"), "0");
    assert_answer(429, "\"code\":\"rate_limit_exceeded\"");
}

static void test_auth_rights(void **state)
{
    (void)state;
    const char *embed =
        fixture_key_with(accounts, (struct key_wish){.email = span_str("a@b"), .rights = RIGHT_EMBED})->text;
    const char *team = fixture_key_with(accounts, (struct key_wish){.email = span_str("c@d"),
                                                                    .rights = RIGHT_READ,
                                                                    .namespaces = span_str("th")})
                           ->text;
    ask_with(embed, "POST", "/v1/embed", EMBED);
    assert_answer(200, "");
    ask_with(embed, "GET", "/v1/namespaces", "");
    assert_answer(403, "{\"status\":\"error\",\"error\":\"the API key may not do that");
    ask_with(team, "POST", "/v1/embed", EMBED);
    assert_answer(403, "{\"error\":\"permission_denied\"");
    ask_with(team, "GET", "/v1/namespaces/things/metadata", "");
    assert_answer(200, "");
    ask_with(team, "GET", "/v1/namespaces/t%68ings/metadata", "");
    assert_answer(200, "");
    ask_with(team, "GET", "/v1/namespaces/others/metadata", "");
    assert_answer(403, "may not touch that namespace");
    ask_with(team, "POST", "/v2/namespaces/others/query", QUERY);
    assert_answer(403, "");
    ask_with(team, "POST", "/v2/namespaces/things", "{}");
    assert_answer(403, "");
    ask_with(team, "GET", "/v1/namespaces", "");
    assert_answer(403, "");
    ask_with(team, "GET", "/v1/namespaces?prefix=thi", "");
    assert_answer(200, "things");
    ask_with(team, "GET", "/v1/namespaces?prefix=t", "");
    assert_answer(403, "");
    ask_with(team, "GET", "/v1/namespaces?prefix=thi&prefix=", "");
    assert_answer(403, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_auth_asks_for_a_key_where_it_should, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_auth_refuses_in_each_dialect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_auth_takes_a_key_in_the_ways_that_clients_have, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_auth_of_a_cached_text_waits_for_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_auth_counts_texts_that_are_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_auth_month_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_auth_minute_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_auth_rights, set_up, tear_down),
    };
    return test_run(tests);
}
