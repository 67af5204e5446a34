/* test_http_store.c: plain and presigned URLs as a read-only store, against the scripted server. */
#include "remote_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/http/fetch.h"

static void open_root(struct remote_fixture *f, const char *path, struct store_options options)
{
    if (remote_open(f, http_server_url(f->server, path), options) != DP_OK)
        fail_msg("%s", f->call.error.message);
    f->call.cost = (struct call_cost){0};
}

/* Starts the server anew, with two objects, and opens its root. */
static void serve(struct remote_fixture *f, struct http_server_options options)
{
    http_server_stop(f->server);
    f->server = http_server_start(&options);
    http_server_put(f->server, "/data/a", span_str("0123456789"));
    http_server_put(f->server, "/data/empty", span_str(""));
    open_root(f, "/data", (struct store_options){0});
}

static int set_up(void **state)
{
    remote_set_up(state);
    serve(*state, (struct http_server_options){0});
    return 0;
}

static struct store_read_req range(const char *key, uint64_t offset, int64_t len)
{
    return (struct store_read_req){.key = span_str(key), .offset = offset, .len = len};
}

static enum dp_status read_one(struct remote_fixture *f, struct store_read_req *req)
{
    return store_read(&f->call, f->store, req, 1);
}

static void expect(struct store_read_req *req, const char *text)
{
    assert_int_equal(req->status, DP_OK);
    if (!span_equal_str(req->bytes.span, text))
        fail_msg("\"%.*s\" instead of \"%s\"", SPAN_FMT(req->bytes.span), text);
    store_read_release(req, 1);
}

/* ---- reading ---------------------------------------------------------------------------------------------- */

static void test_http_store_reads(void **state)
{
    struct remote_fixture *f = *state;
    struct store_read_req reqs[6] = {range("a", 0, 10),
                                     range("a", 3, 4),
                                     range("a", 7, STORE_TO_END),
                                     range("a", 10, 0),
                                     range("empty", 0, STORE_TO_END),
                                     range("empty", 0, 0)};
    assert_int_equal(store_read(&f->call, f->store, reqs, 6), DP_OK);
    static const char *const texts[] = {"0123456789", "3456", "789", "", "", ""};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(reqs[i].size, i < 4 ? 10 : 0);
        assert_int_not_equal(reqs[i].version.len, 0);
        assert_true(store_version_equal(&reqs[i].version, &reqs[i < 4 ? 0 : 4].version));
        expect(&reqs[i], texts[i]);
    }
}

/* Answers the next request with the object's bytes and these header lines. */
static void answer_dated(struct remote_fixture *f, int code, const char *lines)
{
    http_server_script(
        f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = code, .lines = lines, .text = "0123456789"});
}

static void test_http_store_answers_have_dates(void **state)
{
    struct remote_fixture *f = *state;
    static const struct {
        int code;
        const char *lines;
        enum dp_status status;
        int64_t date_ms;
    } cases[] = {
        {200, "ETag: \"a\"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n", DP_OK, 784111777000},
        {200, "ETag: \"a\"\r\nDate: Sun Nov  6 08:49:38 1994\r\n", DP_OK, 784111778000},
        {404, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", DP_NOT_FOUND, 784111777000},
        {200, "ETag: \"a\"\r\n", DP_OK, 0},
        {200, "ETag: \"a\"\r\nDate: yesterday\r\n", DP_OK, 0},
        {200, "ETag: \"a\"\r\nDate: Wed, 31 Dec 1969 23:59:59 GMT\r\n", DP_OK, 0},
        /* a cache on the way answered */
        {200, "ETag: \"a\"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nAge: 0\r\n", DP_OK, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct store_read_req req = range("a", 0, STORE_TO_END);
        answer_dated(f, cases[i].code, cases[i].lines);
        assert_int_equal(read_one(f, &req), cases[i].status);
        assert_int_equal(req.date_ms, cases[i].date_ms);
        store_read_release(&req, 1);
    }
    struct store_version version = {0};
    assert_true(http_version_of(span_str("\"a\""), span_of(NULL, 0), false, 0, &version));
    struct store_read_req same = range("a", 0, STORE_TO_END);
    same.pinned = &version;
    same.if_changed = true;
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_RAW,
                                                    .text = "HTTP/1.1 304 Not Modified\r\n"
                                                            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"});
    assert_int_equal(read_one(f, &same), DP_OK);
    assert_true(same.unchanged);
    assert_int_equal(same.date_ms, 784111777000);
}

static void test_http_store_split_range_has_the_earliest_date(void **state)
{
    struct remote_fixture *f = *state;
    open_root(f, "/data", (struct store_options){.split_at = 5, .merge_gap = STORE_NEVER});
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                    .code = 206,
                                                    .match = "bytes=0-4",
                                                    .lines = "ETag: \"a\"\r\nContent-Range: bytes 0-4/10\r\n"
                                                             "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n",
                                                    .text = "01234"});
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                    .code = 206,
                                                    .match = "bytes=5-9",
                                                    .lines = "ETag: \"a\"\r\nContent-Range: bytes 5-9/10\r\n"
                                                             "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
                                                    .text = "56789"});
    struct store_read_req req = range("a", 0, 10);
    assert_int_equal(read_one(f, &req), DP_OK);
    assert_int_equal(req.date_ms, 784111777000);
    expect(&req, "0123456789");
}

