/* test_s3.c: the S3 store against the scripted server: the requests that it sends, the meaning of answers, and
 * retries. The contract suite runs against real S3 servers (tests/e2e/test_s3.py). */
#include "remote_fixture.h"

#include <stdio.h>
#include <stdlib.h>

enum { MIB = 1 << 20 };

static enum dp_status read_all(struct remote_fixture *f, const char *key, const char *want)
{
    struct store_read_req req = {.key = span_str(key), .len = STORE_TO_END};
    dp_error_clear(&f->call.error);
    enum dp_status status = store_read(&f->call, f->store, &req, 1);
    if (status == DP_OK && !span_equal_str(req.bytes.span, want))
        fail_msg("%s is \"%.*s\"", key, SPAN_FMT(req.bytes.span));
    store_read_release(&req, 1);
    return status;
}

static enum dp_status put(struct remote_fixture *f, const char *key, enum store_condition condition,
                          const char *etag)
{
    return remote_put(&f->call, f->store, key, "body", condition, etag);
}

static void expect_says(const struct remote_fixture *f, const char *says)
{
    if (!strstr(f->call.error.message, says))
        fail_msg("\"%s\" does not contain \"%s\"", f->call.error.message, says);
    assert_null(strstr(f->call.error.message, "hush"));
}

/* Returns the value of a header that the server received, in a static buffer, or "". */
static const char *header_of(const struct http_seen *seen, const char *name)
{
    static char value[1024];
    value[0] = '\0';
    const char *line = strstr(seen->head, name);
    if (line)
        sscanf(line + strlen(name), ": %1023[^\r]", value);
    return value;
}

/* ---- opening --------------------------------------------------------------------------------------------- */

static void test_store_s3_where_requests_go(void **state)
{
    struct remote_fixture *f = *state;
    const struct {
        const char *endpoint, *region, *root;
        enum s3_addressing addressing;
        const char *origin, *base;
    } cases[] = {
        {"", "eu-west-1", "s3://bkt", 0, "https://bkt.s3.eu-west-1.amazonaws.com", "/"},
        {"", "", "s3://bkt/a/b/", 0, "https://bkt.s3.us-east-1.amazonaws.com", "/"},
        {"", "cn-north-1", "s3://bkt", 0, "https://bkt.s3.cn-north-1.amazonaws.com.cn", "/"},
        {"", "", "s3://my.bkt", 0, "https://s3.us-east-1.amazonaws.com", "/my.bkt/"},
        {"", "", "s3://bkt", S3_ADDRESSING_PATH, "https://s3.us-east-1.amazonaws.com", "/bkt/"},
        {"http://h:9000", "", "s3://bkt", 0, "http://h:9000", "/bkt/"},
        {"http://h:9000/", "", "s3://bkt", S3_ADDRESSING_HOST, "http://bkt.h:9000", "/"},
        {"https://h/base/s3/", "", "s3://bkt", 0, "https://h", "/base/s3/bkt/"},
        {"https://s3.eu-west-1.amazonaws.com", "", "s3://bkt", 0, "https://bkt.s3.eu-west-1.amazonaws.com", "/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->settings.endpoint_url = cases[i].endpoint;
        f->settings.region = cases[i].region;
        f->settings.addressing = cases[i].addressing;
        remote_must_open(f, cases[i].root);
        const struct s3_store *s3 = s3_of(f->store);
        if (!span_equal_str(s3->origin, cases[i].origin) || !span_equal_str(s3->base_path, cases[i].base))
            fail_msg("case %zu: %.*s %.*s", i, SPAN_FMT(s3->origin), SPAN_FMT(s3->base_path));
    }
    assert_int_equal(http_server_count(f->server), 0);
}

static void test_store_s3_refuses_bad_roots_and_settings(void **state)
{
    struct remote_fixture *f = *state;
    const char *const roots[] = {"s3://",          "s3:///k",        "s3://ab",         "s3://-bkt",
                                 "s3://b kt",      "s3://bkt@h",     "s3://bkt:80",     "s3://bkt//a",
                                 "s3://bkt/../a",  "s3://bkt/a/./b", "s3://bkt/\x01",   "s3://bkt/\xff",
                                 "s3://b\xc3\xa9", "s3://bkt?a=b",   "s3://bkt/.dipper"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        if (remote_open(f, roots[i], (struct store_options){0}) != DP_INVALID)
            fail_msg("%s was accepted", roots[i]);
        assert_null(f->store);
        expect_says(f, "s3://");
    }
    const char *const endpoints[] = {"h:9000",       "ftp://h",      "http://",      "http:///b",
                                     "http://u:p@h", "http://h?a=b", "http://h/a b", "http://h/\xc3\xa9",
                                     "http://h#x",   "http://h/%41"};
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        f->settings.endpoint_url = endpoints[i];
        if (remote_open(f, "s3://bkt", (struct store_options){0}) != DP_INVALID)
            fail_msg("%s was accepted", endpoints[i]);
        expect_says(f, "S3_ENDPOINT_URL: write http://host:port");
    }
    f->settings.endpoint_url = "";
    f->settings.region = "eu/west";
    assert_int_equal(remote_open(f, "s3://bkt", (struct store_options){0}), DP_INVALID);
    expect_says(f, "AWS_REGION: \"eu/west\" is not a region's name");
}

/* ---- requests -------------------------------------------------------------------------------------------- */

