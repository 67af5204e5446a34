/* test_sigv4.c: Signature Version 4 against the published test suite, and cases that the suite lacks. */
#include "test_support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checksum.h"
#include "base/hex.h"
#include "base/json.h"
#include "os/file.h"
#include "store/s3/sigv4.h"

enum { CASES = 38 };

/* One case of the suite. */
struct vector {
    const char *name;
    struct arena arena;
    struct sigv4_signer signer;
    struct sigv4_request request;
    struct sigv4_pair query[8], headers[16];
    struct span body, token;
    uint64_t expires;
    bool sign_body, omit_token;
    char payload_hash[65];
};

/* Reads a file of the case, without its last newlines. */
static struct span suite_file(struct vector *v, const char *file)
{
    char name[256];
    snprintf(name, sizeof name, "aws-signing-test-suite/v4/%s/%s", v->name, file);
    struct buffer b;
    struct dp_error error = {0};
    buffer_init(&b, 1 << 16);
    if (os_read_file(test_data_path(name), &b, &error) != DP_OK)
        fail_msg("%s", error.message);
    struct span text = arena_copy(&v->arena, buffer_span(&b));
    buffer_deinit(&b);
    while (text.len && text.data[text.len - 1] == '\n')
        text.len--;
    return text;
}

static void read_credentials(struct vector *v, struct json_reader *r)
{
    struct span key;
    assert_true(json_enter_object(r));
    while (json_next_key(r, &v->arena, &key)) {
        struct span *to = span_equal_str(key, "access_key_id")       ? &v->signer.access_key_id
                          : span_equal_str(key, "secret_access_key") ? &v->signer.secret_access_key
                          : span_equal_str(key, "token")             ? &v->token
                                                                     : NULL;
        assert_non_null(to);
        assert_true(json_read_string(r, &v->arena, to));
    }
}

static void read_context(struct vector *v)
{
    struct json_reader r;
    struct span key, time;
    json_reader_init(&r, suite_file(v, "context.json"));
    assert_true(json_enter_object(&r));
    while (json_next_key(&r, &v->arena, &key)) {
        if (span_equal_str(key, "credentials"))
            read_credentials(v, &r);
        else if (span_equal_str(key, "expiration_in_seconds"))
            json_read_u64(&r, &v->expires);
        else if (span_equal_str(key, "normalize"))
            json_read_bool(&r, &v->request.normalize_path);
        else if (span_equal_str(key, "region"))
            json_read_string(&r, &v->arena, &v->signer.region);
        else if (span_equal_str(key, "service"))
            json_read_string(&r, &v->arena, &v->signer.service);
        else if (span_equal_str(key, "sign_body"))
            json_read_bool(&r, &v->sign_body);
        else if (span_equal_str(key, "omit_session_token"))
            json_read_bool(&r, &v->omit_token);
        else if (span_equal_str(key, "timestamp"))
            json_read_string(&r, &v->arena, &time);
        else
            fail_msg("%s: unknown key %.*s", v->name, SPAN_FMT(key));
    }
    assert_false(json_failed(&r));
    /* All cases have one time, which sigv4_date must write as the suite does. */
    assert_true(span_equal_str(time, "2015-08-30T12:36:00Z"));
    sigv4_date(1440938160123, v->signer.date);
    assert_string_equal(v->signer.date, "20150830T123600Z");
}

/* Cuts `text` at the first `mark`. Returns the part before it; *text becomes the part behind it. */
static struct span cut(struct span *text, char mark)
{
    const uint8_t *at = text->len ? memchr(text->data, mark, text->len) : NULL;
    size_t len = at ? (size_t)(at - text->data) : text->len;
    struct span head = span_of(text->data, len);
    size_t skip = at ? len + 1 : len;
    *text = span_of(text->data + skip, text->len - skip);
    return head;
}

