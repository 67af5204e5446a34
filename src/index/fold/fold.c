/* fold/fold.c: moves log entries into segments.
 *
 *   1. bring the reader's view up to the newest log entry (rule L3: only a validated tail is folded), and take its tail up to
 *      entry m: all of it, or the first part of a long one (fold/tail_part.h);
 *   2. the newest row of each id that the tail names becomes a row of a new segment, unless it is deleted;
 *   3. one swap adds the segment, marks as deleted all rows of older segments that have one of these ids, and sets
 *      wal_floor to m and wal_chain to the hash of entry m.
 *
 * The view's masks say which rows of the view's segments the tail has replaced. The swap searches for the ids in
 * the segments that another fold, load or merge has added between 1 and 3. If another fold has reached entry m,
 * there is nothing to do. If it has reached an earlier entry, its rows are superseded like all others.
 *
 * An entry that attaches a load brings the load's segments beside the new one (fold/loads.h). The fold that passes it
 * lists them, with the rows that later entries replace marked as deleted.
 */
#include "index/upkeep.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "index/fold/backlog.h"
#include "index/fold/fold_keys.h"
#include "index/fold/loads.h"
#include "index/fold/tail_part.h"
#include "index/load/load.h"
#include "index/load/row_change.h"
#include "index/query/reader.h"

enum {
    COARSE_FROM = 20 * 1000, /* a fold of more rows makes a coarse segment, because the writes are fast */
    PARTS_MAX = 64           /* maximum parts of one index_fold(); a part that a merge outruns counts again */
};

/* A fold, from its view to its swap. */
struct fold {
    struct index_reader *reader;
    struct view *view; /* keeps the records alive */
    const struct index_fold_options *options;
    struct view_position at; /* the newest entry that the fold takes */
    uint64_t floor;          /* wal_floor of the view */
    struct tail_part part;   /* the tail's records up to `at`, sorted by id key */
    struct span *keys;       /* [part.count]: their id keys */
    struct folded_loads loads;
    struct index_loader *loader;
    struct row_change change;
    struct key_set keys_moved;      /* keys of writes in the entries that the fold takes, later all keys */
    struct manifest_keys keys_made; /* the object of all keys; size 0: the fold moves none */
    bool outrun;                    /* a merge was first, and the fold has to start again */
    bool beaten; /* another fold was first, the life of the name has ended, or the manifest is of another log */
};

/* ---- the tail -------------------------------------------------------------------------------------------- */

static int compare_records(const void *a, const void *b)
{
    const struct wal_record *const *left = a, *const *right = b;
    return span_compare((*left)->key, (*right)->key);
}

/* Copies what the tail and the masks say at one entry. */
static enum dp_status copy_tail(struct call *call, struct fold *f, struct row_set *masks)
{
    struct view *view = f->view;
    const struct manifest *m = &view->base->manifest;
    enum dp_status status;
    view_lock(view);
    f->at = view->locked.at;
    status = tail_part_take(&view->locked.tail, f->options->part_rows, &f->part, &call->error);
    if (!f->part.whole) /* then no entry of the part is about a load */
        f->at = (struct view_position){f->part.last, f->part.chain};
    if (status == DP_OK)
        status = fold_keys_take(&view->locked.tail, f->at.last, &f->keys_moved, &call->error);
    if (status == DP_OK)
        status = folded_loads_take(call, view, f->at.last, &f->loads);
    for (size_t i = 0; i < m->segment_count && status == DP_OK; i++) {
        const struct row_set *mask = view->locked.masks[i];
        status = row_set_init(&masks[i], m->segments[i].rows, &call->error);
        if (status == DP_OK && mask) {
            memcpy(masks[i].bits, mask->bits, (size_t)(mask->rows / 8 + 1));
            masks[i].count = mask->count;
        }
    }
    view_unlock(view);
    if (status)
        return status;
    f->keys = mem_calloc(f->part.count + 1, sizeof *f->keys);
    if (!f->keys)
        return call_nomem(call, "a fold");
    if (f->part.count)
        qsort(f->part.newest, f->part.count, sizeof(struct wal_record *), compare_records);
    for (size_t i = 0; i < f->part.count; i++)
        f->keys[i] = f->part.newest[i]->key;
    return DP_OK;
}

