/* index/wal/tail.h: the log entries that no segment holds yet, in memory.
 *
 * A tail keeps the entries after wal_floor in order, and knows the newest state of each id that they name. It only
 * grows; after a fold, tail_keep_after() makes the tail of the entries that are left. Its owner guards it by a lock.
 */
#ifndef INDEX_WAL_TAIL_H
#define INDEX_WAL_TAIL_H

#include "base/map.h"
#include "index/wal/entry.h"

enum { TAIL_ROWS_MAX = 64 * 1024 * 1024 };

/* A row or a deleted id of an entry. */
struct tail_row {
    const struct wal_record *record; /* WAL_ROW or WAL_DELETED */
    uint64_t entry;                  /* number of its entry */
    bool superseded;                 /* a later record, or a load that came later, has the same id */
};

struct tail {
    struct wal_entry **entries; /* [entry_count], ascending by number, without a gap */
    size_t entry_count, entry_room;
    struct tail_row *rows; /* [row_count], in the order of the log */
    size_t row_count, row_room;
    struct map newest; /* id key → position in `rows` of its newest row */
    struct map keys;   /* id of a key of a write → its record, as a pointer */
    uint64_t live;     /* rows that are neither superseded nor deleted */
    uint64_t bytes;    /* bytes of all entries */
};

void tail_init(struct tail *tail);
void tail_deinit(struct tail *tail);

/* Appends an entry and retains it. Its number must follow that of the last one. Fails with DP_NOMEM, or with
 * DP_TOO_LARGE for more than TAIL_ROWS_MAX rows; then the tail does not change. */
enum dp_status tail_append(struct tail *tail, struct wal_entry *entry, struct dp_error *error);
/* Returns the newest row of an id key, which may say that it is deleted. NULL: no entry names the id, or a load has
 * brought it since. */
const struct tail_row *tail_find(const struct tail *tail, struct span key);
/* Notes that a load brings the id of rows[row], which is the newest one of its id. */
void tail_supersede(struct tail *tail, size_t row);
/* Returns the newest record WAL_KEY with this id, or NULL. */
const struct wal_record *tail_find_key(const struct tail *tail, struct span id);
/* Initialises *out with the entries of `from` after number `floor`. Fails as tail_append does; then there is nothing
 * to free. */
enum dp_status tail_keep_after(const struct tail *from, uint64_t floor, struct tail *out, struct dp_error *error);

static inline bool tail_row_is_live(const struct tail_row *row)
{
    return !row->superseded && row->record->kind == WAL_ROW;
}

#endif
