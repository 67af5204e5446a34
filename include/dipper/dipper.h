/* dipper.h: semantic search served straight from the bucket, as a C library.
 *
 * Text becomes vectors on the CPU (dp_embed), rows become a namespace in a bucket (dp_index_file), and a
 * namespace answers queries by meaning (dp_search). A "root" is a folder (a path, or
 * file:///path) or s3://bucket/prefix, for which the environment has the settings, as Amazon's own tools take
 * them. The library starts threads only in dp_runtime_new and where a root is remote, installs no signal
 * handlers, and changes no state of the process.
 *
 * Every function that can fail returns an `enum dp_status` (0 is success) and fills `error` (may be NULL)
 * with a sentence. A pointer that is NULL where no comment allows it is DP_INVALID; functions that cannot fail
 * answer 0, NULL or an empty string for it. Handles are freed in the reverse order of their making; freeing
 * NULL is fine. Unless a comment says otherwise a handle may be used from several threads at once. Strings are
 * UTF-8 and NUL-terminated.
 *
 * Everything here is since 0.1. Until 1.0 a minor release may change it, and CHANGELOG.md says how.
 */
#ifndef DIPPER_DIPPER_H
#define DIPPER_DIPPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dipper/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define DP_API __attribute__((visibility("default")))
#else
#define DP_API
#endif

/* "0.1.0". Never NULL. */
DP_API const char *dp_version(void);

/* ---- limits of a call -------------------------------------------------------------------------------- */

/* How long a call may take, and who may end it before. Zeros: as long as it needs. */
struct dp_limits {
    uint64_t timeout_ms; /* then it fails with DP_DEADLINE; 0: no limit */
    /* Asked on the calling thread, first after 20 ms and then about as often, at the latest when a step of computing
     * ends; true: the call fails with DP_CANCELLED as soon as it can. NULL: nobody is asked. */
    bool (*cancelled)(void *ctx);
    void *ctx;
};

/* ---- the runtime: compute threads ------------------------------------------------------------------- */

struct dp_runtime;

struct dp_runtime_options {
    unsigned threads; /* compute threads, the caller's included; 0: as many CPUs as the process may use */
};

/* Starts the compute threads. options may be NULL for the defaults. Errors: DP_NOMEM, DP_IO. */
DP_API enum dp_status dp_runtime_new(const struct dp_runtime_options *options, struct dp_runtime **out,
                                     struct dp_error *error);
DP_API void dp_runtime_free(struct dp_runtime *runtime);

/* ---- embedding --------------------------------------------------------------------------------------- */

struct dp_model;

/* Opens a model: a directory in the Hugging Face / sentence-transformers layout, or a packed model file
 * (`dipper-bare model pack`). Errors: DP_NOT_FOUND, DP_CORRUPT, DP_UNSUPPORTED (naming what is), DP_NOMEM. */
DP_API enum dp_status dp_model_open(struct dp_runtime *runtime, const char *path, struct dp_model **out,
                                    struct dp_error *error);

enum dp_precision { DP_INT8, DP_FP32 };

struct dp_model_options {
    enum dp_precision precision; /* of the weights; DP_FP32 is slower and the reference. A packed model is int8 */
    /* Written before a text, a query, a document (docs/models.md); NULL: as the model's directory says; "": nothing. */
    const char *default_prompt, *query_prompt, *document_prompt;
};

/* The same with options; NULL for the defaults, which are zeros. */
DP_API enum dp_status dp_model_open_with(struct dp_runtime *runtime, const char *path,
                                         const struct dp_model_options *options, struct dp_model **out,
                                         struct dp_error *error);

/* The same as dp_model_open for a packed model in memory. The bytes are not copied: they must be 64-byte
 * aligned, stay as they are, and outlive the model. */
DP_API enum dp_status dp_model_open_memory(struct dp_runtime *runtime, const void *bytes, size_t len,
                                           struct dp_model **out, struct dp_error *error);
