/* columns.c: opens the summary of columns, and verifies their pieces. */
#include "index/segment/columns.h"

_Static_assert((int)COLUMN_SUM == (int)FORMAT_CHECKSUM_LEN, "ACOL has a checksum behind each piece");

enum dp_status segment_open_columns(const struct segment_hot *hot, struct arena *arena, struct columns **out,
                                    struct dp_error *error)
{
    const struct segment_section *summary = segment_section(hot, SECTION_ATTRIBUTES),
                                 *pages = segment_section(hot, SECTION_COLUMNS);
    *out = NULL;
    if (!summary || !pages)
        return DP_OK;
    struct columns *columns = arena_calloc(arena, 1, sizeof *columns);
    if (!columns)
        return dp_fail_nomem(error, "columns");
    enum dp_status status = columns_parse(summary->bytes, hot->rows, arena, columns, error);
    if (status == DP_OK && columns->bytes != pages->len)
        return dp_fail(error, DP_CORRUPT, "its columns do not fit their summary");
    *out = status == DP_OK ? columns : NULL;
    return status;
}

enum dp_status segment_check_column(struct span read, uint64_t number, struct span *out, struct dp_error *error)
{
    struct cursor c = cursor_over(read);
    *out = cursor_bytes(&c, read.len > FORMAT_CHECKSUM_LEN ? read.len - FORMAT_CHECKSUM_LEN : 0);
    if (cursor_u64(&c) != segment_piece_checksum(*out, number) || c.failed)
        return dp_fail(error, DP_CORRUPT, "the checksum of a column does not fit");
    return DP_OK;
}
