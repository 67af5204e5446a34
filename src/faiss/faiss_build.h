/* faiss/faiss_build.h: builds an IVF file from vectors, in bounded memory. Stock FAISS opens the file.
 *
 * The build reads the vectors block by block: once to check and sample them, once to assign them to lists, and
 * once for each group of lists that fits into memory. The file depends only on the vectors and the options, not on
 * threads or the machine. The build takes options->memory_bytes, 4 bytes for each vector, and the memory of the
 * centroids.
 */
#ifndef FAISS_FAISS_BUILD_H
#define FAISS_FAISS_BUILD_H

#include "faiss/recall.h"
#include "os/team.h"
#include "vector/ivf_codec.h"
#include "vector/vector_source.h"

struct faiss_build_options {
    enum ivf_codec_kind kind; /* IVF_FLAT or IVF_SQ8 */
    enum vector_metric metric;
    bool normalize;      /* scale vectors to length 1; inner products are then cosines */
    size_t nlist;        /* 0: faiss_build_auto_nlist */
    uint64_t seed;       /* chooses the sample and the first centroids */
    size_t memory_bytes; /* for the sample, and for the lists while the build writes them; 0: 1 GiB */
    const int64_t *ids;  /* int64_t[count], each ≥ 0; NULL: 0, 1, … */
    bool no_recall;      /* write no table of recall by nprobe beside the file (faiss/recall.h) */
    /* The build calls it now and then on the caller's thread, with the part of the stage that is done, 0 to 1.
     * False cancels the build. May be NULL. Stages, in order: "reading", "clustering", "assigning", "writing",
     * "measuring". */
    bool (*progress)(void *ctx, const char *stage, double done);
    void *progress_ctx;
};

struct faiss_built {
    uint64_t vectors, bytes;
    size_t dim, nlist;
    struct recall_table recall; /* `count` is 0 if the build did not measure it */
};

/* Returns a good number of lists for n vectors: twice the square root of n, as for a namespace's segments, but at
 * most n / 39, because FAISS wants 39 vectors per list for training. At least 1. */
size_t faiss_build_auto_nlist(uint64_t n);

/* Builds the file at `url`: a path, file:///path, or an object of a store that can be written. The file appears
 * whole or not at all, in place of an earlier one. A build that is cancelled while it measures leaves the file,
 * without a table of recall.
 *
 * team   may be NULL: the caller's thread alone
 * store  options for URLs other than paths; may be NULL
 * out    may be NULL; if only measuring failed, it has everything but the recall
 *
 * DP_INVALID for no vectors, more lists than vectors, a NaN or an infinite value (with the row's number), a
 * negative id; DP_TOO_LARGE when the sample does not fit into memory_bytes; the status of the source or the store;
 * DP_CANCELLED, DP_DEADLINE, DP_NOMEM. */
enum dp_status faiss_build(struct call *call, struct team *team, const struct vector_source *source,
                           const struct faiss_build_options *options, struct span url,
                           const struct store_options *store, struct faiss_built *out);

#endif
