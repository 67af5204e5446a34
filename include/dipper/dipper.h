/* dipper.h: semantic search from object storage, as a C library.
 *
 * A model turns text into vectors on the CPU. A namespace holds rows of text in a folder or a bucket and answers
 * queries by meaning. An index is a FAISS file that is searched where it lies. This program loads rows and finds
 * the two nearest to a question (without error checks):
 *
 *     struct dp_runtime *runtime;
 *     struct dp_model *model;
 *     struct dp_namespace *notes;
 *     struct dp_results *found;
 *     dp_runtime_new(NULL, &runtime, NULL);
 *     dp_model_open_default(runtime, NULL, &model, NULL);
 *     dp_namespace_load_file(model, "./bucket", "notes", "rows.jsonl", NULL, NULL, NULL);
 *     dp_namespace_open("./bucket", "notes", NULL, &notes, NULL);
 *     dp_namespace_search(notes, model, "how do I bake a loaf", 2, &found, NULL);
 *     for (size_t i = 0; i < dp_results_count(found); i++)
 *         printf("%s %s\n", dp_results_id(found, i), dp_results_attributes(found, i));
 *     dp_results_free(found);
 *     dp_namespace_close(notes);
 *     dp_model_close(model);
 *     dp_runtime_free(runtime);
 *
 * After the rules below come the simple calls, whose options may be NULL, and then the full calls: all options,
 * and the functions that few programs need. The last section may change in any release.
 *
 * Rules:
 * - Every function that can fail returns `enum dp_status` (0 is success) and fills `error` with one sentence.
 *   `error` may be NULL. Any such function may also fail with DP_NOMEM.
 * - A pointer must not be NULL unless its comment allows it; otherwise the call fails with DP_INVALID and names
 *   the pointer. Functions that cannot fail return 0, NULL, NaN or an empty string for NULL.
 * - An options struct begins with `size_t size`, which the caller sets: `struct dp_embed_options options = {.size
 *   = sizeof options};` Zero in any other field means the default; NULL means all defaults. A struct that the
 *   library fills begins with `size`, too. So a program that was built with an older header works with a newer
 *   library. A newer program works with an older library, unless it sets a field that the library does not know:
 *   then the call fails with DP_INVALID.
 * - Close handles in the reverse order of their creation. Closing NULL does nothing. Unless a comment says
 *   otherwise, several threads may use one handle at once; no thread may use a handle that is being closed.
 * - Strings are UTF-8 and NUL-terminated. A path is a local file or folder. A root is a folder (a path, or
 *   file:///path), s3://bucket/prefix, gs://bucket/prefix or az://container/prefix. Settings of these stores come from the environment, as
 *   Amazon's and Google's own tools read them.
 * - The library starts threads only in dp_runtime_new, dp_namespace_load_file, for remote roots and URLs, and for a
 *   call with several queries, which ends them before it returns. It does nothing in the background:
 *   dp_namespace_compact works when it is called. It installs no signal handler and changes no state of the process.
 *
 * Everything here is since 0.1 unless a comment says otherwise. CHANGELOG.md lists every change.
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

/* ==== version ============================================================================================ */

/* The version of this header. The number grows with every release: 1.2.3 is 10203. */
#define DP_VERSION_MAJOR  0
#define DP_VERSION_MINOR  1
#define DP_VERSION_PATCH  0
#define DP_VERSION_NUMBER (DP_VERSION_MAJOR * 10000 + DP_VERSION_MINOR * 100 + DP_VERSION_PATCH)

/* Return the version of the library that runs: as DP_VERSION_NUMBER, and as text such as "0.1.0". Thread-safe. */
DP_API unsigned dp_version_number(void);
DP_API const char *dp_version(void);

/* ==== the runtime ======================================================================================== */

/* The compute threads that models and builds share. */
struct dp_runtime;
struct dp_runtime_options;

/* Starts the compute threads. options may be NULL. Errors: DP_IO. */
DP_API enum dp_status dp_runtime_new(const struct dp_runtime_options *options, struct dp_runtime **out,
                                     struct dp_error *error);
/* Ends the threads. No model of this runtime may be open. */
DP_API void dp_runtime_free(struct dp_runtime *runtime);

/* ==== simple calls: models =============================================================================== */

struct dp_model;
struct dp_model_options;
struct dp_embed_options;

