/* test_id_filter.c: sets of ids, as bitmaps and as tables, against a plain search through the ids. */
#include "test_support.h"

#include <stdlib.h>

#include "vector/id_filter.h"

enum { IDS_MAX = 4096 };

static bool has_plainly(const int64_t *ids, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* Checks that the set agrees with a plain search, for each id, its neighbours, and the ends of the type. */
static void check_set(const int64_t *ids, size_t count, bool as_table)
{
    static const int64_t ends[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    struct id_set set;
    assert_int_equal(id_set_init(&set, ids, count, NULL), DP_OK);
    assert_int_equal(set.slots != NULL, as_table);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        assert_int_equal(id_set_has(&set, ends[i]), has_plainly(ids, count, ends[i]));
    for (size_t i = 0; i < count; i++) {
        assert_true(id_set_has(&set, ids[i]));
        for (uint64_t by = 0; by < 70; by += 7) {
            int64_t id = (int64_t)((uint64_t)ids[i] + by - 35);
            assert_int_equal(id_set_has(&set, id), has_plainly(ids, count, id));
        }
    }
    id_set_deinit(&set);
}

static void test_vector_id_set_holds_ids_that_lie_close_as_bits(void **state)
{
    (void)state;
    int64_t ids[IDS_MAX];
    static const int64_t begins[] = {0, 7, -100, INT64_MIN, INT64_MAX - 3 * IDS_MAX};
    for (size_t b = 0; b < sizeof begins / sizeof *begins; b++) {
        for (size_t i = 0; i < IDS_MAX; i++)
            ids[i] = begins[b] + 3 * (int64_t)(IDS_MAX - 1 - i);
        check_set(ids, IDS_MAX, false);
        check_set(ids, 1, false);
    }
}

static void test_vector_id_set_holds_scattered_ids_in_a_table(void **state)
{
    (void)state;
    int64_t ids[IDS_MAX];
    uint64_t x = 1;
    for (size_t i = 0; i < IDS_MAX; i++)
        ids[i] = (int64_t)(x = x * UINT64_C(6364136223846793005) + 1);
    check_set(ids, IDS_MAX, true);
    ids[1] = 0;
    ids[2] = INT64_MIN;
    ids[3] = INT64_MAX;
    ids[4] = ids[5] = ids[6]; /* a repeated id is in the set once */
    check_set(ids, 7, true);
    for (size_t i = 0; i < 100; i++)
        ids[i] = (int64_t)(i << 32); /* these would share a slot if the lower bits were the hash */
    check_set(ids, 100, true);
}

static void test_vector_id_set_takes_memory_for_its_ids_alone(void **state)
{
    (void)state;
    static const int64_t far[] = {INT64_MIN, INT64_MAX};
    struct id_set set;
    assert_int_equal(id_set_init(&set, far, 2, NULL), DP_OK);
    assert_true((set.mask + 1) * sizeof *set.slots <= 2 * 32);
    assert_true(id_set_has(&set, INT64_MIN) && id_set_has(&set, INT64_MAX) && !id_set_has(&set, 0));
    id_set_deinit(&set);
}

static void test_vector_id_filter_keeps_and_skips(void **state)
{
    (void)state;
    static const int64_t keep[] = {-5, 0, 5, INT64_MAX}, skip[] = {0, 6};
    struct id_filter filter;
    assert_int_equal(id_filter_init(&filter, keep, 4, NULL, 0, NULL), DP_OK);
    assert_true(id_filter_allows(&filter, -5) && id_filter_allows(&filter, 0) && !id_filter_allows(&filter, 6));
    id_filter_deinit(&filter);
    assert_int_equal(id_filter_init(&filter, keep, 4, skip, 2, NULL), DP_OK);
    assert_true(id_filter_allows(&filter, 5) && !id_filter_allows(&filter, 0) && !id_filter_allows(&filter, 6));
    id_filter_deinit(&filter);
    assert_int_equal(id_filter_init(&filter, NULL, 0, skip, 2, NULL), DP_OK);
    assert_true(id_filter_allows(&filter, 7) && !id_filter_allows(&filter, 6));
    id_filter_deinit(&filter);
    assert_int_equal(id_filter_init(&filter, keep, 0, NULL, 0, NULL), DP_OK); /* an empty list */
    assert_false(id_filter_allows(&filter, -5) || id_filter_allows(&filter, 0));
    id_filter_deinit(&filter);
}

static void test_vector_id_filter_survives_a_failed_allocation(void **state)
{
    (void)state;
    static const int64_t keep[] = {1, 2}, skip[] = {INT64_MIN, INT64_MAX};
    size_t live = test_alloc_live();
    for (size_t n = 1; n <= 2; n++) {
        struct id_filter filter;
        test_alloc_fail_at(n);
        assert_int_equal(id_filter_init(&filter, keep, 2, skip, 2, NULL), DP_NOMEM);
        test_alloc_fail_at(0);
        assert_int_equal(test_alloc_live(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector_id_set_holds_ids_that_lie_close_as_bits),
        cmocka_unit_test(test_vector_id_set_holds_scattered_ids_in_a_table),
        cmocka_unit_test(test_vector_id_set_takes_memory_for_its_ids_alone),
        cmocka_unit_test(test_vector_id_filter_keeps_and_skips),
        cmocka_unit_test(test_vector_id_filter_survives_a_failed_allocation),
    };
    return test_run(tests);
}
