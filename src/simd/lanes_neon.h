/* simd/lanes_neon.h: sixteen floats as four NEON registers, for encoder_lanes.h and distance_lanes.h. */
#ifndef SIMD_LANES_NEON_H
#define SIMD_LANES_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#include "simd/encoder_math.h"

/* Sizes of tiles. The accumulators of a tile stay in the 32 registers; sixteen lanes take four. */
enum {
    TILE_ROWS = 6,      /* rows of a linear layer */
    TILE_LANES = 1,     /* 16-column groups of a linear layer */
    SCORE_KEYS = 6,     /* keys against sixteen queries */
    SCORE_KEYS_FEW = 2, /* keys of a tile once fewer than SCORE_KEYS keys are left */
    VALUE_ROWS = 4,     /* queries against values */
    VALUE_ROWS_FEW = 2, /* queries of a tile once at most VALUE_ROWS_FEW queries are left */
    VALUE_LANES = 1     /* 16-column groups of values */
};

/* A value type for sixteen lanes, as four quarters. It is not float32x4x4_t, because gcc 12 keeps such a value
 * together and copies it often. */
typedef struct {
    float32x4_t a, b, c, d;
} lanes;

static inline lanes lanes_set(float x)
{
    float32x4_t v = vdupq_n_f32(x);
    return (lanes){v, v, v, v};
}
static inline lanes lanes_load(const float *p)
{
    return (lanes){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}
static inline void lanes_store(float *p, lanes x)
{
    vst1q_f32(p, x.a);
    vst1q_f32(p + 4, x.b);
    vst1q_f32(p + 8, x.c);
    vst1q_f32(p + 12, x.d);
}
/* Loads the first n < 16 floats of p, and `fill` into the other lanes. */
static inline lanes lanes_load_part(const float *p, size_t n, float fill)
{
    float part[16];
    lanes_store(part, lanes_set(fill));
    memcpy(part, p, n * sizeof *p);
    return lanes_load(part);
}
static inline void lanes_store_part(float *p, size_t n, lanes x)
{
    float part[16];
    lanes_store(part, x);
    memcpy(p, part, n * sizeof *p);
}
static inline lanes lanes_add(lanes x, lanes y)
{
    return (lanes){vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b), vaddq_f32(x.c, y.c), vaddq_f32(x.d, y.d)};
}
static inline lanes lanes_sub(lanes x, lanes y)
{
    return (lanes){vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b), vsubq_f32(x.c, y.c), vsubq_f32(x.d, y.d)};
}
static inline lanes lanes_mul(lanes x, lanes y)
{
    return (lanes){vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b), vmulq_f32(x.c, y.c), vmulq_f32(x.d, y.d)};
}
static inline lanes lanes_div(lanes x, lanes y)
{
    return (lanes){vdivq_f32(x.a, y.a), vdivq_f32(x.b, y.b), vdivq_f32(x.c, y.c), vdivq_f32(x.d, y.d)};
}
static inline lanes lanes_fma(lanes x, lanes y, lanes z) /* x * y + z */
{
    return (lanes){vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c),
                   vfmaq_f32(z.d, x.d, y.d)};
}
/* Returns x > y ? x : y. FMAX differs: it gives NaN if x or y is NaN. */
static inline float32x4_t neon_greater(float32x4_t x, float32x4_t y)
{
    return vbslq_f32(vcgtq_f32(x, y), x, y);
}
static inline float32x4_t neon_less(float32x4_t x, float32x4_t y)
{
    return vbslq_f32(vcltq_f32(x, y), x, y);
}
static inline lanes lanes_max(lanes x, lanes y) /* x > y ? x : y */
{
    return (lanes){neon_greater(x.a, y.a), neon_greater(x.b, y.b), neon_greater(x.c, y.c), neon_greater(x.d, y.d)};
}
static inline lanes lanes_min(lanes x, lanes y) /* x < y ? x : y */
{
    return (lanes){neon_less(x.a, y.a), neon_less(x.b, y.b), neon_less(x.c, y.c), neon_less(x.d, y.d)};
}
static inline float32x4_t minus_abs(float32x4_t x)
{
    return vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(0x80000000u)));
}
static inline lanes lanes_minus_abs(lanes x) /* -|x| */
{
    return (lanes){minus_abs(x.a), minus_abs(x.b), minus_abs(x.c), minus_abs(x.d)};
}
static inline float32x4_t scale_quarter(float32x4_t p, float32x4_t t)
{
    return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(p), vshlq_n_u32(vreinterpretq_u32_f32(t), 23)));
}
/* Returns p * 2^n, where n is the low bits of t (EXP_ROUND). */
static inline lanes lanes_scale(lanes p, lanes t)
{
    return (lanes){scale_quarter(p.a, t.a), scale_quarter(p.b, t.b), scale_quarter(p.c, t.c),
                   scale_quarter(p.d, t.d)};
}
/* Returns the sum of the lanes. Adds upper halves to lower halves, in the order of the scalar kernel. */
static inline float lanes_sum(lanes x)
{
    float32x4_t four = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
static inline float lanes_max_of(lanes x)
{
    float32x4_t four = neon_greater(neon_greater(x.a, x.c), neon_greater(x.b, x.d));
    four = neon_greater(four, vextq_f32(four, four, 2));
    return vgetq_lane_f32(neon_greater(four, vextq_f32(four, four, 1)), 0);
}
static inline float lanes_min_of(lanes x)
{
    float32x4_t four = neon_less(neon_less(x.a, x.c), neon_less(x.b, x.d));
    four = neon_less(four, vextq_f32(four, four, 2));
    return vgetq_lane_f32(neon_less(four, vextq_f32(four, four, 1)), 0);
}
/* Transposes four by four floats: first pairs change places, then halves. */
static inline void transpose_four(float32x4_t *w, float32x4_t *x, float32x4_t *y, float32x4_t *z)
{
    float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(*w, *x)), b = vreinterpretq_f64_f32(vtrn2q_f32(*w, *x));
    float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(*y, *z)), d = vreinterpretq_f64_f32(vtrn2q_f32(*y, *z));
    *w = vreinterpretq_f32_f64(vzip1q_f64(a, c));
    *x = vreinterpretq_f32_f64(vzip1q_f64(b, d));
    *y = vreinterpretq_f32_f64(vzip2q_f64(a, c));
    *z = vreinterpretq_f32_f64(vzip2q_f64(b, d));
}
static inline void swap_quarters(float32x4_t *x, float32x4_t *y)
{
    float32x4_t old = *x;
    *x = *y;
    *y = old;
}
/* Transposes sixteen by sixteen floats: first each block of four by four, then blocks off the diagonal change
 * places. */
