/* test_s3_outcomes.c: the outcome of a write to S3 after a try without a clear answer. Unless a later try succeeds,
 * the write is DP_UNKNOWN, because the unclear try may have been carried out, or may be carried out later.
 *
 * Puts are tested with each kind of unclear first try, each answer to the next try, and each condition. Two tests of
 * their own cover failing allocations, and keys that expire and cannot be renewed.
 */
#include "remote_fixture.h"

#include <stdio.h>
#include <stdlib.h>

/* The ways in which a first try gets no clear answer. */
static const struct {
    enum http_act_kind kind;
    const char *name;
    bool lands; /* the write lands before the next try */
} FIRSTS[] = {
    {HTTP_ACT_DROP, "swallowed", false},
    {HTTP_ACT_LOSE, "done, closed without an answer", true},
    {HTTP_ACT_RESET, "done, reset after the body", true},
    {HTTP_ACT_LATE, "done after the next try", false},
    {HTTP_ACT_TWICE, "done, and again after the next try", true},
};
enum { FIRST_COUNT = sizeof FIRSTS / sizeof *FIRSTS };

/* The answers to the next try. If the store retries after this answer, it gets the same answer again. */
static const struct {
    int code;
    const char *text;
} SECONDS[] = {
    {301, "<Error><Code>PermanentRedirect</Code></Error>"},
    {307, "<Error><Code>TemporaryRedirect</Code></Error>"},
    {400, "<Error><Code>BadDigest</Code><Message>m</Message></Error>"},
    {400, "<Error><Code>ExpiredToken</Code></Error>"},
    {400, "<Error><Code>RequestTimeout</Code></Error>"},
    {400, "no XML"},
    {401, ""},
    {403, "<Error><Code>AccessDenied</Code></Error>"},
    {403, "<Error><Code>RequestTimeTooSkewed</Code></Error>"},
    {403, "<Error><Code>InvalidAccessKeyId</Code></Error>"},
    {404, "<Error><Code>NoSuchBucket</Code></Error>"},
    {404, "<Error><Code>NoSuchKey</Code></Error>"},
    {404, "<Error><Code>NoSuchUpload</Code></Error>"},
    {405, "<Error><Code>MethodNotAllowed</Code></Error>"},
    {408, ""},
    {409, "<Error><Code>ConditionalRequestConflict</Code></Error>"},
    {409, "<Error><Code>ObjectParentIsFile</Code></Error>"},
    {411, ""},
    {412, "<Error><Code>PreconditionFailed</Code></Error>"},
    {413, "<Error><Code>EntityTooLarge</Code></Error>"},
    {429, ""},
    {500, "<Error><Code>InternalError</Code></Error>"},
    {501, "<Error><Code>NotImplemented</Code></Error>"},
    {503, "<Error><Code>SlowDown</Code></Error>"},
    {505, ""},
    {507, "<Error><Code>XMinioStorageFull</Code></Error>"},
};
enum { SECOND_COUNT = sizeof SECONDS / sizeof *SECONDS };

static const enum store_condition CONDITIONS[] = {STORE_ANY, STORE_IF_ABSENT, STORE_IF_VERSION};
enum { CONDITION_COUNT = sizeof CONDITIONS / sizeof *CONDITIONS };

/* Opens the store and lets it check conditional writes, so that the next requests are the test's. */
static void open_store(struct remote_fixture *f)
{
    remote_must_open(f, "s3://bkt");
    assert_int_equal(remote_put(&f->call, f->store, "warm", "mine", STORE_ANY, ""), DP_OK);
    http_server_reset(f->server);
}

static void script(struct remote_fixture *f, enum http_act_kind kind, int code, const char *text,
                   const char *match)
{
    http_server_script(
        f->server,
        (struct http_act){
            .kind = kind, .code = code, .text = text, .match = match, .times = code ? REMOTE_TRIES : 1});
}

static void expect_unknown(const struct remote_fixture *f, enum dp_status status, const char *first, int code,
                           const char *second)
{
    if (status != DP_UNKNOWN || f->call.error.status != DP_UNKNOWN ||
        !strstr(f->call.error.message, "may or may not"))
        fail_msg("%s, then %d %s: %s: %s", first, code, second, dp_status_name(status), f->call.error.message);
    assert_null(strstr(f->call.error.message, "hush"));
}

/* Puts the old object that the case needs, or removes it. Returns its ETag. */
static const char *begin_case(struct remote_fixture *f, enum store_condition condition)
{
    http_server_reset(f->server);
    http_server_put(f->server, "/bkt/k", span_str("old"));
    if (condition != STORE_IF_ABSENT)
        return http_server_etag(f->server, "/bkt/k");
    assert_int_equal(store_remove(&f->call, f->store, span_str("k")), DP_OK);
    return "";
}

