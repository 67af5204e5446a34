/* peak_avx512vnni.c: the peak of VPDPBUSD and fused multiply-adds on 24 accumulators of 512 bits. */
#include <immintrin.h>

#include "simd/encoder_math.h"
#include "simd/peak.h"

enum { CHAINS = 12, TWICE = 2 }; /* two groups of chains, each short enough for UNROLL_LOOP */

static uint64_t peak_int8(uint64_t rounds)
{
    __m512i low[CHAINS], high[CHAINS], a = _mm512_set1_epi8(85), b = _mm512_set1_epi8(-3);
    UNROLL_LOOP
    for (int i = 0; i < CHAINS; i++)
        low[i] = high[i] = _mm512_setzero_si512();
    for (uint64_t r = 0; r < rounds; r++) {
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(low[i]) : "v"(a), "v"(b));
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(high[i]) : "v"(a), "v"(b));
    }
    return rounds * TWICE * CHAINS * 64 * 2;
}

static uint64_t peak_fp32(uint64_t rounds)
{
    __m512 low[CHAINS], high[CHAINS], a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
    UNROLL_LOOP
    for (int i = 0; i < CHAINS; i++)
        low[i] = high[i] = _mm512_setzero_ps();
    for (uint64_t r = 0; r < rounds; r++) {
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("vfmadd231ps %2, %1, %0" : "+v"(low[i]) : "v"(a), "v"(b));
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("vfmadd231ps %2, %1, %0" : "+v"(high[i]) : "v"(a), "v"(b));
    }
    return rounds * TWICE * CHAINS * 16 * 2;
}

static uint64_t peak_read(const uint8_t *bytes, size_t len)
{
    __m512i sum[8];
    UNROLL_LOOP
    for (int i = 0; i < 8; i++)
        sum[i] = _mm512_setzero_si512();
    for (size_t at = 0; at < len; at += sizeof sum) {
        UNROLL_LOOP
        for (int i = 0; i < 8; i++)
            sum[i] = _mm512_xor_si512(sum[i], _mm512_load_si512(bytes + at + (size_t)i * 64));
    }
    UNROLL_LOOP
    for (int i = 1; i < 8; i++)
        sum[0] = _mm512_xor_si512(sum[0], sum[i]);
    uint64_t words[8], all = 0;
    _mm512_storeu_si512(words, sum[0]);
    for (int i = 0; i < 8; i++)
        all ^= words[i];
    return all;
}

const struct peak_kernels peak_kernels_avx512vnni = {peak_int8, peak_fp32, peak_read};
