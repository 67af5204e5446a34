/* test_azure_signing.c: Azure's Shared Key signatures against the published example and against those of Azure's own
 * client, which tests/golden/make_azure_requests.py records; and Dipper's requests against the client's. */
#include "remote_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "azure_dialect.h"
#include "base/base64.h"
#include "base/url.h"
#include "store/azure/azure.h"

enum { HEADERS_MAX = 16, REQUESTS = 10, LINE_MAX_BYTES = 1024 };

/* "Authorize with Shared Key", Azure Storage REST API reference: Get Container Metadata, and its text to sign. */
static void test_store_azure_signs_the_published_example(void **state)
{
    (void)state;
    static const char WANT[] = "GET\n\n\n\n\n\n\n\n\n\n\n\n"
                               "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
                               "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20";
    const struct transport_header headers[] = {
        {span_str("x-ms-version"), span_str("2015-02-21")},
        {span_str("X-MS-Date"), span_str(" Fri, 26 Jun 2015 23:39:12 GMT ")}};
    const struct azure_parameter query[] = {{span_str("timeout"), span_str("20")},
                                            {span_str("restype"), span_str("container")},
                                            {span_str("Comp"), span_str("metadata")}};
    const struct shared_key_request request = {.method = span_str("GET"),
                                               .path = span_str("/mycontainer"),
                                               .query = query,
                                               .query_count = 3,
                                               .headers = headers,
                                               .header_count = 2};
    struct buffer b;
    struct dp_error error;
    buffer_init(&b, 4096);
    assert_int_equal(shared_key_string(span_str("myaccount"), &request, &b, &error), DP_OK);
    if (!span_equal_str(buffer_span(&b), WANT))
        fail_msg("%.*s", SPAN_FMT(buffer_span(&b)));
    buffer_deinit(&b);
}

static void test_store_azure_signs_few_headers(void **state)
{
    (void)state;
    static const struct transport_header headers[SHARED_KEY_HEADERS_MAX + 1];
    static const struct azure_parameter query[SHARED_KEY_PARAMETERS_MAX + 1];
    struct buffer b;
    struct dp_error error;
    buffer_init(&b, 4096);
    const struct shared_key_request much[] = {{.headers = headers, .header_count = SHARED_KEY_HEADERS_MAX + 1},
                                              {.query = query, .query_count = SHARED_KEY_PARAMETERS_MAX + 1}};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(shared_key_string(span_str("a"), &much[i], &b, &error), DP_INVALID);
    buffer_deinit(&b);
}

/* ---- recorded requests ------------------------------------------------------------------------------ */

/* A request of the client. */
struct recorded {
    char what[32], method[8], target[LINE_MAX_BYTES];
    char names[HEADERS_MAX][64], values[HEADERS_MAX][256];
    size_t count;
};

static struct recorded recorded[REQUESTS];
static uint8_t key[256];
static size_t key_len;

static const char *recorded_header(const struct recorded *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcasecmp(r->names[i], name) == 0)
            return r->values[i];
    return "";
}

/* Reads the file of recorded requests. */
static void read_recorded(void)
{
    struct span text = test_data("azure/requests.txt");
    char *copy = malloc(text.len + 1), *rest = copy, *line;
    assert_non_null(copy);
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    struct recorded *r = NULL;
    size_t count = 0;
    while ((line = strsep(&rest, "\n"))) {
        if (strncmp(line, "key ", 4) == 0) {
            assert_true(strlen(line) < sizeof key);
            assert_true(base64_decode(span_str(line + 4), key, &key_len));
        } else if (!*line) {
            r = NULL;
        } else if (*line == '#' || strncmp(line, "account ", 8) == 0) {
            continue;
        } else if (!r) {
            assert_true(count < REQUESTS);
            r = &recorded[count++];
            *r = (struct recorded){0};
            snprintf(r->what, sizeof r->what, "%s", line);
        } else if (!*r->method) {
            assert_int_equal(sscanf(line, "%7s %1023s", r->method, r->target), 2);
        } else {
            assert_true(r->count < HEADERS_MAX);
            assert_int_equal(sscanf(line, "%63[^:]: %255[^\n]", r->names[r->count], r->values[r->count]), 2);
            r->count++;
        }
    }
    free(copy);
    assert_int_equal(count, REQUESTS);
}

