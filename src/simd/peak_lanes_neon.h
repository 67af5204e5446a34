/* simd/peak_lanes_neon.h: the peak kernels that the arm64 sets share: all except the product of bytes.
 *
 * 24 of the 32 registers are accumulators. They form two groups, each short enough for UNROLL_LOOP.
 */
#ifndef SIMD_PEAK_LANES_NEON_H
#define SIMD_PEAK_LANES_NEON_H

#include <arm_neon.h>

#include "simd/encoder_math.h"
#include "simd/peak.h"

enum { CHAINS = 12, TWICE = 2 };

static uint64_t peak_fp32(uint64_t rounds)
{
    float32x4_t low[CHAINS], high[CHAINS], a = vdupq_n_f32(0.5f), b = vdupq_n_f32(0.25f);
    UNROLL_LOOP
    for (int i = 0; i < CHAINS; i++)
        low[i] = high[i] = vdupq_n_f32(0.0f);
    for (uint64_t r = 0; r < rounds; r++) {
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("fmla %0.4s, %1.4s, %2.4s" : "+w"(low[i]) : "w"(a), "w"(b));
        UNROLL_LOOP
        for (int i = 0; i < CHAINS; i++)
            __asm__ volatile("fmla %0.4s, %1.4s, %2.4s" : "+w"(high[i]) : "w"(a), "w"(b));
    }
    return rounds * TWICE * CHAINS * 4 * 2;
}

static uint64_t peak_read(const uint8_t *bytes, size_t len)
{
    uint8x16_t sum[8];
    UNROLL_LOOP
    for (int i = 0; i < 8; i++)
        sum[i] = vdupq_n_u8(0);
    for (size_t at = 0; at < len; at += sizeof sum) {
        UNROLL_LOOP
        for (int i = 0; i < 8; i++)
            sum[i] = veorq_u8(sum[i], vld1q_u8(bytes + at + (size_t)i * 16));
    }
    UNROLL_LOOP
    for (int i = 1; i < 8; i++)
        sum[0] = veorq_u8(sum[0], sum[i]);
    uint64x2_t words = vreinterpretq_u64_u8(sum[0]);
    return vgetq_lane_u64(words, 0) ^ vgetq_lane_u64(words, 1);
}

#endif