DP_API void dp_model_close(struct dp_model *model);

DP_API const char *dp_model_name(const struct dp_model *model);
DP_API size_t dp_model_dim(const struct dp_model *model);        /* floats in an embedding */
DP_API size_t dp_model_max_tokens(const struct dp_model *model); /* longer texts are cut there */

/* Embeds texts.
 *
 * texts      const char *texts[count]
 * normalize  true: unit vectors; false: the pooled vectors as they are
 * out        float out[count][dp_model_dim(model)]
 *
 * Deterministic: a text's vector does not depend on its companions, on threads or on the machine.
 * Errors: DP_INVALID (count 0), DP_NOMEM. */
DP_API enum dp_status dp_embed(struct dp_model *model, const char *const *texts, size_t count, bool normalize,
                               float *out, struct dp_error *error);

/* The same for texts that are not NUL-terminated, within limits.
 *
 * lengths  size_t lengths[count]: bytes of each text, which may hold any; NULL: they are NUL-terminated
 * limits   may be NULL
 *
 * Errors, beside those: DP_DEADLINE, DP_CANCELLED. */
DP_API enum dp_status dp_embed_within(struct dp_model *model, const char *const *texts, const size_t *lengths,
                                      size_t count, bool normalize, const struct dp_limits *limits, float *out,
                                      struct dp_error *error);

/* What texts are for: which of the model's prompts is written before each. */
enum dp_input {
    DP_TEXT,    /* their own sake, as dp_embed takes them: the default prompt, which most models do not have */
    DP_QUERY,   /* questions, as dp_search takes them */
    DP_DOCUMENT /* what is searched, as dp_index_file takes it */
};

/* The same as dp_embed_within for texts of that kind. Errors: beside those, DP_INVALID for another value of `input`. */
DP_API enum dp_status dp_embed_as(struct dp_model *model, enum dp_input input, const char *const *texts,
                                  const size_t *lengths, size_t count, bool normalize,
                                  const struct dp_limits *limits, float *out, struct dp_error *error);

/* Cuts texts into the token ids that dp_embed computes with: at most dp_model_max_tokens each, special ones
 * included.
 *
 * texts  const char *texts[count]
 * ids    int32_t ids[ids_max]: of all texts, end to end; count * dp_model_max_tokens(model) are always enough
 * ends   size_t ends[count]: where in ids each text's end
 *
 * Uses the calling thread alone. Errors: DP_INVALID (count 0), DP_TOO_LARGE (more than ids_max), DP_NOMEM. */
DP_API enum dp_status dp_tokenize(const struct dp_model *model, const char *const *texts, size_t count,
                                  int32_t *ids, size_t ids_max, size_t *ends, struct dp_error *error);

/* ---- namespaces --------------------------------------------------------------------------------------- */

struct dp_index_summary {
    uint64_t rows;       /* rows read from the file and committed */
    uint64_t replaced;   /* of them, rows that took the place of one with the same id */
    uint64_t long_texts; /* texts longer than the model's limit, indexed as overlapping windows */
    uint64_t total_rows; /* rows of the namespace now */
    uint64_t bytes;      /* written to the root */
};

/* Embeds the rows of a JSON-lines file (`{"id": …, "text": "…", …attributes}`) and adds them to namespace
 * `name` under `root`, which is made when missing: all of them, or none when it fails.
 *
 * summary may be NULL. Errors: DP_NOT_FOUND, DP_INVALID (a bad row, with its line number), DP_CONFLICT
 * (another writer kept winning; try again), DP_DENIED, DP_FULL, DP_IO, DP_NOT_DURABLE (the rows are visible, but a
 * crash of the host may undo that: load again on a sound disk), DP_UNKNOWN (the last step was sent, and whether the rows
 * are or will be there cannot be told: load them again, which is safe), DP_TOO_LARGE (the namespace has no room for
 * another segment), DP_UNSUPPORTED (it has a log, which a newer version writes). */