static const struct recorded *find_recorded(const char *what)
{
    for (size_t i = 0; i < REQUESTS; i++)
        if (strcmp(recorded[i].what, what) == 0)
            return &recorded[i];
    fail_msg("no request \"%s\" was recorded", what);
    return NULL;
}

/* Splits a target into its path and its decoded parameters. */
static size_t split_target(struct arena *arena, const char *target, struct span *path,
                           struct azure_parameter query[SHARED_KEY_PARAMETERS_MAX])
{
    size_t count = 0, len = strcspn(target, "?");
    *path = span_of(target, len);
    for (const char *at = target + len; *at;) {
        at++;
        size_t part = strcspn(at, "&"), name = strcspn(at, "=&");
        uint8_t *value = arena_alloc(arena, part + 1);
        assert_non_null(value);
        size_t value_len =
            name < part ? percent_decode_loosely(span_of(at + name + 1, part - name - 1), value) : 0;
        assert_true(count < SHARED_KEY_PARAMETERS_MAX);
        query[count++] = (struct azure_parameter){span_of(at, name), span_of(value, value_len)};
        at += part;
    }
    return count;
}

static void test_store_azure_signs_as_the_client_does(void **state)
{
    struct remote_fixture *f = *state;
    read_recorded();
    for (size_t i = 0; i < REQUESTS; i++) {
        const struct recorded *r = &recorded[i];
        struct azure_parameter query[SHARED_KEY_PARAMETERS_MAX];
        struct transport_header headers[HEADERS_MAX];
        struct span path;
        struct buffer b;
        size_t count = split_target(&f->arena, r->target, &path, query);
        for (size_t k = 0; k < r->count; k++)
            headers[k] = (struct transport_header){span_str(r->names[k]), span_str(r->values[k])};
        const struct shared_key_request request = {.method = span_str(r->method),
                                                   .path = path,
                                                   .query = query,
                                                   .query_count = count,
                                                   .headers = headers,
                                                   .header_count = r->count,
                                                   .body_len =
                                                       strtoull(recorded_header(r, "Content-Length"), NULL, 10)};
        buffer_init(&b, 4096);
        assert_int_equal(
            shared_key_authorization(span_str("account"), span_of(key, key_len), &request, &b, &f->call.error),
            DP_OK);
        if (!span_equal_str(buffer_span(&b), recorded_header(r, "Authorization")))
            fail_msg("%s: %.*s", r->what, SPAN_FMT(buffer_span(&b)));
        buffer_deinit(&b);
    }
}

/* ---- Dipper's requests ------------------------------------------------------------------------------ */

