/* test_transport.c: rounds of HTTP requests against a server that misbehaves on command. */
#include "test_support.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "http_server.h"
#include "store/http/head.h"
#include "store/http/run.h"
#include "store/http/try.h"

enum { NEVER_MS = 60000 }; /* a test that reaches this deadline has failed */

struct fixture {
    struct arena arena;
    struct call call;
    struct http_server *server;
    struct transport *transport;
};

/* Waits are short; no test depends on their length. Without hedges each request is sent once, so tests can
 * count them. */
static const struct transport_options QUICK = {
    .per_host = 8, .retry_base_ms = 1, .retry_cap_ms = 2, .tries = 5, .stall_ms = 60000, .no_hedges = true};

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

static struct transport_request get(struct fixture *f, const char *path)
{
    return (struct transport_request){.method = HTTP_GET, .url = span_str(http_server_url(f->server, path))};
}

static struct transport_request put(struct fixture *f, const char *path, const char *body)
{
    return (struct transport_request){
        .method = HTTP_PUT, .url = span_str(http_server_url(f->server, path)), .body = span_str(body)};
}

static enum dp_status run(struct fixture *f, struct transport_request *req)
{
    return transport_run(&f->call, f->transport, req, 1);
}

static void assert_body(const struct transport_request *req, const char *text)
{
    if (!span_equal_str(req->bytes.span, text))
        fail_msg("body is \"%.*s\"", SPAN_FMT(req->bytes.span));
}

static void test_transport_gets_an_object(void **state)
{
    struct fixture *f = *state;
    http_server_put(f->server, "/a", span_str("hello"));
    struct transport_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.code, 200);
    assert_body(&req, "hello");
    assert_true(span_equal_str(req.etag, http_server_etag(f->server, "/a")));
    assert_int_equal(req.size, 5);
    assert_true(req.size_known);
    assert_int_equal(f->call.cost.requests, 1);
    assert_int_equal(f->call.cost.bytes, 5);
    assert_int_equal(f->call.cost.rounds, 0);
    transport_release(&req, 1);
}

static void test_transport_runs_a_round_in_parallel(void **state)
{
    struct fixture *f = *state;
    struct transport_request reqs[8];
    http_server_put(f->server, "/a", span_str("0123456789"));
    http_server_gate(f->server, 8); /* the server answers when all eight requests have arrived */
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
    transport_release(reqs, 8);
}

static void test_transport_bounds_and_reuses_connections(void **state)
{
    struct fixture *f = *state;
    enum { N = 100 };
    static struct transport_request reqs[N];
    http_server_put(f->server, "/a", span_str("0123456789"));
    http_server_gate(f->server, 8);
    for (size_t i = 0; i < N; i++)
        reqs[i] = get(f, "/a");
    assert_int_equal(transport_run(&f->call, f->transport, reqs, N), DP_OK);
    assert_int_equal(http_server_count(f->server), N);
    assert_int_equal(http_server_connections(f->server), 8);
    transport_release(reqs, N);
}

/* ---- trying again ----------------------------------------------------------------------------------------- */

static void test_transport_retries_transient_errors(void **state)
{
    struct fixture *f = *state;
    static const int codes[] = {500, 502, 503, 504, 429, 408};
    http_server_put(f->server, "/a", span_str("hello"));
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        http_server_reset(f->server);
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = codes[i], .times = 3});
        f->call.cost = (struct call_cost){0};
        struct transport_request req = get(f, "/a");
        assert_int_equal(run(f, &req), DP_OK);
        assert_int_equal(req.code, 200);
        assert_body(&req, "hello");
        assert_int_equal(req.sent, 4);
        assert_int_equal(http_server_count(f->server), 4);
        assert_int_equal(f->call.cost.requests, 4);
        assert_int_equal(f->call.cost.bytes, 5);
        transport_release(&req, 1);
    }
}

static int64_t metric(const struct metric_registry *r, const char *name, const char *labels)
{
    const struct metric *m = r->first;
    while (m && (strcmp(m->name, name) != 0 || strcmp(m->labels, labels) != 0))
        m = m->next;
    assert_non_null(m);
    return metric_value(m);
}

/* The metrics count sent and received bytes, broken tries, and failed requests. */
static void test_transport_counts_requests_and_bytes(void **state)
{
    struct fixture *f = *state;
    static const char answers[] = "dipper_store_http_answers_total";
    struct metric_registry r;
    metric_registry_init(&r);
    assert_int_equal(transport_add_metrics(f->transport, &r, &f->call.error), DP_OK);
    http_server_put(f->server, "/a", span_str("hello"));
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503, .times = 2});
    struct transport_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_OK);
    transport_release(&req, 1);
    assert_int_equal(metric(&r, "dipper_store_http_requests_total", ""), 3);
    assert_int_equal(metric(&r, "dipper_store_http_retries_total", ""), 2);
    assert_int_equal(metric(&r, answers, "class=\"5xx\""), 2);
    assert_int_equal(metric(&r, answers, "class=\"2xx\""), 1);
    assert_int_equal(metric(&r, answers, "class=\"none\""), 0);
    assert_in_range(metric(&r, "dipper_store_http_received_bytes_total", ""), 5, 5000);
    assert_int_equal(metric(&r, "dipper_store_http_failures_total", ""), 0);
    http_server_reset(f->server);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_DROP, .times = 9});
    req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_UNAVAILABLE);
    assert_int_equal(metric(&r, "dipper_store_http_failures_total", ""), 1);
    assert_int_equal(metric(&r, answers, "class=\"none\""), 5);
    assert_int_equal(metric(&r, "dipper_store_http_retries_total", ""), 6);
    assert_int_equal(metric(&r, "dipper_store_http_hedges_total", ""), 0);
    assert_int_equal(metric(&r, "dipper_store_http_in_flight", ""), 0);
    metric_registry_deinit(&r);
}

static void test_transport_does_not_retry_permanent_errors(void **state)
{
    struct fixture *f = *state;
    static const int codes[] = {301, 307, 400, 403, 404, 409, 412, 416, 501, 505};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        http_server_reset(f->server);
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                        .code = codes[i],
                                                        .lines = "Location: /elsewhere\r\nX-Why: because\r\n",
                                                        .text = "explanation"});
        struct transport_request req = get(f, "/a");
        assert_int_equal(run(f, &req), DP_OK);
        assert_int_equal(req.code, codes[i]);
        assert_body(&req, "explanation");
        assert_true(span_equal_str(http_head_find(req.head, "x-why"), "because"));
        assert_int_equal(http_server_count(f->server), 1);
        transport_release(&req, 1);
    }
}

static void test_transport_gives_up_after_its_tries(void **state)
{
    struct fixture *f = *state;
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503, .times = 100});
    struct transport_request req = get(f, "/a?signature=secret");
    assert_int_equal(run(f, &req), DP_UNAVAILABLE);
    assert_int_equal(http_server_count(f->server), QUICK.tries);
    assert_int_equal(req.code, 503);
    assert_null(req.bytes.block);
    assert_non_null(strstr(f->call.error.message, "503"));
    assert_non_null(strstr(f->call.error.message, "/a"));
    assert_null(strstr(f->call.error.message, "secret"));
}