/* Opens the model that comes with Dipper, all-MiniLM-L6-v2 in int8: the one linked into this program, or else the
 * file all-MiniLM-L6-v2.dipper beside the library, in share/dipper of the library's prefix, or in the data folder
 * that the build was configured with. options may be NULL. Errors: DP_NOT_FOUND (the message names the places),
 * and those of dp_model_open. */
DP_API enum dp_status dp_model_open_default(struct dp_runtime *runtime, const struct dp_model_options *options,
                                            struct dp_model **out, struct dp_error *error);

/* Opens a model: a folder in the Hugging Face / sentence-transformers layout, the name of a model in the offline
 * Hugging Face cache, or a packed model (a file that `dipper-bare model pack` wrote).
 *
 * path     must be NULL if options->bytes is set
 * options  may be NULL
 *
 * Errors: DP_NOT_FOUND, DP_CORRUPT, DP_UNSUPPORTED (names the feature of the model that is missing here),
 * DP_INVALID (a prompt that does not fit). */
DP_API enum dp_status dp_model_open(struct dp_runtime *runtime, const char *path,
                                    const struct dp_model_options *options, struct dp_model **out,
                                    struct dp_error *error);
DP_API void dp_model_close(struct dp_model *model);

DP_API const char *dp_model_name(const struct dp_model *model);  /* lives as long as the model */
DP_API size_t dp_model_dim(const struct dp_model *model);        /* floats in a vector */
DP_API size_t dp_model_max_tokens(const struct dp_model *model); /* longer texts are cut to this length */

/* Embeds texts.
 *
 * texts    const char *texts[count]; count ≥ 1
 * options  may be NULL: plain texts, vectors of length 1
 * out      float out[count][dp_model_dim(model)]
 *
 * A text's vector does not depend on the other texts of the call, on the number of threads or on the machine.
 * Thread-safe. Errors: DP_INVALID, DP_OVERLOADED (too many texts are waiting), DP_DEADLINE, DP_CANCELLED. */
DP_API enum dp_status dp_embed(struct dp_model *model, const char *const *texts, size_t count,
                               const struct dp_embed_options *options, float *out, struct dp_error *error);

/* ==== simple calls: namespaces =========================================================================== */

struct dp_load_options;
struct dp_load_summary;

/* Embeds the rows of a JSON-lines file (`{"id": …, "text": "…", …attributes}`) and adds them to the namespace
 * `name` under `root`, which is created if it does not exist. A row replaces the row with its id. All rows are
 * added, or none if the call fails.
 *
 * name     letters, digits, '.', '_' and '-'
 * options  may be NULL
 * summary  may be NULL; otherwise summary->size must be set
 *
 * Thread-safe, also between processes. Errors: DP_NOT_FOUND, DP_INVALID (a bad row, with its line number),
 * DP_CONFLICT (other writers kept winning; try again), DP_DENIED, DP_FULL, DP_IO, DP_UNAVAILABLE, DP_DEADLINE,
 * DP_CANCELLED, DP_NOT_DURABLE (the rows are visible, but a crash of the host may undo that: load them again on a
 * sound disk), DP_UNKNOWN (the last write got no answer: load the rows again, which is safe), DP_TOO_LARGE (the
 * namespace has no room for another segment), DP_UNSUPPORTED (a newer version wrote the namespace). */
DP_API enum dp_status dp_namespace_load_file(struct dp_model *model, const char *root, const char *name,
                                             const char *jsonl_path, const struct dp_load_options *options,
                                             struct dp_load_summary *summary, struct dp_error *error);

struct dp_namespace;
struct dp_namespace_options;

/* Opens a namespace for searching and writing. options may be NULL; for a namespace that may not exist yet, set
 * options->create. Errors: DP_NOT_FOUND, DP_CORRUPT, DP_UNSUPPORTED, DP_DENIED, DP_IO, DP_UNAVAILABLE, DP_DEADLINE,
 * DP_CANCELLED. */
DP_API enum dp_status dp_namespace_open(const char *root, const char *name,
                                        const struct dp_namespace_options *options, struct dp_namespace **out,
                                        struct dp_error *error);
DP_API void dp_namespace_close(struct dp_namespace *ns);

/* What a search cost. This struct never grows. */
struct dp_cost {
    uint64_t rounds;   /* steps that had to wait for the store, one after another */
    uint64_t requests; /* ranges read */
    uint64_t bytes;    /* bytes read */
    double ms;         /* wall time in milliseconds */
};

