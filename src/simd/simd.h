/* simd/simd.h: the instruction set of this process, and its kernels.
 *
 * A kernel does one operation with one instruction set. Operations form families (encoder.h, distance.h, …). Each
 * family has a table of function pointers and a file for each instruction set; the file is compiled with that
 * set's flags alone. This header names the sets and holds one pointer per family; dispatch.c fills them. The
 * scalar file of a family explains it and is the oracle of its tests.
 *
 * The first call chooses the set: the best that the processor and the system support, or the one that DIPPER_SIMD
 * names (scalar; avx2, avxvnni, avx512vnni on x86-64; neon, dotprod, i8mm on arm64). Thread-safe.
 *
 * To add a family: its header declares `struct NAME_kernels` and the scalar table; add a pointer here, and in
 * dispatch.c a column and the tables of the other sets.
 */
#ifndef SIMD_SIMD_H
#define SIMD_SIMD_H

#include <stdbool.h>

#include "base/error.h"

/* Instruction sets, in rising order of preference within an architecture. */
enum simd_isa {
    SIMD_SCALAR,
    SIMD_AVX2,       /* AVX2, FMA, F16C */
    SIMD_AVXVNNI,    /* AVX2 and AVX-VNNI */
    SIMD_AVX512VNNI, /* AVX-512 F, BW, DQ, VL, VNNI */
    SIMD_NEON,       /* what every arm64 has */
    SIMD_DOTPROD,    /* NEON and FEAT_DotProd */
    SIMD_I8MM,       /* NEON and FEAT_I8MM */
    SIMD_ISA_COUNT
};

struct distance_kernels; /* simd/distance.h */
struct encoder_kernels;  /* simd/encoder.h */
struct nearest_kernels;  /* simd/nearest.h */
struct peak_kernels;     /* simd/peak.h */
struct scan_kernels;     /* simd/scan.h */

/* The kernels of one instruction set. */
struct simd_ops {
    enum simd_isa isa;
    const char *name; /* as DIPPER_SIMD spells it */
    const struct encoder_kernels *encoder;
    const struct distance_kernels *distance;
    const struct peak_kernels *peak;
    const struct scan_kernels *scan;
    const struct nearest_kernels *nearest;
};

/* Returns the table in use, never NULL. Ignores an unusable DIPPER_SIMD, which simd_check() reports. */
const struct simd_ops *simd_ops(void);

/* Returns the table of one set; NULL if this build or this machine lacks it. For tests and benchmarks. */
const struct simd_ops *simd_ops_for(enum simd_isa isa);

/* Checks DIPPER_SIMD. DP_INVALID: it names no set; DP_UNSUPPORTED: this machine lacks the set. Call this once when
 * the process starts. */
enum dp_status simd_check(struct dp_error *error);

#endif
