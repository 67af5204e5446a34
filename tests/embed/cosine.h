/* cosine.h: the cosine of two vectors, in double precision. */
#ifndef TEST_COSINE_H
#define TEST_COSINE_H

#include <math.h>
#include <stddef.h>

static inline double cosine_of(const float *a, const float *b, size_t dim)
{
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < dim; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return dot / sqrt(aa * bb);
}

#endif
