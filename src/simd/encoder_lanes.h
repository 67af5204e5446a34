/* simd/encoder_lanes.h: the encoder's kernels over sixteen lanes, except the int8 product.
 *
 * One file per instruction set includes it, after the header that defines `lanes`, its operations, and the
 * register tiles. The arithmetic and its order are those of encoder_scalar.c; only the use of registers is tuned
 * here. Tiles call inline functions with constant row counts, so that the compiler unrolls them and keeps the
 * accumulators in registers.
 */
#ifndef SIMD_ENCODER_LANES_H
#define SIMD_ENCODER_LANES_H

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "simd/encoder.h"
#include "simd/encoder_math.h"

#define UNROLLED static inline __attribute__((always_inline))

enum { LANES = 16 };

UNROLLED lanes lanes_exp2(lanes x, const float *poly, int terms)
{
    x = lanes_max(x, lanes_set(EXP_LEAST));
    lanes t = lanes_add(x, lanes_set(EXP_ROUND));
    lanes f = lanes_sub(x, lanes_sub(t, lanes_set(EXP_ROUND)));
    lanes p = lanes_set(poly[0]);
    UNROLL_LOOP
    for (int i = 1; i < terms; i++)
        p = lanes_fma(p, f, lanes_set(poly[i]));
    return lanes_scale(p, t);
}

/* GELU of y[0 .. count) in place, count <= 8: several polynomials side by side hide the latency of each chain. */
UNROLLED void gelu_tile(lanes *y, size_t count)
{
    lanes a[8], p[8];
    UNROLL_LOOP
    for (size_t i = 0; i < count; i++) {
        a[i] = lanes_minus_abs(y[i]);
        p[i] = lanes_set(gelu_poly[0]);
    }
    UNROLL_LOOP
    for (int t = 1; t < GELU_POLY_TERMS; t++) {
        lanes c = lanes_set(gelu_poly[t]);
        UNROLL_LOOP
        for (size_t i = 0; i < count; i++)
            p[i] = lanes_fma(p[i], a[i], c);
    }
    UNROLL_LOOP
    for (size_t i = 0; i < count; i++) {
        p[i] = lanes_max(p[i], lanes_set(0.0f));
        p[i] = lanes_mul(p[i], p[i]);
        y[i] = lanes_fma(a[i], lanes_mul(p[i], p[i]), lanes_max(y[i], lanes_set(0.0f)));
    }
}

/* Applies GELU to `columns` (a multiple of 64) floats in place. */
static inline void gelu_row(float *row, size_t columns)
{
    for (size_t c = 0; c < columns; c += 4 * LANES) {
        lanes y[4] = {lanes_load(row + c), lanes_load(row + c + 16), lanes_load(row + c + 32),
                      lanes_load(row + c + 48)};
        gelu_tile(y, 4);
        for (int i = 0; i < 4; i++)
            lanes_store(row + c + i * LANES, y[i]);
    }
}

/* Returns the least and the greatest value of a row. Two chains of operations for each bound hide latency. The order of
 * the comparisons could change only the sign of a zero, and adding 0 turns -0 into 0. */
static struct float_range row_range(const float *x, size_t dim)
{
    size_t whole = dim / LANES * LANES, part = dim - whole, i = 0;
    lanes least = lanes_set(INFINITY), most = lanes_set(-INFINITY), least2 = least, most2 = most;
    for (; i + 2 * LANES <= whole; i += 2 * LANES) {
        lanes v = lanes_load(x + i), v2 = lanes_load(x + i + LANES);
        least = lanes_min(v, least);
        most = lanes_max(v, most);
        least2 = lanes_min(v2, least2);
        most2 = lanes_max(v2, most2);
    }
    if (i < whole) {
        least = lanes_min(lanes_load(x + i), least);
        most = lanes_max(lanes_load(x + i), most);
    }
    if (part > 0) {
        least2 = lanes_min(lanes_load_part(x + whole, part, INFINITY), least2);
        most2 = lanes_max(lanes_load_part(x + whole, part, -INFINITY), most2);
    }
    return (struct float_range){lanes_min_of(lanes_min(least2, least)) + 0.0f,
                                lanes_max_of(lanes_max(most2, most)) + 0.0f};
}

static float quantize_row(const float *x, size_t dim, struct float_range range, uint8_t *q)
{
    size_t whole = dim / LANES * LANES, part = dim - whole;
    float width = range.most - range.least;
    lanes inverse = lanes_set(width > QUANTIZE_LEAST_RANGE ? QUANTIZE_LEVELS / width : 0.0f),
          low = lanes_set(range.least);
    for (size_t i = 0; i < whole; i += LANES)
        lanes_store_rounded(q + i, lanes_mul(lanes_sub(lanes_load(x + i), low), inverse));
    if (part > 0) {
        uint8_t bytes[LANES];
        lanes_store_rounded(bytes, lanes_mul(lanes_sub(lanes_load_part(x + whole, part, 0.0f), low), inverse));
        memcpy(q + whole, bytes, part);
    }
    return width * QUANTIZE_STEP;
}

