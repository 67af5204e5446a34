/* test_nearest.c: every instruction set finds the scalar kernel's nearest columns, with equal bits, at odd sizes
 * and from any address; and the scalar kernel is right. */
#include "test_support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "simd/nearest.h"
#include "simd/simd.h"

enum { DIM_MAX = 70, ROWS_MAX = 33, PANELS_MAX = 4, COLUMNS_MAX = PANELS_MAX * NEAREST_COLUMNS, GUARD = 77 };

static uint64_t seed = 4321;

static float chance(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (float)((double)(seed >> 11) / 9007199254740992.0 - 0.5) * 4.0f;
}

struct inputs {
    float x[ROWS_MAX * DIM_MAX + 1]; /* used from the second float on: unaligned */
    float bias[COLUMNS_MAX];
    float *w; /* float[PANELS_MAX][DIM_MAX][NEAREST_COLUMNS] */
};

struct found {
    float best[ROWS_MAX + 1];
    uint32_t column[ROWS_MAX + 1];
};

static void fill(struct inputs *in)
{
    for (size_t i = 0; i <= (size_t)ROWS_MAX * DIM_MAX; i++)
        in->x[i] = chance();
    for (size_t i = 0; i < (size_t)COLUMNS_MAX * DIM_MAX; i++)
        in->w[i] = chance();
    for (size_t c = 0; c < COLUMNS_MAX; c++)
        in->bias[c] = c % 7 == 3 ? -INFINITY : chance(); /* padding */
}

static int set_up(void **state)
{
    static struct inputs in;
    in.w = mem_aligned_alloc(64, sizeof(float) * COLUMNS_MAX * DIM_MAX);
    *state = &in;
    return in.w == NULL;
}

static int tear_down(void **state)
{
    struct inputs *in = *state;
    mem_free(in->w);
    return 0;
}

static struct found find(const struct nearest_kernels *kernels, const struct inputs *in, size_t rows, size_t dim,
                         size_t panels)
{
    struct found found;
    for (size_t r = 0; r <= ROWS_MAX; r++) {
        found.best[r] = r == 5 ? 1.0f : r < rows ? -INFINITY : GUARD; /* one row has a good score already */
        found.column[r] = GUARD;
    }
    kernels->largest(in->x + 1, dim, rows, dim, in->w, in->bias, panels, found.best, found.column);
    return found;
}

static void test_simd_nearest_scalar_is_right(void **state)
{
    struct inputs *in = *state;
    fill(in);
    for (size_t dim = 0; dim <= DIM_MAX; dim += 7) {
        struct found found = find(&nearest_kernels_scalar, in, ROWS_MAX, dim, PANELS_MAX);
        for (size_t r = 0; r < ROWS_MAX; r++) {
            double best = r == 5 ? 1.0 : -INFINITY, of_found = -INFINITY;
            for (size_t c = 0; c < COLUMNS_MAX; c++) {
                double score = in->bias[c];
                for (size_t i = 0; i < dim; i++)
                    score += (double)in->x[1 + r * dim + i] *
                             in->w[(c / NEAREST_COLUMNS * dim + i) * NEAREST_COLUMNS + c % NEAREST_COLUMNS];
                best = fmax(best, score);
                of_found = c == found.column[r] ? score : of_found;
            }
            assert_true(fabs(found.best[r] - best) <= 1e-4);
            if (found.column[r] != GUARD)
                assert_true(fabs(of_found - best) <= 1e-4);
            else
                assert_true(r == 5 && found.best[r] == 1.0f);
        }
        assert_true(found.best[ROWS_MAX] == GUARD && found.column[ROWS_MAX] == GUARD);
    }
}

static void test_simd_nearest_is_the_same_on_every_set(void **state)
{
    struct inputs *in = *state;
    for (int isa = SIMD_SCALAR + 1; isa < SIMD_ISA_COUNT; isa++) {
        const struct simd_ops *ops = simd_ops_for((enum simd_isa)isa);
        if (ops == NULL)
            continue;
        fill(in);
        for (size_t rows = 0; rows <= ROWS_MAX; rows++)
            for (size_t dim = 0; dim <= DIM_MAX; dim += rows % 5 + 1) {
                size_t panels = (rows + dim) % (PANELS_MAX + 1);
                struct found expected = find(&nearest_kernels_scalar, in, rows, dim, panels);
                struct found got = find(ops->nearest, in, rows, dim, panels);
                if (memcmp(&expected, &got, sizeof got) != 0)
                    fail_msg("%s differs at %zu rows, %zu dimensions, %zu panels", ops->name, rows, dim, panels);
            }
    }
}

static void test_simd_nearest_first_of_equals_wins(void **state)
{
    struct inputs *in = *state;
    fill(in);
    for (size_t c = 0; c < COLUMNS_MAX; c++) /* all columns are equal, except padding */
        for (size_t i = 0; i < 8; i++)
            in->w[(c / NEAREST_COLUMNS * 8 + i) * NEAREST_COLUMNS + c % NEAREST_COLUMNS] = 0.25f;
    for (size_t c = 0; c < COLUMNS_MAX; c++)
        in->bias[c] = c < 21 ? -INFINITY : 0.5f;
    for (int isa = SIMD_SCALAR; isa < SIMD_ISA_COUNT; isa++) {
        const struct simd_ops *ops = simd_ops_for((enum simd_isa)isa);
        if (ops == NULL)
            continue;
        struct found found = find(ops->nearest, in, ROWS_MAX, 8, PANELS_MAX);
        for (size_t r = 0; r < ROWS_MAX; r++)
            assert_true(found.column[r] == 21 || r == 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_simd_nearest_scalar_is_right, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_simd_nearest_is_the_same_on_every_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_simd_nearest_first_of_equals_wins, set_up, tear_down),
    };
    return test_run(tests);
}
