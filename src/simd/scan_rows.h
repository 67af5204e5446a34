/* simd/scan_rows.h: sums of table look-ups, eight rows side by side.
 *
 * A sum runs in rising order, so it is a chain of additions; eight chains hide each other's latency. We use plain
 * loads: a gather is as fast at best (Intel before the mitigations), and slower elsewhere. One file per
 * instruction set includes this header.
 */
#ifndef SIMD_SCAN_ROWS_H
#define SIMD_SCAN_ROWS_H

#include "simd/scan.h"

static void table_sums(const float *table, const uint8_t *codes, size_t n, size_t m, size_t bits, size_t code_size,
                       float *out)
{
    size_t r = 0;
    if (bits == 8)
        for (; r + 8 <= n; r += 8, codes += 8 * code_size) {
            const float *row = table;
            float sum[8] = {0};
            for (size_t i = 0; i < m; i++, row += 256)
#pragma GCC unroll 8
                for (size_t v = 0; v < 8; v++)
                    sum[v] += row[codes[v * code_size + i]];
#pragma GCC unroll 8
            for (size_t v = 0; v < 8; v++)
                out[r + v] = sum[v];
        }
    scan_kernels_scalar.table_sums(table, codes, n - r, m, bits, code_size, out + r);
}

#endif
