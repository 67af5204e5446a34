/* scan_avx2.c: the scan kernels with AVX2, FMA and F16C. */
#include "simd/lanes_avx2.h"
#include "simd/scan_rows.h"
#include "simd/scan_x86.h"

/* A row needs two registers of sums, so four rows need eight of the sixteen registers. */
enum { CODE_ROWS = 4 };

static inline lanes lanes_from_u4(const uint8_t *p)
{
    __m128i bytes = bytes_of_u4(p);
    return (lanes){_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
                   _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
}

/* Three bytes hold four components. Each component's lane gets the two bytes that hold it, then shifts its bits
 * down. */
static inline __m256 eight_of_u6(__m256i bytes, __m256i which)
{
    const __m256i shift = _mm256_setr_epi32(0, 6, 4, 2, 0, 6, 4, 2);
    __m256i x = _mm256_srlv_epi32(_mm256_shuffle_epi8(bytes, which), shift);
    return _mm256_cvtepi32_ps(_mm256_and_si256(x, _mm256_set1_epi32(63)));
}
static inline lanes lanes_from_u6(const uint8_t *p)
{
    const __m256i first = _mm256_setr_epi8(0, -1, -1, -1, 0, 1, -1, -1, 1, 2, -1, -1, 2, -1, -1, -1, 3, -1, -1, -1,
                                           3, 4, -1, -1, 4, 5, -1, -1, 5, -1, -1, -1);
    const __m256i second = _mm256_setr_epi8(6, -1, -1, -1, 6, 7, -1, -1, 7, 8, -1, -1, 8, -1, -1, -1, 9, -1, -1,
                                            -1, 9, 10, -1, -1, 10, 11, -1, -1, 11, -1, -1, -1);
    __m256i bytes = _mm256_broadcastsi128_si256(twelve_bytes(p));
    return (lanes){eight_of_u6(bytes, first), eight_of_u6(bytes, second)};
}

static inline lanes lanes_from_half(const uint8_t *p)
{
    return (lanes){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                   _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 16)))};
}

static inline __m256 eight_of_brain(__m128i bits)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
static inline lanes lanes_from_brain(const uint8_t *p)
{
    return (lanes){eight_of_brain(_mm_loadu_si128((const __m128i *)p)),
                   eight_of_brain(_mm_loadu_si128((const __m128i *)(p + 16)))};
}

/* c - a * b, rounded once. */
static inline lanes lanes_negated_fma(lanes a, lanes b, lanes c)
{
    return (lanes){_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}

/* The terms of vectors v and v + 8 are neighbouring bytes. A 16-bit lane holds one term plus 256 times the other.
 * `all` adds whole lanes, `odd` their upper bytes; all - 256 odd, modulo 2^16, is the sum of the lower bytes. */
struct group_half_avx2 {
    __m256i all, odd;
};

static inline struct group_half_avx2 group_add(struct group_half_avx2 sum, __m256i terms)
{
    return (struct group_half_avx2){_mm256_add_epi16(sum.all, terms),
                                    _mm256_add_epi16(sum.odd, _mm256_srli_epi16(terms, 8))};
}

/* Adds the lower 128 bits, which hold the terms of even indexes, and the upper ones, which hold those of odd
 * indexes. */
static inline __m128i group_join(__m256i sums)
{
    return _mm_add_epi16(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}

static inline void group_store(struct group_half_avx2 sum, uint16_t *out)
{
    __m128i odd = group_join(sum.odd), even = _mm_sub_epi16(group_join(sum.all), _mm_slli_epi16(odd, 8));
    _mm_storeu_si128((__m128i *)out, even);
    _mm_storeu_si128((__m128i *)(out + 8), odd);
}

static void group_sums(const uint8_t *table, const uint8_t *codes, size_t stride, size_t pairs,
                       uint16_t out[SCAN_GROUP])
{
    const __m256i mask = _mm256_set1_epi8(15);
    struct group_half_avx2 low = {_mm256_setzero_si256(), _mm256_setzero_si256()}, high = low;
    for (size_t p = 0; p < pairs; p++, table += 32, codes += stride) {
        __m256i entries = _mm256_loadu_si256((const __m256i *)table);
        __m256i indexes = _mm256_loadu_si256((const __m256i *)codes);
        low = group_add(low, _mm256_shuffle_epi8(entries, _mm256_and_si256(indexes, mask)));
        high =
            group_add(high, _mm256_shuffle_epi8(entries, _mm256_and_si256(_mm256_srli_epi16(indexes, 4), mask)));
    }
    group_store(low, out);
    group_store(high, out + 16);
}

#include "simd/code_lanes.h"
#include "simd/entry_lanes.h"

const struct scan_kernels scan_kernels_avx2 = {
    inner_product_u4,   squared_l2_u4,   inner_product_u6, squared_l2_u6,   inner_product_f16, squared_l2_f16,
    inner_product_bf16, squared_l2_bf16, entry_products,   entry_distances, table_sums,        group_sums,
    plane_dots,         bit_sums,        signed_sum,       half_dots,       scores_reaching,
};
