/* simd/encoder_math.h: the constants that define our exp, erf and quantisation, for every instruction set.
 *
 * 2^x: Let x = n + f with |f| <= 1/2. A minimax polynomial of degree 5 gives 2^f (Remez; relative error 7.5e-8
 * before rounding, 2.1e-7 after). Adding n to the exponent's bits multiplies 2^f by 2^n. Softmax folds its scale
 * and log2 e into one factor, so e^x costs no more than 2^x. For attention weights of 15 bits, degree 3 suffices
 * (relative error 7.5e-5).
 *
 * GELU: x/2 (1 + erf(x / sqrt 2)) = max(x, 0) - |x| t with t = erfc(|x| / sqrt 2) / 2. The fourth root of t is
 * almost a straight line, so a polynomial of degree 8 in -|x| is close to it. A linear program found its
 * coefficients; it weighs errors as they show in GELU and in erf. From |x| = 5.63 on the polynomial is below 0 and
 * counts as 0. Squaring it twice gives erf within 3.6e-7 and GELU within 4.1e-7, without a division.
 */
#ifndef SIMD_ENCODER_MATH_H
#define SIMD_ENCODER_MATH_H

#include <math.h>
#include <stddef.h>

#include "simd/encoder.h"

/* 1.5 * 2^23: adding it rounds a small float to an integer, ties to even, in the sum's low bits. */
#define EXP_ROUND 12582912.0f
#define EXP_LEAST (-125.0f) /* 2^-125 is still a normal float */
#define EXP_LOG2E 1.44269504f

enum { EXP_POLY_TERMS = 6, EXP_SHORT_TERMS = 4, GELU_POLY_TERMS = 9 };

/* Coefficients of the polynomials, highest power first. */
static const float exp_poly[EXP_POLY_TERMS] = {0.00132764725f, 0.00967554096f, 0.0555071309f,
                                               0.240221202f,   0.693146944f,   1.00000012f};

static const float exp_short[EXP_SHORT_TERMS] = {0.0551716691f, 0.242611122f, 0.693260985f, 0.999928074f};

static const float gelu_poly[GELU_POLY_TERMS] = {-3.40994529e-06f, -5.85333255e-05f, -0.000307979819f,
                                                 3.39326652e-05f,  0.00379413273f,   -0.00465057697f,
                                                 -0.0501979701f,   0.167734012f,     0.840896428f};

/* Makes the compiler unroll the next loop fully: a loop of at most 16 steps over an array of registers. Otherwise
 * the array would lie in memory. clang's plain "unroll" would also unroll loops that it cannot count yet. */
#if defined(__clang__)
#define UNROLL_LOOP _Pragma("clang loop unroll(full)")
#else
#define UNROLL_LOOP _Pragma("GCC unroll 16")
#endif

#define QUANTIZE_LEVELS      ((float)INT8_LEVELS)
#define QUANTIZE_STEP        (1.0f / QUANTIZE_LEVELS)
/* a row with a smaller range counts as constant, because levels / range would overflow */
#define QUANTIZE_LEAST_RANGE 1e-30f
#define NORM_LEAST           1e-12f

/* Bounds that keep the sums of attention in int16 below 2^31. Queries and keys of a head of `dim` channels reach
 * the greatest B with dim * B * B < 2^31 (8191 for 32 channels). Values reach 32767. A query's weights sum up to
 * 32,000, and rounding adds at most half a unit per key: (32000 + 8192 / 2) * 32767 < 2^31. */
#define ATTENTION_MOST    2147483647.0
#define ATTENTION_INT16   32767.0f
#define ATTENTION_WEIGHTS 32000.0f
#define ATTENTION_STEEP   0x1p-13f /* maximum factor: a score of 2^31 times the factor is rounded by at most 2^-7 */

static inline float attention_bound(size_t head_dim)
{
    float bound = (float)(int)sqrt(ATTENTION_MOST / (double)head_dim);
    return bound < ATTENTION_INT16 ? bound : ATTENTION_INT16;
}

/* Returns the value of one unit if `bound` units stand for `most`. Returns 0 if `most` is tiny or infinite; then
 * all values count as 0. */
static inline float attention_step(float most, float bound)
{
    return most > QUANTIZE_LEAST_RANGE && most < INFINITY ? most / bound : 0.0f;
}

/* Returns the factor that turns a product of integers into an exponent of 2. */
static inline float attention_factor(float scale, float q_step, float k_step)
{
    float factor = scale * EXP_LOG2E * (q_step * k_step);
    return factor < ATTENTION_STEEP ? factor : ATTENTION_STEEP;
}

#endif
