/* test_json_reader.c: within its limits, the JSON reader accepts all of RFC 8259 and nothing else. */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

static bool accepts(struct span text)
{
    struct json_reader r;
    json_reader_init(&r, text);
    return json_skip(&r) && json_end(&r);
}

static void test_base_json_accepts_the_grammar(void **state)
{
    (void)state;
    static const char *const good[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1",
        "10",
        "1.5",
        "-0.25",
        "1e5",
        "1E5",
        "1e+5",
        "1e-5",
        "0e0",
        "0.0",
        "123456789012345678901234567890",
        "1.7976931348623157e308",
        "1e-400",
        "\"\"",
        "\"a\"",
        "\"\\\"\"",
        "\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u0000\"",
        "\"\\u00e9\\u00E9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\uDBFF\\uDFFF\"",
        "\"\x7f\"",
        "\"\xc2\x80\"",
        "\"\xe2\x82\xac\"",
        "\"\xf0\x9f\x98\x80\"",
        "\"\xef\xbb\xbf\"",
        "[]",
        "[ ]",
        "[1]",
        "[1,2]",
        " [ 1 , 2 ] ",
        "[[],[[]]]",
        "[[],{}]",
        "{}",
        "{ }",
        "{\"a\":1}",
        "{\"a\":{\"b\":[]}}",
        "{\"\":0}",
        "{\"a\":1,\"a\":2}",
        "{\"a\\n\":1}",
        "\t\r\n 1 \t\r\n",
        "[null,true,false,1,\"\",[],{}]",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!accepts(span_str(good[i])))
            fail_msg("refused: %s", good[i]);
}

static void test_base_json_refuses_everything_else(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "tru",
        "NaN",
        "Infinity",
        "-Infinity",
        "undefined",
        "'a'",
        "a",
        "\f1",
        "\v1",
        "01",
        "-01",
        "00",
        "-",
        "--1",
        "+1",
        ".5",
        "-.5",
        "1.",
        "1.e1",
        "1e",
        "1e+",
        "1e1.5",
        "1ee1",
        "0x10",
        "1_0",
        "1a",
        "1 2",
        "\xef\xbb\xbf 1",
        "\xc2\xa0 1",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\",
        "\"\\x41\"",
        "\"\\a\"",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u123",
        "\"\\u12g4\"",
        "\"\\U0041\"",
        "\"\n\"",
        "\"\t\"",
        "\"\x01\"",
        "\"\x1f\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800x\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800\\ud800\"",
        "\"\\ud800\\u\"",
        "\"\\ud800\\udc0\"",
        "\"\xff\"",
        "\"\x80\"",
        "\"\xc3\"",
        "\"\xc0\xaf\"",
        "\"\xe0\x80\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xe2\x82\"",
        "\"\xf0\x9f\x98\"",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[,]",
        "[1,,2]",
        "[1 2]",
        "[1;2]",
        "[1}",
        "[\"a\":1]",
        "[1]]",
        "[1],",
        "{",
        "}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{\"a\"::1}",
        "{\"a\":}",
        "{a:1}",
        "{1:1}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1]",
        "{\"a\"}",
        "{null:1}",
        "{\"a\":1}}",
        "{} {}",
        "/**/1",
        "1//x",
        "[1]#",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (accepts(span_str(bad[i])))
            fail_msg("accepted: %s", bad[i]);
    assert_false(accepts(span_of("1\0", 2)));
    assert_false(accepts(span_of("\"\0\"", 3)));
    assert_false(accepts(span_of(NULL, 0)));
}

/* The reader refuses a document that is cut at any byte. If any one byte changes, it stays within its bounds. */
static void test_base_json_refuses_cut_documents(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\\u00e9\\ud83d\\ude00\":[1,-2.5e+3,\"\xe2\x82\xac\",true,null,{\"b\":[{},[]]}]}";
    enum { LEN = sizeof text - 1 };
    assert_true(accepts(span_of(text, LEN)));
    for (size_t len = 0; len < LEN; len++) {
        uint8_t *exact =
            malloc(len ? len : 1); /* in a separate allocation, so that a sanitizer sees a read past the end */
        assert_non_null(exact);
        memcpy(exact, text, len);
        assert_false(accepts(span_of(exact, len)));
        for (size_t i = 0; i < len; i++) {
            exact[i] = 0xff;
            assert_false(accepts(span_of(exact, len)));
            exact[i] = (uint8_t)text[i];
        }
        free(exact);
    }
}

