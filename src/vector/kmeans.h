/* vector/kmeans.h: clusters vectors with k-means, for the lists of an inverted file.
 *
 * Training runs Lloyd's algorithm over a sample. The result depends only on the vectors, k, the metric and the
 * seed, not on the number of threads or the machine. For VECTOR_INNER_PRODUCT clusters are spherical: centroids
 * have length 1, and a vector belongs to the centroid with the largest inner product.
 */
#ifndef VECTOR_KMEANS_H
#define VECTOR_KMEANS_H

#include "os/call.h"
#include "os/team.h"
#include "vector/distance.h"

enum {
    KMEANS_SAMPLES = 256, /* maximum vectors of the sample for each centroid */
    KMEANS_ITERATIONS = 10
};

/* Trains k centroids.
 *
 * team       NULL: only the caller's thread works
 * x          float[n][dim], finite; n < 2^32
 * centroids  out: float[k][dim]
 *
 * DP_INVALID unless 1 ≤ k ≤ n and dim ≥ 1; DP_CANCELLED and DP_DEADLINE within milliseconds; DP_NOMEM. */
enum dp_status kmeans_train(struct call *call, struct team *team, const float *x, size_t n, size_t dim, size_t k,
                            enum vector_metric metric, uint64_t seed, float *centroids);

/* Training calls `tell` from time to time, on the caller's thread, with the part of the work that is done (0 to
 * 1). If `tell` returns false, training ends with DP_CANCELLED. */
struct kmeans_watch {
    bool (*tell)(void *ctx, double done);
    void *ctx;
};

/* Trains as kmeans_train does, and reports to `watch`, which may be NULL. */
enum dp_status kmeans_train_watched(struct call *call, struct team *team, const float *x, size_t n, size_t dim,
                                    size_t k, enum vector_metric metric, uint64_t seed,
                                    const struct kmeans_watch *watch, float *centroids);

/* A random choice of `wanted` of n things that come one after another. Each set of `wanted` things is equally
 * likely. */
struct kmeans_choice {
    uint64_t random;    /* the seed */
    uint64_t n, wanted; /* things still to come, and those still to choose */
};
/* Returns whether the next thing is chosen. Call it at most n times. */
bool kmeans_choose(struct kmeans_choice *choice);

/* Sets list[i] to the number, in [0, k), of the centroid nearest to vector i; of two equally near, the smaller
 * number.
 *
 *   score  out: the exact score of x[i] and its centroid; NULL: no scores
 *
 * Errors as for kmeans_train; k may exceed n here. */
enum dp_status kmeans_assign(struct call *call, struct team *team, const float *x, size_t n, size_t dim,
                             const float *centroids, size_t k, enum vector_metric metric, uint32_t *list,
                             float *score);

#endif
