/* live.c: walks over the documents of all rows. */
#include "index/query/live.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/array.h"
#include "index/query/reader.h"
#include "index/query/settle.h"

#define WALK_ROUND_BYTES ((uint64_t)64 << 20)

enum {
    WALK_RANGE_BYTES = 1024 * 1024, /* compressed bytes of one range, or one long document */
    WALK_ARENA_MAX = 64 * 1024 * 1024
};

static enum dp_status copy_mask(struct call *call, const struct row_set *mask, struct row_set *out)
{
    enum dp_status status = row_set_init(out, mask->rows, &call->error);
    if (status)
        return status;
    memcpy(out->bits, mask->bits, (size_t)(mask->rows / 8 + 1));
    out->count = mask->count;
    return DP_OK;
}

enum dp_status live_rows_check(struct call *call, uint64_t rows, uint64_t bytes)
{
    if (rows <= LIVE_ROWS_MAX && bytes <= LIVE_BYTES_MAX)
        return DP_OK;
    return call_fail(call, DP_INVALID,
                     "this query must look at every row, and may look at %" PRIu64 " rows and %" PRIu64
                     " MiB of attributes at most; the namespace has %" PRIu64 " rows and %" PRIu64 " MiB",
                     LIVE_ROWS_MAX, LIVE_BYTES_MAX >> 20, rows, bytes >> 20);
}

/* Fails when there is more than a walk may read. The caller holds the view's lock. */
static enum dp_status check_limits(struct call *call, const struct view *view, bool documents,
                                   const struct live_rows *live)
{
    const struct snapshot *base = view->base;
    uint64_t bytes = 0;
    for (size_t i = 0; documents && i < base->manifest.segment_count; i++) {
        if (view_hides(view, i))
            continue;
        bytes += base->segments[i].segment->hot.document_bytes;
    }
    for (size_t i = 0; documents && i < live->tail_count; i++)
        bytes += live->tail[i]->document.len;
    return live_rows_check(call, live->rows, bytes);
}

/* Copies the set of live rows. The caller holds the view's lock, and has initialised *out. */
static enum dp_status copy_live(struct call *call, const struct view *view, struct live_rows *out)
{
    const struct manifest *m = &view->base->manifest;
    const struct tail *tail = &view->locked.tail;
    enum dp_status status = DP_OK;
    out->masks = mem_calloc(m->segment_count + 1, sizeof *out->masks);
    if (!out->masks)
        return call_nomem(call, "a scan of all rows");
    out->tail = mem_alloc(((size_t)tail->live + 1) * sizeof(struct wal_record *));
    if (!out->tail)
        status = call_nomem(call, "a scan of all rows");
    for (size_t i = 0; i < tail->row_count && status == DP_OK; i++) {
        if (tail_row_is_live(&tail->rows[i]))
            out->tail[out->tail_count++] = tail->rows[i].record;
    }
    out->rows = out->tail_count;
    for (size_t i = 0; i < m->segment_count && status == DP_OK; i++) {
        const struct row_set *mask = view_mask(view, i);
        out->rows += m->segments[i].rows - (mask ? mask->count : 0);
        if (mask)
            status = copy_mask(call, mask, &out->masks[i]);
    }
    return status;
}

enum dp_status live_rows_take(struct call *call, struct view *view, bool documents, struct live_rows *out)
{
    *out = (struct live_rows){.view = view};
    enum dp_status status = view_settle(call, view);
    if (status)
        return status;
    view_lock(view);
    status = copy_live(call, view, out);
    if (status == DP_OK)
        status = check_limits(call, view, documents, out);
    view_unlock(view);
    return status;
}

enum dp_status live_rows_take_all(struct call *call, struct view *view, struct live_rows *out)
{
    *out = (struct live_rows){.view = view};
    enum dp_status status = view_settle(call, view);
    if (status)
        return status;
    view_lock(view);
    status = copy_live(call, view, out);
    view_unlock(view);
    return status;
}

void live_rows_deinit(struct live_rows *live)
{
    for (size_t i = 0; live->masks && i < live->view->base->manifest.segment_count; i++)
        row_set_deinit(&live->masks[i]);
    mem_free(live->masks);
    mem_free(live->tail);
    *live = (struct live_rows){0};
}

/* ---- the walk ------------------------------------------------------------------------------------------ */

/* Document blocks of a segment that are read as one range: whole runs. */
struct walk_range {
    size_t segment, block, blocks; /* segment; its first block, and how many */
    uint64_t offset, len;          /* bytes in the object */
    size_t read;                   /* handle */
};

/* The state of one live_rows_walk(). */
struct live_walk {
    struct call *call;
    const struct live_rows *live;
    const bool *wanted; /* [segments]; NULL: all */
    live_row_fn *fn;
    void *context;
    struct round round;
    size_t segment, block;     /* where the next range begins */
    struct walk_range *ranges; /* [count]: those of the round */
    size_t count, room;
    struct arena raw;
};

static const struct segment *walked_segment(const struct live_walk *w, size_t i)
{
    return w->live->view->base->segments[i].segment;
}

