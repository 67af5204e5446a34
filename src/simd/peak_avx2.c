/* peak_avx2.c: measures the peak rate of the exact products of bytes that encoder_avx2.c uses. It adds three
 * VPMADDUBSW in 16 bits, centres the sum, joins pairs by VPMADDWD, and adds them to 32-bit sums.
 */
#include "simd/peak_lanes_avx2.h"

static uint64_t peak_int8(uint64_t rounds)
{
    enum { SUMS = 8 };
    __m256i sum[SUMS], x = _mm256_set1_epi8(85), w = _mm256_set1_epi8(-3), centre = _mm256_set1_epi16(9),
                       ones = _mm256_set1_epi16(1), words, more;
    UNROLL_LOOP
    for (int i = 0; i < SUMS; i++)
        sum[i] = _mm256_setzero_si256();
    for (uint64_t r = 0; r < rounds; r++) {
        UNROLL_LOOP
        for (int i = 0; i < SUMS; i++)
            __asm__ volatile("vpmaddubsw %4, %3, %1\n\t"
                             "vpmaddubsw %4, %3, %2\n\t"
                             "vpaddw %2, %1, %1\n\t"
                             "vpmaddubsw %4, %3, %2\n\t"
                             "vpaddw %2, %1, %1\n\t"
                             "vpsubw %5, %1, %1\n\t"
                             "vpmaddwd %6, %1, %1\n\t"
                             "vpaddd %1, %0, %0"
                             : "+x"(sum[i]), "=&x"(words), "=&x"(more)
                             : "x"(x), "x"(w), "x"(centre), "x"(ones));
    }
    return rounds * SUMS * 3 * 32 * 2;
}

const struct peak_kernels peak_kernels_avx2 = {peak_int8, peak_fp32, peak_read};
