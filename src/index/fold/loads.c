/* fold/loads.c: loads that a fold passes, and loads that nobody commits any more. */
#include "index/fold/loads.h"

#include <stdlib.h>

#include "base/array.h"
#include "index/load/decide.h"
#include "index/query/reader.h"
#include "index/upkeep.h"

static bool has_load(const struct snapshot *base, const struct ulid *load)
{
    bool found = false;
    for (size_t i = 0; i < base->load_count && !found; i++)
        found = ulid_equal(&base->loads[i].load, load);
    return found;
}

/* Collects the loads that entries up to `last` name and the base lacks. The caller holds the view's lock. */
static enum dp_status take_younger(struct call *call, const struct view *view, uint64_t last,
                                   struct folded_loads *out)
{
    const struct tail *tail = &view->locked.tail;
    size_t room = 0;
    for (size_t i = 0; i < tail->entry_count && tail->entries[i]->head.number <= last; i++) {
        const struct wal_entry *entry = tail->entries[i];
        if (!wal_entry_names_load(entry) || has_load(view->base, &entry->records[0].load))
            continue;
        struct ulid *younger =
            arena_reserve(call->arena, out->younger, out->younger_count, &room, sizeof *younger, 4);
        if (!younger)
            return call_nomem(call, "a fold");
        out->younger = younger;
        out->younger[out->younger_count++] = entry->records[0].load;
    }
    return DP_OK;
}

static bool has_younger(const struct folded_loads *loads, const struct manifest *m)
{
    bool found = false;
    for (size_t i = 0; i < loads->younger_count; i++) {
        for (size_t k = 0; k < m->pending_count && !found; k++)
            found = ulid_equal(&m->pending[k].load, &loads->younger[i]);
    }
    return found;
}

enum dp_status folded_loads_take(struct call *call, const struct view *view, uint64_t last,
                                 struct folded_loads *out)
{
    const struct snapshot *base = view->base;
    *out = (struct folded_loads){.base = base};
    out->fates = arena_array(call->arena, base->load_count + 1, sizeof *out->fates);
    if (!out->fates)
        return call_nomem(call, "a fold");
    for (size_t i = 0; i < base->load_count; i++) {
        out->fates[i] = view->locked.fates[i];
        out->settled += out->fates[i] != LOAD_OPEN;
    }
    return take_younger(call, view, last, out);
}

bool folded_loads_hide(const struct folded_loads *loads, size_t i)
{
    return fates_hide(loads->base, loads->fates, i);
}

/* Returns whether the manifest's pending load has the segments that it has in the base: a repair may have replaced
 * some. */
static bool has_base_segments(const struct snapshot *base, const struct snapshot_load *load,
                              const struct manifest *m)
{
    bool same = true;
    for (size_t i = 0; i < m->pending_count; i++) {
        const struct manifest_pending *p = &m->pending[i];
        if (!ulid_equal(&p->load, &load->load))
            continue;
        same = p->segment_count == load->count;
        for (size_t k = 0; k < p->segment_count && same; k++)
            same = ulid_equal(&p->segments[k].id, &base->manifest.segments[load->first + k].id);
    }
    return same;
}

bool folded_loads_fit(const struct folded_loads *loads, const struct manifest *m)
{
    if (has_younger(loads, m))
        return false;
    if (loads->settled == 0)
        return true;
    if (m->wal_floor != loads->base->manifest.wal_floor)
        return false;
    for (size_t i = 0; i < m->segment_count; i++) {
        if (!manifest_has_segment(loads->base->manifest.segments, loads->base->listed_count, &m->segments[i].id))
            return false;
    }
    for (size_t i = 0; i < loads->base->load_count; i++) {
        if (loads->fates[i] == LOAD_ATTACHED && !has_base_segments(loads->base, &loads->base->loads[i], m))
            return false;
    }
    return true;
}

/* ---- the manifest ---------------------------------------------------------------------------------------- */

