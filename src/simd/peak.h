/* simd/peak.h: measures the peak of a core with an instruction set, to compare kernels with (`dipper bench peak`).
 *
 * The arithmetic runs on registers alone, in enough independent chains to hide each instruction's latency, with
 * the instructions that the set's encoder kernels multiply with. Nothing here allocates or fails.
 */
#ifndef SIMD_PEAK_H
#define SIMD_PEAK_H

#include <stddef.h>
#include <stdint.h>

struct peak_kernels {
    /* `rounds` rounds of multiply-adds of bytes into 32-bit sums. Returns the number of operations: two per
     * multiply-add. */
    uint64_t (*int8)(uint64_t rounds);
    /* `rounds` rounds of multiply-adds of floats. Returns the number of operations. */
    uint64_t (*fp32)(uint64_t rounds);
    /* Reads bytes[0 .. len), 64-byte aligned, len a multiple of 512. Returns the exclusive or of its 64-bit
     * words. */
    uint64_t (*read)(const uint8_t *bytes, size_t len);
};

extern const struct peak_kernels peak_kernels_scalar;

#endif