static void test_transport_stops_trying_after_a_time(void **state)
{
    struct fixture *f = *state;
    struct transport_options options = QUICK;
    options.tries = 1000000;
    options.retry_total_ms = 300;
    open_transport(f, &options);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 500, .times = 1000000});
    struct transport_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_UNAVAILABLE);
    assert_true(http_server_count(f->server) > 1);
}

static void test_transport_honours_retry_after_within_bounds(void **state)
{
    struct fixture *f = *state;
    http_server_put(f->server, "/a", span_str("hello"));
    http_server_script(f->server,
                       (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503, .lines = "Retry-After: 0\r\n"});
    struct transport_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_OK);
    transport_release(&req, 1);
    /* If the server asks for a longer wait than the transport may make, it does not wait at all. */
    struct transport_options options = QUICK;
    options.retry_total_ms = 900;
    open_transport(f, &options);
    http_server_reset(f->server);
    http_server_script(f->server,
                       (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503, .lines = "Retry-After: 1\r\n"});
    assert_int_equal(run(f, &req), DP_UNAVAILABLE);
    assert_int_equal(http_server_count(f->server), 1);
    /* It does not wait either when the call's deadline would pass meanwhile. The wait may be given as a date or
     * as a number. */
    open_transport(f, &QUICK);
    http_server_reset(f->server);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                    .code = 429,
                                                    .lines = "Retry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n"});
    call_limit_ms(&f->call, 20000);
    assert_int_equal(run(f, &req), DP_UNAVAILABLE);
    assert_int_equal(http_server_count(f->server), 1);
}

static void test_transport_retries_broken_connections(void **state)
{
    struct fixture *f = *state;
    http_server_put(f->server, "/a", span_str("hello"));
    static const enum http_act_kind kinds[] = {HTTP_ACT_DROP, HTTP_ACT_LOSE, HTTP_ACT_RESET, HTTP_ACT_TRUNCATE};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        http_server_reset(f->server);
        open_transport(f, &QUICK);
        http_server_script(f->server, (struct http_act){.kind = kinds[i], .times = 1});
        struct transport_request req = get(f, "/a");
        assert_int_equal(run(f, &req), DP_OK);
        assert_body(&req, "hello");
        assert_int_equal(http_server_count(f->server), 2);
        transport_release(&req, 1);
    }
}

static void test_transport_no_server(void **state)
{
    struct fixture *f = *state;
    char url[64];
    snprintf(url, sizeof url, "%s", http_server_url(f->server, "/a"));
    http_server_stop(f->server);
    struct transport_request req = {.method = HTTP_GET, .url = span_str(url)};
    struct transport_options options = QUICK;
    options.connect_tries = 2;
    open_transport(f, &options);
    assert_int_equal(run(f, &req), DP_UNAVAILABLE);
    assert_int_equal(req.sent, 0);
    assert_int_equal(f->call.cost.requests, 0);
    assert_non_null(strstr(req.error.message, "127.0.0.1"));
    f->server = http_server_start(NULL);
}

/* A store that comes back at the twentieth try. */
struct outage {
    struct fixture *f;
    uint16_t port;
    unsigned tries;
};

static enum dp_status count_tries(struct call *call, struct transport_request *req, struct http_try *attempt)
{
    (void)call, (void)attempt;
    struct outage *o = req->ctx;
    if (++o->tries == 20)
        o->f->server = http_server_start(&(struct http_server_options){.port = o->port});
    return DP_OK;
}

/* Writes, and all requests of a patient call, wait for a missing store. Other reads fail soon. */
static void test_transport_writes_wait_for_a_missing_store(void **state)
{
    struct fixture *f = *state;
    static const struct transport_options usual = {.retry_base_ms = 1, .retry_cap_ms = 1, .no_hedges = true};
    static const enum http_method methods[] = {HTTP_PUT, HTTP_DELETE, HTTP_POST, HTTP_GET, HTTP_HEAD, HTTP_GET};
    open_transport(f, &usual);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char url[64];
        snprintf(url, sizeof url, "%s", http_server_url(f->server, "/a"));
        struct outage o = {.f = f, .port = (uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10)};
        struct transport_request req = {
            .method = methods[i], .url = span_str(url), .prepare = count_tries, .ctx = &o, .body = span_str("")};
        http_server_stop(f->server);
        f->server = NULL;
        f->call.patient = methods[i] == HTTP_GET || methods[i] == HTTP_HEAD ? i != 5 : false;
        enum dp_status status = run(f, &req);
        assert_int_equal(status, i == 5 ? DP_UNAVAILABLE : DP_OK);
        assert_int_equal(o.tries, i == 5 ? 4 : 20);
        transport_release(&req, 1);
        if (!f->server)
            f->server = http_server_start(NULL);
    }
    /* A write also waits when a proxy answers 503 in place of the store. */
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503, .times = 15});
    struct transport_request req = put(f, "/a", "mine");
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(http_server_count(f->server), 16);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503, .times = 15});
    req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_UNAVAILABLE);
    assert_int_equal(req.sent, 10);
}

static void test_transport_refuses_urls(void **state)
{
    struct fixture *f = *state;
    static const char *const urls[] = {"",        "file:///etc/passwd", "ftp://host/a",
                                       "http://", "http://a b/",        "http://host/\xc3\xa4",
                                       "HTTP:/x", "http://host:99999/"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct transport_request req = {.method = HTTP_GET, .url = span_str(urls[i])};
        if (run(f, &req) != DP_INVALID)
            fail_msg("%s: %s", urls[i], req.error.message);
    }
    assert_int_equal(http_server_count(f->server), 0);
}

/* ---- resuming and pins ------------------------------------------------------------------------------------ */

enum { LARGE = 300000 };

static uint8_t *pattern(size_t len)
{
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    return bytes;
}

static void test_transport_resumes_where_it_broke_off(void **state)
{
    struct fixture *f = *state;
    uint8_t *body = pattern(LARGE);
    http_server_put(f->server, "/a", span_of(body, LARGE));
    for (int kind = 0; kind < 2; kind++)
        for (int ranged = 0; ranged < 2; ranged++) {
            http_server_reset(f->server);
            http_server_script(f->server,
                               (struct http_act){.kind = kind ? HTTP_ACT_RESET : HTTP_ACT_TRUNCATE, .at = 100000});
            http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503});
            http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_TRUNCATE, .at = 50000});
            http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_DROP});
            struct transport_request req = get(f, "/a");
            req.ranged = ranged;
            req.offset = ranged ? 7 : 0;
            req.len = LARGE - 9;
            assert_int_equal(run(f, &req), DP_OK);
            assert_int_equal(req.code, ranged ? 206 : 200);
            size_t len = ranged ? LARGE - 9 : LARGE;
            assert_int_equal(req.bytes.span.len, len);
            assert_memory_equal(req.bytes.span.data, body + req.offset, len);
            assert_int_equal(req.size, LARGE);
            assert_int_equal(http_server_count(f->server), 5);
            /* All sent bytes of a truncated body arrive. After a reset, the system decides how many arrive. */
            struct http_seen last = http_server_seen(f->server, 4);
            assert_non_null(strcasestr(last.head, "\r\nif-match: \"v"));
            const char *range = strcasestr(last.head, "\r\nrange: bytes=");
            assert_non_null(range);
            unsigned long from = strtoul(range + strlen("\r\nrange: bytes="), NULL, 10);
            assert_true(from >= req.offset + (kind ? 50000 : 150000));
            transport_release(&req, 1);
        }
    free(body);
}

