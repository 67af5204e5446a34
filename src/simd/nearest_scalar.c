/* nearest_scalar.c: the nearest of many columns in plain C: it explains the other kernels, and tests compare them
 * with it.
 *
 * The columns lie in panels of 16, and a panel holds dimension after dimension:
 *
 *     w:  panel 0:  i=0: column 0 1 2 … 15 | i=1: column 0 1 2 … 15 | … | i=dim-1
 *         panel 1:  i=0: column 16 17 … 31 | …
 *
 * So w[panel][i][c % 16] is dimension i of column c, and one load fetches it for sixteen columns.
 */
#include "simd/nearest.h"

#include <math.h>

static void largest_columns(const float *x, size_t stride, size_t rows, size_t dim, const float *w,
                            const float *bias, size_t panels, float *best, uint32_t *column)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < panels * NEAREST_COLUMNS; c++) {
            const float *panel = w + c / NEAREST_COLUMNS * dim * NEAREST_COLUMNS + c % NEAREST_COLUMNS;
            float score = bias[c];
            for (size_t i = 0; i < dim; i++)
                score = fmaf(x[r * stride + i], panel[i * NEAREST_COLUMNS], score);
            if (score > best[r]) {
                best[r] = score;
                column[r] = (uint32_t)c;
            }
        }
}

const struct nearest_kernels nearest_kernels_scalar = {largest_columns};
