/* simd/encoder_lanes.h: the encoder's fp32 kernels over sixteen lanes.
 *
 * Included by one file per instruction set, after the header that defines `lanes`, its operations, and the
 * register tiles. The arithmetic and its order are those of encoder_scalar.c; what is
 * tuned here is only what stays in registers. Tiles call inline functions with constant row counts, so that
 * the compiler unrolls them and keeps the accumulators in registers.
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

UNROLLED lanes lanes_exp2(lanes x)
{
    x = lanes_max(x, lanes_set(EXP_LEAST));
    lanes t = lanes_add(x, lanes_set(EXP_ROUND));
    lanes f = lanes_sub(x, lanes_sub(t, lanes_set(EXP_ROUND)));
    lanes p = lanes_set(exp_poly[0]);
    UNROLL_LOOP
    for (int i = 1; i < EXP_POLY_TERMS; i++)
        p = lanes_fma(p, f, lanes_set(exp_poly[i]));
    return lanes_scale(p, t);
}

/* GELU of y[0 .. count) in place, count <= 8: several polynomials side by side hide the latency of each
 * one's chain. */
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

/* Two chains each: the order of comparisons does not show, for -0 is made 0. */
static struct float_range range(const float *x, size_t dim)
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

static float quantize(const float *x, size_t dim, struct float_range range, uint8_t *q)
{
    size_t whole = dim / LANES * LANES, part = dim - whole;
    float width = range.most - range.least;
    lanes inverse = lanes_set(width > QUANTIZE_LEAST_RANGE ? 255.0f / width : 0.0f), low = lanes_set(range.least);
    for (size_t i = 0; i < whole; i += LANES)
        lanes_store_rounded(q + i, lanes_mul(lanes_sub(lanes_load(x + i), low), inverse));
    if (part > 0) {
        uint8_t bytes[LANES];
        lanes_store_rounded(bytes, lanes_mul(lanes_sub(lanes_load_part(x + whole, part, 0.0f), low), inverse));
        memcpy(q + whole, bytes, part);
    }
    return width * QUANTIZE_STEP;
}

