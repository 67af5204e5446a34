/* test_rights.c: which key may call which route: every route with every right and prefix; and which names its handler
 * may then use. */
#include "exchange_fixture.h"

#include <stdio.h>

enum { RIGHTS_LOOKED_AT = RIGHT_ALL };

/* Writes a target for the route's pattern. The existing namespace "things" replaces its {…}. */
static void target_of(const struct route *route, const char *query, char out[200])
{
    const char *open = strchr(route->pattern, '{'), *close = open ? strchr(open, '}') + 1 : "";
    int len = open ? (int)(open - route->pattern) : (int)strlen(route->pattern);
    snprintf(out, 200, "%.*s%s%s%s", len, route->pattern, open ? "things" : "", close, query);
}

static bool has_right(const struct route *route, unsigned rights)
{
    switch (route->right) {
    case RIGHT_TO_EMBED: return rights & RIGHT_EMBED;
    case RIGHT_TO_READ: return rights & RIGHT_READ;
    case RIGHT_TO_WRITE: return rights & RIGHT_WRITE;
    case RIGHT_TO_ADMIN: return rights & RIGHT_ADMIN;
    default: return true;
    }
}

/* Returns whether a key with the prefix `own` may call the route for "things", or list the names that begin with
 * `listed`. */
static bool is_within(const struct route *route, const char *own, const char *listed)
{
    switch (route->scope) {
    case SCOPE_PATH:
    case SCOPE_PATH_AND_BODY: return strncmp("things", own, strlen(own)) == 0;
    case SCOPE_LIST: return strncmp(listed, own, strlen(own)) == 0;
    case SCOPE_EVERYTHING: return *own == '\0';
    default: return true;
    }
}

static void assert_refused(const struct route *route, const char *key, const char *query, unsigned expected)
{
    char target[200];
    target_of(route, query, target);
    chain_ask_with(key, route->method, target, "");
    const unsigned status = chain_exchange.response.status;
    const bool refused = status == 401 || status == 403;
    if (expected ? status != expected : refused)
        fail_msg("%s %s: got status %u, expected %u", route->method, target, status, expected);
    exchange_end(&chain_exchange, true);
}

static void test_rights_of_every_route_with_every_right_and_prefix(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"", "th", "things", "zz"}, *const listed[] = {"", "t", "thi", "things",
                                                                                         "zz"};
    for (unsigned rights = 1; rights <= RIGHTS_LOOKED_AT; rights++)
        for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
            char key[KEY_TEXT_MAX + 1], email[40];
            snprintf(email, sizeof email, "%u@%zu", rights, p);
            const struct key_wish wish = {.email = span_str(email),
                                          .has_tier = true,
                                          .tier = TIER_SCALE,
                                          .rights = rights,
                                          .namespaces = span_str(prefixes[p])};
            memcpy(key, fixture_key_with(chain_accounts, wish)->text, sizeof key);
            for (size_t i = 0; i < ROUTE_COUNT; i++)
                for (size_t l = 0; l < sizeof listed / sizeof *listed; l++) {
                    const struct route *route = &ROUTES[i];
                    char query[40] = "";
                    if (l > 0)
                        snprintf(query, sizeof query, "?prefix=%s", listed[l]);
                    bool may = has_right(route, rights) && is_within(route, prefixes[p], listed[l]);
                    assert_refused(route, key, query, may ? 0 : 403);
                }
        }
}

static void test_rights_of_every_route_without_a_key(void **state)
{
    (void)state;
    for (int protect = 0; protect < 2; protect++) {
        chain_context.auth.watch_needs_key = protect;
        for (size_t i = 0; i < ROUTE_COUNT; i++) {
            const enum route_right right = ROUTES[i].right;
            bool open = right == RIGHT_OF_ANYONE || (right == RIGHT_OF_WATCHER && !protect);
            assert_refused(&ROUTES[i], NULL, "", open ? 0 : 401);
            assert_refused(&ROUTES[i], "fe_wrong", "?prefix=t", open ? 0 : 401);
        }
    }
}

/* ---- names that a handler uses ----------------------------------------------------------------------- */

/* Uses the namespace that the body names, as the source of a copy would be. */
static void touch(struct call *call, const struct api_context *api, const struct http_request *http,
                  struct http_response *response)
{
    struct namespace_info info;
    if (service_namespace_info(call, api->service, GATE_READ, http->body, &info) != DP_OK)
        api_fail(call, &api_turbopuffer, response);
}

static void list_all(struct call *call, const struct api_context *api, const struct http_request *http,
                     struct http_response *response)
{
    struct index_names names;
    if (service_namespaces(call, api->service, http->body, span_str(""), 10, &names) != DP_OK)
        api_fail(call, &api_turbopuffer, response);
}

static void embed_one(struct call *call, const struct api_context *api, const struct http_request *http,
                      struct http_response *response)
{
    const struct embed_input input = {.text = http->body};
    const struct embed_request request = {.inputs = &input, .count = 1};
    struct embed_response answer;
    if (service_embed(call, api->service, &request, &answer) != DP_OK)
        api_fail(call, &api_turbopuffer, response);
}

