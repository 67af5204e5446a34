/* index/load/load.h: the state of a load, by which rows come into a namespace.
 *
 * load.c begins and ends it, rows.c takes rows in, build.c makes a segment of them, commit.c makes the segments
 * visible.
 */
#ifndef INDEX_LOAD_H
#define INDEX_LOAD_H

#include "base/map.h"
#include "index/load/object_log.h"
#include "index/load/spill.h"
#include "index/load/target.h"
#include "index/manifest/swap.h"

struct waiting_row {
    uint64_t vector;   /* number of its first vector */
    uint64_t document; /* where its attributes begin */
    uint32_t windows;
    uint32_t document_len;
};

/* Rows that wait for a segment. */
struct waiting_rows {
    struct waiting_row *rows; /* [count]; their keys are the last of the loader's */
    size_t count, room;
    uint64_t vector_count;
    uint64_t window_rows;   /* rows with more than one vector */
    struct spill vectors;   /* float[vector_count][dim] */
    struct spill documents; /* attributes, one after another */
};

/* One owner thread. */
struct index_loader {
    struct store *store;
    struct team *team;    /* or NULL */
    struct arena arena;   /* names, ids and the log's entries: until the end */
    struct arena scratch; /* of one row */
    struct load_target target;
    struct schema schema; /* of this load's rows */
    struct object_log log;

    struct map seen;   /* keys of all rows */
    struct span *keys; /* [key_count]: those keys in order of arrival */
    size_t key_count, key_room;
    uint64_t windows; /* vectors beyond one for each row, of the whole load */
    float *scaled;    /* float[dim]: scratch of one vector */
    bool broken;      /* half of a row came in: nothing may be committed */

    struct waiting_rows waiting;
    size_t segment_rows;               /* a segment with so many is full */
    struct manifest_segment *segments; /* built, not committed */
    size_t segment_count, segment_room;

    struct ulid writer;             /* names the swap that commits */
    const struct swap_clock *clock; /* NULL: the system's */
};

/* Builds one segment from the waiting rows, adds it to loader->segments and forgets the rows. */
enum dp_status load_build_segment(struct call *call, struct index_loader *loader);
/* Frees the loader; the objects that it wrote stay. */
void loader_free(struct index_loader *loader);

#endif
