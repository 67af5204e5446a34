/* test_value.c: values of attributes become their normal forms, and values that fit no type are refused by
 * name. */
#include "test_support.h"

#include <math.h>
#include <stdio.h>

#include "filter/datetime.h"
#include "filter/uuid.h"
#include "filter/value.h"
#include "filter/vector_value.h"

static struct arena test_arena;

static int begin_arena(void **state)
{
    (void)state;
    arena_init(&test_arena, (size_t)64 << 20);
    return 0;
}

static int end_arena(void **state)
{
    (void)state;
    arena_deinit(&test_arena);
    return 0;
}

static struct attribute attribute_of(const char *type)
{
    struct attribute a = {.number = 2, .name = span_str("x")};
    assert_true(attribute_type_parse(span_str(type), &a));
    return a;
}

/* type, value, normal form; or for a refusal: words of its sentence after a '!' */
static const struct {
    const char *type, *raw, *wanted;
} values[] = {
    {"string", "\"abc\"", "\"abc\""},
    {"string", "\"\\u0061\\/\\u00e9\"", "\"a/\xc3\xa9\""},
    {"string", "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
    {"string", "\"a\\u0000\\n\"", "\"a\\u0000\\n\""},
    {"string", "\"\\ud83d\"", "!lone surrogate"},
    {"string", "\"\\ude00x\"", "!lone surrogate"},
    {"string", "\"\xff\"", "!invalid UTF-8"},
    {"string", "\"\xed\xa0\x80\"", "!invalid UTF-8"},
    {"string", "7", "!has type string, but the value is a number"},
    {"string", "[\"a\"]", "!an array"},
    {"string", "null", "null"},
    {"string", "nul", "!expected null"},
    {"string", "\"a\" 1", "!end of the text"},
    {"string", "", "!end of the text"},
    {"int", "0", "0"},
    {"int", "-0", "0"},
    {"int", "-0.0", "0"},
    {"int", "9223372036854775807", "9223372036854775807"},
    {"int", "-9223372036854775808", "-9223372036854775808"},
    {"int", "9223372036854775808", "!outside -2^63 to 2^63 - 1"},
    {"int", "-9223372036854775809", "!outside -2^63"},
    {"int", "99999999999999999999999999", "!outside -2^63"},
    {"int", "9007199254740993", "9007199254740993"},
    {"int", "1.0", "1"},
    {"int", "-1e3", "-1000"},
    {"int", "120e-1", "12"},
    {"int", "9.223372036854775807e18", "9223372036854775807"},
    {"int", "1e19", "!outside"},
    {"int", "1e400", "!outside"},
    {"int", "1.5", "!a number with a fraction"},
    {"int", "1e-1", "!a number with a fraction"},
    {"int", "10000000000000000000.5", "!outside"},
    {"int", "\"7\"", "!a string"},
    {"int", "true", "!a boolean"},
    {"int", "NaN", "!expected a value"},
    {"int", "01", "!byte"},
    {"uint", "18446744073709551615", "18446744073709551615"},
    {"uint", "18446744073709551616", "!outside 0 to 2^64 - 1"},
    {"uint", "1.8446744073709551615e19", "!outside"},
    {"uint", "-1", "!outside 0"},
    {"uint", "-0", "0"},
    {"uint", "1e19", "10000000000000000000"},
    {"float", "1", "1"},
    {"float", "1.50", "1.5"},
    {"float", "1e308", "1e308"},
    {"float", "1e309", "!out of range"},
    {"float", "-Infinity", "!byte"},
    {"float", "NaN", "!byte"},
    {"float", "\"NaN\"", "!a string"},
    {"float", "9007199254740993", "9007199254740992"},
    {"bool", "true", "true"},
    {"bool", "false", "false"},
    {"bool", "1", "!a number"},
    {"bool", "truth", "!byte"},
    {"uuid", "\"769C134D-07b8-4225-954a-b6cc5ffc320c\"", "\"769c134d-07b8-4225-954a-b6cc5ffc320c\""},
    {"uuid", "\"769c134d07b84225954ab6cc5ffc320c\"", "\"769c134d-07b8-4225-954a-b6cc5ffc320c\""},
    {"uuid", "\"769c134d-07b8-4225-954a-b6cc5ffc320\"", "!not a UUID"},
    {"uuid", "\"769c134d-07b8-4225-954ab-6cc5ffc320c\"", "!not a UUID"},
    {"uuid", "\"{69c134d-07b8-4225-954a-b6cc5ffc320c\"", "!not a UUID"},
    {"uuid", "1", "!a number"},
    {"datetime", "\"2024-03-01\"", "\"2024-03-01T00:00:00.000000000Z\""},
    {"datetime", "\"2024-03-01T01:02:03.456789\"", "\"2024-03-01T01:02:03.456000000Z\""},
    {"datetime", "\"2024-02-29t23:59:59.9z\"", "\"2024-02-29T23:59:59.900000000Z\""},
    {"datetime", "\"2024-03-01 00:00:00+00:00\"", "\"2024-03-01T00:00:00.000000000Z\""},
    {"datetime", "\"2024-03-01T00:30+05:30\"", "\"2024-02-29T19:00:00.000000000Z\""},
    {"datetime", "\"2024-12-31T23:00:00-0130\"", "\"2025-01-01T00:30:00.000000000Z\""},
    {"datetime", "\"1969-12-31T23:59:59.9999-00\"", "\"1969-12-31T23:59:59.999000000Z\""},
    {"datetime", "\"0001-01-01T00:00:00Z\"", "\"0001-01-01T00:00:00.000000000Z\""},
    {"datetime", "\"9999-12-31T23:59:59.999999999Z\"", "\"9999-12-31T23:59:59.999000000Z\""},
    {"datetime", "\"0001-01-01T00:00:00+00:01\"", "!not a time"},
    {"datetime", "\"9999-12-31T23:59:00-00:01\"", "!not a time"},
    {"datetime", "\"0000-01-01\"", "!not a time"},
    {"datetime", "\"10000-01-01\"", "!not a time"},
    {"datetime", "\"2023-02-29\"", "!not a time"},
    {"datetime", "\"1900-02-29\"", "!not a time"},
    {"datetime", "\"2024-13-01\"", "!not a time"},
    {"datetime", "\"2024-00-01\"", "!not a time"},
    {"datetime", "\"2024-04-31\"", "!not a time"},
    {"datetime", "\"2024-04-00\"", "!not a time"},
    {"datetime", "\"2024-04\"", "!not a time"},
    {"datetime", "\"2016-12-31T23:59:60Z\"", "!not a time"},
    {"datetime", "\"2024-03-01T24:00:00Z\"", "!not a time"},
    {"datetime", "\"2024-03-01T10\"", "!not a time"},
    {"datetime", "\"2024-03-01T10:60\"", "!not a time"},
    {"datetime", "\"2024-03-01T10:00:00.\"", "!not a time"},
    {"datetime", "\"2024-03-01T10:00:00.1234567891\"", "!not a time"},
    {"datetime", "\"2024-03-01T10:00Zjunk\"", "!not a time"},
    {"datetime", "\"2024-03-01T10:00+24:00\"", "!not a time"},
    {"datetime", "\"2024-03-01T10:00+1:00\"", "!not a time"},
    {"datetime", "\"T10:00\"", "!not a time"},
    {"datetime", "\"\"", "!not a time"},
    {"datetime", "1709251200000", "!a number"},
    {"bytes", "\"AQID\"", "\"AQID\""},
    {"bytes", "\"AQ\"", "\"AQ==\""},
    {"bytes", "\"\"", "\"\""},
    {"bytes", "\"AR==\"", "!not base64"},
    {"bytes", "\"A\"", "!not base64"},
    {"bytes", "\"AQ==AQID\"", "!not base64"},
    {"bytes", "\"A-_D\"", "!not base64"},
    {"bytes", "[1]", "!an array"},
    {"[]string", "[ \"a\" , \"\\u0062\" ]", "[\"a\",\"b\"]"},
    {"[]string", "[]", "[]"},
    {"[]string", "[\"a\", null]", "!an array with null"},
    {"[]string", "[\"a\", 1]", "!a number"},
    {"[]string", "\"a\"", "!a string"},
    {"[]string", "[\"a\",]", "!byte"},
    {"[]string", "[[\"a\"]]", "!an array"},
    {"[]int", "[1, 2.0, -3]", "[1,2,-3]"},
    {"[]uint", "[18446744073709551615]", "[18446744073709551615]"},
    {"[]uint", "[-1]", "!outside 0"},
    {"[]float", "[1, 2.50]", "[1,2.5]"},
    {"[]bool", "[true,false]", "[true,false]"},
    {"[]uuid", "[\"769C134D07b84225954ab6cc5ffc320c\"]", "[\"769c134d-07b8-4225-954a-b6cc5ffc320c\"]"},
    {"[]datetime", "[\"2024-03-01\"]", "[\"2024-03-01T00:00:00.000000000Z\"]"},
    {"[]datetime", "[\"yesterday\"]", "!not a time"},
    {"[2]f32", "[0.1, 0.2]", "\"zczMPc3MTD4=\""},
    {"[2]f32", "\"zczMPc3MTD4=\"", "\"zczMPc3MTD4=\""},
    {"[2]f32", "\"zczMPc3MTD4\"", "\"zczMPc3MTD4=\""},
    {"[2]f32", "\"zczMPQ==\"", "!vectors of 2 dimensions, not 1"},
    {"[2]f32", "\"zczMPc0=\"", "!little-endian float32"},
    {"[2]f32", "\"!\"", "!little-endian float32"},
    {"[2]f32", "[1]", "!vectors of 2 dimensions, not 1"},
    {"[2]f32", "[1,2,3]", "!vectors of 2 dimensions, not 3"},
    {"[2]f32", "[1,\"2\"]", "!expected a number"},
    {"[2]f32", "[1,null]", "!expected a number"},
    {"[2]f32", "[1,1e39]", "!out of range"},
    {"[2]f32", "\"AADAfwAAgD8=\"", "!component 0 of a vector is not a finite number"},
    {"[2]f32", "\"AACAPwAAgH8=\"", "!component 1 of a vector is not a finite number"},
    {"[2]f32", "{\"0\":1,\"1\":2}", "!not an object"},
    {"[2]f32", "null", "null"},
    {"[2]f16", "[1, 65504]", "\"ADz/ew==\""},
    {"[2]f16", "\"AACAPwDgf0c=\"", "\"ADz/ew==\""},
    {"[2]f16", "[1, 65519.99]", "\"ADz/ew==\""},
    {"[2]f16", "[1, 65520]", "!does not fit an f16"},
    {"[2]f16", "[1, 2049]", "\"ADwAaA==\""}, /* a tie: to the even 2048 */
    {"[3]i8", "[-128, 127, 0]", "\"gH8A\""},
    {"[3]i8", "[-128, 128, 0]", "!a whole number from -128 to 127"},
    {"[3]i8", "[0.5, 1, 0]", "!a whole number from -128 to 127"},
};

static void test_value_normal_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct attribute a = attribute_of(values[i].type);
        struct dp_error error = {0};
        struct span normal = {0};
        const char *wanted = values[i].wanted;
        enum dp_status status = value_normalize(&a, span_str(values[i].raw), &test_arena, &normal, &error);
        if (*wanted == '!') {
            if (status != DP_INVALID || !strstr(error.message, wanted + 1) ||
                !strstr(error.message, "attribute \"x\""))
                fail_msg("%s %s: %d %s, not %s", values[i].type, values[i].raw, status, error.message, wanted);
            continue;
        }
        if (status != DP_OK || !span_equal_str(normal, wanted))
            fail_msg("%s %s: %d %s %.*s, not %s", values[i].type, values[i].raw, status, error.message,
                     SPAN_FMT(normal), wanted);
        assert_true(value_is_normal(&a, normal, &test_arena));
    }
}

