/* peak_avx2.c: bytes widened to 16 bits, multiplied and added in pairs (VPMADDWD), then added to 32-bit sums: the
 * exact product of bytes. That widening them costs instructions too is the kernels' loss, not the peak's. */
#include "simd/peak_lanes_avx2.h"

static uint64_t peak_int8(uint64_t rounds)
{
    __m256i sum[CHAINS], a = _mm256_set1_epi16(85), b = _mm256_set1_epi16(-3), pairs;
    UNROLL_LOOP
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm256_setzero_si256();
    for (uint64_t r = 0; r < rounds; r++) {
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
                             : "+x"(sum[i]), "=&x"(pairs)
                             : "x"(a), "x"(b));
    }
    return rounds * CHAINS * 16 * 2;
}

const struct peak_kernels peak_kernels_avx2 = {peak_int8, peak_fp32, peak_read};
