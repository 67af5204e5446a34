/* index/wal/choose_rows.h: finds the rows that the filters of a write choose. */
#ifndef INDEX_CHOOSE_ROWS_H
#define INDEX_CHOOSE_ROWS_H

#include "index/query/view.h"
#include "index/wal/member.h"

/* Finds the rows of a prepared write's filters in a view, sets member->deletes, patches and chosen_at, and adds the
 * rows to member->queued. A row that both filters choose is deleted. Reads the documents of all rows. Fails with
 * DP_INVALID when more rows match than a write may change and the choice is not partial, or as live_rows_take() does
 * for too many rows; with DP_STALE when a listed object is missing. */
enum dp_status write_choose_rows(struct call *call, struct view *view, struct write_member *member);

#endif