static void test_store_s3_puts_after_an_unclear_try(void **state)
{
    struct remote_fixture *f = *state;
    open_store(f);
    for (size_t i = 0; i < (size_t)FIRST_COUNT * SECOND_COUNT * CONDITION_COUNT; i++) {
        enum store_condition condition = CONDITIONS[i % CONDITION_COUNT];
        size_t first = i / CONDITION_COUNT % FIRST_COUNT, second = i / CONDITION_COUNT / FIRST_COUNT;
        const char *etag = begin_case(f, condition);
        script(f, FIRSTS[first].kind, 0, NULL, "PUT /bkt/k ");
        script(f, HTTP_ACT_STATUS, SECONDS[second].code, SECONDS[second].text, "PUT /bkt/k ");
        enum dp_status status = remote_put(&f->call, f->store, "k", "mine", condition, etag);
        expect_unknown(f, status, FIRSTS[first].name, SECONDS[second].code, SECONDS[second].text);
    }
}

/* The next try is served: it lands, or meets an object that may be the first try's. */
static void test_store_s3_puts_tried_again(void **state)
{
    struct remote_fixture *f = *state;
    open_store(f);
    for (size_t i = 0; i < (size_t)FIRST_COUNT * CONDITION_COUNT; i++) {
        enum store_condition condition = CONDITIONS[i % CONDITION_COUNT];
        size_t first = i / CONDITION_COUNT;
        const char *etag = begin_case(f, condition);
        script(f, FIRSTS[first].kind, 0, NULL, "PUT /bkt/k ");
        enum dp_status status = remote_put(&f->call, f->store, "k", "mine", condition, etag);
        if (condition != STORE_ANY && FIRSTS[first].lands)
            expect_unknown(f, status, FIRSTS[first].name, 412, "");
        else if (status != DP_OK)
            fail_msg("%s: %s: %s", FIRSTS[first].name, dp_status_name(status), f->call.error.message);
        assert_true(http_server_has(f->server, "/bkt/k"));
    }
}

/* A malformed answer ends a put that may have landed. */
static void test_store_s3_puts_with_malformed_answers(void **state)
{
    struct remote_fixture *f = *state;
    static const struct http_act answers[] = {
        {.kind = HTTP_ACT_HUGE_HEAD},
        {.kind = HTTP_ACT_ENDLESS},
        {.kind = HTTP_ACT_RAW, .text = "this is no HTTP\r\n\r\n"},
        {.kind = HTTP_ACT_RAW, .text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, /* no ETag */
    };
    open_store(f);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct http_act act = answers[i];
        begin_case(f, STORE_IF_ABSENT);
        act.match = "PUT /bkt/k ";
        http_server_script(f->server, act);
        enum dp_status status = remote_put(&f->call, f->store, "k", "mine", STORE_IF_ABSENT, "");
        if (status != DP_UNKNOWN)
            fail_msg("answer %zu: %s: %s", i, dp_status_name(status), f->call.error.message);
    }
}

/* The first try lands without an answer. The next try is refused because its keys have expired, and there are
 * no new keys. */
static void test_store_s3_puts_without_keys_to_try_again(void **state)
{
    struct remote_fixture *f = *state;
    static const char keys[] = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hush\",\"Token\":\"T\","
                               "\"Expiration\":\"2039-01-01T00:00:00Z\"}";
    http_server_put(f->server, "/creds", span_str(keys));
    f->settings.access_key_id = f->settings.secret_access_key = NULL;
    f->settings.home = "/nonexistent";
    f->settings.container_full_uri =
        (const char *)arena_copy(&f->arena, span_str(http_server_url(f->server, "/creds"))).data;
    open_store(f);
    script(f, HTTP_ACT_LOSE, 0, NULL, "PUT /bkt/k ");
    script(f, HTTP_ACT_STATUS, 400, "<Error><Code>ExpiredToken</Code></Error>", "PUT /bkt/k ");
    script(f, HTTP_ACT_STATUS, 403, "", "GET /creds");
    expect_unknown(f, remote_put(&f->call, f->store, "k", "mine", STORE_IF_ABSENT, ""), "done", 400,
                   "ExpiredToken, no keys");
    assert_true(http_server_has(f->server, "/bkt/k"));
}

