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

/* The vectors to cluster, and how. */
struct kmeans_task {
    const float *x;       /* float[..][dim], finite */
    const uint32_t *rows; /* [n]: numbers of the rows of x that count; NULL: the first n rows */
    size_t n, dim, k;     /* n < 2^32 */
    enum vector_metric metric;
    uint64_t seed;
    size_t samples;                   /* maximum vectors of the sample for each centroid, at least 1 */
    size_t sample_bytes;              /* kmeans_cluster(): memory of the sample; 0: enough for a good one */
    int iterations;                   /* maximum */
    const struct kmeans_watch *watch; /* or NULL */
    bool scales; /* kmeans_cluster(), VECTOR_INNER_PRODUCT: each vector counts as if it had length 1 */
};

/* Trains task->k centroids; fails as kmeans_train() does. */
enum dp_status kmeans_run(struct call *call, struct team *team, const struct kmeans_task *task, float *centroids);

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
/* Assigns the rows of a task as kmeans_assign() does: list[i] and score[i] belong to the task's i-th row. Uses only
 * x, rows, n, dim, k and metric of the task. */
enum dp_status kmeans_assign_rows(struct call *call, struct team *team, const struct kmeans_task *task,
                                  const float *centroids, uint32_t *list, float *score);

/* Sorts `count` positions by list; within a list they keep their order. begin has lists + 1 places: the members of
 * list l are member[begin[l]] to member[begin[l + 1] - 1]. */
void kmeans_group(const uint32_t *list, size_t count, size_t lists, uint32_t *member, size_t *begin);

/* Trains task->k centroids, and sets list[i] to the cluster of vector i, in a small part of the time that
 * kmeans_train() and kmeans_assign() take (kmeans_tree.c says how). The clusters are a little larger, and a few
 * vectors in a hundred are in a cluster that is not quite the nearest. Walks over task->x in order, and calls the
 * watch after each slice, so a caller may release memory that it maps from a file. Ignores task->rows, samples and
 * iterations. */
enum dp_status kmeans_cluster(struct call *call, struct team *team, const struct kmeans_task *task,
                              float *centroids, uint32_t *list);

#endif
