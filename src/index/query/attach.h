/* index/query/attach.h: makes a pending load count in a view, when the log attaches it.
 *
 * The load's rows replace all earlier ones that have their ids, in the tail and in the segments that count. The ids
 * of the load are read from its segments, in rounds, and looked up in the others. This happens before the view's
 * lock is taken. Readers need it between the "attach" entry and the fold that passes it: seconds, as a rule.
 */
#ifndef INDEX_ATTACH_H
#define INDEX_ATTACH_H

#include "index/query/view.h"

/* What an entry about a load changes in a view. It has one owner thread. */
struct attachment {
    struct call *call;
    struct view *view;
    enum load_fate fate; /* LOAD_OPEN: the entry changes nothing */
    size_t load;         /* position in the base's loads */
    struct row_set *
        *fresh;   /* [segments of the base]: rows that the load replaces, and those deleted before; NULL: none */
    size_t *rows; /* [row_count]: positions of the tail's rows that the load replaces */
    size_t row_count, row_room;
};

/* Finds out what the entry changes in the view, which has the entries before it. Fails with DP_STALE when the
 * entry attaches a load that the view's manifest does not have, or an object is missing. If the view gets the
 * entry meanwhile, the result means nothing. After DP_OK the caller deinits *out. */
enum dp_status attachment_prepare(struct call *call, struct view *view, const struct wal_entry *entry,
                                  struct attachment *out);
/* Makes the change. The caller holds the lock for writing, and has just appended the entry. */
void attachment_apply(struct attachment *a);
void attachment_deinit(struct attachment *a);

#endif
