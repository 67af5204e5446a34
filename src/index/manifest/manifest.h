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
    MANIFEST_WRITERS_MAX = 640,           /* maximum; more than one swap per second reaches it */
    MANIFEST_WRITERS_MS = 10 * 60 * 1000, /* the manifest keeps all writers younger than this */
    MANIFEST_SEGMENTS_MAX = 4096,
    NAMESPACE_ROWS_MAX = 64 * 1000 * 1000
};

/* A segment that the manifest lists. */
struct manifest_segment {
    struct ulid id;
    uint64_t rows;
    uint64_t vectors;                       /* ≥ rows, as each row has one or more */
    uint64_t ivf_size, ivf_head;            /* bytes of the .ivf object, and of its head */
    uint64_t dpr_size, hot_offset, hot_len; /* bytes of the .dpr object; where its hot part is */
    bool has_deleted;                       /* whether there is a .del object; if not, the fields below are 0 */
    struct ulid deletion;                   /* ULID of the .del object */
    uint64_t deleted_rows, deleted_size;    /* rows that the .del object lists, and its bytes */
};

/* The writer of a swap, and the time of the swap. */
struct manifest_writer {
    struct ulid id;
    int64_t at_ms; /* updated_ms of the manifest that the swap put */
};

/* A manifest in memory. */
struct manifest {
    struct arena arena; /* owns the writers, the segments and the bytes of all spans */
    uint64_t sequence;  /* number of swaps so far, at least 1 */
    struct ulid incarnation;
    struct manifest_writer *writers; /* [writer_count]: writers of the latest swaps, newest last */
    size_t writer_count;
    int64_t created_ms, updated_ms; /* Unix time in ms */
    uint64_t wal_floor;             /* segments hold all log entries up to this number */
    struct ulid horizon;            /* objects made before it may be gone; a commit adds later ones only */
    uint32_t num_shards;            /* always 1 */
    struct index_vectors vectors;
    struct schema schema;
    struct manifest_segment *segments; /* [segment_count], ascending by id */
    size_t segment_count;
};

void manifest_init(struct manifest *m);
void manifest_deinit(struct manifest *m);

/* Returns the number of rows that are not deleted. */
uint64_t manifest_rows(const struct manifest *m);
/* Returns the bytes of all objects that the manifest lists. */
uint64_t manifest_bytes(const struct manifest *m);

/* Initialises *out from the bytes, and checks it with manifest_check(). Fails with DP_CORRUPT, with DP_UNSUPPORTED
 * for a format or a feature that this build does not know, or with DP_NOMEM. On failure the caller frees
 * nothing. */
enum dp_status manifest_parse(struct span bytes, struct manifest *out, struct dp_error *error);
/* Appends the manifest as text. Fails with DP_TOO_LARGE when it has more than MANIFEST_BYTES_MAX bytes. */
enum dp_status manifest_write(const struct manifest *m, struct buffer *out, struct dp_error *error);

/* Checks the numbers of a manifest against each other. Fails with DP_CORRUPT when they contradict. */
enum dp_status manifest_check(const struct manifest *m, struct dp_error *error);

/* Returns whether the manifest still has this writer. */
bool manifest_has_writer(const struct manifest *m, const struct ulid *writer);
/* Adds the writer of the swap that makes `m`, with the time m->updated_ms. Drops each old writer that is neither
 * among the latest MANIFEST_WRITERS_MIN nor younger than MANIFEST_WRITERS_MS, and all beyond MANIFEST_WRITERS_MAX.
 * Fails with DP_NOMEM. */
enum dp_status manifest_add_writer(struct manifest *m, const struct ulid *writer, struct dp_error *error);
/* Returns whether `m` still has the writers of all swaps after swap number `sequence`. If so, a writer that `m`
 * does not have made none of these swaps. */
bool manifest_covers(const struct manifest *m, uint64_t sequence);

/* ---- objects (manifest/objects.c) ---------------------------------------------------------------------- */

/* An object that a manifest lists. */
struct manifest_object {
    enum manifest_object_kind { MANIFEST_IVF, MANIFEST_DPR, MANIFEST_DEL } kind;
    const struct manifest_segment *segment;
    const struct ulid *born; /* ULID of the object; its time is when a load made the object */
    uint64_t size;
};

typedef enum dp_status manifest_object_fn(void *context, const struct manifest_object *object);

/* These two call fn for each object of a segment, or of all segments, until fn fails. They return the status of
 * fn. No other function lists the kinds of objects: add a new kind here. */
enum dp_status segment_for_each_object(const struct manifest_segment *s, manifest_object_fn *fn, void *context);
enum dp_status manifest_for_each_object(const struct manifest *m, manifest_object_fn *fn, void *context);
/* Sets *out to the name of an object of the namespace `name`. */
void key_of_object(struct object_key *out, struct span name, const struct ulid *incarnation,
                   const struct manifest_object *object);

/* Reads and parses the manifest of `name`, in one round, and sets *version unless it is NULL. Fails with
 * DP_NOT_FOUND when there is no namespace. On DP_OK the caller deinits *out. */
enum dp_status manifest_load(struct call *call, struct store *store, struct span name, struct manifest *out,
                             struct store_version *version);

#endif