static void test_transport_resumes_into_the_callers_memory(void **state)
{
    struct fixture *f = *state;
    uint8_t *body = pattern(LARGE), *into = malloc(LARGE);
    http_server_put(f->server, "/a", span_of(body, LARGE));
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_TRUNCATE, .at = 1234});
    struct transport_request req = get(f, "/a");
    req.ranged = true;
    req.len = LARGE;
    req.into = into;
    req.into_len = LARGE;
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.body_len, LARGE);
    assert_null(req.bytes.block);
    assert_memory_equal(into, body, LARGE);
    assert_int_equal(f->call.cost.bytes, LARGE);
    assert_int_equal(f->call.cost.requests, 2);
    free(into);
    free(body);
}

/* If the object changes between the tries, it is read from its start. If it was pinned, it is stale. The
 * contents never mix. */
static void test_transport_never_mixes_versions(void **state)
{
    struct fixture *f = *state;
    static const struct http_server_options kinds[] = {{.tls = false}, {.weak = true}, {.plain = true}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        http_server_stop(f->server);
        f->server = http_server_start(&kinds[i]);
        http_server_put(f->server, "/a", span_str("AAAAAAAAAA"));
        char pin[40];
        snprintf(pin, sizeof pin, "%s", http_server_etag(f->server, "/a"));
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_TRUNCATE, .at = 4});
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_CHANGE});
        struct transport_request req = get(f, "/a");
        req.ranged = true;
        req.len = 10;
        assert_int_equal(run(f, &req), DP_OK);
        assert_body(&req, "CCCCCCCCCC");
        transport_release(&req, 1);
        if (i > 0)
            continue; /* only strong ETags can be pinned */
        http_server_put(f->server, "/a", span_str("AAAAAAAAAA"));
        snprintf(pin, sizeof pin, "%s", http_server_etag(f->server, "/a"));
        http_server_reset(f->server);
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_TRUNCATE, .at = 4});
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_CHANGE});
        req.if_match = span_str(pin);
        assert_int_equal(run(f, &req), DP_STALE);
        assert_int_equal(http_server_count(f->server), 2);
        transport_release(&req, 1);
    }
}

static void test_transport_pins_where_the_server_ignores_them(void **state)
{
    struct fixture *f = *state;
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_RAW,
                                                    .text = "HTTP/1.1 200 OK\r\nETag: \"other\"\r\n"
                                                            "Content-Length: 5\r\n\r\nhello"});
    struct transport_request req = get(f, "/a");
    req.if_match = span_str("\"mine\"");
    assert_int_equal(run(f, &req), DP_STALE);
    assert_int_equal(http_server_count(f->server), 1);
    assert_non_null(strcasestr(http_server_seen(f->server, 0).head, "if-match: \"mine\"\r\n"));
}

static enum http_verdict as_usual(struct call *call, struct transport_request *req)
{
    (void)call, (void)req;
    return HTTP_AS_USUAL;
}

/* When a resumed read gets an error, it ends with that error. No byte of the error page becomes the object's,
 * whatever version the page claims and however long it is. */
static void test_transport_never_takes_an_error_for_the_rest(void **state)
{
    struct fixture *f = *state;
    enum { LEN = 1000, BROKEN_AT = 300 };
    static const int codes[] = {203, 204, 301, 304, 307, 400, 401, 403, 404, 405, 408,
                                409, 410, 429, 500, 501, 502, 503, 504, 505, 507, 511};
    static char page[LEN + 1];
    uint8_t *body = pattern(LEN), into[LEN];
    memset(page, 'X', LEN);
    for (size_t i = 0; i < 4 * 4 * sizeof codes / sizeof *codes; i++) {
        int code = codes[i / 16];
        char claims[128];
        http_server_reset(f->server);
        http_server_put(f->server, "/a", span_of(body, LEN));
        snprintf(claims, sizeof claims,
                 i / 4 % 4 == 0   ? "X-Page: %s\r\n"
                 : i / 4 % 4 == 1 ? "ETag: %s\r\n"
                 : i / 4 % 4 == 2 ? "ETag: \"page\"\r\n"
                                  : "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                 http_server_etag(f->server, "/a"));
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_TRUNCATE, .at = BROKEN_AT});
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                        .code = code,
                                                        .lines = claims,
                                                        .text = code == 204 || code == 304 ? "" : page,
                                                        .match = "Range: bytes=300-"});
        struct transport_request req = get(f, "/a");
        req.ranged = true;
        req.len = LEN;
        req.inspect = i % 2 ? as_usual : NULL;
        req.into = i / 2 % 2 ? into : NULL;
        req.into_len = req.into ? LEN : 0;
        enum dp_status status = run(f, &req);
        const uint8_t *bytes = req.into ? into : req.bytes.span.data;
        bool retried = code == 408 || code == 429 || (code >= 500 && code != 501 && code != 505);
        bool whole = req.code == 206 && req.body_len == LEN && memcmp(bytes, body, LEN) == 0;
        if (status != DP_OK || (retried ? !whole : req.code != code))
            fail_msg("%d with the headers \"%s\": status %s, code %d, %zu bytes", code, claims,
                     dp_status_name(status), req.code, (size_t)req.body_len);
        if (http_server_unused(f->server))
            fail_msg("%d: the read was not resumed", code);
        transport_release(&req, 1);
    }
    free(body);
}

static void test_transport_starts_again_without_ranges(void **state)
{
    struct fixture *f = *state;
    http_server_put(f->server, "/a", span_str("0123456789"));
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_TRUNCATE, .at = 4});
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_IGNORE_RANGE});
    struct transport_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_OK);
    assert_body(&req, "0123456789");
    assert_int_equal(req.code, 200);
    transport_release(&req, 1);
}

/* ---- servers that break the rules ------------------------------------------------------------------------- */

