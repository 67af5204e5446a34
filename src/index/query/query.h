/* index/query/query.h: the two halves of a query over one view. Each half reads one round, or several when one would
 * be too large. */
#ifndef INDEX_QUERY_H
#define INDEX_QUERY_H

#include "index/query/follow.h"
#include "index/query/reader.h"
#include "index/query/tail_scan.h"
#include "index/round.h"

/* A row that may be an answer. */
struct candidate {
    uint32_t segment; /* position in the snapshot */
    uint32_t row;
    float score; /* of its codes, approximate; larger is better for cosine, smaller for euclidean_squared */
};

/* Results of a run over one view. */
enum query_outcome {
    QUERY_ANSWERED,         /* the run answered, or failed: it need not be repeated */
    QUERY_REFUSED,          /* the view's manifest does not take it; the view may be old */
    QUERY_MANIFEST_CHANGED, /* query_run.newer has the new manifest */
    QUERY_VIEW_MOVED,       /* the view got a load during the run, or entries that the run does not have */
    QUERY_OBJECT_GONE       /* an object that the view's manifest lists is missing, or the log does not fit it */
};

/* A query that runs over one view. The call's arena owns the arrays. */
struct query_run {
    struct call *call;
    struct store *store;
    const struct index_query *query;
    struct view *view;
    const struct snapshot *snapshot; /* the view's base */
    const float *vector;             /* float[dim]; for cosine its length is 1 */
    uint64_t round_bytes;            /* maximum bytes of a round; 0: ROUND_BYTES_MAX */
    bool check_current;              /* whether the first round also asks if the view is current */
    /* NULL, or the rows that may be answers, which live_rows_take() and a filter have chosen. Then nothing else that
     * the view knows of its rows counts, and query_score() finds min(top_k, all of them) rows at least, if these have
     * vectors. */
    const struct filter_bits *allowed;
    struct probe *probes; /* NULL, or the lists that query_score() reads (index/query/probe.h) */

    struct candidate *candidates; /* set by query_score: best first */
    size_t candidate_count;
    size_t candidate_most;      /* set by query_score: candidate_count is at most this */
    struct tail_hit *tail_hits; /* set by query_score: the best rows of the tail, in any order */
    size_t tail_count;

    bool may_put_off;     /* whether query_finish() may append the entries that the first round has found */
    struct log_news news; /* these entries; their rows are among tail_hits */

    enum query_outcome outcome;
    struct store_read_req newer; /* QUERY_MANIFEST_CHANGED: the new manifest; the caller releases it */
    struct manifest_read seen;   /* times of the read of the manifest; zero without check_current */
    bool confirmed;              /* whether that read found the view's manifest */
    void *context;               /* of query_over_views() */
};

/* Answers over run->view, or sets run->outcome. */
typedef enum dp_status query_run_fn(struct query_run *run, struct index_answer *out);
/* Calls `fn` over the reader's view, and again over newer views as long as run->outcome asks for that. Fails as `fn`
 * does, never with DP_STALE. */
enum dp_status query_over_views(struct call *call, struct index_reader *reader, const struct index_query *query,
                                query_run_fn *fn, void *context, struct index_answer *out);

/* What a query's first round asks about the view, beside what the query itself wants. */
struct view_question {
    struct view_settling *settling; /* the id blocks that the view needs; or NULL */
    struct current_read current;    /* whether the view is current */
};
/* Asks the round for the id blocks that the view needs. */
enum dp_status query_ask_view(struct query_run *run, struct round *round, struct view_question *out);
/* Reads the round and settles the view. `check`: the round also asks if the view is current, and entries that the
 * view lacks are read and applied; sets run->confirmed, or run->newer and run->outcome. Ends the question, also on
 * failure. */
enum dp_status query_read_round(struct query_run *run, struct round *round, struct view_question *question,
                                bool check);

/* Checks what a query asks for against the namespace. Without a vector it checks top_k alone. */
enum dp_status query_check(struct call *call, const struct index_query *q, const struct manifest *m);
/* Checks that a query's vector has distances by this metric. */
enum dp_status query_check_vector(struct call *call, const struct index_query *q, enum index_metric metric);
/* Sets run->vector: a copy of the query's vector, for cosine scaled to length 1. */
enum dp_status query_prepare(struct query_run *run, enum index_metric metric);
/* Copies the attributes that the query includes, as the document `json` has them, into the call's arena. Attributes
 * that the schema has dropped stay out, and vectors are shown as schema_show() does. */
enum dp_status query_project(struct call *call, const struct index_query *q, const struct schema *schema,
                             struct span json, struct span *out);

/* Decodes an id key of the call's arena for an answer. */
enum dp_status query_id(struct call *call, struct span key, struct index_id *out);
/* Fills a hit from a row's id key, its document, and its first vector, float[dim] or NULL. Copies what it keeps. */
enum dp_status query_make_hit(struct query_run *run, struct span key, struct span document, const void *vector,
                              struct index_hit *hit);

/* Returns the nprobe for a query that gives no nprobe: enough for recall@10 ≥ 0.95 on embeddings of text.
 * docs/internals/segment.md has the figures. */
uint32_t query_default_nprobe(uint32_t nlist);

/* Returns how many candidates a query needs. `first`: it reads codes of one bit (index/query/first_codes.h). */
size_t query_want(const struct index_query *query, bool first);
/* Finds the candidates: reads the probed lists of all segments, in one round or several, and scores them. Searches the
 * tail exactly. With check_current, the first round also asks whether the view is current, and entries that the view
 * lacks are read and applied before anything is scored. */
enum dp_status query_score(struct query_run *run);
/* Makes the exact answer from the candidates and the rows of the tail. Reads the candidates' full-precision vectors
 * and their documents in one round. When one round is too small, it reads rounds of vectors, then rounds of the
 * documents of the answer. */
enum dp_status query_finish(struct query_run *run, struct index_answer *out);

#endif
