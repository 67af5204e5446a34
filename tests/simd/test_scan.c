/* test_scan.c: every instruction set gives the plain C kernels' bits, at odd sizes and from any address, and
 * writes nothing else; and the plain C kernels read codes as the layout says. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "test_support.h"

#include "simd/scan.h"
#include "simd/simd.h"

enum { ROWS_MAX = 19, DIM_MAX = 150, OUT_MAX = 16384, GUARD = 0x5a };

static uint64_t seed = 99;

static uint64_t chance(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed >> 11;
}

/* A kernel's input, at odd addresses, and its output, in bytes. */
static uint8_t codes[1 + (size_t)ROWS_MAX * DIM_MAX * 2], table8[DIM_MAX * 16];
static float query[DIM_MAX], table[16 * 256];
static _Alignas(64) uint8_t want[OUT_MAX], got[OUT_MAX];

static void fill(void)
{
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (uint8_t)chance();
    for (size_t i = 0; i < sizeof table8; i++)
        table8[i] = (uint8_t)chance();
    for (size_t i = 0; i < sizeof query / sizeof *query; i++)
        query[i] = (float)(int)(chance() % 2000) / 999.0f - 1.0f;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        table[i] = (float)(int)(chance() % 2000) / 77.0f;
    memset(want, GUARD, sizeof want);
    memset(got, GUARD, sizeof got);
}

/* Calls `check` for every set but the scalar one with new codes, n from 0 to ROWS_MAX, dim from 0 to DIM_MAX. */
static void with_each_set(void (*check)(const struct scan_kernels *k, size_t n, size_t dim))
{
    for (int isa = SIMD_SCALAR + 1; isa < SIMD_ISA_COUNT; isa++) {
        const struct simd_ops *ops = simd_ops_for((enum simd_isa)isa);
        if (ops == NULL)
            continue;
        for (size_t dim = 0; dim <= DIM_MAX; dim += dim < 70 ? 1 : 13)
            for (size_t n = 0; n <= ROWS_MAX; n += n < 10 ? 1 : 3) {
                fill();
                check(ops->scan, n, dim);
                assert_memory_equal(want, got, sizeof want);
            }
    }
}

/* NaNs may differ in bits, so we make them equal. */
static void same_nan(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = isnan(x[i]) ? NAN : x[i];
}

/* Scores scalar codes by all eight kernels into out float[8][ROWS_MAX + 1]. */
static void score_codes(const struct scan_kernels *k, size_t n, size_t dim, void *out)
{
    float *scores = out;
    const size_t room = ROWS_MAX + 1;
    k->inner_product_u4(query, codes + 1, n, dim, scores);
    k->squared_l2_u4(query, table, codes + 1, n, dim, scores + room);
    k->inner_product_u6(query, codes + 1, n, dim, scores + 2 * room);
    k->squared_l2_u6(query, table, codes + 1, n, dim, scores + 3 * room);
    k->inner_product_f16(query, codes + 1, n, dim, scores + 4 * room);
    k->squared_l2_f16(query, codes + 1, n, dim, scores + 5 * room);
    k->inner_product_bf16(query, codes + 1, n, dim, scores + 6 * room);
    k->squared_l2_bf16(query, codes + 1, n, dim, scores + 7 * room);
    for (size_t way = 4; way < 8; way++)
        same_nan(scores + way * room, n);
}

static void check_codes(const struct scan_kernels *k, size_t n, size_t dim)
{
    score_codes(&scan_kernels_scalar, n, dim, want);
    score_codes(k, n, dim, got);
}

static void test_simd_scan_scores_scalar_codes_alike_on_every_set(void **state)
{
    (void)state;
    with_each_set(check_codes);
}

static void check_reaching(const struct scan_kernels *k, size_t n, size_t dim)
{
    float scores[SCAN_SCORES_MAX];
    size_t count = (n * 7 + dim) % (SCAN_SCORES_MAX + 1);
    for (size_t i = 0; i < SCAN_SCORES_MAX; i++)
        scores[i] = i % 11 == 3 ? NAN : i % 13 == 5 ? INFINITY : (float)(int)(chance() % 8);
    static const float bounds[] = {3.0f, 0.0f, INFINITY, -INFINITY, NAN};
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++)
        for (int larger = 0; larger < 2; larger++) {
            uint64_t a = scan_kernels_scalar.reaching(scores, count, bounds[b], larger);
            assert_int_equal(a, k->reaching(scores, count, bounds[b], larger));
        }
}

static void test_simd_scan_finds_scores_that_reach_a_bound_alike_on_every_set(void **state)
{
    (void)state;
    with_each_set(check_reaching);
}

/* Tables of n dimensions and dim entries. */
static void check_entries(const struct scan_kernels *k, size_t n, size_t dim)
{
    float *a = (float *)(void *)want, *b = (float *)(void *)got;
    scan_kernels_scalar.entry_products(query, table + 1, n, dim, a);
    k->entry_products(query, table + 1, n, dim, b);
    scan_kernels_scalar.entry_distances(query, table + 1, n, dim, a + DIM_MAX + 1);
    k->entry_distances(query, table + 1, n, dim, b + DIM_MAX + 1);
}