/* The rows that a search found, best first. They stay valid after the namespace is closed. One thread at a time
 * may use them. */
struct dp_results;

/* Finds the k rows nearest in meaning to `text`. The namespace must have been loaded with this model. The search sees
 * every load and every write that ended before it began. Thread-safe. Errors: DP_INVALID (k is 0 or too large, or
 * another model), and those of dp_namespace_open. */
DP_API enum dp_status dp_namespace_search(struct dp_namespace *ns, struct dp_model *model, const char *text,
                                          size_t k, struct dp_results **out, struct dp_error *error);
DP_API void dp_results_free(struct dp_results *results);

/* Rows are numbered from 0. Behind the last row: NULL, false and NaN. Strings live as long as the results. */
DP_API size_t dp_results_count(const struct dp_results *results);
DP_API const char *dp_results_id(const struct dp_results *results, size_t row); /* a number is in decimal */
DP_API bool dp_results_id_is_number(const struct dp_results *results, size_t row);
DP_API float dp_results_dist(const struct dp_results *results, size_t row);             /* 1 - cosine */
DP_API const char *dp_results_attributes(const struct dp_results *results, size_t row); /* a JSON object */
DP_API struct dp_cost dp_results_cost(const struct dp_results *results);

/* ==== simple calls: indexes ============================================================================== */

/* An open FAISS file. Its head is in memory; each search reads the lists that it probes. IVF files, IVF files with
 * a flat part (",RFlat") and flat files can be opened (docs/internals/faiss.md). A search computes on the calling
 * thread and needs no runtime. Any number of threads may search one index at once. */
struct dp_index;
struct dp_index_options;
struct dp_index_search_options;
struct dp_index_build_options;

/* Opens a FAISS file.
 *
 * url      a path, file:///path, s3://bucket/key, gs://bucket/key, az://container/key or http(s)://, presigned URLs included; NULL if
 *          options->bytes or options->reader is set
 * options  may be NULL
 *
 * Thread-safe. Errors: DP_NOT_FOUND, DP_DENIED, DP_UNSUPPORTED (names the kind of file), DP_CORRUPT, DP_INVALID (a
 * URL without an object, a wrong n_clusters, not exactly one of url, bytes and reader), DP_DEADLINE, DP_CANCELLED,
 * DP_IO, DP_UNAVAILABLE, any status of the reader. */
DP_API enum dp_status dp_index_open(const char *url, const struct dp_index_options *options, struct dp_index **out,
                                    struct dp_error *error);
DP_API void dp_index_close(struct dp_index *index);

/* Finds the k nearest vectors of each query, best first, as FAISS finds them.
 *
 * queries    float queries[count][dim]
 * options    may be NULL
 * ids        int64_t ids[count][k]; -1 where fewer were found
 * distances  float distances[count][k]: squared L2, or inner products. Places without a vector hold the largest
 *            float (L2) or the lowest one (inner products)
 * costs      struct dp_cost costs[count], or NULL
 *
 * A query takes one round of reads, or several if its lists exceed 256 MiB; a flat part takes one more. The
 * queries of one call share the reads of a flat file: the first query's cost counts them. After a failure the
 * contents of ids and distances are undefined.
 *
 * Thread-safe. Errors: DP_INVALID (dim, k, an option), DP_STALE (the file has changed), DP_CORRUPT, DP_DEADLINE,
 * DP_CANCELLED, DP_TOO_LARGE (a flat file of more than 1 GiB without scan_all), any status of the store or the
 * reader. With recall: DP_NOT_FOUND, DP_STALE or DP_CORRUPT if this file has no valid recall table. */
DP_API enum dp_status dp_index_search(const struct dp_index *index, const float *queries, size_t count, size_t dim,
                                      size_t k, const struct dp_index_search_options *options, int64_t *ids,
                                      float *distances, struct dp_cost *costs, struct dp_error *error);

/* Builds an IVF file from vectors in memory. Stock FAISS and dp_index_open read it. The same vectors, options and
 * seed give the same bytes on any machine, with any number of threads. The file appears whole or not at all, and
 * replaces an older one. A build that is cancelled while it measures recall leaves the file without its recall
 * table.
 *
 * runtime  NULL: compute on the calling thread only
 * vectors  float vectors[count][dim], finite; count ≥ 1
 * ids      int64_t ids[count], 0 or more each; NULL: 0, 1, …
 * path     where the file goes: a path, file:///path, s3://bucket/key, gs://bucket/key or az://container/key
 * options  may be NULL
 *
 * Thread-safe; calls with one runtime take turns. Errors: DP_INVALID (no vectors, more lists than vectors, a value
 * that is not finite, a negative id; the message gives its number), DP_TOO_LARGE (memory_bytes is too small for
 * the lists), DP_DEADLINE, DP_CANCELLED, DP_NOT_FOUND (the folder), DP_DENIED, DP_FULL, DP_IO, DP_UNAVAILABLE. */
