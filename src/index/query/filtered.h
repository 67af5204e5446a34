/* index/query/filtered.h: plans a query by distance over the rows that a filter lets pass. */
#ifndef INDEX_FILTERED_H
#define INDEX_FILTERED_H

#include "index/query/filter_bits.h"
#include "index/query/query.h"

/* Chooses how to find the nearest of the rows run->allowed, and sets run->probes for INDEX_RULE_LISTS. `exact`: the
 * answer must be exact. */
enum dp_status filtered_plan(struct query_run *run, bool exact, struct index_plan *out);

/* The rows of a view that match, found while the store was asked whether the view is current. */
struct filtered_rows {
    struct view *view;
    bool found;              /* whether live and bits are there */
    struct view_position at; /* of the view when the rows were taken */
    struct live_rows live;
    struct filter_bits bits;
};
/* Gives the newest view like view_refresh(). Beside it, in the same rounds, finds the rows of `view` that match. The
 * caller deinits *out, also after a failure. */
enum dp_status filtered_refresh(struct call *call, struct index_reader *reader, struct view *view,
                                const struct index_scan *scan, struct view **next, struct filtered_rows *out);
/* Moves the rows to *live and *bits if they are those of `view` as it is now. Returns whether they are. */
bool filtered_take(struct filtered_rows *rows, struct view *view, struct live_rows *live,
                   struct filter_bits *bits);
void filtered_rows_deinit(struct filtered_rows *rows);

#endif
