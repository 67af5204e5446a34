/* scan_avx512.c: the scan kernels with AVX-512. */
#include "simd/lanes_avx512.h"
#include "simd/scan_rows.h"
#include "simd/scan_x86.h"

enum { CODE_ROWS = 8 };

static inline lanes lanes_from_u4(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes_of_u4(p)));
}

/* Three bytes hold four components, which fill one 128-bit quarter. Each component's lane gets the two bytes that
 * hold it, then shifts its bits down. */
static inline lanes lanes_from_u6(const uint8_t *p)
{
    const __m128i first = _mm_setr_epi8(0, -1, -1, -1, 0, 1, -1, -1, 1, 2, -1, -1, 2, -1, -1, -1);
    /* Each quarter begins three bytes after the previous one. A -1 stands for a zero byte, not for a position,
     * so the step adds 0 to it. */
    const __m128i step = _mm_setr_epi8(3, 0, 0, 0, 3, 3, 0, 0, 3, 3, 0, 0, 3, 0, 0, 0);
    const __m128i second = _mm_add_epi8(first, step), third = _mm_add_epi8(second, step);
    __m512i which = _mm512_castsi128_si512(first);
    which = _mm512_inserti32x4(which, second, 1);
    which = _mm512_inserti32x4(which, third, 2);
    which = _mm512_inserti32x4(which, _mm_add_epi8(third, step), 3);
    const __m512i shift = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 6, 4, 2));
    __m512i bytes = _mm512_broadcast_i32x4(twelve_bytes(p));
    __m512i x = _mm512_srlv_epi32(_mm512_shuffle_epi8(bytes, which), shift);
    return _mm512_cvtepi32_ps(_mm512_and_si512(x, _mm512_set1_epi32(63)));
}

static inline lanes lanes_from_half(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline lanes lanes_from_brain(const uint8_t *p)
{
    __m512i bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
}

/* c - a * b, rounded once. */
static inline lanes lanes_negated_fma(lanes a, lanes b, lanes c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

#include "simd/code_lanes.h"
#include "simd/entry_lanes.h"

const struct scan_kernels scan_kernels_avx512 = {
    inner_product_u4,   squared_l2_u4,   inner_product_u6, squared_l2_u6,   inner_product_f16, squared_l2_f16,
    inner_product_bf16, squared_l2_bf16, entry_products,   entry_distances, table_sums,        group_sums,
    plane_dots,         bit_sums,        signed_sum,       half_dots,       scores_reaching,
};
