/* index/manifest/manifest.h: a namespace's manifest: its settings, its schema, and the objects that hold its rows.
 *
 * The manifest is JSON that a person can read, of at most MANIFEST_BYTES_MAX bytes. It is the only object of a
 * namespace that ever changes, and it changes by swaps only. The head comment of manifest/write.c and
 * docs/internals/manifest.md give its grammar.
 */
#ifndef INDEX_MANIFEST_H
#define INDEX_MANIFEST_H

#include "base/buffer.h"
#include "index/object_name.h"
#include "index/schema.h"

enum {
    MANIFEST_BYTES_MAX = 256 * 1024,
    MANIFEST_WRITERS_MIN = 32,            /* the manifest keeps this many latest writers, however old */
    MANIFEST_WRITERS_MAX = 256,           /* maximum; this many processes that swap within ten minutes reach it */
    MANIFEST_WRITERS_MS = 10 * 60 * 1000, /* the manifest keeps all writers younger than this */
    MANIFEST_SEGMENTS_MAX = 4096,
    MANIFEST_PENDING_MAX = 256,  /* maximum pending loads */
    MANIFEST_PINS_MAX = 64,      /* maximum pins */
    MANIFEST_OWNERS_MAX = 64,    /* maximum other namespaces whose objects it lists */
    MANIFEST_STATE_WITHIN = 256, /* maximum bytes up to the end of the state in a manifest */
    NAMESPACE_ROWS_MAX = 64 * 1000 * 1000
};

/* A life of another namespace. This namespace lists objects of that life, because it is a branch of that
 * namespace, or a branch of such a branch. The folder of that life holds the objects. */
struct manifest_owner {
    struct span name;
    struct ulid incarnation;
};

/* A segment that the manifest lists. */
struct manifest_segment {
    struct ulid id;
    uint32_t owner; /* 0: this namespace made it; else number `owner` - 1 of manifest.owners did */
    uint64_t rows;
    uint64_t vectors;                       /* a row may have none or several */
    uint64_t ivf_size, ivf_head;            /* bytes of the .ivf object, and of its head */
    uint64_t dpr_size, hot_offset, hot_len; /* bytes of the .dpr object; where its hot part is */
    bool centroids;                         /* whether the hot part has the head of the .ivf, as section CENT */
    bool full;                              /* its writer ended it because it had room for no further row */
    bool has_deleted;                       /* whether there is a .del object; if not, the fields below are 0 */
    struct ulid deletion;                   /* ULID of the .del object */
    uint64_t deleted_rows, deleted_size;    /* rows that the .del object lists, and its bytes */
    uint32_t deleted_owner;                 /* of the .del object, as `owner` */
};

/* A writer and its latest swap. */
struct manifest_writer {
    struct ulid id;
    uint64_t sequence; /* of the manifest that the swap put */
    int64_t at_ms;     /* updated_ms of that manifest */
};

/* A load whose segments are in the store, and whose "attach" entry in the log makes them count. The fold that passes
 * this entry lists them. */
struct manifest_pending {
    struct ulid load;
    int64_t at_ms;                     /* updated_ms of the swap that added it */
    struct manifest_segment *segments; /* [segment_count], ascending by id, at least one */
    size_t segment_count;
};

/* A pin: a branch lists objects of this namespace, so the collector must keep them (manifest/pins.h). */
struct manifest_pin {
    struct ulid id;                 /* of the .pin object, which names the pinned objects */
    struct ulid incarnation;        /* the life of this namespace that owns them */
    uint64_t size;                  /* bytes of the .pin object */
    struct span branch;             /* name of the branch */
    struct ulid branch_incarnation; /* the life of that name which is the branch */
};

/* The .keys object of a namespace (wal/write_key.h). */
struct manifest_keys {
    struct ulid id;
    uint64_t size; /* bytes; 0: there is no such object */
    uint64_t count;
};

/* Work in the background that one node does for all. */
enum claim_kind { CLAIM_FOLD, CLAIM_MERGE, CLAIM_COLLECT, CLAIM_KINDS };

/* A node's claim to such work. Another node may take it after until_ms. */
struct manifest_claim {
    struct ulid node;
    int64_t until_ms; /* by the store's clock; 0: nobody has claimed the work */
};