/* Calls a route that is not in the table, with a key. Returns the status of the answer. */
static unsigned ask_route(const char *key, const struct route *route, const char *body)
{
    char headers[200];
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\n", key);
    chain_begin("POST", "/v2/namespaces/things/query", headers);
    chain_exchange.match.route = chain_exchange.auth.subject.route = route;
    exchange_body(&chain_exchange, span_str(body));
    exchange_run(&chain_exchange);
    unsigned status = chain_exchange.response.status;
    chain_exchange.match.route = &ROUTES[0]; /* metrics need a route of the table */
    exchange_end(&chain_exchange, true);
    return status;
}

static struct route route_of(api_handler handler, enum route_right right, enum route_scope scope)
{
    return (struct route){.method = "POST",
                          .pattern = "/v2/namespaces/{ns}/query",
                          .dialect = &api_turbopuffer,
                          .handler = handler,
                          .right = right,
                          .scope = scope,
                          .price = PRICE_FREE,
                          .body = BODY_KEPT};
}

static void test_rights_hold_for_names_that_a_handler_uses(void **state)
{
    (void)state;
    fixture_index(chain_service, "that", FIXTURE_ROWS);
    fixture_index(chain_service, "others", FIXTURE_ROWS);
    fixture_call_end();
    char key[KEY_TEXT_MAX + 1];
    const struct key_wish wish = {.email = span_str("a@b"), .rights = RIGHT_ALL, .namespaces = span_str("th")};
    memcpy(key, fixture_key_with(chain_accounts, wish)->text, sizeof key);
    static const struct {
        enum route_scope scope;
        unsigned things, that, others;
    } cases[] = {{SCOPE_NOTHING, 403, 403, 403},
                 {SCOPE_PATH, 200, 403, 403},
                 {SCOPE_LIST, 403, 403, 403},
                 {SCOPE_PATH_AND_BODY, 200, 200, 403},
                 {SCOPE_EVERYTHING, 200, 200, 403}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct route route = route_of(touch, RIGHT_TO_READ, cases[i].scope);
        assert_int_equal(ask_route(key, &route, "things"), cases[i].things);
        assert_int_equal(ask_route(key, &route, "that"), cases[i].that);
        assert_int_equal(ask_route(key, &route, "others"), cases[i].others);
    }
    struct route route = route_of(list_all, RIGHT_TO_READ, SCOPE_PATH_AND_BODY);
    assert_int_equal(ask_route(key, &route, "th"), 403); /* the route's scope allows no list */
    /* A key without the right to read reaches no namespace through a handler that reads. */
    const struct key_wish writer = {.email = span_str("c@d"), .rights = RIGHT_WRITE};
    memcpy(key, fixture_key_with(chain_accounts, writer)->text, sizeof key);
    route = route_of(touch, RIGHT_TO_WRITE, SCOPE_PATH_AND_BODY);
    assert_int_equal(ask_route(key, &route, "things"), 403);
}

/* Handlers of free routes cannot embed; all other embeddings are counted. */
static void test_rights_free_routes_cannot_embed(void **state)
{
    (void)state;
    char key[KEY_TEXT_MAX + 1];
    memcpy(key, fixture_key(chain_accounts, "a@b", TIER_FREE)->text, sizeof key);
    struct route route = route_of(embed_one, RIGHT_TO_READ, SCOPE_PATH);
    assert_int_not_equal(ask_route(key, &route, "hello"), 200);
    route.price = PRICE_TEXTS;
    assert_int_equal(ask_route(key, &route, "hello"), 200);
    assert_int_equal(accounts_settle(chain_accounts), DP_OK);
    assert_int_equal(fixture_used(chain_accounts, "a@b"), 1);
}

/* ---- the table --------------------------------------------------------------------------------------- */

static void test_rights_have_no_default(void **state)
{
    (void)state;
    struct dp_error error;
    assert_int_equal(routes_check(&error), DP_OK);
    const struct route whole = route_of(touch, RIGHT_TO_READ, SCOPE_PATH);
    assert_int_equal(route_check(&whole, &error), DP_OK);
    struct route routes[9];
    for (size_t i = 0; i < 9; i++)
        routes[i] = whole;
    routes[0].right = RIGHT_FORGOTTEN;
    routes[1].scope = SCOPE_FORGOTTEN;
    routes[2].price = PRICE_FORGOTTEN;
    routes[3].body = BODY_FORGOTTEN;
    routes[4].dialect = NULL;
    routes[5].scope = SCOPE_NOTHING;   /* it reads but has no scope */
    routes[6].pattern = "/v2/query";   /* the path names no namespace */
    routes[7].right = RIGHT_OF_ANYONE; /* it needs no key but has a scope */
    routes[8].body = BODY_LARGE;       /* it runs on an I/O thread */
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(route_check(&routes[i], &error), DP_INVALID);
        assert_non_null(strstr(error.message, routes[i].pattern));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rights_of_every_route_with_every_right_and_prefix, chain_set_up,
                                        chain_tear_down),
        cmocka_unit_test_setup_teardown(test_rights_of_every_route_without_a_key, chain_set_up, chain_tear_down),
        cmocka_unit_test_setup_teardown(test_rights_hold_for_names_that_a_handler_uses, chain_set_up,
                                        chain_tear_down),
        cmocka_unit_test_setup_teardown(test_rights_free_routes_cannot_embed, chain_set_up, chain_tear_down),
        cmocka_unit_test(test_rights_have_no_default),
    };
    return test_run(tests);
}