static void test_value_types_have_turbopuffers_names(void **state)
{
    (void)state;
    static const char *const names[] = {"string",   "int",    "float",      "bool",   "uint",     "uuid",
                                        "datetime", "bytes",  "[]string",   "[]int",  "[]float",  "[]bool",
                                        "[]uint",   "[]uuid", "[]datetime", "[1]f32", "[384]f16", "[16384]i8"};
    static const char *const not_names[] = {"",          "String",     "[]bytes", "[]",
                                            "[0]f32",    "[16385]f32", "[08]f32", "[384]f64",
                                            "[384]f32 ", "[][384]f32", "{}f16",   "[-1]f32",
                                            "[384",      "[384]f321",  "f32",     "[99999999999999999999]f32"};
    char text[ATTRIBUTE_TYPE_ROOM];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct attribute a = attribute_of(names[i]);
        assert_string_equal(attribute_type_print(&a, text), names[i]);
    }
    for (size_t i = 0; i < sizeof not_names / sizeof *not_names; i++) {
        struct attribute a = {0};
        if (attribute_type_parse(span_str(not_names[i]), &a))
            fail_msg("%s is a type", not_names[i]);
    }
}

static void test_value_inference(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *type; /* "?": fits several types; NULL: fits none */
    } guesses[] = {
        {"\"a\"", "string"},
        {"1", "int"},
        {"-9223372036854775808", "int"},
        {"9223372036854775808", "float"},
        {"1.0", "float"},
        {"true", "bool"},
        {"null", "?"},
        {"[]", "?"},
        {"[\"a\"]", "[]string"},
        {"[1, 2.5]", "[]float"},
        {"[2.5, 1, 1]", "[]float"},
        {"[1]", "[]int"},
        {"[true]", "[]bool"},
        {"[1, \"a\"]", NULL},
        {"[1, null]", NULL},
        {"[[1]]", NULL},
        {"{}", NULL},
        {"\"\\ud800\"", NULL},
        {"nix", NULL},
        {"1e400", NULL},
    };
    for (size_t i = 0; i < sizeof guesses / sizeof *guesses; i++) {
        struct json_reader r;
        struct attribute a = {0};
        char text[ATTRIBUTE_TYPE_ROOM];
        bool known;
        json_reader_init(&r, span_str(guesses[i].raw));
        bool fits = value_infer(&r, &a.type, &known);
        const char *found = !fits ? NULL : known ? attribute_type_print(&a, text) : "?";
        if (!found != !guesses[i].type || (found && strcmp(found, guesses[i].type) != 0))
            fail_msg("%s: %s", guesses[i].raw, found ? found : "none");
    }
}

