/* encoder_avx2.c: the encoder with AVX2 and FMA.
 *
 * VPMADDUBSW adds two u8 * s8 products in 16 bits. It makes twice as many products as VPMADDWD makes of widened
 * bytes. But it saturates, and sums of its results soon overflow 16 bits. Here both are harmless:
 *
 *   - One instruction never saturates, because activations are at most INT8_LEVELS and the packer keeps
 *     neighbouring weights within INT8_PAIR_MOST.
 *   - The sum of a chunk's three instructions may wrap around modulo 2^16. Then the kernel subtracts INT8_MIDDLE
 *     times the weights, as if the activations were smaller by INT8_MIDDLE. The true result fits into 16 bits
 *     (INT8_LANE_MOST), so it is exact.
 *
 * VPMADDWD with ones then joins a channel's two lanes in 32 bits. Each sum begins with the total that the kernel
 * subtracts: INT8_MIDDLE times the channel's sum of weights. (Khudia et al. 2021, FBGEMM, add in 16 bits too, and
 * keep weights that are too large separately.)
 */
#include "simd/lanes_avx2.h"

#include "simd/encoder_lanes.h"

enum {
    STEPS = INT8_CHUNK / ENCODER_BLOCK_K,
    VECTORS = 8, /* vectors of eight output channels in a panel */
    /* Chunks that linear_int8() computes for a group of rows before the next chunks. Their weights of one panel, 12 KiB,
     * stay in the L1 cache. */
    CHUNKS = 16,
    DEPTH = CHUNKS * INT8_CHUNK,
    STEP = ENCODER_BLOCK_K * ENCODER_BLOCK_N /* bytes of a panel's weights for four input channels */
};

/* For each lane of a panel's chunks: INT8_MIDDLE times the sum of the weights that the lane adds up. */
struct centres {
    __m256i of[CHUNKS][VECTORS];
};

UNROLLED __m256i load_weights(const int8_t *w)
{
    return _mm256_load_si256((const __m256i *)(const void *)w);
}

/* Repeats four activations eight times. */
UNROLLED __m256i repeat_four(const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}

static void find_centres(const int8_t *w, size_t depth, struct centres *centres)
{
    __m256i middle = _mm256_set1_epi8(INT8_MIDDLE);
    for (size_t chunk = 0, steps = depth / ENCODER_BLOCK_K; steps > 0; chunk++) {
        size_t take = steps < STEPS ? steps : STEPS;
        for (size_t c = 0; c < VECTORS; c++) {
            __m256i sum = _mm256_setzero_si256();
            for (size_t s = 0; s < take; s++)
                sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(middle, load_weights(w + s * STEP + c * 32)));
            centres->of[chunk][c] = sum;
        }
        w += take * STEP;
        steps -= take;
    }
}

/* Adds to `acc` the products of one row's activations in a chunk. `steps` is the number of groups of four input
 * channels; the last chunk may have fewer than STEPS. */
UNROLLED void add_chunk(__m256i acc[VECTORS], const uint8_t *q, const int8_t *w, size_t steps,
                        const __m256i centres[VECTORS])
{
    __m256i x[STEPS], ones = _mm256_set1_epi16(1);
    UNROLL_LOOP
    for (size_t s = 0; s < steps; s++)
        x[s] = repeat_four(q + s * ENCODER_BLOCK_K);
    UNROLL_LOOP
    for (size_t c = 0; c < VECTORS; c++) {
        __m256i sum = _mm256_maddubs_epi16(x[0], load_weights(w + c * 32));
        UNROLL_LOOP
        for (size_t s = 1; s < steps; s++)
            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(x[s], load_weights(w + s * STEP + c * 32)));
        acc[c] = _mm256_add_epi32(acc[c], _mm256_madd_epi16(_mm256_sub_epi16(sum, centres[c]), ones));
    }
}

/* Adds the products of `depth` activations of one row to its sums over a panel. */
static void add_row(const uint8_t *q, const int8_t *w, size_t depth, const struct centres *centres, int32_t *sums)
{
    __m256i acc[VECTORS], *at = (__m256i *)(void *)sums;
    UNROLL_LOOP
    for (size_t c = 0; c < VECTORS; c++)
        acc[c] = _mm256_load_si256(at + c);
    const __m256i *centre = centres->of[0];
    for (; depth >= INT8_CHUNK; depth -= INT8_CHUNK, q += INT8_CHUNK, w += STEPS * STEP, centre += VECTORS)
        add_chunk(acc, q, w, STEPS, centre);
    if (depth == 2 * ENCODER_BLOCK_K)
        add_chunk(acc, q, w, 2, centre);
    else if (depth == ENCODER_BLOCK_K)
        add_chunk(acc, q, w, 1, centre);
    UNROLL_LOOP
    for (size_t c = 0; c < VECTORS; c++)
        _mm256_store_si256(at + c, acc[c]);
}

/* Applies scale, bias and, if asked, GELU to one row of a panel. */
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

/* Sets each sum of a panel to the total that add_row() will subtract from it. */
static void begin_sums(const struct int8_linear *layer, size_t column, size_t rows,
                       int32_t sums[][ENCODER_BLOCK_N])
{
    for (size_t c = 0; c < ENCODER_BLOCK_N; c += 8) {
        __m256i sum = _mm256_cvtps_epi32(_mm256_loadu_ps(layer->sum + column + c));
        _mm256_store_si256((__m256i *)(void *)&sums[0][c],
                           _mm256_mullo_epi32(sum, _mm256_set1_epi32(INT8_MIDDLE)));
    }
    for (size_t r = 1; r < rows; r++)
        memcpy(sums[r], sums[0], sizeof sums[0]);
}

static void linear_int8(const struct u8_rows *x, size_t rows, const struct int8_linear *layer, size_t panel_begin,
                        size_t panel_end, enum encoder_activation act, float *out, size_t out_stride)
{
    enum { ROWS = 48 };
    int32_t sums[ROWS][ENCODER_BLOCK_N] __attribute__((aligned(32)));
    struct centres centres;
    for (size_t first = 0; first < rows; first += ROWS)
        for (size_t panel = panel_begin; panel < panel_end; panel++) {
            size_t column = panel * ENCODER_BLOCK_N, end = rows - first < ROWS ? rows : first + ROWS;
            begin_sums(layer, column, end - first, sums);
            for (size_t k = 0; k < layer->k; k += DEPTH) {
                size_t depth = layer->k - k < DEPTH ? layer->k - k : DEPTH;
                const int8_t *w = layer->q + column * layer->k + k * ENCODER_BLOCK_N;
                find_centres(w, depth, &centres);
                for (size_t r = first; r < end; r++)
                    add_row(x->q + r * x->k + k, w, depth, &centres, sums[r - first]);
            }
            for (size_t r = first; r < end; r++)
                finish_row(sums[r - first], x->scale[r], x->low[r], layer, column, act,
                           out + r * out_stride + column);
        }
}

const struct encoder_kernels encoder_kernels_avx2 = {.linear_int8 = linear_int8, LANES_KERNELS};