/* Removes from a mask the rows that were deleted before. */
static void drop_deleted(struct row_set *mask, const struct row_set *deleted)
{
    for (uint64_t row = 0; row < mask->rows; row++) {
        if (row_set_has(mask, row) && row_set_has(deleted, row)) {
            mask->bits[row / 8] &= (uint8_t) ~(1u << (row % 8));
            mask->count--;
        }
    }
}

/* Takes the part of the tail, and tells the change which rows of the view's segments it supersedes. */
static enum dp_status take_tail(struct call *call, struct fold *f)
{
    const struct snapshot *base = f->view->base;
    size_t count = base->manifest.segment_count;
    struct row_set *masks = mem_calloc(count + 1, sizeof *masks);
    if (!masks)
        return call_nomem(call, "a fold");
    enum dp_status status = copy_tail(call, f, masks);
    f->change.keys = f->keys;
    f->change.key_count = f->part.count;
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        if (folded_loads_hide(&f->loads, i))
            continue;
        if (base->segments[i].deleted)
            drop_deleted(&masks[i], &base->segments[i].deleted->set);
        if (!f->part.whole && masks[i].count)
            continue; /* rows after the part may have replaced some of these: the swap searches for the part's ids */
        status = row_change_know(call, &f->change, &base->manifest.segments[i].id, &masks[i]);
    }
    for (size_t i = 0; i < count; i++)
        row_set_deinit(&masks[i]);
    mem_free(masks);
    return status;
}

/* ---- building -------------------------------------------------------------------------------------------- */

static enum dp_status begin_fold(struct call *call, struct fold *f)
{
    const struct manifest *m = &f->view->base->manifest;
    struct index_reader *reader = f->reader;
    f->floor = m->wal_floor;
    enum dp_status status =
        loader_new(call, reader->store, reader->name, &m->vectors, f->options->team, reader->clock, &f->loader);
    if (status)
        return status;
    f->loader->target.incarnation = m->incarnation;
    f->loader->target.joins = true;
    f->loader->quick = true;
    f->loader->indexed = &m->schema;
    f->loader->target.horizon = m->horizon;
    f->loader->target.store_ms = m->date_ms;
    f->loader->target.at_ns = m->came_ns;
    f->loader->target.segments_listed = m->segment_count;
    f->loader->target.segments_max = MANIFEST_SEGMENTS_MAX;
    f->change = (struct row_change){.store = reader->store,
                                    .name = reader->name,
                                    .clock = reader->clock,
                                    .arena = &f->loader->arena,
                                    .log = &f->loader->log};
    return DP_OK;
}

static enum dp_status build_segments(struct call *call, struct fold *f)
{
    enum dp_status status = DP_OK;
    f->loader->coarse = f->part.count > COARSE_FROM;
    for (size_t i = 0; i < f->part.count && status == DP_OK; i++) {
        const struct wal_record *r = f->part.newest[i];
        if (r->kind == WAL_ROW)
            status = load_take_row(call, f->loader, r->key, r->vectors, r->windows, r->document);
        if (status == DP_OK && i % 1024 == 0)
            status = call_check(call);
    }
    if (status == DP_OK && f->loader->waiting.count)
        status = load_build_segment(call, f->loader);
    f->change.segments = f->loader->segments;
    f->change.segment_count = f->loader->segment_count;
    return status;
}

/* ---- the swap -------------------------------------------------------------------------------------------- */

/* Returns whether the manifest's wal_chain is that of the log which the fold has read. Its wal_floor must lie in
 * [f->floor, f->at.last). */
static bool is_of_our_log(struct fold *f, const struct manifest *m)
{
    uint64_t chain = f->view->base->manifest.wal_chain;
    if (m->wal_floor > f->floor) {
        view_lock(f->view);
        chain = f->view->locked.tail.entries[m->wal_floor - f->floor - 1]->hash;
        view_unlock(f->view);
    }
    return m->wal_chain == chain;
}