DP_API enum dp_status dp_index_file(struct dp_model *model, const char *root, const char *name,
                                    const char *jsonl_path, struct dp_index_summary *summary,
                                    struct dp_error *error);

/* The same within limits, which may be NULL: DP_DEADLINE and DP_CANCELLED leave the namespace as it was. */
DP_API enum dp_status dp_index_file_within(struct dp_model *model, const char *root, const char *name,
                                           const char *jsonl_path, const struct dp_limits *limits,
                                           struct dp_index_summary *summary, struct dp_error *error);

struct dp_namespace;

/* Opens a namespace for searching. Errors: DP_NOT_FOUND, DP_CORRUPT, DP_UNSUPPORTED, DP_IO. */
DP_API enum dp_status dp_namespace_open(const char *root, const char *name, struct dp_namespace **out,
                                        struct dp_error *error);
/* The same within limits, which may be NULL. */
DP_API enum dp_status dp_namespace_open_within(const char *root, const char *name, const struct dp_limits *limits,
                                               struct dp_namespace **out, struct dp_error *error);
DP_API void dp_namespace_close(struct dp_namespace *ns);

/* The answer to one search. One owner thread; lives on after its namespace is closed. */
struct dp_results;

/* The k rows nearest in meaning to `text`, which the same model must have indexed (else DP_INVALID).
 * Sees every commit that ended before the call. */
DP_API enum dp_status dp_search(struct dp_namespace *ns, struct dp_model *model, const char *text, size_t k,
                                struct dp_results **out, struct dp_error *error);

/* The same for a vector: float vector[dim]. */
DP_API enum dp_status dp_search_vector(struct dp_namespace *ns, const float *vector, size_t dim, size_t k,
                                       struct dp_results **out, struct dp_error *error);

/* What is asked of a namespace: the rows nearest to a text, or to a vector. */
struct dp_query {
    struct dp_model *model; /* of the text */
    const char *text;       /* NULL: vector */
    size_t text_len;        /* bytes of it; 0: it is NUL-terminated */
    const float *vector;    /* float vector[dim] */
    size_t dim;
    size_t k;
};

/* Both within limits, which may be NULL. Errors, beside those: DP_INVALID (neither text nor vector, or no model for
 * the text), DP_DEADLINE, DP_CANCELLED. */
DP_API enum dp_status dp_search_within(struct dp_namespace *ns, const struct dp_query *query,
                                       const struct dp_limits *limits, struct dp_results **out,
                                       struct dp_error *error);
DP_API void dp_results_free(struct dp_results *results);

/* Rows, best first; `row` < dp_results_count, else NULL, false and NaN. The strings live as long as the results. */
DP_API size_t dp_results_count(const struct dp_results *results);
DP_API const char *dp_results_id(const struct dp_results *results, size_t row); /* numbers in decimal */
DP_API bool dp_results_id_is_number(const struct dp_results *results, size_t row);
DP_API float dp_results_dist(const struct dp_results *results, size_t row);             /* cosine: 1 - cos */
DP_API const char *dp_results_attributes(const struct dp_results *results, size_t row); /* a JSON object */

/* What a search cost. */
struct dp_cost {
    uint64_t rounds;   /* dependency steps that went to the store */
    uint64_t requests; /* ranges read */
    uint64_t bytes;    /* bytes read */
    double ms;         /* wall time */
};
DP_API struct dp_cost dp_results_cost(const struct dp_results *results);

/* ---- FAISS files, searched where they lie ---------------------------------------------------------------- */

/* An open FAISS file: its head is in memory, its lists are read as searches probe them, afresh each time. Kinds:
 * IVF files, those with a flat part, and flat files (docs/internals/faiss.md).
 * Computes on the calling thread, and so needs no runtime. Immutable: any number of threads may search one at once.
 * All of this section is since 0.1. */
