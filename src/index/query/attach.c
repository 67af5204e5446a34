/* attach.c: finds the rows that a load replaces, and unmasks the load's own. */
#include "index/query/attach.h"

#include "base/alloc.h"
#include "base/array.h"
#include "index/query/id_search.h"
#include "index/query/reader.h"

enum { ATTACH_KEYS_MAX = 256 * 1024 }; /* ids in memory at a time */

/* The ids of one segment of a load, in rounds. */
struct id_listing {
    struct attachment *attachment;
    const struct segment *segment;
    struct round round;
    size_t block;      /* next id block */
    struct span *keys; /* [count], in ascending order: those of the round; they point into its answers */
    size_t count, room;
    struct searched_segment *others; /* [other_count]: segments that count, without the load's own */
    size_t *places;                  /* [other_count]: their positions in the base */
    size_t other_count;
};

/* ---- rows that the load replaces ------------------------------------------------------------------------- */

static enum dp_status add_replaced(void *context, size_t segment, size_t key, uint32_t row)
{
    struct id_listing *l = context;
    struct attachment *a = l->attachment;
    struct row_set **fresh = &a->fresh[l->places[segment]];
    enum dp_status status = DP_OK;
    (void)key;
    if (!*fresh)
        status = view_make_mask(a->call, a->view, l->places[segment], fresh);
    if (status == DP_OK)
        row_set_add(*fresh, row);
    return status;
}

/* Notes the rows of the tail that have one of the ids. */
static enum dp_status find_in_tail(struct id_listing *l)
{
    struct attachment *a = l->attachment;
    struct view *view = a->view;
    const struct tail *tail = &view->locked.tail;
    enum dp_status status = DP_OK;
    view_lock(view);
    for (size_t i = 0; i < l->count && tail->row_count && status == DP_OK; i++) {
        const struct tail_row *row = tail_find(tail, l->keys[i]);
        size_t *rows = row ? array_reserve(a->rows, a->row_count, &a->row_room, sizeof *rows, 64) : NULL;
        if (!row)
            continue;
        if (!rows) {
            status = call_nomem(a->call, "rows of the log");
            continue;
        }
        a->rows = rows;
        a->rows[a->row_count++] = (size_t)(row - tail->rows);
    }
    view_unlock(view);
    return status;
}

/* ---- the ids of the load --------------------------------------------------------------------------------- */

/* Takes the ids of one block, which the round has read. */
static enum dp_status take_block(struct id_listing *l, size_t block, size_t handle)
{
    struct call *call = l->attachment->call;
    const struct segment_hot *hot = &l->segment->hot;
    const struct store_read_req *read = round_answer(&l->round, handle);
    struct span key;
    uint32_t row;
    enum dp_status status = snapshot_check_read(read, hot->size, &call->error);
    if (status == DP_OK)
        status = segment_check_ids(hot, block, read->bytes.span, &call->error);
    if (status)
        return status;
    struct id_walk walk = id_walk_over(hot, read->bytes.span);
    while (id_walk_next(&walk, &key, &row)) {
        struct span *keys = array_reserve(l->keys, l->count, &l->room, sizeof *keys, 1024);
        if (!keys)
            return call_nomem(call, "the ids of a load");
        l->keys = keys;
        l->keys[l->count++] = key;
    }
    return walk.at.failed ? call_fail(call, DP_CORRUPT, "id block %zu is malformed", block) : DP_OK;
}

/* Reads a round of id blocks. The handles of a round's reads are 0, 1, … */
static enum dp_status read_blocks(struct id_listing *l)
{
    const struct segment *segment = l->segment;
    size_t first = l->block, ids = 0;
    l->count = 0;
    while (l->block < segment->hot.id_count && ids < ATTACH_KEYS_MAX) {
        const struct id_block *b = &segment->hot.ids[l->block];
        if (!round_takes(&l->round, b->stored, 1))
            break;
        const struct store_read_req req = {.key = object_key_span(&segment->dpr_key),
                                           .offset = b->offset,
                                           .len = b->stored,
                                           .pinned = &segment->dpr_version};
        round_ask(&l->round, &req);
        ids += b->entries;
        l->block++;
    }
    enum dp_status status = round_read(&l->round);
    for (size_t block = first; block < l->block && status == DP_OK; block++)
        status = take_block(l, block, block - first);
    if (status == DP_CORRUPT)
        dp_error_prefix(&l->attachment->call->error, "%s", segment->dpr_key.text);
    return status;
}