static void add_layer_norm(const float *x, const float *y, const float *gamma, const float *beta, float epsilon,
                           size_t dim, float *out)
{
    size_t whole = dim / LANES * LANES, part = dim - whole;
    lanes sum = lanes_set(0.0f);
    for (size_t i = 0; i < whole; i += LANES) {
        lanes v = lanes_load(x + i);
        if (y != NULL)
            v = lanes_add(v, lanes_load(y + i));
        sum = lanes_add(sum, v);
        lanes_store(out + i, v);
    }
    if (part > 0) {
        lanes v = lanes_load_part(x + whole, part, 0.0f);
        if (y != NULL)
            v = lanes_add(v, lanes_load_part(y + whole, part, 0.0f));
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

/* One tile of `rows` x TILE_LANES groups of 16 columns, in rising k. ahead: weights to be fetched into the L2 cache
 * meanwhile, `lines` cache lines with each step of k. */
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

/* One of `tiles` groups of rows over a panel. The first of them fetch the next panel. */
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

/* Rows are spread over tiles evenly: a tile of few rows waits for its weights. */
static void linear_fp32(const float *x, size_t x_stride, size_t rows, const struct fp32_linear *layer,
                        size_t panel_begin, size_t panel_end, enum encoder_activation act, float *out,
                        size_t out_stride)
{
    size_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    _Static_assert(TILE_ROWS == 5 || TILE_ROWS == 6, "the cases below");
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

/* ---- attention: a lane is a query ----
 *
 * Sixteen queries at a time: their scores lie as weights[key][query], so that the greatest score, exp and the
 * sum over keys are vertical, without a step across lanes; and the block (64 bytes a key) stays in the L1
 * cache. Then the sums over values turn the layout round: a lane is a dimension of the head. */

/* out[d * out_stride + i] = from[i * stride + d] for 16 rows i, of which those from `held` on count as zeros. */
static void transpose_rows(const float *from, size_t stride, size_t held, size_t dims, float *out,
                           size_t out_stride)
{
    size_t d = 0;
    for (; d + LANES <= dims; d += LANES) {
        lanes block[LANES];
        UNROLL_LOOP
        for (size_t i = 0; i < LANES; i++)
            block[i] = i < held ? lanes_load(from + i * stride + d) : lanes_set(0.0f);
        lanes_transpose(block);
        UNROLL_LOOP
        for (size_t i = 0; i < LANES; i++)
            lanes_store(out + (d + i) * out_stride, block[i]);
    }
    for (; d < dims; d++)
        for (size_t i = 0; i < LANES; i++)
            out[d * out_stride + i] = i < held ? from[i * stride + d] : 0.0f;
}

/* weights[j][i] = k[j] . q[i] for `count` keys from `keys` on, of which `held` exist, and 16 queries; keeps the
 * greatest scores of the keys that exist in `most`, four chains of them. */
UNROLLED void score_tile(const float *queries, const float *keys, size_t columns, size_t depth, size_t count,
                         size_t held, lanes most[4], float *weights)
{
    lanes acc[SCORE_KEYS];
    UNROLL_LOOP
    for (size_t j = 0; j < count; j++)
        acc[j] = lanes_set(0.0f);
    for (size_t d = 0; d < depth; d++) {
        lanes q = lanes_load(queries + d * LANES);
        UNROLL_LOOP
        for (size_t j = 0; j < count; j++)
            acc[j] = lanes_fma(lanes_set(keys[d * columns + j]), q, acc[j]);
    }
    UNROLL_LOOP
    for (size_t j = 0; j < count; j++) {
        lanes_store(weights + j * LANES, acc[j]);
        if (j < held)
            most[j % 4] = lanes_max(acc[j], most[j % 4]);
    }
}

/* The scores of 16 queries against all keys, and the weights that softmax makes of them; answers 1 / sum. */
static inline lanes softmax_weights(const float *queries, const float *keys, size_t tokens, size_t columns,
                                    size_t depth, float scale, float *weights)
{
    lanes least = lanes_set(-INFINITY), most[4] = {least, least, least, least};
    lanes sum = lanes_set(0.0f), factor = lanes_set(scale * EXP_LOG2E);
    size_t j = 0;
    for (; j + SCORE_KEYS <= tokens; j += SCORE_KEYS)
        score_tile(queries, keys + j, columns, depth, SCORE_KEYS, SCORE_KEYS, most, weights + j * LANES);
    for (; j < tokens; j += SCORE_KEYS_FEW)
        score_tile(queries, keys + j, columns, depth, SCORE_KEYS_FEW, tokens - j, most, weights + j * LANES);
    lanes max = lanes_max(lanes_max(most[0], most[1]), lanes_max(most[2], most[3]));
    lanes base = lanes_sub(lanes_set(-0.0f), lanes_mul(max, factor));
    for (j = 0; j < tokens; j++) {
        lanes weight = lanes_exp2(lanes_fma(lanes_load(weights + j * LANES), factor, base));
        lanes_store(weights + j * LANES, weight);
        sum = lanes_add(sum, weight);
    }
    return lanes_div(lanes_set(1.0f), sum);
}

/* out[i][0 .. width) = inverse[i] * sum over j of weights[j][i] * values[j][0 .. width) for `rows` queries, of
 * which `held` exist, and `groups` times 16 columns, the last of them perhaps not whole. */
UNROLLED void value_tile(size_t rows, size_t held, size_t groups, size_t width, const float *weights,
                         const float *values, size_t dim, size_t tokens, const float *inverse, float *out,
                         size_t out_stride)
{
    lanes acc[VALUE_ROWS][VALUE_LANES];
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < groups; c++)
            acc[r][c] = lanes_set(0.0f);
    }
    for (size_t j = 0; j < tokens; j++) {
        lanes v[VALUE_LANES];
        UNROLL_LOOP
        for (size_t c = 0; c < groups; c++)
            v[c] = lanes_load(values + j * dim + c * LANES);
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++) {
            lanes weight = lanes_set(weights[j * LANES + r]);
            UNROLL_LOOP
            for (size_t c = 0; c < groups; c++)
                acc[r][c] = lanes_fma(weight, v[c], acc[r][c]);
        }
    }
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < groups; c++) {
            lanes y = lanes_mul(acc[r][c], lanes_set(inverse[r]));
            if (r < held && width >= (c + 1) * LANES)
                lanes_store(out + r * out_stride + c * LANES, y);
            else if (r < held)
                lanes_store_part(out + r * out_stride + c * LANES, width - c * LANES, y);
        }
    }
}