static void test_http_store_counts_what_is_sent(void **state)
{
    struct remote_fixture *f = *state;
    struct store_read_req reqs[3] = {range("a", 0, 2), range("a", 4, 2), range("a", 8, 2)};
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503, .text = "slow down"});
    assert_int_equal(store_read(&f->call, f->store, reqs, 3), DP_OK);
    assert_int_equal(f->call.cost.rounds, 1);
    assert_int_equal(f->call.cost.requests, 2); /* three ranges in one request, sent twice */
    assert_int_equal(f->call.cost.bytes, 10);   /* includes the gaps between the ranges */
    assert_int_equal(http_server_count(f->server), 2);
    store_read_release(reqs, 3);
    http_server_reset(f->server);
    open_root(f, "/data", (struct store_options){.merge_gap = STORE_NEVER, .split_at = STORE_NEVER});
    /* holds all three requests until they are there: they must be sent in parallel */
    http_server_gate(f->server, 3);
    assert_int_equal(store_read(&f->call, f->store, reqs, 3), DP_OK);
    assert_int_equal(f->call.cost.rounds, 1);
    assert_int_equal(f->call.cost.requests, 3);
    assert_int_equal(f->call.cost.bytes, 6);
    store_read_release(reqs, 3);
    http_server_reset(f->server);
    open_root(f, "/data", (struct store_options){.split_at = 3});
    http_server_gate(f->server, 4);
    struct store_read_req whole = range("a", 0, 10);
    assert_int_equal(read_one(f, &whole), DP_OK);
    assert_int_equal(f->call.cost.rounds, 1);
    assert_int_equal(f->call.cost.requests, 4);
    expect(&whole, "0123456789");
}

static void test_http_store_head_is_a_ranged_get(void **state)
{
    struct remote_fixture *f = *state;
    struct store_info info;
    assert_int_equal(store_head(&f->call, f->store, span_str("a"), &info), DP_OK);
    assert_int_equal(info.size, 10);
    assert_string_equal(http_server_seen(f->server, 0).method, "GET");
    assert_non_null(strcasestr(http_server_seen(f->server, 0).head, "range: bytes=0-0\r\n"));
    assert_int_equal(http_server_count(f->server), 1);
    struct store_version version = info.version;
    assert_int_equal(store_head(&f->call, f->store, span_str("empty"), &info), DP_OK);
    assert_int_equal(info.size, 0);
    assert_false(store_version_equal(&version, &info.version));
    assert_int_equal(store_head(&f->call, f->store, span_str("none"), &info), DP_NOT_FOUND);
    assert_non_null(strstr(f->call.error.message, "/data/none"));
}

