/* simd/nearest_lanes.h: the nearest of many columns over sixteen lanes.
 *
 * One file per instruction set includes it, after the header that defines `lanes` and its operations, and after
 * NEAREST_ROWS. A tile is NEAREST_ROWS rows by one panel. It has so many independent sums that a multiply-add
 * seldom waits for the one before. A panel of 128 dimensions has 8 KiB and stays in the L1 cache for all rows. One
 * comparison covers sixteen scores. The kernel searches for a column only if the largest of the scores beats the
 * row's best, which soon becomes rare.
 */
#ifndef SIMD_NEAREST_LANES_H
#define SIMD_NEAREST_LANES_H

#include "simd/nearest.h"

#define NEAREST_INLINED static inline __attribute__((always_inline))

/* Makes `most`, the largest of sixteen scores, the row's best, with the first column that has it. `most` is not
 * NaN. */
static __attribute__((noinline)) void take_best(const float scores[NEAREST_COLUMNS], float most, uint32_t first,
                                                float *best, uint32_t *column)
{
    uint32_t c = 0;
    while (c + 1 < NEAREST_COLUMNS && scores[c] != most)
        c++;
    *best = most;
    *column = first + c;
}

/* Computes one tile. Callers pass a constant `rows` ≤ NEAREST_ROWS, so that the sums stay in registers. */
NEAREST_INLINED void nearest_tile(const float *x, size_t stride, size_t rows, size_t dim, const float *w,
                                  const float *bias, uint32_t first, float *best, uint32_t *column)
{
    lanes sum[NEAREST_ROWS];
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++)
        sum[r] = lanes_load(bias);
    for (size_t i = 0; i < dim; i++) {
        lanes columns = lanes_load(w + i * NEAREST_COLUMNS);
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++)
            sum[r] = lanes_fma(lanes_set(x[r * stride + i]), columns, sum[r]);
    }
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        float most = lanes_max_of(sum[r]);
        if (most > best[r]) {
            float scores[NEAREST_COLUMNS];
            lanes_store(scores, sum[r]);
            take_best(scores, most, first, best + r, column + r);
        }
    }
}

static void largest_columns(const float *x, size_t stride, size_t rows, size_t dim, const float *w,
                            const float *bias, size_t panels, float *best, uint32_t *column)
{
    for (size_t p = 0; p < panels; p++, w += dim * NEAREST_COLUMNS, bias += NEAREST_COLUMNS) {
        uint32_t first = (uint32_t)(p * NEAREST_COLUMNS);
        size_t r = 0;
        for (; r + NEAREST_ROWS <= rows; r += NEAREST_ROWS)
            nearest_tile(x + r * stride, stride, NEAREST_ROWS, dim, w, bias, first, best + r, column + r);
        for (; r < rows; r++)
            nearest_tile(x + r * stride, stride, 1, dim, w, bias, first, best + r, column + r);
    }
}

#endif
