/* distance_neon.c: the distance kernels with NEON, sixteen lanes as four registers. */
#include "simd/lanes_neon.h"

/* The sums of a row take four registers, so those of four rows take sixteen of the thirty-two. */
enum { DISTANCE_ROWS = 4 };

/* Converts sixteen bytes to floats. */
static inline lanes lanes_from_uint8(const uint8_t *p)
{
    uint8x16_t bytes = vld1q_u8(p);
    uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    return (lanes){vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), vcvtq_f32_u32(vmovl_high_u16(low)),
                   vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))), vcvtq_f32_u32(vmovl_high_u16(high))};
}

/* Returns z - x * y, rounded once. */
static inline lanes lanes_negated_fma(lanes x, lanes y, lanes z)
{
    return (lanes){vfmsq_f32(z.a, x.a, y.a), vfmsq_f32(z.b, x.b, y.b), vfmsq_f32(z.c, x.c, y.c),
                   vfmsq_f32(z.d, x.d, y.d)};
}

#include "simd/distance_lanes.h"

const struct distance_kernels distance_kernels_neon = {inner_product, squared_l2, inner_product_u8, squared_l2_u8};
