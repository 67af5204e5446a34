/* simd/lanes_avx512.h: sixteen floats as one AVX-512 register, for encoder_lanes.h. */
#ifndef SIMD_LANES_AVX512_H
#define SIMD_LANES_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "simd/encoder_math.h"

/* Tiles whose accumulators stay in the 32 registers. */
enum {
    TILE_ROWS = 6, /* rows and 16-column groups of a linear layer */
    TILE_LANES = 4,
    SCORE_KEYS = 16, /* keys against sixteen queries; …_FEW: for the rest, which is smaller */
    SCORE_KEYS_FEW = 8,
    VALUE_ROWS = 8, /* queries and 16-column groups of values */
    VALUE_ROWS_FEW = 4,
    VALUE_LANES = 2
};

typedef __m512 lanes;

static inline lanes lanes_set(float x)
{
    return _mm512_set1_ps(x);
}
static inline lanes lanes_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void lanes_store(float *p, lanes a)
{
    _mm512_storeu_ps(p, a);
}
/* The first n < 16 floats of p, and `fill` in the other lanes. */
static inline lanes lanes_load_part(const float *p, size_t n, float fill)
{
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), (__mmask16)((1u << n) - 1), p);
}
static inline void lanes_store_part(float *p, size_t n, lanes a)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), a);
}
static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm512_add_ps(a, b);
}
static inline lanes lanes_sub(lanes a, lanes b)
{
    return _mm512_sub_ps(a, b);
}
static inline lanes lanes_mul(lanes a, lanes b)
{
    return _mm512_mul_ps(a, b);
}
static inline lanes lanes_div(lanes a, lanes b)
{
    return _mm512_div_ps(a, b);
}
static inline lanes lanes_fma(lanes a, lanes b, lanes c) /* a * b + c */
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline lanes lanes_max(lanes a, lanes b) /* a > b ? a : b */
{
    return _mm512_max_ps(a, b);
}
static inline lanes lanes_min(lanes a, lanes b) /* a < b ? a : b */
{
    return _mm512_min_ps(a, b);
}
static inline lanes lanes_minus_abs(lanes a) /* -|a| */
{
    return _mm512_or_ps(a, _mm512_set1_ps(-0.0f));
}
/* p * 2^n where n is the low bits of t (see EXP_ROUND). */
static inline lanes lanes_scale(lanes p, lanes t)
{
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(t), 23)));
}
/* The upper half. Sums, maxima and minima of all lanes fold the upper half onto the lower one, in the order of the
 * scalar tree. */
static inline __m256 lanes_high(lanes a)
{
    return _mm512_extractf32x8_ps(a, 1);
}
static inline float lanes_sum(lanes a)
{
    __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), lanes_high(a));
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
static inline float lanes_max_of(lanes a)
{
    __m256 b = _mm256_max_ps(_mm512_castps512_ps256(a), lanes_high(a));
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}
static inline float lanes_min_of(lanes a)
{
    __m256 b = _mm256_min_ps(_mm512_castps512_ps256(a), lanes_high(a));
    __m128 c = _mm_min_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_min_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_min_ss(c, _mm_movehdup_ps(c)));
}
/* Transposes 16 x 16 floats: first exchanges pairs, then groups of four, then 128-bit quarters. */
static inline void lanes_transpose(lanes m[16])
{
    __m512 a[16], b[16];
    UNROLL_LOOP
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_ps(m[i], m[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps(m[i], m[i + 1]);
    }
    UNROLL_LOOP
    for (int i = 0; i < 16; i += 4) {
        b[i] = _mm512_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm512_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    UNROLL_LOOP
    for (int i = 0; i < 4; i++) {
        __m512 low = _mm512_shuffle_f32x4(b[i], b[i + 4], 0x88), high = _mm512_shuffle_f32x4(b[i], b[i + 4], 0xdd);
        __m512 low2 = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0x88),
               high2 = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0xdd);
        m[i] = _mm512_shuffle_f32x4(low, low2, 0x88);
        m[i + 4] = _mm512_shuffle_f32x4(high, high2, 0x88);
        m[i + 8] = _mm512_shuffle_f32x4(low, low2, 0xdd);
        m[i + 12] = _mm512_shuffle_f32x4(high, high2, 0xdd);
    }
}
/* ---- pairs of 16-bit integers in each lane, for attention_lanes.h ---- */

/* Packs the low 16 bits of each lane of a and b into one lane, a below b. */
static inline lanes lanes_integers(lanes a, lanes b)
{
    __m512i high = _mm512_slli_epi32(_mm512_castps_si512(b), 16);
    return _mm512_castsi512_ps(_mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_castps_si512(a), high));
}
/* Adds to `sum` the two products of each lane, in 32 bits. All lanes of a must be equal. It is assembly, because
 * gcc 12 copies the sums of the intrinsic. */
static inline lanes lanes_add_products(lanes a, lanes b, lanes sum)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}
/* Does what lanes_add_products does, with the two integers at `a` in all lanes. */
static inline lanes lanes_add_products_of(const float *a, lanes b, lanes sum)
{
    __asm__("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(b), "m"(*a));
    return sum;
}
static inline lanes lanes_from_products(lanes sum)
{
    return _mm512_cvtepi32_ps(_mm512_castps_si512(sum));
}
/* Sixteen signed bytes as floats. */
static inline lanes lanes_from_int8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
/* Stores floats within [0, 255.5) as the nearest integers, ties to even; NaN as 0. */
static inline void lanes_store_rounded(uint8_t *p, lanes a)
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)));
}

#endif
