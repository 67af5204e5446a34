/* test_json_number.c: numbers are read with correct rounding and printed with the fewest digits.
 *
 * The oracle is the C library's strtof, strtod and printf, which are exact; the program's locale is "C". */
#include "test_support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_number.h"
#include "base/json_powers.h"

static uint64_t seed = 88172645463325252;

static uint64_t next_random(void) /* Marsaglia's xorshift */
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static float float_of(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* Reads `text` and compares both roundings with the C library's, to the bit. */
static void check_reading(const char *text)
{
    struct json_number n;
    double d;
    float f;
    size_t len = strlen(text);
    if (json_number_scan(span_of(text, len), &n) != len)
        fail_msg("not scanned: %s", text);
    double expected_d = strtod(text, NULL);
    float expected_f = strtof(text, NULL);
    bool finite_d = json_number_double(&n, &d), finite_f = json_number_float(&n, &f);
    if (finite_d != (bool)isfinite(expected_d) || bits_of(d) != bits_of(expected_d))
        fail_msg("%s read as %a, not %a", text, d, expected_d);
    if (finite_f != (bool)isfinite(expected_f) || bits_of((double)f) != bits_of((double)expected_f))
        fail_msg("%s read as %a, not %a (float)", text, (double)f, (double)expected_f);
}

static void test_base_json_reads_chosen_numbers(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "0.0",
        "0e99999999999999999999",
        "1",
        "-1",
        "0.1",
        "1e0",
        "1e22",
        "1e23",
        "9007199254740993",
        "9007199254740992.999999999999999999999999999999",
        "16777217",
        "16777217.0000000000000000000000001",
        "16777219",
        "5e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "4.9406564584124654e-324",
        "2.2250738585072014e-308",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e308",
        "1e309",
        "-1e309",
        "1e-400",
        "123456e-330",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "1.17549435e-38",
        "1.1754942e-38",
        "1e-45",
        "7e-46",
        "7.0064923216240853e-46",
        "7.0064923216240854e-46",
        "7.00649232162408535461864791644958e-46",
        "7.00649232162408535461864791644959e-46",
        "3.4028234e38",
        "3.4028235e38",
        "3.4028235677973366e38",
        "3.4028235677973367e38",
        "3.4028236e38",
        "1e38",
        "1e39",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
        "0.000000000000000000000000000000000000000000000000000000000000000000001e68",
        "100000000000000000000000000000000000000000000000000000e-53",
        "8.5e-1",
        "2e-8",
        "1.00000017881393432617187499",
        "1.00000017881393432617187500",
        "1.00000017881393432617187501",
        "6929495644600919.5",
        "3.7455744005952583e15",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_reading(texts[i]);
}

/* Random digits and exponents, with and without a point. */
static void test_base_json_reads_random_numbers(void **state)
{
    (void)state;
    for (int round = 0; round < 200000; round++) {
        char text[64];
        uint64_t digits = next_random() >> (next_random() % 64);
        int exponent = (int)(next_random() % (round % 2 ? 700 : 100)) - (round % 2 ? 360 : 60);
        if (round % 3 == 0)
            snprintf(text, sizeof text, "%llue%d", (unsigned long long)digits, exponent);
        else
            snprintf(text, sizeof text, "%s%llu.%0*llue%d", round & 8 ? "-" : "",
                     (unsigned long long)(digits >> 32), (int)(next_random() % 24) + 1,
                     (unsigned long long)(next_random() >> 8), exponent);
        check_reading(text);
    }
}

/* The hardest numbers: the exact decimal in the middle of two neighbours, where rounding changes, and decimals just
 * beside it. A double holds the middle of two floats exactly; a long double holds the middle of two doubles. */
static void test_base_json_reads_numbers_halfway_between_two(void **state)
{
    (void)state;
    enum { PLACES = 1100 };
    for (int round = 0; round < 6000; round++) {
        char text[PLACES + 320];
        long double middle;
        if (round % 2) {
            uint32_t bits = (uint32_t)next_random() % 0x7f7fffff;
            middle = ((long double)float_of(bits) + (long double)float_of(bits + 1)) / 2;
        } else {
            uint64_t bits = next_random() % 0x7fefffffffffffff;
            middle = ((long double)double_of(bits) + (long double)double_of(bits + 1)) / 2;
        }
        int len = snprintf(text, sizeof text, "%.*Lf", PLACES, middle);
        check_reading(text);
        text[len - 1] = '1'; /* just above, in the last place */
        check_reading(text);
        char *digit = text + len - 2; /* just below: borrow from the last digit that is not 0 */
        text[len - 1] = '9';
        while (*digit == '0' || *digit == '.') {
            if (*digit == '0')
                *digit = '9';
            digit--;
        }
        (*digit)--;
        check_reading(text);
    }
}

/* These numbers are longer than the JSON reader accepts. Digits after the 800th only decide exact ties. */
static void test_base_json_number_of_many_digits(void **state)
{
    (void)state;
    enum { LONG = 3000 };
    static char text[LONG + 40];
    memset(text, '0', LONG);
    memcpy(text, "9007199254740993.", 17); /* just between two doubles */
    text[LONG] = '\0';
    check_reading(text);
    text[LONG - 1] = '1';
    check_reading(text);
    memset(text, '7', LONG);
    check_reading(text);
    memcpy(text + LONG, "e-2990", 7);
    check_reading(text);
    memset(text, '0', LONG);
    memcpy(text, "0.", 2);
    memcpy(text + LONG, "123e3000", 9);
    check_reading(text);
}

static void test_base_json_number_scans_only_the_grammar(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {{"", 0},       {"-", 0},   {"+1", 0},    {".5", 0},   {"01", 0},  {"1.", 0},  {"1.e5", 0},
                 {"1e", 0},     {"1e+", 0}, {"1-", 1},    {"1.5x", 3}, {"-0,", 2}, {"12]", 2}, {"1E5 ", 3},
                 {"1e-07}", 5}, {"0x1", 1}, {"1.2.3", 3}, {"inf", 0},  {"nan", 0}, {"- 1", 0}, {"0e", 0}};
    struct json_number n;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(json_number_scan(span_str(cases[i].text), &n), cases[i].len);
    assert_int_equal(json_number_scan(span_of(NULL, 0), &n), 0);
}

static void assert_float_text(float v, const char *expected)
{
    char text[JSON_FLOAT_ROOM];
    size_t len = json_format_float(v, text);
    if (!span_equal_str(span_of(text, len), expected))
        fail_msg("%a printed as %.*s, not %s", (double)v, (int)len, text, expected);
}

static void assert_double_text(double v, const char *expected)
{
    char text[25];
    size_t len = json_format_double(v, text);
    if (!span_equal_str(span_of(text, len), expected))
        fail_msg("%a printed as %.*s, not %s", v, (int)len, text, expected);
}

static void test_base_json_prints_chosen_numbers(void **state)
{
    (void)state;
    assert_float_text(0.0f, "0");
    assert_float_text(-0.0f, "-0.0");
    assert_float_text(1.0f, "1");
    assert_float_text(-1.5f, "-1.5");
    assert_float_text(0.1f, "0.1");
    assert_float_text(100.0f, "100");
    assert_float_text(123456.79f, "123456.79");
    assert_float_text(16777216.0f, "16777216");
    assert_float_text(1e10f, "10000000000");
    assert_float_text(9.9999999e14f, "1e15");
    assert_float_text(-1.2345679e14f, "-123456790000000");
    assert_float_text(1e-5f, "0.00001");
    assert_float_text(-1.2345678e-5f, "-0.000012345678");
    assert_float_text(1e-6f, "1e-6");
    assert_float_text(1e-7f, "1e-7");
    assert_float_text(3.4028235e38f, "3.4028235e38");
    assert_float_text(-FLT_MIN, "-1.1754944e-38");
    assert_float_text(1e-45f, "1e-45");
    assert_float_text(-1e-45f, "-1e-45");
    assert_float_text(INFINITY, "null");
    assert_float_text(-NAN, "null");
    assert_float_text(33554432.0f, "33554432"); /* a power of two: the interval below is half as wide */
    assert_float_text(9007199254740992.0f, "9.007199e15");
    assert_double_text(0.0, "0");
    assert_double_text(-0.0, "-0.0");
    assert_double_text(0.1, "0.1");
    assert_double_text(0.30000000000000004, "0.30000000000000004");
    assert_double_text(1.0 / 3, "0.3333333333333333");
    assert_double_text(1e16, "10000000000000000");
    assert_double_text(1e17, "1e17");
    assert_double_text(12345678901234567.0, "12345678901234568");
    assert_double_text(9007199254740993.0, "9007199254740992");
    assert_double_text(-2.2250738585072014e-308, "-2.2250738585072014e-308");
    assert_double_text(5e-324, "5e-324");
    assert_double_text(DBL_MAX, "1.7976931348623157e308");
    assert_double_text(-0.000012345678901234567, "-0.000012345678901234568");
    assert_double_text(1e23, "1e23");
    assert_double_text(9.5367431640625e-7, "9.5367431640625e-7");
    assert_double_text(2e-44, "2e-44");
    assert_double_text(-INFINITY, "null");
    assert_double_text(NAN, "null");
}

/* Significant digits of a printed number. */
static int count_significant(const char *text)
{
    int count = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (count == 0 && *text == '0'))
            continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        count++;
    }
    return count - zeros;
}

