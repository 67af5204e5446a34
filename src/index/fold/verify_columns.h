/* verify_columns.h: verifies the columns of a segment, and compares them with the documents. */
#ifndef INDEX_FOLD_VERIFY_COLUMNS_H
#define INDEX_FOLD_VERIFY_COLUMNS_H

#include "filter/column_check.h"
#include "index/segment/columns.h"
#include "index/round.h"

/* The verification of one segment's columns: columns_check_begin(), columns_check_row() for each row of the segment
 * in order, columns_check_end(), columns_check_deinit(). */
struct columns_check {
    struct columns *columns;     /* NULL: the segment has none */
    struct column_check *checks; /* [columns->count]: of those that have pages */
    struct span *values;         /* [columns->count]: of the present row */
    const struct segment_hot *hot;
    struct span key; /* of the .dpr */
    struct round round;
    struct arena arena;
};

/* Opens the summary and reads the dictionaries. `hot` and `key` must live as long as the check. Fails with DP_CORRUPT
 * or DP_NOMEM, or as store_read() does. */
enum dp_status columns_check_begin(struct call *call, struct columns_check *check, struct store *store,
                                   const struct segment_hot *hot, struct span key);
/* Compares the columns with a row's document. Fails with DP_CORRUPT if they say something else. */
enum dp_status columns_check_row(struct call *call, struct columns_check *check, uint32_t row,
                                 struct span document);
enum dp_status columns_check_end(struct call *call, const struct columns_check *check);
void columns_check_deinit(struct columns_check *check); /* a check that has not begun is fine */

#endif
