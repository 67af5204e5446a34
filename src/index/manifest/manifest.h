/* index/manifest/manifest.h: a namespace's manifest: what the namespace is, and which objects hold it.
 *
 * The manifest is JSON that a person can read, at most MANIFEST_BYTES_MAX, and the only object of a namespace that is
 * ever replaced, always by compare-and-swap. Its grammar is the head comment of manifest/write.c and
 * docs/internals/manifest.md.
 */
#ifndef INDEX_MANIFEST_H
#define INDEX_MANIFEST_H

#include "base/buffer.h"
#include "index/object_name.h"
#include "index/schema.h"

enum {
    MANIFEST_BYTES_MAX = 256 * 1024,
    MANIFEST_WRITERS_MIN = 32,            /* the latest swaps, whose writers are kept whatever their age */
    MANIFEST_WRITERS_MAX = 640,           /* maximum; more than one swap a second reaches it */
    MANIFEST_WRITERS_MS = 10 * 60 * 1000, /* age until which a writer is kept */
    MANIFEST_SEGMENTS_MAX = 4096,
    NAMESPACE_ROWS_MAX = 64 * 1000 * 1000
};

struct manifest_segment {
    struct ulid id;
    uint64_t rows;
    uint64_t vectors;                       /* ≥ rows: a row has one or more */
    uint64_t ivf_size, ivf_head;            /* bytes of the .ivf object, and those before its list data */
    uint64_t dpr_size, hot_offset, hot_len; /* bytes of the .dpr object; its hot part, at its end */
    bool has_deleted;
    struct ulid deletion; /* ULID of the .del object */
    uint64_t deleted_rows, deleted_size;
};

/* The writer of a swap, and the time. */
struct manifest_writer {
    struct ulid id;
    int64_t at_ms; /* updated_ms of the manifest that the swap put */
};

struct manifest {
    struct arena arena; /* holds the spans below, the writers and the segments */
    uint64_t sequence;  /* swaps so far, from 1 */
    struct ulid incarnation;
    struct manifest_writer *writers; /* of the latest swaps, one each, newest last */
    size_t writer_count;
    int64_t created_ms, updated_ms; /* Unix time */
    uint64_t wal_floor;             /* log entries up to this number are folded into segments */
    struct ulid horizon;            /* objects up to this one may be gone: a commit adds none below it */
    uint32_t num_shards;            /* 1 */
    struct index_vectors vectors;
    struct schema schema;
    struct manifest_segment *segments; /* ascending by id */
    size_t segment_count;
};

void manifest_init(struct manifest *m);
void manifest_deinit(struct manifest *m);

uint64_t manifest_rows(const struct manifest *m);  /* rows that are not deleted */
uint64_t manifest_bytes(const struct manifest *m); /* bytes of all objects that it lists */

/* Initialises *out from the bytes. Every number is checked against the others. On failure nothing needs to be
 * freed: DP_CORRUPT, or DP_UNSUPPORTED for a format or a feature that this build does not know. */
enum dp_status manifest_parse(struct span bytes, struct manifest *out, struct dp_error *error);
/* Appends the manifest as text. DP_TOO_LARGE past MANIFEST_BYTES_MAX. */
enum dp_status manifest_write(const struct manifest *m, struct buffer *out, struct dp_error *error);

/* DP_CORRUPT unless all numbers fit together. Declared for tests, too. */
enum dp_status manifest_check(const struct manifest *m, struct dp_error *error);

bool manifest_has_writer(const struct manifest *m, const struct ulid *writer);
/* Adds the writer of the swap that makes `m`, stamped with updated_ms. Forgets the oldest: those that are neither
 * among the latest MANIFEST_WRITERS_MIN nor younger than MANIFEST_WRITERS_MS, and those beyond MANIFEST_WRITERS_MAX.
 * DP_NOMEM. */
enum dp_status manifest_add_writer(struct manifest *m, const struct ulid *writer, struct dp_error *error);
/* Whether `m` still has the writers of all swaps after the one that made `sequence`: then a writer that is not among
 * them made none of these swaps. */
bool manifest_covers(const struct manifest *m, uint64_t sequence);

/* ---- objects (manifest/objects.c) ---------------------------------------------------------------------- */

/* An object that a manifest lists. */
struct manifest_object {
    enum manifest_object_kind { MANIFEST_IVF, MANIFEST_DPR, MANIFEST_DEL } kind;
    const struct manifest_segment *segment;
    const struct ulid *born; /* its time is when the object was made */
    uint64_t size;
};

typedef enum dp_status manifest_object_fn(void *context, const struct manifest_object *object);

/* Calls fn for each object of a segment, or of all segments, until fn fails; returns the status of fn. No other
 * function knows which kinds of objects exist: add a new kind here. */
enum dp_status segment_for_each_object(const struct manifest_segment *s, manifest_object_fn *fn, void *context);
enum dp_status manifest_for_each_object(const struct manifest *m, manifest_object_fn *fn, void *context);
void key_of_object(struct object_key *out, struct span name, const struct ulid *incarnation,
                   const struct manifest_object *object);

/* Reads and parses the manifest of `name`: one round. DP_NOT_FOUND when there is none. On DP_OK the caller deinits
 * *out. */
enum dp_status manifest_load(struct call *call, struct store *store, struct span name, struct manifest *out,
                             struct store_version *version);

#endif
