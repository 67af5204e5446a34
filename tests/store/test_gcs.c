/* test_gcs.c: the Google Cloud Storage store against the scripted server: the requests that it sends, the meaning of
 * answers, and lost answers. The contract suite runs over the same server in test_contract.c, and over an emulator in
 * tests/e2e/test_gcs.py.
 *
 * Shapes of requests: the examples of "Objects: insert", "Objects: list", "Perform resumable uploads" and "Request
 * preconditions", Cloud Storage documentation. */
#include "remote_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "gcs_dialect.h"
#include "store/gcs/answers.h"
#include "store/gcs/gcs.h"

enum { MIB = 1 << 20 };

static int set_up(void **state)
{
    return remote_set_up_dialect(state, &GCS_DIALECT);
}

static int set_up_careless(void **state)
{
    return remote_set_up_dialect(state, &GCS_DIALECT_WITHOUT_CONDITIONS);
}

static int set_up_short_chunks(void **state)
{
    return remote_set_up_dialect(state, &GCS_DIALECT_WITH_SHORT_CHUNKS);
}

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
                          const char *version)
{
    return remote_put(&f->call, f->store, key, "body", condition, version);
}

static void expect_says(const struct remote_fixture *f, const char *says)
{
    if (!strstr(f->call.error.message, says))
        fail_msg("\"%s\" does not contain \"%s\"", f->call.error.message, says);
}

static void expect_target(struct remote_fixture *f, const char *method, const char *target)
{
    struct http_seen seen = remote_last_seen(f);
    if (strcmp(seen.method, method) != 0 || strcmp(seen.target, target) != 0)
        fail_msg("%s %s is not %s %s", seen.method, seen.target, method, target);
}

/* Opens a root and passes its probe, so that later requests are the test's own. */
static void open_probed(struct remote_fixture *f, const char *root)
{
    remote_must_open(f, root);
    assert_int_equal(gcs_probe(&f->call, gcs_of(f->store)), DP_OK);
    http_server_reset(f->server);
}

/* ---- opening --------------------------------------------------------------------------------------------- */

static void test_store_gcs_where_requests_go(void **state)
{
    struct remote_fixture *f = *state;
    const struct {
        const char *endpoint, *emulator, *origin;
        bool vouched;
    } cases[] = {
        {"", "", "https://storage.googleapis.com", true},
        {"https://storage-x.p.googleapis.com/", "", "https://storage-x.p.googleapis.com", true},
        {"http://storage.googleapis.com", "", "http://storage.googleapis.com", false},
        {"https://storage.googleapis.com.evil", "", "https://storage.googleapis.com.evil", false},
        {"https://h/base/", "", "https://h/base", false},
        {"", "localhost:4443", "http://localhost:4443", false},
        {"https://h", "http://localhost:4443/", "http://localhost:4443", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->gcs.endpoint_url = cases[i].endpoint;
        f->gcs.emulator_host = cases[i].emulator;
        remote_must_open(f, "gs://bkt/a/b/");
        const struct gcs_store *gcs = gcs_of(f->store);
        assert_true(span_equal_str(gcs->origin, cases[i].origin));
        assert_int_equal(gcs->vouched, cases[i].vouched);
        assert_true(span_equal_str(gcs->root.prefix, "a/b/"));
    }
    assert_int_equal(http_server_count(f->server), 0);
}

static void test_store_gcs_refuses_bad_roots_and_settings(void **state)
{
    struct remote_fixture *f = *state;
    const char *const roots[] = {"gs://",           "gs:///k",       "gs://ab",        "gs://-bkt",
                                 "gs://b kt",       "gs://u@bkt",    "gs://bkt:80",    "gs://bkt//a",
                                 "gs://bkt/..",     "gs://bkt/\x01", "gs://b\xc3\xa9", "gs://bkt?a=b",
                                 "gs://bkt/.dipper"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        if (remote_open(f, roots[i], (struct store_options){0}) != DP_INVALID)
            fail_msg("%s was accepted", roots[i]);
        assert_null(f->store);
        expect_says(f, "gs://");
    }
    const char *const endpoints[] = {"h:9000",       "ftp://h",      "http://",   "http://u:p@h",
                                     "http://h?a=b", "http://h/a b", "http://h#x"};
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        f->gcs.endpoint_url = endpoints[i];
        if (remote_open(f, "gs://bkt", (struct store_options){0}) != DP_INVALID)
            fail_msg("%s was accepted", endpoints[i]);
        expect_says(f, "DIPPER_GCS_ENDPOINT_URL: write http://host:port");
    }
    f->gcs.anonymous = false;
    f->gcs.endpoint_url = "http://storage.googleapis.com";
    assert_int_equal(remote_open(f, "gs://bkt", (struct store_options){0}), DP_INVALID);
    expect_says(f, "http://storage.googleapis.com would get the token in clear text");
    f->gcs.endpoint_url = "http://127.0.0.1:1";
    remote_must_open(f, "gs://bkt");
}