DP_API enum dp_status dp_index_build(struct dp_runtime *runtime, const float *vectors, size_t count, size_t dim,
                                     const int64_t *ids, const char *path,
                                     const struct dp_index_build_options *options, struct dp_error *error);

/* ==== full calls: limits, runtime, models ================================================================ */

/* Limits of a call: how long it may take, and a function that may end it earlier. Zeros: no limit. Most options
 * contain it. This struct never grows. */
struct dp_limits {
    uint64_t timeout_ms; /* milliseconds; then the call fails with DP_DEADLINE. 0: no limit */
    /* Runs on the calling thread, first after 20 ms and then about every 20 ms. A longer step of computing delays
     * it until the step ends. True: the call fails with DP_CANCELLED as soon as it can. NULL: nothing cancels the
     * call. */
    bool (*cancelled)(void *ctx);
    void *ctx; /* passed to cancelled */
};

struct dp_runtime_options {
    size_t size;
    size_t threads; /* compute threads, the caller's included; 0: one for each CPU that the process may use */
};

/* Precision of a model's weights. */
enum dp_precision {
    DP_PRECISION_INT8 = 0,
    DP_PRECISION_FP32 = 1 /* slower; the reference for int8. DP_UNSUPPORTED for a packed model */
};

struct dp_model_options {
    size_t size;
    enum dp_precision precision;
    /* Prompts that are written before a plain text, a query and a document (docs/models.md). NULL: the prompt of
     * the model's folder; "": no prompt. */
    const char *default_prompt, *query_prompt, *document_prompt;
    /* A packed model in memory, in place of a path: 64-byte aligned. The bytes are not copied; they must not
     * change and must outlive the model. */
    const void *bytes;
    size_t bytes_len;
};

/* The purpose of a text. It decides which prompt is written before the text. */
enum dp_input {
    DP_INPUT_TEXT = 0,    /* a plain text: the default prompt, which most models do not have */
    DP_INPUT_QUERY = 1,   /* a question, as dp_namespace_search embeds it */
    DP_INPUT_DOCUMENT = 2 /* a text that is searched, as dp_namespace_load_file embeds it */
};

struct dp_embed_options {
    size_t size;
    struct dp_limits limits;
    /* size_t lengths[count]: bytes of each text, which may then contain NUL. NULL: texts are NUL-terminated. */
    const size_t *lengths;
    enum dp_input input;
    bool raw; /* true: vectors as the model computes them; false: scaled to length 1 */
};

/* ==== full calls: namespaces ============================================================================= */

struct dp_load_options {
    size_t size;
    struct dp_limits limits; /* DP_DEADLINE and DP_CANCELLED leave the namespace unchanged */
};

struct dp_load_summary {
    size_t size;
    uint64_t rows;       /* rows read from the file and added */
    uint64_t replaced;   /* how many of `rows` replaced an older row with the same id */
    uint64_t long_texts; /* texts longer than the model's limit, stored as overlapping windows */
    uint64_t total_rows; /* rows of the namespace now */
    uint64_t bytes;      /* bytes written to the root */
};

struct dp_namespace_options {
    size_t size;
    struct dp_limits limits; /* for dp_namespace_open */
    /* Embeds the texts of attributes whose schema says "embed", and of queries that bring no model. It must stay open
     * as long as the namespace. NULL: such a write fails with DP_UNSUPPORTED. */
    struct dp_model *model;
    /* True: neither the namespace nor the folder of its root needs to exist. The first write of rows creates both.
     * Before that, searches fail with DP_NOT_FOUND. */
    bool create;
    /* Maximum bytes of memory for ranges of a remote root, so that a later query reads anew only what others have
     * changed. 0: no cache. A folder needs none, because the system keeps its bytes. */
    uint64_t cache_bytes;
};

