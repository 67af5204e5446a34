/* peak_dotprod.c: measures the peak speed of SDOT. The kernels for fp32 and for reading memory are those of NEON. */
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
            __asm__ volatile("sdot %0.4s, %1.16b, %2.16b" : "+w"(low[i]) : "w"(a), "w"(b));
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("sdot %0.4s, %1.16b, %2.16b" : "+w"(high[i]) : "w"(a), "w"(b));
    }
    return rounds * TWICE * CHAINS * 16 * 2;
}

const struct peak_kernels peak_kernels_dotprod = {peak_int8, peak_fp32, peak_read};
