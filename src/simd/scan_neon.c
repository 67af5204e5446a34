/* scan_neon.c: the scan kernels with the NEON of every arm64.
 *
 * Sums of floats run in rising order, as scan_scalar.c defines them, so a lane is a row. What has no lanes to
 * gain, or is rare, is the plain C of scan_scalar.c.
 */
#include <arm_neon.h>

#include "simd/scan.h"

/* Rows that end on a byte follow one another without a gap, and count as one long row. */
static void unpack_u4(const uint8_t *codes, size_t n, size_t dim, uint8_t *out)
{
    size_t rows = dim % 2 == 0 ? 1 : n, width = dim % 2 == 0 ? n * dim : dim;
    for (size_t r = 0; r < rows; r++, codes += (width + 1) / 2, out += width) {
        size_t i = 0;
        for (; i + 32 <= width; i += 32) {
            uint8x16_t pairs = vld1q_u8(codes + i / 2);
            uint8x16_t even = vandq_u8(pairs, vdupq_n_u8(15)), odd = vshrq_n_u8(pairs, 4);
            vst1q_u8(out + i, vzip1q_u8(even, odd));
            vst1q_u8(out + i + 16, vzip2q_u8(even, odd));
        }
        for (; i < width; i++)
            out[i] = codes[i / 2] >> (4 * (i % 2)) & 15;
    }
}

/* Three bytes hold four components: each three into a lane of their own, then six bits to each of its bytes. */
static void unpack_u6(const uint8_t *codes, size_t n, size_t dim, uint8_t *out)
{
    static const uint8_t threes[16] = {0, 1, 2, 255, 3, 4, 5, 255, 6, 7, 8, 255, 9, 10, 11, 255};
    const uint8x16_t spread = vld1q_u8(threes);
    size_t rows = dim % 4 == 0 ? 1 : n, width = dim % 4 == 0 ? n * dim : dim, size = (6 * width + 7) / 8;
    for (size_t r = 0; r < rows; r++, codes += size, out += width) {
        size_t i = 0;
        for (; i / 4 * 3 + 16 <= size && i + 16 <= width; i += 16) {
            uint32x4_t x = vreinterpretq_u32_u8(vqtbl1q_u8(vld1q_u8(codes + i / 4 * 3), spread));
            uint32x4_t y = vandq_u32(x, vdupq_n_u32(0x3f));
            y = vorrq_u32(y, vandq_u32(vshlq_n_u32(x, 2), vdupq_n_u32(0x3f00)));
            y = vorrq_u32(y, vandq_u32(vshlq_n_u32(x, 4), vdupq_n_u32(0x3f0000)));
            y = vorrq_u32(y, vandq_u32(vshlq_n_u32(x, 6), vdupq_n_u32(0x3f000000)));
            vst1q_u8(out + i, vreinterpretq_u8_u32(y));
        }
        scan_kernels_scalar.unpack_u6(codes + i / 4 * 3, 1, width - i, out + i);
    }
}

static void halves(const void *codes, size_t count, float *out)
{
    const uint8_t *bytes = codes;
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        float16x8_t x = vreinterpretq_f16_u8(vld1q_u8(bytes + 2 * i));
        vst1q_f32(out + i, vcvt_f32_f16(vget_low_f16(x)));
        vst1q_f32(out + i + 4, vcvt_high_f32_f16(x));
    }
    scan_kernels_scalar.halves(bytes + 2 * i, count - i, out + i);
}

/* Four rows at once, each in its lane. */
static void table_sums(const float *table, const uint8_t *codes, size_t n, size_t m, size_t bits, size_t code_size,
                       float *out)
{
    size_t r = 0;
    if (bits == 8)
        for (; r + 4 <= n; r += 4, codes += 4 * code_size) {
            const float *row = table;
            float32x4_t sum = vdupq_n_f32(0.0f);
            for (size_t i = 0; i < m; i++, row += 256) {
                float32x4_t terms = vld1q_dup_f32(row + codes[i]);
                terms = vld1q_lane_f32(row + codes[code_size + i], terms, 1);
                terms = vld1q_lane_f32(row + codes[2 * code_size + i], terms, 2);
                sum = vaddq_f32(sum, vld1q_lane_f32(row + codes[3 * code_size + i], terms, 3));
            }
            vst1q_f32(out + r, sum);
        }
    scan_kernels_scalar.table_sums(table, codes, n - r, m, bits, code_size, out + r);
}

/* Terms of vectors v and v + 8 are neighbouring bytes. As a 16-bit lane they are a term and 256 times another: `all`
 * adds lanes as they are, `odd` their upper bytes, and modulo 2^16 all - 256 odd is the sum of the lower ones. */
struct group_half {
    uint16x8_t all, odd;
};

static inline struct group_half group_add(struct group_half sum, uint8x16_t terms)
{
    uint16x8_t x = vreinterpretq_u16_u8(terms);
    return (struct group_half){vaddq_u16(sum.all, x), vsraq_n_u16(sum.odd, x, 8)};
}

static inline void group_store(struct group_half sum, uint16_t out[16])
{
    vst1q_u16(out, vsubq_u16(sum.all, vshlq_n_u16(sum.odd, 8)));
    vst1q_u16(out + 8, sum.odd);
}

