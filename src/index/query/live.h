/* index/query/live.h: all rows that a view has at one moment, and a walk over their documents.
 *
 * Nobody may hold the view's lock while it reads, so live_rows_take() copies which rows count. The copies are small,
 * because a walk is bounded: more than LIVE_ROWS_MAX rows, or more than LIVE_BYTES_MAX bytes of documents, are
 * refused.
 */
#ifndef INDEX_LIVE_H
#define INDEX_LIVE_H

#include "index/query/fetch.h"
#include "index/query/view.h"

#define LIVE_ROWS_MAX  ((uint64_t)1000 * 1000)
#define LIVE_BYTES_MAX ((uint64_t)256 << 20)

/* The rows of a view at one moment. They are valid as long as the view. */
struct live_rows {
    struct view *view;
    struct row_set *masks;          /* [segments of the base]: rows to skip; without bits: none */
    const struct wal_record **tail; /* [tail_count]: the rows of the tail */
    size_t tail_count;
    uint64_t rows;
};

/* One row. */
struct live_row {
    const struct wal_record *record; /* of a row of the tail; else NULL */
    struct fetch_place place;        /* of a row of a segment */
    struct span key, document;       /* of a segment's row: valid until the function that gets the row returns */
};

typedef enum dp_status live_row_fn(void *context, const struct live_row *row);

/* Copies which rows live. `documents`: a walk will follow, so their bytes are bounded, too. Fails with DP_INVALID, and
 * names the limit, when there are too many. The caller deinits *out, also after a failure. */
enum dp_status live_rows_take(struct call *call, struct view *view, bool documents, struct live_rows *out);
/* The same without a limit. */
enum dp_status live_rows_take_all(struct call *call, struct view *view, struct live_rows *out);
void live_rows_deinit(struct live_rows *live);

/* Returns whether a row of a segment lives. */
static inline bool live_rows_have(const struct live_rows *live, size_t segment, uint64_t row)
{
    return !live->masks[segment].bits || !row_set_has(&live->masks[segment], row);
}

/* Calls fn for each row, first those of the segments by segment and row number, then those of the tail, until it fails.
 * Reads documents in rounds. Fails with DP_STALE when an object is gone, or with DP_CORRUPT. */
enum dp_status live_rows_walk(struct call *call, const struct live_rows *live, live_row_fn *fn, void *context);
/* Calls fn for each row of the tail. */
enum dp_status live_rows_walk_tail(const struct live_rows *live, live_row_fn *fn, void *context);
/* live_rows_walk() for segments i with wanted[i], and without the tail. */
enum dp_status live_rows_walk_some(struct call *call, const struct live_rows *live, const bool *wanted,
                                   live_row_fn *fn, void *context);
/* Fails with DP_INVALID, and names the limit, if a walk over `rows` rows with `bytes` bytes of documents is too long. */
enum dp_status live_rows_check(struct call *call, uint64_t rows, uint64_t bytes);

#endif