/* The outputs of `held` <= 16 queries. */
static inline void gather_values(const struct attention_head *head, size_t held, const float *weights,
                                 const float *values, size_t dim, const float *inverse, float *out)
{
    for (size_t d = 0; d < dim;) {
        size_t width = head->head_dim - d, groups = dim - d >= VALUE_LANES * LANES ? VALUE_LANES : 1;
        for (size_t r = 0; r < held;) {
            bool many = held - r > VALUE_ROWS_FEW;
            const float *w = weights + r, *v = values + d, *in = inverse + r;
            float *to = out + r * head->out_stride + d;
            if (many && groups == VALUE_LANES)
                value_tile(VALUE_ROWS, held - r, VALUE_LANES, width, w, v, dim, head->tokens, in, to,
                           head->out_stride);
            else if (many)
                value_tile(VALUE_ROWS, held - r, 1, width, w, v, dim, head->tokens, in, to, head->out_stride);
            else if (groups == VALUE_LANES)
                value_tile(VALUE_ROWS_FEW, held - r, VALUE_LANES, width, w, v, dim, head->tokens, in, to,
                           head->out_stride);
            else
                value_tile(VALUE_ROWS_FEW, held - r, 1, width, w, v, dim, head->tokens, in, to, head->out_stride);
            r += many ? VALUE_ROWS : VALUE_ROWS_FEW;
        }
        d += groups * LANES;
    }
}

static void attention(const struct attention_head *head)
{
    size_t tokens = head->tokens, depth = head->head_dim;
    size_t columns = (tokens + LANES - 1) / LANES * LANES, dim = (depth + LANES - 1) / LANES * LANES;
    float *keys = head->scratch;            /* [depth][columns] */
    float *values = keys + dim * columns;   /* [tokens][dim], zeros past the head's width */
    float *queries = values + tokens * dim; /* [depth][16] */
    float *weights = queries + LANES * dim; /* [columns][16] */
    for (size_t j = 0; j < tokens; j += LANES)
        transpose_rows(head->k + j * head->stride, head->stride, tokens - j, depth, keys + j, columns);
    for (size_t j = 0; j < tokens; j++)
        for (size_t d = 0; d < dim; d += LANES) {
            const float *v = head->v + j * head->stride + d;
            lanes_store(values + j * dim + d,
                        d + LANES <= depth ? lanes_load(v) : lanes_load_part(v, depth - d, 0.0f));
        }
    for (size_t i = 0; i < tokens; i += LANES) {
        float inverse[LANES];
        size_t held = tokens - i < LANES ? tokens - i : LANES;
        transpose_rows(head->q + i * head->stride, head->stride, held, depth, queries, LANES);
        lanes_store(inverse, softmax_weights(queries, keys, tokens, columns, depth, head->scale, weights));
        gather_values(head, held, weights, values, dim, inverse, head->out + i * head->out_stride);
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

static void normalize(float *x, size_t dim)
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

/* All but the int8 product, for a set's table. */
#define LANES_KERNELS                                                                                   \
    .linear_fp32 = linear_fp32, .range = range, .quantize = quantize, .add_layer_norm = add_layer_norm, \
    .add_int8_row = add_int8_row, .attention = attention, .mean_rows = mean_rows, .normalize = normalize

#endif