static void test_simd_scan_scores_entries_alike_on_every_set(void **state)
{
    (void)state;
    with_each_set(check_entries);
}

static void check_tables(const struct scan_kernels *k, size_t n, size_t dim)
{
    static const size_t widths[] = {8, 4, 5};
    for (size_t w = 0; w < 3; w++) {
        size_t bits = widths[w], m = dim % 16, size = (m * bits + 7) / 8 + dim % 3;
        scan_kernels_scalar.table_sums(table, codes + 1, n, m, bits, size, (float *)(void *)want + 100 * w);
        k->table_sums(table, codes + 1, n, m, bits, size, (float *)(void *)got + 100 * w);
    }
}

static void test_simd_scan_sums_tables_alike_on_every_set(void **state)
{
    (void)state;
    with_each_set(check_tables);
}

static void check_groups(const struct scan_kernels *k, size_t n, size_t dim)
{
    size_t pairs = dim / 2, stride = 32 + n % 3;
    scan_kernels_scalar.group_sums(table8, codes + 1, stride, pairs, (uint16_t *)(void *)want);
    k->group_sums(table8, codes + 1, stride, pairs, (uint16_t *)(void *)got);
}

static void test_simd_scan_sums_groups_alike_on_every_set(void **state)
{
    (void)state;
    with_each_set(check_groups);
}

static void check_planes(const struct scan_kernels *k, size_t n, size_t dim)
{
    size_t count = dim % 9, bytes = dim / 2, stride = bytes + dim % 4;
    uint64_t *a = (uint64_t *)(void *)want, *b = (uint64_t *)(void *)got;
    scan_kernels_scalar.plane_dots(table8, count, bytes, codes + 1, stride, n, a, a + 100);
    k->plane_dots(table8, count, bytes, codes + 1, stride, n, b, b + 100);
}

static void test_simd_scan_counts_bits_alike_on_every_set(void **state)
{
    (void)state;
    with_each_set(check_planes);
}

static void check_halves(const struct scan_kernels *k, size_t n, size_t dim)
{
    static int8_t q[1 + 4 * DIM_MAX];
    size_t bytes = dim / 16 * SCAN_HALVES;
    bool most = dim % 3 == 0; /* the largest products */
    for (size_t i = 0; i < sizeof q; i++)
        q[i] = (int8_t)(most ? -127 : (int)(chance() % 255) - 127);
    if (most)
        memset(codes, 0xff, sizeof codes);
    scan_kernels_scalar.half_dots(q + 1, codes + 1, bytes, n, (int32_t *)(void *)want);
    k->half_dots(q + 1, codes + 1, bytes, n, (int32_t *)(void *)got);
}

static void test_simd_scan_multiplies_halves_alike_on_every_set(void **state)
{
    (void)state;
    with_each_set(check_halves);
}

static void check_bits(const struct scan_kernels *k, size_t n, size_t dim)
{
    size_t stride = (dim + 7) / 8 + dim % 5, bits = 1 + dim % 8;
    float *a = (float *)(void *)want, *b = (float *)(void *)got;
    scan_kernels_scalar.bit_sums(query, dim, codes + 1, stride, n, a);
    k->bit_sums(query, dim, codes + 1, stride, n, b);
    a[100] = scan_kernels_scalar.signed_sum(query, dim, codes + 1, codes + 40, bits, -3.5f);
    b[100] = k->signed_sum(query, dim, codes + 1, codes + 40, bits, -3.5f);
}

static void test_simd_scan_sums_bits_alike_on_every_set(void **state)
{
    (void)state;
    with_each_set(check_bits);
}

/* A row of ones, with more bytes than 16-bit counters of ones can count. */
static void test_simd_scan_counts_long_rows(void **state)
{
    (void)state;
    enum { BYTES = 16 * 5000 + 7 };
    uint8_t *row = malloc(BYTES);
    assert_non_null(row);
    memset(row, 0xff, BYTES);
    for (int isa = SIMD_SCALAR; isa < SIMD_ISA_COUNT; isa++) {
        const struct simd_ops *ops = simd_ops_for((enum simd_isa)isa);
        uint64_t dot, ones;
        if (ops == NULL)
            continue;
        ops->scan->plane_dots(row, 1, BYTES, row, BYTES, 1, &dot, &ones);
        assert_int_equal(ones, 8 * BYTES);
        assert_int_equal(dot, 8 * BYTES);
    }
    free(row);
}

