/* simd/encoder_lanes.h: the encoder's fp32 kernels over sixteen lanes.
 *
 * Included by one file per instruction set, after the header that defines `lanes`, its operations, and the
 * register tile TILE_ROWS x TILE_LANES. The arithmetic and its order are those of encoder_scalar.c; what is
 * tuned here is only what stays in registers. Tiles call inline functions with constant row counts, so that
 * the compiler unrolls them and keeps the accumulators in registers.
 */
#ifndef SIMD_ENCODER_LANES_H
#define SIMD_ENCODER_LANES_H

#include <math.h>
#include <string.h>

#include "simd/encoder.h"
#include "simd/encoder_math.h"

#define UNROLLED static inline __attribute__((always_inline))

enum { LANES = 16 };

UNROLLED lanes lanes_exp(lanes x)
{
    x = lanes_max(x, lanes_set(EXP_LEAST));
    lanes t = lanes_fma(x, lanes_set(EXP_LOG2E), lanes_set(EXP_ROUND));
    lanes n = lanes_sub(t, lanes_set(EXP_ROUND));
    lanes r = lanes_fma(n, lanes_set(-EXP_LN2_HIGH), x);
    r = lanes_fma(n, lanes_set(-EXP_LN2_LOW), r);
    lanes p = lanes_set(exp_poly[0]);
    UNROLL_LOOP
    for (int i = 1; i < EXP_POLY_TERMS; i++)
        p = lanes_fma(p, r, lanes_set(exp_poly[i]));
    return lanes_scale(p, t);
}

/* GELU of y[0 .. count) in place, count <= 8: several polynomials side by side hide the latency of each
 * one's chain. */
UNROLLED void gelu_tile(lanes *y, size_t count)
{
    lanes u[8], p[8];
    UNROLL_LOOP
    for (size_t i = 0; i < count; i++) {
        lanes a = lanes_min(lanes_abs(y[i]), lanes_set(GELU_SATURATED));
        u[i] = lanes_fma(a, lanes_set(GELU_TO_UNIT), lanes_set(-1.0f));
        p[i] = lanes_set(gelu_poly[0]);
    }
    UNROLL_LOOP
    for (int t = 1; t < GELU_POLY_TERMS; t++) {
        lanes c = lanes_set(gelu_poly[t]);
        UNROLL_LOOP
        for (size_t i = 0; i < count; i++)
            p[i] = lanes_fma(p[i], u[i], c);
    }
    UNROLL_LOOP
    for (size_t i = 0; i < count; i++) {
        lanes half = lanes_mul(lanes_set(0.5f), y[i]);
        y[i] = lanes_fma(half, lanes_copysign(p[i], y[i]), half);
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

/* (x - low) * inverse, within [0, 255], rounded into the low byte of each lane. */
UNROLLED lanes quantize_lanes(lanes x, lanes low, lanes inverse)
{
    lanes v = lanes_max(lanes_mul(lanes_sub(x, low), inverse), lanes_set(0.0f));
    return lanes_add(lanes_min(v, lanes_set(255.0f)), lanes_set(EXP_ROUND));
}

static void quantize_row(const float *x, size_t dim, uint8_t *q, float *scale, float *low)
{
    size_t whole = dim / LANES * LANES, part = dim - whole;
    /* Two chains each: least and most do not depend on the order (a zero's sign is cleared below). */
    lanes least = lanes_set(INFINITY), most = lanes_set(-INFINITY), least2 = least, most2 = most;
    size_t i = 0;
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
    least = lanes_min(least2, least);
    most = lanes_max(most2, most);
    *low = lanes_min_of(least) + 0.0f;
    float range = lanes_max_of(most) - *low;
    *scale = range * QUANTIZE_STEP;
    lanes inverse = lanes_set(range > QUANTIZE_LEAST_RANGE ? 255.0f / range : 0.0f), base = lanes_set(*low);
    for (i = 0; i < whole; i += LANES)
        lanes_store_low_bytes(q + i, quantize_lanes(lanes_load(x + i), base, inverse));
    if (part > 0) {
        uint8_t bytes[LANES];
        lanes_store_low_bytes(bytes, quantize_lanes(lanes_load_part(x + i, part, 0.0f), base, inverse));
        memcpy(q + i, bytes, part);
    }
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

/* One tile of `rows` x `groups` of 16 columns: acc += a[row][k] * b[k][column], in rising k. */
UNROLLED void tile_multiply(lanes acc[TILE_ROWS][TILE_LANES], size_t rows, size_t groups, const float *a,
                            size_t a_stride, const float *b, size_t b_stride, size_t depth)
{
    for (size_t k = 0; k < depth; k++) {
        lanes column[TILE_LANES];
        UNROLL_LOOP
        for (size_t c = 0; c < groups; c++)
            column[c] = lanes_load(b + k * b_stride + c * LANES);
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++) {
            lanes x = lanes_set(a[r * a_stride + k]);
            UNROLL_LOOP
            for (size_t c = 0; c < groups; c++)
                acc[r][c] = lanes_fma(x, column[c], acc[r][c]);
        }
    }
}

UNROLLED void linear_tile(const float *x, size_t x_stride, size_t rows, const float *w, size_t k,
                          const float *bias, float *out, size_t out_stride)
{
    lanes acc[TILE_ROWS][TILE_LANES];
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < TILE_LANES; c++)
            acc[r][c] = lanes_load(bias + c * LANES);
    }
    tile_multiply(acc, rows, TILE_LANES, x, x_stride, w, ENCODER_BLOCK_N, k);
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < TILE_LANES; c++)
            lanes_store(out + r * out_stride + c * LANES, acc[r][c]);
    }
}