/* Recomputes the signature of a received request. */
static void expect_signed(struct remote_fixture *f, const struct http_seen *seen, const char *path)
{
    char hash[65], date[32], host[64], token[64], authorization[1024];
    snprintf(hash, sizeof hash, "%s", header_of(seen, "x-amz-content-sha256"));
    snprintf(date, sizeof date, "%s", header_of(seen, "x-amz-date"));
    snprintf(host, sizeof host, "%s", header_of(seen, "Host"));
    snprintf(token, sizeof token, "%s", header_of(seen, "x-amz-security-token"));
    snprintf(authorization, sizeof authorization, "%s", header_of(seen, "Authorization"));
    struct sigv4_signer signer = {.access_key_id = span_str("AKID"),
                                  .secret_access_key = span_str("hush"),
                                  .region = span_str("us-east-1"),
                                  .service = span_str("s3")};
    memcpy(signer.date, date, SIGV4_DATE_LEN);
    const struct sigv4_pair headers[] = {{span_str("host"), span_str(host)},
                                         {span_str("x-amz-content-sha256"), span_str(hash)},
                                         {span_str("x-amz-date"), span_str(date)},
                                         {span_str("x-amz-security-token"), span_str(token)}};
    const struct sigv4_request request = {.method = span_str(seen->method),
                                          .path = span_str(path),
                                          .headers = headers,
                                          .header_count = *token ? 4 : 3,
                                          .payload_hash = span_str(hash)};
    struct buffer b;
    buffer_init(&b, 1 << 16);
    assert_int_equal(sigv4_authorization(&signer, &request, &f->arena, &b, &f->call.error), DP_OK);
    assert_true(span_equal_str(buffer_span(&b), authorization));
    buffer_deinit(&b);
}

static void test_store_s3_signs_what_it_sends(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt/pre/fix/");
    http_server_put(f->server, "/bkt/pre/fix/a%20b%2Bc/%C3%A9", span_str("found"));
    assert_int_equal(read_all(f, "a b+c/\xc3\xa9", "found"), DP_OK);
    struct http_seen seen = remote_last_seen(f);
    assert_string_equal(seen.target, "/bkt/pre/fix/a%20b%2Bc/%C3%A9");
    assert_string_equal(header_of(&seen, "x-amz-content-sha256"),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_signed(f, &seen, "/bkt/pre/fix/a b+c/\xc3\xa9");
    f->settings.session_token = "tok/en=";
    remote_must_open(f, "s3://bkt");
    assert_int_equal(put(f, "k", STORE_ANY, NULL), DP_OK);
    seen = remote_last_seen(f);
    assert_string_equal(header_of(&seen, "x-amz-security-token"), "tok/en=");
    assert_string_equal(header_of(&seen, "x-amz-content-sha256"),
                        "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5");
    expect_signed(f, &seen, "/bkt/k");
}

static void test_store_s3_names_the_bucket_in_the_host(void **state)
{
    struct remote_fixture *f = *state;
    const char *port = strrchr(f->settings.endpoint_url, ':');
    f->settings.endpoint_url = arena_printf(&f->arena, "http://localhost%s", port);
    f->settings.addressing = S3_ADDRESSING_HOST;
    remote_must_open(f, "s3://bkt");
    http_server_put(f->server, "/k", span_str("found"));
    assert_int_equal(read_all(f, "k", "found"), DP_OK);
    struct http_seen seen = remote_last_seen(f);
    assert_string_equal(header_of(&seen, "Host"), arena_printf(&f->arena, "bkt.localhost%s", port));
    expect_signed(f, &seen, "/k");
}

static void test_store_s3_sends_no_keys_when_told(void **state)
{
    struct remote_fixture *f = *state;
    f->settings.unsigned_requests = true;
    remote_must_open(f, "s3://bkt");
    http_server_put(f->server, "/bkt/k", span_str("public"));
    assert_int_equal(read_all(f, "k", "public"), DP_OK);
    struct http_seen seen = remote_last_seen(f);
    assert_string_equal(header_of(&seen, "Authorization"), "");
    assert_string_equal(header_of(&seen, "x-amz-date"), "");
}

static void test_store_s3_needs_keys(void **state)
{
    struct remote_fixture *f = *state;
    f->settings.access_key_id = f->settings.secret_access_key = NULL;
    remote_must_open(f, "s3://bkt");
    assert_int_equal(read_all(f, "k", ""), DP_DENIED);
    expect_says(f, "there are no keys for S3: set AWS_ACCESS_KEY_ID");
    assert_int_equal(http_server_count(f->server), 0);
}

static void test_store_s3_fetches_new_keys_when_they_expired(void **state)
{
    struct remote_fixture *f = *state;
    f->settings.access_key_id = f->settings.secret_access_key = NULL;
    f->settings.container_full_uri = arena_printf(&f->arena, "%s/keys", f->settings.endpoint_url);
    remote_must_open(f, "s3://bkt");
    http_server_put(f->server, "/bkt/k", span_str("found"));
    remote_answer(f, "GET /keys", 200,
                  "{\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"hush\",\"Token\":\"t1\","
                  "\"Expiration\":\"2999-01-01T00:00:00Z\"}");
    remote_answer(f, "GET /bkt/k", 400, "<Error><Code>ExpiredToken</Code></Error>");
    remote_answer(f, "GET /keys", 200,
                  "{\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"hush\",\"Token\":\"t2\","
                  "\"Expiration\":\"2999-01-01T00:00:00Z\"}");
    assert_int_equal(read_all(f, "k", "found"), DP_OK);
    assert_int_equal(http_server_count(f->server), 4);
    struct http_seen seen = remote_last_seen(f);
    assert_string_equal(header_of(&seen, "x-amz-security-token"), "t2");
    /* When the new keys are refused too, the read fails. */
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                    .code = 400,
                                                    .match = "GET /bkt/k",
                                                    .text = "<Error><Code>ExpiredToken</Code></Error>",
                                                    .times = 2});
    remote_answer(f, "GET /keys", 200,
                  "{\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"hush\",\"Token\":\"t3\","
                  "\"Expiration\":\"2999-01-01T00:00:00Z\"}");
    assert_int_equal(read_all(f, "k", ""), DP_DENIED);
    expect_says(f, "the session token has expired");
}

/* ---- errors ---------------------------------------------------------------------------------------------- */

