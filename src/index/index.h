/* index/index.h: loads rows in bulk into the namespaces of a store, and answers queries by vector.
 *
 * A namespace is a manifest and the immutable objects that it lists (docs/internals/manifest.md). A load builds
 * segments and commits them by one swap of the manifest, so a reader sees all of a load or none of it. The code in
 * src/index/ knows vectors, ids and attributes; it does not embed text.
 */
#ifndef INDEX_INDEX_H
#define INDEX_INDEX_H

#include "base/buffer.h"
#include "os/call.h"
#include "os/team.h"
#include "store/store.h"

enum {
    INDEX_NAME_MAX = 128,
    INDEX_ID_MAX = 128,
    INDEX_DIM_MAX = 16384,
    INDEX_URL_MAX = 2048, /* bytes of the URL of a FAISS file */
    INDEX_TOP_K_MAX = 10000,
    INDEX_WINDOWS_MAX = 4096,            /* maximum vectors of one row */
    INDEX_DOCUMENT_MAX = 8 * 1024 * 1024 /* maximum bytes of one row's attributes as JSON */
};

/* The largest component of a vector in a namespace of squared distances: the sum of INDEX_DIM_MAX such squares
 * fits a float. */
#define INDEX_COMPONENT_MAX 1e15F

/* Fails with DP_INVALID unless `name` is [A-Za-z0-9._-]{1,128} and does not start with '.' or '_'. */
enum dp_status index_check_name(struct span name, struct dp_error *error);

/* A row's id: an unsigned integer, a string of 1 to INDEX_ID_MAX bytes, or a UUID. The ids 7 and "7" differ. */
struct index_id {
    bool is_string;
    bool is_uuid; /* beside is_string: the text is a UUID, and the id is that UUID */
    uint64_t number;
    struct span text;
};

enum index_metric { INDEX_COSINE, INDEX_EUCLIDEAN_SQUARED };

/* The kind of vectors that a namespace holds; its first commit fixes it. */
struct index_vectors {
    uint32_t dim;
    enum index_metric metric;
    struct span model;       /* name of the embedding model, or empty when rows bring their own vectors */
    struct span fingerprint; /* of that model, hexadecimal; the reader refuses a query of another model */
};

/* A FAISS file that has the vectors of a namespace whose own rows bring none. The vector of a row has the row's id. The
 * namespace knows the file's URL and its version; the file stays where it is, and nobody changes it. */
struct index_external {
    struct span url;     /* without credentials; empty: the namespace has no such file */
    struct span version; /* of the file, as its store tells it; empty: the store knows no versions */
    uint64_t size;       /* bytes of the file */
    uint64_t vectors;
    uint32_t dim;
    enum index_metric metric; /* INDEX_COSINE stands for inner products: a distance is 1 - product */
};

/* ---- lives ------------------------------------------------------------------------------------------ */

struct schema; /* index/schema.h */

/* One life of a name: from its creation to its deletion. A writer that plans over one life and must not write to
 * another one compares them. */
struct index_life {
    char id[27]; /* a ULID, with a NUL; "": none, or any */
};

/* Makes sure that there is a live namespace that takes writes through its log, with this kind of vectors and these
 * attributes. A new namespace is empty, also if the name had an earlier life. vectors->dim 0: the kind of vectors
 * is not known yet; a later call brings it. `declared` may be NULL; its attributes join the schema. DP_INVALID:
 * the namespace has vectors of another kind, or an attribute of another type. DP_DENIED: the namespace would
 * change, and is read-only. `life` (NULL is fine) gets the life that is there now. */
enum dp_status index_create(struct call *call, struct store *store, struct span name,
                            const struct index_vectors *vectors, const struct schema *declared,
                            struct index_life *life);
/* Deletes a namespace with all its rows. A collector removes its objects later. DP_NOT_FOUND: there is none. Only
 * the life that the call finds first is deleted: if somebody deletes that life meanwhile and makes the name again,
 * the call leaves the new life alone. */
enum dp_status index_delete(struct call *call, struct store *store, struct span name);

/* A change of a namespace's settings. All else stays as it is. */
struct index_alteration {
    struct index_life life; /* change this life alone: DP_CONFLICT if the name has another one now */
    bool sets_read_only;    /* whether to set read_only */
    bool read_only;
    /* The kind of vectors that rows will bring, as in index_create, or NULL. */
    const struct index_vectors *vectors;
    /* The file that has the vectors from now on, or NULL. */
    const struct index_external *external;
    /* Edits the schema, with memory of `arena`; or NULL. index_alter() may call it again, with a newer schema. */
    enum dp_status (*edit_schema)(void *context, struct schema *schema, struct arena *arena,
                                  struct dp_error *error);
    void *context;
};
/* Changes the settings of a live namespace. DP_NOT_FOUND: there is none; DP_INVALID: see index_create; DP_DENIED:
 * the namespace is read-only, and the change concerns more than that setting. */
