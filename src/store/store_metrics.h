/* store/store_metrics.h: counts the operations on a store of any kind. */
#ifndef STORE_STORE_METRICS_H
#define STORE_STORE_METRICS_H

#include "base/metrics.h"
#include "store/store.h"

enum store_operation {
    STORE_OP_READ, /* a read batch */
    STORE_OP_HEAD,
    STORE_OP_PUT,
    STORE_OP_LIST,
    STORE_OP_REMOVE,
    STORE_OP_UPLOAD, /* the finish of an upload; each write counts its bytes earlier */
    STORE_OPS
};

enum { STORE_OUTCOMES = 3 };

struct store_metrics {
    struct metric *done[STORE_OPS][STORE_OUTCOMES], *seconds[STORE_OPS], *bytes[STORE_OPS];
};

/* Adds dipper_store_operation* to a registry that lives longer than the store's last call. Also adds the metrics
 * of the kind of store: dipper_store_http_* for a remote store, dipper_store_cache_* for a cache store. Call it
 * while the program starts, before the first operation. */
enum dp_status store_add_metrics(struct store *store, struct metric_registry *registry, struct dp_error *error);

/* Counts an operation that took `ns` nanoseconds and moved `bytes`. Does nothing if `m` is NULL. Wait-free. */
void store_metrics_count(struct store_metrics *m, enum store_operation operation, enum dp_status status,
                         int64_t ns, uint64_t bytes);
void store_metrics_bytes(struct store_metrics *m, enum store_operation operation, uint64_t bytes);

#endif