static void test_http_store_only_reads(void **state)
{
    struct remote_fixture *f = *state;
    struct store_put put = {.key = span_str("b"), .body = span_str("x")};
    struct store_listing listing;
    struct store_upload *upload;
    assert_int_equal(store_put(&f->call, f->store, &put), DP_UNSUPPORTED);
    assert_non_null(strstr(f->call.error.message, "can only be read"));
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), false, 9, &listing),
                     DP_UNSUPPORTED);
    assert_int_equal(store_remove(&f->call, f->store, span_str("a")), DP_UNSUPPORTED);
    assert_int_equal(store_upload_begin(&f->call, f->store, span_str("b"), &upload), DP_UNSUPPORTED);
    assert_int_equal(http_server_count(f->server), 0);
    assert_int_equal(f->call.cost.requests, 0);
}

/* ---- versions --------------------------------------------------------------------------------------------- */

static const struct http_server_options KINDS[] = {{.tls = false}, {.weak = true}, {.plain = true}};

static void test_http_store_pins(void **state)
{
    struct remote_fixture *f = *state;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        serve(f, KINDS[i]);
        struct store_read_req first = range("a", 0, 5);
        assert_int_equal(read_one(f, &first), DP_OK);
        struct store_version version = first.version;
        expect(&first, "01234");
        assert_int_equal(version.token[0], i ? '~' : '"');
        struct store_read_req pinned = range("a", 5, 5);
        pinned.pinned = &version;
        assert_int_equal(read_one(f, &pinned), DP_OK);
        expect(&pinned, "56789");
        http_server_put(f->server, "/data/a", span_str("CCCCCCCCCC"));
        assert_int_equal(read_one(f, &pinned), DP_STALE);
        assert_null(pinned.bytes.block);
        assert_non_null(strstr(f->call.error.message, "a"));
        struct store_read_req fresh = range("a", 5, 5);
        assert_int_equal(read_one(f, &fresh), DP_OK);
        assert_false(store_version_equal(&fresh.version, &version));
        expect(&fresh, "CCCCC");
    }
}

static void test_http_store_if_changed(void **state)
{
    struct remote_fixture *f = *state;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        serve(f, KINDS[i]);
        struct store_info info;
        assert_int_equal(store_head(&f->call, f->store, span_str("a"), &info), DP_OK);
        struct store_read_req req = range("a", 0, STORE_TO_END);
        req.pinned = &info.version;
        req.if_changed = true;
        assert_int_equal(read_one(f, &req), DP_OK);
        assert_true(req.unchanged);
        assert_null(req.bytes.block);
        http_server_put(f->server, "/data/a", span_str("changed"));
        assert_int_equal(read_one(f, &req), DP_OK);
        assert_false(req.unchanged);
        expect(&req, "changed");
    }
}

/* The object changes between the parts of one read, or between two tries of one part. */
static void test_http_store_never_mixes(void **state)
{
    struct remote_fixture *f = *state;
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        serve(f, KINDS[i]);
        open_root(f, "/data", (struct store_options){.split_at = 4});
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_CHANGE, .match = "bytes=8-9"});
        struct store_read_req req = range("a", 0, 10);
        assert_int_equal(read_one(f, &req), DP_OK);
        expect(&req, "CCCCCCCCCC");
        serve(f, KINDS[i]);
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_TRUNCATE, .at = 3});
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_CHANGE});
        req = range("a", 0, 10);
        assert_int_equal(read_one(f, &req), DP_OK);
        expect(&req, "CCCCCCCCCC");
    }
}

static void test_http_store_needs_etag_or_last_modified(void **state)
{
    struct remote_fixture *f = *state;
    serve(f, (struct http_server_options){.plain = true, .no_modified = true});
    struct store_read_req req = range("a", 0, 5);
    assert_int_equal(read_one(f, &req), DP_UNSUPPORTED);
    assert_non_null(strstr(req.error.message, "ETag"));
    req = range("a", 0, STORE_TO_END);
    assert_int_equal(read_one(f, &req), DP_UNSUPPORTED);
    assert_null(req.bytes.block);
}

