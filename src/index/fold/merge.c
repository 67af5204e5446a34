/* fold/merge.c: replaces some segments by one that holds their live rows.
 *
 *   1. read the manifest, and choose the inputs (fold/choose.h);
 *   2. read the inputs' rows in rounds (fold/row_scan.h) into a loader, which clusters them and writes the outputs;
 *   3. swap the inputs for the outputs.
 *
 * The inputs may change between 1 and 3. If rows of an input were deleted meanwhile, the same rows of the outputs,
 * found by their ids, go into the outputs' .del objects. An input that the manifest no longer lists has no live row
 * any more: either all its rows are deleted, or another merge has moved them. So all its rows count as deleted. When
 * this leaves less than half of the merged rows, the merge gives up its outputs and starts again.
 *
 * The order of segments does not matter to a merge: superseded rows of older segments are in their .del objects.
 */
#include "index/upkeep.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/array.h"
#include "index/fold/backlog.h"
#include "index/fold/choose.h"
#include "index/fold/row_scan.h"
#include "index/fold/unindexed.h"
#include "index/load/load.h"
#include "index/load/row_change.h"

enum { MERGE_TRIES = 3, VECTORS_MEMORY = 64 << 20, DOCUMENTS_MEMORY = 32 << 20 };

/* A merge, from the choice of its inputs to its swap. */
struct merge {
    struct store *store;
    struct span name;
    const struct index_clock *clock;
    const struct ulid *node;      /* or NULL */
    int64_t seen_ns;              /* when it read the manifest */
    struct manifest seen;         /* the manifest in which the inputs were chosen */
    struct row_scan scan;         /* its segments are the inputs */
    struct index_loader *loader;  /* its keys are the id keys of all live rows of the inputs, in their order */
    size_t *first_key;            /* [inputs + 1]: position in loader->keys of the first live row of each input */
    struct manifest_segment *out; /* [loader->segment_count]: the outputs with their .del objects */
    size_t out_count;             /* outputs with a live row */

    /* Set by the latest try of the swap. */
    struct span *lost; /* id keys of merged rows that are deleted now */
    size_t lost_count, lost_room;
    bool beaten; /* the swap is not worth it or not possible: other swaps took the inputs */
};

/* ---- building -------------------------------------------------------------------------------------------- */

static enum dp_status take_scanned_row(struct call *call, void *context, const struct scanned_row *row)
{
    struct merge *m = context;
    if (row->deleted)
        return DP_OK;
    m->first_key[row->segment + 1] = m->loader->key_count + 1;
    return load_take_row(call, m->loader, row->key, row->vectors, row->windows, row->document);
}

static enum dp_status begin_merge(struct call *call, struct merge *m, const struct index_merge_options *options,
                                  const struct manifest_segment *inputs, size_t count)
{
    m->first_key = mem_calloc(count + 1, sizeof *m->first_key);
    if (!m->first_key)
        return call_nomem(call, "a merge");
    enum dp_status status = row_scan_open(call, m->store, m->name, &m->seen, inputs, count, &m->scan);
    if (status == DP_OK)
        status = loader_new(call, m->store, m->name, &m->seen.vectors, options->team, m->clock, &m->loader);
    if (status)
        return status;
    m->loader->target.incarnation = m->seen.incarnation;
    m->loader->target.joins = true;
    m->loader->target.horizon = m->seen.horizon;
    m->loader->target.store_ms = m->seen.date_ms;
    m->loader->target.at_ns = m->seen_ns;
    m->loader->target.segments_listed = m->seen.segment_count;
    m->loader->target.segments_max = MANIFEST_SEGMENTS_MAX;
    m->loader->quick = true;
    m->loader->indexed = &m->seen.schema;
    m->loader->segment_rows = SEGMENT_ROWS_MAX;
    spill_deinit(&m->loader->waiting.vectors); /* a merge is in no hurry, and leaves the memory to others */
    spill_deinit(&m->loader->waiting.documents);
    spill_init(&m->loader->waiting.vectors, VECTORS_MEMORY);
    spill_init(&m->loader->waiting.documents, DOCUMENTS_MEMORY);
    return DP_OK;
}

/* Reads the inputs and writes the outputs. */
static enum dp_status build_outputs(struct call *call, struct merge *m)
{
    struct index_loader *l = m->loader;
    enum dp_status status = row_scan_run(call, &m->scan, take_scanned_row, m);
    for (size_t i = 1; i <= m->scan.count; i++) {
        if (m->first_key[i] < m->first_key[i - 1])
            m->first_key[i] = m->first_key[i - 1]; /* an input without a live row */
    }
    if (status == DP_OK && l->waiting.count)
        status = load_build_segment(call, l);
    if (status)
        return status;
    m->out = mem_calloc(l->segment_count + 1, sizeof *m->out);
    return m->out ? DP_OK : call_nomem(call, "a merge");
}

/* ---- rows that were deleted meanwhile -------------------------------------------------------------------- */

static const struct manifest_segment *find_listed(const struct manifest *m, const struct ulid *id)
{
    for (size_t i = 0; i < m->segment_count; i++) {
        if (ulid_equal(&m->segments[i].id, id))
            return &m->segments[i];
    }
    return NULL;
}

