/* scan_neon.c: the scan kernels with NEON, which every arm64 processor has.
 *
 * Where scan_scalar.c adds floats in rising order, each lane holds a row. Kernels that are rare, or that lanes do
 * not speed up, call scan_scalar.c.
 */
#include "simd/lanes_neon.h"
#include "simd/scan_rows.h"

/* A row needs four registers of sums, so four rows need sixteen of the thirty-two registers. */
enum { CODE_ROWS = 4 };

static inline lanes lanes_of_bytes(uint8x16_t bytes)
{
    uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    return (lanes){vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), vcvtq_f32_u32(vmovl_high_u16(low)),
                   vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))), vcvtq_f32_u32(vmovl_high_u16(high))};
}

static inline lanes lanes_from_u4(const uint8_t *p)
{
    uint8x8_t pairs = vld1_u8(p);
    uint8x8x2_t halves = vzip_u8(vand_u8(pairs, vdup_n_u8(15)), vshr_n_u8(pairs, 4));
    return lanes_of_bytes(vcombine_u8(halves.val[0], halves.val[1]));
}

/* Three bytes hold four components. Loads three bytes into each lane, then moves six bits into each byte. */
static inline lanes lanes_from_u6(const uint8_t *p)
{
    static const uint8_t threes[16] = {0, 1, 2, 255, 3, 4, 5, 255, 6, 7, 8, 255, 9, 10, 11, 255};
    uint8x16_t bytes =
        vreinterpretq_u8_u32(vld1q_lane_u32((const uint32_t *)(const void *)(p + 8), vdupq_n_u32(0), 2));
    bytes = vreinterpretq_u8_u64(
        vsetq_lane_u64(vget_lane_u64(vreinterpret_u64_u8(vld1_u8(p)), 0), vreinterpretq_u64_u8(bytes), 0));
    uint32x4_t x = vreinterpretq_u32_u8(vqtbl1q_u8(bytes, vld1q_u8(threes)));
    uint32x4_t y = vandq_u32(x, vdupq_n_u32(0x3f));
    y = vorrq_u32(y, vandq_u32(vshlq_n_u32(x, 2), vdupq_n_u32(0x3f00)));
    y = vorrq_u32(y, vandq_u32(vshlq_n_u32(x, 4), vdupq_n_u32(0x3f0000)));
    y = vorrq_u32(y, vandq_u32(vshlq_n_u32(x, 6), vdupq_n_u32(0x3f000000)));
    return lanes_of_bytes(vreinterpretq_u8_u32(y));
}

static inline lanes lanes_from_half(const uint8_t *p)
{
    float16x8_t low = vreinterpretq_f16_u8(vld1q_u8(p)), high = vreinterpretq_f16_u8(vld1q_u8(p + 16));
    return (lanes){vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low), vcvt_f32_f16(vget_low_f16(high)),
                   vcvt_high_f32_f16(high)};
}

static inline lanes lanes_from_brain(const uint8_t *p)
{
    uint16x8_t low = vreinterpretq_u16_u8(vld1q_u8(p)), high = vreinterpretq_u16_u8(vld1q_u8(p + 16));
    return (lanes){vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(low), 16)),
                   vreinterpretq_f32_u32(vshll_high_n_u16(low, 16)),
                   vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(high), 16)),
                   vreinterpretq_f32_u32(vshll_high_n_u16(high, 16))};
}

/* z - x * y, rounded once. */
static inline lanes lanes_negated_fma(lanes x, lanes y, lanes z)
{
    return (lanes){vfmsq_f32(z.a, x.a, y.a), vfmsq_f32(z.b, x.b, y.b), vfmsq_f32(z.c, x.c, y.c),
                   vfmsq_f32(z.d, x.d, y.d)};
}

#include "simd/code_lanes.h"
#include "simd/entry_lanes.h"

/* The terms of vectors v and v + 8 are neighbouring bytes. A 16-bit lane holds one term plus 256 times the other.
 * `all` adds whole lanes, `odd` their upper bytes; all - 256 odd, modulo 2^16, is the sum of the lower bytes. */
struct group_half_neon {
    uint16x8_t all, odd;
};