static void test_value_sizes_have_maxima(void **state)
{
    (void)state;
    struct attribute a = attribute_of("string");
    struct dp_error error = {0};
    struct span normal;
    struct buffer text;
    buffer_init(&text, (size_t)32 << 20);
    buffer_u8(&text, '"');
    for (size_t i = 0; i < VALUE_BYTES_MAX - 2; i++)
        buffer_u8(&text, 'a');
    buffer_u8(&text, '"');
    assert_int_equal(value_normalize(&a, buffer_span(&text), &test_arena, &normal, &error), DP_OK);
    text.data[text.len - 1] = 'a';
    buffer_u8(&text, '"');
    assert_int_equal(value_normalize(&a, buffer_span(&text), &test_arena, &normal, &error), DP_TOO_LARGE);
    assert_non_null(strstr(error.message, "8388608 bytes, not 8388609"));
    a.checked = true;
    text.data[VALUE_CHECKED_MAX + 1] = '"';
    text.len = VALUE_CHECKED_MAX + 2;
    assert_int_equal(value_normalize(&a, buffer_span(&text), &test_arena, &normal, &error), DP_OK);
    text.data[VALUE_CHECKED_MAX + 1] = 'a';
    buffer_u8(&text, '"');
    assert_int_equal(value_normalize(&a, buffer_span(&text), &test_arena, &normal, &error), DP_TOO_LARGE);
    assert_non_null(strstr(error.message, "filterable"));
    buffer_deinit(&text);
}