static void test_store_s3_tells_what_to_do(void **state)
{
    struct remote_fixture *f = *state;
    const struct {
        int code;
        const char *body;
        enum dp_status status;
        const char *says;
    } cases[] = {
        {404, "<Error><Code>NoSuchKey</Code></Error>", DP_NOT_FOUND, "s3://bkt/pre/k: there is no such object"},
        {404, "", DP_NOT_FOUND, "s3://bkt/pre/k: there is no such object"},
        {404, "<Error><Code>NoSuchBucket</Code></Error>", DP_INVALID,
         "there is no bucket \"bkt\" at http://127.0.0.1:"},
        {404, "<Error><Code>Odd</Code><Message>words</Message></Error>", DP_IO, "answers 404 Odd: words"},
        {403, "<Error><Code>AccessDenied</Code></Error>", DP_DENIED, "the keys in use may not do this there"},
        {403, "<Error><Code>SignatureDoesNotMatch</Code></Error>", DP_DENIED, "check AWS_SECRET_ACCESS_KEY"},
        {403, "<Error><Code>InvalidAccessKeyId</Code></Error>", DP_DENIED, "check AWS_ACCESS_KEY_ID"},
        {403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", DP_DENIED, "this machine's clock"},
        {403, "not XML", DP_DENIED, "s3://bkt/pre/k: http://127.0.0.1:"},
        {403, "<Error><Code>InvalidObjectState</Code></Error>", DP_DENIED,
         "the object is archived: restore it first"},
        {301, "<Error><Code>PermanentRedirect</Code></Error>", DP_INVALID, "s3://bkt is not in region us-east-1"},
        {501, "<Error><Code>NotImplemented</Code></Error>", DP_UNSUPPORTED, "the store does not do this"},
        {400, "<Error><Code>Odd</Code><Message>such &amp; such</Message></Error>", DP_IO,
         "the store answers 400 Odd: such & such"},
        {418, "", DP_IO, "answers 418"},
    };
    remote_must_open(f, "s3://bkt/pre");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        remote_answer(f, "GET /bkt/pre/k", cases[i].code, cases[i].body);
        enum dp_status status = read_all(f, "k", "");
        if (status != cases[i].status)
            fail_msg("case %zu: %s: %s", i, dp_status_name(status), f->call.error.message);
        expect_says(f, cases[i].says);
    }
}

/* S3 refuses a missing object to a client without the right to list. Only that refusal may mean "missing". */
static void test_store_s3_tells_a_refusal_that_may_hide_a_missing_object(void **state)
{
    struct remote_fixture *f = *state;
    const struct {
        int code;
        const char *body;
        bool maybe_missing;
    } cases[] = {
        {403, "<Error><Code>AccessDenied</Code></Error>", true},
        {403, "<Error><Code>SignatureDoesNotMatch</Code></Error>", false},
        {403, "<Error><Code>InvalidAccessKeyId</Code></Error>", false},
        {403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", false},
        {403, "<Error><Code>AllAccessDisabled</Code></Error>", false},
        {401, "<Error><Code>AccessDenied</Code></Error>", false},
        {403, "not XML", false},
        {403, "", false},
    };
    remote_must_open(f, "s3://bkt");
    struct store_read_req req = {.key = span_str("k"), .len = 10, .clip = true, .maybe_missing = true};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        req.len = i % 2 ? 0 : 10; /* a look is a HEAD; a GET follows its refusal */
        if (i % 2)
            remote_answer(f, "HEAD ", 403, "");
        remote_answer(f, "GET ", cases[i / 2].code, cases[i / 2].body);
        dp_error_clear(&f->call.error);
        assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_DENIED);
        if (req.maybe_missing != cases[i / 2].maybe_missing)
            fail_msg("case %zu", i);
    }
    http_server_put(f->server, "/bkt/k", span_str("1234"));
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
    assert_false(req.maybe_missing);
    store_read_release(&req, 1);
}

/* The answer to a HEAD has no body. When its code does not explain a refusal, the store sends a GET for the
 * reason. */
static void test_store_s3_head(void **state)
{
    struct remote_fixture *f = *state;
    struct store_info info;
    remote_must_open(f, "s3://bkt");
    remote_answer(f, "HEAD ", 404, "");
    remote_answer(f, "GET ", 404, "<Error><Code>NoSuchBucket</Code></Error>");
    assert_int_equal(store_head(&f->call, f->store, span_str("k"), &info), DP_INVALID);
    expect_says(f, "there is no bucket");
    remote_answer(f, "HEAD ", 403, "");
    remote_answer(f, "GET ", 403, "<Error><Code>InvalidAccessKeyId</Code></Error>");
    assert_int_equal(store_head(&f->call, f->store, span_str("k"), &info), DP_DENIED);
    expect_says(f, "check AWS_ACCESS_KEY_ID");
    http_server_put(f->server, "/bkt/k", span_str("1234"));
    assert_int_equal(store_head(&f->call, f->store, span_str("k"), &info), DP_OK);
    assert_int_equal(info.size, 4);
    http_server_reset(f->server);
    assert_int_equal(store_head(&f->call, f->store, span_str("none"), &info), DP_NOT_FOUND);
    assert_int_equal(http_server_count(f->server), 1);
}

/* A refused HEAD does not tell whether the keys are bad, and the store may refuse only HEADs. */
static void test_store_s3_heads_that_are_refused(void **state)
{
    struct remote_fixture *f = *state;
    static const int codes[] = {400, 401, 403, 405, 501};
    struct store_info info;
    http_server_put(f->server, "/keys",
                    span_str("{\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"hush\",\"Token\":\"t\","
                             "\"Expiration\":\"2999-01-01T00:00:00Z\"}"));
    f->settings.access_key_id = f->settings.secret_access_key = NULL;
    f->settings.container_full_uri =
        (const char *)arena_copy(&f->arena, span_str(http_server_url(f->server, "/keys"))).data;
    f->settings.home = "/nonexistent";
    remote_must_open(f, "s3://bkt");
    http_server_put(f->server, "/bkt/k", span_str("1234"));
    for (size_t i = 0; i < 2 * sizeof codes / sizeof *codes; i++) {
        const char *key = i % 2 ? "k" : "none";
        remote_answer(f, "HEAD ", codes[i / 2], "");
        if (i % 2 == 0)
            remote_answer(f, "GET /bkt/none", 403, "<Error><Code>AccessDenied</Code></Error>");
        dp_error_clear(&f->call.error);
        assert_int_equal(store_head(&f->call, f->store, span_str(key), &info), i % 2 ? DP_OK : DP_DENIED);
        if (i % 2 == 1)
            assert_int_equal(info.size, 4);
    }
    unsigned fetches = 0;
    for (unsigned i = 0; i < http_server_count(f->server); i++)
        fetches += strcmp(http_server_seen(f->server, i).target, "/keys") == 0;
    assert_int_equal(fetches, 1);
}

