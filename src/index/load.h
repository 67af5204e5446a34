/* index/load.h: the state of a load, shared by load.c (rows come in), build.c (a segment goes out) and commit.c. */
#ifndef INDEX_LOAD_H
#define INDEX_LOAD_H

#include "base/map.h"
#include "index/manifest.h"
#include "index/spill.h"

/* A row that waits for its segment. */
struct load_row {
    uint64_t vector;   /* number of its first vector */
    uint64_t document; /* where its attributes begin */
    uint32_t windows;
    uint32_t document_len;
};

/* An object that was written and is not listed yet. */
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
    uint64_t bytes_written;
    uint64_t windows; /* vectors beyond one a row, of the whole load */
    bool broken;      /* a row came in by half: nothing may be committed */
};

/* Builds one segment from the waiting rows, adds it to loader->segments and forgets the rows. */
enum dp_status load_build(struct call *call, struct index_loader *loader);
/* Notes an object before it is written, so that an abort removes it. DP_NOMEM. */
enum dp_status load_note(struct call *call, struct index_loader *loader, const struct object_key *key);

/* Fails with DP_INVALID unless the load's vectors are of the kind that the namespace has. */
enum dp_status load_check_vectors(const struct index_loader *loader, const struct manifest *m,
                                  struct dp_error *error);

#endif
