/* nearest_neon.c: the nearest of many columns with NEON. */
#include "simd/lanes_neon.h"

/* The sums take 24 of 32 registers. */
enum { NEAREST_ROWS = 6 };

#include "simd/nearest_lanes.h"

const struct nearest_kernels nearest_kernels_neon = {largest_columns};