static void test_store_s3_retries_transient_errors(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt");
    http_server_put(f->server, "/bkt/k", span_str("found"));
    remote_answer(f, "GET ", 503, "<Error><Code>SlowDown</Code></Error>");
    remote_answer(f, "GET ", 400, "<Error><Code>RequestTimeout</Code></Error>");
    remote_answer(f, "GET ", 500, "");
    assert_int_equal(read_all(f, "k", "found"), DP_OK);
    assert_int_equal(http_server_count(f->server), 4);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503, .times = 4});
    assert_int_equal(read_all(f, "k", "found"), DP_UNAVAILABLE);
}

/* A read breaks off, and its resumption gets an error. It ends as that error always does: a transient error is
 * retried, and no byte of the error page becomes the object's. */
static void test_store_s3_resumes_into_errors(void **state)
{
    struct remote_fixture *f = *state;
    enum { LEN = 1000 };
    static char page[3 * LEN];
    memset(page, 'X', sizeof page - 1);
    static const struct {
        int code;
        const char *lines, *text;
        enum dp_status status;
    } cases[] = {
        {503, "", "<Error><Code>SlowDown</Code></Error>", DP_OK},
        {500, "", "<Error><Code>InternalError</Code></Error>", DP_OK},
        {400, "", "<Error><Code>RequestTimeout</Code></Error>", DP_OK},
        {400, "", "<Error><Code>ExpiredToken</Code></Error>", DP_OK},
        {503, "ETag: \"maintenance\"\r\n", page, DP_OK},
        {404, "", "<Error><Code>NoSuchKey</Code></Error>", DP_NOT_FOUND},
        {404, "ETag: \"page\"\r\n", page, DP_NOT_FOUND},
        {403, "", "<Error><Code>AccessDenied</Code></Error>", DP_DENIED},
        {403, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n", page, DP_DENIED},
        {301, "", "<Error><Code>PermanentRedirect</Code></Error>", DP_INVALID},
        {501, "ETag: \"page\"\r\n", page, DP_UNSUPPORTED},
    };
    uint8_t body[LEN];
    for (size_t i = 0; i < LEN; i++)
        body[i] = (uint8_t)('a' + i % 26);
    remote_must_open(f, "s3://bkt");
    http_server_put(f->server, "/bkt/k", span_of(body, LEN));
    const char *etag = http_server_etag(f->server, "/bkt/k");
    struct store_version version = {.len = (uint8_t)strlen(etag)};
    memcpy(version.token, etag, version.len);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        http_server_reset(f->server);
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_TRUNCATE, .at = 300, .match = "GET "});
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                        .code = cases[i / 2].code,
                                                        .lines = cases[i / 2].lines,
                                                        .text = cases[i / 2].text,
                                                        .match = "Range: bytes=300-"});
        struct store_read_req req = {.key = span_str("k"), .len = LEN, .pinned = i % 2 ? &version : NULL};
        dp_error_clear(&f->call.error);
        enum dp_status status = store_read(&f->call, f->store, &req, 1);
        if (status != cases[i / 2].status)
            fail_msg("%d: %s: %s", cases[i / 2].code, dp_status_name(status), f->call.error.message);
        if (status == DP_OK && !span_equal(req.bytes.span, span_of(body, LEN)))
            fail_msg("%d: the bytes are not the object's", cases[i / 2].code);
        assert_int_equal(http_server_unused(f->server), 0);
        store_read_release(&req, 1);
    }
}

/* A range past the end. One server reports the size only in its error, the other not at all. */
static void test_store_s3_ranges_behind_the_end(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt");
    http_server_put(f->server, "/bkt/k", span_str("0123456789"));
    struct store_read_req req = {.key = span_str("k"), .offset = 10, .len = STORE_TO_END};
    remote_answer(f, "GET ", 416,
                  "<Error><Code>InvalidRange</Code><ActualObjectSize>10</ActualObjectSize></Error>");
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
    assert_int_equal(req.bytes.span.len, 0);
    assert_int_equal(req.size, 10);
    req.offset = 11;
    remote_answer(f, "GET ", 416, "<Error><Code>InvalidRange</Code></Error>");
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_INVALID);
    assert_non_null(strstr(req.error.message, "past the end of 10 bytes"));
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static void test_store_s3_asks_once_whether_conditions_hold(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt/pre");
    assert_int_equal(put(f, "one", STORE_ANY, NULL), DP_OK);
    assert_int_equal(http_server_count(f->server), 5);
    struct http_seen first = http_server_seen(f->server, 0), last = http_server_seen(f->server, 3);
    assert_int_equal(strncmp(first.target, "/bkt/pre/.dipper/probe-", 23), 0);
    assert_string_equal(last.method, "DELETE");
    assert_string_equal(last.target, first.target);
    assert_false(http_server_has(f->server, first.target));
    assert_int_equal(put(f, "two", STORE_ANY, NULL), DP_OK);
    assert_int_equal(http_server_count(f->server), 6);
}

