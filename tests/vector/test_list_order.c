/* test_list_order.c: the order of lists has each list once, and puts near ones side by side. */
#include "test_support.h"

#include <string.h>

#include "vector/list_order.h"

enum { GROUPS = 16, OF_GROUP = 8, N = GROUPS * OF_GROUP, DIM = 5 };

static float centroids[N][DIM];

/* Makes groups of near points: list i belongs to group i % GROUPS. */
static void fill(void)
{
    uint64_t seed = 7;
    for (size_t i = 0; i < N; i++) {
        for (size_t d = 0; d < DIM; d++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
            float group = (float)((i % GROUPS + 1) * (d + 3) * 7919 % 101) * 10.0F;
            centroids[i][d] = group + (float)(seed >> 60) * 0.01F;
        }
    }
}

static void test_list_order_puts_near_lists_side_by_side(void **state)
{
    uint32_t order[N], seen[N] = {0};
    struct dp_error error;
    (void)state;
    fill();
    assert_int_equal(list_order_near(&centroids[0][0], N, DIM, order, &error), DP_OK);
    size_t changes = 0;
    for (size_t i = 0; i < N; i++) {
        assert_true(order[i] < N);
        assert_int_equal(seen[order[i]]++, 0);
        changes += i > 0 && order[i] % GROUPS != order[i - 1] % GROUPS;
    }
    assert_int_equal(changes, GROUPS - 1);
}

static void test_list_order_moves_the_centroids_to_their_places(void **state)
{
    uint32_t order[N], places[N];
    float before[N][DIM], room[DIM];
    struct dp_error error;
    (void)state;
    fill();
    memcpy(before, centroids, sizeof before);
    assert_int_equal(list_order_near(&centroids[0][0], N, DIM, order, &error), DP_OK);
    memcpy(places, order, sizeof places);
    assert_int_equal(list_order_apply(&centroids[0][0], N, DIM, places, room, &error), DP_OK);
    for (size_t i = 0; i < N; i++) {
        assert_memory_equal(centroids[i], before[order[i]], sizeof before[0]);
        assert_int_equal(places[order[i]], i);
    }
}

static void test_list_order_of_one_list_and_of_equal_ones(void **state)
{
    static const float equal[4][2] = {{1, 2}, {1, 2}, {1, 2}, {1, 2}};
    uint32_t order[4];
    struct dp_error error;
    (void)state;
    assert_int_equal(list_order_near(&equal[0][0], 1, 2, order, &error), DP_OK);
    assert_int_equal(order[0], 0);
    assert_int_equal(list_order_near(&equal[0][0], 4, 2, order, &error), DP_OK);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(order[i], i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_order_puts_near_lists_side_by_side),
        cmocka_unit_test(test_list_order_moves_the_centroids_to_their_places),
        cmocka_unit_test(test_list_order_of_one_list_and_of_equal_ones),
    };
    return test_run(tests);
}
