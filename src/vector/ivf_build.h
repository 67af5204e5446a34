/* vector/ivf_build.h: makes the lists of an inverted file from vectors: centroids, which vector lies in which list,
 * and codes.
 *
 * A build does not change once made, so any thread may encode any list of it. Its order is list by list: writing
 * lists in order, and vectors in the order of `rows`, gives each list a contiguous range of new row numbers,
 * [list_begin[l], list_begin[l + 1]).
 */
#ifndef VECTOR_IVF_BUILD_H
#define VECTOR_IVF_BUILD_H

#include "os/call.h"
#include "os/team.h"
#include "vector/ivf_scan.h"

struct ivf_build {
    struct ivf_codec codec;
    size_t nlist;
    size_t count;       /* vectors */
    float *centroids;   /* float[nlist][dim] */
    float *trained;     /* codec.trained */
    size_t *list_begin; /* [nlist + 1] into rows */
    uint32_t *rows;     /* [count]: rows[p] is the input row at place p; within a list in input order */
};

/* A fitting number of lists for n vectors: about the square root of n, at least 1. */
size_t ivf_auto_nlist(size_t n);

/* Clusters and trains. Errors as kmeans_train.
 *
 * x      float[n][dim], finite, and of length 1 when the metric stands for cosine; 1 ≤ n < 2^32
 * nlist  1 ≤ nlist ≤ n; 0: ivf_auto_nlist(n) */
enum dp_status ivf_build_new(struct call *call, struct team *team, const float *x, size_t n, size_t dim,
                             enum vector_metric metric, enum ivf_codec_kind kind, size_t nlist, uint64_t seed,
                             struct ivf_build **out);
void ivf_build_free(struct ivf_build *build);

static inline size_t ivf_build_list_count(const struct ivf_build *build, size_t list)
{
    return build->list_begin[list + 1] - build->list_begin[list];
}

/* Encodes one list into codes, which has ivf_build_list_count(list) * codec.code_size bytes. x: as given to
 * ivf_build_new; residual: float[dim] of scratch. */
void ivf_build_encode(const struct ivf_build *build, const float *x, size_t list, float *residual, uint8_t *codes);

#endif
