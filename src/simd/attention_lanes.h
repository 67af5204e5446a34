/* simd/attention_lanes.h: attention over sixteen lanes, in fp32 and in integers.
 *
 * A part of encoder_lanes.h. Computes sixteen queries at a time, one in each lane. So scores lie as
 * weights[key][query], and maximum, exp and the sum over keys need no step across lanes. These weights (64
 * bytes per key) stay in the L1 cache. In the sums over values, a lane is a dimension of the head.
 *
 * In integers a lane holds a pair of 16-bit numbers, and one instruction adds the products of two pairs. A pair
 * of queries or keys is two dimensions, 16 apart. A pair of weights or values is two keys. The sums are exact,
 * so any pairing gives equal results.
 */
#ifndef SIMD_ATTENTION_LANES_H
#define SIMD_ATTENTION_LANES_H

#include "simd/encoder_lanes.h"

UNROLLED lanes as_float(bool integers, lanes sum)
{
    return integers ? lanes_from_products(sum) : sum;
}

/* out[d * out_stride + i] = from[i * stride + d] for 16 rows i; rows from `held` on count as zeros. */
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

/* weights[j][i] = k[j] . q[i] for 16 queries and `count` keys from `keys` on, of which `held` exist. Updates
 * `most`, the greatest scores so far in four independent registers, with the keys that exist. */
UNROLLED void score_tile(bool integers, const float *queries, const float *keys, size_t columns, size_t depth,
                         size_t count, size_t held, lanes most[4], float *weights)
{
    lanes acc[SCORE_KEYS];
    UNROLL_LOOP
    for (size_t j = 0; j < count; j++)
        acc[j] = lanes_set(0.0f);
    for (; depth > 0; keys += columns * LANES) {
        size_t part = depth < LANES ? depth : LANES;
        for (size_t d = 0; d < part; d++) {
            lanes q = lanes_load(queries + d * LANES);
            UNROLL_LOOP
            for (size_t j = 0; j < count; j++) {
                const float *key = keys + j * LANES + d;
                acc[j] = integers ? lanes_add_products_of(key, q, acc[j]) : lanes_fma(lanes_set(*key), q, acc[j]);
            }
        }
        queries += part * LANES;
        depth -= part;
    }
    UNROLL_LOOP
    for (size_t j = 0; j < count; j++) {
        acc[j] = as_float(integers, acc[j]);
        lanes_store(weights + j * LANES, acc[j]);
        if (j < held)
            most[j % 4] = lanes_max(acc[j], most[j % 4]);
    }
}

/* Computes the scores of 16 queries against all keys, then e^(score - max). Returns the sums over keys. */
UNROLLED lanes softmax_scores(bool integers, const float *queries, const float *keys, size_t tokens,
                              size_t columns, size_t depth, float scale, float *weights)
{
    lanes least = lanes_set(-INFINITY), most[4] = {least, least, least, least};
    lanes sum = lanes_set(0.0f), factor = lanes_set(scale);
    size_t j = 0;
    for (; j + SCORE_KEYS <= tokens; j += SCORE_KEYS)
        score_tile(integers, queries, keys + j * LANES, columns, depth, SCORE_KEYS, SCORE_KEYS, most,
                   weights + j * LANES);
    for (; j < tokens; j += SCORE_KEYS_FEW)
        score_tile(integers, queries, keys + j * LANES, columns, depth, SCORE_KEYS_FEW, tokens - j, most,
                   weights + j * LANES);
    lanes max = lanes_max(lanes_max(most[0], most[1]), lanes_max(most[2], most[3]));
    lanes base = lanes_sub(lanes_set(-0.0f), lanes_mul(max, factor));
    for (j = 0; j < tokens; j++) {
        lanes x = lanes_fma(lanes_load(weights + j * LANES), factor, base);
        lanes weight =
            integers ? lanes_exp2(x, exp_short, EXP_SHORT_TERMS) : lanes_exp2(x, exp_poly, EXP_POLY_TERMS);
        lanes_store(weights + j * LANES, weight);
        sum = lanes_add(sum, weight);
    }
    return sum;
}

/* Computes out[i][0 .. width) = factor[i] * sum over j of weights[j][i] * values[j][0 .. width), for `rows`
 * queries i, `steps` steps j, and `groups` times 16 columns. Only the first `held` queries exist, and the last
 * 16 columns may be partial. */