/* ---- requests -------------------------------------------------------------------------------------------- */

static void test_store_gcs_requests_of_puts_and_reads(void **state)
{
    struct remote_fixture *f = *state;
    open_probed(f, "gs://bkt/pre/fix");
    assert_int_equal(put(f, "a b/\xc3\xa9+", STORE_IF_ABSENT, NULL), DP_OK);
    expect_target(f, "POST",
                  "/upload/storage/v1/b/bkt/o?name=pre%2Ffix%2Fa%20b%2F%C3%A9%2B&uploadType=media"
                  "&fields=generation%2Csize&ifGenerationMatch=0");
    struct http_seen seen = remote_last_seen(f);
    assert_string_equal(seen.body, "body");
    assert_non_null(strstr(seen.head, "Content-Type: application/octet-stream\r\n"));
    assert_null(strstr(seen.head, "Authorization"));
    assert_int_equal(put(f, "k", STORE_ANY, NULL), DP_OK);
    expect_target(f, "POST",
                  "/upload/storage/v1/b/bkt/o?name=pre%2Ffix%2Fk&uploadType=media&fields=generation%2Csize");
    assert_int_equal(put(f, "k", STORE_IF_VERSION, "77"), DP_CONFLICT);
    expect_target(f, "POST",
                  "/upload/storage/v1/b/bkt/o?name=pre%2Ffix%2Fk&uploadType=media&fields=generation%2Csize"
                  "&ifGenerationMatch=77");
    struct store_read_req req = {.key = span_str("k"), .offset = 1, .len = 2};
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
    expect_target(f, "GET", "/storage/v1/b/bkt/o/pre%2Ffix%2Fk?alt=media");
    assert_non_null(strstr(remote_last_seen(f).head, "Range: bytes=1-2\r\n"));
    struct store_version version = req.version;
    store_read_release(&req, 1);
    req.pinned = &version;
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
    char target[256];
    snprintf(target, sizeof target, "/storage/v1/b/bkt/o/pre%%2Ffix%%2Fk?alt=media&ifGenerationMatch=%.*s",
             version.len, version.token);
    expect_target(f, "GET", target);
    assert_null(strstr(remote_last_seen(f).head, "If-Match"));
    store_read_release(&req, 1);
    req.if_changed = true;
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
    assert_true(req.unchanged);
    assert_non_null(strstr(remote_last_seen(f).target, "&ifGenerationNotMatch="));
    store_read_release(&req, 1);
    assert_int_equal(store_remove(&f->call, f->store, span_str("k")), DP_OK);
    expect_target(f, "DELETE", "/storage/v1/b/bkt/o/pre%2Ffix%2Fk");
}

static void test_store_gcs_requests_of_listings(void **state)
{
    struct remote_fixture *f = *state;
    struct store_listing listing;
    remote_must_open(f, "gs://bkt/p");
    assert_int_equal(store_list(&f->call, f->store, span_str("a/"), span_str(""), false, 10, &listing), DP_OK);
    expect_target(f, "GET",
                  "/storage/v1/b/bkt/o?maxResults=11&fields=items%28name%2Csize%29%2Cprefixes%2CnextPageToken"
                  "&prefix=p%2Fa%2F");
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str("b"), true, 2000, &listing), DP_OK);
    expect_target(f, "GET",
                  "/storage/v1/b/bkt/o?maxResults=1000&fields=items%28name%2Csize%29%2Cprefixes%2CnextPageToken"
                  "&prefix=p%2F&delimiter=%2F&startOffset=p%2Fb");
}

