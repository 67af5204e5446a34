/* peak_avxvnni.c: how many operations a second VPDPBUSD can do at most on 256 bits (AVX-VNNI); the other two peaks are
 * those of AVX2. */
#include "simd/peak_lanes_avx2.h"

static uint64_t peak_int8(uint64_t rounds)
{
    __m256i sum[CHAINS], a = _mm256_set1_epi8(85), b = _mm256_set1_epi8(-3);
    UNROLL_LOOP
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm256_setzero_si256();
    for (uint64_t r = 0; r < rounds; r++) {
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum[i]) : "x"(a), "x"(b));
    }
    return rounds * CHAINS * 32 * 2;
}

const struct peak_kernels peak_kernels_avxvnni = {peak_int8, peak_fp32, peak_read};