static void test_simd_scan_reads_codes_as_their_layout_says(void **state)
{
    (void)state;
    const struct scan_kernels *k = &scan_kernels_scalar;
    /* Each component meets a different weight, so that the sum shows its origin. */
    static const float weight[] = {1.0f, 64.0f, 4096.0f, 262144.0f, 0x1p-6f}, none[5] = {0},
                       one[5] = {1, 1, 1, 1, 1};
    float score;
    k->inner_product_u4(weight, (const uint8_t[]){0x21, 0xf3}, 1, 3, &score);
    assert_true(score == 1.0f + 2.0f * 64.0f + 3.0f * 4096.0f);
    k->squared_l2_u4(none, one, (const uint8_t[]){0x21, 0xf3}, 1, 3, &score);
    assert_true(score == 1.0f + 4.0f + 9.0f);
    static const uint8_t sixes[] = {1 | 2 << 6, 2 >> 2 | 3 << 4, 3 >> 4 | 4 << 2, 5 | 3 << 6};
    k->inner_product_u6(weight, sixes, 1, 5, &score);
    assert_true(score == 1.0f + 2.0f * 64.0f + 3.0f * 4096.0f + 4.0f * 262144.0f + 5.0f * 0x1p-6f);
    k->squared_l2_u6(none, one, sixes, 1, 5, &score);
    assert_true(score == 1.0f + 4.0f + 9.0f + 16.0f + 25.0f);
    static const uint16_t numbers[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000, 0x0400};
    static const float values[] = {1.0f, -2.0f, 0x1p-24f, 65504.0f, INFINITY, -0.0f, 0x1p-14f};
    for (size_t i = 0; i < 7; i++) {
        k->inner_product_f16(one, (const uint8_t *)(numbers + i), 1, 1, &score);
        assert_true(score == values[i]);
        k->squared_l2_f16(none, (const uint8_t *)(numbers + i), 1, 1, &score);
        assert_true(score == values[i] * values[i]);
    }
    static const uint16_t brains[] = {0x3f80, 0xc000, 0x0001, 0x7f7f, 0x7f80, 0x8000, 0x4049};
    static const float brain_values[] = {1.0f, -2.0f, 0x1p-133f, 0x1.fep127f, INFINITY, -0.0f, 3.140625f};
    for (size_t i = 0; i < 7; i++) {
        k->inner_product_bf16(one, (const uint8_t *)(brains + i), 1, 1, &score);
        assert_true(score == brain_values[i]);
        k->squared_l2_bf16(none, (const uint8_t *)(brains + i), 1, 1, &score);
        assert_true(score == brain_values[i] * brain_values[i]);
    }
    float both[2]; /* the entries (1, 3) and (2, 5) against (10, 100) */
    k->entry_products((const float[]){10.0f, 100.0f}, (const float[]){1.0f, 2.0f, 3.0f, 5.0f}, 2, 2, both);
    assert_true(both[0] == 310.0f && both[1] == 520.0f);
    k->entry_distances((const float[]){10.0f, 100.0f}, (const float[]){1.0f, 2.0f, 3.0f, 5.0f}, 2, 2, both);
    assert_true(both[0] == 81.0f + 9409.0f && both[1] == 64.0f + 9025.0f);
    /* Byte 1 holds components 1 and 33, byte 34 components 66 and 98. */
    static int8_t halves_query[128] = {[1] = 1, [33] = 10, [66] = 100, [98] = -1};
    static const uint8_t halves[64] = {[1] = 0x21, [34] = 0x43};
    int32_t dot;
    k->half_dots(halves_query, halves, 64, 1, &dot);
    assert_int_equal(dot, 1 + 20 + 300 - 4);
    const float scores[] = {1.0f, NAN, 2.0f, 3.0f};
    assert_int_equal(k->reaching(scores, 4, 2.0f, true), 0xc);
    assert_int_equal(k->reaching(scores, 4, 2.0f, false), 0x5);
    /* Vector 0 picks its first index 1, vector 17 its second index 2; all others pick 0, which is worth nothing. */
    uint8_t group[32] = {1}, entries[32] = {0, 100};
    uint16_t sums[SCAN_GROUP], expected[SCAN_GROUP] = {100};
    group[16 + 2] = 2 << 4;
    entries[16 + 2] = 7;
    expected[17] = 7;
    k->group_sums(entries, group, 32, 1, sums);
    assert_memory_equal(sums, expected, sizeof sums);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simd_scan_scores_scalar_codes_alike_on_every_set),
        cmocka_unit_test(test_simd_scan_finds_scores_that_reach_a_bound_alike_on_every_set),
        cmocka_unit_test(test_simd_scan_scores_entries_alike_on_every_set),
        cmocka_unit_test(test_simd_scan_sums_tables_alike_on_every_set),
        cmocka_unit_test(test_simd_scan_sums_groups_alike_on_every_set),
        cmocka_unit_test(test_simd_scan_counts_bits_alike_on_every_set),
        cmocka_unit_test(test_simd_scan_multiplies_halves_alike_on_every_set),
        cmocka_unit_test(test_simd_scan_sums_bits_alike_on_every_set),
        cmocka_unit_test(test_simd_scan_counts_long_rows),
        cmocka_unit_test(test_simd_scan_reads_codes_as_their_layout_says),
    };
    return test_run(tests);
}
