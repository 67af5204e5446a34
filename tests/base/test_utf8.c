/* test_utf8.c: well-formed UTF-8, checked against every scalar value and every short byte sequence. */
#include "test_support.h"

#include "base/utf8.h"

static void test_base_utf8_encodes_every_scalar(void **state)
{
    (void)state;
    for (uint32_t scalar = 0; scalar <= 0x10ffff; scalar++) {
        uint8_t bytes[4] = {0};
        size_t len = utf8_encode(scalar, bytes);
        bool surrogate = scalar >= 0xd800 && scalar <= 0xdfff;
        assert_int_equal(utf8_length(bytes, bytes + len), surrogate ? 0 : len);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(utf8_length(bytes, bytes + cut), 0);
    }
}

/* For each length, there are as many well-formed sequences as scalar values that take this length. So the validator
 * accepts nothing else. */
static void test_base_utf8_accepts_nothing_else(void **state)
{
    (void)state;
    size_t found[5] = {0};
    for (uint32_t a = 0; a < 256; a++) {
        uint8_t one[1] = {(uint8_t)a};
        found[1] += utf8_length(one, one + 1) == 1;
        for (uint32_t b = 0; b < 256; b++) {
            uint8_t bytes[4] = {(uint8_t)a, (uint8_t)b, 0x80, 0xbf};
            found[2] += utf8_length(bytes, bytes + 2) == 2;
            found[3] += (utf8_length(bytes, bytes + 3) == 3) * (size_t)64;
            found[4] += (utf8_length(bytes, bytes + 4) == 4) * (size_t)(64 * 64);
        }
    }
    assert_int_equal(found[1], 0x80);
    assert_int_equal(found[2], 0x800 - 0x80);
    assert_int_equal(found[3], 0x10000 - 0x800 - 0x800);
    assert_int_equal(found[4], 0x110000 - 0x10000);
    static const uint8_t bad_tails[][4] = {
        {0xe1, 0x80, 0x7f, 0}, {0xf1, 0x80, 0xc0, 0x80}, {0xf1, 0x80, 0x80, 0x20}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(utf8_length(bad_tails[i], bad_tails[i] + 4), 0);
}

static void test_base_utf8_finds_an_error_at_any_place(void **state)
{
    (void)state;
    uint8_t text[40];
    for (size_t at = 0; at < sizeof text; at++) {
        memset(text, 'x', sizeof text);
        assert_true(utf8_valid(span_of(text, sizeof text)));
        text[at] = 0xff;
        assert_false(utf8_valid(span_of(text, sizeof text)));
        text[at] = '\n';
        assert_true(utf8_valid(span_of(text, sizeof text)));
    }
    assert_true(utf8_valid(span_of(NULL, 0)));
    assert_false(utf8_valid(span_str("abc\xe2\x82")));
}

static void test_base_utf8_plain_stops_at_what_json_escapes(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
        for (size_t at = 0; at < 20; at++) {
            uint8_t text[20];
            memset(text, 'x', sizeof text);
            text[at] = (uint8_t)byte;
            assert_int_equal(utf8_plain_length(text, text + sizeof text), plain ? sizeof text : at);
        }
    }
}

/* The examples of Unicode 15, tables 3-8 to 3-11: how many bytes each U+FFFD replaces. */
static void test_base_utf8_substitutes_maximal_subparts(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *lengths; /* bytes of each bad part; '=' for a good character */
    } cases[] = {
        {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", "11111111="},
        {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", "11111111="},
        {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", "11111=11="},
        {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", "2132="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span text = span_str(cases[i].bytes);
        const uint8_t *at = text.data, *end = at + text.len;
        const char *expected = cases[i].lengths;
        while (at < end) {
            size_t len = utf8_length(at, end);
            size_t bad = len ? 0 : utf8_bad_length(at, end);
            assert_int_equal(*expected, len ? '=' : (char)('0' + bad));
            expected++;
            at += len + bad;
        }
        assert_int_equal(*expected, '\0');
    }
}

static void test_base_utf8_shows_one_line_of_a_strangers_text(void **state)
{
    (void)state;
    const struct {
        const char *text;
        size_t max;
        const char *shown;
    } cases[] = {
        {"", 10, ""},
        {"one\ntwo", 10, "one"},
        {"a\x7f", 10, "a"},
        {"\x1b[31m", 10, ""},
        {"caf\xc3\xa9", 5, "caf\xc3\xa9"},
        {"caf\xc3\xa9", 4, "caf"},
        {"caf\xc3\xa9", 0, ""},
        {"bad\xff", 10, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(span_equal_str(utf8_shown(span_str(cases[i].text), cases[i].max), cases[i].shown));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_utf8_encodes_every_scalar),
        cmocka_unit_test(test_base_utf8_accepts_nothing_else),
        cmocka_unit_test(test_base_utf8_finds_an_error_at_any_place),
        cmocka_unit_test(test_base_utf8_plain_stops_at_what_json_escapes),
        cmocka_unit_test(test_base_utf8_substitutes_maximal_subparts),
        cmocka_unit_test(test_base_utf8_shows_one_line_of_a_strangers_text),
    };
    return test_run(tests);
}
