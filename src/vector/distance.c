/* distance.c: computes scores by metric, with the kernels of this machine's instruction set. */
#include "vector/distance.h"

#include <math.h>

#include "simd/distance.h"
#include "simd/simd.h"

void distance_rows(enum vector_metric metric, const float *query, const void *rows, size_t n, size_t dim,
                   float *out)
{
    const struct distance_kernels *kernels = simd_ops()->distance;
    if (metric == VECTOR_INNER_PRODUCT)
        kernels->inner_product(query, rows, n, dim, out);
    else
        kernels->squared_l2(query, rows, n, dim, out);
}

float distance_pair(enum vector_metric metric, const float *a, const float *b, size_t dim)
{
    float score;
    distance_rows(metric, a, b, 1, dim, &score);
    return score;
}

float vector_length(const void *x, size_t dim)
{
    float square;
    distance_rows(VECTOR_INNER_PRODUCT, x, x, 1, dim, &square);
    return sqrtf(square);
}

bool vector_has_direction(float length)
{
    return length > 0.0f && length <= 3.4e38f;
}

bool vector_normalize(float *x, size_t dim)
{
    float length = vector_length(x, dim);
    if (!vector_has_direction(length))
        return false;
    for (size_t i = 0; i < dim; i++)
        x[i] /= length;
    return true;
}