static void test_http_store_versions(void **state)
{
    (void)state;
    struct store_version v;
    char etag[140];
    snprintf(etag, sizeof etag, "\"%0*d\"", STORE_VERSION_MAX - 2, 7);
    assert_true(http_version_of(span_str(etag), span_of(NULL, 0), true, 5, &v));
    assert_true(span_equal_str(http_version_etag(&v), etag));
    snprintf(etag, sizeof etag, "\"%0*d\"", STORE_VERSION_MAX - 1, 7); /* too long for a version */
    assert_false(http_version_of(span_str(etag), span_of(NULL, 0), true, 5, &v));
    assert_true(http_version_of(span_str(etag), span_str("Sun, 06 Nov 1994 08:49:37 GMT"), true, 5, &v));
    assert_true(span_equal_str(span_of(v.token, v.len), "~Sun, 06 Nov 1994 08:49:37 GMT;5"));
    assert_int_equal(http_version_etag(&v).len, 0);
    assert_true(http_version_of(span_str("W/\"x\""), span_of(NULL, 0), true, 5, &v));
    assert_true(span_equal_str(span_of(v.token, v.len), "~W/\"x\";5"));
    assert_false(http_version_of(span_str("W/\"x\""), span_of(NULL, 0), false, 5, &v));
    assert_false(http_version_of(span_of(NULL, 0), span_of(NULL, 0), true, 5, &v));
}

/* ---- servers that misbehave ------------------------------------------------------------------------------- */

static void test_http_store_explains_errors(void **state)
{
    struct remote_fixture *f = *state;
    static const struct {
        int code;
        enum dp_status status;
        const char *says;
    } cases[] = {
        {401, DP_DENIED, "credentials"},
        {403, DP_DENIED, "expired"},
        {404, DP_NOT_FOUND, "no such object"},
        {302, DP_UNSUPPORTED, "redirect"},
        {400, DP_INVALID, "understand"},
        {503, DP_UNAVAILABLE, "503"},
        {418, DP_IO, "418"},
    };
    open_root(f, "/data?token=secret", (struct store_options){0});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        http_server_reset(f->server);
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                        .code = cases[i].code,
                                                        .lines = "Location: https://h/elsewhere?token=secret\r\n",
                                                        .text = "secret",
                                                        .times = 10});
        struct store_read_req req = range("a", 0, 5);
        assert_int_equal(read_one(f, &req), cases[i].status);
        if (!strstr(req.error.message, cases[i].says) || !strstr(req.error.message, "/data/a"))
            fail_msg("%s", req.error.message);
        assert_null(strstr(req.error.message, "secret"));
        assert_null(req.bytes.block);
    }
}

/* When a resumed read gets an error, the read ends with that error, whatever version the error page claims. */
static void test_http_store_resumes_into_errors(void **state)
{
    struct remote_fixture *f = *state;
    enum { LEN = 1000 };
    static char page[3 * LEN];
    memset(page, 'X', sizeof page - 1);
    static const struct {
        int code;
        const char *lines;
        enum dp_status status;
    } cases[] = {
        {503, "ETag: \"maintenance\"\r\n", DP_OK},
        {502, "", DP_OK},
        {403, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n", DP_DENIED},
        {403, "", DP_DENIED},
        {404, "ETag: \"page\"\r\n", DP_NOT_FOUND},
        {410, "", DP_NOT_FOUND},
        {203, "ETag: \"proxy\"\r\n", DP_TOO_LARGE}, /* the page of the 203 is longer than the range */
        {302, "ETag: \"login\"\r\nLocation: /login\r\n", DP_UNSUPPORTED},
    };
    uint8_t body[LEN];
    for (size_t i = 0; i < LEN; i++)
        body[i] = (uint8_t)('a' + i % 26);
    http_server_put(f->server, "/data/long", span_of(body, LEN));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        http_server_reset(f->server);
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_TRUNCATE, .at = 300});
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                        .code = cases[i].code,
                                                        .lines = cases[i].lines,
                                                        .text = page,
                                                        .match = "Range: bytes=300-"});
        struct store_read_req req = range("long", 0, LEN);
        if (read_one(f, &req) != cases[i].status)
            fail_msg("%d: %s: %s", cases[i].code, dp_status_name(req.status), req.error.message);
        if (req.status == DP_OK && !span_equal(req.bytes.span, span_of(body, LEN)))
            fail_msg("%d: the bytes are not the object's", cases[i].code);
        assert_int_equal(http_server_unused(f->server), 0);
        store_read_release(&req, 1);
    }
}

