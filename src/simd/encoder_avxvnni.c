/* encoder_avxvnni.c: the encoder with AVX2 and the 256-bit VPDPBUSD of processors without AVX-512.
 *
 * VPDPBUSD multiplies 32 unsigned by 32 signed bytes and adds groups of four to 8 int32 lanes, exactly. A tile is
 * 6 rows by 16 output channels. It takes 15 of the 16 registers: 12 accumulators, two registers of weights and one
 * that repeats four activations. encoder_avx512vnni.c says why the instruction is written in assembly. Without
 * {vex}, the assembler would choose AVX-512's encoding. The fp32 kernels are those of AVX2.
 */
#include "simd/lanes_avx2.h"

#include "simd/encoder_lanes.h"

enum { INT8_ROWS = 6 };

UNROLLED __m256i dot4(__m256i sum, __m256i activations, __m256i weights)
{
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(activations), "x"(weights));
    return sum;
}

static inline int32_t load_four(const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return four;
}

/* Computes one tile. Meanwhile prefetches the weights at `ahead`, `lines` cache lines per four input channels. */
UNROLLED void int8_tile(const struct u8_rows *x, size_t first, size_t rows, const struct int8_linear *layer,
                        size_t column, const int8_t *ahead, size_t lines, enum encoder_activation act, float *out,
                        size_t out_stride)
{
    const uint8_t *a = x->q + first * x->k;
    const int8_t *w =
        layer->q + column / ENCODER_BLOCK_N * ENCODER_BLOCK_N * layer->k + column % ENCODER_BLOCK_N * 4;
    __m256i acc[INT8_ROWS][2];
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = _mm256_setzero_si256();
    for (size_t k = 0; k < layer->k; k += ENCODER_BLOCK_K) {
        const __m256i *step = (const __m256i *)(const void *)(w + k * ENCODER_BLOCK_N);
        __m256i low = _mm256_loadu_si256(step), high = _mm256_loadu_si256(step + 1);
        for (size_t l = 0; l < lines; l++, ahead += 64)
            _mm_prefetch((const char *)ahead, _MM_HINT_T0);
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++) {
            __m256i activations = _mm256_set1_epi32(load_four(a + r * x->k + k));
            acc[r][0] = dot4(acc[r][0], activations, low);
            acc[r][1] = dot4(acc[r][1], activations, high);
        }
    }
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        lanes sum = {_mm256_cvtepi32_ps(acc[r][0]), _mm256_cvtepi32_ps(acc[r][1])};
        lanes y = lanes_fma(lanes_set(x->scale[first + r]), sum,
                            lanes_mul(lanes_set(x->low[first + r]), lanes_load(layer->sum + column)));
        y = lanes_fma(y, lanes_load(layer->scale + column), lanes_load(layer->bias + column));
        if (act == ENCODER_GELU)
            gelu_tile(&y, 1);
        lanes_store(out + (first + r) * out_stride + column, y);
    }
}

/* Computes the tiles of one group of rows over a panel. The first group prefetches the next panel
 * (encoder_avx512vnni.c says why). */
UNROLLED void int8_panel(const struct u8_rows *x, size_t first, size_t rows, const struct int8_linear *layer,
                         size_t panel, enum encoder_activation act, float *out, size_t out_stride)
{
    size_t lines = first == 0 ? 1 : 0;
    const int8_t *ahead = layer->q + (panel + 1) * ENCODER_BLOCK_N * layer->k;
    size_t column = panel * ENCODER_BLOCK_N;
    for (size_t c = 0; c < ENCODER_BLOCK_N; c += LANES)
        int8_tile(x, first, rows, layer, column + c, ahead + c * layer->k, lines, act, out, out_stride);
}

#include "simd/int8_rows.h"

const struct encoder_kernels encoder_kernels_avxvnni = {.linear_int8 = linear_int8, LANES_KERNELS};