/* Removes a load from the pending ones. Returns false if it is not pending. */
static bool take_pending_load(struct manifest *m, const struct ulid *load, struct manifest_pending *out)
{
    size_t kept = 0, before = m->pending_count;
    for (size_t i = 0; i < before; i++) {
        if (ulid_equal(&m->pending[i].load, load))
            *out = m->pending[i];
        else
            m->pending[kept++] = m->pending[i];
    }
    m->pending_count = kept;
    return kept < before;
}

enum dp_status folded_loads_settle(struct call *call, const struct folded_loads *loads, struct manifest *m)
{
    const struct snapshot *base = loads->base;
    size_t count = m->segment_count;
    if (loads->settled == 0)
        return DP_OK;
    struct manifest_segment *all = arena_array(&m->arena, count + base->manifest.segment_count + 1, sizeof *all);
    if (!all)
        return call_nomem(call, "a manifest");
    if (count)
        memcpy(all, m->segments, count * sizeof *all);
    for (size_t i = 0; i < base->load_count; i++) {
        struct manifest_pending p = {0};
        if (loads->fates[i] == LOAD_OPEN)
            continue;
        bool there = take_pending_load(m, &base->loads[i].load, &p);
        if (loads->fates[i] == LOAD_VOID)
            continue;
        if (!there || p.segment_count != base->loads[i].count)
            return call_fail(call, DP_CORRUPT, "%s: the log attaches load %s, but the manifest does not have it",
                             base->manifest_key.text, base->loads[i].load.text);
        if (p.segment_count) /* a repair may have left none */
            memcpy(all + count, p.segments, p.segment_count * sizeof *all);
        count += p.segment_count;
    }
    m->segments = all;
    m->segment_count = count;
    qsort(all, count, sizeof *all, manifest_compare_segments);
    return DP_OK;
}

uint64_t folded_loads_rows(const struct folded_loads *loads)
{
    const struct snapshot *base = loads->base;
    uint64_t rows = 0;
    for (size_t i = base->listed_count; i < base->manifest.segment_count; i++)
        rows += folded_loads_hide(loads, i) ? 0 : base->manifest.segments[i].rows;
    return rows;
}

/* ---- abandoned loads ------------------------------------------------------------------------------------- */

/* Returns the position of an abandoned load at or after `from`, or the number of loads. */
static size_t next_abandoned(struct view *view, size_t from, int64_t now_ms, int64_t after_ms)
{
    const struct snapshot *base = view->base;
    view_lock(view);
    while (from < base->load_count &&
           (view->locked.fates[from] != LOAD_OPEN || now_ms - base->loads[from].at_ms < after_ms))
        from++;
    view_unlock(view);
    return from;
}

size_t fold_count_abandoned(struct view *view, int64_t now_ms)
{
    size_t count = 0;
    for (size_t i = 0; (i = next_abandoned(view, i, now_ms, INDEX_LAG_MS)) < view->base->load_count; i++)
        count++;
    return count;
}

enum dp_status fold_give_up_abandoned(struct call *call, struct index_reader *reader, int64_t after_ms,
                                      struct view **view)
{
    const struct manifest *m = &(*view)->base->manifest;
    const struct ulid incarnation = m->incarnation;
    int64_t now_ms = manifest_store_ms(m, reader->clock);
    enum dp_status status = DP_OK;
    if (reader->log_end)
        return DP_OK; /* the next number is that of an entry which is lost */
    struct view *first = view_retain(*view);
    size_t i = next_abandoned(first, 0, now_ms, after_ms);
    for (; i < first->base->load_count && status == DP_OK; i = next_abandoned(first, i + 1, now_ms, after_ms)) {
        struct load_decision decision = {
            .reader = reader, .incarnation = incarnation, .load = first->base->loads[i].load, .kind = WAL_VOID};
        status = load_decide(call, &decision);
        if (status == DP_OK && decision.view) {
            view_release(*view);
            *view = decision.view;
        } else if (status == DP_CONFLICT && !decision.ended) { /* others write all the time: they need the fold */
            dp_error_clear(&call->error);
            status = DP_OK;
            break;
        }
    }
    view_release(first);
    return status;
}