struct dp_index;

/* What the caller knows of the file, and wants. Zeros: nothing. */
struct dp_index_options {
    /* Bytes before the list data, as dp_index_info told: opening is then one read of that length, one GET of a URL.
     * Not so for files with an id map, with lists in blocks (fast scan) or with a large direct map; and beyond 8 MiB
     * at a URL only with merge_none. */
    uint64_t cluster_data_offset;
    uint64_t n_clusters; /* the number of lists; DP_INVALID when the file has another */
    bool merge_none; /* dp_index_open: one request for each probed list, however close they lie or long they are */
    uint64_t timeout_ms; /* of opening, and of each call that searches; 0: no limit */
    const char *name; /* dp_index_open_callbacks, _memory: of the file, for errors; copied. NULL: "FAISS file" */
    const struct dp_limits *limits; /* of opening alone; NULL: none */
    const char
        *recall_table; /* the URL of the file's recall table, for searches by recall: copied. NULL: beside the
                               * file; presigned URLs and callbacks need it */
};

/* Opens the file at a URL: a path, file:///path, s3://bucket/key, or http(s)://, presigned ones too. options may
 * be NULL. Errors: DP_NOT_FOUND, DP_DENIED, DP_UNSUPPORTED (a kind that is not read, by its fourcc), DP_CORRUPT,
 * DP_INVALID (n_clusters, a URL without an object), DP_DEADLINE, DP_IO, DP_UNAVAILABLE, DP_NOMEM. Thread-safe. */
DP_API enum dp_status dp_index_open(const char *url, const struct dp_index_options *options, struct dp_index **out,
                                    struct dp_error *error);

/* One range of a file, and where its bytes go. */
struct dp_range {
    uint64_t offset; /* bytes from the file's beginning */
    size_t len;      /* at least 1; offset + len <= the file's size */
    void *into;      /* room for len bytes */
    size_t got;      /* out: bytes that were put there; 0 before. Fewer than len make the call fail with DP_IO */
};

/* Fills count >= 1 ranges, as it likes in parallel, before it returns: one round.
 *
 * timeout_ms  milliseconds that are left of the call's time; -1: no limit. A reader that takes longer makes the call
 *             fail with DP_DEADLINE once it returns; it is not interrupted
 * message     char message[DP_ERROR_MESSAGE_MAX]: on failure, room for a sentence, which becomes part of the call's
 *
 * Answers DP_OK, or what the call is to fail with (what is no status becomes DP_IO). Runs on the thread that opens
 * or searches: on several at once when several do. */
typedef enum dp_status dp_read_ranges(void *ctx, struct dp_range *ranges, size_t count, int64_t timeout_ms,
                                      char *message);

/* The same over a reader of the caller's.
 *
 * size      bytes of the file
 * ctx       handed to read_ranges and to free_ctx
 * free_ctx  called exactly once: by dp_index_close, or here when opening fails. May be NULL
 *
 * A search is one call of read_ranges for each query, with a range for each probed list that is not empty. Errors
 * beside the above: what the reader answers; DP_INVALID when read_ranges is NULL. */
DP_API enum dp_status dp_index_open_callbacks(uint64_t size, dp_read_ranges *read_ranges, void *ctx,
                                              void (*free_ctx)(void *ctx), const struct dp_index_options *options,
                                              struct dp_index **out, struct dp_error *error);
/* The same over the bytes of a file in memory, its own or a mapped file's, which are not copied and must stay as they
 * are until dp_index_close. Searches read nothing (their costs are 0 rounds, requests and bytes), and the queries of
 * one call share the lists that they probe: each is said to have taken its share of the time. */
DP_API enum dp_status dp_index_open_memory(const void *bytes, size_t len, const struct dp_index_options *options,
                                           struct dp_index **out, struct dp_error *error);
/* No thread may be searching it any more. */
DP_API void dp_index_close(struct dp_index *index);

