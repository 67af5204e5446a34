/* test_bm25.c: the byte code of lengths and the scores, against values of Lucene's formulas. */
#include "test_support.h"

#include <math.h>

#include "text/bm25.h"

static void test_bm25_lengths_below_40_are_exact(void **state)
{
    (void)state;
    for (uint32_t length = 0; length < 40; length++)
        assert_int_equal(bm25_length_of(bm25_code_of(length)), length);
    assert_int_equal(bm25_code_of(39), 39);
    assert_int_equal(bm25_code_of(40), 40);
    assert_int_equal(bm25_length_of(41), 42);
    assert_int_equal(bm25_length_of(bm25_code_of(41)), 40);
}

static void test_bm25_long_lengths_lose_less_than_an_eighth(void **state)
{
    uint32_t length = 40;
    uint8_t before = bm25_code_of(39);
    (void)state;
    while (length < 2000000000) {
        uint8_t code = bm25_code_of(length);
        uint32_t decoded = bm25_length_of(code);
        assert_true(code >= before);
        assert_true(decoded <= length);
        assert_true((double)(length - decoded) < length / 8.0);
        assert_int_equal(bm25_code_of(decoded), code);
        before = code;
        length += 1 + length / 97;
    }
    assert_int_equal(bm25_code_of(UINT32_MAX), bm25_code_of(INT32_MAX));
    assert_int_equal(bm25_code_of(INT32_MAX), 255);
    for (int code = 0; code < 256; code++)
        assert_int_equal(bm25_code_of(bm25_length_of((uint8_t)code)), code);
}

static void test_bm25_scores_follow_the_formula(void **state)
{
    double idf = bm25_idf(100, 10);
    (void)state;
    assert_true(fabs(idf - 2.263745) < 1e-6); /* ln(1 + 90.5 / 10.5) */
    assert_true(fabs(bm25_idf(1, 1) - 0.287682) < 1e-6);
    assert_true(bm25_idf(10, 11) > 0);
    assert_true(fabs(bm25_term(1, 2, 10, 10, 1.2, 0.75) - 2 / 3.2) < 1e-12);
    assert_true(fabs(bm25_term(idf, 3, 20, 10, 1.2, 0.75) - idf * 3 / (3 + 1.2 * 1.75)) < 1e-12);
    assert_true(bm25_term(1, 0, 10, 10, 0, 0.75) == 0);
    assert_true(bm25_repeat(1, 8) == 1);
    assert_true(bm25_repeat(2, 8) == 1.8);
    assert_true(bm25_repeat(3, 0) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bm25_lengths_below_40_are_exact),
        cmocka_unit_test(test_bm25_long_lengths_lose_less_than_an_eighth),
        cmocka_unit_test(test_bm25_scores_follow_the_formula),
    };
    return test_run(tests);
}
