/* simd/entry_lanes.h: scores of a vector against the entries of a transposed table; each lane scores one entry.
 *
 * One file per instruction set includes it, after code_lanes.h. The arithmetic and its order are those of
 * scan_scalar.c. Scoring 64 entries side by side hides the latency of each entry's chain of additions.
 */
#ifndef SIMD_ENTRY_LANES_H
#define SIMD_ENTRY_LANES_H

#include "simd/code_lanes.h"

enum { ENTRY_LANES = 4 };

INLINED lanes add_entry(bool distance, lanes sum, lanes x, lanes entry)
{
    return distance ? add_distance(sum, x, NULL, entry) : lanes_fma(x, entry, sum);
}

/* Scores 16 * `count` entries, count ≤ ENTRY_LANES. Callers pass a constant `count`. */
INLINED void score_entries(bool distance, const float *vector, const float *across, size_t dims, size_t entries,
                           size_t count, float *out)
{
    lanes sum[ENTRY_LANES];
#pragma GCC unroll 4
    for (size_t l = 0; l < count; l++)
        sum[l] = lanes_set(0.0f);
    for (size_t d = 0; d < dims; d++, across += entries) {
        lanes x = lanes_set(vector[d]);
#pragma GCC unroll 4
        for (size_t l = 0; l < count; l++)
            sum[l] = add_entry(distance, sum[l], x, lanes_load(across + 16 * l));
    }
#pragma GCC unroll 4
    for (size_t l = 0; l < count; l++)
        lanes_store(out + 16 * l, sum[l]);
}

/* Scores the last n < 16 entries. */
INLINED void score_last_entries(bool distance, const float *vector, const float *across, size_t dims,
                                size_t entries, size_t n, float *out)
{
    lanes sum = lanes_set(0.0f);
    for (size_t d = 0; d < dims; d++, across += entries)
        sum = add_entry(distance, sum, lanes_set(vector[d]), lanes_load_part(across, n, 0.0f));
    lanes_store_part(out, n, sum);
}

INLINED void score_all_entries(bool distance, const float *vector, const float *across, size_t dims,
                               size_t entries, float *out)
{
    size_t j = 0;
    for (; j + 16 * ENTRY_LANES <= entries; j += 16 * ENTRY_LANES)
        score_entries(distance, vector, across + j, dims, entries, ENTRY_LANES, out + j);
    for (; j + 16 <= entries; j += 16)
        score_entries(distance, vector, across + j, dims, entries, 1, out + j);
    if (j < entries)
        score_last_entries(distance, vector, across + j, dims, entries, entries - j, out + j);
}

static void entry_products(const float *vector, const float *across, size_t dims, size_t entries, float *out)
{
    score_all_entries(false, vector, across, dims, entries, out);
}

static void entry_distances(const float *vector, const float *across, size_t dims, size_t entries, float *out)
{
    score_all_entries(true, vector, across, dims, entries, out);
}

#endif