UNROLLED void value_tile(bool integers, size_t rows, size_t held, size_t groups, size_t width,
                         const float *weights, const float *values, size_t dim, size_t steps, const float *factor,
                         float *out, size_t out_stride)
{
    lanes acc[VALUE_ROWS][VALUE_LANES];
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < groups; c++)
            acc[r][c] = lanes_set(0.0f);
    }
    for (size_t j = 0; j < steps; j++) {
        lanes v[VALUE_LANES];
        UNROLL_LOOP
        for (size_t c = 0; c < groups; c++)
            v[c] = lanes_load(values + j * dim + c * LANES);
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++) {
            lanes w = lanes_set(weights[j * LANES + r]);
            UNROLL_LOOP
            for (size_t c = 0; c < groups; c++)
                acc[r][c] = integers ? lanes_add_products(w, v[c], acc[r][c]) : lanes_fma(w, v[c], acc[r][c]);
        }
    }
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < groups; c++) {
            lanes y = lanes_mul(as_float(integers, acc[r][c]), lanes_set(factor[r]));
            if (r < held && width >= (c + 1) * LANES)
                lanes_store(out + r * out_stride + c * LANES, y);
            else if (r < held)
                lanes_store_part(out + r * out_stride + c * LANES, width - c * LANES, y);
        }
    }
}

/* Computes the outputs of `held` <= 16 queries. */
UNROLLED void gather_values(bool integers, const struct attention_head *head, size_t held, const float *weights,
                            const float *values, size_t dim, size_t steps, const float *factor, float *out)
{
    for (size_t d = 0; d < dim;) {
        size_t width = head->head_dim - d, groups = dim - d >= VALUE_LANES * LANES ? VALUE_LANES : 1;
        for (size_t r = 0; r < held;) {
            bool many = held - r > VALUE_ROWS_FEW;
            const float *w = weights + r, *v = values + d, *f = factor + r;
            float *to = out + r * head->out_stride + d;
            if (many && groups == VALUE_LANES)
                value_tile(integers, VALUE_ROWS, held - r, VALUE_LANES, width, w, v, dim, steps, f, to,
                           head->out_stride);
            else if (many)
                value_tile(integers, VALUE_ROWS, held - r, 1, width, w, v, dim, steps, f, to, head->out_stride);
            else if (groups == VALUE_LANES)
                value_tile(integers, VALUE_ROWS_FEW, held - r, VALUE_LANES, width, w, v, dim, steps, f, to,
                           head->out_stride);
            else
                value_tile(integers, VALUE_ROWS_FEW, held - r, 1, width, w, v, dim, steps, f, to,
                           head->out_stride);
            r += many ? VALUE_ROWS : VALUE_ROWS_FEW;
        }
        d += groups * LANES;
    }
}

/* The parts of a head's scratch. `dim` is the head's width and `columns` the number of tokens, both rounded up
 * to a multiple of 16. */
struct attention_layout {
    size_t dim, columns;
    float *keys;    /* [dim / 16][columns][16] */
    float *values;  /* [tokens][dim], zeros past the head's width */
    float *queries; /* [dim][16]: transposed */
    float *packed;  /* [16][dim]: rows of integers, before transposing */
    float *weights; /* [columns][16] */
};

static inline struct attention_layout attention_layout(const struct attention_head *head)
{
    size_t tokens = head->tokens, columns = (tokens + LANES - 1) / LANES * LANES;
    size_t dim = (head->head_dim + LANES - 1) / LANES * LANES;
    float *values = head->scratch + dim * columns, *queries = values + tokens * dim;
    return (struct attention_layout){.dim = dim,
                                     .columns = columns,
                                     .keys = head->scratch,
                                     .values = values,
                                     .queries = queries,
                                     .packed = queries + LANES * dim,
                                     .weights = queries + 2 * LANES * dim};
}

UNROLLED lanes load_columns(const float *row, size_t d, size_t width)
{
    if (d + LANES <= width)
        return lanes_load(row + d);
    return d < width ? lanes_load_part(row + d, width - d, 0.0f) : lanes_set(0.0f);
}

/* ---- in fp32 ---- */

static void attention_fp32(const struct attention_head *head)
{
    const struct attention_layout at = attention_layout(head);
    size_t tokens = head->tokens, depth = head->head_dim;
    for (size_t d = 0; d < at.dim; d += LANES)
        for (size_t j = 0; j < tokens; j++)
            lanes_store(at.keys + (d / LANES * at.columns + j) * LANES,
                        load_columns(head->k + j * head->stride, d, depth));
    for (size_t j = 0; j < tokens; j++)
        for (size_t d = 0; d < at.dim; d += LANES)
            lanes_store(at.values + j * at.dim + d, load_columns(head->v + j * head->stride, d, depth));
    for (size_t i = 0; i < tokens; i += LANES) {
        float inverse[LANES];
        size_t held = tokens - i < LANES ? tokens - i : LANES;
        transpose_rows(head->q + i * head->stride, head->stride, held, depth, at.queries, LANES);
        lanes sum = softmax_scores(false, at.queries, at.keys, tokens, at.columns, depth, head->scale * EXP_LOG2E,
                                   at.weights);
        lanes_store(inverse, lanes_div(lanes_set(1.0f), sum));
        gather_values(false, head, held, at.weights, at.values, at.dim, tokens, inverse,
                      head->out + i * head->out_stride);
    }
}

/* ---- in integers ---- */

