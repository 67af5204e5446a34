/* distance_avx512.c: the distance kernels with AVX-512, sixteen lanes as one register. */
#include "simd/lanes_avx512.h"

enum { DISTANCE_ROWS = 8 };

/* Converts sixteen bytes to floats. */
static inline lanes lanes_from_uint8(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

/* Returns c - a * b, rounded once. */
static inline lanes lanes_negated_fma(lanes a, lanes b, lanes c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

#include "simd/distance_lanes.h"

const struct distance_kernels distance_kernels_avx512 = {inner_product, squared_l2, inner_product_u8,
                                                         squared_l2_u8};
