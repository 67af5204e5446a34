/* index/fold/fold_keys.h: moves keys of writes from the log into the namespace's .keys object (wal/write_key.h). */
#ifndef INDEX_FOLD_KEYS_H
#define INDEX_FOLD_KEYS_H

#include "index/load/object_log.h"
#include "index/query/reader.h"

/* Takes the keys of the tail's entries up to number `last`. The caller holds the tail's lock, and deinits *out. */
enum dp_status fold_keys_take(const struct tail *tail, uint64_t last, struct key_set *out, struct dp_error *error);
/* Writes an object with these keys and those of the view's base, and notes it in the log. `moved` then holds all of
 * them, settled. Fails with DP_STALE or DP_CORRUPT when the base's object is gone or damaged. */
enum dp_status fold_keys_write(struct call *call, const struct index_reader *reader, const struct view *view,
                               struct object_log *log, struct key_set *moved, struct manifest_keys *out);
/* Puts the object into a manifest whose wal_floor the fold raises. The object also has the keys of each fold
 * that ran between this fold's view and that manifest. Fails with DP_CONFLICT when the horizon has passed the
 * object. */
enum dp_status fold_keys_list(struct call *call, const struct manifest_keys *made, struct manifest *m);

#endif
