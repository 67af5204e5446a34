/* index/wal/effects.h: what the writes of a group do, one after the other, to the rows of a view.
 *
 * Writes become the records of one log entry: whole rows and deleted ids. Patches and conditions see the row as the
 * earlier writes of the group and the earlier steps of the same write have left it. If none of these changed the row,
 * they see it as the view has it.
 *
 * A row that a filter has chosen for deletion is looked up again only if it may have changed since. The log since
 * then names the changed rows. But if a fold has moved a part of that log, or the log has attached a load, any row
 * may have changed.
 */
#ifndef INDEX_WAL_EFFECTS_H
#define INDEX_WAL_EFFECTS_H

#include "base/map.h"
#include "index/query/lookup.h"
#include "index/wal/member.h"

struct effects {
    struct view *view;
    struct view_position at;    /* the moment of the view over which the writes are judged */
    struct wal_record *records; /* [count], in the call's arena */
    size_t count, room;
    uint64_t bytes;          /* of the records, by wal_row_bytes() */
    struct map newest;       /* id key → position in `records` of its newest record by earlier members */
    struct map *own;         /* id key → position, for earlier steps of the present member; NULL: none */
    struct span *asked;      /* [asked_count], ascending: ids whose rows the view was asked for */
    struct found_row *found; /* [asked_count] */
    size_t asked_count;
    const struct key_set *folded; /* keys of writes that the view's base has */
    struct map keys;              /* id of a key → position in `records` of its record by an earlier member */
    int64_t now_ms;               /* by the store's clock */
    enum dp_status broken;        /* DP_OK, or a failure after which no member can be judged */
};

/* Looks up the rows that patches and conditions of the members need. `folded`: keys of the view's base, if a member
 * has a key. Fails as index_lookup() does. The caller deinits *out on any outcome. */
enum dp_status effects_begin(struct call *call, struct view *view, const struct key_set *folded,
                             const struct write_member *first, struct effects *out);
void effects_deinit(struct effects *effects);

/* Adds what a member does, and sets its status, error and result. Returns false if the entry has no room for it beside
 * the earlier members: then the member keeps no outcome. */
bool effects_add(struct call *call, struct effects *effects, struct write_member *member);

#endif