static void check_float(float v, bool shortest)
{
    char text[JSON_FLOAT_ROOM + 1], reference[40];
    size_t len = json_format_float(v, text);
    assert_in_range(len, 1, JSON_FLOAT_MAX);
    text[len] = '\0';
    if (strtof(text, NULL) != v)
        fail_msg("%a printed as %s", (double)v, text);
    struct json_reader r;
    float back;
    json_reader_init(&r, span_of(text, len));
    if (!json_read_float(&r, &back) || !json_end(&r) || back != v)
        fail_msg("%s does not read back", text);
    if (!shortest)
        return;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(reference, sizeof reference, "%.*e", digits - 1, (double)v);
        if (strtof(reference, NULL) == v)
            break;
    }
    /* Among decimals of one length, printf prints the closest, and so must we. Powers of two may differ: their interval
     * is wider above, where a shorter decimal may lie that is not the closest of its length. */
    int ours = count_significant(text), theirs = count_significant(reference);
    if (ours > theirs || (ours == theirs && strtod(text, NULL) != strtod(reference, NULL) &&
                          fabs(strtod(text, NULL) - (double)v) > fabs(strtod(reference, NULL) - (double)v)))
        fail_msg("%a printed as %s, but %s is shorter or closer", (double)v, text, reference);
}