/* Returns the value of a header that the server received, in a static buffer, or "". */
static const char *seen_header(const struct http_seen *seen, const char *name)
{
    static char value[1024];
    size_t len = strlen(name);
    *value = '\0';
    for (const char *line = strstr(seen->head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':')
            sscanf(line + 3 + len, " %1023[^\r]", value);
    return value;
}

/* Checks that Dipper's last request has the method, path, parameters and headers of the recorded one, and that its
 * signature covers what was received. `differ` lists parameters whose values may differ. */
static void expect_like_recorded(struct remote_fixture *f, const char *what, const char *differ)
{
    static const char *const CLIENTS_OWN[] = {"Accept", "Content-Type", "x-ms-client-request-id", "x-ms-date",
                                              "Authorization"};
    const struct recorded *r = find_recorded(what);
    struct http_seen seen = remote_last_seen(f);
    struct azure_parameter theirs[SHARED_KEY_PARAMETERS_MAX], ours[SHARED_KEY_PARAMETERS_MAX];
    struct transport_header headers[HEADERS_MAX];
    struct span path, our_path;
    size_t n = split_target(&f->arena, r->target, &path, theirs);
    size_t our_n = split_target(&f->arena, seen.target, &our_path, ours), header_count = 0;
    assert_string_equal(seen.method, r->method);
    if (!span_equal(path, our_path))
        fail_msg("%s: %s", what, seen.target);
    for (size_t i = 0; i < n; i++) {
        bool found = false;
        for (size_t k = 0; k < our_n; k++) {
            bool same = span_equal(theirs[i].name, ours[k].name);
            char name[64];
            snprintf(name, sizeof name, "%.*s", SPAN_FMT(theirs[i].name));
            found |= same && (strstr(differ, name) || span_equal(theirs[i].value, ours[k].value));
        }
        if (!found)
            fail_msg("%s: %s lacks %.*s", what, seen.target, SPAN_FMT(theirs[i].name));
    }
    for (size_t i = 0; i < r->count; i++) {
        const char *name = strcmp(r->names[i], "x-ms-range") == 0 ? "Range" : r->names[i];
        bool length = strcmp(name, "Content-Length") == 0 && strcmp(r->values[i], "0") == 0;
        if (!length && strcmp(what, "block list") != 0 &&
            !span_one_of(span_str(name), CLIENTS_OWN, sizeof CLIENTS_OWN / sizeof *CLIENTS_OWN))
            assert_string_equal(seen_header(&seen, name), r->values[i]);
    }
    static const char *const SIGNED[] = {"x-ms-version", "x-ms-date", "x-ms-blob-type", "x-ms-delete-snapshots",
                                         "Range",        "If-Match",  "If-None-Match",  "Content-Type"};
    for (size_t i = 0; i < sizeof SIGNED / sizeof *SIGNED; i++)
        if (*seen_header(&seen, SIGNED[i]))
            headers[header_count++] = (struct transport_header){
                span_str(SIGNED[i]), arena_copy(&f->arena, span_str(seen_header(&seen, SIGNED[i])))};
    const struct shared_key_request request = {.method = span_str(seen.method),
                                               .path = our_path,
                                               .query = ours,
                                               .query_count = our_n,
                                               .headers = headers,
                                               .header_count = header_count,
                                               .body_len = seen.body_len};
    struct buffer b;
    buffer_init(&b, 4096);
    assert_int_equal(
        shared_key_authorization(span_str("account"), span_of(key, key_len), &request, &b, &f->call.error), DP_OK);
    if (!span_equal_str(buffer_span(&b), seen_header(&seen, "Authorization")))
        fail_msg("%s: the signature is not that of what was sent: %s", what, seen.head);
    buffer_deinit(&b);
}

static void expect_put_like(struct remote_fixture *f, const char *what, enum store_condition condition)
{
    static const char NAME[] = "a b+c/\xc3\xa9";
    http_server_reset(f->server);
    http_server_script(f->server, (struct http_act){.kind = HTTP_ACT_STATUS,
                                                    .code = 201,
                                                    .lines = "ETag: \"0x8D\"\r\n",
                                                    .match = "/deep/er/a"});
    if (remote_put(&f->call, f->store, NAME, "0123456789", condition, "\"0x8D\"") != DP_OK)
        fail_msg("%s", f->call.error.message);
    expect_like_recorded(f, what, "");
}

static void test_store_azure_asks_as_the_client_does(void **state)
{
    struct remote_fixture *f = *state;
    static const char NAME[] = "a b+c/\xc3\xa9";
    char text[512];
    uint8_t encoded[512] = {0};
    read_recorded();
    base64_write(span_of(key, key_len), encoded);
    snprintf(text, sizeof text, "AccountName=account;AccountKey=%s;BlobEndpoint=%s", (const char *)encoded,
             http_server_url(f->server, "/account"));
    const struct azure_settings settings = {.connection_string = text};
    const struct store_options options = {.transport = f->transport, .settings = {{"az", &settings}}};
    if (store_open_with(&f->call, span_str("az://container/deep/er"), &options, &f->store) != DP_OK)
        fail_msg("%s", f->call.error.message);
    assert_int_equal(remote_put(&f->call, f->store, "first", "asks for conditions", STORE_ANY, NULL), DP_OK);
    expect_put_like(f, "put", STORE_ANY);
    expect_put_like(f, "put if absent", STORE_IF_ABSENT);
    expect_put_like(f, "put if version", STORE_IF_VERSION);
    assert_int_equal(remote_put(&f->call, f->store, NAME, "0123456789", STORE_ANY, NULL), DP_OK);
    struct store_read_req req = {.key = span_str(NAME), .offset = 2, .len = 5};
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
    store_read_release(&req, 1);
    expect_like_recorded(f, "read", "");
    struct store_info info;
    assert_int_equal(store_head(&f->call, f->store, span_str(NAME), &info), DP_OK);
    expect_like_recorded(f, "head", "");
    struct store_listing listing;
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), false, 10, &listing), DP_OK);
    expect_like_recorded(f, "list", "");
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), true, 10, &listing), DP_OK);
    expect_like_recorded(f, "list folders", "");
    assert_int_equal(store_remove(&f->call, f->store, span_str(NAME)), DP_OK);
    expect_like_recorded(f, "remove", "");
}