static enum dp_status apply_fold(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    struct fold *f = context;
    f->beaten = !exists || m->state != NAMESPACE_LIVE ||
                !ulid_equal(&m->incarnation, &f->loader->target.incarnation) || m->wal_floor >= f->at.last ||
                m->wal_floor < f->floor || !is_of_our_log(f, m);
    f->outrun = !f->beaten && !folded_loads_fit(&f->loads, m);
    f->beaten = f->beaten || f->outrun;
    *needed = !f->beaten;
    if (f->beaten)
        return DP_OK;
    enum dp_status status = folded_loads_settle(call, &f->loads, m);
    if (status == DP_OK)
        status = row_change_apply(call, &f->change, m);
    if (status == DP_OK && f->keys_made.size)
        status = fold_keys_list(call, &f->keys_made, m);
    m->wal_floor = f->at.last;
    m->wal_chain = f->at.chain;
    claim_work(m, CLAIM_FOLD, f->options->node, f->reader->clock);
    return object_log_status(call, status);
}

static void note_fold_sent(void *context)
{
    struct fold *f = context;
    f->loader->log.sent = true;
}

static bool shows_fold(const void *context, const struct manifest *m)
{
    const struct fold *f = context;
    return row_change_shows(&f->change, m);
}

static const struct manifest_edit fold_edit = {apply_fold, note_fold_sent, shows_fold, false};

static enum dp_status swap_fold(struct call *call, struct fold *f, struct index_fold_result *result)
{
    struct manifest after;
    enum dp_status status =
        manifest_swap(call, f->reader->store, f->reader->name, &fold_edit, f, f->reader->clock, &after);
    if (status)
        return status;
    manifest_deinit(&after);
    if (f->beaten)
        return DP_OK;
    result->entries += f->at.last - f->floor;
    result->rows += folded_loads_rows(&f->loads);
    result->bytes += f->loader->log.bytes;
    for (size_t i = 0; i < f->loader->segment_count; i++)
        result->rows += f->loader->segments[i].rows;
    return DP_OK;
}

/* ---- one fold -------------------------------------------------------------------------------------------- */

static void free_fold(struct fold *f)
{
    row_change_deinit(&f->change);
    if (f->loader) {
        object_log_remove(&f->loader->log, f->reader->store); /* unless the fold has sent a manifest */
        loader_free(f->loader);
    }
    tail_part_deinit(&f->part);
    key_set_deinit(&f->keys_moved);
    mem_free(f->keys);
    view_release(f->view);
}

/* Brings the reader to the newest entry of its namespace. */
static enum dp_status refresh(struct call *call, struct index_reader *reader, struct view **out)
{
    struct view *now = reader_view(reader);
    enum dp_status status = view_refresh(call, reader, now, out);
    view_release(now);
    return status;
}

/* Lets the reader see the folded namespace, so that its tail is short again. The next query would do so otherwise. */
static void see_fold(struct call *call, struct index_reader *reader)
{
    struct view *view = NULL;
    if (refresh(call, reader, &view) == DP_OK)
        view_release(view);
    dp_error_clear(&call->error);
}

/* Folds the first part of the tail. *more: there is another part, or a merge was first. */
static enum dp_status fold_part(struct call *call, struct index_reader *reader,
                                const struct index_fold_options *options, struct index_fold_result *result,
                                bool *more)
{
    struct fold f = {.reader = reader, .options = options};
    *more = false;
    enum dp_status status = refresh(call, reader, &f.view);
    if (status == DP_OK)
        status = fold_give_up_abandoned(call, reader, options->load_ms ? options->load_ms : INDEX_LAG_MS, &f.view);
    if (status || view_counts(f.view).tail_entries == 0) {
        view_release(f.view);
        return status;
    }
    status = begin_fold(call, &f);
    if (status == DP_OK)
        status = take_tail(call, &f);
    if (status == DP_OK)
        status = build_segments(call, &f);
    if (status == DP_OK && f.keys_moved.count)
        status = fold_keys_write(call, reader, f.view, &f.loader->log, &f.keys_moved, &f.keys_made);
    if (status == DP_OK)
        status = swap_fold(call, &f, result);
    bool folded = status == DP_OK;
    *more = folded && (f.outrun || (!f.beaten && !f.part.whole));
    free_fold(&f);
    if (folded)
        see_fold(call, reader);
    return status;
}

enum dp_status index_fold(struct call *call, struct index_reader *reader, const struct index_fold_options *options,
                          struct index_fold_result *result)
{
    static const struct index_fold_options defaults;
    enum dp_status status = DP_OK;
    bool more = true;
    *result = (struct index_fold_result){0};
    for (int parts = 0; parts < PARTS_MAX && more && status == DP_OK; parts++)
        status = fold_part(call, reader, options ? options : &defaults, result, &more);
    return status;
}
