/* simd/int8_neon.h: the code that the int8 products of the arm64 sets share.
 *
 * A kernel includes it after lanes_neon.h, encoder_lanes.h and INT8_ROWS, the maximum rows of a tile. Activations
 * are unsigned and weights signed. Some instructions multiply only signed bytes. They get q - 128 (its bits are
 * q ^ 0x80) instead of q, and the kernel adds 128 times the sum of the channel's weights, which is exact:
 *     sum_k q w = sum_k (q - 128) w + 128 sum_k w. */
#ifndef SIMD_INT8_NEON_H
#define SIMD_INT8_NEON_H

/* Returns 128 times the sums of the weights of four channels. */
static inline int32x4_t int8_left_out(const struct int8_linear *layer, size_t column)
{
    return vshlq_n_s32(vcvtq_s32_f32(vld1q_f32(layer->sum + column)), 7);
}

/* Returns the weights of the channels from `column` on, at k = 0. */
static inline const int8_t *int8_weights(const struct int8_linear *layer, size_t column)
{
    return layer->q + column / ENCODER_BLOCK_N * ENCODER_BLOCK_N * layer->k +
           column % ENCODER_BLOCK_N * ENCODER_BLOCK_K;
}

/* A tile's sums: rows of sixteen output channels. They pass through memory (the L1 cache). So int8_store(),
 * which is as long as the product itself, exists only once and not for each size of tile. */
struct int8_tile_sums {
    int32_t row[INT8_ROWS][LANES];
};

static inline void int8_keep(struct int8_tile_sums *sums, size_t row, size_t group, int32x4_t four)
{
    vst1q_s32(sums->row[row] + 4 * group, four);
}

UNROLLED lanes int8_scaled(const int32_t *sums, float scale, float low, const struct int8_linear *layer,
                           size_t column)
{
    lanes y = {vcvtq_f32_s32(vld1q_s32(sums)), vcvtq_f32_s32(vld1q_s32(sums + 4)),
               vcvtq_f32_s32(vld1q_s32(sums + 8)), vcvtq_f32_s32(vld1q_s32(sums + 12))};
    y = lanes_fma(lanes_set(scale), y, lanes_mul(lanes_set(low), lanes_load(layer->sum + column)));
    return lanes_fma(y, lanes_load(layer->scale + column), lanes_load(layer->bias + column));
}

/* Turns the integers into floats with scale and bias, then applies GELU if asked. Computes two rows at
 * once, whose eight polynomials hide each other's latency. Pairs a last odd row with itself. */
static __attribute__((noinline)) void int8_store(const struct int8_tile_sums *sums, const struct u8_rows *x,
                                                 size_t first, size_t rows, const struct int8_linear *layer,
                                                 size_t column, enum encoder_activation act, float *out,
                                                 size_t out_stride)
{
    const float *scale = x->scale + first, *low = x->low + first;
    for (size_t r = 0; r < rows; r += 2) {
        size_t next = r + 1 < rows ? r + 1 : r;
        lanes y[2] = {int8_scaled(sums->row[r], scale[r], low[r], layer, column),
                      int8_scaled(sums->row[next], scale[next], low[next], layer, column)};
        if (act == ENCODER_GELU)
            gelu_tile(y, 2);
        lanes_store(out + (first + r) * out_stride + column, y[0]);
        lanes_store(out + (first + next) * out_stride + column, y[1]);
    }
}

#endif