static void test_base_json_walks_an_object(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct json_reader r;
    struct span key, text = {0}, raw = {0};
    int64_t count = 0;
    double sum = 0;
    bool flag = false;
    json_reader_init(&r,
                     span_str(" {\"text\": \"a\\u00e9\\ud83d\\ude00\\n\", \"skip\": [1, {\"x\": [true, null]}],"
                              " \"cou\\u006et\": -12, \"v\": [1, 0.5, 1e2], \"raw\" : [ 1 ] , \"flag\":true} "));
    assert_int_equal(json_peek(&r), JSON_OBJECT);
    assert_true(json_enter_object(&r));
    while (json_next_key(&r, &arena, &key)) {
        if (span_equal_str(key, "text")) {
            assert_int_equal(json_peek(&r), JSON_STRING);
            json_read_string(&r, &arena, &text);
        } else if (span_equal_str(key, "count")) {
            json_read_i64(&r, &count);
        } else if (span_equal_str(key, "v")) {
            json_enter_array(&r);
            double v;
            while (json_next_item(&r) && json_read_double(&r, &v))
                sum += v;
        } else if (span_equal_str(key, "raw")) {
            json_read_raw(&r, &raw);
        } else if (span_equal_str(key, "flag")) {
            json_read_bool(&r, &flag);
        } else {
            json_skip(&r);
        }
    }
    assert_true(json_end(&r));
    assert_false(json_failed(&r));
    assert_int_equal(json_error(&r, NULL), DP_OK);
    assert_int_equal(json_peek(&r), JSON_NOTHING);
    assert_true(span_equal_str(text, "a\u00e9\U0001F600\n"));
    assert_true(span_equal_str(raw, "[ 1 ]"));
    assert_int_equal(count, -12);
    assert_true(sum == 101.5);
    assert_true(flag);
    arena_deinit(&arena);
}

/* A string without escapes points into the text. */
static void test_base_json_strings_are_not_copied(void **state)
{
    (void)state;
    struct json_reader r;
    struct span text = span_str("[\"plain\", \"\", \"esc\\taped\"]"), s;
    json_reader_init(&r, text);
    assert_true(json_enter_array(&r) && json_next_item(&r) && json_read_string(&r, NULL, &s));
    assert_ptr_equal(s.data, text.data + 2);
    assert_int_equal(s.len, 5);
    assert_true(json_next_item(&r) && json_read_string(&r, NULL, &s));
    assert_int_equal(s.len, 0);
    assert_true(json_next_item(&r));
    assert_false(json_read_string(&r, NULL, &s)); /* an escaped string needs an arena */
    assert_true(json_failed(&r));
}

