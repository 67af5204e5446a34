/* test_centroid_codes.c: codes of centroids say exactly what the rounded centroids are, and stay near the original
 * ones. */
#include "test_support.h"

#include <math.h>
#include <string.h>

#include "vector/centroid_codes.h"

enum { N = 50, DIM = 6 };

static float centroids[N][DIM], before[N][DIM];
static float least[DIM], step[DIM];
static uint8_t codes[N][DIM];
static struct centroid_codes all = {.count = N, .dim = DIM, .least = least, .step = step, .codes = &codes[0][0]};

/* Dimension d has numbers of the size 10^(2d - 4), which lie around a number as large. Dimension 5 has one number. */
static void fill(void)
{
    uint64_t seed = 11;
    for (size_t i = 0; i < N; i++) {
        for (size_t d = 0; d < DIM; d++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
            double random = d == 5 ? 0.25 : (double)(seed >> 40) / (double)(1 << 24);
            centroids[i][d] = (float)((random - 3) * pow(10, 2.0 * (double)d - 4));
        }
    }
    memcpy(before, centroids, sizeof before);
}

static void test_centroid_codes_stay_within_half_a_step(void **state)
{
    (void)state;
    fill();
    centroid_codes_round(&all, &centroids[0][0]);
    for (size_t d = 0; d < DIM; d++) {
        uint8_t lowest = 255, highest = 0;
        for (size_t i = 0; i < N; i++) {
            assert_in_range(codes[i][d], 0, (1 << all.bits) - 1);
            assert_true(fabs((double)centroids[i][d] - (double)before[i][d]) <= 0.501 * (double)step[d]);
            lowest = codes[i][d] < lowest ? codes[i][d] : lowest;
            highest = codes[i][d] > highest ? codes[i][d] : highest;
        }
        assert_int_equal(lowest, 0);
        assert_int_equal(highest, d == 5 ? 0 : (1 << all.bits) - 1);
    }
    assert_int_equal(all.bits, CENTROID_FEW_BITS);
    for (size_t i = 0; i < N; i++)
        assert_true(centroids[i][5] == before[i][5]);
}

/* One list that lies far from the others takes most of the ranges. */
static void test_centroid_codes_have_more_bits_where_they_need_them(void **state)
{
    (void)state;
    fill();
    centroid_codes_round(&all, &centroids[0][0]);
    fill();
    for (size_t d = 0; d < DIM; d++)
        before[0][d] = centroids[0][d] = centroids[0][d] + 300 * step[d];
    centroid_codes_round(&all, &centroids[0][0]);
    assert_int_equal(all.bits, CENTROID_MORE_BITS);
    for (size_t d = 0; d < DIM; d++) {
        for (size_t i = 0; i < N; i++)
            assert_true(fabs((double)centroids[i][d] - (double)before[i][d]) <= 0.501 * (double)step[d]);
    }
}

static void test_centroid_codes_decode_to_the_same_bits(void **state)
{
    float decoded[N][DIM];
    (void)state;
    fill();
    centroid_codes_round(&all, &centroids[0][0]);
    centroid_codes_decode(&all, &decoded[0][0]);
    assert_memory_equal(decoded, centroids, sizeof decoded);
}

static void test_centroid_codes_of_one_list_lose_nothing(void **state)
{
    struct centroid_codes one = all;
    (void)state;
    fill();
    one.count = 1;
    centroid_codes_round(&one, centroids[0]);
    assert_memory_equal(centroids[0], before[0], sizeof before[0]);
    one.count = 0;
    centroid_codes_round(&one, centroids[0]);
    centroid_codes_decode(&one, centroids[0]);
    assert_memory_equal(centroids[0], before[0], sizeof before[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_centroid_codes_stay_within_half_a_step),
        cmocka_unit_test(test_centroid_codes_have_more_bits_where_they_need_them),
        cmocka_unit_test(test_centroid_codes_decode_to_the_same_bits),
        cmocka_unit_test(test_centroid_codes_of_one_list_lose_nothing),
    };
    return test_run(tests);
}
