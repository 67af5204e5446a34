/* test_fuse.c: reciprocal rank fusion of lanes made by hand. */
#include "test_support.h"

#include "service/fuse.h"

static struct index_hit hit_of(uint64_t number)
{
    return (struct index_hit){.id = {.number = number}, .dist = (float)number};
}

static void test_fuse_adds_the_ranks_up(void **state)
{
    (void)state;
    const struct index_hit words[] = {hit_of(1), hit_of(2), hit_of(3)};
    const struct index_hit meaning[] = {hit_of(3), hit_of(4)};
    const struct fuse_lane lanes[] = {{words, 3, 1, NULL}, {meaning, 2, 2, NULL}};
    struct arena arena;
    struct call call;
    struct fused_hit *hits;
    size_t count;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    assert_int_equal(fuse_lanes(&call, lanes, 2, 60, 10, &hits, &count), DP_OK);
    assert_int_equal(count, 4);
    static const uint64_t order[] = {3, 4, 1, 2};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(hits[i].hit.id.number, order[i]);
    assert_true(hits[0].score == 1.0 / 63 + 2.0 / 61);
    assert_true(hits[0].hit.dist == (float)hits[0].score);
    assert_int_equal(hits[0].lane, 0); /* the first lane that has it */
    assert_int_equal(hits[1].lane, 1);
    arena_deinit(&arena);
}

static void test_fuse_adds_the_scores_up(void **state)
{
    (void)state;
    const struct index_hit words[] = {hit_of(1), hit_of(2)}, meaning[] = {hit_of(3), hit_of(1)};
    static const double words_scores[] = {1, 0.5}, meaning_scores[] = {0.75, 0.25};
    const struct fuse_lane lanes[] = {{meaning, 2, 0.7, meaning_scores}, {words, 2, 0.3, words_scores}};
    static const uint64_t order[] = {3, 1, 2};
    static const double scores[] = {0.7 * 0.75, 0.7 * 0.25 + 0.3, 0.3 * 0.5};
    struct arena arena;
    struct call call;
    struct fused_hit *hits;
    size_t count;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    assert_int_equal(fuse_lanes(&call, lanes, 2, 60, 10, &hits, &count), DP_OK);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(hits[i].hit.id.number, order[i]);
        assert_true(hits[i].score == scores[i]);
    }
    arena_deinit(&arena);
}

static void test_fuse_orders_ties_by_id(void **state)
{
    (void)state;
    const struct index_hit words[] = {hit_of(9), hit_of(5)};
    const struct index_hit meaning[] = {hit_of(2), hit_of(7)};
    const struct fuse_lane lanes[] = {{words, 2, 1, NULL}, {NULL, 0, 1, NULL}, {meaning, 2, 1, NULL}};
    static const uint64_t order[] = {2, 9, 5, 7};
    struct arena arena;
    struct call call;
    struct fused_hit *hits;
    size_t count;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    for (size_t limit = 0; limit <= 5; limit++) { /* the first rows of a longer answer */
        assert_int_equal(fuse_lanes(&call, lanes, 3, 1, limit, &hits, &count), DP_OK);
        assert_int_equal(count, limit < 4 ? limit : 4);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(hits[i].hit.id.number, order[i]);
    }
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fuse_adds_the_ranks_up),
        cmocka_unit_test(test_fuse_adds_the_scores_up),
        cmocka_unit_test(test_fuse_orders_ties_by_id),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL));
}
