/* compact.c: implements dp_namespace_compact with service/compact.h. */
#include "capi/arguments.h"
#include "capi/call.h"
#include "capi/namespace.h"
#include "service/compact.h"

/* Compacts with the collector of the handle. Takes the collector out of the handle meanwhile, so that only this
 * thread uses it. */
static enum dp_status compact_namespace(struct call *call, struct dp_namespace *ns, bool when_due,
                                        struct compact_result *result)
{
    struct index_collector *collector = atomic_exchange(&ns->collector, NULL), *none = NULL;
    const struct compact_options options = {.when_due = when_due, .collector = &collector};
    enum dp_status status = service_compact(call, ns->service, ns->name, &options, result);

    /* Another thread may have put its own collector into the handle meanwhile. The handle keeps that one. */
    if (collector && !atomic_compare_exchange_strong(&ns->collector, &none, collector))
        index_collector_free(collector);
    return status;
}

enum dp_status dp_namespace_compact(struct dp_namespace *ns, const struct dp_compact_options *options,
                                    struct dp_compact_summary *summary, struct dp_error *error)
{
    struct dp_compact_options o;
    struct compact_result done;
    struct capi_call c;
    enum dp_status status = capi_need(error, "dp_namespace_compact", "ns", ns, NULL);

    if (status == DP_OK)
        status = capi_options(error, "dp_namespace_compact", "struct dp_compact_options", options, &o, sizeof o);
    if (status == DP_OK && summary)
        status = capi_answer_check(error, "dp_namespace_compact", "struct dp_compact_summary", summary);
    if (status != DP_OK)
        return status;
    capi_begin(&c, &o.limits, CAPI_ROWS_ARENA_MAX);
    c.call.patient = true;
    status = compact_namespace(&c.call, ns, o.when_due, &done);
    if (status == DP_OK && summary) {
        const struct dp_compact_summary made = {
            .folded = done.entries, .merged = done.inputs, .removed = done.removed, .waiting = done.waiting};
        capi_answer(summary, &made, sizeof made);
    }
    return capi_end(&c, status, error);
}
