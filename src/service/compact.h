/* service/compact.h: folds, merges and tidies one namespace when a caller asks for it, on the caller's thread.
 *
 * A server does this in the background (service/upkeep.h). This file is for processes without a server.
 */
#ifndef SERVICE_COMPACT_H
#define SERVICE_COMPACT_H

#include "index/upkeep.h"
#include "service/service.h"

struct compact_options {
    /* Does only what is due by the measures of service/upkeep.h, and asks the store nothing to find that out. False:
     * folds the whole log, gives older namespaces full-text search, and merges into as few segments as possible. */
    bool when_due;
    unsigned times; /* with when_due: folds only a log of this many times the due size; 0: 1 */
    bool fold_only; /* neither merges nor collects */
    /* Remembers the garbage between two calls. If *collector is NULL, the call makes a collector. NULL: the call
     * does not collect. */
    struct index_collector **collector;
};

struct compact_result {
    uint64_t entries; /* log entries that went into segments */
    uint64_t inputs;  /* segments that merges replaced */
    uint64_t removed; /* log entries and objects that were removed */
    uint64_t waiting; /* objects that a later call may remove */
    bool declared;    /* the attribute "text" has full-text search now (service/full_text.h) */
};

/* Fails as index_fold, index_merge and index_collect do, after which *result says what was done before. DP_NOT_FOUND:
 * no such namespace. DP_DENIED: the call's gate refuses it. */
enum dp_status service_compact(struct call *call, struct service *service, struct span namespace,
                               const struct compact_options *options, struct compact_result *result);

#endif
