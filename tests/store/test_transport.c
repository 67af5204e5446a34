/* test_transport.c: rounds of HTTP requests against a server that misbehaves on command. */
#include "test_support.h"

#include <stdlib.h>

#include "http_server.h"
#include "os/clock.h"
#include "store/transport.h"

enum { NEVER_MS = 60000 }; /* a test that runs into this deadline has failed */

struct fixture {
    struct arena arena;
    struct call call;
    struct http_server *server;
    struct transport *transport;
};

/* Waits are short; nothing in the tests depends on how long they are. */
static const struct transport_options QUICK = {
    .per_host = 8, .retry_base_ms = 1, .retry_cap_ms = 2, .tries = 5, .stall_ms = 60000};

static void open_transport(struct fixture *f, const struct transport_options *options)
{
    transport_free(f->transport);
    if (transport_new(options, &f->transport, &f->call.error) != DP_OK)
        fail_msg("%s", f->call.error.message);
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    arena_init(&f.arena, 16 << 20);
    call_init(&f.call, &f.arena);
    call_limit_ms(&f.call, NEVER_MS);
    f.server = http_server_start(NULL);
    open_transport(&f, &QUICK);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    transport_free(f->transport);
    http_server_stop(f->server);
    arena_deinit(&f->arena);
    return 0;
}

static struct http_request get(struct fixture *f, const char *path)
{
    return (struct http_request){.method = HTTP_GET, .url = span_str(http_server_url(f->server, path))};
}

static enum dp_status run(struct fixture *f, struct http_request *req)
{
    return transport_run(&f->call, f->transport, req, 1);
}

static void assert_body(const struct http_request *req, const char *text)
{
    if (!span_equal_str(req->bytes.span, text))
        fail_msg("body is \"%.*s\"", SPAN_FMT(req->bytes.span));
}

static void test_transport_gets_an_object(void **state)
{
    struct fixture *f = *state;
    http_server_put(f->server, "/a", span_str("hello"));
    struct http_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.code, 200);
    assert_body(&req, "hello");
    assert_true(span_equal_str(req.etag, http_server_etag(f->server, "/a")));
    assert_int_equal(req.size, 5);
    assert_true(req.size_known);
    assert_int_equal(f->call.cost.requests, 1);
    assert_int_equal(f->call.cost.bytes, 5);
    assert_int_equal(f->call.cost.rounds, 0);
    http_request_release(&req, 1);
}

static void test_transport_runs_a_round_in_parallel(void **state)
{
    struct fixture *f = *state;
    struct http_request reqs[8];
    http_server_put(f->server, "/a", span_str("0123456789"));
    http_server_gate(f->server, 8); /* nothing is answered before all eight are there */
    for (size_t i = 0; i < 8; i++) {
        reqs[i] = get(f, "/a");
        reqs[i].ranged = true;
        reqs[i].offset = i;
        reqs[i].len = 2;
    }
    assert_int_equal(transport_run(&f->call, f->transport, reqs, 8), DP_OK);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(reqs[i].code, 206);
        assert_int_equal(reqs[i].size, 10);
        assert_int_equal(reqs[i].bytes.span.len, 2);
        assert_int_equal(reqs[i].bytes.span.data[0], '0' + i);
    }
    assert_int_equal(f->call.cost.requests, 8);
    http_request_release(reqs, 8);
}

static void test_transport_bounds_and_reuses_connections(void **state)
{
    struct fixture *f = *state;
    enum { N = 100 };
    static struct http_request reqs[N];
    http_server_put(f->server, "/a", span_str("0123456789"));
    http_server_gate(f->server, 8);
    for (size_t i = 0; i < N; i++)
        reqs[i] = get(f, "/a");
    assert_int_equal(transport_run(&f->call, f->transport, reqs, N), DP_OK);
    assert_int_equal(http_server_count(f->server), N);
    assert_int_equal(http_server_connections(f->server), 8);
    http_request_release(reqs, N);
}

int main(void)
{
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_transport_gets_an_object),
        CASE(test_transport_runs_a_round_in_parallel),
        CASE(test_transport_bounds_and_reuses_connections),
    };
    return test_run(tests);
}
