/* distance_avx2.c: the distance kernels with AVX2 and FMA, sixteen lanes as two registers. */
#include "simd/lanes_avx2.h"

/* The sums of a row take two registers, so those of four rows take eight of the sixteen. */
enum { DISTANCE_ROWS = 4 };

/* Converts sixteen bytes to floats. */
static inline lanes lanes_from_uint8(const uint8_t *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return (lanes){_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
                   _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
}

/* Returns c - a * b, rounded once. */
static inline lanes lanes_negated_fma(lanes a, lanes b, lanes c)
{
    return (lanes){_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}

#include "simd/distance_lanes.h"

const struct distance_kernels distance_kernels_avx2 = {inner_product, squared_l2, inner_product_u8, squared_l2_u8};
