/* encoder_scalar.c: the encoder's kernels in plain C: their explanation, and the oracle of their tests.
 *
 * Every other instruction set must reproduce these bits. Therefore the order of each sum is part of the
 * definition. A sum of integers is exact. A sum of floats over k (matrix products, attention) is one chain of
 * fused multiply-adds in rising k; a sum over keys (softmax) is one chain too. A sum over a row (layer norm, the
 * L2 norm) runs in 16 lanes, element i into lane i mod 16, and lanes_sum()'s fixed tree joins the lanes:
 *
 *     16 lanes    l0 … l7 + l8 … l15  →  8 lanes    l0 … l3 + l4 … l7  →  4  →  2  →  1
 *
 * exp and erf are the polynomials of encoder_math.h.
 */
#include <math.h>
#include <string.h>

#include "simd/encoder.h"
#include "simd/encoder_math.h"

enum { LANES = 16 };

static float lanes_sum(float lane[LANES])
{
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

static uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Returns 2^x for x <= 0 or slightly above. Let x = n + f: a polynomial gives 2^f, and adding n to its exponent's
 * bits multiplies it by 2^n (encoder_math.h). */
static float exp2_scalar(float x, const float *poly, int terms)
{
    x = x > EXP_LEAST ? x : EXP_LEAST;
    float t = x + EXP_ROUND; /* its low bits are n */
    float f = x - (t - EXP_ROUND);
    float p = poly[0];
    for (int i = 1; i < terms; i++)
        p = fmaf(p, f, poly[i]);
    return bits_float(float_bits(p) + (float_bits(t) << 23));
}

/* Returns x/2 (1 + erf(x / sqrt 2)), from a polynomial for the fourth root of its tail (encoder_math.h). */
static float gelu_scalar(float x)
{
    float a = -fabsf(x), p = gelu_poly[0];
    for (int i = 1; i < GELU_POLY_TERMS; i++)
        p = fmaf(p, a, gelu_poly[i]);
    p = p > 0.0f ? p : 0.0f;
    p *= p;
    return fmaf(a, p * p, x > 0.0f ? x : 0.0f);
}

static float activate_scalar(float x, enum encoder_activation act)
{
    return act == ENCODER_GELU ? gelu_scalar(x) : x;
}

/* Computes an int8 layer, row by row and channel by channel. With x = low + s q and weight = w_scale * w:
 *     sum_k x w_scale w = w_scale * (s * sum_k q w + low * sum_k w)
 * so the loop over k multiplies integers alone, and `layer->sum` holds the last sum for each channel.
 *
 * The weights lie in panels of 64 output channels. Inside a panel, four input channels of each output channel lie
 * together:
 *
 *     panel 0   k = 0 … 3:  c0: w0 w1 w2 w3 | c1: w0 w1 w2 w3 | … | c63: w0 w1 w2 w3
 *               k = 4 … 7:  c0: w4 w5 w6 w7 | c1: …
 *     panel 1   the next 64 channels
 *
 * So fast kernels load 64 bytes and multiply four input channels of sixteen output channels with one
 * instruction. */
static void linear_int8(const struct u8_rows *x, size_t rows, const struct int8_linear *layer, size_t panel_begin,
                        size_t panel_end, enum encoder_activation act, float *out, size_t out_stride)
{
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *q = x->q + r * x->k;
        for (size_t c = panel_begin * ENCODER_BLOCK_N; c < panel_end * ENCODER_BLOCK_N; c++) {
            const int8_t *w =
                layer->q + c / ENCODER_BLOCK_N * ENCODER_BLOCK_N * layer->k + c % ENCODER_BLOCK_N * 4;
            int32_t sum = 0;
            for (size_t k = 0; k < layer->k; k++)
                sum += q[k] * w[k / 4 * ENCODER_BLOCK_N * 4 + k % 4];
            float y = fmaf(x->scale[r], (float)sum, x->low[r] * layer->sum[c]);
            out[r * out_stride + c] = activate_scalar(fmaf(y, layer->scale[c], layer->bias[c]), act);
        }
    }
}

