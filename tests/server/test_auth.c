/* test_auth.c: keys, rights and limits in the chain of a request, without sockets. */
#include "exchange_fixture.h"

#include <stdio.h>

#include "server/auth.h"

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
        chain_ask(cases[i].method, cases[i].target, "", "");
        chain_assert_answer(cases[i].status, "");
    }
    chain_context.auth.watch_needs_key = true;
    chain_ask("GET", "/health", "", "");
    chain_assert_answer(401, "");
    chain_ask("GET", "/metrics", "", "");
    chain_assert_answer(401, "");
    chain_ask("GET", "/", "", "");
    chain_assert_answer(200, "");
}

static void test_auth_refuses_in_each_dialect(void **state)
{
    (void)state;
    chain_ask("POST", "/v1/embed", "", EMBED);
    assert_string_equal(chain_header("WWW-Authenticate"), "Bearer");
    chain_assert_answer(401, "{\"error\":\"invalid_api_key\",\"message\":\"");
    chain_ask_with("sk-nothing", "POST", "/v1/embeddings", OPENAI);
    chain_assert_answer(401, "\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"invalid_api_key\"");
    chain_ask_with("sk-nothing", "POST", "/v2/namespaces/things/query", QUERY);
    chain_assert_answer(401, "{\"status\":\"error\",\"error\":\"the API key is not valid");
}

static void test_auth_takes_a_key_from_each_header_that_clients_send(void **state)
{
    (void)state;
    const char *key = fixture_key(chain_accounts, "a@b", TIER_PRO)->text;
    static const char *const ways[] = {"Authorization: Bearer ", "authorization: bearer   ",
                                       "X-API-Key: ", "api-key: "};
    char headers[200];
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        snprintf(headers, sizeof headers, "%s%s\n", ways[i], key);
        assert_int_equal(chain_ask("GET", "/v1/models", headers, ""),
                         i > 0); /* the first look-up of a key may block */
        chain_assert_answer(200, "tiny");
    }
    snprintf(headers, sizeof headers, "Authorization: Basic %s\n", key);
    chain_ask("GET", "/v1/models", headers, "");
    chain_assert_answer(401, "");
}

/* If the key is remembered and the text is cached, the I/O thread answers the request and counts it. */
static void test_auth_of_a_cached_text_never_blocks(void **state)
{
    (void)state;
    const char *key = fixture_key(chain_accounts, "a@b", TIER_FREE)->text;
    struct service *cached = fixture_cached_service(100);
    chain_context.api.service = cached;
    assert_false(chain_ask_with(key, "POST", "/v1/embed", EMBED));
    assert_string_equal(chain_header("X-RateLimit-Remaining"), "99");
    chain_assert_answer(200, "\"cached\":false");
    assert_true(chain_ask_with(key, "POST", "/v1/embed", EMBED));
    assert_string_equal(chain_header("X-RateLimit-Limit"), "100");
    assert_string_equal(chain_header("X-RateLimit-Remaining"), "98");
    assert_string_equal(chain_header("X-RateLimit-Reset"), "1796083200");
    chain_assert_answer(200, "\"cached\":true");
    assert_int_equal(accounts_settle(chain_accounts), DP_OK);
    assert_int_equal(fixture_used(chain_accounts, "a@b"), 2);
    /* The I/O thread also sends refusals that it can decide from memory. */
    assert_int_equal(fixture_use(chain_accounts, key, 98), ACCOUNT_FINE);
    assert_false(chain_ask_with(key, "POST", "/v1/embed",
                                EMBED)); /* only the database knows whether the month is used up */
    chain_assert_answer(429, "");
    assert_true(chain_ask_with(key, "POST", "/v1/embed", EMBED));
    chain_assert_answer(429, "\"reset_at\":\"2026-12-01T00:00:00Z\"}");
    chain_context.api.service = chain_service;
    service_free(cached);
}

