/* encoder_avx2.c: the encoder with AVX2 and FMA.
 *
 * VPMADDUBSW would add two u8 * s8 products into 16 saturating bits, which is wrong (2 * 255 * 127 does not
 * fit). So bytes are widened to 16 bits and VPMADDWD adds pairs of products into 32 bits, exactly. Multiplying,
 * adding and widening share three ports, so what counts is to widen seldom: activations once for all channels of
 * a panel, weights once for six rows. A tile is 6 rows by 8 output channels: 12 accumulators, in which lanes 2c
 * and 2c + 1 both belong to channel c.
 */
#include "simd/lanes_avx2.h"

#include "simd/encoder_lanes.h"

enum {
    INT8_ROWS = 6,
    INT8_COLUMNS = 8,
    INT8_DEPTH = 384 /* input channels at a time: those weights of a panel stay in the L1 cache */
};

/* What a group of rows needs over one panel. */
struct int8_group {
    uint16_t x[INT8_ROWS][INT8_DEPTH]; /* activations, widened */
    int32_t sums[INT8_ROWS][ENCODER_BLOCK_N];
};

static void widen(const uint8_t *q, size_t count, uint16_t *x)
{
    size_t k = 0;
    for (; k + 16 <= count; k += 16)
        _mm256_storeu_si256((__m256i *)(void *)(x + k),
                            _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(q + k))));
    for (; k < count; k++)
        x[k] = q[k];
}

/* Four activations, four times over. */
UNROLLED __m256i repeat_four(const uint16_t *p)
{
    int64_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi64x(four);
}

UNROLLED __m256i widen_weights(const int8_t *w)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)w));
}

/* sum + x * weights, pairs of 16 bits added up. As assembly because gcc 12 keeps the accumulators of the intrinsics in
 * memory; 12 of them, two weights, x and the product are all 16 registers. */
UNROLLED __m256i add_products(__m256i sum, __m256i x, __m256i weights)
{
    __m256i product;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sum), "=&x"(product) : "x"(x), "x"(weights));
    return sum;
}

/* Adds the products of `depth` input channels to the sums of 8 output channels from `column` of the panel on. */
UNROLLED void int8_tile(struct int8_group *g, size_t rows, size_t depth, const int8_t *w, size_t column)
{
    __m256i acc[INT8_ROWS][2];
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = _mm256_setzero_si256();
    for (size_t k = 0; k < depth; k += ENCODER_BLOCK_K) {
        const int8_t *step = w + k * ENCODER_BLOCK_N + column * ENCODER_BLOCK_K;
        __m256i low = widen_weights(step), high = widen_weights(step + 16);
        UNROLL_LOOP
        for (size_t r = 0; r < rows; r++) {
            __m256i x = repeat_four(&g->x[r][k]);
            acc[r][0] = add_products(acc[r][0], x, low);
            acc[r][1] = add_products(acc[r][1], x, high);
        }
    }
    UNROLL_LOOP
    for (size_t r = 0; r < rows; r++) {
        __m256i *sums = (__m256i *)(void *)&g->sums[r][column];
        __m256i joined = _mm256_permute4x64_epi64(_mm256_hadd_epi32(acc[r][0], acc[r][1]), 0xd8);
        _mm256_storeu_si256(sums, _mm256_add_epi32(_mm256_loadu_si256(sums), joined));
    }
}

/* Scale, bias and GELU for one row of a panel. */
static void finish_row(const int32_t *sums, float scale, float low, const struct int8_linear *layer, size_t column,
                       enum encoder_activation act, float *out)
{
    for (size_t c = 0; c < ENCODER_BLOCK_N; c += LANES) {
        const __m256i *at = (const __m256i *)(const void *)(sums + c);
        lanes sum = {_mm256_cvtepi32_ps(_mm256_loadu_si256(at)), _mm256_cvtepi32_ps(_mm256_loadu_si256(at + 1))};
        lanes y = lanes_fma(lanes_set(scale), sum, lanes_mul(lanes_set(low), lanes_load(layer->sum + column + c)));
        y = lanes_fma(y, lanes_load(layer->scale + column + c), lanes_load(layer->bias + column + c));
        if (act == ENCODER_GELU)
            gelu_tile(&y, 1);
        lanes_store(out + c, y);
    }
}

UNROLLED void int8_panel(const struct u8_rows *x, size_t first, size_t rows, const struct int8_linear *layer,
                         size_t panel, enum encoder_activation act, float *out, size_t out_stride)
{
    struct int8_group g;
    memset(g.sums, 0, sizeof g.sums);
    for (size_t k = 0; k < layer->k; k += INT8_DEPTH) {
        size_t depth = layer->k - k < INT8_DEPTH ? layer->k - k : INT8_DEPTH;
        for (size_t r = 0; r < rows; r++)
            widen(x->q + (first + r) * x->k + k, depth, g.x[r]);
        const int8_t *w = layer->q + (panel * layer->k + k) * ENCODER_BLOCK_N;
        for (size_t c = 0; c < ENCODER_BLOCK_N; c += INT8_COLUMNS)
            int8_tile(&g, rows, depth, w, c);
    }
    for (size_t r = first; r < first + rows; r++)
        finish_row(g.sums[r - first], x->scale[r], x->low[r], layer, panel * ENCODER_BLOCK_N, act,
                   out + r * out_stride + panel * ENCODER_BLOCK_N);
}

#include "simd/int8_rows.h"

const struct encoder_kernels encoder_kernels_avx2 = {.linear_int8 = linear_int8, LANES_KERNELS};