/* Makes the range that begins at the walk's place. False: there are no more rows. */
static bool next_range(struct live_walk *w, struct walk_range *out)
{
    size_t segments = w->live->view->base->manifest.segment_count;
    while (w->segment < segments && ((w->wanted && !w->wanted[w->segment]) ||
                                     w->block == walked_segment(w, w->segment)->hot.document_count)) {
        w->segment++;
        w->block = 0;
    }
    if (w->segment == segments)
        return false;
    const struct segment_hot *hot = &walked_segment(w, w->segment)->hot;
    *out =
        (struct walk_range){.segment = w->segment, .block = w->block, .offset = hot->documents[w->block].offset};
    while (w->block + out->blocks < hot->document_count && out->len < WALK_RANGE_BYTES) {
        struct document_run run = segment_documents_of(hot, hot->documents[w->block + out->blocks].first_row);
        out->blocks += run.count;
        out->len += run.len;
    }
    return true;
}

/* Asks for ranges until the round is full. */
static enum dp_status ask_ranges(struct live_walk *w)
{
    struct walk_range range;
    w->count = 0;
    while (next_range(w, &range) && round_takes(&w->round, range.len, 1)) {
        struct walk_range *ranges = array_reserve(w->ranges, w->count, &w->room, sizeof *ranges, 16);
        if (!ranges)
            return call_nomem(w->call, "a scan of all rows");
        const struct segment *segment = walked_segment(w, range.segment);
        const struct store_read_req req = {.key = object_key_span(&segment->dpr_key),
                                           .offset = range.offset,
                                           .len = (int64_t)range.len,
                                           .pinned = &segment->dpr_version};
        range.read = round_ask(&w->round, &req);
        w->ranges = ranges;
        w->ranges[w->count++] = range;
        w->block += range.blocks;
    }
    return DP_OK;
}

/* Gives the live rows of one run of documents. */
static enum dp_status give_run(struct live_walk *w, size_t segment, const struct document_run *run,
                               struct span stored)
{
    struct span raw;
    arena_reset(&w->raw);
    enum dp_status status =
        segment_inflate(&walked_segment(w, segment)->hot, run, stored, &w->raw, &raw, &w->call->error);
    if (status)
        return status;
    struct cursor c = cursor_over(raw);
    for (uint32_t i = 0; i < run->rows && status == DP_OK; i++) {
        struct live_row row = {.place = {(uint32_t)segment, run->first_row + i}};
        row.key = cursor_bytes(&c, cursor_varint(&c));
        row.document = cursor_bytes(&c, cursor_varint(&c));
        if (c.failed)
            return call_fail(w->call, DP_CORRUPT, "row %" PRIu32 " is not in its document block", row.place.row);
        if (live_rows_have(w->live, segment, row.place.row))
            status = w->fn(w->context, &row);
    }
    return status;
}

static enum dp_status give_range(struct live_walk *w, const struct walk_range *range)
{
    const struct segment *segment = walked_segment(w, range->segment);
    struct span bytes = round_answer(&w->round, range->read)->bytes.span;
    enum dp_status status = fetch_check(&w->round, segment, range->read);
    for (size_t block = range->block; block < range->block + range->blocks && status == DP_OK;) {
        struct document_run run = segment_documents_of(&segment->hot, segment->hot.documents[block].first_row);
        struct span stored;
        if (!span_sub(bytes, run.offset - range->offset, run.len, &stored))
            status = call_fail(w->call, DP_CORRUPT, "documents lie outside their section");
        if (status == DP_OK)
            status = give_run(w, range->segment, &run, stored);
        if (status == DP_CORRUPT)
            dp_error_prefix(&w->call->error, "%s", segment->dpr_key.text);
        if (status == DP_OK)
            status = call_check(w->call);
        block += run.count;
    }
    return status;
}

static enum dp_status walk_segments(struct live_walk *w)
{
    enum dp_status status = ask_ranges(w);
    while (w->count && status == DP_OK) {
        status = round_read(&w->round);
        for (size_t i = 0; i < w->count && status == DP_OK; i++)
            status = give_range(w, &w->ranges[i]);
        round_release(&w->round);
        if (status == DP_OK)
            status = ask_ranges(w);
    }
    return status;
}

enum dp_status live_rows_walk_some(struct call *call, const struct live_rows *live, const bool *wanted,
                                   live_row_fn *fn, void *context)
{
    const struct index_reader *reader = live->view->reader;
    struct live_walk w = {.call = call, .live = live, .wanted = wanted, .fn = fn, .context = context};
    bool small = reader->round_bytes && reader->round_bytes < WALK_ROUND_BYTES;
    round_init(&w.round, call, reader->store, small ? reader->round_bytes : WALK_ROUND_BYTES);
    arena_init(&w.raw, WALK_ARENA_MAX);
    enum dp_status status = walk_segments(&w);
    round_deinit(&w.round);
    arena_deinit(&w.raw);
    mem_free(w.ranges);
    return status;
}

enum dp_status live_rows_walk_tail(const struct live_rows *live, live_row_fn *fn, void *context)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < live->tail_count && status == DP_OK; i++) {
        const struct live_row row = {
            .record = live->tail[i], .key = live->tail[i]->key, .document = live->tail[i]->document};
        status = fn(context, &row);
    }
    return status;
}

enum dp_status live_rows_walk(struct call *call, const struct live_rows *live, live_row_fn *fn, void *context)
{
    enum dp_status status = live_rows_walk_some(call, live, NULL, fn, context);
    return status == DP_OK ? live_rows_walk_tail(live, fn, context) : status;
}