static enum dp_status lose_key(struct call *call, struct merge *m, struct span key)
{
    struct span *lost = array_reserve(m->lost, m->lost_count, &m->lost_room, sizeof *lost, 64);
    if (!lost)
        return call_nomem(call, "a merge");
    m->lost = lost;
    m->lost[m->lost_count++] = key;
    return DP_OK;
}

/* Adds the keys of an input's rows that are in `now` and were live when the merge read them; `now` NULL: of all its
 * rows. */
static enum dp_status lose_rows(struct call *call, struct merge *m, size_t input, const struct row_set *now)
{
    const struct row_set *before = &m->scan.segments[input].deleted;
    size_t key = m->first_key[input];
    enum dp_status status = DP_OK;
    for (uint64_t row = 0; row < before->rows && status == DP_OK; row++) {
        if (row_set_has(before, row))
            continue;
        if (!now || row_set_has(now, row))
            status = lose_key(call, m, m->loader->keys[key]);
        key++;
    }
    return status;
}

/* Finds out which rows of an input were deleted since the merge read it. */
static enum dp_status check_input(struct call *call, struct merge *m, const struct manifest *now, size_t input)
{
    const struct manifest_segment *then = &m->scan.segments[input].listed;
    const struct manifest_segment *listed = find_listed(now, &then->id);
    struct row_set deleted;
    if (!listed)
        return lose_rows(call, m, input, NULL);
    if (listed->has_deleted == then->has_deleted &&
        (!then->has_deleted || ulid_equal(&listed->deletion, &then->deletion)))
        return DP_OK;
    const struct segment_place place = {m->store, m->name, now, listed};
    enum dp_status status = supersede_read_deleted(call, &place, &deleted);
    if (status)
        return status;
    status = lose_rows(call, m, input, &deleted);
    row_set_deinit(&deleted);
    return status;
}

/* Writes the .del object of an output, if it has lost rows, and adds the output to m->out unless it has lost all. */
static enum dp_status finish_output(struct call *call, struct merge *m, const struct manifest *now,
                                    const struct manifest_segment *built)
{
    struct manifest_segment *out = &m->out[m->out_count];
    const struct segment_place place = {m->store, m->name, now, built};
    struct row_set rows = {0};
    *out = *built;
    enum dp_status status = m->lost_count ? supersede_find(call, &place, m->lost, m->lost_count, &rows) : DP_OK;
    if (status == DP_OK && rows.count && rows.count < built->rows)
        status = put_deleted_rows(call, m->clock, &place, now, &rows, &m->loader->log, out);
    if (status == DP_OK && rows.count < built->rows)
        m->out_count++;
    row_set_deinit(&rows);
    return status;
}

/* ---- the swap -------------------------------------------------------------------------------------------- */

static bool is_input(const struct merge *m, const struct manifest_segment *s)
{
    for (size_t i = 0; i < m->scan.count; i++) {
        if (ulid_equal(&m->scan.segments[i].listed.id, &s->id))
            return true;
    }
    return false;
}

/* Removes the inputs from the manifest, and returns how many it listed. */
static size_t drop_inputs(const struct merge *m, struct manifest *now)
{
    size_t kept = 0, dropped;
    for (size_t i = 0; i < now->segment_count; i++) {
        if (!is_input(m, &now->segments[i]))
            now->segments[kept++] = now->segments[i];
    }
    dropped = now->segment_count - kept;
    now->segment_count = kept;
    return dropped;
}

static enum dp_status find_lost(struct call *call, struct merge *m, const struct manifest *now)
{
    enum dp_status status = DP_OK;
    m->lost_count = 0;
    for (size_t i = 0; i < m->scan.count && status == DP_OK; i++)
        status = check_input(call, m, now, i);
    if (m->lost_count)
        qsort(m->lost, m->lost_count, sizeof *m->lost, span_compare_at);
    return status;
}

/* Returns whether the merge took so long that a collector may have removed an output. */
static bool is_passed(const struct merge *m, const struct ulid *horizon)
{
    for (size_t i = 0; i < m->loader->segment_count; i++) {
        if (memcmp(m->loader->segments[i].id.text, horizon->text, ULID_LEN) <= 0)
            return true;
    }
    return false;
}

static enum dp_status apply_merge(struct call *call, void *context, struct manifest *now, bool exists,
                                  bool *needed)
{
    struct merge *m = context;
    m->beaten = !exists || !ulid_equal(&now->incarnation, &m->seen.incarnation) || is_passed(m, &now->horizon);
    *needed = !m->beaten;
    enum dp_status status = m->beaten ? DP_OK : find_lost(call, m, now);
    if (status || m->beaten)
        return status;
    size_t dropped = drop_inputs(m, now);
    m->beaten = dropped == 0 || m->lost_count * 2 > m->loader->key_count;
    *needed = !m->beaten;
    m->out_count = 0;
    for (size_t i = 0; i < m->loader->segment_count && status == DP_OK && !m->beaten; i++)
        status = finish_output(call, m, now, &m->loader->segments[i]);
    if (status || m->beaten)
        return object_log_status(call, status);
    struct row_change change = {.store = m->store,
                                .name = m->name,
                                .clock = m->clock,
                                .arena = &m->loader->arena,
                                .log = &m->loader->log,
                                .segments = m->out,
                                .segment_count = m->out_count};
    status = row_change_apply(call, &change, now);
    row_change_deinit(&change);
    claim_work(now, CLAIM_MERGE, m->node, m->clock);
    return object_log_status(call, status);
}