static void check_double(double v, bool shortest)
{
    char text[26], reference[40];
    size_t len = json_format_double(v, text);
    assert_in_range(len, 1, 25);
    text[len] = '\0';
    if (strtod(text, NULL) != v)
        fail_msg("%a printed as %s", v, text);
    if (!shortest)
        return;
    struct json_reader r;
    double back;
    json_reader_init(&r, span_of(text, len));
    if (!json_read_double(&r, &back) || !json_end(&r) || back != v)
        fail_msg("%s does not read back", text);
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(reference, sizeof reference, "%.*e", digits - 1, v);
        if (strtod(reference, NULL) == v)
            break;
    }
    int ours = count_significant(text), theirs = count_significant(reference);
    if (ours > theirs ||
        (ours == theirs && strtold(text, NULL) != strtold(reference, NULL) &&
         fabsl(strtold(text, NULL) - (long double)v) > fabsl(strtold(reference, NULL) - (long double)v)))
        fail_msg("%a printed as %s, but %s is shorter or closer", v, text, reference);
}

static void test_base_json_prints_floats_that_read_back(void **state)
{
    (void)state;
    for (uint32_t exponent = 0; exponent < 0xff; exponent++) /* the ends of every binade */
        for (uint32_t fraction = 0; fraction < 4; fraction++) {
            check_float(float_of(exponent << 23 | (exponent | fraction ? fraction : 1)), true);
            check_float(float_of(exponent << 23 | (0x7fffff - fraction)), true);
        }
    for (int i = 0; i < 1500000; i++) {
        uint32_t bits = (uint32_t)(next_random() >> 32);
        float v = float_of(bits);
        if (isfinite(v) && v != 0)
            check_float(v, i % 50 == 0);
    }
}

/* json_format.c prints floats from 1e-5 up to 1 by another method. Tests the ends of this range and many floats in
 * it. */
