/* fold/unindexed.h: finds segments whose text index is not the one that a merge would write now, or that have no
 * columns. */
#ifndef INDEX_FOLD_UNINDEXED_H
#define INDEX_FOLD_UNINDEXED_H

#include "index/manifest/manifest.h"
#include "store/store.h"

/* Sets *position to that of the first segment in the manifest that lacks a column of its text index: an attribute has
 * got full-text search, or other settings, since the segment was written; or that has no columns (filter/column.h).
 * *found: there is one. A segment without room for them does not count. Reads the hot parts of the segments if an
 * attribute has full-text search or gets a column. Fails as row_scan_open() does. */
enum dp_status find_unindexed(struct call *call, struct store *store, struct span name, const struct manifest *m,
                              size_t *position, bool *found);

#endif