static void test_transport_validates_ranges(void **state)
{
    struct fixture *f = *state;
    http_server_put(f->server, "/a", span_str("0123456789"));
    static const struct {
        struct http_act act;
        enum dp_status status;
    } cases[] = {
        {{.kind = HTTP_ACT_SHIFT, .at = 1}, DP_IO},
        {{.kind = HTTP_ACT_IGNORE_RANGE}, DP_UNSUPPORTED},
        {{.kind = HTTP_ACT_RAW, .text = "HTTP/1.1 206 P\r\nContent-Length: 3\r\n\r\n234"}, DP_IO},
        {{.kind = HTTP_ACT_RAW,
          .text = "HTTP/1.1 206 P\r\nContent-Length: 3\r\nContent-Range: bytes 2-4/*\r\n\r\n234"},
         DP_IO},
        {{.kind = HTTP_ACT_RAW,
          .text = "HTTP/1.1 206 P\r\nContent-Length: 2\r\nContent-Range: bytes 2-4/10\r\n\r\n23"},
         DP_IO},
        {{.kind = HTTP_ACT_RAW,
          .text = "HTTP/1.1 206 P\r\nContent-Length: 2\r\nContent-Range: bytes 2-3/10\r\n\r\n23"},
         DP_IO}, /* shorter than asked for, although the object has more */
        {{.kind = HTTP_ACT_RAW,
          .text = "HTTP/1.1 206 P\r\nContent-Length: 4\r\nContent-Range: bytes 2-5/10\r\n\r\n2345"},
         DP_IO},
        {{.kind = HTTP_ACT_RAW,
          .text =
              "HTTP/1.1 206 P\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Length: 2\r\n\r\n--"},
         DP_IO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        http_server_reset(f->server);
        http_server_script(f->server, cases[i].act);
        struct transport_request req = get(f, "/a");
        req.ranged = true;
        req.offset = 2;
        req.len = 3;
        if (run(f, &req) != cases[i].status)
            fail_msg("case %zu: %d %s", i, req.status, req.error.message);
        assert_int_equal(http_server_count(f->server), 1);
        assert_null(req.bytes.block);
    }
    /* A 206 in answer to a request without a range. */
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_RAW,
                                                    .text = "HTTP/1.1 206 P\r\nContent-Length: 3\r\n"
                                                            "Content-Range: bytes 0-2/10\r\n\r\n012"});
    struct transport_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_IO);
}

static void test_transport_takes_a_whole_object_for_its_range(void **state)
{
    struct fixture *f = *state;
    http_server_put(f->server, "/a", span_str("0123456789"));
    static const enum http_act_kind kinds[] = {HTTP_ACT_IGNORE_RANGE, HTTP_ACT_SERVE};
    for (size_t i = 0; i < 2; i++)
        for (int64_t len = 10; len < 12; len++) {
            http_server_script(f->server, (struct http_act){.kind = kinds[i]});
            struct transport_request req = get(f, "/a");
            req.ranged = true;
            req.len = len;
            assert_int_equal(run(f, &req), DP_OK);
            assert_body(&req, "0123456789");
            assert_int_equal(req.size, 10);
            transport_release(&req, 1);
        }
    /* A range to the end of the object. */
    struct transport_request req = get(f, "/a");
    req.ranged = true;
    req.offset = 6;
    req.len = HTTP_LEN_TO_END;
    assert_int_equal(run(f, &req), DP_OK);
    assert_body(&req, "6789");
    transport_release(&req, 1);
    /* A range behind the end. */
    req.offset = 10;
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.code, 416);
    assert_true(req.size_known);
    assert_int_equal(req.size, 10);
    transport_release(&req, 1);
}

static void test_transport_ends_endless_answers(void **state)
{
    struct fixture *f = *state;
    struct transport_request req = get(f, "/a");
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_ENDLESS});
    req.max_body = 100000;
    assert_int_equal(run(f, &req), DP_TOO_LARGE);
    assert_int_equal(http_server_count(f->server), 1);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_ENDLESS});
    req.ranged = true;
    req.len = 50;
    req.max_body = 0;
    assert_int_equal(run(f, &req), DP_UNSUPPORTED);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_HUGE_HEAD});
    assert_int_equal(run(f, &req), DP_TOO_LARGE);
    /* A Content-Length beyond the limit ends the request before the first byte. */
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_RAW,
                                                    .text = "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"});
    struct transport_request limited = get(f, "/a");
    limited.max_body = 100;
    assert_int_equal(run(f, &limited), DP_TOO_LARGE);
    assert_int_equal(f->call.cost.bytes < 400000, true);
}

static void test_transport_cuts_long_explanations(void **state)
{
    struct fixture *f = *state;
    static char text[100001];
    memset(text, 'e', sizeof text - 1);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 404, .text = text});
    struct transport_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.code, 404);
    assert_int_equal(req.bytes.span.len, 64 << 10);
    transport_release(&req, 1);
}

static void test_transport_takes_chunks(void **state)
{
    struct fixture *f = *state;
    uint8_t *body = pattern(LARGE);
    http_server_put(f->server, "/a", span_of(body, LARGE));
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_CHUNKED, .times = 2});
    struct transport_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_OK);
    assert_false(req.size_known);
    assert_int_equal(req.bytes.span.len, LARGE);
    assert_memory_equal(req.bytes.span.data, body, LARGE);
    transport_release(&req, 1);
    req.ranged = true;
    req.offset = 5;
    req.len = 200000;
    assert_int_equal(run(f, &req), DP_OK);
    assert_memory_equal(req.bytes.span.data, body + 5, 200000);
    transport_release(&req, 1);
    free(body);
}

static void test_transport_refuses_answers_that_are_not_http(void **state)
{
    struct fixture *f = *state;
    static const char *const garbage[] = {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 abc OK\r\n\r\n",
                                          "<html>hello</html>", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"};
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        http_server_reset(f->server);
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_RAW, .text = garbage[i]});
        struct transport_request req = get(f, "/a");
        if (run(f, &req) != DP_IO)
            fail_msg("case %zu: %d %s", i, req.status, req.error.message);
        assert_int_equal(http_server_count(f->server), 1);
    }
}

static void test_transport_ends_stalled_answers(void **state)
{
    struct fixture *f = *state;
    struct transport_options options = QUICK;
    options.stall_ms = 250;
    options.stall_bytes = 1000;
    open_transport(f, &options);
    uint8_t *body = pattern(LARGE);
    http_server_put(f->server, "/a", span_of(body, LARGE));
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SILENT});
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_DRIP, .at = 100000});
    struct transport_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.bytes.span.len, LARGE);
    assert_memory_equal(req.bytes.span.data, body, LARGE);
    assert_int_equal(http_server_unused(f->server), 0);
    /* the read was resumed */
    assert_non_null(strcasestr(http_server_seen(f->server, 2).head, "range: bytes=1000"));
    transport_release(&req, 1);
    free(body);
}

/* ---- cancelling ------------------------------------------------------------------------------------------- */

struct canceller {
    _Atomic bool flag;
    struct http_server *server;
    unsigned count;
};

static void *cancel_when_asked(void *context)
{
    struct canceller *c = context;
    while (http_server_count(c->server) < c->count)
        sched_yield();
    atomic_store(&c->flag, true);
    return NULL;
}