enum dp_metric { DP_INNER_PRODUCT = 0, DP_L2 = 1 };

struct dp_index_info {
    char kind[5];          /* FAISS's fourcc of the inverted file: "IwFl", …; of a flat file: "IxF2", … */
    size_t dim;            /* floats of a query */
    enum dp_metric metric; /* squared L2 (smaller is nearer) or inner products (larger is nearer) */
    uint64_t vectors, lists;
    uint64_t in_no_list; /* of the vectors: FAISS counts what holds a NaN, but no search finds it */
    uint64_t default_nprobe;
    uint64_t cluster_data_offset, file_bytes;
    uint64_t open_rounds, open_bytes; /* what opening read */
    bool flat;      /* no lists: each search reads all vectors, for up to 64 queries at once. `lists` is 1 */
    float k_factor; /* of a file with a flat part (",RFlat"): struct dp_search_options; 0: it has none */
};
/* Reads nothing. Thread-safe. */
DP_API struct dp_index_info dp_index_info(const struct dp_index *index);

/* The k nearest of each query, as FAISS answers them, best first.
 *
 * queries    float queries[count][dim]
 * nprobe     lists to scan for each; 0: the file's default; more than there are: all
 * ids        int64_t ids[count][k]; -1 where fewer were found
 * distances  float distances[count][k]: squared L2, or inner products; where fewer were found the largest float, for
 *            inner products the least
 * costs      struct dp_cost costs[count], or NULL
 *
 * A query is one round of reads, in several when its lists exceed 256 MiB; a file with a flat part takes one more. The
 * queries of one call share what a flat file reads: the first one's cost tells of it. A flat file of more than 1 GiB is
 * DP_TOO_LARGE here, see dp_index_search_with. What ids and distances hold after a
 * failure is undefined. Errors: DP_INVALID (dim, k), DP_STALE (the file has changed), DP_CORRUPT, DP_DEADLINE, what
 * the store or the reader answers, DP_NOMEM. Thread-safe. */
DP_API enum dp_status dp_index_search(const struct dp_index *index, const float *queries, size_t count, size_t dim,
                                      size_t k, size_t nprobe, int64_t *ids, float *distances,
                                      struct dp_cost *costs, struct dp_error *error);

/* How to search, and which vectors may be answered. Zeros: the file's own nprobe, all vectors. */
struct dp_search_options {
    size_t nprobe; /* lists to scan for each query; 0: the file's default; more than there are: all */
    /* In place of nprobe: the part of the true 10 nearest that is to be found on average, above 0 to 1, such as 0.95.
     * The fewest lists that reached it when the file was measured are scanned (docs/internals/faiss.md#recall). The
     * first search that asks reads the table once; its costs do not count that. 0: nprobe decides. */
    double recall;
    /* Ids as the file answers them, in any order; read during the call alone. Memory for them follows their number. */
    const int64_t
        *keep; /* int64_t keep[keep_count]: no other ids; none at all when keep_count is 0. NULL: all ids */
    size_t keep_count;
    const int64_t *skip; /* int64_t skip[skip_count]: not these; NULL: none of them */
    size_t skip_count;
    const struct dp_limits *limits; /* of the call, beside the index's own timeout; NULL: none */
    /* A file with a flat part (",RFlat"): k * k_factor candidates are looked at again in one more round, at least 1. 0:
     * as the file says, in FAISS 1. DP_INVALID for other files. */
    float k_factor;
    /* A flat file (no lists) is read whole by each search. More than 1 GiB of vectors must be allowed here. */
    bool scan_all;
};

/* The same as dp_index_search with options, which may be NULL. Vectors that may not be answered take no neighbour's
 * place; the lists that are scanned, and what is read, stay the same. Errors, beside those: DP_INVALID (a count of ids
 * without them; recall beside nprobe, or one that was not reached, or without a place to look it up), DP_NOT_FOUND,
 * DP_STALE or DP_CORRUPT (no recall table of this file). Thread-safe. */
