/* fold/backlog.c: what waits to be done in a namespace, and who does it. */
#include "index/fold/backlog.h"

#include "base/alloc.h"
#include "index/fold/choose.h"
#include "index/fold/loads.h"
#include "index/query/reader.h"
#include "index/upkeep.h"

void claim_work(struct manifest *m, enum claim_kind kind, const struct ulid *node, const struct index_clock *clock)
{
    if (node)
        m->claims[kind] = (struct manifest_claim){*node, manifest_store_ms(m, clock) + INDEX_CLAIM_MS};
}

/* Returns whether another node has claimed the work. A claim that would last longer than a claim may last does not
 * count: it is from a host whose clock is wrong. */
static bool is_claimed(const struct manifest *m, enum claim_kind kind, const struct ulid *node, int64_t now_ms)
{
    const struct manifest_claim *c = &m->claims[kind];
    return c->until_ms > now_ms && c->until_ms <= now_ms + 2 * INDEX_CLAIM_MS &&
           !(node && ulid_equal(&c->node, node));
}

enum dp_status index_backlog(struct call *call, struct index_reader *reader, const struct ulid *node,
                             bool ask_store, struct index_backlog *out)
{
    struct view *view = reader_view(reader);
    *out = (struct index_backlog){0};
    if (ask_store) {
        struct view *newest = NULL;
        enum dp_status status = view_refresh(call, reader, view, &newest);
        view_release(view);
        if (status)
            return status;
        view = newest;
    }
    const struct manifest *m = &view->base->manifest;
    struct view_counts counts = view_counts(view);
    int64_t now_ms = manifest_store_ms(m, reader->clock);
    struct manifest listed = *m; /* without the segments of pending loads: they do not merge */
    listed.segment_count = view->base->listed_count;
    size_t *chosen = mem_calloc(m->segment_count + 1, sizeof *chosen);
    if (chosen)
        *out = (struct index_backlog){.entries = counts.tail_entries,
                                      .rows = counts.tail_rows,
                                      .bytes = counts.tail_bytes,
                                      .sequence = m->sequence,
                                      .segments = listed.segment_count,
                                      .abandoned = fold_count_abandoned(view, now_ms),
                                      .merge_due = merge_choose(&listed, MERGE_DUE, chosen) > 0,
                                      .idle_due = merge_choose(&listed, MERGE_IDLE, chosen) > 0,
                                      .fold_claimed = is_claimed(m, CLAIM_FOLD, node, now_ms),
                                      .merge_claimed = is_claimed(m, CLAIM_MERGE, node, now_ms)};
    view_release(view);
    enum dp_status status = chosen ? DP_OK : call_nomem(call, "a namespace's numbers");
    mem_free(chosen);
    return status;
}
