/* test_index_http.c: a namespace behind http URLs is searched in place, also when the server fails now and then:
 * equal answers, equal rounds.
 */
#include "index_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "http_server.h"
#include "store/transport.h"

enum { ROWS = 1500 };

/* A world whose store is the server, holding what `load` wrote. */
struct remote {
    struct http_server *server;
    struct transport *transport;
};

/* Serves every object of the world's store. */
static void serve_objects(struct world *w, struct http_server *server)
{
    struct store_listing listing;
    assert_int_equal(store_list(&w->call, w->store, span_str(""), span_str(""), false, 10000, &listing), DP_OK);
    assert_false(listing.truncated);
    for (size_t i = 0; i < listing.count; i++) {
        char path[512];
        struct store_read_req req = {.key = listing.entries[i].key, .len = STORE_TO_END};
        assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
        snprintf(path, sizeof path, "/bucket/%.*s", SPAN_FMT(req.key));
        http_server_put(server, path, req.bytes.span);
        store_read_release(&req, 1);
    }
}

/* From now on the world reads from the server. */
static struct remote move_behind_http(struct world *w)
{
    const struct transport_options quick = {.retry_base_ms = 1, .retry_cap_ms = 2};
    struct remote remote = {.server = http_server_start(NULL)};
    serve_objects(w, remote.server);
    store_free(w->store);
    w->store = NULL;
    assert_int_equal(transport_new(&quick, &remote.transport, &w->call.error), DP_OK);
    const struct store_options options = {.transport = remote.transport};
    struct store *store;
    if (store_open_with(&w->call, span_str(http_server_url(remote.server, "/bucket")), &options, &store) != DP_OK)
        fail_msg("%s", w->call.error.message);
    w->store = test_store_wrap(store);
    world_reset(w);
    return remote;
}

static void close_remote(struct world *w, struct remote remote)
{
    store_free(w->store);
    w->store = NULL;
    transport_free(remote.transport);
    http_server_stop(remote.server);
}

static void load(struct world *w)
{
    fixture_must_load(w, "rows", 0, ROWS, 0);
    fixture_must_load(w, "rows", ROWS - 300, ROWS, 1);
}

static const struct expected EXPECTED = {
    .rows = ROWS, .edition = 0, .newer_from = ROWS - 300, .newer_to = ROWS, .newer_edition = 1};

static void test_index_http_reads_in_place(void **state)
{
    struct world *w = *state;
    load(w);
    struct index_reader *local = fixture_open(w, "rows");
    double recall = fixture_check_answers(w, local, &EXPECTED, 10, 10, 8);
    index_close(local);
    struct remote remote = move_behind_http(w);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(test_store_counts(w->store).rounds, 2);
    struct index_answer answer;
    float query[FIXTURE_DIM];
    fixture_query(w, 1, query);
    struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 10};
    assert_int_equal(index_query(&w->call, reader, &q, &answer), DP_OK);
    assert_int_equal(test_store_counts(w->store).rounds, 4);
    /* The costs of the call are those that the server saw. */
    assert_int_equal(w->call.cost.requests, http_server_count(remote.server));
    assert_true(fixture_check_answers(w, reader, &EXPECTED, 10, 10, 8) == recall);
    index_close(reader);
    close_remote(w, remote);
}

static void test_index_http_survives_a_bad_server(void **state)
{
    struct world *w = *state;
    load(w);
    struct remote remote = move_behind_http(w);
    static const struct http_act acts[] = {
        {.kind = HTTP_ACT_STATUS, .code = 503}, {.kind = HTTP_ACT_TRUNCATE, .at = 100},
        {.kind = HTTP_ACT_SERVE, .times = 2},   {.kind = HTTP_ACT_DROP},
        {.kind = HTTP_ACT_RESET, .at = 1000},   {.kind = HTTP_ACT_SERVE},
    };
    /* The number of requests varies; they need more answers than this script has, so all of its failures happen. */
    for (size_t i = 0; i < 48; i++)
        http_server_script(remote.server, acts[i % (sizeof acts / sizeof *acts)]);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_true(fixture_check_answers(w, reader, &EXPECTED, 5, 10, 8) > 0.5);
    assert_int_equal(http_server_unused(remote.server), 0);
    index_close(reader);
    close_remote(w, remote);
}

/* A segment whose bytes are replaced under its name is noticed, not mixed into an answer. */
static void test_index_http_notices_a_changed_segment(void **state)
{
    struct world *w = *state;
    load(w);
    struct remote remote = move_behind_http(w);
    struct index_reader *reader = fixture_open(w, "rows");
    http_server_script(remote.server, (struct http_act){.kind = HTTP_ACT_CHANGE, .match = "/seg/", .times = 100});
    struct index_answer answer;
    float query[FIXTURE_DIM];
    fixture_query(w, 1, query);
    struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 10};
    enum dp_status status = index_query(&w->call, reader, &q, &answer);
    if (status != DP_STALE && status != DP_CORRUPT)
        fail_msg("%d %s", status, w->call.error.message);
    index_close(reader);
    close_remote(w, remote);
}

int main(void)
{
    setenv("no_proxy", "*", 1);
#define CASE(name) cmocka_unit_test_setup_teardown(name, world_in_memory, world_close)
    const struct CMUnitTest tests[] = {
        CASE(test_index_http_reads_in_place),
        CASE(test_index_http_survives_a_bad_server),
        CASE(test_index_http_notices_a_changed_segment),
    };
    return test_run(tests);
}