static void test_store_s3_never_writes_where_conditions_are_ignored(void **state)
{
    struct remote_fixture *f = *state;
    const struct {
        const char *match; /* text in the head of the put that gets the wrong answer */
        int code;
        const char *says;
        unsigned before; /* how many requests with this text precede that put */
    } cases[] = {
        {"If-None-Match: *", 200, "ignores If-None-Match", 1},
        {"If-Match: ", 200, "ignores If-Match", 0},
        {"If-None-Match: *", 501, "does not take If-None-Match", 0},
        {"If-Match: ", 501, "does not take If-Match", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        remote_must_open(f, "s3://bkt");
        for (unsigned k = 0; k < cases[i].before; k++)
            http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_SERVE, .match = cases[i].match});
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                        .code = cases[i].code,
                                                        .match = cases[i].match,
                                                        .lines = "ETag: \"0123\"\r\n"});
        assert_int_equal(put(f, "k", STORE_ANY, NULL), DP_UNSUPPORTED);
        expect_says(f, cases[i].says);
        assert_false(http_server_has(f->server, "/bkt/k"));
        unsigned count = http_server_count(f->server);
        struct store_upload *upload;
        assert_int_equal(put(f, "k", STORE_IF_ABSENT, NULL), DP_UNSUPPORTED);
        assert_int_equal(store_upload_begin(&f->call, f->store, span_str("k"), &upload), DP_UNSUPPORTED);
        expect_says(f, "Dipper reads there, but does not write");
        assert_int_equal(http_server_count(f->server), count);
        http_server_put(f->server, "/bkt/r", span_str("read"));
        assert_int_equal(read_all(f, "r", "read"), DP_OK);
    }
}

/* If the check of conditional writes fails, the store still does not know whether they work, so the next write
 * checks again. */
static void test_store_s3_checks_again_after_a_failed_check(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt");
    remote_answer(f, "PUT ", 403, "<Error><Code>AccessDenied</Code></Error>");
    assert_int_equal(put(f, "k", STORE_ANY, NULL), DP_DENIED);
    assert_int_equal(put(f, "k", STORE_ANY, NULL), DP_OK);
}

static void test_store_s3_conditional_puts(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt");
    http_server_put(f->server, "/bkt/k", span_str("there"));
    assert_int_equal(put(f, "k", STORE_IF_ABSENT, NULL), DP_EXISTS);
    expect_says(f, "k exists already");
    assert_int_equal(put(f, "k", STORE_IF_VERSION, "\"other\""), DP_CONFLICT);
    expect_says(f, "k was changed by another writer");
    assert_int_equal(put(f, "gone", STORE_IF_VERSION, "\"other\""), DP_CONFLICT);
    expect_says(f, "gone is gone");
    assert_int_equal(put(f, "k", STORE_IF_VERSION, "m17"), DP_CONFLICT); /* another store's version */
    assert_int_equal(put(f, "k", STORE_IF_VERSION, http_server_etag(f->server, "/bkt/k")), DP_OK);
    assert_int_equal(put(f, "new", STORE_IF_ABSENT, NULL), DP_OK);
    remote_answer(f, "PUT /bkt/m", 404, "<Error><Code>NoSuchBucket</Code></Error>");
    assert_int_equal(put(f, "m", STORE_IF_VERSION, "\"other\""), DP_INVALID);
    remote_answer(f, "PUT /bkt/m", 409, "<Error><Code>ConditionalRequestConflict</Code></Error>");
    assert_int_equal(put(f, "m", STORE_IF_ABSENT, NULL), DP_OK);
    remote_answer(f, "PUT /bkt/n", 409, "<Error><Code>ObjectParentIsFile</Code></Error>");
    assert_int_equal(put(f, "n", STORE_IF_ABSENT, NULL), DP_INVALID);
}

/* When an answer was lost, the refusal of the next try may be due to our own write. */
static void test_store_s3_puts_whose_answer_is_lost(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt");
    assert_int_equal(put(f, "warm", STORE_ANY, NULL), DP_OK);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_LOSE, .match = "PUT "});
    assert_int_equal(put(f, "a", STORE_IF_ABSENT, NULL), DP_UNKNOWN);
    expect_says(f, "s3://bkt/a: an answer was lost");
    assert_true(http_server_has(f->server, "/bkt/a"));
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_LOSE, .match = "PUT "});
    assert_int_equal(put(f, "a", STORE_IF_VERSION, http_server_etag(f->server, "/bkt/a")), DP_UNKNOWN);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_LOSE, .match = "PUT "});
    assert_int_equal(put(f, "b", STORE_ANY, NULL), DP_OK); /* putting the same bytes twice changes nothing */
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_LOSE, .match = "PUT ", .times = 4});
    assert_int_equal(put(f, "c", STORE_IF_ABSENT, NULL), DP_UNKNOWN);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_LOSE, .match = "DELETE "});
    assert_int_equal(store_remove(&f->call, f->store, span_str("b")), DP_OK);
    assert_false(http_server_has(f->server, "/bkt/b"));
}

static void test_store_s3_removals(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt");
    remote_answer(f, "DELETE ", 404, "<Error><Code>NoSuchKey</Code></Error>");
    assert_int_equal(store_remove(&f->call, f->store, span_str("k")), DP_OK);
    remote_answer(f, "DELETE ", 404, "<Error><Code>NoSuchBucket</Code></Error>");
    assert_int_equal(store_remove(&f->call, f->store, span_str("k")), DP_INVALID);
    remote_answer(f, "DELETE ", 403, "<Error><Code>AccessDenied</Code></Error>");
    assert_int_equal(store_remove(&f->call, f->store, span_str("k")), DP_DENIED);
}

/* ---- listing --------------------------------------------------------------------------------------------- */

/* Returns the listing as "key key/ …". */
static const char *list(struct remote_fixture *f, const char *prefix, const char *after, bool folders, size_t max)
{
    static char text[1024];
    struct store_listing listing;
    size_t len = 0;
    if (store_list(&f->call, f->store, span_str(prefix), span_str(after), folders, max, &listing) != DP_OK)
        fail_msg("%s", f->call.error.message);
    text[0] = '\0';
    for (size_t i = 0; i < listing.count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", i ? " " : "",
                                SPAN_FMT(listing.entries[i].key));
    snprintf(text + len, sizeof text - len, "%s", listing.truncated ? " …" : "");
    return text;
}