static void test_auth_counts_texts_that_are_answered(void **state)
{
    (void)state;
    const char *key = fixture_key(chain_accounts, "a@b", TIER_FREE)->text;
    chain_ask_with(key, "POST", "/v1/embed/batch", EMBED_THREE);
    chain_assert_answer(200, "");
    chain_ask_with(key, "POST", "/v1/embeddings", OPENAI);
    chain_assert_answer(200, "");
    chain_ask_with(key, "POST", "/v2/namespaces/things/query", QUERY);
    chain_assert_answer(200, "");
    static const char *const refused[] = {"{\"text\": \"\"}", "{", "{\"text\": \"a\", \"dimensions\": 100000}",
                                          "{\"texts\": []}"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        chain_ask_with(key, "POST", "/v1/embed", refused[i]);
        chain_assert_answer(400, "");
    }
    chain_ask_with(key, "GET", "/v1/models", "");
    chain_assert_answer(200, "");
    assert_int_equal(accounts_settle(chain_accounts), DP_OK);
    assert_int_equal(fixture_used(chain_accounts, "a@b"), 5);
    assert_int_equal(fixture_sql(chain_accounts, "SELECT requests FROM key_usage"), 8);
}

#define WRITE_TEXTS                                                                                     \
    "{\"upsert_rows\":[{\"id\":1,\"t\":\"cat\"},{\"id\":2,\"t\":\"dog\"}],\"schema\":{\"t\":{\"type\":" \
    "\"string\",\"embed\":\"tiny\"}}}"

/* A write that embeds counts its texts. A refused write counts nothing, even if it has embedded its texts. */
static void test_auth_counts_texts_that_are_written(void **state)
{
    (void)state;
    const struct key_wish wish = {.email = span_str("a@b"), .rights = RIGHT_WRITE, .namespaces = span_str("th")};
    const char *key = fixture_key_with(chain_accounts, wish)->text;
    chain_ask_with(key, "POST", "/v2/namespaces/others", WRITE_TEXTS);
    chain_assert_answer(403, "may not touch that namespace");
    chain_ask_with(key, "DELETE", "/v2/namespaces/others", "");
    chain_assert_answer(403, "");
    chain_ask_with(key, "POST", "/v2/namespaces/texts", WRITE_TEXTS);
    chain_assert_answer(403, "");
    chain_ask_with(key, "POST", "/v2/namespaces/these", WRITE_TEXTS);
    chain_assert_answer(200, "\"rows_upserted\":2");
    chain_ask_with(key, "POST", "/v2/namespaces/these",
                   "{\"upsert_rows\":[{\"id\":1,\"t\":\"cat\"},{\"id\":\"x\",\"t\":\"dog\"}]}");
    chain_assert_answer(400, "is not of type uint");
    chain_ask_with(key, "POST", "/v2/namespaces/these/query", QUERY);
    chain_assert_answer(403, "");
    chain_ask_with(key, "PATCH", "/v1/namespaces/these/metadata", "{\"read_only\":true}");
    chain_assert_answer(200, "\"read_only\":true");
    chain_ask_with(key, "POST", "/v2/namespaces/these", WRITE_TEXTS);
    chain_assert_answer(403, "read-only");
    chain_ask_with(key, "DELETE", "/v2/namespaces/these", "");
    chain_assert_answer(200, "OK");
    assert_int_equal(accounts_settle(chain_accounts), DP_OK);
    assert_int_equal(fixture_used(chain_accounts, "a@b"), 2);
}

static void test_auth_refuses_writes_when_the_month_is_used_up(void **state)
{
    (void)state;
    const char *key = fixture_key(chain_accounts, "a@b", TIER_FREE)->text;
    assert_int_equal(fixture_use(chain_accounts, key, 99), ACCOUNT_FINE);
    chain_ask_with(key, "POST", "/v2/namespaces/these", WRITE_TEXTS);
    assert_non_null(chain_header("Retry-After"));
    chain_assert_answer(429, "{\"status\":\"error\"");
    chain_ask_with(key, "GET", "/v1/namespaces/these/schema", "");
    chain_assert_answer(404, "");
}

