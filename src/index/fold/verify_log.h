/* index/fold/verify_log.h: verifies the log entries after wal_floor. */
#ifndef INDEX_FOLD_VERIFY_LOG_H
#define INDEX_FOLD_VERIFY_LOG_H

#include "index/fold/verify.h"

/* Verifies an entry that a listing has shown, and those before it that the listing has not shown. Entries come in
 * ascending order. Fails as index_verify() does. */
enum dp_status verify_log_entry(struct call *call, struct verification *v, uint64_t number);

#endif