/* Between each two neighbours: the middle goes to the even one, and a float beside the middle to the nearer
 * one. */
static void test_value_halves_round_to_the_nearest(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits + 1 < 0x7c00; bits++) {
        float low = float_of_half_bits((uint16_t)bits), high = float_of_half_bits((uint16_t)(bits + 1));
        float middle = (low + high) / 2; /* exact: 12 bits */
        uint16_t half;
        assert_true(low < high);
        assert_true(half_of_float(low, &half) && half == bits);
        assert_true(half_of_float(-low, &half) && half == (bits | 0x8000));
        assert_true(half_of_float(middle, &half) && half == bits + (bits & 1));
        assert_true(half_of_float(nextafterf(middle, -1), &half) && half == bits);
        assert_true(half_of_float(nextafterf(middle, INFINITY), &half) && half == bits + 1);
    }
    uint16_t half;
    assert_true(half_of_float(nextafterf(65520, 0), &half) && half == 0x7bff);
    assert_false(half_of_float(65520, &half));
    assert_false(half_of_float(-65520, &half));
    assert_false(half_of_float(INFINITY, &half));
    assert_false(half_of_float(NAN, &half));
}

static void test_value_vectors_come_back(void **state)
{
    (void)state;
    static const char *const types[] = {"[1500]f32", "[1500]f16", "[1500]i8", "[1]f16", "[2]i8"};
    struct dp_error error;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        struct attribute a = attribute_of(types[t]);
        struct buffer text;
        struct span normal;
        float back[1500];
        buffer_init(&text, 1 << 20);
        for (uint32_t i = 0; i < a.dim; i++)
            buffer_printf(&text, "%c%d", i ? ',' : '[', (int)(i * 37 % 256) - 128);
        buffer_u8(&text, ']');
        assert_int_equal(value_normalize(&a, buffer_span(&text), &test_arena, &normal, &error), DP_OK);
        assert_true(vector_of_normal(&a, normal, back));
        for (uint32_t i = 0; i < a.dim; i++)
            assert_true(back[i] == (float)(int)(i * 37 % 256) - 128);
        a.dim++;
        float *more = arena_array(&test_arena, a.dim, sizeof *more);
        assert_false(vector_of_normal(&a, normal, more));
        a.dim = 0;
        struct json_reader r;
        uint32_t count;
        float *read;
        json_reader_init(&r, buffer_span(&text));
        assert_int_equal(vector_read(&r, a.name, 0, a.element, &test_arena, &read, &count, &error), DP_OK);
        assert_memory_equal(read, back, count * sizeof *back);
        buffer_deinit(&text);
    }
}