enum namespace_state {
    NAMESPACE_LIVE,
    NAMESPACE_DELETED, /* the manifest is a tombstone: it lists nothing, and counts as "no such namespace" */
    NAMESPACE_STATES
};

/* Features that a program must know to read or change the namespace; bits of manifest.features. */
enum manifest_feature {
    MANIFEST_FEATURE_LOG = 1,     /* the namespace takes writes through its log; loads use the log, too */
    MANIFEST_FEATURE_EXTERNAL = 2 /* a FAISS file has the namespace's vectors */
};

/* A manifest in memory. */
struct manifest {
    struct arena arena; /* owns the writers, the segments and the bytes of all spans */
    enum namespace_state state;
    uint32_t features;       /* bits of enum manifest_feature */
    uint64_t sequence;       /* number of swaps so far, at least 1; it goes on through all lives of the name */
    struct ulid incarnation; /* of a tombstone: the life that was deleted */
    struct manifest_writer *writers; /* [writer_count], ascending by sequence */
    size_t writer_count;
    uint64_t writers_gone;          /* greatest sequence of a writer that was dropped; 0: none was */
    int64_t created_ms, updated_ms; /* Unix time in ms */
    uint64_t wal_floor;             /* segments hold all log entries up to this number */
    uint64_t wal_gone;              /* log entries up to this number may have been deleted; ≤ wal_floor */
    uint64_t wal_chain;             /* hash of log entry wal_floor; for wal_floor 0 wal_chain_start() */
    struct manifest_claim claims[CLAIM_KINDS];
    bool read_only;                 /* the namespace takes no writes */
    struct ulid horizon;            /* objects made before it may be gone; a commit adds later ones only */
    uint32_t num_shards;            /* always 1 */
    struct index_vectors vectors;   /* dim 0: no row has brought a vector yet */
    struct index_external external; /* of MANIFEST_FEATURE_EXTERNAL; then no row may bring a vector */
    struct schema schema;
    struct manifest_segment *segments; /* [segment_count], ascending by id */
    size_t segment_count;
    struct manifest_pending *pending; /* [pending_count] */
    size_t pending_count;
    struct manifest_keys keys; /* keys of writes that folds have moved */
    struct manifest_pin *pins; /* [pin_count], ascending by id; they go on through all lives of the name */
    size_t pin_count;
    struct manifest_owner *owners; /* [owner_count]; the list stays the same for all of a life */
    size_t owner_count;
    /* Not part of the text: the store's clock when it sent this manifest, in Unix milliseconds (0: unknown), and
     * index_now_ns() when it came (0: just now). */
    int64_t date_ms, came_ns;
};

void manifest_init(struct manifest *m);
void manifest_deinit(struct manifest *m);
/* Makes *m, which is empty or a tombstone, the live manifest of a new incarnation: without rows, schema or log. It
 * keeps what goes on from life to life: sequence, writers, horizon and pins. */
void manifest_begin_life(struct manifest *m, const struct ulid *incarnation);
/* Makes *m a tombstone of its incarnation. */
void manifest_end_life(struct manifest *m);

/* Returns what the store's clock shows now, in Unix milliseconds. If the store did not tell its time, the host's clock
 * stands in. */
int64_t manifest_store_ms(const struct manifest *m, const struct index_clock *clock);

/* Returns the number of rows that are not deleted. */
uint64_t manifest_rows(const struct manifest *m);
/* Returns the bytes of all objects that the manifest lists, those of pending loads included. */
uint64_t manifest_bytes(const struct manifest *m);

/* Initialises *out from the bytes, and checks it with manifest_check(). Fails with DP_CORRUPT, with DP_UNSUPPORTED
 * for a format or a feature that this build does not know, or with DP_NOMEM. On failure the caller frees
 * nothing. */
enum dp_status manifest_parse(struct span bytes, struct manifest *out, struct dp_error *error);
/* Appends the manifest as text. Fails with DP_TOO_LARGE when it has more than MANIFEST_BYTES_MAX bytes. */
enum dp_status manifest_write(const struct manifest *m, struct buffer *out, struct dp_error *error);

/* Checks the numbers of a manifest against each other. Fails with DP_CORRUPT when they contradict. */
enum dp_status manifest_check(const struct manifest *m, struct dp_error *error);

