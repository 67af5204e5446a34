/* index/query/filter_bits.h: the rows that match a filter, as one set of bits for each segment.
 *
 * A query with a filter first makes these sets, and then ranks the rows that are in them:
 *
 *       struct live_rows live;
 *       struct filter_bits bits;
 *       status = live_rows_take_all(call, view, &live);       which rows count at this moment
 *       status = filter_bits_make(call, &live, scan, &bits);
 *       … filter_bits_has(&bits, segment, row) …              only rows that live and match
 *       filter_bits_deinit(&bits);
 *       live_rows_deinit(&live);
 *
 * The sets are exact: a row is in its set if it lives and filter_match() is true for it.
 */
#ifndef INDEX_FILTER_BITS_H
#define INDEX_FILTER_BITS_H

#include "index/index.h"
#include "index/query/live.h"
#include "vector/id_filter.h"

/* The rows that match. It is valid as long as the view. One owner thread; others may read it. */
struct filter_bits {
    size_t segment_count; /* segments of the view's base */
    /* [segment_count]: row r is bit r % 64 of word r / 64. NULL: no row of the segment matches. */
    uint64_t **segments;
    uint64_t *matches;              /* [segment_count]: rows of each segment that match */
    const struct wal_record **tail; /* [tail_count]: rows of the tail that match, in the order of live_rows.tail */
    size_t tail_count;
    uint64_t total; /* all rows that match */
};

/* Finds the rows of `live` that match: those for which scan->match is true; all, if it is NULL. Fails with
 * DP_INVALID, and names the limit, if it would have to read too many documents; with DP_STALE when an object is gone;
 * with DP_CORRUPT. The caller deinits *out, also after a failure. */
enum dp_status filter_bits_make(struct call *call, const struct live_rows *live, const struct index_scan *scan,
                                struct filter_bits *out);
void filter_bits_deinit(struct filter_bits *bits);

/* Calls fn for each row of `live` that may match, first those of the segments by segment and row number, then those
 * of the tail, as live_rows_walk() does. The columns tell which rows cannot match; so `fn` still has to ask
 * scan->match. Without scan->filter, calls fn for all rows. Fails as live_rows_walk() does. */
enum dp_status filter_walk_rows(struct call *call, const struct live_rows *live, const struct index_scan *scan,
                                live_row_fn *fn, void *context);

/* Returns whether a row of a segment lives and matches. */
static inline bool filter_bits_has(const struct filter_bits *bits, size_t segment, uint64_t row)
{
    const uint64_t *words = bits->segments[segment];
    return words && (words[row / 64] >> (row % 64) & 1) != 0;
}

/* Returns a set of the matches of a segment with `rows` rows, of which the first has id 0; it belongs to `bits`. */
static inline struct id_set filter_bits_ids(const struct filter_bits *bits, size_t segment, uint64_t rows)
{
    const uint64_t *words = bits->segments[segment];
    return id_set_of_bits(span_of(words, words ? (size_t)(rows / 64 + 1) * sizeof *words : 0));
}

/* Returns how many of the rows [first, first + count) of a segment match. */
uint64_t filter_bits_count(const struct filter_bits *bits, size_t segment, uint64_t first, uint64_t count);
/* Sets *row to the first match of a segment from row *row on. Returns false if there is none. `rows`: of the segment. */
bool filter_bits_next(const struct filter_bits *bits, size_t segment, uint64_t rows, uint64_t *row);

#endif
