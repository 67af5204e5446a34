/* test_http.c: base 64, query parameters and HTTP statuses, which all dialects use. */
#include "test_support.h"

#include "api/api.h"
#include "base/base64.h"

/* The examples of RFC 4648 §10, and malformed texts. */
static void test_base64_follows_the_rfc(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xfb\xff\xfe", "+//+"}};
    static const char *const malformed[] = {
        "Z", "Zg=", "Zg===", "Z===", "Zm8=Zg==", "Zm9!", "Zh==", "Zm9=", "=", "===="};
    uint8_t out[32];
    size_t len;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct buffer text;
        buffer_init(&text, 100);
        base64_encode(span_str(pairs[i][0]), &text);
        assert_true(span_equal_str(buffer_span(&text), pairs[i][1]));
        assert_true(base64_decode(buffer_span(&text), out, &len));
        assert_true(span_equal_str(span_of(out, len), pairs[i][0]));
        buffer_deinit(&text);
    }
    assert_true(base64_decode(span_str("Zm8"), out, &len)); /* padding is optional */
    assert_int_equal(len, 2);
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        if (base64_decode(span_str(malformed[i]), out, &len))
            fail_msg("%s was decoded", malformed[i]);
}

/* A handler whose error got lost must not answer 200. */
static void test_api_failure_without_an_error_is_none_of_the_client(void **state)
{
    (void)state;
    struct http_response response;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    http_response_init(&response);
    api_fail(&call, &api_turbopuffer, &response);
    assert_int_equal(response.status, 500);
    assert_int_equal(response.outcome, DP_UNKNOWN);
    http_response_deinit(&response);
    arena_deinit(&arena);
}

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Encodes bit by bit, as the RFC describes it. */
static struct span encode_plainly(struct span bytes, uint8_t *out)
{
    size_t chars = 0;
    for (size_t at = 0; at < 8 * bytes.len; at += 6) {
        unsigned value = 0;
        for (size_t bit = at; bit < at + 6; bit++)
            value = value << 1 | (bit < 8 * bytes.len ? bytes.data[bit / 8] >> (7 - bit % 8) & 1U : 0U);
        out[chars++] = (uint8_t)ALPHABET[value];
    }
    while (chars % 4)
        out[chars++] = '=';
    return span_of(out, chars);
}

static void test_base64_agrees_with_the_plain_way_at_every_length(void **state)
{
    (void)state;
    enum { LONGEST = 100 };
    uint8_t bytes[LONGEST], plain[2 * LONGEST], back[LONGEST + 3];
    uint64_t random = 1;
    size_t len;
    for (size_t n = 0; n <= LONGEST; n++) {
        struct buffer text;
        for (size_t i = 0; i < n; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (uint8_t)(random >> 56);
        }
        buffer_init(&text, 2 * LONGEST);
        base64_encode(span_of(bytes, n), &text);
        assert_true(span_equal(buffer_span(&text), encode_plainly(span_of(bytes, n), plain)));
        assert_true(base64_decode(buffer_span(&text), back, &len));
        assert_true(span_equal(span_of(back, len), span_of(bytes, n)));
        buffer_deinit(&text);
    }
}

/* Puts each of the 256 bytes at each place of texts of two, three, four and eight characters. */
static void test_base64_refuses_every_other_character_anywhere(void **state)
{
    (void)state;
    static const size_t lengths[] = {2, 3, 4, 8};
    uint8_t back[16];
    size_t len;
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
        for (size_t at = 0; at < lengths[l]; at++)
            for (unsigned c = 1; c < 256; c++) {
                uint8_t text[8] = "AAAAAAAA";
                text[at] = (uint8_t)c;
                const char *place = strchr(ALPHABET, (int)c);
                bool good = place != NULL;
                if (good && at + 1 == lengths[l] && at % 4 != 3) /* bits that belong to no byte must be zero */
                    good = (place - ALPHABET) % (at % 4 == 1 ? 16 : 4) == 0;
                if (c == '=' && at == 3 && lengths[l] == 4)
                    good = true;
                if (c == '=' && at == 7)
                    good = true;
                if (base64_decode(span_of(text, lengths[l]), back, &len) != good)
                    fail_msg("byte %u at place %zu of %zu", c, at, lengths[l]);
            }
}

static void test_http_reads_query_parameters(void **state)
{
    (void)state;
    struct arena arena;
    struct dp_error error;
    struct span value;
    struct http_request request = {.query = span_str("a=1&b=%41+%2b&empty=&bare&&c=%zz&d=%4&a2=3&e=1&e=2")};
    arena_init(&arena, 1 << 16);
    assert_int_equal(http_query_arg(&request, &arena, "a", &value, &error), DP_OK);
    assert_true(span_equal_str(value, "1"));
    assert_int_equal(http_query_arg(&request, &arena, "b", &value, &error), DP_OK);
    assert_true(span_equal_str(value, "A +"));
    assert_int_equal(http_query_arg(&request, &arena, "empty", &value, &error), DP_OK);
    assert_true(value.data && value.len == 0);
    assert_int_equal(http_query_arg(&request, &arena, "bare", &value, &error), DP_OK);
    assert_true(value.data && value.len == 0);
    assert_int_equal(http_query_arg(&request, &arena, "none", &value, &error), DP_OK);
    assert_null(value.data);
    assert_int_equal(http_query_arg(&request, &arena, "c", &value, &error), DP_INVALID);
    assert_int_equal(http_query_arg(&request, &arena, "d", &value, &error), DP_INVALID);
    assert_int_equal(http_query_arg(&request, &arena, "e", &value, &error), DP_INVALID);
    arena_deinit(&arena);
}

static void test_http_has_a_status_for_every_failure(void **state)
{
    (void)state;
    assert_int_equal(http_status_of(DP_OK), 200);
    for (int status = DP_INVALID; status >= DP_NOT_DURABLE; status--) {
        unsigned http = http_status_of((enum dp_status)status);
        assert_true(http >= 400 && http < 600);
        assert_true(strlen(api_error_code(http, (enum dp_status)status)) > 0);
    }
    assert_int_equal(http_status_of(DP_INVALID), 400);
    assert_int_equal(http_status_of(DP_NOT_FOUND), 404);
    assert_int_equal(http_status_of(DP_OVERLOADED), 503);
    assert_int_equal(http_status_of(DP_DEADLINE), 504);
    assert_int_equal(http_status_of(DP_CORRUPT), 500);
}

static void test_http_never_has_more_headers_than_room(void **state)
{
    (void)state;
    struct http_response response;
    http_response_init(&response);
    for (int i = 0; i < 3 * HTTP_HEADERS_MAX; i++)
        http_add_header(&response, "X-A", "b");
    http_add_header(&response, "X-B", NULL);
    assert_int_equal(response.header_count, HTTP_HEADERS_MAX);
    http_response_clear(&response);
    assert_int_equal(response.header_count, 0);
    http_response_deinit(&response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api_failure_without_an_error_is_none_of_the_client),
        cmocka_unit_test(test_base64_follows_the_rfc),
        cmocka_unit_test(test_base64_agrees_with_the_plain_way_at_every_length),
        cmocka_unit_test(test_base64_refuses_every_other_character_anywhere),
        cmocka_unit_test(test_http_reads_query_parameters),
        cmocka_unit_test(test_http_has_a_status_for_every_failure),
        cmocka_unit_test(test_http_never_has_more_headers_than_room),
    };
    return test_run(tests);
}
