/* index/fold/choose.h: chooses the segments that a merge makes into one.
 *
 * Segments lie in tiers by their live rows: below TIER_ROWS, below TIER_FACTOR times as many, and so on.
 * TIER_WIDTH segments of one tier become one segment of a higher tier, so a row is rewritten once in each tier,
 * and a namespace lists fewer than TIER_WIDTH segments of each tier. When a namespace comes to rest, all its
 * segments become one. If some are much larger than the others, only the small ones become one.
 *
 * A full segment (struct manifest_segment) takes no part, until half its rows are deleted: merged with others, its
 * rows would fill as many segments as before, and so on for ever. The limits in choose.c are estimates from the
 * manifest, and miss some of these cases: documents that compress well, and long ids.
 */
#ifndef INDEX_MERGE_CHOOSE_H
#define INDEX_MERGE_CHOOSE_H

#include "index/manifest/manifest.h"

enum {
    TIER_ROWS = 512,
    TIER_FACTOR = 8,
    TIER_WIDTH = 8,
    MERGE_LISTED_MAX = 24, /* beyond it, the smallest segments merge, whatever their tiers */
    MERGE_IDLE_LISTED = 3, /* segments that a namespace at rest may keep */
    MERGE_IDLE_ROWS = 256 * 1024,
    /* A namespace at rest becomes one segment if its largest segment has at most this many times the rows of all
     * others together. So a row is seldom rewritten. */
    MERGE_IDLE_PART = 16
};

/* How much a merge does. */
enum merge_effort {
    MERGE_DUE,  /* merges that the tiers ask for */
    MERGE_IDLE, /* of a namespace that rests: all but the largest segments, up to MERGE_IDLE_ROWS rows */
    MERGE_ALL   /* as many segments as fit, the smallest first */
};

/* Chooses segments of the manifest and puts their positions into chosen[segment_count], ascending. Returns how many; 0:
 * there is nothing to merge. The chosen rows fit one segment. */
size_t merge_choose(const struct manifest *m, enum merge_effort effort, size_t *chosen);

#endif
