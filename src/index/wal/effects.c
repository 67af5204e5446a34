/* effects.c: judges writes in order, over a view and the writes before them. */
#include "index/wal/effects.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/array.h"
#include "filter/filter.h"
#include "index/id.h"
#include "index/query/reader.h"
#include "index/wal/patch.h"

/* A row at the moment when a write comes to it. */
struct row_state {
    bool known; /* false: nobody looked, because nothing needs the row, or nothing has changed it */
    bool exists;
    struct span document;
    const float *vectors; /* float[windows][dim]; NULL: none */
    uint32_t windows;
};

static const struct filter *condition_of(const struct index_write *write, enum index_write_kind kind)
{
    switch (kind) {
    case INDEX_UPSERT: return write->upsert_condition;
    case INDEX_PATCH: return write->patch_condition;
    case INDEX_DELETE: return write->delete_condition;
    default: return NULL;
    }
}

/* ---- looking up -------------------------------------------------------------------------------------- */

static const struct write_member *next_member(const struct write_member *m)
{
    return (const struct write_member *)m->queued.next;
}

static bool needs_row(const struct index_write *write, const struct index_write_row *row)
{
    return row->kind == INDEX_PATCH || condition_of(write, row->kind);
}

static enum dp_status ask_row(struct call *call, struct effects *e, size_t *room, struct span key)
{
    struct span *asked = arena_reserve(call->arena, e->asked, e->asked_count, room, sizeof *asked, 64);
    if (!asked)
        return call_nomem(call, "a write");
    e->asked = asked;
    e->asked[e->asked_count++] = key;
    return DP_OK;
}

/* Returns whether the tail tells which rows have changed since entry `since`. The caller holds the view's lock. */
static bool shows_changes(const struct view *view, uint64_t since)
{
    const struct tail *tail = &view->locked.tail;
    if (view->base->manifest.wal_floor > since)
        return false;
    for (size_t i = tail->entry_count; i-- > 0 && tail->entries[i]->head.number > since;) {
        const struct wal_entry *entry = tail->entries[i];
        for (size_t r = 0; r < entry->count; r++) {
            if (entry->records[r].kind == WAL_ATTACH)
                return false;
        }
    }
    return true;
}

/* Asks for the rows that a member's filter deletes and that may have changed since it chose them. The caller holds the
 * view's lock. */
static enum dp_status ask_changed(struct call *call, struct effects *e, size_t *room, const struct write_member *m,
                                  bool everything)
{
    const struct view *view = e->view;
    enum dp_status status = DP_OK;
    everything = everything || (m->deletes.count && !shows_changes(view, m->chosen_at));
    for (size_t i = 0; i < m->deletes.count && status == DP_OK; i++) {
        const struct tail_row *row = everything ? NULL : tail_find(&view->locked.tail, m->deletes.keys[i]);
        if (everything || (row && row->entry > m->chosen_at))
            status = ask_row(call, e, room, m->deletes.keys[i]);
    }
    return status;
}

/* Asks for the rows that a member's patches and conditions need. Sets *patches if there is a patch. */
static enum dp_status ask_needed(struct call *call, struct effects *e, size_t *room, const struct write_member *m,
                                 bool *patches)
{
    enum dp_status status = DP_OK;
    *patches = *patches || m->patches.count;
    for (size_t i = 0; i < m->patches.count && status == DP_OK; i++)
        status = ask_row(call, e, room, m->patches.keys[i]);
    for (size_t i = 0; i < m->write->count && status == DP_OK; i++) {
        if (!needs_row(m->write, &m->write->rows[i]))
            continue;
        *patches = *patches || m->write->rows[i].kind == INDEX_PATCH;
        status = ask_row(call, e, room, m->keys[i]);
    }
    return status;
}

/* Collects the ids that need a look at the moment e->at. `everything`: nobody knows what has changed. Sets *patches
 * if a patch is among them. */
static enum dp_status collect_asked(struct call *call, const struct write_member *first, bool everything,
                                    struct effects *e, bool *patches)
{
    size_t room = 0;
    enum dp_status status = DP_OK;
    e->asked = NULL;
    e->asked_count = 0;
    view_lock(e->view);
    e->at = e->view->locked.at;
    for (const struct write_member *m = first; m && status == DP_OK; m = next_member(m)) {
        status = ask_needed(call, e, &room, m, patches);
        if (status == DP_OK)
            status = ask_changed(call, e, &room, m, everything);
    }
    view_unlock(e->view);
    e->asked_count = span_sort_unique(e->asked, e->asked_count);
    return status;
}

