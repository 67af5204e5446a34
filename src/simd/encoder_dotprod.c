/* encoder_dotprod.c: the encoder with NEON and SDOT (FEAT_DotProd: Cortex-A55 and A76, Neoverse N1, Apple M1).
 *
 * SDOT multiplies 16 signed by 16 signed bytes and adds groups of four to 4 int32 lanes, exactly. Its second
 * operand may be one group of four bytes of a register, so one load of sixteen activations serves four
 * instructions. A tile is 6 rows by 16 output channels. Its 24 accumulators and six registers of activations leave
 * two of 32 registers, through which the weights pass one by one.
 */
#include "simd/lanes_neon.h"

#include "simd/encoder_lanes.h"

enum { INT8_ROWS = 6, STEPS = 4 };

#include "simd/int8_neon.h"

static inline int8x16_t as_signed(uint8x16_t q)
{
    return vreinterpretq_s8_u8(veorq_u8(q, vdupq_n_u8(0x80)));
}

/* Adds the products of four channels' weights and group `step` of the activations. Callers pass a constant
 * `step`. */
UNROLLED int32x4_t dot4(int32x4_t sum, int8x16_t weights, int8x16_t activations, int step)
{
    switch (step) {
    case 0: return vdotq_laneq_s32(sum, weights, activations, 0);
    case 1: return vdotq_laneq_s32(sum, weights, activations, 1);
    case 2: return vdotq_laneq_s32(sum, weights, activations, 2);
    default: return vdotq_laneq_s32(sum, weights, activations, 3);
    }
}

UNROLLED void int8_tile(const struct u8_rows *x, size_t first, size_t rows, const struct int8_linear *layer,
                        size_t column, enum encoder_activation act, float *out, size_t out_stride)
{
    const uint8_t *a = x->q + first * x->k;
    const int8_t *w = int8_weights(layer, column);
    struct int8_tile_sums sums;
    int32x4_t acc[INT8_ROWS][4];
    int8x16_t activations[INT8_ROWS];
    UNROLL_LOOP
    for (size_t c = 0; c < 4; c++) {
        int32x4_t begin = int8_left_out(layer, column + 4 * c);
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++)
            acc[r][c] = begin;
    }
    size_t k = 0;
    for (; k + STEPS * ENCODER_BLOCK_K <= layer->k; k += STEPS * ENCODER_BLOCK_K) {
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++)
            activations[r] = as_signed(vld1q_u8(a + r * x->k + k));
        UNROLL_LOOP
        for (int i = 0; i < STEPS * 4; i++) {
            int step = i / 4, c = i % 4;
            int8x16_t weights = vld1q_s8(w + (k + step * ENCODER_BLOCK_K) * ENCODER_BLOCK_N + c * 16);
            UNROLL_LOOP
            for (size_t r = 0; r < rows; r++)
                acc[r][c] = dot4(acc[r][c], weights, activations[r], step);
        }
    }
    for (; k < layer->k; k += ENCODER_BLOCK_K) {
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++) {
            uint32_t four;
            memcpy(&four, a + r * x->k + k, sizeof four);
            activations[r] = as_signed(vreinterpretq_u8_u32(vdupq_n_u32(four)));
        }
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++) {
            int8x16_t weights = vld1q_s8(w + k * ENCODER_BLOCK_N + c * 16);
            UNROLL_LOOP
            for (size_t r = 0; r < rows; r++)
                acc[r][c] = dot4(acc[r][c], weights, activations[r], 0);
        }
    }
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++)
            int8_keep(&sums, r, c, acc[r][c]);
    }
    int8_store(&sums, x, first, rows, layer, column, act, out, out_stride);
}

/* Computes the tiles of one group of rows over a panel. */
UNROLLED void int8_panel(const struct u8_rows *x, size_t first, size_t rows, const struct int8_linear *layer,
                         size_t panel, enum encoder_activation act, float *out, size_t out_stride)
{
    for (size_t c = 0; c < ENCODER_BLOCK_N; c += LANES)
        int8_tile(x, first, rows, layer, panel * ENCODER_BLOCK_N + c, act, out, out_stride);
}

#include "simd/int8_rows.h"

const struct encoder_kernels encoder_kernels_dotprod = {.linear_int8 = linear_int8, LANES_KERNELS};
