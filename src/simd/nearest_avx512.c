/* nearest_avx512.c: the nearest of many columns with AVX-512. */
#include "simd/lanes_avx512.h"

/* Fourteen of thirty-two registers are sums: two multiply-adds a cycle, each of four cycles, want eight. */
enum { NEAREST_ROWS = 14 };

#include "simd/nearest_lanes.h"

const struct nearest_kernels nearest_kernels_avx512 = {largest_columns};