enum dp_status effects_begin(struct call *call, struct view *view, const struct key_set *folded,
                             const struct write_member *first, struct effects *out)
{
    bool patches = false, moved = false;
    *out = (struct effects){.view = view, .folded = folded};
    out->now_ms = manifest_store_ms(&view->base->manifest, view->reader->clock);
    map_init(&out->newest, WAL_RECORDS_MAX);
    map_init(&out->keys, WAL_RECORDS_MAX);
    for (int tries = 0; tries < 2; tries++) {
        enum dp_status status = collect_asked(call, first, moved, out, &patches);
        uint64_t collected_at = out->at.last;
        if (status || out->asked_count == 0)
            return status;
        out->found = arena_array(call->arena, out->asked_count, sizeof *out->found);
        if (!out->found)
            return call_nomem(call, "a write");
        status = index_lookup(call, view, out->asked, out->asked_count, patches ? LOOKUP_WHOLE : LOOKUP_DOCUMENTS,
                              out->found, &out->at);
        moved = out->at.last != collected_at;
        if (status || !moved)
            return status;
    }
    return DP_OK;
}

void effects_deinit(struct effects *e)
{
    map_deinit(&e->newest);
    map_deinit(&e->keys);
}

static struct row_state state_of(const struct effects *e, struct span key)
{
    const uint64_t *newest = e->own ? map_find(e->own, key) : NULL;
    if (!newest)
        newest = map_find(&e->newest, key);
    if (newest) {
        const struct wal_record *record = &e->records[*newest];
        return (struct row_state){true, record->kind == WAL_ROW, record->document, record->vectors,
                                  record->windows};
    }
    const struct span *at =
        e->asked_count ? bsearch(&key, e->asked, e->asked_count, sizeof key, span_compare_at) : NULL;
    const struct found_row *found = at ? &e->found[at - e->asked] : NULL;
    if (!found || found->where == ROW_NONE)
        return (struct row_state){.known = found != NULL};
    return (struct row_state){true, true, found->document, found->vectors, found->windows};
}

/* ---- judging ----------------------------------------------------------------------------------------- */

/* Returns whether row i of the member is to be written over `state`. */
static bool is_wanted(struct filter_watch *watch, const struct write_member *m, size_t i,
                      const struct row_state *state)
{
    enum index_write_kind kind = m->write->rows[i].kind;
    const struct filter *condition = condition_of(m->write, kind);
    if (!state->exists)
        return kind == INDEX_UPSERT || (kind == INDEX_DELETE && !condition);
    if (!condition)
        return true;
    const struct filter_row row = {m->keys[i], state->document}, incoming = {m->keys[i], m->documents[i]};
    return filter_match(condition, &row, kind == INDEX_DELETE ? NULL : &incoming, watch);
}

/* Sets *out to the record of a row that a patch changes. `document`: the attributes of the patch. */
static enum dp_status patch_record(struct call *call, const struct index_write_row *patch, struct span key,
                                   struct span document, const struct row_state *state, struct wal_record *out)
{
    const bool brings = patch->windows > 0;
    *out = (struct wal_record){.kind = WAL_ROW,
                               .key = key,
                               .windows = brings ? patch->windows : state->windows,
                               .vectors = brings ? patch->vectors : state->vectors};
    enum dp_status status = document_patch(state->document, document, call->arena, &out->document, &call->error);
    if (status) {
        char text[ID_TEXT_MAX];
        dp_error_prefix(&call->error, "id %s", id_describe(key, text));
    }
    return status;
}

/* Sets *out to the record of row i over `state`. */
static enum dp_status make_record(struct call *call, const struct write_member *m, size_t i,
                                  const struct row_state *state, struct wal_record *out)
{
    const struct index_write_row *row = &m->write->rows[i];
    if (row->kind == INDEX_PATCH)
        return patch_record(call, row, m->keys[i], m->documents[i], state, out);
    *out = (struct wal_record){.kind = row->kind == INDEX_DELETE ? WAL_DELETED : WAL_ROW,
                               .key = m->keys[i],
                               .windows = row->windows,
                               .vectors = row->windows ? row->vectors : NULL,
                               .document = m->documents[i]};
    return DP_OK;
}

static uint64_t record_bytes(const struct write_member *m, const struct wal_record *r)
{
    if (r->kind == WAL_KEY)
        return 1 + WAL_KEY_LEN;
    return r->kind == WAL_DELETED ? wal_deleted_bytes(r->key)
                                  : wal_row_bytes(r->key, r->windows, m->vector.dim, r->document);
}

