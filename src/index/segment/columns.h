/* index/segment/columns.h: the columns of a segment's attributes: ASUM is their summary, and ACOL has dictionaries
 * and pages (filter/column.h), behind each of which is the segment_piece_checksum() of its bytes.
 */
#ifndef INDEX_SEGMENT_COLUMNS_H
#define INDEX_SEGMENT_COLUMNS_H

#include "filter/column.h"
#include "index/segment/segment.h"

/* Returns the number of a dictionary or a page, for its checksum. `column`: position in columns.columns. */
static inline uint64_t columns_dictionary_number(size_t column)
{
    return (uint64_t)column << 32;
}
static inline uint64_t columns_page_number(size_t column, size_t page)
{
    return columns_dictionary_number(column) + page + 1;
}

/* Parses the summary of a segment that has one into `arena`; else *out is NULL. Fails with DP_CORRUPT or DP_NOMEM. */
enum dp_status segment_open_columns(const struct segment_hot *hot, struct arena *arena, struct columns **out,
                                    struct dp_error *error);
/* Verifies `read`, a piece and its checksum, and gives the piece. Fails with DP_CORRUPT. */
enum dp_status segment_check_column(struct span read, uint64_t number, struct span *out, struct dp_error *error);

#endif