static enum dp_status list_ids(struct id_listing *l)
{
    struct attachment *a = l->attachment;
    const struct index_reader *reader = a->view->reader;
    enum dp_status status = DP_OK;
    round_init(&l->round, a->call, reader->store, reader->round_bytes);
    for (l->block = 0; l->block < l->segment->hot.id_count && status == DP_OK;) {
        status = read_blocks(l);
        if (status == DP_OK)
            status = id_search(a->call, reader->store, reader->round_bytes, l->others, l->other_count, l->keys,
                               l->count, add_replaced, l);
        if (status == DP_OK)
            status = find_in_tail(l);
        round_release(&l->round);
    }
    round_deinit(&l->round);
    return status;
}

/* ---- one load -------------------------------------------------------------------------------------------- */

/* Lists the segments that count at this moment. */
static void find_others(struct id_listing *l)
{
    struct view *view = l->attachment->view;
    view_lock(view);
    for (size_t i = 0; i < view->base->manifest.segment_count; i++) {
        const struct segment *s = view->base->segments[i].segment;
        if (view_hides(view, i))
            continue;
        l->places[l->other_count] = i;
        l->others[l->other_count++] = (struct searched_segment){&s->dpr_key, &s->dpr_version, &s->hot};
    }
    view_unlock(view);
}

static enum dp_status find_replaced(struct attachment *a)
{
    const struct snapshot *base = a->view->base;
    const struct snapshot_load *load = &base->loads[a->load];
    size_t count = base->manifest.segment_count + 1;
    struct id_listing l = {.attachment = a,
                           .others = mem_calloc(count, sizeof *l.others),
                           .places = mem_calloc(count, sizeof *l.places)};
    a->fresh = mem_calloc(count, sizeof(struct row_set *));
    enum dp_status status = l.others && l.places && a->fresh ? DP_OK : call_nomem(a->call, "a load");
    if (status == DP_OK)
        find_others(&l);
    for (size_t i = load->first; i < load->first + load->count && status == DP_OK; i++) {
        l.segment = base->segments[i].segment;
        status = list_ids(&l);
    }
    mem_free(l.keys);
    mem_free(l.others);
    mem_free(l.places);
    return status;
}

/* Finds the record's load among those of the base. Returns false if it is not there. */
static bool find_load(struct attachment *a, const struct ulid *load)
{
    const struct snapshot *base = a->view->base;
    for (a->load = 0; a->load < base->load_count; a->load++) {
        if (ulid_equal(&base->loads[a->load].load, load))
            return true;
    }
    return false;
}

enum dp_status attachment_prepare(struct call *call, struct view *view, const struct wal_entry *entry,
                                  struct attachment *out)
{
    const struct wal_record *record = &entry->records[0];
    struct attachment *a = out;
    enum dp_status status = DP_OK;
    *a = (struct attachment){.call = call, .view = view};
    if (!find_load(a, &record->load)) {
        struct object_key key;
        if (record->kind == WAL_VOID)
            return DP_OK; /* the load would not count in any case */
        key_of_wal(&key, view->reader->name, &view->base->manifest.incarnation, entry->head.number);
        return call_fail(call, DP_STALE, "%s: it attaches a load that the manifest does not have", key.text);
    }
    view_lock(view);
    bool open = view->locked.at.last < entry->head.number && view->locked.fates[a->load] == LOAD_OPEN;
    view_unlock(view);
    if (!open)
        return DP_OK;
    a->fate = record->kind == WAL_VOID ? LOAD_VOID : LOAD_ATTACHED;
    if (a->fate == LOAD_ATTACHED)
        status = find_replaced(a);
    if (status)
        attachment_deinit(a);
    return status;
}

void attachment_apply(struct attachment *a)
{
    struct view *view = a->view;
    if (a->fate == LOAD_OPEN)
        return;
    view->locked.fates[a->load] = a->fate;
    if (a->fate != LOAD_ATTACHED)
        return;
    const struct snapshot_load *load = &view->base->loads[a->load];
    for (size_t i = load->first; i < load->first + load->count; i++) {
        view_free_mask(view->locked.masks[i]);
        view->locked.masks[i] = NULL;
    }
    for (size_t i = 0; i < view->base->manifest.segment_count; i++) {
        struct row_set **mask = &view->locked.masks[i];
        if (a->fresh[i] && *mask)
            row_set_join(*mask, a->fresh[i]);
        else if (a->fresh[i]) {
            *mask = a->fresh[i];
            a->fresh[i] = NULL;
        }
    }
    for (size_t i = 0; i < a->row_count; i++)
        tail_supersede(&view->locked.tail, a->rows[i]);
    view->locked.attached++;
}

void attachment_deinit(struct attachment *a)
{
    for (size_t i = 0; a->fresh && i < a->view->base->manifest.segment_count; i++)
        view_free_mask(a->fresh[i]);
    mem_free(a->fresh);
    mem_free(a->rows);
    *a = (struct attachment){0};
}