/* Days count up one by one over the whole calendar, and texts sort as their times. */
static void test_value_times_come_back(void **state)
{
    (void)state;
    char text[DATETIME_TEXT_LEN], before[DATETIME_TEXT_LEN];
    int64_t first, ms, back;
    assert_true(datetime_parse(span_str("0001-01-01"), &first));
    assert_true(datetime_parse(span_str("1970-01-01"), &ms));
    assert_int_equal(ms, 0);
    assert_true(datetime_parse(span_str("2024-03-01T00:00:00.001"), &ms));
    assert_true(ms == INT64_C(1709251200001));
    memset(before, 0, sizeof before);
    for (int64_t day = 0; day < 3652059; day++) {
        ms = first + day * 86400000 + day * 7919 % 86400000;
        datetime_format(ms, text);
        assert_true(memcmp(before, text, sizeof text) < 0);
        assert_true(datetime_parse(span_of(text, sizeof text), &back) && back == ms);
        memcpy(before, text, sizeof text);
    }
    assert_memory_equal(before, "9999-12-31", 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_value_normal_forms, begin_arena, end_arena),
        cmocka_unit_test(test_value_types_have_turbopuffers_names),
        cmocka_unit_test(test_value_inference),
        cmocka_unit_test_setup_teardown(test_value_sizes_have_maxima, begin_arena, end_arena),
        cmocka_unit_test(test_value_halves_round_to_the_nearest),
        cmocka_unit_test_setup_teardown(test_value_vectors_come_back, begin_arena, end_arena),
        cmocka_unit_test(test_value_times_come_back),
    };
    return test_run(tests);
}
