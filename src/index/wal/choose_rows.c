/* choose_rows.c: finds the rows that the filters of a write choose.
 *
 * A write has a maximum of rows, and of bytes in its log entry. A deletion adds its id to the entry. A patch adds
 * the whole row as the patch leaves it. The bytes of that row are an estimate here; only the leader of the group
 * makes the row.
 */
#include "index/wal/choose_rows.h"

#include <inttypes.h>

#include "base/array.h"
#include "filter/filter.h"
#include "index/query/filter_bits.h"

struct row_choosing {
    struct call *call;
    struct write_member *member;
    const struct snapshot *base;
    struct filter_watch watch;
};

static bool is_chosen(struct row_choosing *c, const struct chosen_rows *rows, const struct live_row *row)
{
    const struct filter_row found = {.id = row->key, .document = row->document};
    return rows->choice->filter && filter_match(rows->choice->filter, &found, NULL, &c->watch);
}

static enum dp_status keep_key(struct row_choosing *c, struct chosen_rows *rows, struct span key, uint64_t bytes)
{
    struct arena *arena = c->call->arena;
    struct span *keys = arena_reserve(arena, rows->keys, rows->count, &rows->room, sizeof *keys, 64);
    struct span copy = arena_copy(arena, key);
    if (!keys || !copy.data)
        return call_nomem(c->call, "the rows that match a filter");
    rows->keys = keys;
    rows->keys[rows->count++] = copy;
    c->member->queued.rows++;
    c->member->queued.bytes += bytes;
    return DP_OK;
}

/* Takes a row that matches, if the write has room for it. *taken: whether it has. */
static enum dp_status take_chosen(struct row_choosing *c, struct chosen_rows *rows, size_t most, const char *step,
                                  struct span key, uint64_t bytes, bool *taken)
{
    *taken = !rows->more && rows->count < most && c->member->queued.bytes + bytes <= WAL_ROWS_MAX;
    if (*taken)
        return keep_key(c, rows, key, bytes);
    rows->more = true;
    if (rows->choice->partial)
        return DP_OK;
    return call_fail(c->call, DP_INVALID,
                     "%s matches more than %zu rows, or rows of more than %d MiB, the maximum for one write: "
                     "allow partial changes, and write again while rows remain",
                     step, most, WAL_ENTRY_MAX >> 20);
}

/* Returns about how many bytes a patched row has in the log. */
static uint64_t patched_bytes(const struct row_choosing *c, const struct live_row *row)
{
    const struct write_member *m = c->member;
    uint64_t first, windows = 0;
    if (m->write->patch.windows)
        windows = m->write->patch.windows;
    else if (row->record)
        windows = row->record->windows;
    else
        segment_vectors_of(&c->base->segments[row->place.segment].segment->hot, row->place.row, &first, &windows);
    return wal_row_bytes(row->key, (uint32_t)windows, m->vector.dim, row->document) + m->patch.len;
}

static enum dp_status choose_row(void *context, const struct live_row *row)
{
    struct row_choosing *c = context;
    struct write_member *m = c->member;
    enum dp_status status = DP_OK;
    bool taken = false;
    if (is_chosen(c, &m->deletes, row))
        status = take_chosen(c, &m->deletes, INDEX_DELETED_MAX, "delete_by_filter", row->key,
                             wal_deleted_bytes(row->key), &taken);
    if (status == DP_OK && !taken && is_chosen(c, &m->patches, row))
        status = take_chosen(c, &m->patches, INDEX_PATCHED_MAX, "patch_by_filter", row->key, patched_bytes(c, row),
                             &taken);
    return status == DP_OK ? c->watch.status : status;
}

static enum dp_status make_marks(struct call *call, struct chosen_rows *rows)
{
    rows->applied = arena_calloc(call->arena, rows->count + 1, sizeof *rows->applied);
    return rows->applied ? DP_OK : call_nomem(call, "the rows that match a filter");
}

/* Returns the filter of the write's only step; NULL: it has both steps. */
static const struct filter *only_filter(const struct index_write *write)
{
    const struct filter *deletes = write->deletes.filter, *patches = write->patches.filter;
    return deletes && patches ? NULL : deletes ? deletes : patches;
}

enum dp_status write_choose_rows(struct call *call, struct view *view, struct write_member *m)
{
    struct row_choosing c = {.call = call, .member = m, .base = view->base, .watch = {.call = call}};
    const struct group_member queued = m->queued;
    const struct index_scan scan = {.filter = only_filter(m->write)};
    struct live_rows live;
    m->deletes = (struct chosen_rows){.choice = &m->write->deletes};
    m->patches = (struct chosen_rows){.choice = &m->write->patches};
    m->chosen_at = view_position(view).last; /* before the rows: whatever comes between is judged again */
    enum dp_status status = live_rows_take(call, view, true, &live);
    if (status == DP_INVALID)
        dp_error_prefix(&call->error, "a filter of the write");
    if (status == DP_OK)
        status = filter_walk_rows(call, &live, &scan, choose_row, &c);
    live_rows_deinit(&live);
    if (status == DP_OK)
        status = make_marks(call, &m->deletes);
    if (status == DP_OK)
        status = make_marks(call, &m->patches);
    if (status)
        m->queued = queued;
    return status;
}
