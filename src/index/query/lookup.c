/* lookup.c: finds rows by id, in the tail and in the segments.
 *
 * It searches the segments for all ids that the tail does not have, without a lock. Then it decides under the lock:
 * the tail's row, if by now there is one; else the segment's row that no mask hides. A segment's row that the lookup
 * did not find cannot have appeared meanwhile, because segments do not change.
 */
#include "index/query/lookup.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/array.h"
#include "index/query/fetch.h"
#include "index/query/id_search.h"
#include "index/query/reader.h"
#include "index/query/settle.h"

/* A row of a segment that has one of the keys. */
struct lookup_match {
    uint32_t key; /* position in looking.keys */
    struct fetch_place place;
};

/* The state of one index_lookup(). */
struct looking {
    struct call *call;
    struct view *view;
    const struct span *keys;
    size_t count;
    enum lookup_parts parts;
    struct found_row *out;
    struct span *missing; /* [missing_count]: keys that the tail did not have */
    uint32_t *positions;  /* [missing_count]: their positions in `keys` */
    size_t missing_count;
    size_t attached; /* loads that were attached when `missing` was made */
    struct lookup_match *matches;
    size_t match_count, match_room;
};

static enum dp_status add_match(void *context, size_t segment, size_t key, uint32_t row)
{
    struct looking *l = context;
    struct lookup_match *matches = array_reserve(l->matches, l->match_count, &l->match_room, sizeof *matches, 64);
    if (!matches)
        return call_nomem(l->call, "a lookup");
    l->matches = matches;
    l->matches[l->match_count++] = (struct lookup_match){l->positions[key], {(uint32_t)segment, row}};
    return DP_OK;
}

static void find_missing(struct looking *l)
{
    l->missing_count = l->match_count = 0;
    view_lock(l->view);
    l->attached = l->view->locked.attached;
    for (size_t i = 0; i < l->count; i++) {
        if (tail_find(&l->view->locked.tail, l->keys[i]))
            continue;
        l->missing[l->missing_count] = l->keys[i];
        l->positions[l->missing_count++] = (uint32_t)i;
    }
    view_unlock(l->view);
}

static enum dp_status search_segments(struct looking *l)
{
    const struct index_reader *reader = l->view->reader;
    const struct snapshot *base = l->view->base;
    size_t n = base->manifest.segment_count;
    struct searched_segment *segments = mem_calloc(n + 1, sizeof *segments);
    if (!segments)
        return call_nomem(l->call, "a lookup");
    for (size_t i = 0; i < n; i++) {
        const struct segment *s = base->segments[i].segment;
        segments[i] = (struct searched_segment){&s->dpr_key, &s->dpr_version, &s->hot};
    }
    enum dp_status status = id_search(l->call, reader->store, reader->round_bytes, segments, n, l->missing,
                                      l->missing_count, add_match, l);
    mem_free(segments);
    return status;
}

/* Sets `out` and *at to what the tail and the masks say now. Returns false when a load was attached since
 * find_missing(): then a row that the tail had may be in a segment. */
static bool decide(struct looking *l, struct view_position *at)
{
    view_lock(l->view);
    bool same = l->view->locked.attached == l->attached;
    *at = l->view->locked.at;
    for (size_t i = 0; i < l->match_count && same; i++) {
        const struct lookup_match *m = &l->matches[i];
        const struct row_set *mask = view_mask(l->view, m->place.segment);
        if (!mask || !row_set_has(mask, m->place.row))
            l->out[m->key] =
                (struct found_row){.where = ROW_SEGMENT, .segment = m->place.segment, .row = m->place.row};
    }
    for (size_t i = 0; i < l->count && same; i++) {
        const struct tail_row *row = tail_find(&l->view->locked.tail, l->keys[i]);
        if (row && row->record->kind == WAL_ROW)
            l->out[i] = (struct found_row){.where = ROW_TAIL,
                                           .document = row->record->document,
                                           .vectors = row->record->vectors,
                                           .windows = row->record->windows};
        else if (row)
            l->out[i] = (struct found_row){.where = ROW_NONE};
    }
    view_unlock(l->view);
    return same;
}

