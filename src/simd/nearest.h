/* simd/nearest.h: finds for each of many vectors the nearest of many columns, by instruction set. k-means spends
 * most of its time here.
 *
 * It is a matrix product that keeps only the largest number of each row. Every set gives the same bits as
 * nearest_scalar.c: a score begins with its column's bias and adds products in rising dimension by fused
 * multiply-adds, and the first of equal scores wins. So the nearest column does not depend on the machine or on
 * other rows of the call. Nothing here allocates or fails.
 */
#ifndef SIMD_NEAREST_H
#define SIMD_NEAREST_H

#include <stddef.h>
#include <stdint.h>

enum { NEAREST_COLUMNS = 16 }; /* columns of a panel */

struct nearest_kernels {
    /* Finds for each row r the column with the largest score bias[c] + sum over i of x[r][i] * w[c][i].
     *
     * x       float[rows][stride], finite; the first dim floats of each row count
     * w       the columns, packed [panels][dim][NEAREST_COLUMNS], 64-byte aligned
     * bias    float[panels * NEAREST_COLUMNS]; -INFINITY for padding columns
     * best    float[rows], in and out: the largest score so far; only a greater score replaces it
     * column  uint32_t[rows], in and out: the column of that score */
    void (*largest)(const float *x, size_t stride, size_t rows, size_t dim, const float *w, const float *bias,
                    size_t panels, float *best, uint32_t *column);
};

extern const struct nearest_kernels nearest_kernels_scalar;

#endif
