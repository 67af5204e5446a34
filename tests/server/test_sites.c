/* test_sites.c: pages of other sites, names of the server, and CORS: through the whole chain without sockets. */
#include "exchange_fixture.h"

#include <stdio.h>

static int set_up(void **state)
{
    const int failed = chain_set_up(state);
    chain_context.auth.accounts = NULL;
    return failed;
}

static int tear_down(void **state)
{
    chain_context.auth.sites = (struct site_rules){.cors_origin = NULL};
    return chain_tear_down(state);
}

static bool knows(const char *host, const char *allowed)
{
    const struct site_rules rules = {.allowed_hosts = allowed, .checks_host = true};
    struct head head = {.count = 1, .fields = {{span_str("Host"), span_str(host)}}};
    return site_knows_host(&rules, &head);
}

/* A browser that takes a rebound name for this server's address sends that name. Nobody can rebind an address. */
static void test_server_knows_its_names(void **state)
{
    (void)state;
    static const char *const known[] = {
        "localhost",   "localhost:8000", "LocalHost.", "dipper.localhost:1", "127.0.0.1", "127.0.0.1:8000",
        "10.1.2.3:80", "[::1]",          "[::1]:8000", "[fe80::1]:8000",     ""};
    static const char *const unknown[] = {
        "evil.example", "evil.example:8000", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example",
        "127.1",        "[evil.example]:1",  "a.example:80@127.0.0.1", "1.2.3",        "."};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!knows(known[i], NULL))
            fail_msg("%s is unknown", known[i]);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if (knows(unknown[i], NULL) || knows(unknown[i], "good.example, *.good.example"))
            fail_msg("%s is known", unknown[i]);
    assert_true(knows("Good.example:443", "other good.example"));
    assert_true(knows("a.b.good.example", "*.good.example"));
    assert_false(knows("good.example", "*.good.example"));
    assert_false(knows("evilgood.example", "*.good.example"));
    assert_true(knows("evil.example", "*"));
    char longest[400];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(knows(longest, "good.example"));
    const struct site_rules none = {.checks_host = false};
    struct head head = {.count = 1, .fields = {{span_str("Host"), span_str("evil.example")}}};
    assert_true(site_knows_host(&none, &head));
    head.count = 0; /* HTTP/1.0: no browser */
    assert_true(site_knows_host(&(struct site_rules){.checks_host = true}, &head));
}

static void test_server_refuses_unknown_names(void **state)
{
    (void)state;
    chain_context.auth.sites.checks_host = true; /* the fixture's host is "a" */
    chain_ask("GET", "/v1/namespaces", "", "");
    chain_assert_answer(403,
                        "does not answer to the host a, only to addresses, localhost and the names of its setting "
                        "--allowed-hosts");
    chain_ask("POST", "/v1/embed", "", "{\"text\":\"cat\"}");
    chain_assert_answer(403, "");
    chain_ask("GET", "/", "", "");
    chain_assert_answer(403, "");
    chain_context.auth.sites.allowed_hosts = "a";
    chain_ask("GET", "/v1/namespaces", "", "");
    chain_assert_answer(200, "things");
}

/* The clients of OpenAI send X-Stainless-… headers; a browser asks for each of them first. */
static void test_server_answers_preflights(void **state)
{
    (void)state;
    static const char asks[] = "Origin: https://a.example\nAccess-Control-Request-Method: POST\n"
                               "Access-Control-Request-Headers: authorization,content-type,x-stainless-lang\n";
    chain_ask("OPTIONS", "/v1/embeddings", asks, "");
    assert_null(chain_header("Access-Control-Allow-Origin"));
    assert_null(chain_header("Access-Control-Allow-Headers"));
    chain_assert_answer(204, "");
    chain_context.auth.sites.cors_origin = "https://b.example https://a.example";
    chain_ask("OPTIONS", "/v1/embeddings", asks, "");
    assert_string_equal(chain_header("Access-Control-Allow-Origin"), "https://a.example");
    assert_string_equal(chain_header("Access-Control-Allow-Headers"),
                        "authorization,content-type,x-stainless-lang");
    assert_non_null(strstr(chain_header("Access-Control-Allow-Methods"), "PATCH"));
    assert_string_equal(chain_header("Vary"), "Origin");
    assert_null(chain_header("Access-Control-Allow-Private-Network"));
    chain_assert_answer(204, "");
    chain_ask("OPTIONS", "/v1/embed", "Origin: https://a.example\nAccess-Control-Request-Private-Network: true\n",
              "");
    assert_non_null(strstr(chain_header("Access-Control-Allow-Headers"), "Idempotency-Key"));
    assert_string_equal(chain_header("Access-Control-Allow-Private-Network"), "true");
    chain_assert_answer(204, "");
    chain_ask("OPTIONS", "/v1/embeddings", "Origin: https://c.example\n", "");
    assert_null(chain_header("Access-Control-Allow-Origin"));
    assert_null(chain_header("Access-Control-Allow-Headers"));
    chain_assert_answer(204, "");
}