/* What orders the rows of an answer. */
enum dp_rank {
    DP_RANK_DEFAULT = 0, /* by meaning */
    DP_RANK_MEANING = 1, /* the distance to the text's vector, or to the vector */
    /* BM25 of the attribute "text", whose schema must say "full_text_search". Rows without any of the words are left out. A
     * row's dist is its score, and larger is better. Needs a text, but no model. */
    DP_RANK_WORDS = 2,
    /* Both rankings, fused. A row's dist is its score, and larger is better. Needs a text. */
    DP_RANK_HYBRID = 3
};

/* How DP_RANK_HYBRID makes one ranking of two. */
enum dp_fusion {
    DP_FUSION_RRF = 0, /* by the ranks: the sum of 1 / (60 + rank) */
    /* By the scores, each from 0 to 1: the cosine, and BM25 as a share of the largest. A row that only one ranking
     * has gets 0 for the other. */
    DP_FUSION_CONVEX = 1
};

/* A query of a namespace: a text with its model, or a vector. */
struct dp_query {
    size_t size;
    struct dp_limits limits;
    struct dp_model *model; /* embeds the text; NULL: the namespace's model */
    const char *text;       /* NULL: search for the vector */
    size_t text_len;        /* bytes of the text; 0: it is NUL-terminated */
    const float *vector;    /* float vector[dim] */
    size_t dim;
    size_t k; /* rows to find, at least 1 */
    enum dp_rank rank;
    enum dp_fusion fusion;
    double
        words_share; /* share of the words in a hybrid score, below 1; 0: 0.5 with DP_FUSION_RRF, 0.3 with DP_FUSION_CONVEX */
    /* A filter as JSON, as in docs/http-api.md: "[\"year\", \"Gt\", 2000]". Only rows that match are found. NULL: none. */
    const char *filters;
};

/* Finds the rows nearest to a text or a vector, or those with its words. Further errors: DP_INVALID (neither text nor
 * vector, a text while neither the query nor the namespace has a model, a filter, an attribute "text" without words). */
DP_API enum dp_status dp_namespace_query(struct dp_namespace *ns, const struct dp_query *query,
                                         struct dp_results **out, struct dp_error *error);

/* A JSON object that answers a call, as the HTTP API answers it (docs/http-api.md). Any number of threads may read
 * it. It stays valid after the namespace is closed. */
struct dp_answer;
DP_API void dp_answer_free(struct dp_answer *answer);
/* The text; "" for NULL. It lives as long as the answer. */
DP_API const char *dp_answer_json(const struct dp_answer *answer);
/* The whole number in a field of the object, such as "rows_affected". 0 if it has no such number. */
DP_API uint64_t dp_answer_number(const struct dp_answer *answer, const char *field);

/* What a write does with its rows. */
enum dp_write_kind {
    DP_UPSERT = 0, /* writes whole rows, in place of the rows with their ids */
    DP_PATCH = 1,  /* changes the attributes that a row brings; null removes one. Skips ids without a row */
    DP_DELETE = 2  /* deletes rows */
};

/* A write: rows as arrays, with one element for each row, or a request as JSON, or both. */
struct dp_write {
    size_t size;
    struct dp_limits limits;  /* a call that they end after it has sent the write fails with DP_UNKNOWN */
    enum dp_write_kind kind;  /* of the rows in the arrays */
    size_t count;             /* rows in the arrays; 0: the write is `request` alone */
    const uint64_t *ids;      /* uint64_t ids[count], each once. NULL: names has the ids */
    const char *const *names; /* const char *names[count]: the ids, if they are strings or UUIDs */
    const float *vectors;     /* float vectors[count][dim], finite, for DP_UPSERT; NULL: the rows bring none */
    size_t dim;               /* the same for all rows of a namespace */
    const char *const *attributes; /* const char *attributes[count]: a JSON object for each row. NULL: none */
    /* A JSON object with the fields of POST /v2/namespaces/NAME in docs/http-api.md: conditions, the schema, rows of
     * another kind or with other ids, … The first vectors of a namespace need its "distance_metric". NULL: none. */
    const char *request;
    /* False: if 256 entries or 128 MiB of the log wait to be folded after the write, the call folds them before it
     * returns. True: it never folds; use this where another process does, such as `dipper index-worker`. */
    bool no_fold;
    /* 1 to 255 printable characters. The same write with the same key counts once in 24 hours, so a program may
     * repeat it after DP_UNKNOWN. A write with a key has at most 16 MiB. NULL: no key. */
    const char *idempotency_key;
};