static inline struct group_half_neon group_add(struct group_half_neon sum, uint8x16_t terms)
{
    uint16x8_t x = vreinterpretq_u16_u8(terms);
    return (struct group_half_neon){vaddq_u16(sum.all, x), vsraq_n_u16(sum.odd, x, 8)};
}

static inline void group_store(struct group_half_neon sum, uint16_t out[16])
{
    vst1q_u16(out, vsubq_u16(sum.all, vshlq_n_u16(sum.odd, 8)));
    vst1q_u16(out + 8, sum.odd);
}

static void group_sums(const uint8_t *table, const uint8_t *codes, size_t stride, size_t pairs,
                       uint16_t out[SCAN_GROUP])
{
    struct group_half_neon low = {vdupq_n_u16(0), vdupq_n_u16(0)}, high = low;
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

/* Returns popcount(a & b) over `bytes` bytes. A 16-bit lane grows by at most 16 per step, so 4,095 steps fit. */
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

/* Loads one byte of each of eight rows, one row per lane. */
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

/* Returns sum + (bit set ? q : 0) in each lane. */
static inline float32x4_t add_where(float32x4_t sum, uint32x4_t bytes, uint32x4_t bit, uint32x4_t q)
{
    return vaddq_f32(sum, vreinterpretq_f32_u32(vandq_u32(vtstq_u32(bytes, bit), q)));
}

/* Scores eight rows at once. */
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

/* The sum is one chain of additions, so lanes do not help. */
static float signed_sum(const float *query, size_t dim, const uint8_t *signs, const uint8_t *extra, size_t bits,
                        float bias)
{
    return scan_kernels_scalar.signed_sum(query, dim, signs, extra, bits, bias);
}

/* Adds the products of sixteen components of the query with components of 4 bits. */
static inline int32x4_t half_products(int32x4_t sum, const int8_t *query, uint8x16_t components)
{
    int8x16_t q = vld1q_s8(query), x = vreinterpretq_s8_u8(components);
    int16x8_t products = vmlal_s8(vmull_s8(vget_low_s8(q), vget_low_s8(x)), vget_high_s8(q), vget_high_s8(x));
    return vpadalq_s16(sum, products);
}

static void half_dots(const int8_t *query, const uint8_t *codes, size_t bytes, size_t n, int32_t *dots)
{
    const uint8x16_t mask = vdupq_n_u8(15);
    for (size_t r = 0; r < n; r++, codes += bytes) {
        int32x4_t low = vdupq_n_s32(0), high = low;
        for (size_t b = 0; b < bytes; b += SCAN_HALVES) {
            const int8_t *q = query + 2 * b;
            uint8x16_t first = vld1q_u8(codes + b), second = vld1q_u8(codes + b + 16);
            low = half_products(low, q, vandq_u8(first, mask));
            low = half_products(low, q + 16, vandq_u8(second, mask));
            high = half_products(high, q + SCAN_HALVES, vshrq_n_u8(first, 4));
            high = half_products(high, q + SCAN_HALVES + 16, vshrq_n_u8(second, 4));
        }
        dots[r] = vaddvq_s32(vaddq_s32(low, high));
    }
}

/* Returns four bits: bit i is set if score i reached the bound. */
static inline uint64_t four_bits(uint32x4_t reached)
{
    static const uint32_t bit[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(reached, vld1q_u32(bit)));
}

static uint64_t scores_reaching(const float *scores, size_t n, float worst, bool larger)
{
    const float32x4_t bound = vdupq_n_f32(worst);
    uint64_t reached = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t x = vld1q_f32(scores + i);
        reached |= four_bits(larger ? vcgeq_f32(x, bound) : vcleq_f32(x, bound)) << i;
    }
    return i < n ? reached | scan_kernels_scalar.reaching(scores + i, n - i, worst, larger) << i : reached;
}

const struct scan_kernels scan_kernels_neon = {
    inner_product_u4,   squared_l2_u4,   inner_product_u6, squared_l2_u6,   inner_product_f16, squared_l2_f16,
    inner_product_bf16, squared_l2_bf16, entry_products,   entry_distances, table_sums,        group_sums,
    plane_dots,         bit_sums,        signed_sum,       half_dots,       scores_reaching,
};