static void note_merge_sent(void *context)
{
    struct merge *m = context;
    m->loader->log.sent = true;
}

static bool shows_merge(const void *context, const struct manifest *now)
{
    const struct merge *m = context;
    const struct row_change change = {.segments = m->loader->segments, .segment_count = m->loader->segment_count};
    return row_change_shows(&change, now);
}

static const struct manifest_edit merge_edit = {apply_merge, note_merge_sent, shows_merge, false};

static enum dp_status swap_merge(struct call *call, struct merge *m, struct index_merge_result *result)
{
    struct manifest after;
    enum dp_status status = manifest_swap(call, m->store, m->name, &merge_edit, m, m->clock, &after);
    if (status)
        return status;
    manifest_deinit(&after);
    if (m->beaten)
        return DP_OK;
    *result = (struct index_merge_result){
        .inputs = m->scan.count, .outputs = m->out_count, .bytes = m->loader->log.bytes};
    for (size_t i = 0; i < m->out_count; i++)
        result->rows += m->out[i].rows;
    return DP_OK;
}

/* ---- one merge ------------------------------------------------------------------------------------------- */

static void free_merge(struct merge *m)
{
    if (m->loader) {
        object_log_remove(&m->loader->log, m->store); /* unless the merge has sent a manifest */
        loader_free(m->loader);
    }
    row_scan_deinit(&m->scan);
    manifest_deinit(&m->seen);
    mem_free(m->first_key);
    mem_free(m->out);
    mem_free(m->lost);
}

/* Copies the chosen segments to the arena of the manifest. */
static enum dp_status choose_inputs(struct call *call, struct merge *m, enum merge_effort effort,
                                    struct manifest_segment **inputs, size_t *count)
{
    size_t n = m->seen.segment_count;
    size_t *chosen = arena_array(&m->seen.arena, n + 1, sizeof *chosen);
    *inputs = arena_array(&m->seen.arena, n + 1, sizeof **inputs);
    if (!chosen || !*inputs)
        return call_nomem(call, "a merge");
    *count = merge_choose(&m->seen, effort, chosen);
    if (*count == 0 && effort == MERGE_ALL) {
        bool found;
        enum dp_status status = find_unindexed(call, m->store, m->name, &m->seen, chosen, &found);
        if (status)
            return status;
        *count = found;
    }
    for (size_t i = 0; i < *count; i++)
        (*inputs)[i] = m->seen.segments[chosen[i]];
    return DP_OK;
}

/* Merges once. *again: other swaps took the inputs; choose anew. */
static enum dp_status try_merge(struct call *call, struct store *store, struct span name,
                                const struct index_merge_options *options, struct index_merge_result *result,
                                bool *again)
{
    struct merge m = {.store = store, .name = name, .clock = options->clock, .node = options->node};
    struct manifest_segment *inputs = NULL;
    size_t count = 0;
    *again = false;
    enum dp_status status = manifest_load(call, store, name, &m.seen, NULL);
    if (status)
        return status;
    m.seen.came_ns = index_now_ns(m.clock);
    enum merge_effort effort = options->everything ? MERGE_ALL : options->idle ? MERGE_IDLE : MERGE_DUE;
    m.seen_ns = index_now_ns(m.clock);
    status = choose_inputs(call, &m, effort, &inputs, &count);
    if (status == DP_OK && count) {
        status = begin_merge(call, &m, options, inputs, count);
        if (status == DP_OK)
            status = build_outputs(call, &m);
        if (status == DP_OK)
            status = swap_merge(call, &m, result);
    }
    *again = status == DP_STALE || (status == DP_OK && m.beaten);
    free_merge(&m);
    return status;
}

enum dp_status index_merge(struct call *call, struct store *store, struct span name,
                           const struct index_merge_options *options, struct index_merge_result *result)
{
    static const struct index_merge_options defaults;
    bool again = true;
    *result = (struct index_merge_result){0};
    enum dp_status status = index_check_name(name, &call->error);
    for (int tries = 0; tries < MERGE_TRIES && again && status == DP_OK; tries++) {
        dp_error_clear(&call->error);
        status = try_merge(call, store, name, options ? options : &defaults, result, &again);
        if (again && status == DP_STALE && tries + 1 < MERGE_TRIES)
            status = DP_OK;
    }
    if (status == DP_STALE)
        return call_restatus(call, DP_CORRUPT);
    if (status == DP_OK && again)
        return call_fail(call, DP_CONFLICT, "namespace \"%.*s\": other writers were first %d times",
                         SPAN_FMT(name), MERGE_TRIES);
    return status;
}