static void test_store_gcs_user_project_pays(void **state)
{
    struct remote_fixture *f = *state;
    f->gcs.user_project = "my-project";
    remote_must_open(f, "gs://bkt");
    remote_answer(f, "GET ", 400,
                  "{\"error\":{\"code\":400,\"message\":\"Bucket is requester pays bucket but no user project "
                  "provided.\",\"errors\":[{\"reason\":\"required\"}]}}");
    assert_int_equal(read_all(f, "k", ""), DP_INVALID);
    expect_says(f, "set GOOGLE_CLOUD_QUOTA_PROJECT");
    expect_target(f, "GET", "/storage/v1/b/bkt/o/k?alt=media&userProject=my-project");
}

/* A pinned read fails if the answer shows another generation, even if the store ignores the condition of the URL. */
static void test_store_gcs_pins_by_the_answer_too(void **state)
{
    struct remote_fixture *f = *state;
    const struct store_version other = {.len = 3, .token = "777"}, alien = {.len = 3, .token = "\"e\""};
    open_probed(f, "gs://bkt");
    assert_int_equal(put(f, "k", STORE_ANY, NULL), DP_OK);
    struct store_read_req req = {.key = span_str("k"), .len = STORE_TO_END, .pinned = &other};
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                    .code = 200,
                                                    .lines = "x-goog-generation: 778\r\n",
                                                    .text = "body"});
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_STALE);
    req.pinned = &alien;
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_STALE);
    assert_null(strstr(remote_last_seen(f).target, "ifGeneration"));
    http_server_script(
        f->server,
        (struct http_act){.kind = HTTP_ACT_STATUS, .code = 200, .lines = "ETag: \"x\"\r\n", .text = "b"});
    req.pinned = NULL;
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_UNSUPPORTED);
}

/* A read that breaks off resumes at its offset if the object has the same generation, and starts anew otherwise. */
static void test_store_gcs_broken_reads_never_mix_generations(void **state)
{
    struct remote_fixture *f = *state;
    open_probed(f, "gs://bkt");
    assert_int_equal(put(f, "k", STORE_ANY, NULL), DP_OK);
    http_server_reset(f->server);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_RESET, .at = 2, .match = "GET "});
    assert_int_equal(read_all(f, "k", "body"), DP_OK);
    assert_int_equal(http_server_count(f->server), 2);
    assert_non_null(strstr(remote_last_seen(f).head, "Range: bytes=2-"));
    if (test_emulated()) /* a program under QEMU does not notice each reset of a connection */
        return;
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_RESET, .at = 2, .match = "GET "});
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_CHANGE, .match = "GET "});
    assert_int_equal(read_all(f, "k", "CCCC"), DP_OK);
}

/* ---- writes ---------------------------------------------------------------------------------------------- */

static void test_store_gcs_probes_an_unknown_endpoint_once(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "gs://bkt");
    assert_int_equal(put(f, "a", STORE_ANY, NULL), DP_OK);
    assert_int_equal(http_server_count(f->server), 5); /* three puts, a removal, and the caller's put */
    assert_int_equal(put(f, "b", STORE_IF_ABSENT, NULL), DP_OK);
    assert_int_equal(http_server_count(f->server), 6);
}

static void test_store_gcs_refuses_a_store_without_conditions(void **state)
{
    struct remote_fixture *f = *state;
    remote_must_open(f, "gs://bkt");
    http_server_put(f->server, "/bkt/k", span_str("there"));
    assert_int_equal(put(f, "a", STORE_ANY, NULL), DP_UNSUPPORTED);
    expect_says(f, "ignores If-None-Match");
    expect_says(f, "Dipper reads there, but does not write");
    assert_int_equal(put(f, "a", STORE_ANY, NULL), DP_UNSUPPORTED);
    assert_int_equal(read_all(f, "k", "there"), DP_OK);
}