static void test_store_s3_lists_pages(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt/pre");
    remote_answer(
        f, "GET /bkt?list-type=2&", 200,
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t/1=</NextContinuationToken>"
        "<EncodingType>url</EncodingType>"
        "<Contents><Key>pre/a+b%2Bc</Key><Size>1</Size></Contents><Contents><Key>pre/c%C3%A9</Key><Size>12</Size>"
        "</Contents><CommonPrefixes><Prefix>pre/b/</Prefix></CommonPrefixes></ListBucketResult>");
    remote_answer(
        f, "GET /bkt?list-type=2&", 200,
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>pre/d+&amp;</Key><Size>3</Size></"
        "Contents>"
        "</ListBucketResult>");
    assert_string_equal(list(f, "", "", true, 10), "a b+c b/ c\xc3\xa9 d+&");
    assert_string_equal(http_server_seen(f->server, 0).target,
                        "/bkt?list-type=2&encoding-type=url&max-keys=11&prefix=pre%2F&delimiter=%2F");
    assert_string_equal(http_server_seen(f->server, 1).target,
                        "/bkt?list-type=2&encoding-type=url&max-keys=8&prefix=pre%2F&delimiter=%2F&"
                        "continuation-token=t%2F1%3D");
    assert_int_equal(f->call.cost.rounds, 2);
}

/* Some stores list folders first or between objects, or nothing in order. The page that the caller gets is
 * sorted. */
static void test_store_s3_lists_in_order(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt");
    remote_answer(
        f, "GET ", 200,
        "<ListBucketResult><CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>"
        "<Contents><Key>c</Key><Size>1</Size></Contents><CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>"
        "<Contents><Key>a-b</Key><Size>1</Size></Contents><CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>"
        "</ListBucketResult>");
    assert_string_equal(list(f, "", "", true, 10), "a-b a/ b/ c d/");
}

/* A listing that would never end, or that goes backwards, ends with an error. */
static void test_store_s3_lists_that_make_no_progress(void **state)
{
    struct remote_fixture *f = *state;
    static const char again[] =
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t"
        "</NextContinuationToken><Contents><Key>k</Key><Size>1</Size></Contents></ListBucketResult>";
    static const char back[] =
        "<ListBucketResult><Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>";
    struct store_listing listing;
    remote_must_open(f, "s3://bkt");
    for (int i = 0; i < 2; i++) {
        http_server_reset(f->server);
        remote_answer(f, "GET ", 200, again);
        remote_answer(f, "continuation-token=t", 200, i ? back : again);
        dp_error_clear(&f->call.error);
        assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), false, 5, &listing), DP_IO);
        expect_says(f, i ? "\"a\" behind \"k\"" : "names itself");
        assert_int_equal(http_server_count(f->server), 2);
    }
}

static void test_store_s3_lists_only_valid_keys(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt");
    remote_answer(
        f, "GET ", 200,
        "<ListBucketResult><Contents><Key>.dipper/probe-1</Key><Size>1</Size></Contents>"
        "<Contents><Key>a//b</Key><Size>1</Size></Contents><Contents><Key>folder/</Key><Size>0</Size></Contents>"
        "<Contents><Key>k</Key><Size>1</Size></Contents><Contents><Key>l/../m</Key><Size>1</Size></Contents>"
        "<CommonPrefixes><Prefix>.dipper/</Prefix></CommonPrefixes>"
        "<CommonPrefixes><Prefix>//</Prefix></CommonPrefixes><CommonPrefixes><Prefix>z/</Prefix></CommonPrefixes>"
        "</ListBucketResult>");
    assert_string_equal(list(f, "", "", true, 10), "k z/");
    /* No key begins with such a prefix, so no request is sent. */
    unsigned count = http_server_count(f->server);
    assert_string_equal(list(f, "../", "", true, 10), "");
    assert_string_equal(list(f, ".dipper/", "", true, 10), "");
    assert_string_equal(list(f, "a//", "", true, 10), "");
    assert_int_equal(http_server_count(f->server), count);
}

static void test_store_s3_lists_after_a_key(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "s3://bkt");
    remote_answer(f, "GET ", 200,
                  "<ListBucketResult><Contents><Key>d</Key><Size>1</Size></Contents></ListBucketResult>");
    assert_string_equal(list(f, "", "c", false, 10), "d");
    assert_non_null(strstr(remote_last_seen(f).target, "&start-after=c"));
    /* The store does not trust MinIO's answer to start-after, neither now nor later. */
    http_server_script(
        f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                     .code = 200,
                                     .lines = "Server: MinIO\r\n",
                                     .match = "start-after",
                                     .text = "<ListBucketResult><Contents><Key>z</Key><Size>1</Size></Contents>"
                                             "</ListBucketResult>"});
    static const char whole[] =
        "<ListBucketResult><Contents><Key>b</Key><Size>1</Size></Contents><Contents><Key>d</Key>"
        "<Size>1</Size></Contents></ListBucketResult>";
    remote_answer(f, "max-keys=1000 ", 200, whole);
    assert_string_equal(list(f, "", "c", false, 10), "d");
    remote_answer(f, "max-keys=1000 ", 200, whole);
    assert_string_equal(list(f, "", "a", false, 1), "b …");
    assert_int_equal(http_server_unused(f->server), 0);
}

static void test_store_s3_refuses_bad_listings(void **state)
{
    struct remote_fixture *f = *state;
    struct store_listing listing;
    const char *const bad[] = {
        "",
        "{}",
        "<ListBucketResult>",
        "<Other/>",
        "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%4</Key></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"};
    remote_must_open(f, "s3://bkt");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        remote_answer(f, "GET ", 200, bad[i]);
        enum dp_status status = store_list(&f->call, f->store, span_str(""), span_str(""), false, 5, &listing);
        if (status != DP_IO)
            fail_msg("%s: %s", bad[i], dp_status_name(status));
        expect_says(f, "s3://bkt: ");
    }
    remote_answer(f, "GET ", 404, "<Error><Code>NoSuchBucket</Code></Error>");
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), false, 5, &listing), DP_INVALID);
}

/* ---- uploads --------------------------------------------------------------------------------------------- */

static const char BEGUN[] =
    "<InitiateMultipartUploadResult><UploadId>u/1&amp;</UploadId></InitiateMultipartUploadResult>";
static const char COMPLETED[] =
    "<CompleteMultipartUploadResult><ETag>&quot;whole-2&quot;</ETag></CompleteMultipartUploadResult>";