static void test_server_lets_permitted_pages_read_answers(void **state)
{
    (void)state;
    static const char page[] = "Origin: https://a.example\nSec-Fetch-Site: cross-site\n";
    chain_context.auth.sites.cors_origin = "https://a.example";
    chain_ask("POST", "/v1/embed", page, "{\"text\":\"cat\"}");
    assert_string_equal(chain_header("Access-Control-Allow-Origin"), "https://a.example");
    assert_non_null(strstr(chain_header("Access-Control-Expose-Headers"), "Retry-After"));
    chain_assert_answer(200, "");
    chain_ask("POST", "/v1/embed", page, "nonsense"); /* the page may read errors, too */
    assert_non_null(chain_header("Access-Control-Allow-Origin"));
    chain_assert_answer(400, "");
    chain_context.auth.sites.cors_origin = "*";
    chain_ask("POST", "/v1/embed", page, "{\"text\":\"cat\"}");
    assert_string_equal(chain_header("Access-Control-Allow-Origin"), "*");
    assert_null(chain_header("Vary"));
    chain_assert_answer(200, "");
}

/* Old browsers send no Sec-Fetch-Site, and no browser sends it to a server that is neither on loopback nor on https. */
static void test_server_refuses_simple_posts_by_origin(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        unsigned status;
    } cases[] = {
        {"Origin: https://evil.example\nContent-Type: text/plain;charset=UTF-8\n", 403},
        {"Origin: https://evil.example\nContent-Type: application/x-www-form-urlencoded\n", 403},
        {"Origin: https://evil.example\nContent-Type: Multipart/Form-Data; boundary=x\n", 403},
        {"Origin: https://evil.example\n", 403},
        {"Origin: null\nContent-Type: text/plain\n", 403},
        {"Origin: https://evil.example\nContent-Type: application/json\n", 200}, /* no browser sends it unasked */
        {"Origin: http://a\nContent-Type: text/plain\n", 200},
        {"Origin: https://good.example:444\nContent-Type: text/plain\n", 200}, /* behind a proxy */
        {"Content-Type: text/plain\n", 200},
    };
    chain_context.auth.sites.allowed_hosts = "good.example";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        chain_ask("POST", "/v1/embed", cases[i].headers, "{\"text\":\"cat\"}");
        chain_assert_answer(cases[i].status, "");
    }
}

/* A rule that matches nothing would look like a server that ignores its setting. */
static void test_server_refuses_rules_that_match_nothing(void **state)
{
    (void)state;
    static const char *const origins[] = {"", "*", "https://a.example  http://b.example:8080", "null",
                                          "chrome-extension://abc"};
    static const char *const no_origins[] = {"a.example",    "https://a.example/",  "https://",
                                             "://a.example", "https://*.a.example", "https://a.example b.example"};
    static const char *const names[] = {"", "*", "a.example, *.b.example", "::1", "10.0.0.1"};
    static const char *const no_names[] = {"https://a.example", "a.example:8000", "a.*.example", "a.example/",
                                           "good.example [::1]:80"};
    struct dp_error error;
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++)
        assert_int_equal(site_rules_check(&(struct site_rules){.cors_origin = origins[i]}, &error), DP_OK);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(site_rules_check(&(struct site_rules){.allowed_hosts = names[i]}, &error), DP_OK);
    for (size_t i = 0; i < sizeof no_origins / sizeof *no_origins; i++)
        assert_int_equal(site_rules_check(&(struct site_rules){.cors_origin = no_origins[i]}, &error), DP_INVALID);
    for (size_t i = 0; i < sizeof no_names / sizeof *no_names; i++)
        assert_int_equal(site_rules_check(&(struct site_rules){.allowed_hosts = no_names[i]}, &error), DP_INVALID);
    assert_int_equal(site_rules_check(&(struct site_rules){.cors_origin = NULL}, &error), DP_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_knows_its_names),
        cmocka_unit_test(test_server_refuses_rules_that_match_nothing),
        cmocka_unit_test_setup_teardown(test_server_refuses_unknown_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_answers_preflights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_lets_permitted_pages_read_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_refuses_simple_posts_by_origin, set_up, tear_down),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL));
}
