/* test_order_key.c: the bytes of values sort like the values. */
#include "test_support.h"

#include "filter/order_key.h"

/* Ascending values of each type. */
static const char *const INTS[] = {"null", "-9223372036854775808", "-256", "-255", "-1", "0", "1", "255",
                                   "256",  "9223372036854775807"};
static const char *const UINTS[] = {"null", "0", "1", "255", "256", "18446744073709551615"};
static const char *const FLOATS[] = {"null", "-1e300", "-1.5", "-1e-300", "0", "1e-300", "1", "1.5", "1e300"};
static const char *const TEXTS[] = {
    "null",    "\"\"",   "\"\\u0000\"",  "\"\\u0001\"",         "\"a\"", "\"a\\u0000\"", "\"a\\n\"",
    "\"a b\"", "\"ab\"", "\"\xc3\xa9\"", "\"\xf0\x9f\x98\x80\""};
static const char *const BOOLS[] = {"null", "false", "true"};

static const struct {
    enum attribute_type type;
    const char *const *values;
    size_t count;
} TYPES[] = {{ATTRIBUTE_INT, INTS, sizeof INTS / sizeof *INTS},
             {ATTRIBUTE_UINT, UINTS, sizeof UINTS / sizeof *UINTS},
             {ATTRIBUTE_FLOAT, FLOATS, sizeof FLOATS / sizeof *FLOATS},
             {ATTRIBUTE_STRING, TEXTS, sizeof TEXTS / sizeof *TEXTS},
             {ATTRIBUTE_BOOL, BOOLS, sizeof BOOLS / sizeof *BOOLS}};

static struct arena scratch;

static void put(enum attribute_type type, const char *json, bool descending, struct buffer *out)
{
    struct dp_error error;
    const struct scalar value = scalar_of_json(type, span_str(json));
    assert_int_equal(order_key_put(&value, descending, &scratch, out, &error), DP_OK);
}

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

/* Compares each two values of a type, alone and before another value. */
static void check_type(enum attribute_type type, const char *const *values, size_t count, bool descending)
{
    struct buffer left, right;
    buffer_init(&left, 1 << 16);
    buffer_init(&right, 1 << 16);
    for (size_t a = 0; a < count; a++) {
        for (size_t b = 0; b < count; b++) {
            const int expected = a < b ? -1 : a > b;
            buffer_clear(&left);
            buffer_clear(&right);
            put(type, values[a], descending, &left);
            put(type, values[b], descending, &right);
            assert_int_equal(sign(span_compare(buffer_span(&left), buffer_span(&right))),
                             descending ? -expected : expected);
            put(ATTRIBUTE_INT, "2", false, &left);
            put(ATTRIBUTE_INT, "1", false, &right);
            assert_int_equal(sign(span_compare(buffer_span(&left), buffer_span(&right))), a == b       ? 1
                                                                                          : descending ? -expected
                                                                                                       : expected);
        }
    }
    buffer_deinit(&left);
    buffer_deinit(&right);
}

static void test_order_key_sorts_like_the_values(void **state)
{
    (void)state;
    arena_init(&scratch, 1 << 20);
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        check_type(TYPES[i].type, TYPES[i].values, TYPES[i].count, false);
        check_type(TYPES[i].type, TYPES[i].values, TYPES[i].count, true);
    }
    arena_deinit(&scratch);
}

static void test_order_key_knows_one_zero(void **state)
{
    (void)state;
    struct buffer left, right;
    arena_init(&scratch, 1 << 20);
    buffer_init(&left, 100);
    buffer_init(&right, 100);
    put(ATTRIBUTE_FLOAT, "-0.0", false, &left);
    put(ATTRIBUTE_FLOAT, "0", false, &right);
    assert_true(span_equal(buffer_span(&left), buffer_span(&right)));
    buffer_deinit(&left);
    buffer_deinit(&right);
    arena_deinit(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_key_sorts_like_the_values),
        cmocka_unit_test(test_order_key_knows_one_zero),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL));
}