static void test_store_gcs_lost_answers_of_puts(void **state)
{
    struct remote_fixture *f = *state;
    open_probed(f, "gs://bkt");
    const struct {
        enum http_act_kind kind;
        enum store_condition condition;
        enum dp_status want;
    } cases[] = {
        {HTTP_ACT_LOSE, STORE_IF_ABSENT, DP_UNKNOWN},  {HTTP_ACT_LOSE, STORE_ANY, DP_OK},
        {HTTP_ACT_DROP, STORE_IF_ABSENT, DP_OK},       {HTTP_ACT_TWICE, STORE_IF_ABSENT, DP_UNKNOWN},
        {HTTP_ACT_RESET, STORE_IF_ABSENT, DP_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%zu", i);
        http_server_script(f->server, (struct http_act){.kind = cases[i].kind, .match = "POST "});
        if (put(f, key, cases[i].condition, NULL) != cases[i].want)
            fail_msg("case %zu: %s", i, f->call.error.message);
        assert_int_equal(read_all(f, key, "body"), DP_OK);
    }
}

static void test_store_gcs_unclear_answers_of_puts(void **state)
{
    struct remote_fixture *f = *state;
    open_probed(f, "gs://bkt");
    const char *const bodies[] = {"",
                                  "{}",
                                  "<html>",
                                  "{\"generation\":\"5\"}",
                                  "{\"generation\":\"x\",\"size\":\"4\"}",
                                  "{\"generation\":\"5\",\"size\":\"3\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        remote_answer(f, "POST ", 200, bodies[i]);
        assert_int_equal(put(f, "k", STORE_ANY, NULL), DP_UNKNOWN);
        expect_says(f, "gs://bkt/k: the store took the object, but");
    }
    remote_answer(f, "POST ", 404, "{\"error\":{\"message\":\"The specified bucket does not exist.\"}}");
    assert_int_equal(put(f, "k", STORE_IF_VERSION, "5"), DP_INVALID);
    expect_says(f, "there is no bucket \"bkt\"");
    remote_answer(f, "POST ", 404, "{\"error\":{\"message\":\"No such object: bkt/k\"}}");
    assert_int_equal(put(f, "k", STORE_IF_VERSION, "5"), DP_CONFLICT);
    expect_says(f, "k is gone");
}

static void test_store_gcs_names_are_at_most_1024_bytes(void **state)
{
    struct remote_fixture *f = *state;
    char key[1020];
    open_probed(f, "gs://bkt/prefix");
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = i % 200 == 199 ? '/' : 'k';
    key[sizeof key - 1] = '\0';
    assert_int_equal(put(f, key, STORE_ANY, NULL), DP_INVALID);
    expect_says(f, "at most 1024 bytes");
}

/* ---- uploads --------------------------------------------------------------------------------------------- */

static enum dp_status upload(struct remote_fixture *f, const char *key, size_t size, struct store_version *version)
{
    struct store_upload *u;
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    dp_error_clear(&f->call.error);
    enum dp_status status = store_upload_begin(&f->call, f->store, span_str(key), &u);
    for (size_t at = 0; status == DP_OK && at < size; at += MIB)
        status = store_upload_write(&f->call, u, span_of(bytes + at, size - at < MIB ? size - at : MIB));
    if (status == DP_OK)
        status = store_upload_finish(&f->call, u, version);
    else
        store_upload_abort(u);
    if (status == DP_OK) {
        struct store_read_req req = {.key = span_str(key), .len = STORE_TO_END, .pinned = version};
        assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
        assert_true(span_equal(req.bytes.span, span_of(bytes, size)));
        store_read_release(&req, 1);
    }
    free(bytes);
    return status;
}

static void test_store_gcs_uploads(void **state)
{
    struct remote_fixture *f = *state;
    struct store_version version;
    open_probed(f, "gs://bkt");
    assert_int_equal(upload(f, "small", 8 * MIB, &version), DP_OK);
    assert_int_equal(http_server_count(f->server), 2); /* a put and the read */
    http_server_reset(f->server);
    assert_int_equal(upload(f, "large", 17 * MIB + 5, &version), DP_OK);
    struct http_seen begin = http_server_seen(f->server, 0), one = http_server_seen(f->server, 1),
                     last = http_server_seen(f->server, 3);
    assert_string_equal(begin.target,
                        "/upload/storage/v1/b/bkt/o?name=large&uploadType=resumable&fields=generation%2Csize");
    assert_non_null(strstr(begin.head, "X-Upload-Content-Type: application/octet-stream\r\n"));
    assert_int_equal(begin.body_len, 0);
    assert_string_equal(one.method, "PUT");
    assert_non_null(strstr(one.target, "&upload_id="));
    assert_non_null(strstr(one.head, "Content-Range: bytes 0-8388607/*\r\n"));
    assert_non_null(strstr(last.head, "Content-Range: bytes 16777216-17825796/17825797\r\n"));
}

static void test_store_gcs_uploads_send_again_what_was_not_kept(void **state)
{
    struct remote_fixture *f = *state;
    struct store_version version;
    open_probed(f, "gs://bkt");
    assert_int_equal(upload(f, "large", 9 * MIB + 5, &version), DP_OK);
    assert_true(http_server_count(f->server) > 36);
}

static void test_store_gcs_uploads_survive_lost_answers(void **state)
{
    struct remote_fixture *f = *state;
    struct store_version version;
    const struct {
        const char *match;
        enum http_act_kind kind;
    } cases[] = {
        {"POST ", HTTP_ACT_LOSE},
        {"Content-Range: bytes 0-", HTTP_ACT_LOSE},
        {"Content-Range: bytes 0-", HTTP_ACT_DROP},
        {"Content-Range: bytes 8388608-9", HTTP_ACT_LOSE},
        {"Content-Range: bytes 8388608-9", HTTP_ACT_RESET},
    };
    open_probed(f, "gs://bkt");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        http_server_script(f->server, (struct http_act){.kind = cases[i].kind, .match = cases[i].match});
        if (upload(f, "large", 9 * MIB, &version) != DP_OK)
            fail_msg("case %zu: %s", i, f->call.error.message);
        assert_int_equal(http_server_unused(f->server), 0);
    }
}