static void test_base_json_prints_fractions_that_read_back(void **state)
{
    (void)state;
    uint32_t first = 0x3727c5ac, end = 0x3f800000;
    for (uint32_t i = 0; i < 2000; i++) {
        check_float(float_of(first - 1000 + i), true);
        check_float(-float_of(end - 1000 + i), true);
    }
    for (int i = 0; i < 400000; i++) {
        uint32_t bits = first + (uint32_t)((next_random() >> 32) * (uint64_t)(end - first) >> 32);
        check_float(float_of(bits | (uint32_t)(i & 1) << 31), i % 8 == 0);
    }
    for (uint32_t places = 1; places < 100000; places++) /* few digits, many zeros at the end */
        check_float((float)places / 100000.0f, places % 8 == 0);
}

static void test_base_json_prints_arrays_of_floats_as_single_floats(void **state)
{
    (void)state;
    enum { MANY = 500 };
    float v[MANY];
    char text[MANY * (JSON_FLOAT_MAX + 1) + 3], one[JSON_FLOAT_ROOM];
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < MANY; i++)
            v[i] = round % 2 ? float_of((uint32_t)next_random()) : (float)(int32_t)next_random() * 0x1p-33f;
        size_t len = json_format_floats(v, MANY, text), at = 0;
        for (size_t i = 0; i < MANY; i++) {
            size_t one_len = json_format_float(v[i], one);
            assert_true(at + one_len < len);
            assert_memory_equal(text + at, one, one_len);
            assert_int_equal(text[at + one_len], ',');
            at += one_len + 1;
        }
        assert_int_equal(at, len);
    }
}

static void test_base_json_prints_doubles_that_read_back(void **state)
{
    (void)state;
    for (uint64_t exponent = 0; exponent < 0x7ff; exponent++)
        for (uint64_t fraction = 0; fraction < 2; fraction++) {
            check_double(double_of(exponent << 52 | (exponent | fraction ? fraction : 1)), true);
            check_double(double_of(exponent << 52 | (0xfffffffffffff - fraction)), true);
        }
    for (int i = 0; i < 400000; i++) {
        double v = double_of(next_random());
        if (i % 4 == 0)
            v = (double)(next_random() >> 40) / (double)((next_random() >> 44) + 1);
        if (isfinite(v) && v != 0)
            check_double(v, i % 50 == 0);
    }
}

/* Each entry of the table is a power of ten, rounded up to 128 bits. So entry * 10 and entry / 10 must equal its
 * neighbours within one unit. The test starts at 10^0 and goes in both directions with exact 128-bit arithmetic. */
static void test_base_json_powers_follow_each_other(void **state)
{
    (void)state;
    for (int e = POWER_OF_TEN_FIRST; e < POWER_OF_TEN_LAST; e++) {
        const struct power_of_ten *p = &POWERS_OF_TEN[e - POWER_OF_TEN_FIRST], *next = p + 1;
        assert_true(p->high >> 63);
        /* (high * 2^64 + low) * 10, over 2^3 or 2^4 */
        unsigned __int128 low = (unsigned __int128)p->low * 10;
        unsigned __int128 high = (unsigned __int128)p->high * 10 + (uint64_t)(low >> 64);
        int shift = floor_log2_of_power(e + 1) - floor_log2_of_power(e);
        assert_in_range(shift, 3, 4);
        assert_int_equal((uint64_t)(high >> (64 + shift)), 0);
        unsigned __int128 quotient = high << (64 - shift) | (uint64_t)low >> shift;
        unsigned __int128 expected = (unsigned __int128)next->high << 64 | next->low;
        /* rounding up by less than one unit becomes less than 10/8 units more, so the quotient is at most 2 above */
        assert_true(quotient - expected + 1 <= 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_json_reads_chosen_numbers),
        cmocka_unit_test(test_base_json_reads_random_numbers),
        cmocka_unit_test(test_base_json_reads_numbers_halfway_between_two),
        cmocka_unit_test(test_base_json_number_of_many_digits),
        cmocka_unit_test(test_base_json_number_scans_only_the_grammar),
        cmocka_unit_test(test_base_json_prints_chosen_numbers),
        cmocka_unit_test(test_base_json_prints_floats_that_read_back),
        cmocka_unit_test(test_base_json_prints_fractions_that_read_back),
        cmocka_unit_test(test_base_json_prints_arrays_of_floats_as_single_floats),
        cmocka_unit_test(test_base_json_prints_doubles_that_read_back),
        cmocka_unit_test(test_base_json_powers_follow_each_other),
    };
    return test_run(tests);
}