static void test_http_store_servers_without_ranges(void **state)
{
    struct remote_fixture *f = *state;
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_IGNORE_RANGE, .times = 3});
    struct store_read_req part = range("a", 0, 5), whole = range("a", 0, 10), longer = range("a", 0, 11);
    assert_int_equal(read_one(f, &part), DP_UNSUPPORTED);
    assert_non_null(strstr(part.error.message, "ranges"));
    assert_int_equal(read_one(f, &whole), DP_OK);
    expect(&whole, "0123456789");
    assert_int_equal(read_one(f, &longer), DP_INVALID);
    assert_int_equal(http_server_count(f->server), 3);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SHIFT, .at = 2});
    struct store_read_req shifted = range("a", 1, 5);
    assert_int_equal(read_one(f, &shifted), DP_IO);
    assert_non_null(strstr(shifted.error.message, "another range"));
}

/* MinIO's 416 does not tell the object's size, so the store asks for it. */
static void test_http_store_asks_for_sizes_that_a_416_lacks(void **state)
{
    struct remote_fixture *f = *state;
    serve(f, (struct http_server_options){.terse = true});
    struct store_read_req reqs[7] = {range("a", 10, STORE_TO_END),   range("a", 10, 0), range("a", 10, 1),
                                     range("a", 11, STORE_TO_END),   range("a", 8, 2),  range("empty", 0, 0),
                                     range("empty", 0, STORE_TO_END)};
    static const enum dp_status statuses[] = {DP_OK, DP_OK, DP_INVALID, DP_INVALID, DP_OK, DP_OK, DP_OK};
    assert_int_equal(store_read(&f->call, f->store, reqs, 7), DP_INVALID);
    for (size_t i = 0; i < 7; i++) {
        if (reqs[i].status != statuses[i])
            fail_msg("%zu: %s", i, reqs[i].error.message);
        if (reqs[i].status == DP_OK)
            assert_int_equal(reqs[i].size, i < 5 ? 10 : 0);
        assert_int_equal(reqs[i].bytes.span.len, i == 4 ? 2 : 0);
    }
    assert_non_null(strstr(reqs[2].error.message, "10 bytes"));
    store_read_release(reqs, 7);
    struct store_info info;
    assert_int_equal(store_head(&f->call, f->store, span_str("empty"), &info), DP_OK);
    assert_int_equal(info.size, 0);
}

static void test_http_store_chunks(void **state)
{
    struct remote_fixture *f = *state;
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_CHUNKED, .times = 2});
    struct store_read_req whole = range("a", 0, STORE_TO_END), part = range("a", 2, 3);
    assert_int_equal(read_one(f, &whole), DP_OK);
    assert_int_equal(whole.size, 10);
    expect(&whole, "0123456789");
    assert_int_equal(read_one(f, &part), DP_OK);
    expect(&part, "234");
}

/* ---- URLs ------------------------------------------------------------------------------------------------- */

static void test_http_store_encodes_keys(void **state)
{
    struct remote_fixture *f = *state;
    http_server_put(f->server, "/data/x/%C3%A4%20%25%3F%23+", span_str("found"));
    http_server_put(f->server, "/data/x/%C3%A4%20%25%3F%23%2B", span_str("encoded"));
    open_root(f, "/data//?token=a%20b&c", (struct store_options){0});
    struct store_read_req req = range("x/ä %?#+", 0, STORE_TO_END);
    assert_int_equal(read_one(f, &req), DP_OK);
    expect(&req, "encoded");
    assert_string_equal(http_server_seen(f->server, 0).target, "/data/x/%C3%A4%20%25%3F%23%2B?token=a%20b&c");
}