enum dp_status index_alter(struct call *call, struct store *store, struct span name,
                           const struct index_alteration *change);

/* ---- loading ---------------------------------------------------------------------------------------- */

struct index_loader;

struct index_load_summary {
    uint64_t rows;       /* rows of this load */
    uint64_t replaced;   /* rows of this load that replaced a row with an equal id */
    uint64_t windows;    /* vectors beyond the first of each row */
    uint64_t segments;   /* segments that the load wrote */
    uint64_t bytes;      /* bytes that the load wrote to the store */
    uint64_t total_rows; /* rows of the namespace after the commit */
};

/* Begins a load. Only index_load_commit makes its rows visible. index_load_abort leaves nothing behind. Rows wait
 * in memory or in a temporary file until a segment is full. `team` may be NULL. DP_TOO_LARGE: the namespace has no
 * room for another segment. */
enum dp_status index_load_begin(struct call *call, struct store *store, struct span name,
                                const struct index_vectors *vectors, struct team *team, struct index_loader **out);
/* As index_load_begin, for one large write beside others: keeps few rows in memory. The namespace exists and has a
 * log. Rows have no vector if vectors->dim is 0. `life`: that the rows were made for, as in struct index_write. */
enum dp_status index_load_begin_write(struct call *call, struct store *store, struct span name,
                                      const struct index_life *life, const struct index_vectors *vectors,
                                      struct team *team, struct index_loader **out);
/* If the load's rows bring the attribute `name` to the namespace, as a string, the schema declares it with `options`: a
 * JSON object, such as {"full_text_search":true}. An attribute that the namespace has already keeps its options. Call
 * it before the first row. Both must live as long as the loader. */
void index_load_declare(struct index_loader *loader, struct span name, struct span options);
/* Adds a row.
 *
 *   vectors     float[windows][dim], windows ≥ 1: a row scores by its best window
 *   attributes  a JSON object, as text that the caller has validated. The load keeps it as the row's document, and
 *               joins the types of its values to the schema. A type that contradicts the schema is DP_INVALID,
 *               which names the attribute.
 *
 * DP_INVALID for an id that this load already has, a vector with a NaN, or (cosine) a zero vector; DP_TOO_LARGE
 * for attributes over INDEX_DOCUMENT_MAX bytes. After these two the load may go on without the row; after any
 * other failure the caller must abort it. */
enum dp_status index_load_row(struct call *call, struct index_loader *loader, struct index_id id,
                              const float *vectors, size_t windows, struct span attributes);
/* Commits and frees the loader. All rows count from one moment on: they replace earlier rows with their ids, and later
 * writes replace them. A failure leaves the namespace as it was, with two exceptions:
 *
 *   DP_UNKNOWN      the load sent its last step, and cannot find out whether the store carries it out
 *   DP_NOT_DURABLE  the rows can be read, but a crash of the host may lose them
 *
 * After both the caller should make the same load again. DP_CONFLICT: other writers were first each time, somebody
 * removed the namespace during the load, or the load took so long that it was given up. DP_OVERLOADED: too many loads
 * are pending. */
enum dp_status index_load_commit(struct call *call, struct index_loader *loader,
                                 struct index_load_summary *summary);
void index_load_abort(struct index_loader *loader); /* NULL is fine */

/* ---- reading ---------------------------------------------------------------------------------------- */

/* An open namespace: its manifest and the hot parts of its segments, refreshed by each strong query.
 * Thread-safe. */
struct index_reader;
struct schema; /* filter/attribute.h */

/* Opens a namespace. DP_NOT_FOUND: there is no such namespace. */
enum dp_status index_open(struct call *call, struct store *store, struct span name, struct index_reader **out);
void index_close(struct index_reader *reader);

struct index_stats {
    struct index_life life;
    struct index_vectors vectors; /* spans in the call's arena */
    uint64_t rows;
    /* Rows and deletions in the log that no segment holds yet, and the bytes of their log entries. */
    uint64_t unindexed_rows, unindexed_bytes;
    uint64_t last_entry; /* number of the newest log entry; 0: the namespace never had one */
    bool has_log;        /* the namespace takes writes through its log */
    uint64_t segments;
    uint64_t bytes;
    uint64_t branches; /* branches that list objects of it */
    bool read_only;
    int64_t created_ms, updated_ms; /* Unix time in milliseconds */
};
enum dp_status index_stats(struct call *call, struct index_reader *reader, struct index_stats *out);
/* Gives the kind of vectors alone, whose spans are in the call's arena. Never reads from the store, as index_stats()
 * may. */