/* Runs a round, and cancels it when the server has received `count` requests. */
static void run_cancelled(struct fixture *f, struct transport_request *reqs, size_t n, unsigned count)
{
    struct canceller canceller = {.server = f->server, .count = count};
    pthread_t thread;
    f->call.cancelled = &canceller.flag;
    assert_int_equal(pthread_create(&thread, NULL, cancel_when_asked, &canceller), 0);
    assert_int_not_equal(transport_run(&f->call, f->transport, reqs, n), DP_OK);
    pthread_join(thread, NULL);
    f->call.cancelled = NULL;
}

/* ---- writes ----------------------------------------------------------------------------------------------- */

static const struct transport_header IF_ABSENT = {.name = {(const uint8_t *)"If-None-Match", 13},
                                                  .value = {(const uint8_t *)"*", 1}};

static void test_transport_writes(void **state)
{
    struct fixture *f = *state;
    struct transport_request req = put(f, "/new", "content");
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.code, 200);
    assert_false(req.maybe_landed);
    assert_true(span_equal_str(req.etag, http_server_etag(f->server, "/new")));
    struct http_seen seen = http_server_seen(f->server, 0);
    assert_string_equal(seen.method, "PUT");
    assert_int_equal(seen.body_len, 7);
    assert_null(strcasestr(seen.head, "expect:"));
    req = put(f, "/empty", "");
    assert_int_equal(run(f, &req), DP_OK);
    assert_non_null(strcasestr(http_server_seen(f->server, 1).head, "content-length: 0"));
    req = get(f, "/new");
    req.method = HTTP_HEAD;
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.size, 7);
    req.method = HTTP_DELETE;
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.code, 204);
    assert_false(http_server_has(f->server, "/new"));
    req = put(f, "/post", "a=b");
    req.method = HTTP_POST;
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.code, 405);
    assert_int_equal(http_server_seen(f->server, 4).body_len, 3);
    assert_null(strcasestr(http_server_seen(f->server, 4).head, "content-type"));
    transport_release(&req, 1);
}

/* A large conditional put asks before it sends the body. Some proxies refuse the question itself; then the put goes
 * without it. */
static void test_transport_puts_where_nobody_may_ask_first(void **state)
{
    struct fixture *f = *state;
    uint8_t *body = pattern(LARGE);
    const enum http_act_kind kinds[] = {HTTP_ACT_REFUSE, HTTP_ACT_STATUS};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct transport_request req = put(f, i ? "/b" : "/a", "");
        req.body = span_of(body, LARGE);
        req.headers = &IF_ABSENT;
        req.header_count = 1;
        req.once = true;
        http_server_reset(f->server);
        http_server_script(
            f->server,
            (struct http_act){.kind = kinds[i], .code = 417, .match = "Expect: 100-continue", .times = 99});
        if (run(f, &req) != DP_OK)
            fail_msg("%s", req.error.message);
        assert_int_equal(req.code, 200);
        assert_false(req.maybe_landed);
        assert_int_equal(http_server_count(f->server), 2);
        assert_null(strcasestr(http_server_seen(f->server, 1).head, "expect:"));
        assert_int_equal(http_server_seen(f->server, 1).body_len, LARGE);
        transport_release(&req, 1);
    }
    free(body);
}

static void test_transport_retries_plain_puts(void **state)
{
    struct fixture *f = *state;
    uint8_t *body = pattern(LARGE);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 500});
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_LOSE});
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_DROP});
    struct transport_request req = put(f, "/a", "");
    req.body = span_of(body, LARGE);
    assert_int_equal(run(f, &req), DP_OK);
    assert_true(req.maybe_landed);
    assert_int_equal(http_server_count(f->server), 4);
    assert_int_equal(http_server_seen(f->server, 3).body_len, LARGE);
    assert_true(http_server_has(f->server, "/a"));
    free(body);
}

/* The answer to a conditional put is lost. Its second try meets the first try's object. */
static void test_transport_tells_that_a_write_may_have_landed(void **state)
{
    struct fixture *f = *state;
    struct transport_request req = put(f, "/a", "mine");
    req.headers = &IF_ABSENT;
    req.header_count = 1;
    req.once = true;
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_LOSE});
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.code, 412);
    assert_true(req.maybe_landed);
    transport_release(&req, 1);
    /* Without a lost answer, the object is another writer's. */
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.code, 412);
    assert_false(req.maybe_landed);
    transport_release(&req, 1);
    /* A throttled try did nothing. */
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 429});
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.code, 412);
    assert_false(req.maybe_landed);
    transport_release(&req, 1);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503});
    assert_int_equal(run(f, &req), DP_OK);
    assert_true(req.maybe_landed);
    transport_release(&req, 1);
}

/* libcurl repeats a request by itself when the server has closed the reused connection. The transport must
 * notice when libcurl has repeated a put. */
static void test_transport_notices_a_put_sent_twice(void **state)
{
    struct fixture *f = *state;
    http_server_put(f->server, "/other", span_str("x"));
    struct transport_request warm = get(f, "/other");
    assert_int_equal(run(f, &warm), DP_OK); /* leaves a connection to reuse */
    transport_release(&warm, 1);
    struct transport_request req = put(f, "/a", "mine");
    req.headers = &IF_ABSENT;
    req.header_count = 1;
    req.once = true;
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_LOSE});
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.code, 412);
    assert_true(req.maybe_landed);
    assert_int_equal(http_server_seen(f->server, 1).connection, 1);
    assert_int_equal(http_server_count(f->server), 3);
    assert_int_equal(req.sent, 2);
    transport_release(&req, 1);
}

static void test_transport_unknown_outcomes(void **state)
{
    struct fixture *f = *state;
    struct transport_request req = put(f, "/a", "mine");
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_DROP, .times = 100});
    assert_int_equal(run(f, &req), DP_UNKNOWN);
    assert_true(req.maybe_landed);
    assert_int_equal(http_server_count(f->server), QUICK.tries);
    http_server_reset(f->server);
    /* The server refuses each try, so it is certain that nothing was written. */
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 429, .times = 100});
    assert_int_equal(run(f, &req), DP_UNAVAILABLE);
    http_server_reset(f->server);
    /* The call is cancelled while it waits for the answer. */
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SILENT});
    run_cancelled(f, &req, 1, 1);
    assert_int_equal(req.status, DP_UNKNOWN);
}

/* ---- calls that end -------------------------------------------------------------------------------------- */

static enum http_verdict cancel_call(struct call *call, struct transport_request *req)
{
    (void)call;
    atomic_store((_Atomic bool *)req->ctx, true);
    return HTTP_AS_USUAL;
}

/* When a round is broken off, the requests that have ended keep their bodies. */
static void test_transport_keeps_finished_requests_of_a_broken_round(void **state)
{
    struct fixture *f = *state;
    _Atomic bool cancelled = false;
    http_server_put(f->server, "/a", span_str("hello"));
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SILENT, .match = "/silent"});
    f->call.cancelled = &cancelled;
    struct transport_request reqs[2] = {get(f, "/a"), get(f, "/silent")};
    reqs[0].inspect = cancel_call;
    reqs[0].ctx = &cancelled;
    assert_int_equal(transport_run(&f->call, f->transport, reqs, 2), DP_CANCELLED);
    assert_int_equal(reqs[0].status, DP_OK);
    assert_body(&reqs[0], "hello");
    assert_int_equal(reqs[1].status, DP_CANCELLED);
    transport_release(reqs, 2);
}

