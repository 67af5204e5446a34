/* store_metrics.c: counts operations on a store by kind and outcome. A missing, existing or changed object is an
 * answer, not an error: it counts as "refused", as does an invalid argument. */
#include "store/store_metrics.h"

#include "base/alloc.h"

static const char *const OPERATIONS[STORE_OPS] = {"read", "head", "put", "list", "remove", "upload"};
static const char *const OUTCOMES[STORE_OUTCOMES] = {"ok", "refused", "error"};

static size_t outcome_of(enum dp_status status)
{
    switch (status) {
    case DP_OK: return 0;
    case DP_NOT_FOUND:
    case DP_EXISTS:
    case DP_CONFLICT:
    case DP_STALE:
    case DP_INVALID: return 1;
    default: return 2;
    }
}

static bool add_all(struct store_metrics *m, struct metric_registry *r)
{
    bool good = true;
    for (size_t o = 0; good && o < STORE_OPS; o++)
        for (size_t i = 0; good && i < STORE_OUTCOMES; i++) {
            char labels[METRIC_LABELS_MAX] = "";
            metric_add_label(labels, "operation", span_str(OPERATIONS[o]));
            metric_add_label(labels, "status", span_str(OUTCOMES[i]));
            m->done[o][i] = metric_counter(r, "dipper_store_operations_total", labels, "Operations on the store.");
            good = m->done[o][i] != NULL;
        }
    for (size_t o = 0; good && o < STORE_OPS; o++) {
        char labels[METRIC_LABELS_MAX] = "";
        metric_add_label(labels, "operation", span_str(OPERATIONS[o]));
        m->seconds[o] = metric_histogram(r, "dipper_store_operation_seconds", labels,
                                         "Time that an operation on the store took.", METRIC_LATENCY_BOUNDS,
                                         METRIC_LATENCY_BOUND_COUNT);
        good = m->seconds[o] != NULL;
    }
    static const enum store_operation moving[] = {STORE_OP_READ, STORE_OP_PUT, STORE_OP_UPLOAD};
    for (size_t i = 0; good && i < sizeof moving / sizeof *moving; i++) {
        char labels[METRIC_LABELS_MAX] = "";
        metric_add_label(labels, "operation", span_str(OPERATIONS[moving[i]]));
        m->bytes[moving[i]] = metric_counter(r, "dipper_store_operation_bytes_total", labels,
                                             "Bytes that operations on the store read or wrote.");
        good = m->bytes[moving[i]] != NULL;
    }
    return good;
}

enum dp_status store_add_metrics(struct store *store, struct metric_registry *registry, struct dp_error *error)
{
    struct store_metrics *m = mem_calloc(1, sizeof *m);
    if (!m || !add_all(m, registry)) {
        mem_free(m);
        return dp_fail_nomem(error, "metrics");
    }
    mem_free(store->metrics);
    store->metrics = m;
    return store->ops->add_metrics ? store->ops->add_metrics(store, registry, error) : DP_OK;
}

void store_metrics_count(struct store_metrics *m, enum store_operation operation, enum dp_status status,
                         int64_t ns, uint64_t bytes)
{
    if (!m)
        return;
    metric_add(m->done[operation][outcome_of(status)], 1);
    metric_observe(m->seconds[operation], (double)ns * 1e-9);
    store_metrics_bytes(m, operation, bytes);
}

void store_metrics_bytes(struct store_metrics *m, enum store_operation operation, uint64_t bytes)
{
    if (m && bytes)
        metric_add(m->bytes[operation], (int64_t)bytes);
}
