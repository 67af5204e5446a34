/* encoder_avx2.c: the encoder with AVX2 and FMA.
 *
 * VPMADDUBSW would add two u8 * s8 products into 16 saturating bits, which is wrong (2 * 255 * 127 does not
 * fit). So bytes are widened to 16 bits and VPMADDWD adds pairs of products into 32 bits, exactly. Weights
 * are widened once for the rows of a tile: 3 rows by 16 output channels, 12 accumulators in which lanes 2c
 * and 2c + 1 both belong to channel c, joined at the end.
 */
#include "simd/lanes_avx2.h"

#include "simd/encoder_lanes.h"

enum { INT8_ROWS = 3 };

/* Four activations, widened to 16 bits, four times over. */
UNROLLED __m256i widen_four(const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_cvtepu8_epi16(_mm_set1_epi32(four));
}

/* Adds neighbouring lanes of two registers: 8 channels in order. */
UNROLLED __m256 join_pairs(__m256i a, __m256i b)
{
    return _mm256_cvtepi32_ps(_mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8));
}

UNROLLED void int8_tile(const struct u8_rows *x, size_t first, size_t rows, const struct int8_linear *layer,
                        size_t column, enum encoder_activation act, float *out, size_t out_stride)
{
    const uint8_t *a = x->q + first * x->k;
    const int8_t *w =
        layer->q + column / ENCODER_BLOCK_N * ENCODER_BLOCK_N * layer->k + column % ENCODER_BLOCK_N * 4;
    __m256i acc[INT8_ROWS][4];
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++)
            acc[r][c] = _mm256_setzero_si256();
    }
    for (size_t k = 0; k < layer->k; k += ENCODER_BLOCK_K) {
        __m256i activations[INT8_ROWS];
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++)
            activations[r] = widen_four(a + r * x->k + k);
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++) {
            __m256i weights =
                _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(w + k * ENCODER_BLOCK_N + c * 16)));
            UNROLL_LOOP
            for (size_t r = 0; r < rows; r++)
                acc[r][c] = _mm256_add_epi32(acc[r][c], _mm256_madd_epi16(activations[r], weights));
        }
    }
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        lanes sum = {join_pairs(acc[r][0], acc[r][1]), join_pairs(acc[r][2], acc[r][3])};
        lanes y = lanes_fma(lanes_set(x->scale[first + r]), sum,
                            lanes_mul(lanes_set(x->low[first + r]), lanes_load(layer->sum + column)));
        y = lanes_fma(y, lanes_load(layer->scale + column), lanes_load(layer->bias + column));
        if (act == ENCODER_GELU)
            gelu_tile(&y, 1);
        lanes_store(out + (first + r) * out_stride + column, y);
    }
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
                else if (rows - r == 2)
                    int8_tile(x, r, 2, layer, column, act, out, out_stride);
                else
                    int8_tile(x, r, 1, layer, column, act, out, out_stride);
            }
}

const struct encoder_kernels encoder_kernels_avx2 = {.linear_int8 = linear_int8, LANES_KERNELS};
