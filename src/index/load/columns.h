/* index/load/columns.h: writes the columns of a segment's attributes: ACOL and ASUM (filter/column.h). */
#ifndef INDEX_LOAD_COLUMNS_H
#define INDEX_LOAD_COLUMNS_H

#include "index/load/build.h"

/* Returns whether a segment gets a column of this attribute, as long as it has room. */
bool load_makes_column(const struct attribute *attribute);
/* Writes a column for each attribute of loader->indexed that filters may use. If the hot part has no room for the
 * summary of all, the last attributes get none; if it has room for none, ASUM says only that. */
enum dp_status load_write_columns(struct call *call, const struct segment_build *b, struct segment_writer *w);

#endif