static void test_store_s3_removals_after_an_unclear_try(void **state)
{
    struct remote_fixture *f = *state;
    open_store(f);
    for (size_t i = 0; i < (size_t)FIRST_COUNT * SECOND_COUNT; i++) {
        size_t first = i % FIRST_COUNT, second = i / FIRST_COUNT;
        if (SECONDS[second].code == 404 && !strstr(SECONDS[second].text, "Bucket"))
            continue; /* a missing object is a removal's success */
        begin_case(f, STORE_ANY);
        script(f, FIRSTS[first].kind, 0, NULL, "DELETE /bkt/k ");
        script(f, HTTP_ACT_STATUS, SECONDS[second].code, SECONDS[second].text, "DELETE /bkt/k ");
        dp_error_clear(&f->call.error);
        enum dp_status status = store_remove(&f->call, f->store, span_str("k"));
        expect_unknown(f, status, FIRSTS[first].name, SECONDS[second].code, SECONDS[second].text);
    }
}

/* ---- uploads --------------------------------------------------------------------------------------------- */

/* Uploads one part and a byte. */
static enum dp_status upload(struct remote_fixture *f)
{
    static uint8_t bytes[S3_PART_BYTES + 1];
    struct store_upload *u;
    struct store_version version;
    dp_error_clear(&f->call.error);
    assert_int_equal(store_upload_begin(&f->call, f->store, span_str("k"), &u), DP_OK);
    assert_int_equal(store_upload_write(&f->call, u, span_of(bytes, sizeof bytes)), DP_OK);
    return store_upload_finish(&f->call, u, &version);
}

static void test_store_s3_completions_after_an_unclear_try(void **state)
{
    struct remote_fixture *f = *state;
    static const char begun[] =
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    static const struct {
        int code;
        const char *text;
    } in_200[] = {{200, "<Error><Code>InvalidPart</Code></Error>"},
                  {200, "<Error><Code>InternalError</Code></Error>"},
                  {200, "<CompleteMultipartUploadResult/>"},
                  {200, ""}};
    open_store(f);
    for (size_t i = 0; i < SECOND_COUNT + sizeof in_200 / sizeof *in_200; i++) {
        int code = i < SECOND_COUNT ? SECONDS[i].code : in_200[i - SECOND_COUNT].code;
        const char *text = i < SECOND_COUNT ? SECONDS[i].text : in_200[i - SECOND_COUNT].text;
        http_server_reset(f->server);
        http_server_script(
            f->server, (struct http_act){
                           .kind = HTTP_ACT_STATUS, .code = 200, .text = begun, .match = "POST /bkt/k?uploads= "});
        script(f, HTTP_ACT_DROP, 0, NULL, "POST /bkt/k?uploadId=");
        script(f, HTTP_ACT_STATUS, code, text, "POST /bkt/k?uploadId=");
        enum dp_status status = upload(f);
        if (status != DP_UNKNOWN)
            fail_msg("%d %s: %s: %s", code, text, dp_status_name(status), f->call.error.message);
        /* The upload may be complete, so the store does not abort it. */
        struct http_seen last = remote_last_seen(f);
        assert_string_equal(last.method, "POST");
    }
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

/* With each allocation failing in turn, a put whose object has landed ends as DP_OK or DP_UNKNOWN, never as
 * failed. */
static void test_store_s3_puts_with_failed_allocations(void **state)
{
    struct remote_fixture *f = *state;
    static const enum http_act_kind kinds[] = {HTTP_ACT_SERVE, HTTP_ACT_LOSE, HTTP_ACT_RESET};
    open_store(f);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t n = 1;; n = test_alloc_next(n)) {
            struct arena arena;
            struct call call;
            http_server_reset(f->server);
            begin_case(f, STORE_IF_ABSENT);
            script(f, kinds[k], 0, NULL, "PUT /bkt/k ");
            arena_init(&arena, 16 << 20);
            call_init(&call, &arena);
            test_alloc_fail_at(n);
            enum dp_status status = remote_put(&call, f->store, "k", "mine", STORE_IF_ABSENT, "");
            bool fired = test_alloc_fired();
            test_alloc_fail_at(0);
            bool sent = http_server_unused(f->server) == 0;
            bool good = kinds[k] == HTTP_ACT_SERVE ? status == DP_OK || (fired && status == DP_UNKNOWN)
                                                   : status == DP_UNKNOWN;
            if (!(sent ? good : fired && status == DP_NOMEM))
                fail_msg("kind %zu, allocation %zu: %s: %s", k, n, dp_status_name(status), call.error.message);
            arena_deinit(&arena);
            if (!fired)
                break;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REMOTE_CASE(test_store_s3_puts_after_an_unclear_try),
        REMOTE_CASE(test_store_s3_puts_tried_again),
        REMOTE_CASE(test_store_s3_puts_with_malformed_answers),
        REMOTE_CASE(test_store_s3_puts_without_keys_to_try_again),
        REMOTE_CASE(test_store_s3_removals_after_an_unclear_try),
        REMOTE_CASE(test_store_s3_completions_after_an_unclear_try),
        REMOTE_CASE(test_store_s3_puts_with_failed_allocations),
    };
    return test_run(tests);
}
