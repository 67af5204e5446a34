/* transform.c: applies a transform to a vector. */
#include "vector/transform.h"

#include <math.h>
#include <string.h>

#include "base/splitmix.h"
#include "vector/distance.h"

/* Replaces y by H y, unscaled; H is the Walsh-Hadamard matrix of size n, a power of two. */
static void walsh_hadamard(float *y, size_t n)
{
    for (size_t step = 1; step < n; step *= 2)
        for (size_t i = 0; i < n; i += 2 * step)
            for (size_t j = i; j < i + step; j++) {
                float a = y[j], b = y[j + step];
                y[j] = a + b;
                y[j + step] = a - b;
            }
}

/* Applies TRANSFORM_HADAMARD. SplitMix64 draws the signs from the seed, as in FAISS. */
static void apply_hadamard(const struct vector_transform *transform, const float *x, float *y)
{
    size_t n = transform->dim_out;
    uint64_t state = transform->seed;
    memset(y, 0, n * sizeof *y);
    memcpy(y, x, transform->dim_in * sizeof *y);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < n; i++)
            if (splitmix64_next(&state) % 2 == 0)
                y[i] = -y[i];
        walsh_hadamard(y, n);
    }
    float scale = 1.0f / ((float)n * sqrtf((float)n));
    for (size_t i = 0; i < n; i++)
        y[i] *= scale;
}

void vector_transform_apply(const struct vector_transform *transform, const float *x, float *y)
{
    size_t in = transform->dim_in, out = transform->dim_out;
    switch (transform->kind) {
    case TRANSFORM_LINEAR:
        distance_rows(VECTOR_INNER_PRODUCT, x, transform->matrix, out, in, y);
        for (size_t i = 0; transform->offset && i < out; i++)
            y[i] += transform->offset[i];
        break;
    case TRANSFORM_NORMALIZE:
        memcpy(y, x, in * sizeof *y);
        vector_normalize(y, in);
        break;
    case TRANSFORM_CENTER:
        for (size_t i = 0; i < in; i++)
            y[i] = x[i] - transform->offset[i];
        break;
    case TRANSFORM_REMAP:
        for (size_t i = 0; i < out; i++)
            y[i] = transform->map[i] < 0 ? 0.0f : x[transform->map[i]];
        break;
    case TRANSFORM_HADAMARD: apply_hadamard(transform, x, y); break;
    }
}
