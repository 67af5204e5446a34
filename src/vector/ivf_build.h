/* vector/ivf_build.h: makes the lists of an inverted file from vectors: trains centroids, assigns vectors to
 * lists, and encodes vectors.
 *
 * A build never changes after ivf_build_new, so any thread may encode any of its lists. If a caller writes the
 * lists in order, and their vectors in the order of `rows`, each list gets a contiguous range of new row numbers,
 * [list_begin[l], list_begin[l + 1]).
 */
#ifndef VECTOR_IVF_BUILD_H
#define VECTOR_IVF_BUILD_H

#include "os/call.h"
#include "os/team.h"
#include "vector/centroid_codes.h"
#include "vector/ivf_scan.h"
#include "vector/kmeans.h"

struct ivf_build {
    struct ivf_codec codec;
    size_t nlist;
    size_t count;     /* number of vectors */
    float *centroids; /* float[nlist][dim]: exactly what the codes say */
    struct centroid_codes centroid_codes;
    float *trained;     /* memory of codec.trained, or NULL */
    size_t *list_begin; /* [nlist + 1] positions in `rows` */
    uint32_t *rows;     /* [count] row numbers of the input, list by list; within a list in rising order */
};

/* Returns a suitable number of lists for n vectors: the square root of n, rounded down, and at least 1. */
size_t ivf_auto_nlist(size_t n);

/* Clusters the vectors and trains the codec. Fails as kmeans_train does.
 *
 * x      float[n][dim], finite, and of length 1 when the metric stands for cosine; 1 ≤ n < 2^32
 * nlist  1 ≤ nlist ≤ n; 0: ivf_auto_nlist(n) */
enum dp_status ivf_build_new(struct call *call, struct team *team, const float *x, size_t n, size_t dim,
                             enum vector_metric metric, enum ivf_codec_kind kind, size_t nlist, uint64_t seed,
                             struct ivf_build **out);
/* Clusters the vectors faster, with kmeans_cluster(), and trains the codec. task->k is the number of lists, at least 1;
 * task->rows, samples and iterations are ignored. With task->scales the caller encodes vectors of length 1. */
enum dp_status ivf_build_quick(struct call *call, struct team *team, const struct kmeans_task *task,
                               enum ivf_codec_kind kind, struct ivf_build **out);
void ivf_build_free(struct ivf_build *build);

static inline size_t ivf_build_list_count(const struct ivf_build *build, size_t list)
{
    return build->list_begin[list + 1] - build->list_begin[list];
}

/* Encodes one list into codes, which has ivf_build_list_count(list) * codec.code_size bytes. x: as given to
 * ivf_build_new; residual: float[dim] of scratch. */
void ivf_build_encode(const struct ivf_build *build, const float *x, size_t list, float *residual, uint8_t *codes);

#endif