/* ---- documents and vectors ----------------------------------------------------------------------------- */

static int compare_matches(const void *a, const void *b)
{
    const struct lookup_match *left = a, *right = b;
    return fetch_compare_places(&left->place, &right->place);
}

/* Keeps the matches that are answers, in the order of their places. */
static void keep_found(struct looking *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->match_count; i++) {
        const struct lookup_match *m = &l->matches[i];
        const struct found_row *found = &l->out[m->key];
        if (found->where == ROW_SEGMENT && found->segment == m->place.segment && found->row == m->place.row)
            l->matches[kept++] = *m;
    }
    l->match_count = kept;
    if (kept)
        qsort(l->matches, kept, sizeof *l->matches, compare_matches);
}

/* Copies the vectors of a row into the call's arena. */
static enum dp_status copy_vectors(struct call *call, const struct fetched_row *row, struct found_row *out)
{
    size_t dim = row->segment->hot.dim;
    if (row->windows == 0)
        return DP_OK;
    float *copy = arena_array(call->arena, (size_t)row->windows * dim, sizeof *copy);
    if (!copy)
        return call_nomem(call, "vectors of rows");
    for (uint32_t i = 0; i < row->windows; i++)
        memcpy(copy + i * dim, fetch_floats(row->segment, row->vectors, i).data, dim * sizeof *copy);
    out->vectors = copy;
    out->windows = row->windows;
    return DP_OK;
}

static enum dp_status take_found(void *context, size_t i, const struct fetched_row *row)
{
    struct looking *l = context;
    uint32_t key = l->matches[i].key;
    struct found_row *out = &l->out[key];
    if (!span_equal(row->key, l->keys[key]))
        return call_fail(l->call, DP_CORRUPT, "%s: the id index and the documents disagree about row %" PRIu32,
                         l->view->base->segments[out->segment].segment->dpr_key.text, out->row);
    out->document = arena_copy(l->call->arena, row->document);
    if (!out->document.data)
        return call_nomem(l->call, "documents of rows");
    return l->parts == LOOKUP_WHOLE ? copy_vectors(l->call, row, out) : DP_OK;
}

static enum dp_status read_found(struct looking *l)
{
    const struct index_reader *reader = l->view->reader;
    unsigned parts = l->parts == LOOKUP_WHOLE ? FETCH_DOCUMENTS | FETCH_VECTORS : FETCH_DOCUMENTS;
    keep_found(l);
    struct fetch_place *places = mem_alloc((l->match_count + 1) * sizeof *places);
    if (!places)
        return call_nomem(l->call, "a lookup");
    for (size_t i = 0; i < l->match_count; i++)
        places[i] = l->matches[i].place;
    enum dp_status status = fetch_rows(l->call, reader->store, reader->round_bytes, l->view->base, places,
                                       l->match_count, parts, take_found, l);
    mem_free(places);
    return status;
}

enum dp_status index_lookup(struct call *call, struct view *view, const struct span *keys, size_t count,
                            enum lookup_parts parts, struct found_row *out, struct view_position *at)
{
    struct looking l = {.call = call, .view = view, .keys = keys, .count = count, .parts = parts, .out = out};
    enum dp_status status = DP_OK;
    l.missing = mem_alloc((count + 1) * sizeof *l.missing);
    l.positions = mem_alloc((count + 1) * sizeof *l.positions);
    for (size_t i = 0; i < count; i++)
        out[i] = (struct found_row){.where = ROW_NONE};
    if (!l.missing || !l.positions)
        status = call_nomem(call, "a lookup");
    if (status == DP_OK)
        status = view_settle(call, view);
    for (bool decided = false; status == DP_OK && !decided;) {
        find_missing(&l);
        status = search_segments(&l);
        decided = status == DP_OK && decide(&l, at);
    }
    if (status == DP_OK && parts != LOOKUP_PLACES)
        status = read_found(&l);
    mem_free(l.missing);
    mem_free(l.positions);
    mem_free(l.matches);
    return status;
}
