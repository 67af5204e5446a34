/* peak_scalar.c: the peak of plain C that the compiler translates for every machine of the processor's family.
 *
 * Each step of a chain needs the chain's last value, so the compiler cannot compute steps ahead.
 */
#include "simd/peak.h"

enum { CHAINS = 16, READ_WORDS = 8 };

/* Makes the compiler believe that the values are used. */
#define KEEP(values) __asm__ volatile("" : : "r"(values) : "memory")

static uint64_t peak_int8(uint64_t rounds)
{
    uint32_t sum[CHAINS];
    for (uint32_t i = 0; i < CHAINS; i++)
        sum[i] = i;
    for (uint64_t r = 0; r < rounds; r++)
        for (uint32_t i = 0; i < CHAINS; i++)
            sum[i] = sum[i] * 77u + 99u;
    KEEP(sum);
    return rounds * CHAINS * 2;
}

static uint64_t peak_fp32(uint64_t rounds)
{
    float sum[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        sum[i] = (float)i;
    for (uint64_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++)
            sum[i] = sum[i] * 0.5f + 1.0f;
    KEEP(sum);
    return rounds * CHAINS * 2;
}

static uint64_t peak_read(const uint8_t *bytes, size_t len)
{
    const uint64_t *words = (const uint64_t *)(const void *)bytes;
    uint64_t sum[READ_WORDS] = {0}, all = 0;
    for (size_t at = 0; at < len / sizeof *words; at += READ_WORDS)
        for (size_t i = 0; i < READ_WORDS; i++)
            sum[i] ^= words[at + i];
    for (size_t i = 0; i < READ_WORDS; i++)
        all ^= sum[i];
    return all;
}

const struct peak_kernels peak_kernels_scalar = {peak_int8, peak_fp32, peak_read};