/* The weights of a panel of 64 channels lie k by k:  k = 0: c0 c1 … c63 | k = 1: c0 c1 … c63 | … */
static void linear_fp32(const float *x, size_t x_stride, size_t rows, const struct fp32_linear *layer,
                        size_t panel_begin, size_t panel_end, enum encoder_activation act, float *out,
                        size_t out_stride)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = panel_begin * ENCODER_BLOCK_N; c < panel_end * ENCODER_BLOCK_N; c++) {
            const float *w = layer->w + c / ENCODER_BLOCK_N * ENCODER_BLOCK_N * layer->k + c % ENCODER_BLOCK_N;
            float y = layer->bias[c];
            for (size_t k = 0; k < layer->k; k++)
                y = fmaf(x[r * x_stride + k], w[k * ENCODER_BLOCK_N], y);
            out[r * out_stride + c] = activate_scalar(y, act);
        }
}

static struct float_range row_range(const float *x, size_t dim)
{
    float least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < dim; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    return (struct float_range){least + 0.0f, most + 0.0f}; /* + 0 turns -0 into 0, whatever the order */
}

/* Rounds each float to a level of its range:
 *
 *     range.least                       range.most
 *     |--------------------------------------|         floats
 *     0         1         2     …     INT8_LEVELS      q; neighbours are width / INT8_LEVELS apart */
static float quantize_row(const float *x, size_t dim, struct float_range range, uint8_t *q)
{
    float width = range.most - range.least;
    float inverse = width > QUANTIZE_LEAST_RANGE ? QUANTIZE_LEVELS / width : 0.0f;
    for (size_t i = 0; i < dim; i++) {
        float v = (x[i] - range.least) * inverse;                          /* at most 151.0001 */
        q[i] = v > 0.0f ? (uint8_t)(float_bits(v + EXP_ROUND) & 0xff) : 0; /* to nearest, ties to even; NaN: 0 */
    }
    return width * QUANTIZE_STEP;
}

/* Sweeps over the row three times: adds x and y and finds the mean; subtracts the mean and adds up the squares;
 * scales by gamma and adds beta. */
static void add_layer_norm(const float *x, const float *unscale, const float *y, const float *gamma,
                           const float *beta, float epsilon, size_t dim, float *out)
{
    float sum[LANES] = {0}, squares[LANES] = {0};
    for (size_t i = 0; i < dim; i++) {
        float v = y == NULL ? x[i] : unscale == NULL ? x[i] + y[i] : fmaf(x[i], unscale[i], y[i]);
        sum[i % LANES] += v;
        out[i] = v;
    }
    float mean = lanes_sum(sum) / (float)dim;
    for (size_t i = 0; i < dim; i++) {
        out[i] -= mean;
        squares[i % LANES] = fmaf(out[i], out[i], squares[i % LANES]);
    }
    float inverse = 1.0f / sqrtf(lanes_sum(squares) / (float)dim + epsilon);
    for (size_t i = 0; i < dim; i++)
        out[i] = fmaf(out[i] * inverse, gamma[i], beta[i]);
}

static void add_int8_row(const int8_t *q, float scale, const float *base, size_t dim, float *out)
{
    for (size_t i = 0; i < dim; i++)
        out[i] = fmaf((float)q[i], scale, base[i]);
}

/* weight[j] = e^(scale * (score[j] - max)) = 2^(score[j] * factor - max * factor), in place. Returns their sum. */
static float softmax_scores(float *weight, size_t tokens, float factor, const float *poly, int terms)
{
    float max = -INFINITY, sum = 0.0f;
    for (size_t j = 0; j < tokens; j++)
        max = weight[j] > max ? weight[j] : max;
    for (size_t j = 0; j < tokens; j++) {
        weight[j] = exp2_scalar(fmaf(weight[j], factor, -(max * factor)), poly, terms);
        sum += weight[j];
    }
    return sum;
}

/* Computes for each query i a weight for each key, weight[j] = softmax_j(q[i] . k[j]), and then the weighted mean
 * of the values:
 *
 *               keys j →                        dims d →
 *     query i   q.k0  q.k1  q.k2  → weights   · v0 v1 v2 (rows)   → out[i][d] */
static void attention_fp32(const struct attention_head *head)
{
    float *weight = head->scratch;
    for (size_t i = 0; i < head->tokens; i++) {
        const float *q = head->q + i * head->stride;
        for (size_t j = 0; j < head->tokens; j++) {
            const float *k = head->k + j * head->stride;
            weight[j] = 0.0f;
            for (size_t d = 0; d < head->head_dim; d++)
                weight[j] = fmaf(k[d], q[d], weight[j]);
        }
        float inverse =
            1.0f / softmax_scores(weight, head->tokens, head->scale * EXP_LOG2E, exp_poly, EXP_POLY_TERMS);
        for (size_t d = 0; d < head->head_dim; d++) {
            float y = 0.0f;
            for (size_t j = 0; j < head->tokens; j++)
                y = fmaf(weight[j], head->v[j * head->stride + d], y);
            head->out[i * head->out_stride + d] = y * inverse;
        }
    }
}

