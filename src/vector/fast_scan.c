/* fast_scan.c: scales tables to bytes and computes their 16-bit sums, as FAISS's fast scan does.
 *
 * (André, Kermarrec, Le Scouarnec: Cache locality is not enough. VLDB 2015.) Scores come from the rounded tables,
 * not from the codes. To equal FAISS's scores, tables follow FAISS's rule: each part's least value becomes 0, and
 * one scale holds for all parts, so that no entry exceeds 255 and no sum 65535. Sums wrap at 2^16.
 */
#include <math.h>

#include "simd/scan.h"
#include "simd/simd.h"
#include "vector/ivf_kinds.h"

float fast_table_least(const float *table, size_t m, float least, float *spans, float *widest)
{
    for (size_t i = 0; i < m; i++, table += 16) {
        float low = INFINITY, high = -INFINITY;
        for (size_t j = 0; j < 16; j++) { /* skips NaN: comparisons with it are false */
            low = table[j] < low ? table[j] : low;
            high = table[j] > high ? table[j] : high;
        }
        *widest = high - low > *widest ? high - low : *widest;
        *spans += high - low;
        least += low;
    }
    return least;
}

float fast_scale(struct fast_span span)
{
    float by_width = span.widest > 0.0f ? 255.0f / span.widest : INFINITY;
    float by_length = span.longest > 0.0f ? 65535.0f / span.longest : INFINITY;
    float scale = by_width < by_length ? by_width : by_length;
    return isfinite(scale) ? scale : 0.0f;
}

void fast_sums(const struct ivf_query *query, const uint8_t *codes, size_t first, size_t n,
               uint16_t sums[IVF_SCAN_ROWS])
{
    const struct ivf_codec *codec = query->codec;
    const struct scan_kernels *scan = simd_ops()->scan;
    for (size_t i = 0; i < n; i += SCAN_GROUP) {
        size_t row = first + i, in_block = row % codec->block_rows;
        const uint8_t *block = codes + row / codec->block_rows * codec->block_bytes;
        scan->group_sums(query->lut, block + in_block, codec->block_rows, codec->pairs, sums + i);
    }
    for (size_t i = 0; i < n; i++)
        sums[i] = (uint16_t)(sums[i] + query->lut_bias);
}
