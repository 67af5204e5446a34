/* filter/column_check.h: compares a column with the documents of its rows, one row after another. */
#ifndef FILTER_COLUMN_CHECK_H
#define FILTER_COLUMN_CHECK_H

#include "base/map.h"
#include "filter/column.h"

/* The comparison of one column. One owner thread. */
struct column_check {
    const struct attribute_column *column; /* the column and its dictionary must outlive this struct */
    struct span *entries;                  /* [column->entries] */
    struct map codes;                      /* of the entries */
    struct column_page page;
    size_t page_number, row, key; /* the present page; the next row of it, and its first key */
    uint64_t nulls, odd;          /* rows so far */
    struct buffer unescaped;
};

/* Begins. Fails with DP_CORRUPT if the dictionary is malformed, or with DP_NOMEM. The caller deinits, also after a
 * failure. */
enum dp_status column_check_init(struct column_check *check, const struct attribute_column *column,
                                 struct span dictionary, struct dp_error *error);
void column_check_deinit(struct column_check *check);
/* Takes the next page, of `rows` rows. Fails with DP_CORRUPT or DP_NOMEM. */
enum dp_status column_check_page(struct column_check *check, struct span bytes, size_t rows,
                                 struct dp_error *error);
/* Compares the next row of the page. `value`: its JSON; empty: none. Returns false if the column says something else. */
bool column_check_row(struct column_check *check, struct span value);
/* Returns whether the summary counts the rows that came. */
static inline bool column_check_end(const struct column_check *check)
{
    return check->nulls == check->column->nulls && check->odd == check->column->odd;
}

#endif