enum dp_status index_vectors_of(struct call *call, struct index_reader *reader, struct index_vectors *out);
/* Gives the file that has the vectors, whose spans are in the call's arena. Never reads from the store. */
enum dp_status index_external_of(struct call *call, struct index_reader *reader, struct index_external *out);
/* Gives the schema as a JSON object {"attribute": {"type": "string"}, …} in turbopuffer's shape, in the call's
 * arena. */
enum dp_status index_schema_json(struct call *call, struct index_reader *reader, struct span *out);
/* Gives a copy of the schema, in the call's arena. */
enum dp_status index_schema(struct call *call, struct index_reader *reader, struct schema *out);
/* Sets *out to whether rankings by the words of the attribute read no row but those of the answer, in the state that
 * is open: the attribute has full-text search, and each segment has a text index of it by its present settings. */
enum dp_status index_has_words(struct call *call, struct index_reader *reader, struct span attribute, bool *out);
/* Brings the open namespace up to date, as a strong query does. DP_NOT_FOUND: it is gone. */
enum dp_status index_refresh(struct call *call, struct index_reader *reader);

struct index_query {
    const float *vector; /* float[dim] */
    uint32_t dim;
    struct span fingerprint; /* of the model that embedded the query, or empty */
    uint32_t top_k;          /* maximum hits: 1..INDEX_TOP_K_MAX */
    /* The caller shows so many of the hits, and uses those behind them to fuse rankings: they may come from fewer
     * candidates. 0: all. */
    uint32_t shown;
    uint32_t nprobe; /* 0: the reader chooses it */
    bool eventual;   /* the answer may come from a manifest in memory, without asking the store */
    bool all_attributes;
    /* Names to include, unless all_attributes is set. The answer leaves out unknown names. */
    const struct span *attributes;
    size_t attribute_count;
    bool with_vectors; /* include the first vector of each hit */
    struct team *team; /* helps with a long log if it is free; NULL: the caller's thread does everything */
    bool base64;       /* show vectors among the attributes as base64 of float32; false: as arrays of numbers */
};

struct index_hit {
    struct index_id id;     /* text in the call's arena */
    float dist;             /* cosine: 1 - cos; euclidean_squared: the squared distance */
    struct span attributes; /* a JSON object of the included attributes, in the call's arena */
    const float *vector;    /* float[dim], in the call's arena; NULL unless the query includes it */
};

/* How a query by distance with a filter finds its rows, once it knows which rows match; or how a ranking by words
 * does. */
enum index_rule {
    INDEX_RULE_NONE,  /* the query has no filter, or something else orders the rows */
    INDEX_RULE_EXACT, /* reads the vectors of all rows that match */
    INDEX_RULE_LISTS, /* reads the codes of the lists near to the vector, and considers the rows that match */
    INDEX_RULE_WORDS  /* reads `lists` pieces of text indexes, of list_bytes bytes */
};

/* The rule, and the numbers that decided. */
struct index_plan {
    enum index_rule rule;
    uint64_t matches;     /* rows that match */
    uint64_t exact_bytes; /* what INDEX_RULE_EXACT reads, about; each range counts 8 KiB more */
    uint64_t list_bytes;  /* what INDEX_RULE_LISTS reads, with the vectors of its candidates */
    uint64_t lists, all_lists,
        listed; /* lists that it reads; lists of all segments; matches in the lists that it reads, about */
};

struct index_answer {
    struct index_hit *hits; /* in the call's arena; in ascending order of dist, then of id */
    size_t count;
    enum index_metric metric; /* of the namespace */
    uint64_t approx_rows;     /* rows of the namespace */
    uint64_t exhaustive_rows; /* rows that the query looked at one by one: those of the log, or all */
    bool from_cache;          /* whether the hot parts of all segments were in memory */
    struct index_plan plan;   /* of index_scan() */
};
enum dp_status index_query(struct call *call, struct index_reader *reader, const struct index_query *query,
                           struct index_answer *out);
/* Returns the nprobe for a file of nlist lists: enough for recall@10 >= 0.95 on embeddings of text. */
uint32_t index_default_nprobe(uint32_t nlist);

