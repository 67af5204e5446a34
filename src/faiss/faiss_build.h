/* faiss/faiss_build.h: from vectors to an IVF file that stock FAISS opens, in bounded memory.
 *
 * The vectors come block by block and are read once to be checked and sampled, once to be assigned to lists, and
 * once for each part of the lists that fits in memory. The file depends on vectors, options and seed alone, not on
 * threads or machine. In memory are beside options->memory_bytes: 4 bytes a vector and the centroids.
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
    bool normalize;      /* vectors are scaled to length 1: with inner products, cosine */
    size_t nlist;        /* 0: faiss_build_auto_nlist */
    uint64_t seed;       /* of the sample and the first centroids */
    size_t memory_bytes; /* for the sample, and for the lists while they are written; 0: 1 GiB */
    const int64_t *ids;  /* int64_t[count], 0 or more each; NULL: 0, 1, … */
    bool no_recall;      /* do not measure recall by nprobe (faiss/recall.h) into an object beside the file */
    /* Told now and then, on the caller's thread, which part of a stage is done, 0 to 1; false cancels. NULL: nobody
     * is told. Stages, in order: "reading", "clustering", "assigning", "writing", "measuring". */
    bool (*progress)(void *ctx, const char *stage, double done);
    void *progress_ctx;
};

struct faiss_built {
    uint64_t vectors, bytes;
    size_t dim, nlist;
    struct recall_table recall; /* count 0 when it was not measured */
};

/* Lists that suit a file of n vectors: twice the square root, as for a namespace's segments, but with 39 vectors a
 * list, which FAISS asks for to train them; at least 1. */
size_t faiss_build_auto_nlist(uint64_t n);

/* Builds the file at `url`: a path, file:///path, or an object of a store that can be written. It appears whole or
 * not at all, in place of one that was there; cancelled while it measures, it is there without its table.
 *
 * team   may be NULL: the caller's thread alone
 * store  of other URLs than paths; may be NULL
 * out    may be NULL; filled but for the recall when only measuring failed
 *
 * DP_INVALID for no vectors, more lists than vectors, a NaN or an infinite value (with the row's number), a negative id;
 * DP_TOO_LARGE when the sample does not fit in memory_bytes; what the source and the store answer; DP_CANCELLED,
 * DP_DEADLINE, DP_NOMEM. */
enum dp_status faiss_build(struct call *call, struct team *team, const struct vector_source *source,
                           const struct faiss_build_options *options, struct span url,
                           const struct store_options *store, struct faiss_built *out);

#endif
