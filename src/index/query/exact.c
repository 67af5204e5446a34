/* exact.c: computes distances from the scores of vector/distance.h. For cosine the query has length 1, and the
 * vectors any length. */
#include "index/query/exact.h"

#include "vector/distance.h"

/* Returns the distance of one vector. */
static float distance_to(enum index_metric metric, const float *query, const void *vector, uint32_t dim)
{
    float score;
    if (metric != INDEX_COSINE) {
        distance_rows(VECTOR_L2, query, vector, 1, dim, &score);
        return score;
    }
    distance_rows(VECTOR_INNER_PRODUCT, query, vector, 1, dim, &score);
    float dist = 1.0F - score / vector_length(vector, dim);
    return dist > 0.0F ? dist : 0.0F; /* rounding may make it slightly negative */
}

float exact_distance(enum index_metric metric, const float *query, const void *vectors, size_t count, uint32_t dim)
{
    const uint8_t *at = vectors;
    float best = 0.0F;
    for (size_t i = 0; i < count; i++) {
        float dist = distance_to(metric, query, at + i * dim * sizeof(float), dim);
        if (i == 0 || dist < best)
            best = dist;
    }
    return best;
}
