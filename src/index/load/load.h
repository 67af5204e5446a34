/* index/load/load.h: the state of a load, shared by load.c (rows come in), build.c (a segment goes out) and commit.c. */
#ifndef INDEX_LOAD_H
#define INDEX_LOAD_H

#include "base/map.h"
#include "index/manifest/manifest.h"
#include "index/load/spill.h"
#include "index/manifest/swap.h"

/* A row that waits for its segment. */
struct load_row {
    uint64_t vector;   /* number of its first vector */
    uint64_t document; /* where its attributes begin */
    uint32_t windows;
    uint32_t document_len;
};

/* An object that was written. */
struct load_object {
    struct object_key key;
    struct load_object *next;
};

/* One owner thread. */
struct index_loader {
    struct store *store;
    struct team *team;    /* or NULL */
    struct arena arena;   /* names, ids, and what was written: until the end */
    struct arena scratch; /* of one row */
    struct span name;
    uint32_t dim;
    enum index_metric metric;
    struct span model, fingerprint;
    struct ulid writer;      /* of the swap that commits */
    struct ulid incarnation; /* where objects are written */
    bool joins;              /* that is the incarnation of a namespace that is there */
    struct ulid horizon;     /* of that namespace: objects are made after it */
    size_t segments_listed;  /* that it had when the load began */
    size_t segments_max;     /* how many more its manifest has room for */
    struct schema schema;    /* of this load's rows */

    struct map seen;   /* keys of all rows */
    struct span *keys; /* [key_count]: the same in order of arrival */
    size_t key_count, key_room;

    size_t segment_rows;   /* a segment with so many is full */
    struct load_row *rows; /* [row_count]: those that wait; their keys are the last of `keys` */
    size_t row_count, row_room;
    uint64_t vector_count;
    uint64_t window_rows;   /* rows with more than one vector */
    struct spill vectors;   /* float[vector_count][dim] */
    struct spill documents; /* attributes, one after another */
    float *scaled;          /* float[dim], of scratch */

    struct manifest_segment *segments; /* built, not committed */
    size_t segment_count, segment_room;
    struct load_object *written;
    bool sent; /* a manifest that lists some of `written` was put, whatever became of it: none may be removed */
    uint64_t bytes_written;
    uint64_t windows; /* vectors beyond one a row, of the whole load */
    bool broken;      /* a row came in by half: nothing may be committed */

    const struct swap_clock *clock; /* NULL: the system's */
};

/* Builds one segment from the waiting rows, adds it to loader->segments and forgets the rows. */
enum dp_status load_build(struct call *call, struct index_loader *loader);
/* Notes an object before it is written, so that an abort removes it. DP_NOMEM. */
enum dp_status load_note(struct call *call, struct index_loader *loader, const struct object_key *key);
/* What a failure to write an object means while no manifest lists it: whether it is there, and whether it stays, changes
 * nothing for anybody, so DP_NOT_DURABLE becomes DP_IO, and DP_UNKNOWN becomes DP_UNAVAILABLE. */
enum dp_status load_unlisted(struct call *call, enum dp_status status);
/* Removes what was written, unless a manifest that lists it may have been sent. Takes LOAD_CLEANUP_MS at most; what is
 * left then is garbage that nobody lists. */
enum { LOAD_CLEANUP_MS = 5000 };
void loader_remove_uncommitted(struct index_loader *loader);
/* Frees the loader alone; what it wrote stays. */
void loader_free(struct index_loader *loader);

/* Fails with DP_TOO_LARGE when the manifest has no room for another segment. */
enum dp_status load_check_room(const struct index_loader *loader, struct dp_error *error);
/* Fails with DP_UNSUPPORTED when the namespace has a log: rows that are loaded beside it have no place in its order. */
enum dp_status load_check_log(struct call *call, const struct index_loader *loader, const struct manifest *m);

/* Fails with DP_INVALID unless the load's vectors are of the kind that the namespace has. */
enum dp_status load_check_vectors(const struct index_loader *loader, const struct manifest *m,
                                  struct dp_error *error);

#endif
