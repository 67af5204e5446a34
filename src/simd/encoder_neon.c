/* encoder_neon.c: the encoder with the NEON that every 64-bit ARM has (Cortex-A53 and A72).
 *
 * This set has no instruction that adds four products of bytes. SMULL makes eight 16-bit products, SMLAL adds
 * eight more, and SADALP adds pairs of those sums to 32-bit sums: three instructions for 16 products. The sums are
 * exact: the product of (activation - 128) and a weight of at most 127 is at most 16,256, and two such products
 * fit into 16 bits. The weights of four output channels for eight input channels lie in two registers, four input
 * channels in each. A tile is 2 rows by 16 output channels. In its 16 accumulators lanes 2c and 2c + 1 belong to
 * channel c; the end of the tile joins them.
 */
#include "simd/lanes_neon.h"

#include "simd/encoder_lanes.h"

enum { INT8_ROWS = 2, DEPTH = 8 };

#include "simd/int8_neon.h"

static inline int8x8_t as_signed(uint8x8_t q)
{
    return vreinterpret_s8_u8(veor_u8(q, vdup_n_u8(0x80)));
}

/* Repeats the first (`which` 0) or the last four of eight activations four times. */
UNROLLED int8x16_t four_times(int8x8_t eight, int which)
{
    int32x2_t fours = vreinterpret_s32_s8(eight);
    return vreinterpretq_s8_s32(which == 0 ? vdupq_lane_s32(fours, 0) : vdupq_lane_s32(fours, 1));
}

/* Adds the products of eight input channels to four output channels. `low` and `high` are the weights for the
 * first and the last four input channels; `near` and `far` are a row's activations for them. */
UNROLLED void int8_step(int32x4_t acc[2], int8x16_t low, int8x16_t high, int8x16_t near, int8x16_t far)
{
    int16x8_t first = vmull_s8(vget_low_s8(low), vget_low_s8(near)), second = vmull_high_s8(low, near);
    first = vmlal_s8(first, vget_low_s8(high), vget_low_s8(far));
    second = vmlal_high_s8(second, high, far);
    acc[0] = vpadalq_s16(acc[0], first);
    acc[1] = vpadalq_s16(acc[1], second);
}

UNROLLED void int8_tile(const struct u8_rows *x, size_t first, size_t rows, const struct int8_linear *layer,
                        size_t column, enum encoder_activation act, float *out, size_t out_stride)
{
    const uint8_t *a = x->q + first * x->k;
    const int8_t *w = int8_weights(layer, column);
    int32x4_t acc[INT8_ROWS][4][2];
    int8x16_t near[INT8_ROWS], far[INT8_ROWS];
    struct int8_tile_sums sums;
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++)
            acc[r][c][0] = acc[r][c][1] = vdupq_n_s32(0);
    }
    size_t k = 0;
    for (; k + DEPTH <= layer->k; k += DEPTH) {
        const int8_t *step = w + k * ENCODER_BLOCK_N;
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++) {
            int8x8_t eight = as_signed(vld1_u8(a + r * x->k + k));
            near[r] = four_times(eight, 0);
            far[r] = four_times(eight, 1);
        }
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++) {
            int8x16_t low = vld1q_s8(step + c * 16);
            int8x16_t high = vld1q_s8(step + ENCODER_BLOCK_N * ENCODER_BLOCK_K + c * 16);
            UNROLL_LOOP
            for (size_t r = 0; r < rows; r++)
                int8_step(acc[r][c], low, high, near[r], far[r]);
        }
    }
    if (k < layer->k) {
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++) {
            uint64_t four = 0;
            memcpy(&four, a + r * x->k + k, ENCODER_BLOCK_K);
            near[r] = four_times(as_signed(vcreate_u8(four)), 0);
            UNROLL_LOOP
            for (size_t c = 0; c < 4; c++)
                int8_step(acc[r][c], vld1q_s8(w + k * ENCODER_BLOCK_N + c * 16), vdupq_n_s8(0), near[r],
                          vdupq_n_s8(0));
        }
    }
    UNROLL_LOOP
    for (size_t c = 0; c < 4; c++) {
        int32x4_t offset = int8_left_out(layer, column + 4 * c);
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++)
            int8_keep(&sums, r, c, vaddq_s32(vpaddq_s32(acc[r][c][0], acc[r][c][1]), offset));
    }
    int8_store(&sums, x, first, rows, layer, column, act, out, out_stride);
}

static void linear_int8(const struct u8_rows *x, size_t rows, const struct int8_linear *layer, size_t panel_begin,
                        size_t panel_end, enum encoder_activation act, float *out, size_t out_stride)
{
    for (size_t panel = panel_begin; panel < panel_end; panel++)
        for (size_t r = 0; r < rows; r += INT8_ROWS)
            for (size_t c = 0; c < ENCODER_BLOCK_N; c += LANES) {
                size_t column = panel * ENCODER_BLOCK_N + c;
                if (rows - r >= INT8_ROWS)
                    int8_tile(x, r, INT8_ROWS, layer, column, act, out, out_stride);
                else
                    int8_tile(x, r, 1, layer, column, act, out, out_stride);
            }
}

const struct encoder_kernels encoder_kernels_neon = {.linear_int8 = linear_int8, LANES_KERNELS};