/* Finds the rows with the integer ids ids[count], which ascend: found[i] tells whether there is such a row now, and
 * hits[i] (NULL: only found is wanted) gets its id and the attributes that `what` includes. Fails with DP_NOMEM,
 * DP_CORRUPT or as the store. */
enum dp_status index_rows(struct call *call, struct index_reader *reader, const uint64_t *ids, size_t count,
                          const struct index_query *what, bool *found, struct index_hit *hits);

struct rank;   /* index/rank.h */
struct filter; /* filter/filter.h */

/* Appends bytes that a row's id key and attributes give. */
typedef enum dp_status index_bytes_fn(void *ctx, struct span key, struct span document, struct buffer *out);

/* A query that looks at every row: it answers the rows that match, by exact distance or in the order of an attribute. */
struct index_scan {
    struct index_query query; /* top_k, eventual, and what to include; `vector` NULL: order by an attribute */
    bool exact; /* by distance: the answer has the nearest rows of all that match, none of the others */
    /* Name of the vector attribute that is compared with the query's vector; empty: "vector". Rows without a value, or
     * with one that has no distance, are left out. */
    struct span near;
    /* Returns whether the row with this id key (index/id.h) and these attributes matches; NULL: every row
     * matches. */
    bool (*match)(void *ctx, struct span key, struct span document);
    void *match_ctx;
    const struct filter *filter; /* what `match` decides by, if it is a filter; else NULL */
    struct span order_by;        /* without a vector: name of an attribute, or "id" */
    bool descending;
    /* Compares two values of the attribute as JSON in normal form, neither of them null; not used for "id". Null comes
     * before all values, or behind them if descending; ids order equal values. */
    int (*compare)(void *ctx, struct span a, struct span b);
    void *compare_ctx;
    /* In place of order_by: appends bytes whose order (memcmp) is that of the rows. NULL: order_by. */
    index_bytes_fn *order;
    void *order_ctx;
    /* Appends the bytes of the row's group, of which the answer has at most group_limit rows. NULL: no such limit. */
    index_bytes_fn *group;
    void *group_ctx;
    uint32_t group_limit;
    /* Orders rows by their scores (index/rank.h), the largest first, and leaves out those of score 0; a hit's dist is its
     * score. NULL: another order. */
    struct rank *rank;
    /* Gets each row that matches; then the answer has no hits. NULL: the answer has the first rows. */
    enum dp_status (*visit)(void *ctx, struct span key, struct span document);
    void (*begin)(void *visit_ctx); /* called before the first row: a scan may begin again */
    void *visit_ctx;
    /* Gets the number of rows that match; then the answer has no hits, and documents are read only where columns do not
     * decide. NULL: another answer. */
    uint64_t *count;
};
/* With `match`, a vector and neither `near` nor a group, the answer is approximate unless `exact` is set, but has
 * min(top_k, rows that match and have a vector) rows. Fails with DP_INVALID, and names the limit, for a namespace of
 * more than 1,000,000 rows or, unless only distances of "vector" matter, 256 MiB of attributes; to count, for more than
 * that in documents that it must read. Hits in the order of
 * an attribute have no distance. */
enum dp_status index_scan(struct call *call, struct index_reader *reader, const struct index_scan *scan,
                          struct index_answer *out);
/* Answers a ranking by words from the text indexes of segments, if they can: the rank is a BM25 or what
 * index/rank_words.h says, and each segment has an index of its attributes by the settings with which it was parsed,
 * which are those of the namespace. Else *answered is false, and index_scan() must answer, which tries this first.
 * Asks whether the state is current together with what it reads, unless the query is eventual. */
enum dp_status index_words(struct call *call, struct index_reader *reader, const struct index_scan *scan,
                           bool *answered, struct index_answer *out);

/* ---- writing ---------------------------------------------------------------------------------------- */

/* A row to write.
 *
 *   INDEX_UPSERT  writes the whole row: `attributes` is its document. In a namespace with vectors
 *                 each row needs at least one
 *   INDEX_PATCH   changes the attributes that it names; null removes one. Its vectors, if it has some, replace those
 *                 of the row. An id without a row is skipped
 *   INDEX_DELETE  deletes the row; an id without a row is no error */
enum index_write_kind { INDEX_UPSERT, INDEX_PATCH, INDEX_DELETE };

struct index_write_row {
    enum index_write_kind kind;
    struct index_id id;
    const float *vectors; /* float[windows][dim]; NULL: none */
    uint32_t windows;
    struct span attributes; /* a JSON object, each value in the normal form of its attribute's type; empty: {} */
};