static struct span unescaped(struct vector *v, struct span text)
{
    uint8_t *out = arena_alloc(&v->arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '%') {
            char hex[3] = {(char)text.data[i + 1], (char)text.data[i + 2], '\0'};
            out[len++] = (uint8_t)strtoul(hex, NULL, 16);
            i += 2;
        } else {
            out[len++] = text.data[i];
        }
    }
    return span_of(out, len);
}

/* Parses request.txt: a request line whose path may hold spaces, headers whose values may continue on the next
 * line, and a body. */
static void read_request(struct vector *v)
{
    struct span text = suite_file(v, "request.txt"), line = cut(&text, '\n');
    v->request.method = cut(&line, ' ');
    static const char protocol[] = " HTTP/1.1";
    assert_true(line.len >= sizeof protocol);
    line.len -= sizeof protocol - 1;
    v->request.path = cut(&line, '?');
    v->request.query = v->query;
    while (line.len) {
        struct span value = cut(&line, '&'), name = cut(&value, '=');
        v->query[v->request.query_count++] = (struct sigv4_pair){unescaped(v, name), unescaped(v, value)};
    }
    v->request.headers = v->headers;
    while (text.len) {
        line = cut(&text, '\n');
        if (line.len == 0)
            break;
        if (line.data[0] == ' ') {
            struct span *value = &v->headers[v->request.header_count - 1].value;
            value->len = (size_t)(line.data + line.len - value->data);
            continue;
        }
        struct span name = cut(&line, ':');
        v->headers[v->request.header_count++] = (struct sigv4_pair){name, line};
    }
    v->body = text;
    uint8_t digest[32];
    sha256(v->body, digest);
    hex_encode(span_of(digest, sizeof digest), v->payload_hash);
    v->request.payload_hash = span_str(v->payload_hash);
}

static void open_vector(struct vector *v, const char *name)
{
    *v = (struct vector){.name = name};
    arena_init(&v->arena, 1 << 20);
    read_context(v);
    read_request(v);
}

static void expect_same(struct vector *v, const char *file, struct span got)
{
    struct span want = suite_file(v, file);
    if (!span_equal(want, got))
        fail_msg("%s/%s:\n%.*s\nbut it is\n%.*s", v->name, file, SPAN_FMT(want), SPAN_FMT(got));
}

/* Compares the canonical request, the string to sign and the signature with `kind`-….txt. */
static void check_steps(struct vector *v, const char *kind, const struct sigv4_request *request,
                        struct span canonical)
{
    struct buffer b;
    struct dp_error error = {0};
    char file[64], signature[SIGV4_SIGNATURE_LEN + 1];
    buffer_init(&b, 1 << 16);
    if (!canonical.data) {
        assert_int_equal(sigv4_canonical_request(request, &v->arena, &b, &error), DP_OK);
        canonical = arena_copy(&v->arena, buffer_span(&b));
        buffer_clear(&b);
    }
    snprintf(file, sizeof file, "%s-canonical-request.txt", kind);
    expect_same(v, file, canonical);
    assert_int_equal(sigv4_string_to_sign(&v->signer, canonical, &b, &error), DP_OK);
    snprintf(file, sizeof file, "%s-string-to-sign.txt", kind);
    expect_same(v, file, buffer_span(&b));
    assert_int_equal(sigv4_signature(&v->signer, buffer_span(&b), signature, &error), DP_OK);
    snprintf(file, sizeof file, "%s-signature.txt", kind);
    expect_same(v, file, span_str(signature));
    buffer_deinit(&b);
}

static void add_header(struct vector *v, const char *name, struct span value)
{
    v->headers[v->request.header_count++] = (struct sigv4_pair){span_str(name), value};
}

