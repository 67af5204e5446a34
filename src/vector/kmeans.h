/* vector/kmeans.h: k-means clustering, for the lists of an inverted file.
 *
 * Lloyd's algorithm over a sample. The result depends on the vectors, k, the metric and the seed alone: not
 * on the number of threads, nor on the machine. For VECTOR_INNER_PRODUCT it is spherical: centroids have
 * length 1, and a vector belongs to the centroid with the largest inner product.
 */
#ifndef VECTOR_KMEANS_H
#define VECTOR_KMEANS_H

#include "os/call.h"
#include "os/team.h"
#include "vector/distance.h"

enum {
    KMEANS_SAMPLES = 256, /* vectors looked at per centroid, at most */
    KMEANS_ITERATIONS = 10
};

/* Trains k centroids.
 *
 * team       may be NULL: the caller's thread alone
 * x          float[n][dim], finite; n < 2^32
 * centroids  out: float[k][dim]
 *
 * DP_INVALID unless 1 ≤ k ≤ n and dim ≥ 1; DP_CANCELLED and DP_DEADLINE within milliseconds; DP_NOMEM. */
enum dp_status kmeans_train(struct call *call, struct team *team, const float *x, size_t n, size_t dim, size_t k,
                            enum vector_metric metric, uint64_t seed, float *centroids);

/* Told now and then, on the caller's thread, which part of the work is done (0 to 1); false cancels it. */
struct kmeans_watch {
    bool (*tell)(void *ctx, double done);
    void *ctx;
};

/* The same, watched. watch: may be NULL. */
enum dp_status kmeans_train_watched(struct call *call, struct team *team, const float *x, size_t n, size_t dim,
                                    size_t k, enum vector_metric metric, uint64_t seed,
                                    const struct kmeans_watch *watch, float *centroids);

/* A seeded choice of `wanted` of n things that come by one after another; each set of them is equally likely. */
struct kmeans_choice {
    uint64_t random; /* the seed */
    uint64_t n, wanted;
};
/* Whether the next thing is chosen. At most n times. */
bool kmeans_choose(struct kmeans_choice *choice);

/* Finds the nearest centroid of each vector: list[i] in [0, k), the smaller when two are equally near.
 *
 * score  out: the exact score of x[i] and its centroid; NULL when it is not wanted
 *
 * Errors as for kmeans_train; k may exceed n here. */
enum dp_status kmeans_assign(struct call *call, struct team *team, const float *x, size_t n, size_t dim,
                             const float *centroids, size_t k, enum vector_metric metric, uint32_t *list,
                             float *score);

#endif