/* Writes one and a half parts. */
static enum dp_status upload(struct remote_fixture *f, struct store_version *version)
{
    static uint8_t bytes[MIB];
    struct store_upload *u;
    *version = (struct store_version){0};
    dp_error_clear(&f->call.error);
    assert_int_equal(store_upload_begin(&f->call, f->store, span_str("k"), &u), DP_OK);
    for (int i = 0; i < 12; i++) {
        enum dp_status status = store_upload_write(&f->call, u, span_of(bytes, sizeof bytes));
        if (status != DP_OK) {
            store_upload_abort(u);
            return status;
        }
    }
    return store_upload_finish(&f->call, u, version);
}

static void open_for_uploads(struct remote_fixture *f)
{
    remote_must_open(f, "s3://bkt");
    assert_int_equal(put(f, "warm", STORE_ANY, NULL), DP_OK);
    http_server_reset(f->server);
    remote_answer(f, "POST /bkt/k?uploads= ", 200, BEGUN);
}

static void test_store_s3_uploads_in_parts(void **state)
{
    struct remote_fixture *f = *state;
    struct store_version version;
    open_for_uploads(f);
    remote_answer(f, "POST /bkt/k?uploadId=u%2F1%26 ", 200, COMPLETED);
    assert_int_equal(upload(f, &version), DP_OK);
    assert_true(span_equal_str(span_of(version.token, version.len), "\"whole-2\""));
    assert_int_equal(http_server_count(f->server), 4);
    assert_string_equal(http_server_seen(f->server, 1).target, "/bkt/k?partNumber=1&uploadId=u%2F1%26");
    assert_int_equal(http_server_seen(f->server, 1).body_len, S3_PART_BYTES);
    assert_string_equal(http_server_seen(f->server, 2).target, "/bkt/k?partNumber=2&uploadId=u%2F1%26");
    assert_int_equal(http_server_seen(f->server, 2).body_len, 12 * MIB - S3_PART_BYTES);
    struct http_seen last = remote_last_seen(f);
    assert_non_null(strstr(last.body, "<Part><PartNumber>1</PartNumber><ETag>&quot;"));
    assert_non_null(strstr(last.body, "<Part><PartNumber>2</PartNumber><ETag>&quot;"));
}

/* The answer to a completion may take minutes, in which the server sends only blanks. */
static void test_store_s3_completions_take_their_time(void **state)
{
    struct remote_fixture *f = *state;
    struct transport_options hasty = REMOTE_QUICK;
    struct store_version version;
    hasty.stall_ms = 1000; /* enough for parts of 8 MiB on a busy machine, less than the answer below takes */
    hasty.tries = 1;
    transport_free(f->transport);
    assert_int_equal(transport_new(&hasty, &f->transport, &f->call.error), DP_OK);
    open_for_uploads(f);
    http_server_script(
        f->server,
        (struct http_act){
            .kind = HTTP_ACT_SLOW, .code = 200, .at = 60, .text = COMPLETED, .match = "POST /bkt/k?uploadId="});
    if (upload(f, &version) != DP_OK)
        fail_msg("%s", f->call.error.message);
    assert_true(span_equal_str(span_of(version.token, version.len), "\"whole-2\""));
}

static void test_store_s3_small_uploads_are_puts(void **state)
{
    struct remote_fixture *f = *state;
    struct store_upload *u;
    struct store_version version;
    remote_must_open(f, "s3://bkt");
    assert_int_equal(put(f, "warm", STORE_ANY, NULL), DP_OK);
    http_server_reset(f->server);
    assert_int_equal(store_upload_begin(&f->call, f->store, span_str("k"), &u), DP_OK);
    assert_int_equal(store_upload_write(&f->call, u, span_str("small")), DP_OK);
    assert_int_equal(http_server_count(f->server), 0);
    assert_int_equal(store_upload_finish(&f->call, u, &version), DP_OK);
    assert_int_equal(http_server_count(f->server), 1);
    assert_int_equal(store_upload_begin(&f->call, f->store, span_str("k2"), &u), DP_OK);
    store_upload_abort(u);
    assert_int_equal(http_server_count(f->server), 1);
}

/* The answer to a completion may be a 200 whose body holds an error. */
static void test_store_s3_errors_inside_200(void **state)
{
    struct remote_fixture *f = *state;
    struct store_version version;
    open_for_uploads(f);
    remote_answer(f, "POST /bkt/k?uploadId=", 200,
                  "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code></Error>");
    remote_answer(f, "POST /bkt/k?uploadId=", 200, COMPLETED);
    assert_int_equal(upload(f, &version), DP_OK);
    assert_int_equal(http_server_count(f->server), 5);
    open_for_uploads(f);
    remote_answer(f, "POST /bkt/k?uploadId=", 200,
                  "<Error><Code>InvalidPart</Code><Message>one is missing</Message></Error>");
    assert_int_equal(upload(f, &version), DP_IO);
    expect_says(f, "InvalidPart: one is missing");
    struct http_seen last = remote_last_seen(f);
    assert_string_equal(last.method, "DELETE");
    assert_string_equal(last.target, "/bkt/k?uploadId=u%2F1%26");
}

static void test_store_s3_uploads_that_fail_are_taken_back(void **state)
{
    struct remote_fixture *f = *state;
    struct store_version version;
    open_for_uploads(f);
    remote_answer(f, "PUT /bkt/k?partNumber=2", 403, "<Error><Code>AccessDenied</Code></Error>");
    assert_int_equal(upload(f, &version), DP_DENIED);
    assert_string_equal(remote_last_seen(f).method, "DELETE");
    open_for_uploads(f);
    remote_answer(f, "PUT /bkt/k?partNumber=1", 403, "<Error><Code>AccessDenied</Code></Error>");
    assert_int_equal(upload(f, &version), DP_DENIED);
    assert_string_equal(remote_last_seen(f).method, "DELETE");
    open_for_uploads(f);
    http_server_reset(f->server);
    remote_answer(f, "POST /bkt/k?uploads= ", 200, "<InitiateMultipartUploadResult/>");
    assert_int_equal(upload(f, &version), DP_IO);
    assert_string_equal(remote_last_seen(f).method, "POST");
}

