/* index/query/view.h: a namespace at its newest validated log entry: a snapshot, and the log behind it.
 *
 * The snapshot is the base: the segments that one manifest lists. The tail holds the log entries after the
 * manifest's wal_floor. A row of a segment that a tail entry replaces or deletes is masked. A view grows entry by
 * entry (view_apply); over another manifest there is another view (index/query/follow.h).
 *
 * The base also has the segments of pending loads. All their rows are masked until the tail has the load's "attach"
 * entry, which unmasks them and masks the rows that they replace (index/query/attach.h).
 *
 * Any thread may use a view. The lock is a leaf: no holder waits for the store. A holder for reading sees
 * the tail and the masks at one entry, view_position.last. Log entries and segments never change, so a pointer
 * to a record or a segment is good as long as the view is.
 */
#ifndef INDEX_VIEW_H
#define INDEX_VIEW_H

#include <pthread.h>

#include "index/query/snapshot.h"
#include "index/wal/tail.h"

struct index_reader;

/* The newest log entry of a view. */
struct view_position {
    uint64_t last;  /* the entry's number; wal_floor when the tail is empty */
    uint64_t chain; /* the entry's hash, which the next entry carries */
};

/* What the log says about a pending load; its first entry about the load counts. */
enum load_fate { LOAD_OPEN, LOAD_ATTACHED, LOAD_VOID };

struct view {
    _Atomic unsigned references;
    const struct index_reader *reader; /* outlives the view */
    struct snapshot *base;
    _Atomic uint64_t last; /* locked.at.last, for those who do not wait for the lock */
    _Atomic bool busy;     /* the latest question found log entries, so the next one asks for several */
    struct {
        pthread_mutex_t lock;
        pthread_cond_t ended;
        bool taken; /* a thread settles the view: settle.h */
    } turn;
    struct {
        pthread_rwlock_t lock;
        struct view_position at;
        struct tail tail;
        struct row_set **masks; /* [base->manifest.segment_count]: rows to skip; NULL: those of the base */
        enum load_fate *fates;  /* [base->load_count] */
        size_t attached;        /* number of loads that are attached */
        bool unsettled;         /* masks may lack rows that the tail replaces: see settle.h */
    } locked;
};

/* Numbers of a view at one moment. */
struct view_counts {
    struct view_position at;
    uint64_t rows;                    /* rows of the namespace */
    uint64_t tail_rows, tail_entries; /* rows and deletions in the tail; its entries */
    uint64_t tail_bytes;
};

/* Makes a view of the base, whose tail is empty. Takes over `base`, also on failure. */
enum dp_status view_new(struct call *call, const struct index_reader *reader, struct snapshot *base,
                        struct view **out);
struct view *view_retain(struct view *view);
void view_release(struct view *view); /* NULL is fine */

/* Locks the tail and the masks for reading. */
void view_lock(struct view *view);
void view_unlock(struct view *view);
/* Returns the rows of segment i that are deleted or replaced; NULL: there are none. The caller holds the lock, and has
 * settled the view. */
const struct row_set *view_mask(const struct view *view, size_t i);

/* Returns whether all rows of segment i are masked, since its load is not attached. The caller holds the lock. */
bool view_hides(const struct view *view, size_t i);
/* Returns whether segment i of the base is of a load that these fates do not attach. */
bool fates_hide(const struct snapshot *base, const enum load_fate *fates, size_t i);
/* Makes a mask with the rows of segment i that the base has as deleted. */
enum dp_status view_make_mask(struct call *call, const struct view *view, size_t i, struct row_set **out);
void view_free_mask(struct row_set *mask); /* NULL is fine */

struct view_position view_position(struct view *view);
struct view_counts view_counts(struct view *view);

/* Appends entries[count], whose numbers follow each other, and masks the rows that they replace. Looks up the ids in
 * the segments before it takes the lock. Skips entries that the view has. Fails with DP_STALE when an entry does not
 * follow the view's last one or does not fit its manifest: then the manifest is old, or the log is damaged. After a
 * failure the view has a part of the entries, each of them whole. */
enum dp_status view_apply_all(struct call *call, struct view *view, struct wal_entry *const *entries,
                              size_t count);
/* Fails with DP_STALE when the view's manifest does not know what the entry needs. */
enum dp_status view_check_entry(struct call *call, const struct view *view, const struct wal_entry *entry);
/* Appends an entry, and masks nothing. Does nothing if the view has it. Fails as view_apply_all() does. The caller
 * holds the lock for writing. */
enum dp_status view_append(struct call *call, struct view *view, struct wal_entry *entry);
/* Appends one entry. */
enum dp_status view_apply(struct call *call, struct view *view, struct wal_entry *entry);
/* Returns the number of the first log entry that a view over the manifest `to` lacks when it inherits from `from`. */
uint64_t view_next_after(struct view *from, const struct manifest *to);
/* Gives a new view the tail and the masks of the older view `from`, as far as they hold over its manifest. Then the
 * new view's position is that of `from`, or its own floor if nothing holds. Looks up the tail's ids in segments that
 * `from` does not have. */
enum dp_status view_inherit(struct call *call, struct view *view, struct view *from);

#endif
