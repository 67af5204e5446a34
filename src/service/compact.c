/* compact.c: folds, merges and tidies one namespace for a caller. */
#include "service/compact.h"

#include "os/gate.h"
#include "service/full_text.h"
#include "service/service_impl.h"
#include "service/upkeep.h"

/* A namespace that is being compacted. */
struct compaction {
    struct call *call;
    struct service *service;
    struct reader_slot *slot;
    struct span name;
    const struct compact_options *options;
    struct compact_result *result;
};

static bool is_fold_due(const struct index_backlog *b, uint64_t times)
{
    return b->entries >= times * UPKEEP_FOLD_ENTRIES || b->bytes >= times * UPKEEP_FOLD_BYTES;
}

static enum dp_status fold_log(struct compaction *c)
{
    const struct index_fold_options options = {.team = c->service->team};
    struct index_fold_result folded;
    const unsigned times = c->options->times ? c->options->times : 1;
    struct index_backlog backlog;
    enum dp_status status = index_backlog(c->call, c->slot->reader, NULL, !c->options->when_due, &backlog);

    if (status != DP_OK || backlog.entries == 0 || (c->options->when_due && !is_fold_due(&backlog, times)))
        return status;
    status = index_fold(c->call, c->slot->reader, &options, &folded);
    if (status == DP_OK)
        c->result->entries = folded.entries;
    return status;
}

static enum dp_status merge_segments(struct compaction *c)
{
    const struct index_merge_options options = {.team = c->service->team, .everything = !c->options->when_due};
    struct index_merge_result merged = {.inputs = 1};
    struct index_backlog backlog;
    enum dp_status status = DP_OK;

    if (c->options->when_due) {
        status = index_backlog(c->call, c->slot->reader, NULL, false, &backlog);
        if (status != DP_OK || !backlog.merge_due)
            return status;
    }
    while (status == DP_OK && merged.inputs) {
        status = index_merge(c->call, c->service->store, c->name, &options, &merged);
        if (status == DP_OK)
            c->result->inputs += merged.inputs;
    }
    return status;
}

/* Does the next step of a collection. With when_due, it does so only if this call has folded or merged something. */
static enum dp_status collect_garbage(struct compaction *c)
{
    const struct index_collect_options options = {.at_once = !c->options->when_due};
    struct index_collector **collector = c->options->collector;
    struct index_collect_result collected;
    enum dp_status status = DP_OK;

    if (!collector || (c->options->when_due && c->result->entries == 0 && c->result->inputs == 0))
        return DP_OK;
    if (!*collector)
        status = index_collector_new(c->service->store, c->name, collector, &c->call->error);
    if (status == DP_OK)
        status = index_collect(c->call, *collector, &options, &collected);
    if (status == DP_OK) {
        c->result->removed = collected.entries + collected.objects;
        c->result->waiting = collected.waiting;
    }
    return status;
}

enum dp_status service_compact(struct call *call, struct service *s, struct span namespace,
                               const struct compact_options *options, struct compact_result *result)
{
    struct compaction c = {.call = call, .service = s, .name = namespace, .options = options, .result = result};
    enum dp_status status = service_need_store(call, s);

    *result = (struct compact_result){0};
    if (status == DP_OK)
        status = readers_borrow(call, &s->readers, s->store, GATE_WRITE, namespace, &c.slot);
    if (status != DP_OK)
        return status;
    status = fold_log(&c);
    if (status == DP_OK && !options->when_due && !options->fold_only)
        status = service_declare_full_text(call, s->store, namespace, c.slot->reader, &result->declared);
    if (status == DP_OK && !options->fold_only)
        status = merge_segments(&c);
    if (status == DP_OK && !options->fold_only)
        status = collect_garbage(&c);
    readers_give_back(&s->readers, c.slot, status == DP_NOT_FOUND);
    return status;
}
