/* simd/peak.h: the peak speed of a core with an instruction set, for comparison with kernels (`dipper bench
 * peak`).
 *
 * The arithmetic uses only registers, in enough independent chains to hide each instruction's latency. It uses the
 * instructions with which the set's encoder kernels multiply. Nothing here allocates or fails.
 */
#ifndef SIMD_PEAK_H
#define SIMD_PEAK_H

#include <stddef.h>
#include <stdint.h>

struct peak_kernels {
    /* Repeats multiply-adds of bytes into 32-bit sums `rounds` times. Returns the number of operations: two per
     * multiply-add. */
    uint64_t (*int8)(uint64_t rounds);
    /* Repeats multiply-adds of floats `rounds` times. Returns the number of operations: two per multiply-add. */
    uint64_t (*fp32)(uint64_t rounds);
    /* Reads bytes[0 .. len), 64-byte aligned, len a multiple of 512. Returns the exclusive or of its 64-bit
     * words. */
    uint64_t (*read)(const uint8_t *bytes, size_t len);
};

extern const struct peak_kernels peak_kernels_scalar;

#endif