/* Writes to a namespace. On DP_OK all of the write is durable, and every later search sees it, in any process.
 * After a failure nothing of it is written, except after DP_UNKNOWN and DP_NOT_DURABLE.
 *
 * answer  counts rows: "rows_affected", "rows_upserted", "rows_patched", "rows_deleted". May be NULL
 *
 * Each write is one object of the namespace's log, below the root. Searches read the objects of the log that no
 * segment holds yet. The library does nothing in the background; the calls that write fold the log (see no_fold).
 * dp_namespace_compact merges segments and removes objects; so do `dipper serve` and `dipper index-worker` on the root.
 *
 * Thread-safe, also between processes; writes that several threads make at once share an object. Errors:
 * DP_INVALID (the request, a row, an attribute of another type; the message names it), DP_NOT_FOUND,
 * DP_UNSUPPORTED, DP_TOO_LARGE (docs/limits.md), DP_OVERLOADED (try again later), DP_DENIED (the namespace or the
 * root is read-only), DP_CONFLICT (somebody deleted the namespace meanwhile), DP_UNKNOWN (the write was sent, and
 * nobody can tell whether it counts: repeat it, if it does no harm twice), DP_NOT_DURABLE (it counts, but a crash
 * of the host may undo it), DP_FULL, DP_IO, DP_UNAVAILABLE, DP_CORRUPT, DP_DEADLINE, DP_CANCELLED. */
DP_API enum dp_status dp_namespace_write(struct dp_namespace *ns, const struct dp_write *write,
                                         struct dp_answer **answer, struct dp_error *error);

/* Options of calls that need no others. */
struct dp_call_options {
    size_t size;
    struct dp_limits limits;
};

/* Asks a query with filters, orders and more.
 *
 * request  a JSON object with the fields of POST /v2/namespaces/NAME/query in docs/http-api.md
 * options  may be NULL
 *
 * Thread-safe. Errors: DP_INVALID, DP_UNSUPPORTED (the message names the field), those of dp_namespace_search. */
DP_API enum dp_status dp_namespace_ask(struct dp_namespace *ns, const char *request,
                                       const struct dp_call_options *options, struct dp_answer **out,
                                       struct dp_error *error);

/* Describes a namespace: schema, number of rows ("approx_row_count"), rows that only the log holds, …, as GET
 * /v1/namespaces/NAME/metadata does. options may be NULL. Thread-safe. Errors: those of dp_namespace_open. */
DP_API enum dp_status dp_namespace_info(struct dp_namespace *ns, const struct dp_call_options *options,
                                        struct dp_answer **out, struct dp_error *error);

/* Deletes a namespace with all its rows. Its name is free at once, and the handle can write to it again.
 * `dipper index-worker` or `dipper namespace gc` removes the objects. options may be NULL. Thread-safe. Errors:
 * DP_NOT_FOUND, DP_DENIED, DP_CONFLICT (other writers kept winning), DP_UNKNOWN, DP_NOT_DURABLE, DP_IO,
 * DP_UNAVAILABLE, DP_DEADLINE, DP_CANCELLED. */
DP_API enum dp_status dp_namespace_delete(struct dp_namespace *ns, const struct dp_call_options *options,
                                          struct dp_error *error);

struct dp_compact_options {
    size_t size;
    struct dp_limits limits; /* DP_DEADLINE and DP_CANCELLED: only the present step is lost */
    /* True: does only what is already worth its price, as `dipper serve` does in the background. A call that finds
     * nothing to do asks the store nothing, so a program may make such a call after each write. False: does all. */
    bool when_due;
};

struct dp_compact_summary {
    size_t size;
    uint64_t folded;  /* log entries that went into segments; writes that were made at once share one */
    uint64_t merged;  /* segments that merges replaced */
    uint64_t removed; /* objects that were removed from the root */
    uint64_t waiting; /* objects that may be removed in 15 minutes, by a later call with this handle */
};

/* Moves the log of a namespace into segments, merges small segments into large ones, and removes objects that
 * nobody needs any more. A call removes an object at the earliest 15 minutes after a call with this handle found
 * that nobody needs it, because others may still read it until then. Searches and writes go on meanwhile. A call
 * computes on the calling thread, and with the runtime of the namespace's model.
 *
 * options  may be NULL
 * summary  may be NULL; otherwise summary->size must be set
 *
 * Thread-safe, also between processes: the first one to end a step wins. Errors: DP_CONFLICT (others kept winning),
 * those of dp_namespace_open and dp_namespace_delete. */
