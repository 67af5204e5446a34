/* index/copy.h: makes a namespace out of another one, with separate objects. */
#ifndef INDEX_COPY_H
#define INDEX_COPY_H

#include "index/index.h"

/* Makes the namespace `name` of the store `to` as a copy of `source` of the store `from`: its rows as they are at
 * one moment, its schema and whether it is read-only. The two have nothing in common afterwards, so the source
 * needs no pin, and `from` may be a read-only store. `team` may be NULL.
 *
 *   DP_NOT_FOUND    there is no source
 *   DP_EXISTS       there is a namespace `name`
 *   DP_CONFLICT     during each try, others merged the source's segments or made the name
 *   others          as index_load_commit() */
enum dp_status index_copy(struct call *call, struct store *from, struct span source, struct store *to,
                          struct span name, struct team *team, struct index_load_summary *summary);

#endif