static void test_base_json_unescapes_every_character(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (uint32_t scalar = 0; scalar <= 0x10ffff; scalar += scalar < 0x2000 ? 1 : 97) {
        if (scalar >= 0xd800 && scalar <= 0xdfff)
            continue;
        char text[32];
        uint8_t expected[4];
        struct span s;
        struct json_reader r;
        if (scalar < 0x10000)
            snprintf(text, sizeof text, "\"\\u%04X\"", scalar);
        else
            snprintf(text, sizeof text, "\"\\u%04x\\u%04x\"", 0xd800 + ((scalar - 0x10000) >> 10),
                     0xdc00 + ((scalar - 0x10000) & 0x3ff));
        json_reader_init(&r, span_str(text));
        assert_true(json_read_string(&r, &arena, &s) && json_end(&r));
        assert_true(span_equal(s, span_of(expected, utf8_encode(scalar, expected))));
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

static void test_base_json_integers_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool i64, u64;
        uint64_t value;
    } cases[] = {
        {"0", true, true, 0},
        {"-0", true, true, 0},
        {"-1", true, false, UINT64_MAX},
        {"9223372036854775807", true, true, INT64_MAX},
        {"9223372036854775808", false, true, (uint64_t)INT64_MAX + 1},
        {"-9223372036854775808", true, false, (uint64_t)INT64_MIN},
        {"-9223372036854775809", false, false, 0},
        {"18446744073709551615", false, true, UINT64_MAX},
        {"18446744073709551616", false, false, 0},
        {"99999999999999999999999", false, false, 0},
        {"1.0", false, false, 0},
        {"1e3", false, false, 0},
        {"\"1\"", false, false, 0},
        {"true", false, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_reader r;
        int64_t s;
        uint64_t u;
        json_reader_init(&r, span_str(cases[i].text));
        assert_int_equal(json_read_i64(&r, &s), cases[i].i64);
        if (cases[i].i64)
            assert_true((uint64_t)s == cases[i].value);
        json_reader_init(&r, span_str(cases[i].text));
        assert_int_equal(json_read_u64(&r, &u), cases[i].u64);
        if (cases[i].u64)
            assert_true(u == cases[i].value);
    }
}

static void test_base_json_errors_name_what_and_where(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[1, 2", "expected ',' or ']', found the end of the text at byte 5"},
        {"[1,]", "expected a value after ',', found ']' at byte 3"},
        {"{text: 1}", "expected a key in double quotes, found 't' at byte 1"},
        {"{\"a\":1,}", "expected a key after ',', found '}' at byte 7"},
        {"{\"a\" 1}", "expected ':', found a number at byte 5"},
        {"[1 @", "expected ',' or ']', found '@' at byte 3"},
        {"[1 \x01", "expected ',' or ']', found byte 0x01 at byte 3"},
        {"[\"a\\q\"]", "unknown escape in a string at byte 3"},
        {"[\"\\ud800\"]", "lone surrogate \\ud800 at byte 2"},
        {"\"ab\xff\"", "invalid UTF-8 in a string at byte 3"},
        {"\"a\nb\"", "a bare control character 0x0a in a string at byte 2"},
        {"  \"abc", "a string without its closing quote at byte 2"},
        {"[-]", "a malformed number at byte 1"},
        {"[nul]", "expected null at byte 1"},
        {"", "expected a value, found the end of the text at byte 0"},
        {"1 1", "expected the end of the text, found a number at byte 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_reader r;
        struct dp_error error;
        json_reader_init(&r, span_str(cases[i].text));
        assert_false(json_skip(&r) && json_end(&r));
        assert_int_equal(json_error(&r, &error), DP_INVALID);
        assert_string_equal(error.message, cases[i].message);
    }
}

static void test_base_json_wrong_types_are_named(void **state)
{
    (void)state;
    struct json_reader r;
    struct dp_error error;
    struct span s;
    bool b;
    double d;
    json_reader_init(&r, span_str(" 1"));
    assert_false(json_read_string(&r, NULL, &s));
    json_error(&r, &error);
    assert_string_equal(error.message, "expected a string, found a number at byte 1");
    json_reader_init(&r, span_str("[]"));
    assert_false(json_enter_object(&r));
    json_error(&r, &error);
    assert_string_equal(error.message, "expected an object, found an array at byte 0");
    json_reader_init(&r, span_str("{}"));
    assert_false(json_read_bool(&r, &b));
    json_reader_init(&r, span_str("null"));
    assert_false(json_read_double(&r, &d));
    json_reader_init(&r, span_str("null"));
    assert_true(json_read_null(&r));
    json_reader_init(&r, span_str("0"));
    assert_false(json_read_null(&r));
    json_reader_init(&r, span_str("[1]"));
    assert_true(json_enter_array(&r));
    assert_false(json_next_key(&r, NULL, &s)); /* an array has no keys */
    assert_true(json_failed(&r));
    json_reader_init(&r, span_str("1"));
    assert_false(json_next_item(&r));
    assert_true(json_failed(&r));
}

static void test_base_json_first_error_sticks(void **state)
{
    (void)state;
    struct json_reader r;
    struct dp_error error;
    struct span s;
    int64_t v = 7;
    json_reader_init(&r, span_str("{\"limit\": -3, \"x\": [1]}"));
    assert_true(json_enter_object(&r) && json_next_key(&r, NULL, &s) && json_read_i64(&r, &v));
    json_reject(&r, DP_TOO_LARGE, "limit %lld is not positive", (long long)v);
    json_reject(&r, DP_INVALID, "later");
    assert_false(json_next_key(&r, NULL, &s));
    assert_false(json_enter_array(&r));
    assert_false(json_next_item(&r));
    assert_false(json_read_raw(&r, &s));
    assert_false(json_skip(&r));
    assert_false(json_end(&r));
    assert_int_equal(json_peek(&r), JSON_NOTHING);
    assert_int_equal(json_error(&r, &error), DP_TOO_LARGE);
    assert_string_equal(error.message, "limit -3 is not positive at byte 12");
}

static void test_base_json_depth_is_bounded(void **state)
{
    (void)state;
    char text[2 * (JSON_DEPTH_MAX + 1)];
    struct json_reader r;
    struct dp_error error;
    for (size_t depth = 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(accepts(span_of(text, 2 * depth)), depth <= JSON_DEPTH_MAX);
    }
    json_reader_init(&r, span_str("[{\"a\":[]}]"));
    r.depth_max = 2;
    assert_false(json_skip(&r));
    json_error(&r, &error);
    assert_string_equal(error.message, "nested deeper than 2 at byte 6");
    json_reader_init(&r, span_str("1"));
    r.depth_max = 0;
    assert_true(json_skip(&r));
}

static void test_base_json_numbers_have_a_longest(void **state)
{
    (void)state;
    char text[JSON_NUMBER_MAX + 2];
    memset(text, '1', sizeof text);
    assert_true(accepts(span_of(text, JSON_NUMBER_MAX)));
    assert_false(accepts(span_of(text, JSON_NUMBER_MAX + 1)));
}

static void test_base_json_end_wants_closed_containers(void **state)
{
    (void)state;
    struct json_reader r;
    json_reader_init(&r, span_str("[1"));
    int64_t v;
    assert_true(json_enter_array(&r) && json_next_item(&r) && json_read_i64(&r, &v));
    assert_false(json_end(&r));
}

static void test_base_json_reader_survives_failed_allocations(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 2; n++) {
        struct arena arena;
        struct json_reader r;
        struct dp_error error;
        struct span s;
        arena_init(&arena, 1 << 20);
        json_reader_init(&r, span_str("{\"a\\n\":\"b\\n\"}"));
        test_alloc_fail_at(n);
        bool good = json_enter_object(&r) && json_next_key(&r, &arena, &s) && json_read_string(&r, &arena, &s);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(good, !fired);
        assert_int_equal(json_error(&r, &error), fired ? DP_NOMEM : DP_OK);
        assert_int_equal(fired, n == 1);
        arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_json_accepts_the_grammar),
        cmocka_unit_test(test_base_json_refuses_everything_else),
        cmocka_unit_test(test_base_json_refuses_cut_documents),
        cmocka_unit_test(test_base_json_walks_an_object),
        cmocka_unit_test(test_base_json_strings_are_not_copied),
        cmocka_unit_test(test_base_json_unescapes_every_character),
        cmocka_unit_test(test_base_json_integers_are_exact),
        cmocka_unit_test(test_base_json_errors_name_what_and_where),
        cmocka_unit_test(test_base_json_wrong_types_are_named),
        cmocka_unit_test(test_base_json_first_error_sticks),
        cmocka_unit_test(test_base_json_depth_is_bounded),
        cmocka_unit_test(test_base_json_numbers_have_a_longest),
        cmocka_unit_test(test_base_json_end_wants_closed_containers),
        cmocka_unit_test(test_base_json_reader_survives_failed_allocations),
    };
    return test_run(tests);
}