/* The body of a refusal tells an expired URL from other reasons, at each vendor. */
static void test_http_store_tells_refusals_apart(void **state)
{
    struct remote_fixture *f = *state;
    static const struct {
        int code;
        const char *body;
        enum dp_status status;
        const char *says;
        bool maybe_missing;
    } cases[] = {
        {403, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>", DP_DENIED,
         "the presigned URL has expired: make a new one (403 AccessDenied: Request has expired)", false},
        {403, "<Error><Code>AccessDenied</Code><Message>Request is not valid yet</Message></Error>", DP_DENIED,
         "the clock of the machine that made it is ahead", false},
        {403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", DP_DENIED, "the clock of the machine", false},
        {403, "<Error><Code>InvalidObjectState</Code><StorageClass>GLACIER</StorageClass></Error>", DP_DENIED,
         "the object is archived: restore it first (403 InvalidObjectState)", false},
        {403, "<Error><Code>SignatureDoesNotMatch</Code></Error>", DP_DENIED, "the URL's signature does not fit",
         false},
        {403, "<Error><Code>InvalidAccessKeyId</Code></Error>", DP_DENIED, "does not know the key that signed",
         false},
        {400,
         "<?xml version='1.0'?><Error><Code>ExpiredToken</Code><Message>The provided token has expired."
         "</Message></Error>",
         DP_INVALID, "has expired: make a new one", false},
        {403,
         "\xef\xbb\xbf<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>x</Message>"
         "<AuthenticationErrorDetail>Signature not valid in the specified time frame: Start [x]"
         "</AuthenticationErrorDetail></Error>",
         DP_DENIED, "the SAS token has expired or is not valid yet", false},
        {409, "<Error><Code>BlobArchived</Code></Error>", DP_DENIED, "the blob is archived", false},
        {404, "<Error><Code>NoSuchBucket</Code></Error>", DP_NOT_FOUND, "there is no such bucket", false},
        {403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", DP_DENIED,
         "refuses access; the object may be missing (403 AccessDenied: Access Denied)", true},
        {400, "<Error><Code>Odd</Code><Message>the \x1b[31m bell</Message></Error>", DP_INVALID,
         "does not understand the request (400 Odd: the )", false},
        {403, "<html>no</html>", DP_DENIED, "may have expired (403)", true},
    };
    open_root(f, "/data?token=secret", (struct store_options){0});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        remote_answer(f, NULL, cases[i].code, cases[i].body);
        struct store_read_req req = range("a", 0, 5);
        assert_int_equal(read_one(f, &req), cases[i].status);
        if (!strstr(req.error.message, cases[i].says) || strstr(req.error.message, "secret"))
            fail_msg("case %zu: %s", i, req.error.message);
        assert_int_equal(req.maybe_missing, cases[i].maybe_missing);
    }
}

/* The store sends a presigned URL byte for byte as it was given. */
static void test_http_store_presigned_object(void **state)
{
    struct remote_fixture *f = *state;
    const struct store_options options = {.transport = f->transport};
    struct span key;
    http_server_put(f->server, "/b//my%20index+%7e.faiss", span_str("0123456789"));
    const char *target = "/b//my%20index+%7e.faiss?X-Amz-Signature=se%2Fcret&b=%20";
    store_free(f->store);
    assert_int_equal(
        store_open_object(&f->call, span_str(http_server_url(f->server, target)), &options, &f->store, &key),
        DP_OK);
    assert_true(span_equal_str(key, "my index+~.faiss"));
    struct store_read_req req = {.key = key, .offset = 2, .len = 3};
    assert_int_equal(read_one(f, &req), DP_OK);
    expect(&req, "234");
    assert_string_equal(http_server_seen(f->server, 0).target, target);
    struct store_read_req other = range("other", 0, 1);
    assert_int_equal(read_one(f, &other), DP_NOT_FOUND);
    assert_int_equal(http_server_count(f->server), 1);
    /* A URL presigned for GET refuses HEAD, so the store sends no HEAD. */
    struct store_info info;
    assert_int_equal(store_head(&f->call, f->store, key, &info), DP_OK);
    assert_string_equal(http_server_seen(f->server, 1).method, "GET");
    store_free(f->store);
    assert_int_equal(
        store_open_object(&f->call, span_str(http_server_url(f->server, "/?id=5")), &options, &f->store, &key),
        DP_OK);
    assert_true(span_equal_str(key, "object"));
}