/* The rounding of a head's queries, keys or values to integers. */
struct integer_scale {
    float step, inverse, bound;
};

static struct integer_scale integer_scale(lanes least, float bound)
{
    float step = attention_step(-lanes_min_of(least), bound);
    return (struct integer_scale){step, step > 0.0f ? 1.0f / step : 0.0f, bound};
}

static void integer_scales(const struct attention_head *head, struct integer_scale *q, struct integer_scale *k,
                           struct integer_scale *v)
{
    lanes q_least = lanes_set(0.0f), k_least = q_least, v_least = q_least; /* the least -|x| */
    float bound = attention_bound(head->head_dim);
    for (size_t d = 0; d < head->head_dim; d += LANES)
        for (size_t j = 0; j < head->tokens; j++) {
            size_t row = j * head->stride;
            q_least = lanes_min(lanes_minus_abs(load_columns(head->q + row, d, head->head_dim)), q_least);
            k_least = lanes_min(lanes_minus_abs(load_columns(head->k + row, d, head->head_dim)), k_least);
            v_least = lanes_min(lanes_minus_abs(load_columns(head->v + row, d, head->head_dim)), v_least);
        }
    *q = integer_scale(q_least, bound);
    *k = integer_scale(k_least, bound);
    *v = integer_scale(v_least, ATTENTION_INT16);
}

/* Returns EXP_ROUND plus the nearest integers, which lie in the low 16 bits. NaN becomes the least integer. */
UNROLLED lanes to_integers(lanes x, const struct integer_scale *scale)
{
    lanes t = lanes_fma(x, lanes_set(scale->inverse), lanes_set(EXP_ROUND));
    return lanes_max(t, lanes_set(EXP_ROUND - scale->bound));
}

/* Returns the w-th sixteen lanes, 32 integers, of a query or a key. */
UNROLLED lanes pack_columns(const float *row, size_t w, size_t width, const struct integer_scale *scale)
{
    size_t d = w * 2 * LANES;
    return lanes_integers(to_integers(load_columns(row, d, width), scale),
                          to_integers(load_columns(row, d + LANES, width), scale));
}

static void pack_values(const struct attention_head *head, const struct integer_scale *scale, size_t dim,
                        float *values)
{
    for (size_t j = 0; j < head->tokens; j += 2)
        for (size_t d = 0; d < dim; d += LANES, values += LANES) {
            const float *row = head->v + j * head->stride;
            lanes next =
                j + 1 < head->tokens ? load_columns(row + head->stride, d, head->head_dim) : lanes_set(0.0f);
            lanes_store(values, lanes_integers(to_integers(load_columns(row, d, head->head_dim), scale),
                                               to_integers(next, scale)));
        }
}

/* Divides weights by their sums, and turns them into integers, in place. */
static void pack_weights(float *weights, size_t tokens, lanes sum)
{
    lanes scale = lanes_div(lanes_set(ATTENTION_WEIGHTS), sum), round = lanes_set(EXP_ROUND);
    float *out = weights;
    for (size_t j = 0; j < tokens; j += 2, out += LANES) {
        const float *w = weights + j * LANES;
        lanes next = j + 1 < tokens ? lanes_fma(lanes_load(w + LANES), scale, round) : round;
        lanes_store(out, lanes_integers(lanes_fma(lanes_load(w), scale, round), next));
    }
}

static void attention_int16(const struct attention_head *head)
{
    const struct attention_layout at = attention_layout(head);
    size_t tokens = head->tokens, depth = head->head_dim;
    struct integer_scale q, k, v;
    integer_scales(head, &q, &k, &v);
    float factors[LANES], factor = attention_factor(head->scale, q.step, k.step);
    lanes_store(factors, lanes_set(v.step / ATTENTION_WEIGHTS));
    size_t packed = (depth + 2 * LANES - 1) / (2 * LANES); /* registers of sixteen lanes in a row */
    for (size_t w = 0; w < packed; w++)
        for (size_t j = 0; j < tokens; j++)
            lanes_store(at.keys + (w * at.columns + j) * LANES,
                        pack_columns(head->k + j * head->stride, w, depth, &k));
    pack_values(head, &v, at.dim, at.values);
    for (size_t i = 0; i < tokens; i += LANES) {
        size_t held = tokens - i < LANES ? tokens - i : LANES;
        for (size_t r = 0; r < held; r++)
            for (size_t w = 0; w < packed; w++)
                lanes_store(at.packed + (r * packed + w) * LANES,
                            pack_columns(head->q + (i + r) * head->stride, w, depth, &q));
        transpose_rows(at.packed, packed * LANES, held, packed * LANES, at.queries, LANES);
        pack_weights(
            at.weights, tokens,
            softmax_scores(true, at.queries, at.keys, tokens, at.columns, packed * LANES, factor, at.weights));
        gather_values(true, head, held, at.weights, at.values, at.dim, (tokens + 1) / 2, factors,
                      head->out + i * head->out_stride);
    }
}

#endif
