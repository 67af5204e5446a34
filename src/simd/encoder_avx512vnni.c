/* encoder_avx512vnni.c: the encoder with AVX-512 and VPDPBUSD.
 *
 * VPDPBUSD multiplies 64 unsigned by 64 signed bytes and adds groups of four to 16 int32 lanes, exactly. A tile is
 * 6 rows by 64 output channels. It takes 29 of 32 registers: 24 accumulators, four registers of weights and one
 * that repeats four activations. The kernel writes the instruction in assembly, because gcc 12 copies and spills
 * the accumulators of the intrinsic, which halves the speed. The assembly updates its operand in place.
 */
#include "simd/lanes_avx512.h"

#include "simd/encoder_lanes.h"

UNROLLED __m512i dot4(__m512i sum, __m512i activations, __m512i weights)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(activations), "v"(weights));
    return sum;
}

static inline int32_t load_four(const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return four;
}

/* Turns the integers into floats with scale and bias, then applies GELU if asked, all in registers. */
UNROLLED void store_tile(__m512i acc[TILE_ROWS][4], const struct u8_rows *x, size_t first, size_t rows,
                         const struct int8_linear *layer, size_t column, enum encoder_activation act, float *out,
                         size_t out_stride)
{
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        lanes scale = lanes_set(x->scale[first + r]), low = lanes_set(x->low[first + r]), y[4];
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++) {
            size_t at = column + c * LANES;
            y[c] = lanes_fma(scale, _mm512_cvtepi32_ps(acc[r][c]), lanes_mul(low, lanes_load(layer->sum + at)));
            y[c] = lanes_fma(y[c], lanes_load(layer->scale + at), lanes_load(layer->bias + at));
        }
        if (act == ENCODER_GELU)
            gelu_tile(y, 4);
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++)
            lanes_store(out + (first + r) * out_stride + column + c * LANES, y[c]);
    }
}

/* Computes one tile. Meanwhile prefetches the weights at `ahead`, `lines` cache lines per four input channels. */
UNROLLED void int8_tile(const struct u8_rows *x, size_t first, size_t rows, const struct int8_linear *layer,
                        size_t panel, const int8_t *ahead, size_t lines, enum encoder_activation act, float *out,
                        size_t out_stride)
{
    const uint8_t *a = x->q + first * x->k;
    const int8_t *w = layer->q + panel * ENCODER_BLOCK_N * layer->k;
    __m512i acc[TILE_ROWS][4];
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++)
            acc[r][c] = _mm512_setzero_si512();
    }
    for (size_t k = 0; k < layer->k; k += ENCODER_BLOCK_K) {
        __m512i weights[4];
        UNROLL_LOOP
        for (size_t c = 0; c < 4; c++)
            weights[c] = _mm512_loadu_si512(w + k * ENCODER_BLOCK_N + c * 64);
        for (size_t l = 0; l < lines; l++, ahead += 64)
            _mm_prefetch((const char *)ahead, _MM_HINT_T0);
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++) {
            __m512i activations = _mm512_set1_epi32(load_four(a + r * x->k + k));
            UNROLL_LOOP
            for (size_t c = 0; c < 4; c++)
                acc[r][c] = dot4(acc[r][c], activations, weights[c]);
        }
    }
    store_tile(acc, x, first, rows, layer, panel * ENCODER_BLOCK_N, act, out, out_stride);
}

/* Spreads rows over tiles evenly (27 rows as 6, 6, 5, 5, 5), because a tile of few rows waits for its weights.
 * Each tile prefetches its share of the next panel, so that the weights of a short text arrive from the L3 cache
 * or memory during the multiplications. Behind the last panel lie the layer's scales and, in a packed model, the
 * next layer. A prefetch beyond the memory does nothing. */
static void linear_int8(const struct u8_rows *x, size_t rows, const struct int8_linear *layer, size_t panel_begin,
                        size_t panel_end, enum encoder_activation act, float *out, size_t out_stride)
{
    size_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS, lines = tiles >= 4 ? 1 : tiles >= 2 ? 2 : 4;
    for (size_t panel = panel_begin; panel < panel_end; panel++) {
        const int8_t *ahead = layer->q + (panel + 1) * ENCODER_BLOCK_N * layer->k;
        size_t r = 0;
        for (size_t left = tiles; left > 0; left--) {
            size_t take = (rows - r + left - 1) / left;
            switch (take) {
            case 6: int8_tile(x, r, 6, layer, panel, ahead, lines, act, out, out_stride); break;
            case 5: int8_tile(x, r, 5, layer, panel, ahead, lines, act, out, out_stride); break;
            case 4: int8_tile(x, r, 4, layer, panel, ahead, lines, act, out, out_stride); break;
            case 3: int8_tile(x, r, 3, layer, panel, ahead, lines, act, out, out_stride); break;
            case 2: int8_tile(x, r, 2, layer, panel, ahead, lines, act, out, out_stride); break;
            default: int8_tile(x, r, 1, layer, panel, ahead, lines, act, out, out_stride); break;
            }
            r += take;
            ahead += layer->k / ENCODER_BLOCK_K * lines * 64;
        }
    }
}

const struct encoder_kernels encoder_kernels_avx512vnni = {.linear_int8 = linear_int8, LANES_KERNELS};