static void group_sums(const uint8_t *table, const uint8_t *codes, size_t stride, size_t pairs,
                       uint16_t out[SCAN_GROUP])
{
    struct group_half low = {vdupq_n_u16(0), vdupq_n_u16(0)}, high = low;
    for (size_t p = 0; p < pairs; p++, table += 32, codes += stride) {
        uint8x16_t of_even = vld1q_u8(table), of_odd = vld1q_u8(table + 16), mask = vdupq_n_u8(15);
        uint8x16_t even = vld1q_u8(codes), odd = vld1q_u8(codes + 16);
        low = group_add(low, vqtbl1q_u8(of_even, vandq_u8(even, mask)));
        low = group_add(low, vqtbl1q_u8(of_odd, vandq_u8(odd, mask)));
        high = group_add(high, vqtbl1q_u8(of_even, vshrq_n_u8(even, 4)));
        high = group_add(high, vqtbl1q_u8(of_odd, vshrq_n_u8(odd, 4)));
    }
    group_store(low, out);
    group_store(high, out + 16);
}

/* popcount(a & b) of `bytes` bytes. A 16-bit lane gains at most 16 with each turn, so 4,095 turns fit. */
static uint64_t common_ones(const uint8_t *a, const uint8_t *b, size_t bytes)
{
    uint64_t ones = 0;
    size_t i = 0;
    while (i + 16 <= bytes) {
        uint16x8_t sum = vdupq_n_u16(0);
        for (size_t turn = 0; turn < 4095 && i + 16 <= bytes; turn++, i += 16)
            sum = vpadalq_u8(sum, vcntq_u8(vandq_u8(vld1q_u8(a + i), vld1q_u8(b + i))));
        ones += vaddlvq_u16(sum);
    }
    for (; i < bytes; i++)
        ones += (uint64_t)__builtin_popcount(a[i] & b[i]);
    return ones;
}

static void plane_dots(const uint8_t *planes, size_t count, size_t bytes, const uint8_t *codes, size_t stride,
                       size_t n, uint64_t *dots, uint64_t *ones)
{
    for (size_t r = 0; r < n; r++, codes += stride) {
        ones[r] = common_ones(codes, codes, bytes);
        dots[r] = 0;
        for (size_t j = 0; j < count; j++)
            dots[r] += common_ones(planes + j * bytes, codes, bytes) << j;
    }
}

/* A byte of eight rows, each in its lane. */
static inline uint16x8_t byte_of_rows(const uint8_t *codes, size_t stride)
{
    uint8x8_t bytes = vld1_dup_u8(codes);
    bytes = vld1_lane_u8(codes + stride, bytes, 1);
    bytes = vld1_lane_u8(codes + 2 * stride, bytes, 2);
    bytes = vld1_lane_u8(codes + 3 * stride, bytes, 3);
    bytes = vld1_lane_u8(codes + 4 * stride, bytes, 4);
    bytes = vld1_lane_u8(codes + 5 * stride, bytes, 5);
    bytes = vld1_lane_u8(codes + 6 * stride, bytes, 6);
    return vmovl_u8(vld1_lane_u8(codes + 7 * stride, bytes, 7));
}

/* sum + (bit set ? q : 0) */
static inline float32x4_t add_where(float32x4_t sum, uint32x4_t bytes, uint32x4_t bit, uint32x4_t q)
{
    return vaddq_f32(sum, vreinterpretq_f32_u32(vandq_u32(vtstq_u32(bytes, bit), q)));
}

/* Eight rows at once. */
static void bit_sums(const float *query, size_t dim, const uint8_t *codes, size_t stride, size_t n, float *out)
{
    size_t r = 0;
    for (; r + 8 <= n; r += 8, codes += 8 * stride) {
        float32x4_t low = vdupq_n_f32(0.0f), high = low;
        for (size_t i = 0; i < dim;) {
            uint16x8_t bytes = byte_of_rows(codes + i / 8, stride);
            uint32x4_t some = vmovl_u16(vget_low_u16(bytes)), more = vmovl_high_u16(bytes), bit = vdupq_n_u32(1);
            for (size_t end = dim - i < 8 ? dim : i + 8; i < end; i++, bit = vshlq_n_u32(bit, 1)) {
                uint32x4_t q = vreinterpretq_u32_f32(vdupq_n_f32(query[i]));
                low = add_where(low, some, bit, q);
                high = add_where(high, more, bit, q);
            }
        }
        vst1q_f32(out + r, low);
        vst1q_f32(out + r + 4, high);
    }
    scan_kernels_scalar.bit_sums(query, dim, codes, stride, n - r, out + r);
}

/* One chain of additions: nothing to do side by side. */
static float signed_sum(const float *query, size_t dim, const uint8_t *signs, const uint8_t *extra, size_t bits,
                        float bias)
{
    return scan_kernels_scalar.signed_sum(query, dim, signs, extra, bits, bias);
}

const struct scan_kernels scan_kernels_neon = {
    unpack_u4, unpack_u6, halves, table_sums, group_sums, plane_dots, bit_sums, signed_sum,
};