static void add_layer_norm(const float *x, const float *unscale, const float *y, const float *gamma,
                           const float *beta, float epsilon, size_t dim, float *out)
{
    size_t whole = dim / LANES * LANES, part = dim - whole;
    lanes sum = lanes_set(0.0f);
    for (size_t i = 0; i < whole; i += LANES) {
        lanes v = lanes_load(x + i);
        if (y != NULL)
            v = unscale == NULL ? lanes_add(v, lanes_load(y + i))
                                : lanes_fma(v, lanes_load(unscale + i), lanes_load(y + i));
        sum = lanes_add(sum, v);
        lanes_store(out + i, v);
    }
    if (part > 0) {
        lanes v = lanes_load_part(x + whole, part, 0.0f);
        if (y != NULL) {
            lanes other = lanes_load_part(y + whole, part, 0.0f);
            v = unscale == NULL ? lanes_add(v, other)
                                : lanes_fma(v, lanes_load_part(unscale + whole, part, 0.0f), other);
        }
        sum = lanes_add(sum, v);
        lanes_store_part(out + whole, part, v);
    }
    float mean = lanes_sum(sum) / (float)dim;
    lanes mean_of = lanes_set(mean), squares = lanes_set(0.0f);
    for (size_t i = 0; i < whole; i += LANES) {
        lanes v = lanes_sub(lanes_load(out + i), mean_of);
        squares = lanes_fma(v, v, squares);
        lanes_store(out + i, v);
    }
    if (part > 0) {
        lanes v = lanes_sub(lanes_load_part(out + whole, part, mean), mean_of);
        squares = lanes_fma(v, v, squares);
        lanes_store_part(out + whole, part, v);
    }
    lanes inverse = lanes_set(1.0f / sqrtf(lanes_sum(squares) / (float)dim + epsilon));
    for (size_t i = 0; i < whole; i += LANES)
        lanes_store(out + i, lanes_fma(lanes_mul(lanes_load(out + i), inverse), lanes_load(gamma + i),
                                       lanes_load(beta + i)));
    if (part > 0)
        lanes_store_part(out + whole, part,
                         lanes_fma(lanes_mul(lanes_load_part(out + whole, part, 0.0f), inverse),
                                   lanes_load_part(gamma + whole, part, 0.0f),
                                   lanes_load_part(beta + whole, part, 0.0f)));
}

static void add_int8_row(const int8_t *q, float scale, const float *base, size_t dim, float *out)
{
    size_t whole = dim / LANES * LANES;
    lanes s = lanes_set(scale);
    for (size_t i = 0; i < whole; i += LANES)
        lanes_store(out + i, lanes_fma(lanes_from_int8(q + i), s, lanes_load(base + i)));
    for (size_t i = whole; i < dim; i++)
        out[i] = fmaf((float)q[i], scale, base[i]);
}

/* Computes one tile: `rows` x TILE_LANES groups of 16 columns, adding in rising k. Meanwhile prefetches the
 * weights `ahead` into the L2 cache, `lines` cache lines per step of k. */
UNROLLED void linear_tile(const float *x, size_t x_stride, size_t rows, const float *w, size_t k,
                          const float *bias, const float *ahead, size_t lines, float *out, size_t out_stride)
{
    lanes acc[TILE_ROWS][TILE_LANES];
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < TILE_LANES; c++)
            acc[r][c] = lanes_load(bias + c * LANES);
    }
    for (size_t i = 0; i < k; i++) {
        lanes column[TILE_LANES];
        UNROLL_LOOP
        for (size_t c = 0; c < TILE_LANES; c++)
            column[c] = lanes_load(w + i * ENCODER_BLOCK_N + c * LANES);
        for (size_t l = 0; l < lines; l++, ahead += LANES)
            __builtin_prefetch(ahead, 0, 2);
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++) {
            lanes a = lanes_set(x[r * x_stride + i]);
            UNROLL_LOOP
            for (size_t c = 0; c < TILE_LANES; c++)
                acc[r][c] = lanes_fma(a, column[c], acc[r][c]);
        }
    }
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < TILE_LANES; c++)
            lanes_store(out + r * out_stride + c * LANES, acc[r][c]);
    }
}

