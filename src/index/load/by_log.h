/* index/load/by_log.h: makes a load visible in a namespace that has a log (rule L7 of docs/internals/wal.md).
 *
 * A swap lists the load's segments as pending; then a log entry attaches the load, and its number is the load's place
 * in the order of writes. The loader then folds the log, so that readers soon find the segments listed.
 */
#ifndef INDEX_BY_LOG_H
#define INDEX_BY_LOG_H

#include "index/load/load.h"
#include "index/load/row_change.h"

/* Adds the load to the pending loads of *m, for manifest_edit.apply. The first call makes the ULID *load. */
enum dp_status by_log_add_pending(struct call *call, struct index_loader *l, const struct row_change *change,
                                  struct ulid *load, struct manifest *m);
/* Attaches the pending load, and folds the log. Fails as index_load_commit() does. After a failure that leaves no
 * doubt, the load is void. */
enum dp_status by_log_attach(struct call *call, struct index_loader *l, const struct ulid *load,
                             struct index_load_summary *summary);

#endif