static enum http_verdict cancel_and_retry(struct call *call, struct transport_request *req)
{
    cancel_call(call, req);
    return HTTP_RETRY;
}

static enum http_verdict cancel_and_retry_once(struct call *call, struct transport_request *req)
{
    cancel_call(call, req);
    return HTTP_RETRY_ONCE;
}

/* A call that ends while its answer is inspected makes no other try. */
static void test_transport_ends_between_tries(void **state)
{
    struct fixture *f = *state;
    http_server_put(f->server, "/a", span_str("hello"));
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SILENT, .match = "/silent", .times = 2});
    for (int once = 0; once < 2; once++) {
        _Atomic bool cancelled = false;
        f->call.cancelled = &cancelled;
        struct transport_request reqs[2] = {get(f, "/a"), get(f, "/silent")};
        reqs[0].inspect = once ? cancel_and_retry_once : cancel_and_retry;
        reqs[0].ctx = &cancelled;
        assert_int_equal(transport_run(&f->call, f->transport, reqs, 2), DP_CANCELLED);
        assert_int_equal(reqs[0].status, DP_CANCELLED);
        assert_int_equal(reqs[1].status, DP_CANCELLED);
        assert_null(reqs[0].bytes.block);
    }
}

static void test_transport_honours_the_deadline(void **state)
{
    struct fixture *f = *state;
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SILENT});
    call_limit_ms(&f->call, 50);
    struct transport_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_DEADLINE);
    /* A deadline that has already passed. */
    call_init(&f->call, &f->arena);
    call_limit_ms(&f->call, -1);
    unsigned count = http_server_count(f->server);
    assert_int_equal(run(f, &req), DP_DEADLINE);
    assert_int_equal(http_server_count(f->server), count);
}

static void test_transport_can_be_cancelled(void **state)
{
    struct fixture *f = *state;
    enum { N = 20 }; /* more than are sent at once */
    static struct transport_request reqs[N];
    for (size_t i = 0; i < N; i++)
        reqs[i] = get(f, "/a");
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SILENT, .times = N});
    run_cancelled(f, reqs, N, 8);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(reqs[i].status, DP_CANCELLED);
    assert_int_equal(http_server_count(f->server), 8);
    /* The transport still works. */
    http_server_reset(f->server);
    http_server_put(f->server, "/a", span_str("hello"));
    struct transport_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_OK);
    transport_release(&req, 1);
}

/* ---- prepare and inspect ---------------------------------------------------------------------------------- */

struct signer {
    struct fixture *f;
    unsigned prepared, inspected;
    bool moves;                /* the second try goes to /moved */
    enum http_verdict verdict; /* for answers with "<Error>" in them */
    enum dp_status fails;
};

static enum dp_status sign(struct call *call, struct transport_request *req, struct http_try *attempt)
{
    struct signer *s = req->ctx;
    char date[32];
    if (s->fails != DP_OK)
        return call_fail(call, s->fails, "no credentials");
    snprintf(date, sizeof date, "date-%u", ++s->prepared);
    enum dp_status status = http_try_header(attempt, "x-date", span_str(date), &call->error);
    if (status == DP_OK)
        status = http_try_header(attempt, "X-Kind", span_str("prepared"), &call->error);
    if (status == DP_OK && s->moves && s->prepared == 2)
        status = http_try_url(attempt, span_str(http_server_url(s->f->server, "/moved")), &call->error);
    return status;
}

static enum http_verdict look_inside(struct call *call, struct transport_request *req)
{
    struct signer *s = req->ctx;
    (void)call;
    s->inspected++;
    return span_starts_with(req->bytes.span, span_str("<Error>")) ? s->verdict : HTTP_AS_USUAL;
}

static void test_transport_prepares_each_try(void **state)
{
    struct fixture *f = *state;
    struct signer s = {.f = f, .moves = true};
    const struct transport_header headers[] = {{span_str("x-kind"), span_str("plain")},
                                               {span_str("x-kept"), span_str("yes")},
                                               {span_str("x-empty"), span_str("")}};
    http_server_put(f->server, "/moved", span_str("here"));
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503});
    struct transport_request req = get(f, "/a");
    req.prepare = sign;
    req.ctx = &s;
    req.headers = headers;
    req.header_count = 3;
    assert_int_equal(run(f, &req), DP_OK);
    assert_body(&req, "here");
    struct http_seen first = http_server_seen(f->server, 0), second = http_server_seen(f->server, 1);
    assert_non_null(strstr(first.head, "x-date: date-1\r\n"));
    assert_non_null(strstr(second.head, "x-date: date-2\r\n"));
    assert_non_null(strstr(first.head, "X-Kind: prepared\r\n"));
    assert_null(strstr(first.head, "plain"));
    assert_non_null(strstr(first.head, "x-kept: yes\r\n"));
    assert_non_null(strstr(first.head, "x-empty:"));
    assert_string_equal(second.target, "/moved");
    transport_release(&req, 1);
    s.fails = DP_DENIED;
    assert_int_equal(run(f, &req), DP_DENIED);
    assert_string_equal(req.error.message, "no credentials");
    assert_int_equal(http_server_count(f->server), 2);
}

static void test_transport_refuses_headers_with_line_ends(void **state)
{
    struct fixture *f = *state;
    const struct transport_header header = {span_str("x-a"), span_str("b\r\nx-injected: c")};
    struct transport_request req = get(f, "/a");
    req.headers = &header;
    req.header_count = 1;
    assert_int_equal(run(f, &req), DP_INVALID);
    assert_int_equal(http_server_count(f->server), 0);
}

/* The body of a 200 may hold an error. */
static void test_transport_inspects_answers(void **state)
{
    struct fixture *f = *state;
    struct signer s = {.f = f, .verdict = HTTP_RETRY};
    const struct http_act error = {.kind = HTTP_ACT_STATUS, .code = 200, .text = "<Error>InternalError</Error>"};
    http_server_put(f->server, "/a", span_str("hello"));
    http_server_script(f->server, error);
    struct transport_request req = get(f, "/a");
    req.inspect = look_inside;
    req.ctx = &s;
    assert_int_equal(run(f, &req), DP_OK);
    assert_body(&req, "hello");
    assert_int_equal(s.inspected, 2);
    transport_release(&req, 1);
    /* HTTP_RETRY_ONCE makes only one more try. */
    s.verdict = HTTP_RETRY_ONCE;
    s.inspected = 0;
    http_server_script(f->server, error);
    http_server_script(f->server, error);
    assert_int_equal(run(f, &req), DP_OK);
    assert_body(&req, "<Error>InternalError</Error>");
    assert_int_equal(s.inspected, 2);
    transport_release(&req, 1);
    /* HTTP_FINAL ends a 503, which is usually retried. */
    s.verdict = HTTP_FINAL;
    struct http_act final = error;
    final.code = 503;
    http_server_reset(f->server);
    http_server_script(f->server, final);
    assert_int_equal(run(f, &req), DP_OK);
    assert_int_equal(req.code, 503);
    assert_int_equal(http_server_count(f->server), 1);
    transport_release(&req, 1);
    /* A write whose 200 holds an error may have been carried out. */
    s.verdict = HTTP_RETRY;
    http_server_reset(f->server);
    http_server_script(f->server, error);
    struct transport_request write = put(f, "/w", "x");
    write.inspect = look_inside;
    write.ctx = &s;
    assert_int_equal(run(f, &write), DP_OK);
    assert_true(write.maybe_landed);
    assert_int_equal(http_server_count(f->server), 2);
}

