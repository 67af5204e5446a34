/* index/query/query.h: the two halves of a query over one snapshot. Each half reads one round, or several when one
 * would be too large. */
#ifndef INDEX_QUERY_H
#define INDEX_QUERY_H

#include "index/query/reader.h"
#include "index/round.h"

/* A row that may be an answer. */
struct candidate {
    uint32_t segment; /* position in the snapshot */
    uint32_t row;
    float score; /* of its codes, approximate; larger is better for cosine, smaller for euclidean_squared */
};

/* Results of a run over one snapshot. */
enum query_outcome {
    QUERY_ANSWERED,         /* it answered, or failed, and need not run again */
    QUERY_MANIFEST_CHANGED, /* query_run.newer has the new manifest */
    QUERY_OBJECT_GONE       /* an object that the snapshot's manifest lists is missing */
};

/* A query that runs over one snapshot. The call's arena owns the arrays. */
struct query_run {
    struct call *call;
    struct store *store;
    const struct index_query *query;
    const struct snapshot *snapshot;
    const float *vector;  /* float[dim]; for cosine its length is 1 */
    uint64_t round_bytes; /* maximum bytes of a round; 0: ROUND_BYTES_MAX */
    const struct index_clock *clock;
    bool check_current; /* whether the first round also asks if the snapshot is current */

    struct candidate *candidates; /* set by query_score: best first */
    size_t candidate_count;

    enum query_outcome outcome;
    struct store_read_req newer; /* QUERY_MANIFEST_CHANGED: the new manifest; the caller releases it */
    struct manifest_read seen;   /* times of the read of the manifest; zero without check_current */
    bool confirmed;              /* whether that read found the snapshot's manifest */
};

/* Returns the nprobe for a query that gives no nprobe: enough for recall@10 ≥ 0.95 on embeddings of text.
 * docs/internals/segment.md has the figures. */
uint32_t query_default_nprobe(uint32_t nlist);

/* Finds the candidates: reads the probed lists of all segments, in one round or several, and scores them. With
 * check_current, the first round also asks whether the snapshot is current. */
enum dp_status query_score(struct query_run *run);
/* Makes the exact answer from the candidates. Reads their full-precision vectors and their documents in one round.
 * When one round is too small, it reads rounds of vectors, then rounds of the documents of the answer. */
enum dp_status query_finish(struct query_run *run, struct index_answer *out);

#endif
