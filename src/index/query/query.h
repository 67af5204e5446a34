/* index/query/query.h: the two halves of a query over one snapshot. Each is one round unless that would be too large.
 */
#ifndef INDEX_QUERY_H
#define INDEX_QUERY_H

#include "index/query/reader.h"
#include "index/round.h"

/* A row that may be an answer. */
struct candidate {
    uint32_t segment; /* place in the snapshot */
    uint32_t row;
    float score; /* approximate at first, then exact; larger is better for cosine, smaller for euclidean_squared */
};

/* How a run over one snapshot ended. */
enum query_outcome {
    QUERY_ANSWERED,         /* or failed for good */
    QUERY_MANIFEST_CHANGED, /* `newer` is the namespace's manifest now */
    QUERY_OBJECT_GONE       /* an object that the snapshot's manifest lists is missing */
};

/* A query that runs over one snapshot. Spans and arrays are in the call's arena. */
struct query_run {
    struct call *call;
    struct store *store;
    const struct index_query *query;
    const struct snapshot *snapshot;
    const float *vector;  /* float[dim]; for cosine of length 1 */
    uint64_t round_bytes; /* maximum bytes of a round; 0: ROUND_BYTES_MAX */
    bool check_current;   /* ask in the first round, too, whether the snapshot is current */

    struct candidate *candidates; /* set by query_score: best first */
    size_t candidate_count;

    enum query_outcome outcome;
    struct store_read_req newer; /* QUERY_MANIFEST_CHANGED: its bytes and version, to be released */
    struct manifest_read seen;   /* the read that check_current made */
    bool confirmed;              /* check_current found the snapshot's manifest */
};

/* The nprobe of a query that names none: enough for recall@10 ≥ 0.95 on embeddings of text (docs/internals/segment.md
 * has the figures). */
uint32_t query_default_nprobe(uint32_t nlist);

/* Reads the probed lists of all segments, in one round or in as many as their bytes need, and scores them. The first
 * round also asks whether the snapshot is current. */
enum dp_status query_score(struct query_run *run);
/* Makes the exact answer. Reads the full-precision vectors and the documents of all candidates in one round; where
 * that is too much, rounds of vectors, then rounds of the documents of rows that are answered. */
enum dp_status query_finish(struct query_run *run, struct index_answer *out);

#endif
