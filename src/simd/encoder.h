/* simd/encoder.h: the arithmetic of a BERT encoder, by instruction set.
 *
 * Every set gives the same bits as encoder_scalar.c. A sum runs in k order in one accumulator, or in 16 lanes that
 * a fixed tree joins. exp and erf are our polynomials. Multiply-adds are fused everywhere. So a result does not
 * depend on the machine, the batch or the number of threads.
 *
 * Matrices of activations are row-major, `stride` floats per row. Strides and the `n` of a linear layer are
 * multiples of ENCODER_BLOCK_N; columns past the layer's real width hold zeros. Pointers are 64-byte aligned where
 * noted. Nothing here allocates or fails.
 */
#ifndef SIMD_ENCODER_H
#define SIMD_ENCODER_H

#include <stddef.h>
#include <stdint.h>

enum {
    ENCODER_BLOCK_N = 64, /* output channels of a weight panel */
    ENCODER_BLOCK_K = 4,  /* input channels that one step of an int8 kernel multiplies */
    /* These bounds let AVX2 add products exactly in 16 bits (encoder_avx2.c): activations have fewer levels than a
     * byte, and the packer limits the weights that meet in one lane. */
    INT8_LEVELS = 151, /* activations are 0 … INT8_LEVELS */
    INT8_MIDDLE = 76,  /* no activation differs from INT8_MIDDLE by more than INT8_MIDDLE */
    /* A chunk is 12 input channels. One lane adds up the products of its channels 0, 1, 4, 5, 8 and 9, another lane
     * those of the other six. */
    INT8_CHUNK = 12,
    INT8_LANE_MOST = 32767 / INT8_MIDDLE, /* maximum sum of the absolute values of the six weights of a lane */
    INT8_PAIR_MOST = 32767 / INT8_LEVELS  /* maximum absolute sum of two neighbours of equal sign */
};

enum encoder_activation { ENCODER_LINEAR, ENCODER_GELU };

/* A linear layer in int8: weight[n][k] ≈ scale[n] * q[n][k].
 *
 * q is packed [n/64][k/4][64][4], so that a kernel reads a panel of 64 output channels front to back (a figure is
 * in encoder_scalar.c). n is a multiple of 64 and k of 4, padded with zeros. The arrays are 64-byte aligned. Some
 * kernels give wrong numbers, but do no other harm, if q contains -128 or breaks INT8_LANE_MOST or INT8_PAIR_MOST,
 * or if `sum` is wrong. */
struct int8_linear {
    size_t n, k;
    const int8_t *q;    /* -127 to 127 */
    const float *scale; /* [n] */
    const float *sum;   /* [n]: the sum of q[n][·], exact in float (below 2^24) */
    const float *bias;  /* [n] */
};

/* A linear layer in fp32. w is packed [n/64][k][64]; n is a multiple of 64. Both arrays are 64-byte aligned. */
struct fp32_linear {
    size_t n, k;
    const float *w;
    const float *bias; /* [n] */
};

/* Activations as u8 up to INT8_LEVELS, with one scale and one least value per row: x[r][i] ≈ low[r] + scale[r] *
 * q[r * k + i]. k is a multiple of 4. In columns past the layer's real width both q and the weights are 0. */
struct u8_rows {
    size_t k;
    uint8_t *q;   /* [rows][k] */
    float *scale; /* [rows] */
    float *low;   /* [rows] */
};

struct float_range {
    float least, most;
};

/* One attention head over one sequence of at most 8,192 tokens. Rows of q, k and v are `stride` floats apart, rows
 * of out `out_stride` floats. scratch has attention_scratch(tokens, head_dim) floats and is 64-byte aligned. */
struct attention_head {
    size_t tokens, head_dim;
    float scale; /* 1 / sqrt(head_dim) */
    const float *q, *k, *v;
    size_t stride;
    float *out;
    size_t out_stride;
    float *scratch;
};

/* Returns the floats of scratch for one head: for gathered keys and values, sixteen transposed queries, sixteen
 * rows of integers, and the weights of sixteen queries. */
static inline size_t attention_scratch(size_t tokens, size_t head_dim)
{
    size_t columns = (tokens + 15) / 16 * 16, dim = (head_dim + 15) / 16 * 16;
    return dim * columns + tokens * dim + 2 * 16 * dim + 16 * columns;
}

struct encoder_kernels {
    /* out[r][c] = act(sum over k of x[r][k] * weight[c][k] + bias[c]) for `rows` rows and the weight panels
     * [panel_begin, panel_end). The integer sum is exact. */
    void (*linear_int8)(const struct u8_rows *x, size_t rows, const struct int8_linear *layer, size_t panel_begin,
                        size_t panel_end, enum encoder_activation act, float *out, size_t out_stride);
    /* Computes what linear_int8 does, in fp32. Rows of x are x_stride floats apart. */
    void (*linear_fp32)(const float *x, size_t x_stride, size_t rows, const struct fp32_linear *layer,
                        size_t panel_begin, size_t panel_end, enum encoder_activation act, float *out,
                        size_t out_stride);
    /* Returns the range of `dim` floats. Ignores NaN. A bound of -0 becomes 0. */
    struct float_range (*range)(const float *x, size_t dim);
    /* Quantises `dim` floats within a range: low = least, scale = (most - least) / INT8_LEVELS. Rounds q to the
     * nearest integer, ties to even. Returns the scale. A caller may quantise a row in parts, with the range of
     * the whole row. */
    float (*quantize)(const float *x, size_t dim, struct float_range range, uint8_t *q);
    /* out = layer_norm(x * unscale + y) * gamma + beta; out may be x or y. unscale NULL: no multiplication; y
     * NULL: no addition, and unscale does not count. */
    void (*add_layer_norm)(const float *x, const float *unscale, const float *y, const float *gamma,
                           const float *beta, float epsilon, size_t dim, float *out);
    /* out[i] = base[i] + scale * q[i]: adds a row of an int8 embedding table to a row of positions. */
    void (*add_int8_row)(const int8_t *q, float scale, const float *base, size_t dim, float *out);
    /* softmax(q k^T * scale) v. */
    void (*attention)(const struct attention_head *head);
    /* attention with queries, keys, values and weights in int16. Sums of their products are exact in int32. */
    void (*attention_int16)(const struct attention_head *head);
    /* out[i] = (x[0][i] + … + x[rows - 1][i]) / rows, in row order. */
    void (*mean_rows)(const float *x, size_t stride, size_t rows, size_t dim, float *out);
    /* x /= max(|x|, 1e-12), where |x| is the L2 norm. */
    void (*normalize)(float *x, size_t dim);
};

extern const struct encoder_kernels encoder_kernels_scalar;

#endif