static void linear_fp32(const float *x, size_t x_stride, size_t rows, const struct fp32_linear *layer,
                        size_t panel_begin, size_t panel_end, enum encoder_activation act, float *out,
                        size_t out_stride)
{
    for (size_t panel = panel_begin; panel < panel_end; panel++)
        for (size_t r = 0; r < rows;) {
            size_t first = r;
            for (size_t c = 0; c < ENCODER_BLOCK_N; c += TILE_LANES * LANES) {
                const float *w = layer->w + panel * ENCODER_BLOCK_N * layer->k + c;
                const float *bias = layer->bias + panel * ENCODER_BLOCK_N + c;
                float *to = out + first * out_stride + panel * ENCODER_BLOCK_N + c;
                const float *from = x + first * x_stride;
                if (rows - first >= TILE_ROWS) {
                    linear_tile(from, x_stride, TILE_ROWS, w, layer->k, bias, to, out_stride);
                    r = first + TILE_ROWS;
                } else if (rows - first >= 2) {
                    linear_tile(from, x_stride, 2, w, layer->k, bias, to, out_stride);
                    r = first + 2;
                } else {
                    linear_tile(from, x_stride, 1, w, layer->k, bias, to, out_stride);
                    r = first + 1;
                }
            }
            if (act == ENCODER_GELU)
                for (; first < r; first++)
                    gelu_row(out + first * out_stride + panel * ENCODER_BLOCK_N, ENCODER_BLOCK_N);
        }
}

/* scores[r][j] = q[r] . k[j] for `rows` queries and `groups` of 16 keys. */
UNROLLED void score_tile(const struct attention_head *head, size_t rows, size_t groups, const float *q,
                         const float *keys, size_t columns, float *scores)
{
    lanes acc[TILE_ROWS][TILE_LANES];
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < groups; c++)
            acc[r][c] = lanes_set(0.0f);
    }
    tile_multiply(acc, rows, groups, q, head->stride, keys, columns, head->head_dim);
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < groups; c++)
            lanes_store(scores + r * columns + c * LANES, acc[r][c]);
    }
}

/* The same for all columns of the transposed keys. */
UNROLLED void score_rows(const struct attention_head *head, size_t rows, const float *q, const float *keys,
                         size_t columns, float *scores)
{
    size_t j = 0;
    for (; j + TILE_LANES * LANES <= columns; j += TILE_LANES * LANES)
        score_tile(head, rows, TILE_LANES, q, keys + j, columns, scores + j);
    for (; TILE_LANES > 2 && j + 2 * LANES <= columns; j += 2 * LANES)
        score_tile(head, rows, 2, q, keys + j, columns, scores + j);
    for (; j < columns; j += LANES)
        score_tile(head, rows, 1, q, keys + j, columns, scores + j);
}

/* score[j] = exp((score[j] - max) * scale); answers 1 / their sum. */
static inline float softmax_row(float *score, size_t count, float scale)
{
    size_t whole = count / LANES * LANES, part = count - whole;
    lanes most = lanes_set(-INFINITY);
    for (size_t j = 0; j < whole; j += LANES)
        most = lanes_max(lanes_load(score + j), most);
    if (part > 0)
        most = lanes_max(lanes_load_part(score + whole, part, -INFINITY), most);
    lanes max = lanes_set(lanes_max_of(most)), factor = lanes_set(scale), sum = lanes_set(0.0f);
    for (size_t j = 0; j < whole; j += LANES) {
        lanes e = lanes_exp(lanes_mul(lanes_sub(lanes_load(score + j), max), factor));
        lanes_store(score + j, e);
        sum = lanes_add(sum, e);
    }
    if (part > 0) {
        lanes e = lanes_exp(lanes_mul(lanes_sub(lanes_load_part(score + whole, part, 0.0f), max), factor));
        lanes_store_part(score + whole, part, e);
        sum = lanes_add(sum, lanes_load_part(score + whole, part, 0.0f));
    }
    return 1.0f / lanes_sum(sum);
}

