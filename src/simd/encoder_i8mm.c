/* encoder_i8mm.c: the encoder with NEON and USMMLA (FEAT_I8MM: Neoverse V1 and N2, Cortex-A510 and A710, Apple
 * M2).
 *
 * USMMLA multiplies 2 rows of 8 unsigned bytes by 2 channels of 8 signed bytes and adds the 2 by 2 products to 4
 * int32 lanes, exactly. It makes twice the products of SDOT, and no offset needs correction. The weights of four
 * output channels for eight input channels lie in two registers, four input channels in each. ZIP turns the two
 * registers into two pairs of output channels with all eight input channels. A tile is three pairs of rows by 16
 * output channels. It takes 24 accumulators and three registers of activations; the weights pass through the
 * other registers.
 */
#include "simd/lanes_neon.h"

#include "simd/encoder_lanes.h"

enum { INT8_PAIRS = 3, INT8_ROWS = 2 * INT8_PAIRS, DEPTH = 8 };

#include "simd/int8_neon.h"

/* Joins eight activations of each of two rows. */
UNROLLED uint8x16_t pair_rows(const uint8_t *row, const uint8_t *next)
{
    return vcombine_u8(vld1_u8(row), vld1_u8(next));
}

/* Joins the last four activations of each of two rows, with four zeros behind each. */
UNROLLED uint8x16_t pair_rows_short(const uint8_t *row, const uint8_t *next)
{
    uint64_t a = 0, b = 0;
    memcpy(&a, row, ENCODER_BLOCK_K);
    memcpy(&b, next, ENCODER_BLOCK_K);
    return vcombine_u8(vcreate_u8(a), vcreate_u8(b));
}

/* Adds the products of eight input channels to four output channels (`group`). `low` and `high` are the weights
 * for the first and the last four input channels. */
UNROLLED void int8_step(int32x4_t acc[INT8_PAIRS][8], size_t pairs, size_t group,
                        const uint8x16_t activations[INT8_PAIRS], int8x16_t low, int8x16_t high)
{
    int32x4_t a = vreinterpretq_s32_s8(low), b = vreinterpretq_s32_s8(high);
    int8x16_t first = vreinterpretq_s8_s32(vzip1q_s32(a, b)), second = vreinterpretq_s8_s32(vzip2q_s32(a, b));
    UNROLL_LOOP
    for (size_t p = 0; p < pairs; p++) {
        acc[p][2 * group] = vusmmlaq_s32(acc[p][2 * group], activations[p], first);
        acc[p][2 * group + 1] = vusmmlaq_s32(acc[p][2 * group + 1], activations[p], second);
    }
}

/* Returns four sums of the first row of a pair (half 0) or of the second (half 1). */
UNROLLED int32x4_t take_row(int32x4_t first, int32x4_t second, int half)
{
    int64x2_t a = vreinterpretq_s64_s32(first), b = vreinterpretq_s64_s32(second);
    return vreinterpretq_s32_s64(half == 0 ? vzip1q_s64(a, b) : vzip2q_s64(a, b));
}

/* Computes one tile. Pairs a last odd row with itself; int8_store() ignores the sums of the copy. */
UNROLLED void int8_tile(const struct u8_rows *x, size_t first, size_t rows, size_t pairs,
                        const struct int8_linear *layer, size_t column, enum encoder_activation act, float *out,
                        size_t out_stride)
{
    const uint8_t *a = x->q + first * x->k, *last = a + (rows - 1) * x->k;
    const int8_t *w = int8_weights(layer, column);
    int32x4_t acc[INT8_PAIRS][8];
    uint8x16_t activations[INT8_PAIRS];
    struct int8_tile_sums sums;
    UNROLL_LOOP
    for (size_t p = 0; p < pairs; p++) {
        UNROLL_LOOP
        for (size_t c = 0; c < 8; c++)
            acc[p][c] = vdupq_n_s32(0);
    }
    size_t k = 0;
    for (; k + DEPTH <= layer->k; k += DEPTH) {
        const int8_t *step = w + k * ENCODER_BLOCK_N;
        UNROLL_LOOP
        for (size_t p = 0; p < pairs; p++)
            activations[p] =
                pair_rows(a + 2 * p * x->k + k, p + 1 == pairs ? last + k : a + (2 * p + 1) * x->k + k);
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++)
            int8_step(acc, pairs, c, activations, vld1q_s8(step + c * 16),
                      vld1q_s8(step + ENCODER_BLOCK_N * ENCODER_BLOCK_K + c * 16));
    }
    if (k < layer->k) {
        UNROLL_LOOP
        for (size_t p = 0; p < pairs; p++)
            activations[p] =
                pair_rows_short(a + 2 * p * x->k + k, p + 1 == pairs ? last + k : a + (2 * p + 1) * x->k + k);
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++)
            int8_step(acc, pairs, c, activations, vld1q_s8(w + k * ENCODER_BLOCK_N + c * 16), vdupq_n_s8(0));
    }
    UNROLL_LOOP
    for (size_t p = 0; p < pairs; p++) {
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++) {
            int8_keep(&sums, 2 * p, c, take_row(acc[p][2 * c], acc[p][2 * c + 1], 0));
            int8_keep(&sums, 2 * p + 1, c, take_row(acc[p][2 * c], acc[p][2 * c + 1], 1));
        }
    }
    int8_store(&sums, x, first, rows, layer, column, act, out, out_stride);
}

/* Computes the tiles of one group of rows over a panel. */
UNROLLED void int8_panel(const struct u8_rows *x, size_t first, size_t rows, size_t pairs,
                         const struct int8_linear *layer, size_t panel, enum encoder_activation act, float *out,
                         size_t out_stride)
{
    for (size_t c = 0; c < ENCODER_BLOCK_N; c += LANES)
        int8_tile(x, first, rows, pairs, layer, panel * ENCODER_BLOCK_N + c, act, out, out_stride);
}

/* Spreads pairs of rows over tiles evenly. */
static void linear_int8(const struct u8_rows *x, size_t rows, const struct int8_linear *layer, size_t panel_begin,
                        size_t panel_end, enum encoder_activation act, float *out, size_t out_stride)
{
    size_t pairs = (rows + 1) / 2, tiles = (pairs + INT8_PAIRS - 1) / INT8_PAIRS;
    for (size_t panel = panel_begin; panel < panel_end; panel++)
        for (size_t left = tiles, p = 0; left > 0; left--) {
            size_t take = (pairs - p + left - 1) / left, r = 2 * p;
            size_t held = rows - r < 2 * take ? rows - r : 2 * take;
            switch (take) {
            case 3: int8_panel(x, r, held, 3, layer, panel, act, out, out_stride); break;
            case 2: int8_panel(x, r, held, 2, layer, panel, act, out, out_stride); break;
            default: int8_panel(x, r, held, 1, layer, panel, act, out, out_stride); break;
            }
            p += take;
        }
}

const struct encoder_kernels encoder_kernels_i8mm = {.linear_int8 = linear_int8, LANES_KERNELS};