static void test_http_store_objects_of_other_stores(void **state)
{
    struct remote_fixture *f = *state;
    char url[600];
    struct span key;
    const char *folder = test_tmpdir();
    store_free(f->store);
    assert_int_equal(store_open(&f->call, span_str(folder), true, &f->store), DP_OK);
    struct store_put put = {.key = span_str("an index"), .body = span_str("local")};
    assert_int_equal(store_put(&f->call, f->store, &put), DP_OK);
    for (int i = 0; i < 2; i++) {
        store_free(f->store);
        snprintf(url, sizeof url, i ? "file://%s/an%%20index" : "%s/an index", folder);
        assert_int_equal(store_open_object(&f->call, span_str(url), NULL, &f->store, &key), DP_OK);
        struct store_read_req req = {.key = key, .len = STORE_TO_END};
        assert_int_equal(read_one(f, &req), DP_OK);
        expect(&req, "local");
    }
    struct store *none;
    snprintf(url, sizeof url, "%s/", folder);
    assert_int_equal(store_open_object(&f->call, span_str(url), NULL, &none, &key), DP_INVALID);
    assert_int_equal(store_open_object(&f->call, span_str("mem://name"), NULL, &none, &key), DP_INVALID);
    assert_int_equal(store_open_object(&f->call, span_str(""), NULL, &none, &key), DP_INVALID);
}

static void test_http_store_refuses_urls(void **state)
{
    struct remote_fixture *f = *state;
    static const char *const urls[] = {"http://", "https:///path", "http://host/a b", "http://host/\x01",
                                       "http://?x"};
    const struct store_options options = {.transport = f->transport};
    struct store *store;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        if (store_open_with(&f->call, span_str(urls[i]), &options, &store) != DP_INVALID)
            fail_msg("%s", urls[i]);
    assert_int_equal(store_open_with(&f->call, span_str("gopher://u:secret@h/"), &options, &store),
                     DP_UNSUPPORTED);
    assert_null(strstr(f->call.error.message, "secret"));
}

/* A signature belongs to an https URL. In a bucket's URL it would become a part of the object's name, and be shown. */
static void test_http_store_signatures_are_no_names(void **state)
{
    struct remote_fixture *f = *state;
    static const struct {
        const char *url, *says;
    } cases[] = {
        {"s3://bucket/v.ivf?X-Amz-Expires=3&X-Amz-Signature=s3cret",
         "s3://…: it has a signature: give the signed URL"},
        {"s3://bucket/v.ivf?AWSAccessKeyId=a&Signature=s3cret", "give the signed URL"},
        {"gs://bucket/v.ivf?X-Goog-Signature=s3cret", "gs://…: it has a signature: give the signed URL"},
        {"az://container/v.ivf?sv=1&sig=s3cret", "set AZURE_STORAGE_SAS_TOKEN"},
        {"abfss://container@acc.dfs.core.windows.net/v.ivf?sig=s3cret", "set AZURE_STORAGE_SAS_TOKEN"},
        {"abfs://container@acc.dfs.core.windows.net/v.ivf?sig=s3cret", "set AZURE_STORAGE_SAS_TOKEN"},
    };
    const struct store_options options = {.transport = f->transport};
    struct store *store;
    struct span key;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int object = 0; object < 2; object++) {
            struct span url = span_str(cases[i].url);
            enum dp_status status = object ? store_open_object(&f->call, url, &options, &store, &key)
                                           : store_open_with(&f->call, url, &options, &store);
            if (status != DP_INVALID || !strstr(f->call.error.message, cases[i].says) ||
                strstr(f->call.error.message, "s3cret"))
                fail_msg("%s: %s", cases[i].url, f->call.error.message);
        }
    /* Other names with a '?' are names. */
    assert_int_equal(store_open_object(&f->call, span_str("s3://bucket/what?&design=2"), &options, &store, &key),
                     DP_OK);
    assert_true(span_equal_str(key, "what?&design=2"));
    store_free(store);
}

