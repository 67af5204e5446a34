/* text/bm25.c: codes lengths as bytes, and computes scores. */
#include "text/bm25.h"

#include <math.h>

/* A number in four significant bits: 0 to 15 exactly, then three bits behind the leading one, and a shift. The
 * largest length has the code 231, which leaves 24 codes free: lengths 0 to 23 take them. */
enum { FREE_CODES = 24 };

uint8_t bm25_code_of(uint32_t length)
{
    uint32_t n, shift;
    if (length > INT32_MAX)
        length = INT32_MAX;
    if (length < FREE_CODES)
        return (uint8_t)length;
    n = length - FREE_CODES;
    if (n < 8)
        return (uint8_t)(FREE_CODES + n);
    shift = 28 - (uint32_t)__builtin_clz(n);
    return (uint8_t)(FREE_CODES + ((shift + 1) << 3 | (n >> shift & 7)));
}

uint32_t bm25_length_of(uint8_t code)
{
    uint32_t n, shift;
    if (code < FREE_CODES)
        return code;
    n = code - FREE_CODES;
    if (n < 8)
        return FREE_CODES + n;
    shift = (n >> 3) - 1;
    return FREE_CODES + ((n & 7) + 8) * (UINT32_C(1) << shift);
}

double bm25_idf(uint64_t rows, uint64_t df)
{
    double others = rows > df ? (double)(rows - df) : 0;
    return log(1 + (others + 0.5) / ((double)df + 0.5));
}

double bm25_term(double idf, uint32_t tf, uint32_t length, double average, double k1, double b)
{
    double relative = average > 0 ? length / average : 1;
    double saturation = tf + k1 * (1 - b + b * relative);
    return tf ? idf * tf / saturation : 0;
}

double bm25_repeat(uint32_t times, double k3)
{
    return times * (k3 + 1) / (times + k3);
}
