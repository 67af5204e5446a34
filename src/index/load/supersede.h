/* index/load/supersede.h: finds the rows of an older segment that a load replaces. */
#ifndef INDEX_SUPERSEDE_H
#define INDEX_SUPERSEDE_H

#include "index/segment/deleted.h"
#include "index/segment/segment.h"

/* A segment and the namespace that lists it. */
struct segment_place {
    struct store *store;
    struct span name;
    const struct manifest *manifest;
    const struct manifest_segment *listed; /* a segment of the manifest, or one that will be listed */
};

/* Initialises *rows with the rows whose id keys are among keys[n], which must be sorted. Reads the segment's hot
 * part, then only those id blocks that its filter cannot rule out. */
enum dp_status supersede_find(struct call *call, const struct segment_place *place, const struct span *keys,
                              size_t n, struct row_set *rows);

/* Initialises *rows with the rows that the segment's .del object lists, or with no row if there is no such
 * object. */
enum dp_status supersede_read_deleted(struct call *call, const struct segment_place *place, struct row_set *rows);

#endif
