/* simd/lanes_avx2.h: sixteen floats as two AVX2 registers, for encoder_lanes.h. */
#ifndef SIMD_LANES_AVX2_H
#define SIMD_LANES_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "simd/encoder_math.h"

/* Sizes of tiles. The accumulators of a tile stay in the 16 registers; sixteen lanes take two. */
enum {
    TILE_ROWS = 5,      /* rows of a linear layer */
    TILE_LANES = 1,     /* 16-column groups of a linear layer */
    SCORE_KEYS = 4,     /* keys against sixteen queries */
    SCORE_KEYS_FEW = 4, /* keys of a tile once fewer than SCORE_KEYS keys are left */
    VALUE_ROWS = 4,     /* queries against values */
    VALUE_ROWS_FEW = 2, /* queries of a tile once at most VALUE_ROWS_FEW queries are left */
    VALUE_LANES = 1     /* 16-column groups of values */
};

/* A value type for sixteen lanes; like __m512, functions pass it only by value. */
typedef struct {
    __m256 low, high;
} lanes;

static inline lanes lanes_set(float x)
{
    return (lanes){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
static inline lanes lanes_load(const float *p)
{
    return (lanes){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
static inline void lanes_store(float *p, lanes a)
{
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
}
/* Loads the first n < 16 floats of p, and `fill` into the other lanes. */
static inline lanes lanes_load_part(const float *p, size_t n, float fill)
{
    float part[16];
    lanes_store(part, lanes_set(fill));
    memcpy(part, p, n * sizeof *p);
    return lanes_load(part);
}
static inline void lanes_store_part(float *p, size_t n, lanes a)
{
    float part[16];
    lanes_store(part, a);
    memcpy(p, part, n * sizeof *p);
}
static inline lanes lanes_add(lanes a, lanes b)
{
    return (lanes){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
static inline lanes lanes_sub(lanes a, lanes b)
{
    return (lanes){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
static inline lanes lanes_mul(lanes a, lanes b)
{
    return (lanes){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
static inline lanes lanes_div(lanes a, lanes b)
{
    return (lanes){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
static inline lanes lanes_fma(lanes a, lanes b, lanes c) /* a * b + c */
{
    return (lanes){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
static inline lanes lanes_max(lanes a, lanes b) /* a > b ? a : b */
{
    return (lanes){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
static inline lanes lanes_min(lanes a, lanes b) /* a < b ? a : b */
{
    return (lanes){_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
static inline lanes lanes_minus_abs(lanes a) /* -|a| */
{
    __m256 sign = _mm256_set1_ps(-0.0f);
    return (lanes){_mm256_or_ps(a.low, sign), _mm256_or_ps(a.high, sign)};
}
static inline __m256 scale_half(__m256 p, __m256 t)
{
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(t), 23)));
}
/* Returns p * 2^n, where n is the low bits of t (EXP_ROUND). */
static inline lanes lanes_scale(lanes p, lanes t)
{
    return (lanes){scale_half(p.low, t.low), scale_half(p.high, t.high)};
}
/* Returns the sum of the lanes. Adds upper halves to lower halves, in the order of the scalar kernel. */
static inline float lanes_sum(lanes a)
{
    __m256 b = _mm256_add_ps(a.low, a.high);
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
static inline float lanes_max_of(lanes a)
{
    __m256 b = _mm256_max_ps(a.low, a.high);
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}
static inline float lanes_min_of(lanes a)
{
    __m256 b = _mm256_min_ps(a.low, a.high);
    __m128 c = _mm_min_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_min_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_min_ss(c, _mm_movehdup_ps(c)));
}
/* Transposes eight by eight floats: first pairs change places, then fours, then 128-bit halves. */
static inline void transpose_eight(__m256 m[8])
{
    __m256 a[8], b[8];
    UNROLL_LOOP
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps(m[i], m[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(m[i], m[i + 1]);
    }
    UNROLL_LOOP
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    UNROLL_LOOP
    for (int i = 0; i < 4; i++) {
        m[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        m[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}
/* Transposes sixteen by sixteen floats: each quarter by itself. The two quarters off the diagonal change
 * places. */
static inline void lanes_transpose(lanes m[16])
{
    __m256 quarter[4][8];
    UNROLL_LOOP
    for (int i = 0; i < 8; i++) {
        quarter[0][i] = m[i].low;
        quarter[1][i] = m[i + 8].low;
        quarter[2][i] = m[i].high;
        quarter[3][i] = m[i + 8].high;
    }
    for (int i = 0; i < 4; i++)
        transpose_eight(quarter[i]);
    UNROLL_LOOP
    for (int i = 0; i < 8; i++) {
        m[i] = (lanes){quarter[0][i], quarter[1][i]};
        m[i + 8] = (lanes){quarter[2][i], quarter[3][i]};
    }
}
/* ---- pairs of 16-bit integers in each lane, for attention_lanes.h ---- */

static inline __m256 integers_half(__m256 a, __m256 b)
{
    __m256i high = _mm256_slli_epi32(_mm256_castps_si256(b), 16);
    return _mm256_castsi256_ps(_mm256_blend_epi16(_mm256_castps_si256(a), high, 0xaa));
}
/* Packs the low 16 bits of each lane of a and b into one lane, a below b. */
static inline lanes lanes_integers(lanes a, lanes b)
{
    return (lanes){integers_half(a.low, b.low), integers_half(a.high, b.high)};
}
/* It is assembly, because gcc 12 copies the sums of the intrinsics. Without {vex}, the assembler would choose
 * AVX-512's encoding. */
static inline __m256 products_half(__m256 a, __m256 b, __m256 sum)
{
#ifdef __AVXVNNI__
    __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
#else
    __m256 product;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sum), "=&x"(product) : "x"(a), "x"(b));
#endif
    return sum;
}
/* Adds to `sum` the two products of each lane, in 32 bits. All lanes of a must be equal. */
static inline lanes lanes_add_products(lanes a, lanes b, lanes sum)
{
    return (lanes){products_half(a.low, b.low, sum.low), products_half(a.high, b.high, sum.high)};
}
/* Does what lanes_add_products does, with the two integers at `a` in all lanes. */
static inline lanes lanes_add_products_of(const float *a, lanes b, lanes sum)
{
    return lanes_add_products(lanes_set(*a), b, sum);
}
static inline lanes lanes_from_products(lanes sum)
{
    return (lanes){_mm256_cvtepi32_ps(_mm256_castps_si256(sum.low)),
                   _mm256_cvtepi32_ps(_mm256_castps_si256(sum.high))};
}
/* Converts sixteen signed bytes to floats. */
static inline lanes lanes_from_int8(const int8_t *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return (lanes){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                   _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
}
/* Stores floats within [0, 255.5) as the nearest integers, ties to even; NaN as 0. */
static inline void lanes_store_rounded(uint8_t *p, lanes a)
{
    __m256i low = _mm256_cvtps_epi32(a.low), high = _mm256_cvtps_epi32(a.high);
    __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
    _mm_storeu_si128((__m128i *)p,
                     _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

#endif