/* Rounds a head's queries, keys or values, [tokens][head_dim], to integers from -bound to bound, so that x ≈
 * step * out. Ties go to the even integer; NaN becomes -bound. Returns the step, which all numbers share. */
static float to_integers(const struct attention_head *head, const float *x, float bound, int16_t *out)
{
    float most = 0.0f;
    for (size_t j = 0; j < head->tokens; j++)
        for (size_t d = 0; d < head->head_dim; d++) {
            float size = fabsf(x[j * head->stride + d]);
            most = size > most ? size : most;
        }
    float step = attention_step(most, bound), inverse = step > 0.0f ? 1.0f / step : 0.0f;
    for (size_t j = 0; j < head->tokens; j++)
        for (size_t d = 0; d < head->head_dim; d++) {
            float t = fmaf(x[j * head->stride + d], inverse, EXP_ROUND);
            t = t > EXP_ROUND - bound ? t : EXP_ROUND - bound;
            out[j * head->head_dim + d] = (int16_t)(t - EXP_ROUND);
        }
    return step;
}

/* Computes what attention_fp32 does, in integers except for exp and its sum. Scores and outputs are exact sums.
 * Rounds weights to multiples of 1 / ATTENTION_WEIGHTS. */
static void attention_int16(const struct attention_head *head)
{
    size_t tokens = head->tokens, dim = head->head_dim;
    float *weight = head->scratch, bound = attention_bound(dim);
    int16_t *q = (int16_t *)(void *)(weight + tokens), *k = q + tokens * dim, *v = k + tokens * dim;
    float q_step = to_integers(head, head->q, bound, q), k_step = to_integers(head, head->k, bound, k);
    float factor = attention_factor(head->scale, q_step, k_step);
    float unit = to_integers(head, head->v, ATTENTION_INT16, v) / ATTENTION_WEIGHTS;
    for (size_t i = 0; i < tokens; i++) {
        for (size_t j = 0; j < tokens; j++) {
            int32_t score = 0;
            for (size_t d = 0; d < dim; d++)
                score += q[i * dim + d] * k[j * dim + d];
            weight[j] = (float)score;
        }
        float scale = ATTENTION_WEIGHTS / softmax_scores(weight, tokens, factor, exp_short, EXP_SHORT_TERMS);
        for (size_t j = 0; j < tokens; j++)
            weight[j] = fmaf(weight[j], scale, EXP_ROUND) - EXP_ROUND;
        for (size_t d = 0; d < dim; d++) {
            int32_t y = 0;
            for (size_t j = 0; j < tokens; j++)
                y += (int32_t)weight[j] * v[j * dim + d];
            head->out[i * head->out_stride + d] = (float)y * unit;
        }
    }
}

static void mean_rows(const float *x, size_t stride, size_t rows, size_t dim, float *out)
{
    for (size_t i = 0; i < dim; i++) {
        float sum = 0.0f;
        for (size_t r = 0; r < rows; r++)
            sum += x[r * stride + i];
        out[i] = sum / (float)rows;
    }
}

static void normalize_l2(float *x, size_t dim)
{
    float squares[LANES] = {0};
    for (size_t i = 0; i < dim; i++)
        squares[i % LANES] = fmaf(x[i], x[i], squares[i % LANES]);
    float norm = sqrtf(lanes_sum(squares));
    norm = norm > NORM_LEAST ? norm : NORM_LEAST;
    for (size_t i = 0; i < dim; i++)
        x[i] /= norm;
}

const struct encoder_kernels encoder_kernels_scalar = {
    .linear_int8 = linear_int8,
    .linear_fp32 = linear_fp32,
    .range = row_range,
    .quantize = quantize_row,
    .add_layer_norm = add_layer_norm,
    .add_int8_row = add_int8_row,
    .attention = attention_fp32,
    .attention_int16 = attention_int16,
    .mean_rows = mean_rows,
    .normalize = normalize_l2,
};
