/* nearest_avx2.c: the nearest of many columns with AVX2 and FMA. */
#include "simd/lanes_avx2.h"

/* The sums take twelve of sixteen registers. */
enum { NEAREST_ROWS = 6 };

#include "simd/nearest_lanes.h"

const struct nearest_kernels nearest_kernels_avx2 = {largest_columns};
