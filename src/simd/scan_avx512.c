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

/* The terms of vectors v and v + 8 are neighbouring bytes. A 16-bit lane holds one term plus 256 times the other.
 * `all` adds whole lanes, `odd` their upper bytes; all - 256 odd, modulo 2^16, is the sum of the lower bytes. */
struct group_half_avx512 {
    __m512i all, odd;
};

static inline struct group_half_avx512 group_add(struct group_half_avx512 sum, __m512i terms)
{
    return (struct group_half_avx512){_mm512_add_epi16(sum.all, terms),
                                      _mm512_add_epi16(sum.odd, _mm512_srli_epi16(terms, 8))};
}

/* Adds the four 128-bit quarters: the terms of the even and odd indexes of two pairs. */
static inline __m128i group_join(__m512i sums)
{
    __m256i two = _mm256_add_epi16(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
    return _mm_add_epi16(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
}

static inline void group_store(struct group_half_avx512 sum, uint16_t *out)
{
    __m128i odd = group_join(sum.odd), even = _mm_sub_epi16(group_join(sum.all), _mm_slli_epi16(odd, 8));
    _mm_storeu_si128((__m128i *)out, even);
    _mm_storeu_si128((__m128i *)(out + 8), odd);
}

static inline __m256i one_pair(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* Each step takes two pairs. The last of an odd number of pairs meets entries of 0. */
static void group_sums(const uint8_t *table, const uint8_t *codes, size_t stride, size_t pairs,
                       uint16_t out[SCAN_GROUP])
{
    const __m512i mask = _mm512_set1_epi8(15);
    struct group_half_avx512 low = {_mm512_setzero_si512(), _mm512_setzero_si512()}, high = low;
    for (size_t p = 0; p < pairs; p += 2, table += 64, codes += 2 * stride) {
        bool both = p + 2 <= pairs;
        __m512i entries = both ? _mm512_loadu_si512(table) : _mm512_zextsi256_si512(one_pair(table));
        __m512i indexes = _mm512_zextsi256_si512(one_pair(codes));
        if (both)
            indexes = _mm512_inserti64x4(indexes, one_pair(codes + stride), 1);
        low = group_add(low, _mm512_shuffle_epi8(entries, _mm512_and_si512(indexes, mask)));
        high =
            group_add(high, _mm512_shuffle_epi8(entries, _mm512_and_si512(_mm512_srli_epi16(indexes, 4), mask)));
    }
    group_store(low, out);
    group_store(high, out + 16);
}

#include "simd/code_lanes.h"
#include "simd/entry_lanes.h"

const struct scan_kernels scan_kernels_avx512 = {
    inner_product_u4,   squared_l2_u4,   inner_product_u6, squared_l2_u6,   inner_product_f16, squared_l2_f16,
    inner_product_bf16, squared_l2_bf16, entry_products,   entry_distances, table_sums,        group_sums,
    plane_dots,         bit_sums,        signed_sum,       half_dots,       scores_reaching,
};
