/* simd/code_lanes.h: scores of scalar codes of 4 and 6 bits and of 16-bit floats, over sixteen lanes.
 *
 * One file per instruction set includes it, after the header that defines `lanes` and its operations, and after
 * lanes_negated_fma(), CODE_ROWS and four decoders. The decoders lanes_from_u4, lanes_from_u6, lanes_from_half and
 * lanes_from_brain (bfloat16) read sixteen components from exactly 8, 12, 32 and 32 bytes. The arithmetic and its
 * order are those of scan_scalar.c. A kernel scores CODE_ROWS rows side by side, as in distance_lanes.h.
 */
#ifndef SIMD_CODE_LANES_H
#define SIMD_CODE_LANES_H

#include "simd/scan.h"

#define INLINED static inline __attribute__((always_inline))

/* The layout of codes. Each kernel passes constants, so that the compiler inlines the decoder. */
struct code_rows {
    lanes (*decode)(const uint8_t *p);
    size_t block; /* bytes of sixteen components */
    size_t size;  /* bytes of a row */
};

/* Prefetches the row that lies two tiles ahead. Only kernels of 16-bit floats read fast enough to need it. */
INLINED void ask_ahead(struct code_rows rows, const uint8_t *p, size_t at)
{
    if (rows.block == 32 && at % 64 == 0)
        __builtin_prefetch(p + 2 * CODE_ROWS * rows.size);
}

/* Returns the last components of a row, fewer than sixteen. Reads zeros behind the row. Stray bits of the row's
 * last byte meet a weight or step of 0. */
INLINED lanes last_components(struct code_rows rows, const uint8_t *row, size_t whole)
{
    uint8_t part[32] = {0};
    size_t at = whole / 16 * rows.block;
    memcpy(part, row + at, rows.size - at);
    return rows.decode(part);
}

/* Scores `count` ≤ CODE_ROWS rows; callers pass a constant, so that the sums stay in registers. */
INLINED void inner_product_codes(struct code_rows rows, const float *weight, const uint8_t *codes, size_t count,
                                 size_t dim, float *out)
{
    lanes sum[CODE_ROWS];
    size_t whole = dim / 16 * 16, part = dim - whole;
#pragma GCC unroll 8
    for (size_t r = 0; r < count; r++)
        sum[r] = lanes_set(0.0f);
    for (size_t i = 0, at = 0; i < whole; i += 16, at += rows.block) {
        lanes w = lanes_load(weight + i);
#pragma GCC unroll 8
        for (size_t r = 0; r < count; r++) {
            const uint8_t *p = codes + r * rows.size + at;
            ask_ahead(rows, p, at);
            sum[r] = lanes_fma(w, rows.decode(p), sum[r]);
        }
    }
    if (part > 0) {
        lanes w = lanes_load_part(weight + whole, part, 0.0f);
#pragma GCC unroll 8
        for (size_t r = 0; r < count; r++)
            sum[r] = lanes_fma(w, last_components(rows, codes + r * rows.size, whole), sum[r]);
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < count; r++)
        out[r] = lanes_sum(sum[r]);
}

/* Adds (offset - step * x)² to each lane of the sum. step NULL: 1. */
INLINED lanes add_distance(lanes sum, lanes offset, const lanes *step, lanes x)
{
    lanes away = step != NULL ? lanes_negated_fma(*step, x, offset) : lanes_sub(offset, x);
    return lanes_fma(away, away, sum);
}

INLINED void squared_l2_codes(struct code_rows rows, const float *offset, const float *step, const uint8_t *codes,
                              size_t count, size_t dim, float *out)
{
    lanes sum[CODE_ROWS];
    size_t whole = dim / 16 * 16, part = dim - whole;
#pragma GCC unroll 8
    for (size_t r = 0; r < count; r++)
        sum[r] = lanes_set(0.0f);
    for (size_t i = 0, at = 0; i < whole; i += 16, at += rows.block) {
        lanes o = lanes_load(offset + i), s = step != NULL ? lanes_load(step + i) : o;
#pragma GCC unroll 8
        for (size_t r = 0; r < count; r++) {
            const uint8_t *p = codes + r * rows.size + at;
            ask_ahead(rows, p, at);
            sum[r] = add_distance(sum[r], o, step != NULL ? &s : NULL, rows.decode(p));
        }
    }
    if (part > 0) {
        lanes o = lanes_load_part(offset + whole, part, 0.0f);
        lanes s = step != NULL ? lanes_load_part(step + whole, part, 0.0f) : o;
#pragma GCC unroll 8
        for (size_t r = 0; r < count; r++)
            sum[r] = add_distance(sum[r], o, step != NULL ? &s : NULL,
                                  last_components(rows, codes + r * rows.size, whole));
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < count; r++)
        out[r] = lanes_sum(sum[r]);
}

INLINED void inner_product_all(struct code_rows rows, const float *weight, const uint8_t *codes, size_t n,
                               size_t dim, float *out)
{
    size_t r = 0;
    for (; r + CODE_ROWS <= n; r += CODE_ROWS)
        inner_product_codes(rows, weight, codes + r * rows.size, CODE_ROWS, dim, out + r);
    for (; r < n; r++)
        inner_product_codes(rows, weight, codes + r * rows.size, 1, dim, out + r);
}

INLINED void squared_l2_all(struct code_rows rows, const float *offset, const float *step, const uint8_t *codes,
                            size_t n, size_t dim, float *out)
{
    size_t r = 0;
    for (; r + CODE_ROWS <= n; r += CODE_ROWS)
        squared_l2_codes(rows, offset, step, codes + r * rows.size, CODE_ROWS, dim, out + r);
    for (; r < n; r++)
        squared_l2_codes(rows, offset, step, codes + r * rows.size, 1, dim, out + r);
}

INLINED struct code_rows rows_of_u4(size_t dim)
{
    return (struct code_rows){lanes_from_u4, 8, (dim + 1) / 2};
}
INLINED struct code_rows rows_of_u6(size_t dim)
{
    return (struct code_rows){lanes_from_u6, 12, (6 * dim + 7) / 8};
}
INLINED struct code_rows rows_of_half(size_t dim)
{
    return (struct code_rows){lanes_from_half, 32, 2 * dim};
}

INLINED struct code_rows rows_of_brain(size_t dim)
{
    return (struct code_rows){lanes_from_brain, 32, 2 * dim};
}

static void inner_product_u4(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    inner_product_all(rows_of_u4(dim), weight, codes, n, dim, out);
}
static void squared_l2_u4(const float *offset, const float *step, const uint8_t *codes, size_t n, size_t dim,
                          float *out)
{
    squared_l2_all(rows_of_u4(dim), offset, step, codes, n, dim, out);
}
static void inner_product_u6(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    inner_product_all(rows_of_u6(dim), weight, codes, n, dim, out);
}
static void squared_l2_u6(const float *offset, const float *step, const uint8_t *codes, size_t n, size_t dim,
                          float *out)
{
    squared_l2_all(rows_of_u6(dim), offset, step, codes, n, dim, out);
}
static void inner_product_f16(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    inner_product_all(rows_of_half(dim), weight, codes, n, dim, out);
}
static void squared_l2_f16(const float *offset, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    squared_l2_all(rows_of_half(dim), offset, NULL, codes, n, dim, out);
}

static void inner_product_bf16(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    inner_product_all(rows_of_brain(dim), weight, codes, n, dim, out);
}
static void squared_l2_bf16(const float *offset, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    squared_l2_all(rows_of_brain(dim), offset, NULL, codes, n, dim, out);
}

#endif