static enum dp_status add_record(struct call *call, struct effects *e, const struct wal_record *record)
{
    struct wal_record *records = arena_reserve(call->arena, e->records, e->count, &e->room, sizeof *records, 64);
    if (!records)
        return call_nomem(call, "a write");
    e->records = records;
    e->records[e->count++] = *record;
    return DP_OK;
}

static void count_row(struct index_write_result *result, enum index_write_kind kind)
{
    switch (kind) {
    case INDEX_UPSERT: result->upserted++; break;
    case INDEX_PATCH: result->patched++; break;
    case INDEX_DELETE: result->deleted++; break;
    default: break;
    }
}

/* Adds a record of a member, and counts it. */
static enum dp_status take_record(struct call *call, struct effects *e, struct write_member *m,
                                  enum index_write_kind kind, const struct wal_record *record)
{
    count_row(&m->result, kind);
    m->result.bytes += record_bytes(m, record);
    return add_record(call, e, record);
}

/* Adds the records of the rows that a member's filter deletes. */
static enum dp_status judge_deletes(struct call *call, struct effects *e, struct write_member *m)
{
    struct filter_watch watch = {.call = call};
    struct chosen_rows *rows = &m->deletes;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < rows->count && status == DP_OK; i++) {
        const struct row_state state = state_of(e, rows->keys[i]);
        const struct filter_row row = {rows->keys[i], state.document};
        const struct wal_record record = {.kind = WAL_DELETED, .key = rows->keys[i]};
        rows->applied[i] =
            !state.known || (state.exists && filter_match(rows->choice->filter, &row, NULL, &watch));
        status = watch.status;
        if (rows->applied[i])
            status = take_record(call, e, m, INDEX_DELETE, &record);
    }
    return status;
}

/* Adds the records of the rows that a member's filter patches. */
static enum dp_status judge_patches(struct call *call, struct effects *e, struct write_member *m)
{
    struct filter_watch watch = {.call = call};
    struct chosen_rows *rows = &m->patches;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < rows->count && status == DP_OK; i++) {
        const struct row_state state = state_of(e, rows->keys[i]);
        const struct filter_row row = {rows->keys[i], state.document};
        struct wal_record record;
        rows->applied[i] = state.exists && filter_match(rows->choice->filter, &row, NULL, &watch);
        status = watch.status;
        if (!rows->applied[i])
            continue;
        status = patch_record(call, &m->write->patch, rows->keys[i], m->patch, &state, &record);
        if (status == DP_OK)
            status = take_record(call, e, m, INDEX_PATCH, &record);
    }
    return status;
}

/* Adds the records of a member's rows. An id occurs once among them, so no row sees another. */
static enum dp_status judge_rows(struct call *call, struct effects *e, struct write_member *m)
{
    struct filter_watch watch = {.call = call};
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < m->write->count && status == DP_OK; i++) {
        const struct row_state state = state_of(e, m->keys[i]);
        struct wal_record record;
        m->result.applied[i] = is_wanted(&watch, m, i, &state);
        status = watch.status;
        if (!m->result.applied[i])
            continue;
        status = make_record(call, m, i, &state, &record);
        if (status == DP_OK)
            status = take_record(call, e, m, m->write->rows[i].kind, &record);
    }
    return status;
}

/* Notes in `newest` that each record from position `from` on is now the newest record of its id. Notes the records
 * of keys of writes in `keys`. */
static enum dp_status note_newest(struct call *call, const struct effects *e, size_t from, struct map *newest,
                                  struct map *keys)
{
    enum dp_status status = DP_OK;
    for (size_t i = from; i < e->count && status == DP_OK; i++) {
        uint64_t *position;
        bool is_key = e->records[i].kind == WAL_KEY;
        status = map_put(is_key ? keys : newest, e->records[i].key, i, &position, NULL, &call->error);
        if (status == DP_OK)
            *position = i;
    }
    return status;
}

/* Adds the records of the steps before a member's rows. `own` becomes their map of newest records. */
static enum dp_status judge_choices(struct call *call, struct effects *e, struct write_member *m, struct map *own)
{
    size_t from = e->count;
    enum dp_status status = judge_deletes(call, e, m);
    if (status == DP_OK)
        status = judge_patches(call, e, m); /* no row is both deleted and patched */
    if (status == DP_OK && e->count > from) {
        status = note_newest(call, e, from, own, NULL);
        e->own = own;
    }
    m->result.remaining = m->deletes.more || m->patches.more;
    return status;
}