/* "s3:/bucket" is a slip; as a path it would name a new folder. */
static void test_http_store_urls_have_two_slashes(void **state)
{
    struct remote_fixture *f = *state;
    static const char *const urls[] = {
        "s3:/bucket", "s3:bucket/a", "gs:/bucket/a", "az:", "abfss:/c", "https:/host/a", "file:/tmp/a", "mem:a"};
    const struct store_options options = {.transport = f->transport, .create = true};
    const char *path;
    struct store *store;
    struct span key;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        if (store_open_with(&f->call, span_str(urls[i]), &options, &store) != DP_INVALID)
            fail_msg("%s", urls[i]);
        assert_non_null(strstr(f->call.error.message, "two slashes follow the colon"));
        assert_int_equal(store_open_object(&f->call, span_str(urls[i]), &options, &store, &key), DP_INVALID);
        assert_int_equal(store_url_path(&f->call, span_str(urls[i]), &path), DP_INVALID);
    }
    assert_int_equal(store_url_path(&f->call, span_str("file:///tmp/a"), &path), DP_OK);
    assert_int_equal(store_url_path(&f->call, span_str("./s3:/bucket"), &path), DP_OK);
}

static void test_http_store_over_tls(void **state)
{
    struct remote_fixture *f = *state;
    http_server_stop(f->server);
    f->server = http_server_start(&(struct http_server_options){.tls = true});
    http_server_put(f->server, "/data/a", span_str("0123456789"));
    const struct transport_options trusting = {.trust.file = http_server_certificate(f->server)};
    transport_free(f->transport);
    assert_int_equal(transport_new(&trusting, &f->transport, &f->call.error), DP_OK);
    open_root(f, "/data", (struct store_options){0});
    struct store_read_req req = range("a", 2, 3);
    assert_int_equal(read_one(f, &req), DP_OK);
    expect(&req, "234");
}

/* ---- memory ----------------------------------------------------------------------------------------------- */

static enum dp_status walk(struct remote_fixture *f, struct call *call)
{
    struct store *store;
    enum dp_status status = store_open(call, span_str(http_server_url(f->server, "/data?q")), false, &store);
    if (status != DP_OK)
        return status;
    struct store_read_req reqs[4] = {range("a", 0, 10), range("a", 3, STORE_TO_END), range("empty", 0, 0),
                                     range("a", 10, STORE_TO_END)};
    struct store_version version = {.len = 3, .token = "\"x\""};
    reqs[1].pinned = &version;
    reqs[1].if_changed = true;
    status = store_read(call, store, reqs, 4);
    store_read_release(reqs, 4);
    store_free(store);
    return status;
}

static void test_http_store_survives_failed_allocations(void **state)
{
    struct remote_fixture *f = *state;
    size_t n = 1;
    for (;; n = test_alloc_next(n)) {
        struct arena arena;
        struct call call;
        arena_init(&arena, 16 << 20);
        call_init(&call, &arena);
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = walk(f, &call);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        arena_deinit(&arena);
        assert_int_equal(test_alloc_live(), before);
        if (status != (fired ? DP_NOMEM : DP_OK))
            fail_msg("allocation %zu: %s: %s", n, dp_status_name(status), call.error.message);
        if (!fired)
            break;
    }
    assert_true(n > 10);
}

int main(void)
{
    setenv("no_proxy", "*", 1);
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, remote_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_http_store_reads),
        CASE(test_http_store_answers_have_dates),
        CASE(test_http_store_split_range_has_the_earliest_date),
        CASE(test_http_store_counts_what_is_sent),
        CASE(test_http_store_head_is_a_ranged_get),
        CASE(test_http_store_only_reads),
        CASE(test_http_store_pins),
        CASE(test_http_store_if_changed),
        CASE(test_http_store_never_mixes),
        CASE(test_http_store_needs_etag_or_last_modified),
        CASE(test_http_store_versions),
        CASE(test_http_store_explains_errors),
        CASE(test_http_store_resumes_into_errors),
        CASE(test_http_store_servers_without_ranges),
        CASE(test_http_store_asks_for_sizes_that_a_416_lacks),
        CASE(test_http_store_chunks),
        CASE(test_http_store_encodes_keys),
        CASE(test_http_store_tells_refusals_apart),
        CASE(test_http_store_presigned_object),
        CASE(test_http_store_objects_of_other_stores),
        CASE(test_http_store_refuses_urls),
        CASE(test_http_store_signatures_are_no_names),
        CASE(test_http_store_urls_have_two_slashes),
        CASE(test_http_store_over_tls),
        CASE(test_http_store_survives_failed_allocations),
    };
    return test_run(tests);
}