static void test_store_azure_uploads_as_the_client_does(void **state)
{
    struct remote_fixture *f = *state;
    static const char NAME[] = "a b+c/\xc3\xa9";
    static uint8_t block[AZURE_BLOCK_BYTES + 10];
    uint8_t encoded[512] = {0};
    read_recorded();
    base64_write(span_of(key, key_len), encoded);
    const struct azure_settings settings = {.account_key = (const char *)encoded,
                                            .endpoint = http_server_url(f->server, "/account")};
    const struct store_options options = {.transport = f->transport, .settings = {{"az", &settings}}};
    struct store_upload *upload;
    struct store_version version;
    assert_int_equal(store_open_with(&f->call, span_str("az://container/deep/er"), &options, &f->store), DP_OK);
    assert_int_equal(store_upload_begin(&f->call, f->store, span_str(NAME), &upload), DP_OK);
    assert_int_equal(store_upload_write(&f->call, upload, span_of(block, sizeof block)), DP_OK);
    assert_int_equal(store_upload_finish(&f->call, upload, &version), DP_OK);
    expect_like_recorded(f, "block list", "");
    struct http_seen seen = remote_last_seen(f),
                     last_block = http_server_seen(f->server, http_server_count(f->server) - 2);
    assert_int_equal(last_block.body_len, 10);
    static const char BEGIN[] = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>";
    assert_int_equal(strncmp(seen.body, BEGIN, strlen(BEGIN)), 0);
    /* The ids of all blocks have one length, and the list names them in order. */
    char id[2][64];
    assert_int_equal(sscanf(seen.body + strlen(BEGIN),
                            "<Latest>%63[^<]</Latest><Latest>%63[^<]</Latest></BlockList>", id[0], id[1]),
                     2);
    assert_int_equal(strlen(id[0]), strlen(id[1]));
    assert_string_not_equal(id[0], id[1]);
    struct store_read_req req = {.key = span_str(NAME), .len = STORE_TO_END};
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
    assert_true(span_equal(req.bytes.span, span_of(block, sizeof block)));
    assert_true(store_version_equal(&req.version, &version));
    store_read_release(&req, 1);
}

static int set_up_azure(void **state)
{
    remote_set_up(state);
    struct remote_fixture *f = *state;
    http_server_stop(f->server);
    f->server = http_server_start(&(struct http_server_options){.dialect = &AZURE_DIALECT});
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_azure_signs_the_published_example),
        cmocka_unit_test(test_store_azure_signs_few_headers),
        REMOTE_CASE(test_store_azure_signs_as_the_client_does),
        cmocka_unit_test_setup_teardown(test_store_azure_asks_as_the_client_does, set_up_azure, remote_tear_down),
        cmocka_unit_test_setup_teardown(test_store_azure_uploads_as_the_client_does, set_up_azure,
                                        remote_tear_down),
    };
    return test_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
