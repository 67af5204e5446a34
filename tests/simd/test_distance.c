/* test_distance.c: every instruction set gives the scalar kernels' bits, at odd sizes and from any address; and
 * the scalar kernels are right. */
#include "test_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "simd/distance.h"
#include "simd/simd.h"

enum { DIM_MAX = 200, ROWS_MAX = 21, GUARD = 77 };

static uint64_t seed = 12345;

static float chance(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (float)((double)(seed >> 11) / 9007199254740992.0 - 0.5) * 4.0f;
}

struct inputs {
    float query[DIM_MAX], step[DIM_MAX];
    uint8_t rows[ROWS_MAX * DIM_MAX * sizeof(float) + 1]; /* floats at an odd address */
    uint8_t codes[ROWS_MAX * DIM_MAX];
};

static void fill(struct inputs *in)
{
    for (size_t i = 0; i < DIM_MAX; i++) {
        in->query[i] = chance();
        in->step[i] = chance() / 100.0f;
    }
    for (size_t i = 0; i < (size_t)ROWS_MAX * DIM_MAX; i++) {
        float x = chance();
        memcpy(in->rows + 1 + i * sizeof x, &x, sizeof x);
        in->codes[i] = (uint8_t)(seed >> 40);
    }
}

/* Four kernels' scores, one after another. */
static void score_all(const struct distance_kernels *kernels, const struct inputs *in, size_t n, size_t dim,
                      float out[4][ROWS_MAX + 1])
{
    for (int k = 0; k < 4; k++)
        for (size_t i = 0; i <= ROWS_MAX; i++)
            out[k][i] = GUARD;
    kernels->inner_product(in->query, in->rows + 1, n, dim, out[0]);
    kernels->squared_l2(in->query, in->rows + 1, n, dim, out[1]);
    kernels->inner_product_u8(in->query, in->codes, n, dim, out[2]);
    kernels->squared_l2_u8(in->query, in->step, in->codes, n, dim, out[3]);
}

static void test_simd_distance_scalar_is_right(void **state)
{
    (void)state;
    static struct inputs in;
    float out[4][ROWS_MAX + 1];
    fill(&in);
    for (size_t dim = 0; dim <= DIM_MAX; dim += dim < 40 ? 1 : 32) {
        score_all(&distance_kernels_scalar, &in, ROWS_MAX, dim, out);
        for (size_t r = 0; r < ROWS_MAX; r++) {
            double expected[4] = {0}, size[4] = {0};
            for (size_t i = 0; i < dim; i++) {
                float x;
                memcpy(&x, in.rows + 1 + (r * dim + i) * sizeof x, sizeof x);
                double c = in.codes[r * dim + i], q = in.query[i];
                double terms[4] = {q * x, (q - x) * (q - x), q * c, pow(q - in.step[i] * c, 2)};
                for (int k = 0; k < 4; k++) {
                    expected[k] += terms[k];
                    size[k] += fabs(terms[k]);
                }
            }
            for (int k = 0; k < 4; k++)
                assert_true(fabs(out[k][r] - expected[k]) <= 1e-6 * size[k]);
        }
    }
}

static void test_simd_distance_is_the_same_on_every_set(void **state)
{
    (void)state;
    static struct inputs in;
    float expected[4][ROWS_MAX + 1], got[4][ROWS_MAX + 1];
    int sets = 0;
    for (int isa = SIMD_SCALAR + 1; isa < SIMD_ISA_COUNT; isa++) {
        const struct simd_ops *ops = simd_ops_for((enum simd_isa)isa);
        if (ops == NULL) {
            print_message("this machine has no set number %d\n", isa);
            continue;
        }
        sets++;
        for (size_t dim = 0; dim <= DIM_MAX; dim += dim < 70 ? 1 : 13)
            for (size_t n = 0; n <= ROWS_MAX; n++) {
                fill(&in);
                score_all(&distance_kernels_scalar, &in, n, dim, expected);
                score_all(ops->distance, &in, n, dim, got);
                assert_memory_equal(expected, got, sizeof expected);
            }
    }
    print_message("compared %d instruction sets with scalar\n", sets);
}

static void test_simd_distance_score_does_not_depend_on_other_rows(void **state)
{
    (void)state;
    static struct inputs in;
    float all[4][ROWS_MAX + 1], one;
    fill(&in);
    for (int isa = 0; isa < SIMD_ISA_COUNT; isa++) {
        const struct simd_ops *ops = simd_ops_for((enum simd_isa)isa);
        if (ops == NULL)
            continue;
        score_all(ops->distance, &in, ROWS_MAX, 37, all);
        for (size_t r = 0; r < ROWS_MAX; r++) {
            ops->distance->inner_product(in.query, in.rows + 1 + r * 37 * sizeof(float), 1, 37, &one);
            assert_memory_equal(&one, &all[0][r], sizeof one);
            ops->distance->squared_l2_u8(in.query, in.step, in.codes + r * 37, 1, 37, &one);
            assert_memory_equal(&one, &all[3][r], sizeof one);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simd_distance_scalar_is_right),
        cmocka_unit_test(test_simd_distance_is_the_same_on_every_set),
        cmocka_unit_test(test_simd_distance_score_does_not_depend_on_other_rows),
    };
    return test_run(tests);
}