/* The signed request's text up to its headers' end must hold "\nAuthorization:" and our value. */
static void check_header(struct vector *v)
{
    add_header(v, "X-Amz-Date", span_str(v->signer.date));
    if (v->sign_body)
        add_header(v, "x-amz-content-sha256", v->request.payload_hash);
    if (v->token.len && !v->omit_token)
        add_header(v, "X-Amz-Security-Token", v->token);
    check_steps(v, "header", &v->request, (struct span){0});
    struct buffer b;
    struct dp_error error = {0};
    buffer_init(&b, 1 << 16);
    buffer_append_str(&b, "\nAuthorization:");
    assert_int_equal(sigv4_authorization(&v->signer, &v->request, &v->arena, &b, &error), DP_OK);
    buffer_append_str(&b, "\n");
    struct span whole = suite_file(v, "header-signed-request.txt");
    struct span text = arena_copy(&v->arena, whole);
    /* The file's last newlines are cut off. */
    uint8_t *bytes = arena_alloc(&v->arena, text.len + 1);
    memcpy(bytes, text.data, text.len);
    bytes[text.len] = '\n';
    if (!memmem(bytes, text.len + 1, b.data, b.len))
        fail_msg("%s: the signed request lacks %.*s", v->name, SPAN_FMT(buffer_span(&b)));
    buffer_deinit(&b);
}

static void check_query(struct vector *v)
{
    struct dp_error error = {0};
    struct sigv4_pair *query;
    size_t count;
    struct span canonical;
    if (!v->omit_token)
        v->signer.session_token = v->token;
    assert_int_equal(sigv4_presign(&v->signer, &v->request, (unsigned)v->expires, &v->arena, &query, &count,
                                   &canonical, &error),
                     DP_OK);
    check_steps(v, "query", NULL, canonical);
    /* Checks the URL's parameters as they are sent, with their order and escapes. An unsigned token precedes
     * the signature. The suite leaves the path and parameters of the request unchanged. */
    struct buffer b;
    buffer_init(&b, 1 << 16);
    sigv4_query(&b, query + v->request.query_count, count - v->request.query_count - (v->omit_token ? 1 : 0));
    if (v->omit_token) {
        struct sigv4_pair token = {span_str("X-Amz-Security-Token"), v->token};
        sigv4_query(&b, &token, 1);
        sigv4_query(&b, query + count - 1, 1);
    }
    buffer_append_str(&b, " HTTP/1.1\n");
    for (size_t i = 1; i < b.len; i++) /* the query may follow parameters of the request */
        if (b.data[i] == '?')
            b.data[i] = '&';
    struct span want = suite_file(v, "query-signed-request.txt");
    if (!memmem(want.data, want.len, b.data + 1, b.len - 1))
        fail_msg("%s: the presigned request lacks %.*s", v->name, SPAN_FMT(buffer_span(&b)));
    buffer_deinit(&b);
}

static void test_store_sigv4_passes_the_suite(void **state)
{
    (void)state;
    DIR *folder = opendir(test_data_path("aws-signing-test-suite/v4"));
    assert_non_null(folder);
    unsigned seen = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        struct vector v;
        open_vector(&v, entry->d_name);
        check_query(&v); /* before check_header, which adds headers */
        check_header(&v);
        arena_deinit(&v.arena);
        seen++;
    }
    closedir(folder);
    assert_int_equal(seen, CASES);
}

/* The examples of the S3 API reference, pages "Signature Calculations for the Authorization Header" and
 * "Authenticating Requests: Using Query Parameters". */