static void test_store_gcs_uploads_that_fail(void **state)
{
    struct remote_fixture *f = *state;
    struct store_version version;
    open_probed(f, "gs://bkt");
    remote_answer(f, "PUT ", 410, "");
    assert_int_equal(upload(f, "large", 9 * MIB, &version), DP_UNAVAILABLE);
    expect_says(f, "gs://bkt/large: the upload broke off: begin it again");
    http_server_reset(f->server);
    for (unsigned i = 0; i < 4; i++)
        remote_answer(f, "PUT ", 308, "");
    assert_int_equal(upload(f, "large", 9 * MIB, &version), DP_UNAVAILABLE);
    expect_says(f, "the store keeps no bytes");
    assert_string_equal(remote_last_seen(f).method, "DELETE"); /* ends the session */
    assert_non_null(strstr(remote_last_seen(f).target, "&upload_id="));
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                    .code = 308,
                                                    .match = "PUT ",
                                                    .lines = "Range: bytes=0-99999999\r\n"});
    assert_int_equal(upload(f, "large", 9 * MIB, &version), DP_UNAVAILABLE);
    expect_says(f, "lost bytes");
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 200, .match = "POST "});
    assert_int_equal(upload(f, "large", 9 * MIB, &version), DP_IO);
    expect_says(f, "gave no URL");
    remote_answer(f, "Content-Range: bytes 8388608-9", 200, "{\"size\":\"1\",\"generation\":\"5\"}");
    assert_int_equal(upload(f, "large", 9 * MIB, &version), DP_UNKNOWN);
    assert_false(http_server_has(f->server, "/bkt/large"));
}

/* The first try to send the last chunk was lost, and the store may carry it out yet. Whatever ends the upload then, its
 * outcome is unknown. */
