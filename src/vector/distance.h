/* vector/distance.h: computes scores of pairs of vectors, by metric.
 *
 * Scores are those of FAISS: squared L2 (smaller is better) or inner product (larger is better). Every machine
 * computes the same bits (simd/distance.h). All functions are thread-safe and never fail.
 */
#ifndef VECTOR_DISTANCE_H
#define VECTOR_DISTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbered as in FAISS files. Cosine is the inner product of normalised vectors. */
enum vector_metric { VECTOR_INNER_PRODUCT = 0, VECTOR_L2 = 1 };

/* Returns whether larger scores are better. */
static inline bool vector_larger_is_better(enum vector_metric metric)
{
    return metric == VECTOR_INNER_PRODUCT;
}

/* out[r] = score of query float[dim] and row r of `rows`: n * dim little-endian floats, any alignment. */
void distance_rows(enum vector_metric metric, const float *query, const void *rows, size_t n, size_t dim,
                   float *out);

/* Returns the score of two vectors float[dim]. */
float distance_pair(enum vector_metric metric, const float *a, const float *b, size_t dim);

/* Returns the length of x float[dim]: infinity when its square does not fit a float. */
float vector_length(const void *x, size_t dim);
/* Whether a vector of this length has a direction: it is neither 0, infinite nor NaN. */
bool vector_has_direction(float length);
/* Scales x float[dim] to length 1. Returns false and leaves x alone when it has no direction. */
bool vector_normalize(float *x, size_t dim);

#endif
