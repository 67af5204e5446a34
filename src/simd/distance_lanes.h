/* simd/distance_lanes.h: the distance kernels over sixteen lanes.
 *
 * One file per instruction set includes it, after the header that defines `lanes` and its operations, and after
 * lanes_from_uint8(), lanes_negated_fma() and DISTANCE_ROWS. The arithmetic and its order are those of
 * distance_scalar.c. A kernel scores a tile of DISTANCE_ROWS rows side by side. This hides the latency of each
 * row's chain of additions, and loads the query once for the whole tile.
 */
#ifndef SIMD_DISTANCE_LANES_H
#define SIMD_DISTANCE_LANES_H

#include <string.h>

#include "simd/distance.h"

#define INLINED static inline __attribute__((always_inline))

/* Rows of floats whose tile of DISTANCE_ROWS has more than LONG_BYTES go into tiles of LONG_ROWS: the next tile of
 * DISTANCE_ROWS would push the present one out of a first-level cache. */
enum {
    AHEAD_BYTES = 4096,
    LINE_BYTES = 64,
    LONG_BYTES = 16384,
    LONG_ROWS = DISTANCE_ROWS < 4 ? DISTANCE_ROWS : 4
};

INLINED lanes add_product(lanes sum, lanes q, lanes x)
{
    return lanes_fma(q, x, sum);
}
INLINED lanes add_square(lanes sum, lanes away)
{
    return lanes_fma(away, away, sum);
}
/* Prefetches the cache line `ahead` bytes after p, which lies in a later tile. The hardware's prefetcher does
 * not do it, because the rows of a tile are too many short streams. A prefetch past the last row is harmless. */
INLINED void ask_ahead(const void *p, size_t ahead)
{
    __builtin_prefetch((const char *)p + ahead);
}
/* Prefetches a line of floats behind those at `row` + r rows + i. `ahead` 0: a tile of long rows asks for the lines
 * in the order of memory, AHEAD_BYTES before the tile. */
INLINED void ask_floats(const char *row, size_t rows, size_t dim, size_t i, size_t r, size_t ahead)
{
    if (ahead > 0)
        ask_ahead(row + (r * dim + i) * sizeof(float), ahead);
    else
        ask_ahead(row + (i * rows + 16 * r) * sizeof(float), AHEAD_BYTES);
}
/* Returns the smallest multiple of a tile's bytes that is at least AHEAD_BYTES, or 0 for a tile of 0 bytes. */
INLINED size_t tiles_ahead(size_t bytes)
{
    return bytes > 0 ? (AHEAD_BYTES + bytes - 1) / bytes * bytes : 0;
}
INLINED lanes some_bytes(const uint8_t *p, size_t n)
{
    uint8_t part[16] = {0};
    memcpy(part, p, n);
    return lanes_from_uint8(part);
}

/* Each *_tile scores `rows` ≤ DISTANCE_ROWS rows. Callers pass a constant, so that the sums stay in registers. */

INLINED void inner_product_tile(const float *query, const char *row, size_t rows, size_t dim, size_t ahead,
                                float *out)
{
    lanes sum[DISTANCE_ROWS];
    size_t whole = dim / 16 * 16, part = dim - whole;
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
        sum[r] = lanes_set(0.0f);
    for (size_t i = 0; i < whole; i += 16) {
        lanes q = lanes_load(query + i);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            const float *x = (const float *)(row + (r * dim + i) * sizeof(float));
            ask_floats(row, rows, dim, i, r, ahead);
            sum[r] = add_product(sum[r], q, lanes_load(x));
        }
    }
    if (part > 0) {
        lanes q = lanes_load_part(query + whole, part, 0.0f);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++)
            sum[r] = add_product(
                sum[r], q, lanes_load_part((const float *)(row + (r * dim + whole) * sizeof(float)), part, 0.0f));
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
        out[r] = lanes_sum(sum[r]);
}

INLINED void squared_l2_tile(const float *query, const char *row, size_t rows, size_t dim, size_t ahead,
                             float *out)
{
    lanes sum[DISTANCE_ROWS];
    size_t whole = dim / 16 * 16, part = dim - whole;
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
        sum[r] = lanes_set(0.0f);
    for (size_t i = 0; i < whole; i += 16) {
        lanes q = lanes_load(query + i);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            const float *x = (const float *)(row + (r * dim + i) * sizeof(float));
            ask_floats(row, rows, dim, i, r, ahead);
            sum[r] = add_square(sum[r], lanes_sub(q, lanes_load(x)));
        }
    }
    if (part > 0) {
        lanes q = lanes_load_part(query + whole, part, 0.0f);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            const float *x = (const float *)(row + (r * dim + whole) * sizeof(float));
            sum[r] = add_square(sum[r], lanes_sub(q, lanes_load_part(x, part, 0.0f)));
        }
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
        out[r] = lanes_sum(sum[r]);
}