static void test_store_gcs_uploads_of_unclear_outcome(void **state)
{
    struct remote_fixture *f = *state;
    struct store_version version;
    const struct {
        int code;
        const char *lines;
        unsigned times;
    } ends[] = {{410, NULL, 1}, {308, "Range: bytes=0-99999999\r\n", 1}, {308, "Range: bytes=0-8388607\r\n", 3}};
    open_probed(f, "gs://bkt");
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const char *last = "Content-Range: bytes 8388608-9";
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_LOSE, .match = last});
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                        .code = 308,
                                                        .match = last,
                                                        .lines = "Range: bytes=0-8388607\r\n"});
        http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                        .code = ends[i].code,
                                                        .match = last,
                                                        .lines = ends[i].lines,
                                                        .times = ends[i].times});
        enum dp_status status = upload(f, "large", 9 * MIB, &version);
        if (status != DP_UNKNOWN)
            fail_msg("case %zu: status %d: %s", i, (int)status, f->call.error.message);
        expect_says(f, "gs://bkt/large: an answer was lost");
        assert_int_equal(http_server_unused(f->server), 0);
        assert_true(http_server_has(f->server, "/bkt/large"));
    }
}

/* ---- errors ---------------------------------------------------------------------------------------------- */

/* The bodies are recorded answers of the real store. */
static void test_store_gcs_errors(void **state)
{
    struct remote_fixture *f = *state;
    const struct {
        int code;
        const char *body;
        enum dp_status status;
        const char *says;
    } cases[] = {
        {404, "No such object: bkt/k", DP_NOT_FOUND, "gs://bkt/k: there is no such object"},
        {404,
         "{\"error\":{\"errors\":[{\"reason\":\"notFound\"}],\"message\":\"The specified bucket does not "
         "exist.\"}}",
         DP_INVALID, "there is no bucket \"bkt\" at http://127.0.0.1"},
        {403, "me@p.iam does not have storage.objects.get access to the Google Cloud Storage object.", DP_DENIED,
         "gs://bkt/k: access denied: me@p.iam does not have storage.objects.get access"},
        {403, "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", DP_DENIED,
         "gs://bkt/k: access denied, and http://127.0.0.1"},
        {401, "Anonymous caller does not have storage.objects.get access to bkt/k.", DP_DENIED,
         "requests carry none: unset DIPPER_GCS_ANONYMOUS"},
        {400, "{\"error\":{\"errors\":[{\"reason\":\"invalid\"}],\"message\":\"Bad\"}}", DP_INVALID,
         "the store answers 400 invalid: Bad"},
        {405, "<html>", DP_UNSUPPORTED, "the store answers 405"},
        {302, "", DP_IO, "the store answers 302"},
    };
    remote_must_open(f, "gs://bkt");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        remote_answer(f, NULL, cases[i].code, cases[i].body);
        enum dp_status status = read_all(f, "k", "");
        if (status != cases[i].status)
            fail_msg("case %zu: %s", i, f->call.error.message);
        expect_says(f, cases[i].says);
    }
    struct store_listing listing;
    remote_answer(f, NULL, 404, "Not Found");
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), false, 1, &listing), DP_INVALID);
    expect_says(f, "there is no bucket");
}

static void test_store_gcs_tries_again(void **state)
{
    struct remote_fixture *f = *state;
    open_probed(f, "gs://bkt");
    assert_int_equal(put(f, "k", STORE_ANY, NULL), DP_OK);
    http_server_reset(f->server);
    remote_answer(f, NULL, 503, "");
    remote_answer(f, NULL, 429, "");
    remote_answer(f, NULL, 403,
                  "{\"error\":{\"errors\":[{\"reason\":\"rateLimitExceeded\"}],\"message\":\"Slow down\"}}");
    assert_int_equal(read_all(f, "k", "body"), DP_OK);
    assert_int_equal(http_server_count(f->server), 4);
}

