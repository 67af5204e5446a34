/* simd/scan_x86.h: the scan kernels of integers and bits with 256-bit registers, for AVX2 and AVX-512 machines.
 *
 * scan_avx2.c and scan_avx512.c include this header. Both instruction sets have POPCNT, which is older than AVX.
 */
#ifndef SIMD_SCAN_X86_H
#define SIMD_SCAN_X86_H

#include <immintrin.h>
#include <string.h>

#include "simd/scan.h"

/* Expands sixteen 4-bit components (eight bytes) to sixteen bytes. */
static inline __m128i bytes_of_u4(const uint8_t *p)
{
    __m128i pairs = _mm_loadl_epi64((const __m128i *)p), low = _mm_set1_epi8(15);
    return _mm_unpacklo_epi8(_mm_and_si128(pairs, low), _mm_and_si128(_mm_srli_epi16(pairs, 4), low));
}

/* Loads twelve bytes and reads none behind them. */
static inline __m128i twelve_bytes(const uint8_t *p)
{
    int last;
    memcpy(&last, p + 8, sizeof last);
    return _mm_insert_epi32(_mm_loadl_epi64((const __m128i *)p), last, 2);
}

static inline uint64_t eight_bytes(const uint8_t *p)
{
    uint64_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return bytes;
}

/* Returns the last bytes of a row, fewer than eight, as an integer. */
static inline uint64_t last_bytes(const uint8_t *p, size_t n)
{
    uint64_t bytes = 0;
    memcpy(&bytes, p, n);
    return bytes;
}

static inline uint64_t ones_of(uint64_t x)
{
    return (uint64_t)__builtin_popcountll(x);
}

/* Scores one row. Callers pass a constant for count where that pays, so that the inner loop unrolls. */
static inline __attribute__((always_inline)) uint64_t plane_dot(const uint8_t *planes, size_t count, size_t bytes,
                                                                const uint8_t *code, uint64_t *ones)
{
    size_t whole = bytes / 8 * 8, part = bytes - whole;
    uint64_t dot = 0, sum = 0;
    for (size_t b = 0; b < whole; b += 8) {
        uint64_t bits = eight_bytes(code + b);
        sum += ones_of(bits);
#pragma GCC unroll 8
        for (size_t j = 0; j < count; j++)
            dot += ones_of(bits & eight_bytes(planes + j * bytes + b)) << j;
    }
    if (part > 0) {
        uint64_t bits = last_bytes(code + whole, part);
        sum += ones_of(bits);
        for (size_t j = 0; j < count; j++)
            dot += ones_of(bits & last_bytes(planes + j * bytes + whole, part)) << j;
    }
    *ones = sum;
    return dot;
}

/* Queries are usually rounded to eight or four planes. */
static void plane_dots(const uint8_t *planes, size_t count, size_t bytes, const uint8_t *codes, size_t stride,
                       size_t n, uint64_t *dots, uint64_t *ones)
{
    if (count == 8)
        for (size_t r = 0; r < n; r++, codes += stride)
            dots[r] = plane_dot(planes, 8, bytes, codes, &ones[r]);
    else if (count == 4)
        for (size_t r = 0; r < n; r++, codes += stride)
            dots[r] = plane_dot(planes, 4, bytes, codes, &ones[r]);
    else
        for (size_t r = 0; r < n; r++, codes += stride)
            dots[r] = plane_dot(planes, count, bytes, codes, &ones[r]);
}

/* Loads one byte of each of eight rows, one row per lane. */
static inline __m256i byte_of_rows(const uint8_t *codes, size_t stride)
{
    return _mm256_setr_epi32(codes[0], codes[stride], codes[2 * stride], codes[3 * stride], codes[4 * stride],
                             codes[5 * stride], codes[6 * stride], codes[7 * stride]);
}

/* Scores eight rows at once. */
static void bit_sums(const float *query, size_t dim, const uint8_t *codes, size_t stride, size_t n, float *out)
{
    size_t r = 0;
    for (; r + 8 <= n; r += 8, codes += 8 * stride) {
        __m256 sum = _mm256_setzero_ps();
        for (size_t i = 0; i < dim;) {
            /* Each step moves one bit into the sign, which selects the query's component or 0. */
            __m256i bits = _mm256_slli_epi32(byte_of_rows(codes + i / 8, stride), 24);
            size_t end = dim - i < 8 ? dim : i + 8;
            for (size_t bit = 0; i < end; i++, bit++) {
                __m256i sign = _mm256_sllv_epi32(bits, _mm256_set1_epi32((int)(7 - bit)));
                __m256i chosen = _mm256_srai_epi32(sign, 31);
                sum = _mm256_add_ps(sum, _mm256_and_ps(_mm256_castsi256_ps(chosen), _mm256_set1_ps(query[i])));
            }
        }
        _mm256_storeu_ps(out + r, sum);
    }
    scan_kernels_scalar.bit_sums(query, dim, codes, stride, n - r, out + r);
}