/* Finds the write that has counted under the member's key: a write of an earlier member, of the log, or of a
 * fold. */
static bool find_repeated(const struct effects *e, const struct write_member *m, struct write_key *out)
{
    const struct span id = span_of(m->key.id, sizeof m->key.id);
    const uint64_t *own = map_find(&e->keys, id);
    const struct write_key *folded = e->folded ? key_set_find(e->folded, m->key.id) : NULL;
    const struct wal_record *record = own ? &e->records[*own] : NULL;
    if (!record) {
        view_lock(e->view);
        record = tail_find_key(&e->view->locked.tail, id); /* a record is good as long as the view is */
        view_unlock(e->view);
    }
    if (!record && !folded)
        return false;
    *out = record ? write_key_of(record) : *folded;
    return e->now_ms - out->at_ms < WRITE_KEY_MS;
}

/* Gives the member what the write with its key has done. */
static enum dp_status take_repeated(struct call *call, const struct write_key *key, struct write_member *m)
{
    if (key->request != m->key.request)
        return call_fail(
            call, DP_INVALID,
            "another write was sent with the same key in the last 24 hours: give each write its own key");
    /* The member may have been judged before, over a view that lacked the entry with its key. */
    memset(m->result.applied, 0, m->write->count * sizeof(bool));
    if (m->deletes.count)
        memset(m->deletes.applied, 0, m->deletes.count * sizeof(bool));
    if (m->patches.count)
        memset(m->patches.applied, 0, m->patches.count * sizeof(bool));
    m->result.upserted = key->upserted;
    m->result.patched = key->patched;
    m->result.deleted = key->deleted;
    m->result.remaining = key->remaining;
    m->result.repeated = true;
    return DP_OK;
}

/* Adds the record of the member's key. */
static enum dp_status add_key(struct call *call, struct effects *e, struct write_member *m)
{
    const struct index_write_result *r = &m->result;
    uint8_t *bytes = arena_alloc(call->arena, WAL_KEY_LEN);
    if (!bytes)
        return call_nomem(call, "a write");
    m->key.at_ms = e->now_ms;
    m->key.upserted = (uint32_t)r->upserted;
    m->key.patched = (uint32_t)r->patched;
    m->key.deleted = (uint32_t)r->deleted;
    m->key.remaining = r->remaining;
    write_key_put(&m->key, bytes);
    const struct wal_record record = {
        .kind = WAL_KEY, .key = span_of(bytes, WAL_KEY_ID_LEN), .document = span_of(bytes, WAL_KEY_LEN)};
    m->result.bytes += record_bytes(m, &record);
    return add_record(call, e, &record);
}

static enum dp_status judge_member(struct call *call, struct effects *e, struct write_member *m)
{
    const size_t from = e->count;
    struct map own;
    struct write_key repeated;
    m->result = (struct index_write_result){.applied = m->result.applied};
    if (m->write->key.len && find_repeated(e, m, &repeated))
        return take_repeated(call, &repeated, m);
    map_init(&own, WAL_RECORDS_MAX);
    enum dp_status status = judge_choices(call, e, m, &own);
    if (status == DP_OK)
        status = judge_rows(call, e, m);
    if (status == DP_OK && m->write->key.len)
        status = add_key(call, e, m);
    e->own = NULL;
    map_deinit(&own);
    if (status == DP_OK && (m->result.bytes > WAL_ROWS_MAX || e->count - from > WAL_RECORDS_MAX))
        status = call_fail(call, DP_TOO_LARGE,
                           "the write changes %zu rows of about %" PRIu64
                           " bytes, more than %d rows or %d bytes: split it",
                           e->count - from, m->result.bytes, WAL_RECORDS_MAX, WAL_ROWS_MAX);
    return status;
}

bool effects_add(struct call *call, struct effects *e, struct write_member *m)
{
    size_t from = e->count;
    dp_error_clear(&call->error);
    enum dp_status status = e->broken ? call_nomem(call, "a write") : judge_member(call, e, m);
    bool fits = status != DP_OK || from == 0 ||
                (e->bytes + m->result.bytes <= WAL_ROWS_MAX && e->count <= WAL_RECORDS_MAX);
    if (status == DP_OK && fits)
        status = e->broken = note_newest(call, e, from, &e->newest, &e->keys);
    if (status != DP_OK || !fits)
        e->count = from;
    else
        e->bytes += m->result.bytes;
    if (!fits)
        return false;
    m->status = status;
    m->error = call->error;
    dp_error_clear(&call->error);
    return true;
}