static void test_auth_refuses_when_the_month_is_used_up(void **state)
{
    (void)state;
    const char *key = fixture_key(chain_accounts, "a@b", TIER_FREE)->text;
    assert_int_equal(fixture_use(chain_accounts, key, 99), ACCOUNT_FINE);
    chain_ask_with(key, "POST", "/v1/embed/batch", EMBED_THREE);
    assert_string_equal(chain_header("X-RateLimit-Limit"), "100");
    assert_string_equal(chain_header("X-RateLimit-Remaining"), "1");
    assert_non_null(chain_header("Retry-After"));
    chain_assert_answer(429, "{\"error\":\"rate_limit_exceeded\",\"message\":\"");
    chain_ask_with(key, "POST", "/v1/embed", EMBED);
    chain_assert_answer(200, "");
    chain_ask_with(key, "POST", "/v1/embed", EMBED);
    chain_assert_answer(429, "\"reset_at\":\"2026-12-01T00:00:00Z\"}");
    chain_ask_with(key, "POST", "/v1/embeddings", OPENAI);
    chain_assert_answer(429, "\"code\":\"rate_limit_exceeded\"");
    chain_ask_with(key, "POST", "/v2/namespaces/things/query", QUERY);
    chain_assert_answer(429, "{\"status\":\"error\"");
    chain_ask_with(key, "GET", "/v1/models", "");
    chain_assert_answer(200, "");
}

static void test_auth_refuses_when_the_minute_is_used_up(void **state)
{
    (void)state;
    const char *key = fixture_key(chain_accounts, "a@b", TIER_FREE)->text;
    for (int i = 0; i < 20; i++) {
        chain_ask_with(key, "GET", "/v1/models", "");
        chain_assert_answer(200, "");
    }
    chain_ask_with(key, "GET", "/v1/models", "");
    assert_string_equal(chain_header("X-RateLimit-Limit"), "20");
    assert_string_equal(chain_header("X-RateLimit-Remaining"), "0");
    chain_assert_answer(429, "\"code\":\"rate_limit_exceeded\"");
}

static void test_auth_refuses_without_right_or_prefix(void **state)
{
    (void)state;
    const char *embed =
        fixture_key_with(chain_accounts, (struct key_wish){.email = span_str("a@b"), .rights = RIGHT_EMBED})->text;
    const char *team = fixture_key_with(chain_accounts, (struct key_wish){.email = span_str("c@d"),
                                                                          .rights = RIGHT_READ,
                                                                          .namespaces = span_str("th")})
                           ->text;
    chain_ask_with(embed, "POST", "/v1/embed", EMBED);
    chain_assert_answer(200, "");
    chain_ask_with(embed, "GET", "/v1/namespaces", "");
    chain_assert_answer(403, "{\"status\":\"error\",\"error\":\"the API key lacks the right to do that");
    chain_ask_with(team, "POST", "/v1/embed", EMBED);
    chain_assert_answer(403, "{\"error\":\"permission_denied\"");
    chain_ask_with(team, "GET", "/v1/namespaces/things/metadata", "");
    chain_assert_answer(200, "");
    chain_ask_with(team, "GET", "/v1/namespaces/t%68ings/metadata", "");
    chain_assert_answer(200, "");
    chain_ask_with(team, "GET", "/v1/namespaces/others/metadata", "");
    chain_assert_answer(403, "may not touch that namespace");
    chain_ask_with(team, "POST", "/v2/namespaces/others/query", QUERY);
    chain_assert_answer(403, "");
    chain_ask_with(team, "POST", "/v2/namespaces/things", "{}");
    chain_assert_answer(403, "");
    chain_ask_with(team, "GET", "/v1/namespaces", "");
    chain_assert_answer(403, "");
    chain_ask_with(team, "GET", "/v1/namespaces?prefix=thi", "");
    chain_assert_answer(200, "things");
    chain_ask_with(team, "GET", "/v1/namespaces?prefix=t", "");
    chain_assert_answer(403, "");
    chain_ask_with(team, "GET", "/v1/namespaces?prefix=thi&prefix=", "");
    chain_assert_answer(403, "");
}

/* Sends a body of 40,000 bytes in pieces, with a key that is not in memory. The exchange pauses after a piece until the
 * key was looked up; then the other pieces follow. */