enum {
    INDEX_DELETED_MAX = 256 * 1024, /* maximum rows that the filter of one write deletes */
    INDEX_PATCHED_MAX = 50 * 1000   /* maximum rows that the filter of one write patches */
};

/* A step of a write for all rows that match a filter. The search for the rows sees every write that was
 * acknowledged before. Each row that it finds is judged once more just before the write. A row that has begun to
 * match since the search is left alone. */
struct index_choice {
    const struct filter *filter; /* NULL: the write has no such step */
    /* When more rows match than one write may change: true changes as many as it may; false fails with DP_INVALID. */
    bool partial;
};

/* A write: all of its rows count at one moment, or none does. Its conditions look at a row as it is just before
 * the write. */
struct index_write {
    /* The first two steps: rows to delete, then rows to patch. `patch` is of kind INDEX_PATCH, without an id. */
    struct index_choice deletes, patches;
    struct index_write_row patch;
    bool wants_ids; /* whether the result has the ids of the rows that these steps changed */
    /* The last step. An id occurs once, but the first two steps may have changed its row. */
    const struct index_write_row *rows; /* [count] */
    size_t count;
    uint32_t dim; /* of the vectors of all rows; 0: no row has a vector */
    /* The life that the rows were made for: its models made their vectors. The write fails with DP_CONFLICT, and has
     * sent nothing, if the name has another life now. */
    struct index_life life;
    /* NULL, or the condition of each row of that kind. If an id has no row, an upsert writes it without asking the
     * condition, and a patch or a deletion is skipped. */
    const struct filter *upsert_condition, *patch_condition, *delete_condition;
    /* A filter names an attribute that the schema lacked. The write fails with DP_CONFLICT if the number of
     * attributes in the schema is no longer `attributes`. */
    bool uncertain;
    size_t attributes;
    /* A key makes the write count once: if a write with this key has counted in the last 24 hours, this write does
     * nothing, and gives the numbers of the earlier one. `request`: a hash of what the client sent; another hash
     * under the same key is DP_INVALID. Empty: no key. */
    struct span key;
    uint64_t request;
    bool unthrottled; /* accepted also when many rows wait to be folded; not for patches, filters and conditions */
};

struct index_write_result {
    uint64_t upserted, patched, deleted; /* rows that were written; deletions of ids without a row count, too */
    bool remaining;                      /* more rows match a partial filter */
    bool repeated; /* an earlier write with the same key has done this; `applied` and ids are empty */
    /* With wants_ids: the rows that the filters have changed, in the call's arena. */
    struct index_id *deleted_ids, *patched_ids;
    size_t deleted_id_count, patched_id_count;
    bool *applied;   /* [count], in the call's arena: whether the row was written */
    uint64_t bytes;  /* of the written rows in the log */
    uint64_t number; /* of the log entry; 0: nothing was to be written */
    bool ended;      /* set with DP_CONFLICT alone, see index_write() */
};

/* Writes to an open namespace. On DP_OK the write is durable, and every later strong query sees it.
 *
 *   DP_INVALID      an id that occurs twice or is of another kind; a vector or an attribute that the namespace
 *                   cannot take
 *   DP_TOO_LARGE    the write, a row or a patched row is too large for one log entry; the message names the limit
 *   DP_OVERLOADED   too many rows wait to be folded: try again later
 *   DP_DENIED       the namespace is read-only
 *   DP_CONFLICT     the namespace was deleted or made anew meanwhile, other writers were first each time, or the schema
 *                   has an attribute that a filter took for a missing one
 *   DP_UNKNOWN      the write was sent, and nobody can tell whether it counts or will count
 *   DP_NOT_DURABLE  it counts, but a crash of the host may undo it
 *
 * After DP_UNKNOWN and DP_NOT_DURABLE the caller may make the same write again, if making it twice does no harm.
 * After DP_CONFLICT the caller may, too, unless out->ended is set. Then the write was sent, and may have counted
 * until that life of the namespace ended. A repetition would be a second write, in a later life. */
enum dp_status index_write(struct call *call, struct index_reader *reader, const struct index_write *write,
                           struct index_write_result *out);

/* ---- listing ---------------------------------------------------------------------------------------- */

struct index_names {
    struct span *names; /* in the call's arena */
    size_t count;
    bool truncated; /* whether there are more names */
};
/* Lists at most `max` namespaces under the store's root whose names begin with `prefix` and come after `after`.
 * The order is that in which a store lists folders: by the bytes of the name with a '/' after it. */
enum dp_status index_list(struct call *call, struct store *store, struct span prefix, struct span after,
                          size_t max, struct index_names *out);

#endif
