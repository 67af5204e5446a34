/* simd/peak_lanes_avx2.h: the peak kernels that AVX2 and AVX-VNNI share: all except the product of bytes.
 *
 * Twelve of the sixteen 256-bit registers are accumulators. Two operands and one temporary take three more.
 */
#ifndef SIMD_PEAK_LANES_AVX2_H
#define SIMD_PEAK_LANES_AVX2_H

#include <immintrin.h>

#include "simd/encoder_math.h"
#include "simd/peak.h"

enum { CHAINS = 12 };

static uint64_t peak_fp32(uint64_t rounds)
{
    __m256 sum[CHAINS], a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
    UNROLL_LOOP
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm256_setzero_ps();
    for (uint64_t r = 0; r < rounds; r++) {
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("vfmadd231ps %2, %1, %0" : "+x"(sum[i]) : "x"(a), "x"(b));
    }
    return rounds * CHAINS * 8 * 2;
}

static uint64_t peak_read(const uint8_t *bytes, size_t len)
{
    __m256i sum[8];
    UNROLL_LOOP
    for (int i = 0; i < 8; i++)
        sum[i] = _mm256_setzero_si256();
    for (size_t at = 0; at < len; at += sizeof sum) {
        UNROLL_LOOP
        for (int i = 0; i < 8; i++)
            sum[i] = _mm256_xor_si256(
                sum[i], _mm256_load_si256((const __m256i *)(const void *)(bytes + at + (size_t)i * 32)));
    }
    UNROLL_LOOP
    for (int i = 1; i < 8; i++)
        sum[0] = _mm256_xor_si256(sum[0], sum[i]);
    uint64_t words[4];
    _mm256_storeu_si256((__m256i *)(void *)words, sum[0]);
    return words[0] ^ words[1] ^ words[2] ^ words[3];
}

#endif