/* The sum is one chain of additions, so lanes do not help. */
static float signed_sum(const float *query, size_t dim, const uint8_t *signs, const uint8_t *extra, size_t bits,
                        float bias)
{
    return scan_kernels_scalar.signed_sum(query, dim, signs, extra, bits, bias);
}

/* `larger` flips the signs: x ≥ worst is -x ≤ -worst. */
static uint64_t scores_reaching(const float *scores, size_t n, float worst, bool larger)
{
    const __m256 flip = _mm256_set1_ps(larger ? -0.0f : 0.0f);
    const __m256 bound = _mm256_xor_ps(_mm256_set1_ps(worst), flip);
    uint64_t reached = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 x = _mm256_xor_ps(_mm256_loadu_ps(scores + i), flip);
        reached |= (uint64_t)(unsigned)_mm256_movemask_ps(_mm256_cmp_ps(x, bound, _CMP_LE_OQ)) << i;
    }
    return i < n ? reached | scan_kernels_scalar.reaching(scores + i, n - i, worst, larger) << i : reached;
}

/* HALF_ROWS rows run side by side. HALF_STEPS steps fit into 16 bits: each adds at most 2 * (15 * 127 + 15 * 127). Codes
 * are asked for HALF_AHEAD bytes before their turn, because the processor's own prefetcher stops every 4 KB. */
enum { HALF_ROWS = 4, HALF_STEPS = 4, HALF_AHEAD = 6144 };

/* Adds the products of one step of a row: SCAN_HALVES bytes with 2 * SCAN_HALVES components of the query. */
static inline __m256i half_step(__m256i sum, __m256i low, __m256i high, const uint8_t *code)
{
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i pairs = _mm256_loadu_si256((const __m256i *)code);
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(_mm256_and_si256(pairs, mask), low));
    pairs = _mm256_and_si256(_mm256_srli_epi16(pairs, 4), mask);
    return _mm256_add_epi16(sum, _mm256_maddubs_epi16(pairs, high));
}

/* Scores `count` ≤ HALF_ROWS rows. Callers pass a constant, so that the sums stay in registers. */
static inline __attribute__((always_inline)) void half_rows(const int8_t *query, const uint8_t *codes,
                                                            size_t bytes, size_t count, int32_t *dots)
{
    __m256i sums[HALF_ROWS];
#pragma GCC unroll 4
    for (size_t r = 0; r < count; r++)
        sums[r] = _mm256_setzero_si256();
    for (size_t b = 0; b < bytes;) {
        size_t end = bytes - b < HALF_STEPS * SCAN_HALVES ? bytes : b + HALF_STEPS * SCAN_HALVES;
        __m256i part[HALF_ROWS];
#pragma GCC unroll 4
        for (size_t r = 0; r < count; r++)
            part[r] = _mm256_setzero_si256();
        for (; b < end; b += SCAN_HALVES) {
            __m256i low = _mm256_loadu_si256((const __m256i *)(query + 2 * b));
            __m256i high = _mm256_loadu_si256((const __m256i *)(query + 2 * b + SCAN_HALVES));
#pragma GCC unroll 4
            for (size_t r = 0; r < count; r++)
                part[r] = half_step(part[r], low, high, codes + r * bytes + b);
        }
#pragma GCC unroll 4
        for (size_t r = 0; r < count; r++)
            sums[r] = _mm256_add_epi32(sums[r], _mm256_madd_epi16(part[r], _mm256_set1_epi16(1)));
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < count; r++) {
        __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums[r]), _mm256_extracti128_si256(sums[r], 1));
        four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
        dots[r] = _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
    }
}

static void half_dots(const int8_t *query, const uint8_t *codes, size_t bytes, size_t n, int32_t *dots)
{
    size_t r = 0;
    for (; r + HALF_ROWS <= n; r += HALF_ROWS) {
        const uint8_t *next = codes + r * bytes + HALF_AHEAD;
        for (size_t at = 0; at < HALF_ROWS * bytes; at += 64)
            _mm_prefetch((const char *)next + at, _MM_HINT_T0);
        half_rows(query, codes + r * bytes, bytes, HALF_ROWS, dots + r);
    }
    for (; r < n; r++)
        half_rows(query, codes + r * bytes, bytes, 1, dots + r);
}

#endif