/* If the answer to a completion is lost, the upload may be complete, so the store must not abort it. */
static void test_store_s3_completions_whose_answer_is_lost(void **state)
{
    struct remote_fixture *f = *state;
    struct store_version version;
    open_for_uploads(f);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_DROP, .match = "POST /bkt/k?uploadId="});
    remote_answer(f, "POST /bkt/k?uploadId=", 404, "<Error><Code>NoSuchUpload</Code></Error>");
    assert_int_equal(upload(f, &version), DP_UNKNOWN);
    assert_string_equal(remote_last_seen(f).method, "POST");
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

static enum dp_status walk(struct remote_fixture *f, struct call *call)
{
    const struct store_options options = {.transport = f->transport, .settings = {{"s3", &f->settings}}};
    struct store *store;
    enum dp_status status = store_open_with(call, span_str("s3://bkt/pre"), &options, &store);
    if (status != DP_OK)
        return status;
    struct store_put put = {.key = span_str("k"), .body = span_str("body")};
    struct store_read_req req = {.key = span_str("k"), .offset = 1, .len = 2};
    struct store_info info;
    struct store_listing listing;
    status = store_put(call, store, &put);
    if (status == DP_OK) {
        status = store_read(call, store, &req, 1);
        store_read_release(&req, 1);
    }
    if (status == DP_OK)
        status = store_head(call, store, span_str("k"), &info);
    if (status == DP_OK)
        status = store_list(call, store, span_str("k"), span_str("j"), true, 5, &listing);
    if (status == DP_OK)
        status = store_remove(call, store, span_str("k"));
    store_free(store);
    return status;
}

static void test_store_s3_failed_allocations(void **state)
{
    struct remote_fixture *f = *state;
    for (size_t n = 1;; n++) {
        struct arena arena;
        struct call call;
        http_server_reset(f->server);
        remote_answer(f, "GET /bkt?", 200,
                      "<ListBucketResult><Contents><Key>pre/k</Key><Size>4</Size></Contents></ListBucketResult>");
        size_t before = test_alloc_live();
        arena_init(&arena, 16 << 20);
        call_init(&call, &arena);
        test_alloc_fail_at(n);
        enum dp_status status = walk(f, &call);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        arena_deinit(&arena);
        /* A write that was sent may end as DP_UNKNOWN. The removal of the checking object may fail; the object
         * then stays. */
        bool told = fired && strstr(call.error.message, "out of memory");
        if (status != DP_OK && !told)
            fail_msg("allocation %zu: %s: %s", n, dp_status_name(status), call.error.message);
        if (test_alloc_live() > before + 64) /* the transport may keep one more handle */
            fail_msg("allocation %zu leaks", n);
        if (!fired)
            break;
    }
}

/* Google's S3 interoperability is refused before any request. */
static void test_store_s3_does_not_write_to_google(void **state)
{
    struct remote_fixture *f = *state;
    static const char *const endpoints[] = {"https://storage.googleapis.com",
                                            "https://storage.googleapis.com:443"};
    for (unsigned i = 0; i < 4; i++) {
        f->settings.endpoint_url = endpoints[i % 2];
        f->settings.addressing = i < 2 ? S3_ADDRESSING_PATH : S3_ADDRESSING_HOST;
        remote_must_open(f, "s3://bkt/p");
        assert_int_equal(put(f, "k", STORE_ANY, NULL), DP_UNSUPPORTED);
        expect_says(f, "s3://bkt/p: Google drops the conditions of puts");
        expect_says(f, "write to gs://bkt");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REMOTE_CASE(test_store_s3_where_requests_go),
        REMOTE_CASE(test_store_s3_does_not_write_to_google),
        REMOTE_CASE(test_store_s3_refuses_bad_roots_and_settings),
        REMOTE_CASE(test_store_s3_signs_what_it_sends),
        REMOTE_CASE(test_store_s3_names_the_bucket_in_the_host),
        REMOTE_CASE(test_store_s3_sends_no_keys_when_told),
        REMOTE_CASE(test_store_s3_needs_keys),
        REMOTE_CASE(test_store_s3_fetches_new_keys_when_they_expired),
        REMOTE_CASE(test_store_s3_tells_what_to_do),
        REMOTE_CASE(test_store_s3_tells_a_refusal_that_may_hide_a_missing_object),
        REMOTE_CASE(test_store_s3_head),
        REMOTE_CASE(test_store_s3_heads_that_are_refused),
        REMOTE_CASE(test_store_s3_retries_transient_errors),
        REMOTE_CASE(test_store_s3_resumes_into_errors),
        REMOTE_CASE(test_store_s3_ranges_behind_the_end),
        REMOTE_CASE(test_store_s3_asks_once_whether_conditions_hold),
        REMOTE_CASE(test_store_s3_never_writes_where_conditions_are_ignored),
        REMOTE_CASE(test_store_s3_checks_again_after_a_failed_check),
        REMOTE_CASE(test_store_s3_conditional_puts),
        REMOTE_CASE(test_store_s3_puts_whose_answer_is_lost),
        REMOTE_CASE(test_store_s3_removals),
        REMOTE_CASE(test_store_s3_lists_pages),
        REMOTE_CASE(test_store_s3_lists_in_order),
        REMOTE_CASE(test_store_s3_lists_that_make_no_progress),
        REMOTE_CASE(test_store_s3_lists_only_valid_keys),
        REMOTE_CASE(test_store_s3_lists_after_a_key),
        REMOTE_CASE(test_store_s3_refuses_bad_listings),
        REMOTE_CASE(test_store_s3_uploads_in_parts),
        REMOTE_CASE(test_store_s3_completions_take_their_time),
        REMOTE_CASE(test_store_s3_small_uploads_are_puts),
        REMOTE_CASE(test_store_s3_errors_inside_200),
        REMOTE_CASE(test_store_s3_uploads_that_fail_are_taken_back),
        REMOTE_CASE(test_store_s3_completions_whose_answer_is_lost),
        REMOTE_CASE(test_store_s3_failed_allocations),
    };
    return test_run(tests);
}
