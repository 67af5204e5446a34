/* peak_i8mm.c: how many operations a second USMMLA can do at most; the other two peaks are those of NEON. */
#include "simd/peak_lanes_neon.h"

static uint64_t peak_int8(uint64_t rounds)
{
    int32x4_t low[CHAINS], high[CHAINS];
    int8x16_t a = vdupq_n_s8(85), b = vdupq_n_s8(-3);
    UNROLL_LOOP
    for (int i = 0; i < CHAINS; i++)
        low[i] = high[i] = vdupq_n_s32(0);
    for (uint64_t r = 0; r < rounds; r++) {
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("usmmla %0.4s, %1.16b, %2.16b" : "+w"(low[i]) : "w"(a), "w"(b));
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("usmmla %0.4s, %1.16b, %2.16b" : "+w"(high[i]) : "w"(a), "w"(b));
    }
    return rounds * TWICE * CHAINS * 32 * 2;
}

const struct peak_kernels peak_kernels_i8mm = {peak_int8, peak_fp32, peak_read};
