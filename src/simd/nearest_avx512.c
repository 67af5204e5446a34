/* nearest_avx512.c: the nearest of many columns with AVX-512. */
#include "simd/lanes_avx512.h"

/* The sums take 14 of 32 registers. Two multiply-adds per cycle, each of four cycles, need at least eight sums. */
enum { NEAREST_ROWS = 14 };

#include "simd/nearest_lanes.h"

const struct nearest_kernels nearest_kernels_avx512 = {largest_columns};