DP_API enum dp_status dp_namespace_compact(struct dp_namespace *ns, const struct dp_compact_options *options,
                                           struct dp_compact_summary *summary, struct dp_error *error);

/* ==== full calls: indexes ================================================================================ */

/* How vectors are compared. */
enum dp_metric {
    DP_METRIC_L2 = 0,            /* squared distance; smaller is nearer */
    DP_METRIC_INNER_PRODUCT = 1, /* larger is nearer */
    /* Only for building: vectors are scaled to length 1, and the file's metric is the inner product. Queries
     * should have length 1 too. */
    DP_METRIC_COSINE = 2
};

struct dp_index_info {
    size_t size;
    char kind[8];          /* FAISS's fourcc of the inverted file ("IwFl", …) or of a flat file ("IxF2", …) */
    size_t dim;            /* floats of a query */
    enum dp_metric metric; /* DP_METRIC_L2 or DP_METRIC_INNER_PRODUCT */
    float k_factor;        /* the factor that the file gives for its flat part; 0: the file has no flat part */
    uint64_t vectors, lists;
    uint64_t in_no_list; /* how many of `vectors` are in no list: they contain NaN, and no search finds them */
    uint64_t default_nprobe;
    uint64_t cluster_data_offset, file_bytes;
    uint64_t open_rounds, open_bytes; /* what opening read */
    bool flat; /* true: the file has no lists, each search reads all vectors; `lists` is 1 */
};

/* Describes the file. info->size must be set. Reads nothing. Thread-safe. Errors: DP_INVALID. */
DP_API enum dp_status dp_index_info(const struct dp_index *index, struct dp_index_info *info,
                                    struct dp_error *error);

/* A range of a file, and room for its bytes. This struct never grows. */
struct dp_range {
    uint64_t offset; /* bytes from the beginning of the file */
    size_t len;      /* at least 1; offset + len ≤ the file's size */
    void *into;      /* room for len bytes */
    size_t got;      /* out, 0 before: bytes written to `into`. Fewer than len: the call fails with DP_IO */
};

/* Reads count ≥ 1 ranges, in any order or in parallel, before it returns. A call counts as one round.
 *
 * timeout_ms  milliseconds that are left for the call; -1: no limit. A reader that takes longer is not
 *             interrupted; the call fails with DP_DEADLINE when the reader returns
 * message     char message[DP_ERROR_MESSAGE_MAX]: on failure, room for a sentence that becomes part of the error
 *
 * Returns DP_OK, or the status with which the call fails; a number that is no status counts as DP_IO. It runs on
 * the thread that opens or searches. Several threads run it at once if they search at once. */
typedef enum dp_status dp_read_ranges(void *ctx, struct dp_range *ranges, size_t count, int64_t timeout_ms,
                                      char *message);

/* A file that the caller reads. A search calls read_ranges once for each query, with one range for each list that
 * it probes and that is not empty. This struct never grows. */
struct dp_reader {
    uint64_t file_bytes;
    dp_read_ranges *read_ranges;
    void *ctx; /* passed to both functions */
    /* Called exactly once: by dp_index_close, or by dp_index_open if it fails (but not if options->size is wrong).
     * May be NULL. */
    void (*free_ctx)(void *ctx);
};

struct dp_index_options {
    size_t size;
    struct dp_limits limits; /* for dp_index_open */
    /* Bytes before the list data, from struct dp_index_info. If it is set, opening takes one read of that length,
     * at a URL one GET. More reads are needed for files with an id map, with lists in blocks (fast scan) or with a
     * large direct map, and at a URL beyond 8 MiB without merge_none. */
    uint64_t cluster_data_offset;
    uint64_t n_clusters; /* expected number of lists; 0: any. DP_INVALID if the file has another number */
    /* URL of the recall table, for searches by recall; copied. NULL: beside the file. Presigned URLs and readers
     * need it. */
    const char *recall_table;
    /* With bytes or reader: the file's name in error messages; copied. NULL: "FAISS file" */
    const char *name;
    /* The bytes of the file, in place of a url. They are not copied, and must not change until dp_index_close.
     * Searches read nothing: their costs are 0 rounds, requests and bytes. The queries of one call share the lists
     * that they probe, and each cost is an equal share of the time. */
    const void *bytes;
    size_t bytes_len;
    struct dp_reader reader; /* in place of a url */
    bool merge_none; /* with a url: send one request for each probed list, even if lists are neighbours or long */
    /* With a url: how many bytes of lists the index keeps in memory after it has read them. 0: none. Lists that are
     * probed often stay. A list from memory costs no round, request or byte. A local file is looked at before each
     * search, so a file that has changed is DP_STALE; an object behind another URL is the one that was opened. */
    uint64_t cache_bytes;
};