/* ---- hedges ----------------------------------------------------------------------------------------------- */

/* Shows the transport `n` quick answers. */
static void see_answers(struct fixture *f, size_t n)
{
    struct transport_request *reqs = calloc(n, sizeof *reqs);
    assert_non_null(reqs);
    for (size_t i = 0; i < n; i++)
        reqs[i] = get(f, "/a");
    assert_int_equal(transport_run(&f->call, f->transport, reqs, n), DP_OK);
    transport_release(reqs, n);
    free(reqs);
    http_server_reset(f->server);
    f->call.cost = (struct call_cost){0};
}

static const struct transport_options HEDGING = {
    .per_host = 128, .retry_base_ms = 1, .retry_cap_ms = 2, .hedge_floor_ms = 1, .hedge_after = 64};

static void test_transport_sends_a_slow_get_again(void **state)
{
    struct fixture *f = *state;
    open_transport(f, &HEDGING);
    http_server_put(f->server, "/a", span_str("hello"));
    http_server_put(f->server, "/slow", span_str("0123456789"));
    see_answers(f, 64);
    struct signer s = {.f = f};
    struct metric_registry r;
    char into[10];
    metric_registry_init(&r);
    assert_int_equal(transport_add_metrics(f->transport, &r, &f->call.error), DP_OK);
    for (int own = 0; own < 2; own++) {
        http_server_reset(f->server);
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SILENT});
        struct transport_request req = get(f, "/slow");
        req.ranged = true;
        req.offset = 2;
        req.len = 5;
        req.into = own ? (uint8_t *)into : NULL;
        req.into_len = own ? sizeof into : 0;
        req.prepare = own ? NULL : sign; /* signs each try anew */
        req.ctx = &s;
        assert_int_equal(run(f, &req), DP_OK); /* without a hedge, the request would stall */
        assert_int_equal(req.sent, 2);
        assert_int_equal(req.body_len, 5);
        assert_int_equal(http_server_count(f->server), 2);
        if (own)
            assert_memory_equal(into, "23456", 5);
        else
            assert_body(&req, "23456");
        transport_release(&req, 1);
    }
    assert_int_equal(s.prepared, 2);
    assert_int_equal(f->call.cost.requests, 4);
    assert_int_equal(metric(&r, "dipper_store_http_hedges_total", ""), 2);
    assert_int_equal(metric(&r, "dipper_store_http_retries_total", ""), 0);
    metric_registry_deinit(&r);
    /* Writes are never hedged. */
    http_server_reset(f->server);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SILENT});
    struct transport_request write = put(f, "/w", "x");
    run_cancelled(f, &write, 1, 1);
    assert_int_equal(write.sent, 1);
}

/* The first try may still answer first, and a failed hedge does not end it. */
static void test_transport_a_hedge_may_fail(void **state)
{
    struct fixture *f = *state;
    struct transport_options options = HEDGING;
    options.stall_ms = 1500; /* longer than a busy machine lets any answer wait */
    open_transport(f, &options);
    http_server_put(f->server, "/a", span_str("hello"));
    see_answers(f, 64);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SILENT});
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503});
    struct transport_request req = get(f, "/a");
    assert_int_equal(run(f, &req), DP_OK);
    assert_body(&req, "hello");
    assert_int_equal(http_server_count(f->server), 3); /* the silent try, its hedge, and the next try */
    transport_release(&req, 1);
}

static void test_transport_hedges_are_few(void **state)
{
    struct fixture *f = *state;
    enum { N = 40, SAVED = 10 };
    static struct transport_request reqs[N];
    struct transport_options options = HEDGING;
    options.hedge_after = 256; /* sends no hedge, and spends no allowance, while it learns */
    open_transport(f, &options);
    http_server_put(f->server, "/a", span_str("hello"));
    see_answers(f, 256);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SILENT, .times = 2 * N});
    for (size_t i = 0; i < N; i++)
        reqs[i] = get(f, "/a");
    run_cancelled(f, reqs, N, N + SAVED);
    assert_int_equal(f->call.cost.requests, N + SAVED);
    assert_int_equal(http_server_count(f->server), N + SAVED);
    http_server_reset(f->server);
    options.no_hedges = true;
    open_transport(f, &options);
    see_answers(f, 256);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SILENT});
    run_cancelled(f, reqs, 1, 1);
    assert_int_equal(reqs[0].sent, 1);
}

/* ---- TLS -------------------------------------------------------------------------------------------------- */

static void test_transport_checks_certificates(void **state)
{
    struct fixture *f = *state;
    http_server_stop(f->server);
    f->server = http_server_start(&(struct http_server_options){.tls = true});
    http_server_put(f->server, "/a", span_str("hello"));
    struct transport_request req = get(f, "/a?signature=secret");
    assert_int_equal(run(f, &req), DP_IO);
    assert_int_equal(req.sent, 0);
    assert_non_null(strstr(req.error.message, "certificate"));
    assert_null(strstr(req.error.message, "secret"));
    struct transport_options options = QUICK;
    options.trust.file = http_server_certificate(f->server);
    open_transport(f, &options);
    assert_int_equal(run(f, &req), DP_OK);
    assert_body(&req, "hello");
    transport_release(&req, 1);
    /* The certificate names 127.0.0.1 and localhost, but not this address. */
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.2%s", strrchr(http_server_url(f->server, "/a"), ':'));
    req.url = span_str(url);
    assert_true(run(f, &req) == DP_IO || req.status == DP_UNAVAILABLE);
}

/* ---- where requests go ------------------------------------------------------------------------------------ */

static void test_transport_public_addresses_only(void **state)
{
    struct fixture *f = *state;
    struct transport_options options = QUICK;
    options.public_only = true;
    open_transport(f, &options);
    const char *port = strrchr(http_server_url(f->server, "/a"), ':');
    static const char *const hosts[] = {"127.0.0.1",          "localhost",  "[::1]",
                                        "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"};
    setenv("http_proxy", http_server_url(f->server, ""), 1); /* a proxy must not reach such a host either */
    setenv("no_proxy", "", 1);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        char url[600];
        snprintf(url, sizeof url, "http://%s%s", hosts[i], port);
        struct transport_request req = {.method = HTTP_GET, .url = span_str(url)};
        if (run(f, &req) != DP_DENIED)
            fail_msg("%s: %s", hosts[i], req.error.message);
        assert_non_null(strstr(req.error.message, "public"));
    }
    unsetenv("http_proxy");
    setenv("no_proxy", "*", 1);
    assert_int_equal(http_server_connections(f->server), 0);
}

