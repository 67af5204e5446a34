/* vector/transform.h: transforms of query vectors before a search: rotations, projections and others. */
#ifndef VECTOR_TRANSFORM_H
#define VECTOR_TRANSFORM_H

#include <stddef.h>
#include <stdint.h>

enum vector_transform_kind {
    TRANSFORM_LINEAR,    /* y = matrix x (+ offset) */
    TRANSFORM_NORMALIZE, /* y = x / |x|; the zero vector stays */
    TRANSFORM_CENTER,    /* y = x - offset */
    TRANSFORM_REMAP,     /* y[i] = x[map[i]], or 0 when map[i] < 0 */
    TRANSFORM_HADAMARD /* three times random signs, then the Walsh-Hadamard matrix of size dim_out, a power of 2 */
};

/* A transform; its maker owns the arrays. A transform does not change, so any thread may apply it. */
struct vector_transform {
    enum vector_transform_kind kind;
    size_t dim_in, dim_out;
    float *matrix; /* LINEAR: float[dim_out][dim_in] */
    float *offset; /* LINEAR: float[dim_out] or NULL; CENTER: float[dim_in] */
    int32_t *map;  /* REMAP: [dim_out], values less than dim_in */
    uint64_t seed; /* HADAMARD: seed of the signs */
};

/* Transforms x float[dim_in] into y float[dim_out]. The two must not overlap. */
void vector_transform_apply(const struct vector_transform *transform, const float *x, float *y);

#endif