struct dp_index_search_options {
    size_t size;
    struct dp_limits limits;
    size_t nprobe; /* lists to scan for each query; 0: the file's default; more than the file has: all */
    /* In place of nprobe: the share of the true 10 nearest to find on average, above 0 and up to 1, such as 0.95.
     * The search scans the fewest lists that reached it when the file was measured
     * (docs/internals/faiss.md#recall). The first such search reads the table once; its cost does not include
     * that. 0: use nprobe. */
    double recall;
    /* Filters by ids as the search returns them, in any order. The search uses the arrays during the call only,
     * and needs memory for each id. Vectors that are left out do not take a place among the k. The filters do not
     * change which lists are scanned. */
    const int64_t *keep; /* int64_t keep[keep_count]: only these ids, none if keep_count is 0. NULL: all ids */
    size_t keep_count;
    const int64_t *skip; /* int64_t skip[skip_count]: not these ids. NULL: skip none */
    size_t skip_count;
    /* For a file with a flat part (",RFlat"): the search compares k * k_factor candidates again in one more round;
     * at least 1. 0: the file's own k_factor, in FAISS 1. DP_INVALID for other files. */
    float k_factor;
    bool scan_all; /* allow the search of a flat file with more than 1 GiB of vectors, which reads all of them */
};

enum dp_ivf_kind {
    DP_IVF_FLAT = 0, /* the floats themselves: FAISS's IVFn,Flat */
    DP_IVF_SQ8 = 1   /* eight bits for each dimension: IVFn,SQ8, a quarter of the size */
};

struct dp_index_build_options {
    size_t size;
    struct dp_limits limits;
    enum dp_ivf_kind kind;
    enum dp_metric metric;
    size_t nlist;  /* clusters; 0: about twice the square root of the number of vectors */
    uint64_t seed; /* seed of the clustering */
    /* Bytes for a sample of the vectors and for the lists that are being written; 0: 1 GiB. The build also needs
     * 4 bytes for each vector, 8 more with ids_path, and the centroids. */
    size_t memory_bytes;
    /* The build calls it from time to time on the calling thread, with the stage ("reading", "clustering",
     * "assigning", "writing", "measuring") and the share of the stage that is done, 0 to 1. If it returns false,
     * the build fails with DP_CANCELLED. NULL: not called. */
    bool (*progress)(void *ctx, const char *stage, double done);
    void *progress_ctx;
    /* True: the build does not measure recall by nprobe. False: it writes the measurement to PATH.recall.json, for
     * searches by recall. */
    bool no_recall;
};

/* Builds an IVF file from a file of vectors, which may be larger than memory: .npy (two dimensions in C or Fortran
 * order, any integers, booleans or floats, which become float32), .fvecs or .bvecs. The build reads it front to
 * back, twice and then once for each part of the lists that fits in memory_bytes.
 *
 * ids_path  a .npy of count integers; NULL: 0, 1, …
 *
 * Further errors: DP_NOT_FOUND (a file), DP_INVALID (another kind of file), DP_STALE (the file became shorter). */
DP_API enum dp_status dp_index_build_file(struct dp_runtime *runtime, const char *vectors_path,
                                          const char *ids_path, const char *path,
                                          const struct dp_index_build_options *options, struct dp_error *error);

/* ==== may change in any release ========================================================================== */

/* Cuts plain texts into the token ids that dp_embed computes with, special tokens included.
 *
 * texts  const char *texts[count]; count ≥ 1
 * ids    int32_t ids[ids_max]: the ids of all texts, one text after another; count * dp_model_max_tokens(model)
 *        are always enough
 * ends   size_t ends[count]: the index in ids behind each text's last id
 *
 * Runs on the calling thread. Thread-safe. Errors: DP_INVALID (count is 0), DP_TOO_LARGE (more than ids_max). */
DP_API enum dp_status dp_tokenize(const struct dp_model *model, const char *const *texts, size_t count,
                                  int32_t *ids, size_t ids_max, size_t *ends, struct dp_error *error);

#ifdef __cplusplus
}
#endif

#endif
