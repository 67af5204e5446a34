/* index/load/object_log.h: lists the objects that a load has written, and removes them if the load is given up.
 *
 * The load notes each object before it writes it. After the load has sent a manifest that lists some of them, the log
 * removes nothing: the store may still carry out that put. One owner thread.
 */
#ifndef INDEX_OBJECT_LOG_H
#define INDEX_OBJECT_LOG_H

#include "index/object_name.h"

enum { OBJECT_LOG_REMOVE_MS = 5000 };

struct logged_object {
    struct object_key key;
    struct logged_object *before;
};

/* Zeros, and an arena: empty. */
struct object_log {
    struct arena *arena; /* holds the entries; the owner's */
    struct logged_object *latest;
    uint64_t bytes; /* written; its owner counts them */
    bool sent;      /* a manifest that lists some of them was sent */
};

/* DP_NOMEM. */
enum dp_status object_log_note(struct call *call, struct object_log *log, const struct object_key *key);
/* Removes the objects unless such a manifest was sent. Takes OBJECT_LOG_REMOVE_MS at most; objects that are left then
 * are garbage that no manifest lists. */
void object_log_remove(const struct object_log *log, struct store *store);

/* The status of a failure to write an object that no manifest lists yet. Nobody can see whether that object exists, so
 * DP_NOT_DURABLE becomes DP_IO, and DP_UNKNOWN becomes DP_UNAVAILABLE. */
enum dp_status object_log_status(struct call *call, enum dp_status status);

#endif