static void test_transport_goes_through_a_proxy(void **state)
{
    struct fixture *f = *state;
    setenv("http_proxy", http_server_url(f->server, ""), 1);
    setenv("no_proxy", "", 1);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 200, .text = "proxied"});
    struct transport_request req = {.method = HTTP_GET, .url = span_str("http://bucket.invalid/a?b")};
    assert_int_equal(run(f, &req), DP_OK);
    assert_body(&req, "proxied");
    assert_string_equal(http_server_seen(f->server, 0).target, "http://bucket.invalid/a?b");
    transport_release(&req, 1);
    unsetenv("http_proxy");
    setenv("no_proxy", "*", 1);
}

/* ---- memory ----------------------------------------------------------------------------------------------- */

/* Runs each kind of request once. Returns the first failure, or DP_OK. */
static enum dp_status walk(struct fixture *f)
{
    struct transport *transport;
    struct arena arena;
    struct call call;
    arena_init(&arena, 16 << 20);
    call_init(&call, &arena);
    enum dp_status status = transport_new(&QUICK, &transport, &call.error);
    if (status == DP_OK) {
        struct transport_request reqs[4] = {get(f, "/a"), get(f, "/a"), put(f, "/b", "x"), get(f, "/none")};
        reqs[1].ranged = true;
        reqs[1].len = 50000;
        status = transport_run(&call, transport, reqs, 4);
        transport_release(reqs, 4);
        transport_free(transport);
    }
    arena_deinit(&arena);
    return status;
}

static void test_transport_survives_failed_allocations(void **state)
{
    struct fixture *f = *state;
    uint8_t *body = pattern(LARGE);
    http_server_put(f->server, "/a", span_of(body, LARGE));
    free(body);
    size_t n = 1;
    for (;; n = test_alloc_next(n)) {
        http_server_reset(f->server);
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_CHUNKED});
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = walk(f);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(test_alloc_live(), before);
        /* An allocation of the put may fail after it was sent: DP_UNKNOWN. */
        if (fired ? status != DP_NOMEM && status != DP_UNKNOWN : status != DP_OK)
            fail_msg("allocation %zu: %s", n, dp_status_name(status));
        if (!fired)
            break;
    }
    assert_true(n > 10);
}

/* ---- many rounds at once ---------------------------------------------------------------------------------- */

static void *run_rounds(void *context)
{
    struct fixture *f = context;
    struct arena arena;
    struct call call;
    arena_init(&arena, 16 << 20);
    for (int i = 0; i < 10; i++) {
        struct transport_request reqs[5];
        call_init(&call, &arena);
        for (size_t k = 0; k < 5; k++)
            reqs[k] = get(f, "/a");
        assert_int_equal(transport_run(&call, f->transport, reqs, 5), DP_OK);
        for (size_t k = 0; k < 5; k++)
            assert_body(&reqs[k], "hello");
        transport_release(reqs, 5);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    return NULL;
}

static void test_transport_many_threads(void **state)
{
    struct fixture *f = *state;
    enum { N = 8 };
    pthread_t threads[N];
    http_server_put(f->server, "/a", span_str("hello"));
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503, .times = 20});
    for (size_t i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_rounds, f), 0);
    for (size_t i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(http_server_count(f->server), N * 50 + 20);
    assert_true(http_server_connections(f->server) <= 8);
}

/* The answers to first tries and to their hedges come at the same time. */
static void test_transport_many_threads_with_hedges(void **state)
{
    struct fixture *f = *state;
    enum { N = 8 };
    pthread_t threads[N];
    struct transport_options options = HEDGING;
    options.per_host = 16;
    options.hedge_after = 32;
    open_transport(f, &options);
    http_server_put(f->server, "/a", span_str("hello"));
    for (size_t i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_rounds, f), 0);
    for (size_t i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    assert_true(http_server_count(f->server) >= N * 50);
}

int main(void)
{
    /* The tests reach their servers without a proxy. */
    setenv("no_proxy", "*", 1);
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_transport_gets_an_object),
        CASE(test_transport_runs_a_round_in_parallel),
        CASE(test_transport_bounds_and_reuses_connections),
        CASE(test_transport_retries_transient_errors),
        CASE(test_transport_counts_requests_and_bytes),
        CASE(test_transport_does_not_retry_permanent_errors),
        CASE(test_transport_gives_up_after_its_tries),
        CASE(test_transport_stops_trying_after_a_time),
        CASE(test_transport_honours_retry_after_within_bounds),
        CASE(test_transport_retries_broken_connections),
        CASE(test_transport_no_server),
        CASE(test_transport_writes_wait_for_a_missing_store),
        CASE(test_transport_refuses_urls),
        CASE(test_transport_resumes_where_it_broke_off),
        CASE(test_transport_resumes_into_the_callers_memory),
        CASE(test_transport_never_mixes_versions),
        CASE(test_transport_pins_where_the_server_ignores_them),
        CASE(test_transport_never_takes_an_error_for_the_rest),
        CASE(test_transport_starts_again_without_ranges),
        CASE(test_transport_validates_ranges),
        CASE(test_transport_takes_a_whole_object_for_its_range),
        CASE(test_transport_ends_endless_answers),
        CASE(test_transport_cuts_long_explanations),
        CASE(test_transport_takes_chunks),
        CASE(test_transport_refuses_answers_that_are_not_http),
        CASE(test_transport_ends_stalled_answers),
        CASE(test_transport_writes),
        CASE(test_transport_retries_plain_puts),
        CASE(test_transport_puts_where_nobody_may_ask_first),
        CASE(test_transport_tells_that_a_write_may_have_landed),
        CASE(test_transport_notices_a_put_sent_twice),
        CASE(test_transport_unknown_outcomes),
        CASE(test_transport_keeps_finished_requests_of_a_broken_round),
        CASE(test_transport_ends_between_tries),
        CASE(test_transport_honours_the_deadline),
        CASE(test_transport_can_be_cancelled),
        CASE(test_transport_prepares_each_try),
        CASE(test_transport_refuses_headers_with_line_ends),
        CASE(test_transport_inspects_answers),
        CASE(test_transport_sends_a_slow_get_again),
        CASE(test_transport_a_hedge_may_fail),
        CASE(test_transport_hedges_are_few),
        CASE(test_transport_checks_certificates),
        CASE(test_transport_public_addresses_only),
        CASE(test_transport_goes_through_a_proxy),
        CASE(test_transport_survives_failed_allocations),
        CASE(test_transport_many_threads),
        CASE(test_transport_many_threads_with_hedges),
    };
    return test_run(tests);
}
