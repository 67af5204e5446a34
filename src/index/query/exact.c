/* exact.c: computes distances from the scores of vector/distance.h. */
#include "index/query/exact.h"

#include "vector/distance.h"

static float distance_of_score(enum index_metric metric, float score)
{
    float dist = metric == INDEX_COSINE ? 1.0F - score : score;
    return dist > 0.0F ? dist : 0.0F; /* rounding may make it slightly negative */
}

float exact_distance(enum index_metric metric, const float *query, const void *vectors, size_t count, uint32_t dim)
{
    const uint8_t *at = vectors;
    float best = 0.0F;
    for (size_t i = 0; i < count; i++) {
        float score;
        distance_rows(metric == INDEX_COSINE ? VECTOR_INNER_PRODUCT : VECTOR_L2, query,
                      at + i * dim * sizeof(float), 1, dim, &score);
        float dist = distance_of_score(metric, score);
        if (i == 0 || dist < best)
            best = dist;
    }
    return best;
}