static inline void lanes_transpose(lanes m[16])
{
    UNROLL_LOOP
    for (int i = 0; i < 16; i += 4) {
        transpose_four(&m[i].a, &m[i + 1].a, &m[i + 2].a, &m[i + 3].a);
        transpose_four(&m[i].b, &m[i + 1].b, &m[i + 2].b, &m[i + 3].b);
        transpose_four(&m[i].c, &m[i + 1].c, &m[i + 2].c, &m[i + 3].c);
        transpose_four(&m[i].d, &m[i + 1].d, &m[i + 2].d, &m[i + 3].d);
    }
    UNROLL_LOOP
    for (int i = 0; i < 4; i++) {
        swap_quarters(&m[i].b, &m[i + 4].a);
        swap_quarters(&m[i].c, &m[i + 8].a);
        swap_quarters(&m[i].d, &m[i + 12].a);
        swap_quarters(&m[i + 4].c, &m[i + 8].b);
        swap_quarters(&m[i + 4].d, &m[i + 12].b);
        swap_quarters(&m[i + 8].d, &m[i + 12].c);
    }
}
/* ---- pairs of 16-bit integers in each lane, for attention_lanes.h ---- */

static inline float32x4_t integers_quarter(float32x4_t a, float32x4_t b)
{
    return vreinterpretq_f32_u32(vsliq_n_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b), 16));
}
/* Packs the low 16 bits of each lane of x and y into one lane, x below y. */
static inline lanes lanes_integers(lanes x, lanes y)
{
    return (lanes){integers_quarter(x.a, y.a), integers_quarter(x.b, y.b), integers_quarter(x.c, y.c),
                   integers_quarter(x.d, y.d)};
}
/* Adds to `sum` the products of `pair` with the lower four of eight lanes. `first` and `second` hold the first
 * and the second integers of the lanes. */