/* Computes one of `tiles` groups of rows over a panel. The first groups prefetch the next panel. */
UNROLLED void linear_panel(const float *x, size_t x_stride, size_t rows, size_t tile, size_t tiles,
                           const struct fp32_linear *layer, size_t panel, enum encoder_activation act, float *out,
                           size_t out_stride)
{
    enum { GROUPS = ENCODER_BLOCK_N / LANES };
    const float *w = layer->w + panel * ENCODER_BLOCK_N * layer->k, *bias = layer->bias + panel * ENCODER_BLOCK_N;
    const float *ahead = w + ENCODER_BLOCK_N * layer->k;
    size_t calls = tiles * GROUPS / TILE_LANES, call = tile * (GROUPS / TILE_LANES);
    out += panel * ENCODER_BLOCK_N;
    for (size_t c = 0; c < GROUPS; c += TILE_LANES, call++) {
        size_t share = calls < GROUPS ? (GROUPS + calls - 1) / calls : call < GROUPS ? 1 : 0;
        linear_tile(x, x_stride, rows, w + c * LANES, layer->k, bias + c * LANES,
                    ahead + call * share * LANES * layer->k, share, out + c * LANES, out_stride);
    }
    if (act == ENCODER_GELU)
        for (size_t r = 0; r < rows; r++)
            gelu_row(out + r * out_stride, ENCODER_BLOCK_N);
}

/* Spreads rows evenly over tiles: a tile of few rows would spend its time waiting for weights from memory. */
static void linear_fp32(const float *x, size_t x_stride, size_t rows, const struct fp32_linear *layer,
                        size_t panel_begin, size_t panel_end, enum encoder_activation act, float *out,
                        size_t out_stride)
{
    size_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    _Static_assert(TILE_ROWS == 5 || TILE_ROWS == 6, "the switch below has a case for each number of rows");
    for (size_t panel = panel_begin; panel < panel_end; panel++)
        for (size_t tile = 0, r = 0; tile < tiles; tile++) {
            size_t take = (rows - r + tiles - tile - 1) / (tiles - tile);
            const float *from = x + r * x_stride;
            float *to = out + r * out_stride;
            switch (take) {
            case TILE_ROWS:
                linear_panel(from, x_stride, TILE_ROWS, tile, tiles, layer, panel, act, to, out_stride);
                break;
            case TILE_ROWS - 1:
                linear_panel(from, x_stride, TILE_ROWS - 1, tile, tiles, layer, panel, act, to, out_stride);
                break;
            case TILE_ROWS - 2:
                linear_panel(from, x_stride, TILE_ROWS - 2, tile, tiles, layer, panel, act, to, out_stride);
                break;
            case TILE_ROWS - 3:
                linear_panel(from, x_stride, TILE_ROWS - 3, tile, tiles, layer, panel, act, to, out_stride);
                break;
            case 1: linear_panel(from, x_stride, 1, tile, tiles, layer, panel, act, to, out_stride); break;
            default: linear_panel(from, x_stride, 2, tile, tiles, layer, panel, act, to, out_stride); break;
            }
            r += take;
        }
}

static void mean_rows(const float *x, size_t stride, size_t rows, size_t dim, float *out)
{
    for (size_t i = 0; i < dim; i += LANES) {
        size_t width = dim - i < LANES ? dim - i : LANES;
        lanes sum = lanes_set(0.0f);
        for (size_t r = 0; r < rows; r++)
            sum = lanes_add(sum, width == LANES ? lanes_load(x + r * stride + i)
                                                : lanes_load_part(x + r * stride + i, width, 0.0f));
        sum = lanes_div(sum, lanes_set((float)rows));
        if (width == LANES)
            lanes_store(out + i, sum);
        else
            lanes_store_part(out + i, width, sum);
    }
}

static void normalize_l2(float *x, size_t dim)
{
    size_t whole = dim / LANES * LANES, part = dim - whole;
    lanes squares = lanes_set(0.0f);
    for (size_t i = 0; i < whole; i += LANES)
        squares = lanes_fma(lanes_load(x + i), lanes_load(x + i), squares);
    if (part > 0) {
        lanes v = lanes_load_part(x + whole, part, 0.0f);
        squares = lanes_fma(v, v, squares);
    }
    float norm = sqrtf(lanes_sum(squares));
    norm = norm > NORM_LEAST ? norm : NORM_LEAST;
    for (size_t i = 0; i < whole; i += LANES)
        lanes_store(x + i, lanes_div(lanes_load(x + i), lanes_set(norm)));
    if (part > 0)
        lanes_store_part(x + whole, part, lanes_div(lanes_load_part(x + whole, part, 0.0f), lanes_set(norm)));
}

#include "simd/attention_lanes.h"

/* The kernels of one instruction set's table, without the int8 product. */
#define LANES_KERNELS                                                                                           \
    .linear_fp32 = linear_fp32, .range = row_range, .quantize = quantize_row, .add_layer_norm = add_layer_norm, \
    .add_int8_row = add_int8_row, .attention = attention_fp32, .attention_int16 = attention_int16,              \
    .mean_rows = mean_rows, .normalize = normalize_l2

#endif
