/* index/load/object_log.h: lists the objects that a load has written, and removes them if the load fails.
 *
 * The load notes each object before it writes the object. After the load has sent a manifest that lists some of
 * its objects, the log removes nothing, because the store may still carry out that put. One owner thread.
 */
#ifndef INDEX_OBJECT_LOG_H
#define INDEX_OBJECT_LOG_H

#include "index/object_name.h"

enum { OBJECT_LOG_REMOVE_MS = 5000 };

struct logged_object {
    struct object_key key;
    struct logged_object *before; /* the entry noted before this one, or NULL */
};

/* The objects of a load. With an arena and zeros in all other fields, the log is empty. */
struct object_log {
    struct arena *arena; /* holds the entries; it belongs to the log's owner */
    struct logged_object *latest;
    uint64_t bytes; /* bytes that the load has written; the log's owner counts them */
    bool sent;      /* the load has sent a manifest that lists some of the objects */
};

/* Notes an object that the load is about to write. DP_NOMEM. */
enum dp_status object_log_note(struct call *call, struct object_log *log, const struct object_key *key);
/* Removes the objects, unless `sent` is set. Takes at most OBJECT_LOG_REMOVE_MS. Any object left after that time
 * is garbage that no manifest lists. */
void object_log_remove(const struct object_log *log, struct store *store);

/* Returns the status to report after a failure to write an object that no manifest lists yet. Nobody can see
 * whether that object exists, so DP_NOT_DURABLE becomes DP_IO, and DP_UNKNOWN becomes DP_UNAVAILABLE. */
enum dp_status object_log_status(struct call *call, enum dp_status status);

#endif