INLINED void inner_product_u8_tile(const float *weight, const uint8_t *codes, size_t rows, size_t dim,
                                   size_t ahead, float *out)
{
    lanes sum[DISTANCE_ROWS];
    size_t whole = dim / 16 * 16, part = dim - whole;
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
        sum[r] = lanes_set(0.0f);
    for (size_t i = 0; i < whole; i += 16) {
        lanes w = lanes_load(weight + i);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            if (i % LINE_BYTES == 0)
                ask_ahead(codes + r * dim + i, ahead);
            sum[r] = add_product(sum[r], w, lanes_from_uint8(codes + r * dim + i));
        }
    }
    if (part > 0) {
        lanes w = lanes_load_part(weight + whole, part, 0.0f);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++)
            sum[r] = add_product(sum[r], w, some_bytes(codes + r * dim + whole, part));
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
        out[r] = lanes_sum(sum[r]);
}

INLINED void squared_l2_u8_tile(const float *offset, const float *step, const uint8_t *codes, size_t rows,
                                size_t dim, size_t ahead, float *out)
{
    lanes sum[DISTANCE_ROWS];
    size_t whole = dim / 16 * 16, part = dim - whole;
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
        sum[r] = lanes_set(0.0f);
    for (size_t i = 0; i < whole; i += 16) {
        lanes o = lanes_load(offset + i), s = lanes_load(step + i);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            if (i % LINE_BYTES == 0)
                ask_ahead(codes + r * dim + i, ahead);
            sum[r] = add_square(sum[r], lanes_negated_fma(s, lanes_from_uint8(codes + r * dim + i), o));
        }
    }
    if (part > 0) {
        lanes o = lanes_load_part(offset + whole, part, 0.0f), s = lanes_load_part(step + whole, part, 0.0f);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++)
            sum[r] = add_square(sum[r], lanes_negated_fma(s, some_bytes(codes + r * dim + whole, part), o));
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
        out[r] = lanes_sum(sum[r]);
}

static void inner_product(const float *query, const void *rows, size_t n, size_t dim, float *out)
{
    const char *row = rows;
    size_t r = 0, ahead = tiles_ahead(DISTANCE_ROWS * dim * sizeof(float));
    if (DISTANCE_ROWS * dim * sizeof(float) > LONG_BYTES)
        for (; r + LONG_ROWS <= n; r += LONG_ROWS)
            inner_product_tile(query, row + r * dim * sizeof(float), LONG_ROWS, dim, 0, out + r);
    for (; r + DISTANCE_ROWS <= n; r += DISTANCE_ROWS)
        inner_product_tile(query, row + r * dim * sizeof(float), DISTANCE_ROWS, dim, ahead, out + r);
    for (; r < n; r++)
        inner_product_tile(query, row + r * dim * sizeof(float), 1, dim, ahead, out + r);
}

static void squared_l2(const float *query, const void *rows, size_t n, size_t dim, float *out)
{
    const char *row = rows;
    size_t r = 0, ahead = tiles_ahead(DISTANCE_ROWS * dim * sizeof(float));
    if (DISTANCE_ROWS * dim * sizeof(float) > LONG_BYTES)
        for (; r + LONG_ROWS <= n; r += LONG_ROWS)
            squared_l2_tile(query, row + r * dim * sizeof(float), LONG_ROWS, dim, 0, out + r);
    for (; r + DISTANCE_ROWS <= n; r += DISTANCE_ROWS)
        squared_l2_tile(query, row + r * dim * sizeof(float), DISTANCE_ROWS, dim, ahead, out + r);
    for (; r < n; r++)
        squared_l2_tile(query, row + r * dim * sizeof(float), 1, dim, ahead, out + r);
}

static void inner_product_u8(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    size_t r = 0, ahead = tiles_ahead(DISTANCE_ROWS * dim);
    for (; r + DISTANCE_ROWS <= n; r += DISTANCE_ROWS)
        inner_product_u8_tile(weight, codes + r * dim, DISTANCE_ROWS, dim, ahead, out + r);
    for (; r < n; r++)
        inner_product_u8_tile(weight, codes + r * dim, 1, dim, ahead, out + r);
}

static void squared_l2_u8(const float *offset, const float *step, const uint8_t *codes, size_t n, size_t dim,
                          float *out)
{
    size_t r = 0, ahead = tiles_ahead(DISTANCE_ROWS * dim);
    for (; r + DISTANCE_ROWS <= n; r += DISTANCE_ROWS)
        squared_l2_u8_tile(offset, step, codes + r * dim, DISTANCE_ROWS, dim, ahead, out + r);
    for (; r < n; r++)
        squared_l2_u8_tile(offset, step, codes + r * dim, 1, dim, ahead, out + r);
}

#endif