/* A listing of a strange server ends, and says why. */
static void test_store_gcs_hostile_listings(void **state)
{
    struct remote_fixture *f = *state;
    const struct {
        const char *body, *says;
    } cases[] = {
        {"{\"items\":[{\"name\":\"a\"}]}", "without a name or a size"},
        {"{\"items\":[{\"name\":\"a\",\"size\":\"99999999999999999999\"}]}", "without a name or a size"},
        {"{\"items\":[{\"name\":7,\"size\":\"1\"}]}", "malformed"},
        {"{\"prefixes\":[\"a\"]}", "does not end in '/'"},
        {"[", "malformed"},
        {"", "malformed"},
    };
    struct store_listing listing;
    remote_must_open(f, "gs://bkt");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        remote_answer(f, NULL, 200, cases[i].body);
        dp_error_clear(&f->call.error);
        assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), false, 9, &listing), DP_IO);
        expect_says(f, cases[i].says);
        expect_says(f, "gs://bkt");
    }
    /* Names outside the prefix and names that are no keys are left out. A page may be empty. */
    remote_answer(f, NULL, 200, "{\"nextPageToken\":\"t\"}");
    remote_answer(
        f, "pageToken=t", 200,
        "{\"items\":[{\"name\":\"b//c\",\"size\":\"1\"},{\"name\":\"a\",\"size\":\"2\"}],\"prefixes\":[\"c/\"]}");
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), true, 9, &listing), DP_OK);
    assert_int_equal(listing.count, 2);
    assert_true(span_equal_str(listing.entries[0].key, "a"));
    assert_true(span_equal_str(listing.entries[1].key, "c/"));
    remote_answer(f, NULL, 200, "{\"nextPageToken\":\"t\"}");
    remote_answer(f, NULL, 200, "{\"nextPageToken\":\"t\"}");
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), true, 9, &listing), DP_IO);
    expect_says(f, "a page names itself as the next one");
}

static void test_store_gcs_failed_allocations(void **state)
{
    struct remote_fixture *f = *state;
    open_probed(f, "gs://bkt/p");
    assert_int_equal(put(f, "k", STORE_ANY, NULL), DP_OK);
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct store_read_req req = {.key = span_str("k"), .len = STORE_TO_END};
        struct store_listing listing;
        struct store *store = NULL;
        struct arena arena;
        struct call call;
        const struct store_options options = {.transport = f->transport, .settings = {{"gs", &f->gcs}}};
        arena_init(&arena, 1 << 20);
        call_init(&call, &arena);
        test_alloc_fail_at(n);
        enum dp_status status = store_open_with(&call, span_str("gs://bkt/p"), &options, &store);
        if (status == DP_OK)
            status = store_read(&call, store, &req, 1);
        if (status == DP_OK)
            status = store_list(&call, store, span_str(""), span_str(""), true, 9, &listing);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        store_read_release(&req, 1);
        if (store)
            store_free(store);
        arena_deinit(&arena);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        if (status != DP_OK && status != DP_NOMEM)
            fail_msg("%s: %s", dp_status_name(status), call.error.message);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, remote_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_store_gcs_where_requests_go),
        CASE(test_store_gcs_refuses_bad_roots_and_settings),
        CASE(test_store_gcs_requests_of_puts_and_reads),
        CASE(test_store_gcs_requests_of_listings),
        CASE(test_store_gcs_user_project_pays),
        CASE(test_store_gcs_pins_by_the_answer_too),
        CASE(test_store_gcs_broken_reads_never_mix_generations),
        CASE(test_store_gcs_probes_an_unknown_endpoint_once),
        cmocka_unit_test_setup_teardown(test_store_gcs_refuses_a_store_without_conditions, set_up_careless,
                                        remote_tear_down),
        CASE(test_store_gcs_lost_answers_of_puts),
        CASE(test_store_gcs_unclear_answers_of_puts),
        CASE(test_store_gcs_names_are_at_most_1024_bytes),
        CASE(test_store_gcs_uploads),
        cmocka_unit_test_setup_teardown(test_store_gcs_uploads_send_again_what_was_not_kept, set_up_short_chunks,
                                        remote_tear_down),
        CASE(test_store_gcs_uploads_survive_lost_answers),
        CASE(test_store_gcs_uploads_that_fail),
        CASE(test_store_gcs_uploads_of_unclear_outcome),
        CASE(test_store_gcs_errors),
        CASE(test_store_gcs_tries_again),
        CASE(test_store_gcs_hostile_listings),
        CASE(test_store_gcs_failed_allocations),
    };
    return test_run(tests);
}
