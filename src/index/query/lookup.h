/* index/query/lookup.h: finds the newest version of given rows in a view. */
#ifndef INDEX_LOOKUP_H
#define INDEX_LOOKUP_H

#include "index/query/view.h"

/* What a lookup reads of the rows that it finds. */
enum lookup_parts { LOOKUP_PLACES, LOOKUP_DOCUMENTS, LOOKUP_WHOLE }; /* whole: documents and vectors */

/* The newest version of a row. Its bytes are valid as long as the view and the call's arena. */
struct found_row {
    enum row_place {
        ROW_NONE,
        ROW_TAIL,
        ROW_SEGMENT
    } where;               /* ROW_NONE: there is no such row, or it is deleted */
    uint32_t segment, row; /* ROW_SEGMENT: position of the segment in the view's base, and row number */
    struct span document;  /* unless LOOKUP_PLACES: the attributes of the row */
    const float *vectors;  /* LOOKUP_WHOLE: float[windows][dim]; NULL: it has none */
    uint32_t windows;
};

/* Finds the rows with the id keys keys[count], which must be ascending and all different: out[i] is the row of
 * keys[i]. All rows are as they were at one moment, *at. Reads id blocks, those of all segments in one round; then
 * documents and vectors, in another. Fails with DP_STALE when a listed object is missing: then the view is old. */
enum dp_status index_lookup(struct call *call, struct view *view, const struct span *keys, size_t count,
                            enum lookup_parts parts, struct found_row *out, struct view_position *at);

#endif
