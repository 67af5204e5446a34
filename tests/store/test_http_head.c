/* test_http_head.c: parsing the heads of answers, and the parts of a URL that messages show. */
#include "test_support.h"

#include "store/http/head.h"
#include "store/transport.h"

static void test_store_head_finds_lines(void **state)
{
    (void)state;
    struct span head =
        span_str("ETag: \"a\"\r\nX-Empty:\r\ncontent-LENGTH:\t12 \r\nno colon\r\nETag: \"b\"\r\nLast: x");
    assert_true(span_equal_str(http_head_find(head, "etag"), "\"a\""));
    assert_true(span_equal_str(http_head_find(head, "Content-Length"), "12"));
    assert_true(span_equal_str(http_head_find(head, "last"), "x"));
    assert_non_null(http_head_find(head, "x-empty").data);
    assert_int_equal(http_head_find(head, "x-empty").len, 0);
    assert_null(http_head_find(head, "etag2").data);
    assert_null(http_head_find(head, "no colon").data);
    assert_null(http_head_find(span_of(NULL, 0), "etag").data);
}

static void test_store_head_content_range(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        struct http_content_range is;
    } cases[] = {
        {"bytes 0-99/1000", true, {0, 99, 1000, true, true}},
        {"Bytes 5-5/6", true, {5, 5, 6, true, true}},
        {"bytes 5-5/*", true, {5, 5, 0, true, false}},
        {"bytes */1000", true, {0, 0, 1000, false, true}},
        {"bytes */0", true, {0, 0, 0, false, true}},
        {"bytes 0-999999999999999998/999999999999999999",
         true,
         {0, 999999999999999998, 999999999999999999, true, true}},
        {"bytes */*", false, {0}},
        {"bytes 6-5/10", false, {0}},
        {"bytes 0-10/10", false, {0}},
        {"bytes 0-9/1000000000000000000", false, {0}},
        {"bytes 18446744073709551616-18446744073709551617/9", false, {0}},
        {"bytes -9/10", false, {0}},
        {"bytes 0-/10", false, {0}},
        {"bytes 0-9/", false, {0}},
        {"bytes 0-9/10 ", true, {0, 9, 10, true, true}},
        {"bytes 0-9/10x", false, {0}},
        {"bytes 0-9", false, {0}},
        {"bytes=0-9/10", false, {0}},
        {"items 0-9/10", false, {0}},
        {"bytes 0 - 9/10", false, {0}},
        {"bytes 0-+9/10", false, {0}},
        {"", false, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_content_range got;
        if (http_content_range_parse(span_str(cases[i].text), &got) != cases[i].good)
            fail_msg("\"%s\"", cases[i].text);
        assert_int_equal(got.has_range, cases[i].is.has_range);
        assert_int_equal(got.has_size, cases[i].is.has_size);
        assert_int_equal(got.first, cases[i].is.first);
        assert_int_equal(got.last, cases[i].is.last);
        assert_int_equal(got.size, cases[i].is.size);
    }
}

static void test_store_head_retry_after(void **state)
{
    (void)state;
    const int64_t now = 784111777; /* the date of RFC 9110's example */
    uint64_t seconds;
    assert_true(http_retry_after_parse(span_str("120"), now, &seconds));
    assert_int_equal(seconds, 120);
    assert_true(http_retry_after_parse(span_str(" 0 "), now, &seconds));
    assert_int_equal(seconds, 0);
    assert_true(http_retry_after_parse(span_str("Sun, 06 Nov 1994 08:49:37 GMT"), now, &seconds));
    assert_int_equal(seconds, 0);
    assert_true(http_retry_after_parse(span_str("Sun, 06 Nov 1994 08:50:07 GMT"), now, &seconds));
    assert_int_equal(seconds, 30);
    assert_true(http_retry_after_parse(span_str("Sat, 05 Nov 1994 08:50:07 GMT"), now, &seconds));
    assert_int_equal(seconds, 0);
    static const char *const bad[] = {"",
                                      "-1",
                                      "1.5",
                                      "soon",
                                      "9999999999999999999",
                                      "Sun, 06 Foo 1994 08:49:37 GMT",
                                      "Sun, 32 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 CET"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (http_retry_after_parse(span_str(bad[i]), now, &seconds))
            fail_msg("\"%s\"", bad[i]);
}

static void test_store_head_dates(void **state)
{
    (void)state;
    const int64_t now = 784111777; /* the date of RFC 9110's example, Sunday, 6 November 1994 */
    static const struct {
        const char *text;
        int64_t is; /* Unix seconds; -1: no date */
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {" Sun Nov 16 08:49:37 1994\t", 784975777},
        {"Sunday, 06-Nov-44 08:49:37 GMT", 2362034977}, /* 1944 would be the past, but 2044 is 50 years ahead */
        {"Monday, 06-Nov-45 08:49:37 GMT", -762189023},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 23:59:60 GMT", 1709251200},
        {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 94 08:49:37 GMT", -1},
        {"Sun, 06-Nov-94 08:49:37 GMT", -1},
        {"Sunday, 06 Nov 1994 08:49:37 GMT", -1},
        {"Sun Nov 6 08:49:37 1994", -1},
        {"Sun Nov  6 08:49:37 1994 GMT", -1},
        {"Sun Nov 00 08:49:37 1994", -1},
        {"Sun, 06 Nov 1994 08:60:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:61 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:37 +0000", -1},
        {"1994-11-06T08:49:37Z", -1},
        {"784111777", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t seconds = -1;
        bool good = http_date_parse(span_str(cases[i].text), now, &seconds);
        if (good != (cases[i].is != -1) || seconds != cases[i].is)
            fail_msg("\"%s\": %d, %lld", cases[i].text, good, (long long)seconds);
    }
}

static void test_store_head_strong_etags(void **state)
{
    (void)state;
    assert_true(http_etag_is_strong(span_str("\"a\"")));
    assert_true(http_etag_is_strong(span_str("\"\"")));
    assert_false(http_etag_is_strong(span_str("W/\"a\"")));
    assert_false(http_etag_is_strong(span_str("a")));
    assert_false(http_etag_is_strong(span_str("\"")));
    assert_false(http_etag_is_strong(span_str("\"a\"b\"")));
    assert_false(http_etag_is_strong(span_str("\"a\rb\"")));
    assert_false(http_etag_is_strong(span_of(NULL, 0)));
}

/* RFC 9110, 5.6.7, has the first date. */
static void test_store_http_dates_are_written(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{784111777000, "Sun, 06 Nov 1994 08:49:37 GMT"},
                 {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
                 {1709251199999, "Thu, 29 Feb 2024 23:59:59 GMT"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[HTTP_DATE_LEN + 1];
        int64_t seconds;
        http_date_format(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
        assert_true(http_date_parse(span_str(text), 0, &seconds));
        assert_int_equal(seconds, cases[i].ms / 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_head_finds_lines),  cmocka_unit_test(test_store_head_content_range),
        cmocka_unit_test(test_store_head_retry_after),  cmocka_unit_test(test_store_head_dates),
        cmocka_unit_test(test_store_head_strong_etags), cmocka_unit_test(test_store_http_dates_are_written),
    };
    return test_run(tests);
}