/* out[r][0..16 groups) = inverse[r] * sum over j of score[r][j] * v[j][0..16 groups); of the last 16 columns
 * only `width` are stored. */
UNROLLED void value_tile(size_t rows, size_t groups, const float *scores, size_t columns, const float *values,
                         size_t dim, size_t tokens, const float *inverse, float *out, size_t out_stride,
                         size_t width)
{
    lanes acc[TILE_ROWS][2];
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < groups; c++)
            acc[r][c] = lanes_set(0.0f);
    }
    for (size_t j = 0; j < tokens; j++) {
        lanes v[2];
        UNROLL_LOOP
        for (size_t c = 0; c < groups; c++)
            v[c] = lanes_load(values + j * dim + c * LANES);
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++) {
            lanes weight = lanes_set(scores[r * columns + j]);
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
            if (c + 1 < groups || width == LANES)
                lanes_store(out + r * out_stride + c * LANES, y);
            else
                lanes_store_part(out + r * out_stride + c * LANES, width, y);
        }
    }
}

/* Columns of scores, and the padded width of a head. */
static inline size_t score_columns(const struct attention_head *head)
{
    return (head->tokens + LANES - 1) / LANES * LANES;
}
static inline size_t value_columns(const struct attention_head *head)
{
    return (head->head_dim + LANES - 1) / LANES * LANES;
}

UNROLLED void attend_rows(const struct attention_head *head, size_t first, size_t rows, const float *keys,
                          const float *values, float *scores)
{
    size_t columns = score_columns(head), dim = value_columns(head), d = 0;
    float inverse[TILE_ROWS], *out = head->out + first * head->out_stride;
    score_rows(head, rows, head->q + first * head->stride, keys, columns, scores);
    for (size_t r = 0; r < rows; r++)
        inverse[r] = softmax_row(scores + r * columns, head->tokens, head->scale);
    for (; TILE_LANES > 1 && d + 2 * LANES <= dim; d += 2 * LANES)
        value_tile(rows, 2, scores, columns, values + d, dim, head->tokens, inverse, out + d, head->out_stride,
                   head->head_dim - d - LANES < LANES ? head->head_dim - d - LANES : LANES);
    for (; d < dim; d += LANES)
        value_tile(rows, 1, scores, columns, values + d, dim, head->tokens, inverse, out + d, head->out_stride,
                   head->head_dim - d < LANES ? head->head_dim - d : LANES);
}

/* keys[d][j] = k[j][d], so that a lane is a key; columns past the last key are zero. */
static void transpose_keys(const struct attention_head *head, float *keys)
{
    size_t columns = score_columns(head), dims = head->head_dim / LANES * LANES;
    for (size_t j = 0; j < columns; j += LANES) {
        size_t held = head->tokens - j < LANES ? head->tokens - j : LANES;
        const float *k = head->k + j * head->stride;
        for (size_t d = 0; d < dims; d += LANES) {
            lanes block[LANES];
            for (size_t i = 0; i < LANES; i++)
                block[i] = i < held ? lanes_load(k + i * head->stride + d) : lanes_set(0.0f);
            lanes_transpose(block);
            for (size_t i = 0; i < LANES; i++)
                lanes_store(keys + (d + i) * columns + j, block[i]);
        }
        for (size_t d = dims; d < head->head_dim; d++)
            for (size_t i = 0; i < LANES; i++)
                keys[d * columns + j + i] = i < held ? k[i * head->stride + d] : 0.0f;
    }
}

static void attention(const struct attention_head *head)
{
    size_t columns = score_columns(head), dim = value_columns(head), tokens = head->tokens;
    float *keys = head->scratch;
    float *values = keys + dim * columns; /* [tokens][dim]: values without the stride of all heads */
    float *scores = values + tokens * dim;
    transpose_keys(head, keys);
    for (size_t j = 0; j < tokens; j++) {
        memcpy(values + j * dim, head->v + j * head->stride, head->head_dim * sizeof *values);
        memset(values + j * dim + head->head_dim, 0, (dim - head->head_dim) * sizeof *values);
    }
    size_t i = 0;
    for (; i + TILE_ROWS <= tokens; i += TILE_ROWS)
        attend_rows(head, i, TILE_ROWS, keys, values, scores);
    if (i < tokens && tokens >= TILE_ROWS) { /* a whole tile over the last rows: some are computed twice */
        attend_rows(head, tokens - TILE_ROWS, TILE_ROWS, keys, values, scores);
        return;
    }
    for (; i < tokens; i++)
        attend_rows(head, i, 1, keys, values, scores);
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

#endif
