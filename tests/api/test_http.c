/* test_http.c: what the dialects stand on: base 64, query parameters, statuses. */
#include "test_support.h"

#include "api/api.h"
#include "api/base64.h"

/* RFC 4648 §10, and what is malformed. */
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
    assert_true(base64_decode(span_str("Zm8"), out, &len)); /* padding may be left out */
    assert_int_equal(len, 2);
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        if (base64_decode(span_str(malformed[i]), out, &len))
            fail_msg("%s was decoded", malformed[i]);
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
    for (int status = DP_INVALID; status >= DP_FULL; status--) {
        unsigned http = http_status_of((enum dp_status)status);
        assert_true(http >= 400 && http < 600);
        assert_true(strlen(api_error_code(http)) > 0);
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
        cmocka_unit_test(test_base64_follows_the_rfc),
        cmocka_unit_test(test_http_reads_query_parameters),
        cmocka_unit_test(test_http_has_a_status_for_every_failure),
        cmocka_unit_test(test_http_never_has_more_headers_than_room),
    };
    return test_run(tests);
}
