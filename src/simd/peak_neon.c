/* peak_neon.c: the peak of three instructions that multiply sixteen bytes: SMULL makes eight 16-bit products,
 * SMLAL2 adds eight more, and SADALP adds pairs of these sums to 32-bit sums. */
#include "simd/peak_lanes_neon.h"

static uint64_t peak_int8(uint64_t rounds)
{
    int32x4_t sum[CHAINS];
    int16x8_t pairs;
    int8x16_t a = vdupq_n_s8(85), b = vdupq_n_s8(-3);
    UNROLL_LOOP
    for (int i = 0; i < CHAINS; i++)
        sum[i] = vdupq_n_s32(0);
    for (uint64_t r = 0; r < rounds; r++) {
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("smull %1.8h, %2.8b, %3.8b\n\tsmlal2 %1.8h, %2.16b, %3.16b\n\tsadalp %0.4s, %1.8h"
                             : "+w"(sum[i]), "=&w"(pairs)
                             : "w"(a), "w"(b));
    }
    return rounds * CHAINS * 16 * 2;
}

const struct peak_kernels peak_kernels_neon = {peak_int8, peak_fp32, peak_read};