static inline float32x4_t products_low(float32x4_t sum, int16x4_t pair, int16x8_t first, int16x8_t second)
{
    int32x4_t once = vmlal_lane_s16(vreinterpretq_s32_f32(sum), vget_low_s16(first), pair, 0);
    return vreinterpretq_f32_s32(vmlal_lane_s16(once, vget_low_s16(second), pair, 1));
}
static inline float32x4_t products_high(float32x4_t sum, int16x4_t pair, int16x8_t first, int16x8_t second)
{
    int32x4_t once = vmlal_high_lane_s16(vreinterpretq_s32_f32(sum), first, pair, 0);
    return vreinterpretq_f32_s32(vmlal_high_lane_s16(once, second, pair, 1));
}
static inline int16x8_t first_integers(float32x4_t x, float32x4_t y)
{
    return vuzp1q_s16(vreinterpretq_s16_f32(x), vreinterpretq_s16_f32(y));
}
static inline int16x8_t second_integers(float32x4_t x, float32x4_t y)
{
    return vuzp2q_s16(vreinterpretq_s16_f32(x), vreinterpretq_s16_f32(y));
}
/* Adds to `sum` the two products of each lane, in 32 bits. All lanes of x must be equal. */
static inline lanes lanes_add_products(lanes x, lanes y, lanes sum)
{
    int16x4_t pair = vreinterpret_s16_f32(vget_low_f32(x.a));
    int16x8_t first = first_integers(y.a, y.b), second = second_integers(y.a, y.b);
    int16x8_t first2 = first_integers(y.c, y.d), second2 = second_integers(y.c, y.d);
    return (lanes){products_low(sum.a, pair, first, second), products_high(sum.b, pair, first, second),
                   products_low(sum.c, pair, first2, second2), products_high(sum.d, pair, first2, second2)};
}
/* Does what lanes_add_products does, with the two integers at `x` in all lanes. */
static inline lanes lanes_add_products_of(const float *x, lanes y, lanes sum)
{
    return lanes_add_products(lanes_set(*x), y, sum);
}
static inline float32x4_t quarter_from_products(float32x4_t sum)
{
    return vcvtq_f32_s32(vreinterpretq_s32_f32(sum));
}
static inline lanes lanes_from_products(lanes sum)
{
    return (lanes){quarter_from_products(sum.a), quarter_from_products(sum.b), quarter_from_products(sum.c),
                   quarter_from_products(sum.d)};
}
/* Converts sixteen signed bytes to floats. */
static inline lanes lanes_from_int8(const int8_t *p)
{
    int8x16_t bytes = vld1q_s8(p);
    int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    return (lanes){vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
                   vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))};
}
static inline uint8x16_t neon_rounded(float32x4_t x)
{
    return vreinterpretq_u8_u32(vcvtnq_u32_f32(x));
}
/* Stores floats within [0, 255.5) as the nearest integers, ties to even; NaN as 0. Keeps the
 * lowest byte of each lane. */
static inline void lanes_store_rounded(uint8_t *p, lanes x)
{
    vst1q_u8(p, vuzp1q_u8(vuzp1q_u8(neon_rounded(x.a), neon_rounded(x.b)),
                          vuzp1q_u8(neon_rounded(x.c), neon_rounded(x.d))));
}

#endif
