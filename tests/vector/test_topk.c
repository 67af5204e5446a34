/* test_topk.c: the k best, whatever the order of arrival. */
#include "test_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vector/topk.h"

enum { HITS = 300 };

static bool larger; /* for qsort */

static int compare_hits(const void *a, const void *b)
{
    const struct topk_hit *x = a, *y = b;
    if (x->score != y->score)
        return (x->score < y->score) == larger ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static void test_vector_topk_is_the_head_of_a_sort(void **state)
{
    (void)state;
    struct topk_hit hits[HITS];
    static const size_t sizes[] = {0, 1, 2, 3, 10, 64, HITS - 1, HITS, HITS + 5};
    for (int round = 0; round < 2; round++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            struct topk top;
            larger = round == 1;
            assert_int_equal(topk_init(&top, sizes[s], larger, NULL), DP_OK);
            for (unsigned i = 0; i < HITS; i++) /* 40 scores: many ties, whose ids are not in order */
                hits[i] = (struct topk_hit){(int64_t)(i * 7919 % HITS) - 20, (float)(i * 31 % 40)};
            for (size_t i = 0; i < HITS; i++)
                topk_push(&top, hits[i].score, hits[i].id);
            qsort(hits, HITS, sizeof *hits, compare_hits);
            topk_sort(&top);
            topk_sort(&top);
            assert_int_equal(top.count, sizes[s] < HITS ? sizes[s] : HITS);
            for (size_t i = 0; i < top.count; i++) {
                assert_int_equal(top.hits[i].id, hits[i].id);
                assert_true(top.hits[i].score == hits[i].score);
            }
            topk_deinit(&top);
        }
}

static void test_vector_topk_refuses_nan_and_takes_infinity(void **state)
{
    (void)state;
    struct topk top;
    assert_int_equal(topk_init(&top, 2, false, NULL), DP_OK);
    topk_push(&top, NAN, 1);
    assert_int_equal(top.count, 0);
    topk_push(&top, INFINITY, 2);
    topk_push(&top, 5, 3);
    topk_push(&top, NAN, 4);
    topk_push(&top, -INFINITY, 5);
    topk_sort(&top);
    assert_int_equal(top.hits[0].id, 5);
    assert_int_equal(top.hits[1].id, 3);
    topk_clear(&top);
    topk_push(&top, 1, 9);
    assert_int_equal(top.count, 1);
    topk_deinit(&top);
}

static void test_vector_topk_init_survives_failed_allocations(void **state)
{
    (void)state;
    struct topk top;
    struct dp_error error = {0};
    test_alloc_fail_at(1);
    assert_int_equal(topk_init(&top, 5, false, &error), DP_NOMEM);
    assert_true(test_alloc_fired());
    test_alloc_fail_at(0);
    topk_push(&top, 1, 1);
    assert_int_equal(top.count, 0);
    topk_deinit(&top);
    assert_int_equal(topk_init(&top, SIZE_MAX, false, &error), DP_NOMEM);
    topk_deinit(&top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector_topk_is_the_head_of_a_sort),
        cmocka_unit_test(test_vector_topk_refuses_nan_and_takes_infinity),
        cmocka_unit_test(test_vector_topk_init_survives_failed_allocations),
    };
    return test_run(tests);
}