/* Returns the writer of this id, or NULL. */
const struct manifest_writer *manifest_find_writer(const struct manifest *m, const struct ulid *id);
/* Adds the writer of the swap that makes `m`, with the sequence and the time of `m`, in place of the writer's
 * earlier swap. Drops each old writer that is neither among the latest MANIFEST_WRITERS_MIN nor younger than
 * MANIFEST_WRITERS_MS, and all beyond MANIFEST_WRITERS_MAX. Fails with DP_NOMEM. */
enum dp_status manifest_add_writer(struct manifest *m, const struct ulid *writer, struct dp_error *error);
/* Returns whether `m` still has the writers of all swaps after swap number `sequence`, but for those whose writer has
 * swapped again. If so, a writer that has made one of these swaps, and none after it, is in `m`. */
bool manifest_covers(const struct manifest *m, uint64_t sequence);

/* Fails with DP_INVALID: rows of this namespace cannot bring vectors, because a FAISS file has them. */
enum dp_status manifest_fail_external(const struct manifest *m, struct span name, struct dp_error *error);

/* ---- objects (manifest/objects.c) ---------------------------------------------------------------------- */

/* The folder of an object: a life of a namespace. */
struct object_home {
    struct span name;
    const struct ulid *incarnation;
};
/* Returns the home of the objects of an owner (manifest_segment.owner), for the manifest of the namespace `name`. */
struct object_home manifest_home(const struct manifest *m, struct span name, uint32_t owner);

/* An object that a manifest lists, in a segment or in a pending load. */
struct manifest_object {
    enum manifest_object_kind { MANIFEST_IVF, MANIFEST_DPR, MANIFEST_DEL } kind;
    const struct manifest_segment *segment;
    const struct ulid *born; /* ULID of the object; its time is when a load made the object */
    uint64_t size;
    uint32_t owner; /* as manifest_segment.owner */
};

typedef enum dp_status manifest_object_fn(void *context, const struct manifest_object *object);

/* These two call fn for each object of a segment, or of all segments and pending loads, until fn fails. They return
 * the status of fn. No other function lists the kinds of objects: add a new kind here. */
enum dp_status segment_for_each_object(const struct manifest_segment *s, manifest_object_fn *fn, void *context);
enum dp_status manifest_for_each_object(const struct manifest *m, manifest_object_fn *fn, void *context);
/* Sets *out to the name of an object that is in the folder of the namespace `name` and its life `incarnation`. */
void key_of_object(struct object_key *out, struct span name, const struct ulid *incarnation,
                   const struct manifest_object *object);

/* Returns whether the manifest of the namespace `name` lists the object, or has it pending; for a .pin object,
 * whether it has the pin. */
bool manifest_lists(const struct manifest *m, struct span name, const struct parsed_name *object);

/* A read of a manifest. */
struct manifest_answer {
    struct store_version version;
    int64_t date_ms; /* the store's clock when it answered, in Unix milliseconds; 0: unknown */
};
/* Reads and parses the manifest of `name`, in one round, and sets *answer, unless it is NULL, also when it fails. Fails
 * with DP_NOT_FOUND when there is no manifest. On DP_OK the caller deinits *out, which may be a tombstone. */
enum dp_status manifest_load_any(struct call *call, struct store *store, struct span name, struct manifest *out,
                                 struct manifest_answer *answer);
/* Reads the manifest of a live namespace. Fails with DP_NOT_FOUND also for a tombstone. */
enum dp_status manifest_load(struct call *call, struct store *store, struct span name, struct manifest *out,
                             struct store_version *version);
/* Fails with DP_NOT_FOUND if the manifest is a tombstone. */
enum dp_status manifest_check_live(const struct manifest *m, struct span name, struct dp_error *error);
/* Returns the state that the first bytes of a manifest tell: MANIFEST_STATE_WITHIN bytes, or all of a shorter one. */
enum namespace_state manifest_peek_state(struct span head);

/* Compares two segments by their ids, for qsort. */
int manifest_compare_segments(const void *a, const void *b);
/* Returns whether list[count] has a segment with this id. */
bool manifest_has_segment(const struct manifest_segment *list, size_t count, const struct ulid *id);

#endif