static void send_large(const char *key, unsigned status)
{
    static char piece[10000];
    char headers[200];
    memset(piece, ' ', sizeof piece);
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\n", key);
    chain_begin("POST", "/v1/embed", headers);
    assert_int_equal(exchange_body(&chain_exchange, span_of(piece, sizeof piece)), EXCHANGE_MORE);
    assert_int_equal(exchange_body(&chain_exchange, span_of(piece, sizeof piece)), EXCHANGE_JUDGE);
    assert_int_equal(atomic_load(&chain_context.bodies.held),
                     0); /* an unjudged body does not count against the limit */
    exchange_judge(&chain_exchange);
    assert_int_equal(chain_exchange.refused, status != 200);
    assert_int_equal(atomic_load(&chain_context.bodies.held), status == 200 ? 2 * sizeof piece : 0);
    assert_int_equal(exchange_body(&chain_exchange, span_of(piece, sizeof piece)), EXCHANGE_MORE);
    assert_int_equal(exchange_body(&chain_exchange, span_str(EMBED)), EXCHANGE_MORE);
    assert_int_equal(chain_exchange.body.received.len, status == 200 ? 3 * sizeof piece + strlen(EMBED) : 0);
    if (!exchange_try(&chain_exchange))
        exchange_run(&chain_exchange);
    chain_assert_answer(status, "");
}

static void test_auth_keeps_no_large_body_before_the_key_is_known(void **state)
{
    (void)state;
    char unknown[KEY_TEXT_MAX + 1];
    snprintf(unknown, sizeof unknown, "fe_%064x", 7);
    send_large(unknown, 401);
    send_large(fixture_key(chain_accounts, "a@b", TIER_PRO)->text, 200);
    const struct key_wish reader = {.email = span_str("c@d"), .rights = RIGHT_READ};
    send_large(fixture_key_with(chain_accounts, reader)->text, 403);
}

/* The server keeps no body if the route needs no key or if the request has none. */
static void test_auth_keeps_no_body_without_a_key(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target;
        unsigned status;
    } cases[] = {{"GET", "/", 200},        {"GET", "/health", 200},   {"GET", "/metrics", 200},
                 {"POST", "/health", 405}, {"GET", "/nowhere", 404},  {"OPTIONS", "/v1/embed", 204},
                 {"HEAD", "/", 200},       {"POST", "/v1/embed", 401}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        chain_begin(cases[i].method, cases[i].target, "");
        assert_int_equal(exchange_body(&chain_exchange, span_str(EMBED)), EXCHANGE_MORE);
        assert_int_equal(chain_exchange.body.received.len, 0);
        assert_int_equal(atomic_load(&chain_context.bodies.held), 0);
        assert_true(exchange_try(&chain_exchange));
        chain_assert_answer(cases[i].status, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_auth_asks_for_a_key_where_it_should, chain_set_up, chain_tear_down),
        cmocka_unit_test_setup_teardown(test_auth_refuses_in_each_dialect, chain_set_up, chain_tear_down),
        cmocka_unit_test_setup_teardown(test_auth_takes_a_key_from_each_header_that_clients_send, chain_set_up,
                                        chain_tear_down),
        cmocka_unit_test_setup_teardown(test_auth_of_a_cached_text_never_blocks, chain_set_up, chain_tear_down),
        cmocka_unit_test_setup_teardown(test_auth_counts_texts_that_are_answered, chain_set_up, chain_tear_down),
        cmocka_unit_test_setup_teardown(test_auth_counts_texts_that_are_written, chain_set_up, chain_tear_down),
        cmocka_unit_test_setup_teardown(test_auth_refuses_writes_when_the_month_is_used_up, chain_set_up,
                                        chain_tear_down),
        cmocka_unit_test_setup_teardown(test_auth_refuses_when_the_month_is_used_up, chain_set_up,
                                        chain_tear_down),
        cmocka_unit_test_setup_teardown(test_auth_refuses_when_the_minute_is_used_up, chain_set_up,
                                        chain_tear_down),
        cmocka_unit_test_setup_teardown(test_auth_refuses_without_right_or_prefix, chain_set_up, chain_tear_down),
        cmocka_unit_test_setup_teardown(test_auth_keeps_no_large_body_before_the_key_is_known, chain_set_up,
                                        chain_tear_down),
        cmocka_unit_test_setup_teardown(test_auth_keeps_no_body_without_a_key, chain_set_up, chain_tear_down),
    };
    return test_run(tests);
}
