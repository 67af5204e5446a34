/* simd/encoder_math.h: the constants that define our exp, erf and quantisation, for every instruction set.
 *
 * 2^x: x = n + f with |f| <= 1/2; 2^f by a minimax polynomial of degree 5 (Remez; 7.5e-8 relative before
 * rounding, 2.1e-7 after), 2^n by adding n to the exponent's bits. Softmax folds its scale and log2 e into one
 * factor, so e^x costs no more.
 * erf: a least-squares Chebyshev fit of erf(2 (u + 1) * 0.975) on u in [-1, 1], that is of erf on [0, 3.9],
 * where erf reaches 1 in float; degree 15, at most 2.3e-7 off, without a division.
 */
#ifndef SIMD_ENCODER_MATH_H
#define SIMD_ENCODER_MATH_H

/* 1.5 * 2^23: adding it rounds a small float to an integer, ties to even, which is then in the low bits. */
#define EXP_ROUND 12582912.0f
#define EXP_LEAST (-125.0f) /* 2^-125 is still a normal float */
#define EXP_LOG2E 1.44269504f

enum { EXP_POLY_TERMS = 6, GELU_POLY_TERMS = 16 };

/* Highest power first. */
static const float exp_poly[EXP_POLY_TERMS] = {0.00132764725f, 0.00967554096f, 0.0555071309f,
                                               0.240221202f,   0.693146944f,   1.00000012f};

#define GELU_SATURATED 5.515433f    /* 3.9 * sqrt 2 */
#define GELU_TO_UNIT   0.362618867f /* 2 / GELU_SATURATED */

static const float gelu_poly[GELU_POLY_TERMS] = {0.014297479f, -0.013161279f, -0.071070015f, 0.095501006f,
                                                 0.113960445f, -0.28000247f,  0.05824748f,   0.34051776f,
                                                 -0.43628886f, 0.09433742f,   0.36075577f,   -0.5446582f,
                                                 0.41099605f,  -0.18671365f,  0.049101718f,  0.9941794f};

/* Stands before a loop of at most 16 turns over registers, which must be unrolled wholly: otherwise the
 * registers become an array in memory. clang's plain "unroll" would also unroll what it cannot count yet. */
#if defined(__clang__)
#define UNROLL_LOOP _Pragma("clang loop unroll(full)")
#else
#define UNROLL_LOOP _Pragma("GCC unroll 16")
#endif

#define QUANTIZE_STEP        (1.0f / 255.0f)
#define QUANTIZE_LEAST_RANGE 1e-30f /* below it a row counts as constant (255 / range would overflow) */
#define NORM_LEAST           1e-12f

#endif