static const struct sigv4_signer EXAMPLE = {
    .access_key_id = {(const uint8_t *)"AKIAIOSFODNN7EXAMPLE", 20},
    .secret_access_key = {(const uint8_t *)"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40},
    .region = {(const uint8_t *)"us-east-1", 9},
    .service = {(const uint8_t *)"s3", 2},
    .date = "20130524T000000Z",
};
static const char EMPTY_HASH[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void test_store_sigv4_signs_the_examples_of_s3(void **state)
{
    (void)state;
    const struct sigv4_pair headers[] = {
        {span_str("Host"), span_str("examplebucket.s3.amazonaws.com")},
        {span_str("Range"), span_str("bytes=0-9")},
        {span_str("x-amz-content-sha256"), span_str(EMPTY_HASH)},
        {span_str("x-amz-date"), span_str("20130524T000000Z")},
    };
    const struct sigv4_request request = {.method = span_str("GET"),
                                          .path = span_str("/test.txt"),
                                          .headers = headers,
                                          .header_count = 4,
                                          .payload_hash = span_str(EMPTY_HASH)};
    struct arena arena;
    struct buffer b;
    struct dp_error error = {0};
    arena_init(&arena, 1 << 16);
    buffer_init(&b, 1 << 16);
    assert_int_equal(sigv4_authorization(&EXAMPLE, &request, &arena, &b, &error), DP_OK);
    assert_true(span_equal_str(
        buffer_span(&b), "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                         "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
                         "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
    buffer_deinit(&b);
    arena_deinit(&arena);
}

static enum dp_status presign_example(struct arena *arena, struct buffer *out, unsigned seconds,
                                      struct dp_error *error)
{
    const struct sigv4_pair headers[] = {{span_str("host"), span_str("examplebucket.s3.amazonaws.com")}};
    const struct sigv4_request request = {.method = span_str("GET"),
                                          .path = span_str("/test.txt"),
                                          .headers = headers,
                                          .header_count = 1,
                                          .payload_hash = span_str(SIGV4_UNSIGNED_PAYLOAD)};
    struct sigv4_pair *query;
    size_t count;
    enum dp_status status = sigv4_presign(&EXAMPLE, &request, seconds, arena, &query, &count, NULL, error);
    if (status != DP_OK)
        return status;
    sigv4_query(out, query, count);
    return buffer_check(out, "a URL", error);
}

static void test_store_sigv4_presigns_the_examples_of_s3(void **state)
{
    (void)state;
    struct arena arena;
    struct buffer b;
    struct dp_error error = {0};
    arena_init(&arena, 1 << 16);
    buffer_init(&b, 1 << 16);
    assert_int_equal(presign_example(&arena, &b, 86400, &error), DP_OK);
    buffer_u8(&b, 0);
    assert_non_null(strstr((char *)b.data, "&X-Amz-Expires=86400&X-Amz-Signature="
                                           "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"));
    assert_int_equal(presign_example(&arena, &b, 0, &error), DP_INVALID);
    assert_int_equal(presign_example(&arena, &b, 604801, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "604800"));
    buffer_deinit(&b);
    arena_deinit(&arena);
}

static void test_store_sigv4_failed_allocations(void **state)
{
    (void)state;
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct arena arena;
        struct buffer b;
        struct dp_error error = {0};
        size_t before = test_alloc_live();
        arena_init(&arena, 1 << 16);
        buffer_init(&b, 1 << 16);
        test_alloc_fail_at(n);
        enum dp_status status = presign_example(&arena, &b, 60, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        buffer_deinit(&b);
        arena_deinit(&arena);
        assert_int_equal(test_alloc_live(), before);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        assert_int_equal(status, DP_NOMEM);
    }
}

static void test_store_sigv4_refuses_too_many_headers(void **state)
{
    (void)state;
    static struct sigv4_pair headers[SIGV4_PAIRS_MAX + 1];
    struct arena arena;
    struct buffer b;
    struct dp_error error = {0};
    arena_init(&arena, 1 << 16);
    buffer_init(&b, 1 << 16);
    struct sigv4_request request = {
        .path = span_str("/"), .headers = headers, .header_count = SIGV4_PAIRS_MAX + 1};
    assert_int_equal(sigv4_canonical_request(&request, &arena, &b, &error), DP_INVALID);
    request.header_count = SIGV4_PAIRS_MAX;
    assert_int_equal(sigv4_canonical_request(&request, &arena, &b, &error), DP_OK);
    buffer_deinit(&b);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_sigv4_passes_the_suite),
        cmocka_unit_test(test_store_sigv4_signs_the_examples_of_s3),
        cmocka_unit_test(test_store_sigv4_presigns_the_examples_of_s3),
        cmocka_unit_test(test_store_sigv4_failed_allocations),
        cmocka_unit_test(test_store_sigv4_refuses_too_many_headers),
    };
    return test_run(tests);
}