DP_API enum dp_status dp_index_search_with(const struct dp_index *index, const float *queries, size_t count,
                                           size_t dim, size_t k, const struct dp_search_options *options,
                                           int64_t *ids, float *distances, struct dp_cost *costs,
                                           struct dp_error *error);

/* ---- building FAISS files -------------------------------------------------------------------------------- */

enum dp_ivf_kind {
    DP_IVF_FLAT = 0, /* the floats themselves: IVFn,Flat */
    DP_IVF_SQ8 = 1   /* eight bits a dimension: IVFn,SQ8, a quarter of the size */
};

/* How vectors are compared. Numbered for zeros to be FAISS's default, unlike enum dp_metric, which says what a file
 * has. */
enum dp_ivf_metric {
    DP_IVF_L2 = 0,
    DP_IVF_INNER_PRODUCT = 1,
    DP_IVF_COSINE = 2 /* vectors are scaled to length 1; queries should be, and are compared by inner product */
};

/* Zeros: the defaults. */
struct dp_ivf_options {
    enum dp_ivf_kind kind;
    enum dp_ivf_metric metric;
    size_t nlist;        /* clusters; 0: about twice the square root of the number of vectors */
    uint64_t seed;       /* of the clustering */
    size_t memory_bytes; /* for a sample of the vectors, and for lists that are being written; 0: 1 GiB. Beside it:
                           * 4 bytes a vector, 8 more with ids_path, the centroids */
    const char *ids_path; /* dp_ivf_build_file: a .npy of count whole numbers; NULL: 0, 1, … */
    /* Told now and then, on the calling thread, what is being done ("reading", "clustering", "assigning", "writing",
     * "measuring") and which part of that is done, 0 to 1. false cancels: DP_CANCELLED. NULL: nobody is told. */
    bool (*progress)(void *ctx, const char *stage, double done);
    void *progress_ctx;
    bool
        no_recall; /* do not measure recall by nprobe. It is written beside the file, to PATH.recall.json, for searches
                     * that ask for a recall */
};

/* Builds an IVF file of vectors, which stock FAISS opens, and dp_index_open. The same bytes come of the same
 * vectors, options and seed, on any machine with any number of threads. The file appears whole or not at all, in
 * place of one that was there; cancelled while it is measured, it is there, without its recall table.
 *
 * runtime  NULL: computes on the calling thread alone
 * vectors  float vectors[count][dim], finite
 * ids      int64_t ids[count], 0 or more each; NULL: 0, 1, …
 * path     where the file goes: a path, file:///path, or s3://bucket/key
 *
 * Errors: DP_INVALID (no vectors, more lists than vectors, a value that is not finite, with its vector's number; a
 * negative id), DP_TOO_LARGE (memory_bytes is too little for so many lists), DP_CANCELLED, DP_NOT_FOUND (the folder),
 * DP_DENIED, DP_FULL, DP_IO, DP_UNAVAILABLE, DP_NOMEM. Thread-safe; calls with one runtime take turns. */
DP_API enum dp_status dp_ivf_build(struct dp_runtime *runtime, const float *vectors, size_t count, size_t dim,
                                   const int64_t *ids, const char *path, const struct dp_ivf_options *options,
                                   struct dp_error *error);

/* The same for the vectors of a file, which may be larger than memory: .npy (two dimensions in C's or Fortran's
 * order, of any whole numbers, booleans or floats, which become float32), .fvecs or .bvecs. It is read front to back, once for each part of the lists that fits in memory_bytes and twice
 * before. Further errors: DP_INVALID (another kind of file), DP_STALE (it became shorter). */
DP_API enum dp_status dp_ivf_build_file(struct dp_runtime *runtime, const char *vectors_path, const char *path,
                                        const struct dp_ivf_options *options, struct dp_error *error);

#ifdef __cplusplus
}
#endif

#endif
