/* index/query/column_read.h: reads the columns that a filter needs, and tells of each row of a segment whether it
 * matches. */
#ifndef INDEX_COLUMN_READ_H
#define INDEX_COLUMN_READ_H

#include "filter/column_match.h"
#include "index/query/live.h"

/* Receives what the columns tell about the rows of a page. */
typedef enum dp_status column_bits_fn(void *context, size_t segment, size_t page, const struct column_bits *bits);

/* Calls `take` for each page of the segments i with wanted[i] whose columns tell something about the filter, and
 * clears wanted[i]. Reads in rounds: in one, unless the columns have more bytes than a round may read. Fails with
 * DP_STALE when an object is gone, with DP_CORRUPT, with DP_NOMEM, or as `take` does. */
enum dp_status columns_match(struct call *call, const struct live_rows *live, const struct filter *filter,
                             bool *wanted, column_bits_fn *take, void *context);

#endif
