/* effects.c: judges writes in order, over a view and the writes before them. */
#include "index/wal/effects.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/array.h"
#include "filter/filter.h"
#include "index/id.h"
#include "index/wal/patch.h"

/* A row at the moment when a write comes to it. */
struct row_state {
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

/* Collects the ids that need a look, sorted and once each. Sets *patches if a patch is among them. */
static enum dp_status collect_asked(struct call *call, const struct write_member *first, struct effects *e,
                                    bool *patches)
{
    size_t room = 0, kept = 0;
    for (const struct write_member *m = first; m; m = next_member(m)) {
        for (size_t i = 0; i < m->write->count; i++) {
            if (!needs_row(m->write, &m->write->rows[i]))
                continue;
            *patches = *patches || m->write->rows[i].kind == INDEX_PATCH;
            struct span *asked = arena_reserve(call->arena, e->asked, e->asked_count, &room, sizeof *asked, 64);
            if (!asked)
                return call_nomem(call, "a write");
            e->asked = asked;
            e->asked[e->asked_count++] = m->keys[i];
        }
    }
    if (e->asked_count)
        qsort(e->asked, e->asked_count, sizeof *e->asked, span_compare_at);
    for (size_t i = 0; i < e->asked_count; i++) {
        if (kept == 0 || !span_equal(e->asked[kept - 1], e->asked[i]))
            e->asked[kept++] = e->asked[i];
    }
    e->asked_count = kept;
    return DP_OK;
}

enum dp_status effects_begin(struct call *call, struct view *view, const struct write_member *first,
                             struct effects *out)
{
    bool patches = false;
    *out = (struct effects){.view = view};
    map_init(&out->newest, WAL_RECORDS_MAX);
    enum dp_status status = collect_asked(call, first, out, &patches);
    if (status || out->asked_count == 0) {
        out->at = view_position(view);
        return status;
    }
    out->found = arena_array(call->arena, out->asked_count, sizeof *out->found);
    if (!out->found)
        return call_nomem(call, "a write");
    return index_lookup(call, view, out->asked, out->asked_count, patches ? LOOKUP_WHOLE : LOOKUP_DOCUMENTS,
                        out->found, &out->at);
}

void effects_deinit(struct effects *e)
{
    map_deinit(&e->newest);
}

static struct row_state state_of(const struct effects *e, struct span key)
{
    const uint64_t *newest = map_find(&e->newest, key);
    if (newest) {
        const struct wal_record *record = &e->records[*newest];
        return (struct row_state){record->kind == WAL_ROW, record->document, record->vectors, record->windows};
    }
    const struct span *at =
        e->asked_count ? bsearch(&key, e->asked, e->asked_count, sizeof key, span_compare_at) : NULL;
    const struct found_row *found = at ? &e->found[at - e->asked] : NULL;
    if (!found || found->where == ROW_NONE)
        return (struct row_state){0};
    return (struct row_state){true, found->document, found->vectors, found->windows};
}

/* ---- judging ----------------------------------------------------------------------------------------- */

/* Returns whether row i of the member is to be written over `state`. */
static bool is_wanted(const struct write_member *m, size_t i, const struct row_state *state)
{
    enum index_write_kind kind = m->write->rows[i].kind;
    const struct filter *condition = condition_of(m->write, kind);
    if (!state->exists)
        return kind == INDEX_UPSERT || (kind == INDEX_DELETE && !condition);
    if (!condition)
        return true;
    const struct filter_row row = {m->keys[i], state->document}, incoming = {m->keys[i], m->documents[i]};
    return filter_match(condition, &row, kind == INDEX_DELETE ? NULL : &incoming);
}

/* Sets *out to the record of row i over `state`. */
static enum dp_status make_record(struct call *call, const struct write_member *m, size_t i,
                                  const struct row_state *state, struct wal_record *out)
{
    const struct index_write_row *row = &m->write->rows[i];
    *out = (struct wal_record){.kind = row->kind == INDEX_DELETE ? WAL_DELETED : WAL_ROW,
                               .key = m->keys[i],
                               .windows = row->windows,
                               .vectors = row->windows ? row->vectors : NULL,
                               .document = m->documents[i]};
    if (row->kind != INDEX_PATCH)
        return DP_OK;
    if (!row->windows) {
        out->windows = state->windows;
        out->vectors = state->vectors;
    }
    enum dp_status status =
        document_patch(state->document, m->documents[i], call->arena, &out->document, &call->error);
    if (status) {
        char text[ID_TEXT_MAX];
        dp_error_prefix(&call->error, "id %s", id_describe(m->keys[i], text));
    }
    return status;
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

/* Adds the records of a member's rows. An id occurs once in a member, so no row sees another of the same member. */
static enum dp_status judge_rows(struct call *call, struct effects *e, struct write_member *m)
{
    struct index_write_result *result = &m->result;
    enum dp_status status = DP_OK;
    *result = (struct index_write_result){.applied = result->applied};
    for (size_t i = 0; i < m->write->count && status == DP_OK; i++) {
        const struct row_state state = state_of(e, m->keys[i]);
        struct wal_record record;
        result->applied[i] = is_wanted(m, i, &state);
        if (!result->applied[i])
            continue;
        status = make_record(call, m, i, &state, &record);
        if (status == DP_OK)
            status = add_record(call, e, &record);
        count_row(result, m->write->rows[i].kind);
        if (status == DP_OK)
            result->bytes += wal_row_bytes(record.key, record.windows, m->vector.dim, record.document);
    }
    if (status == DP_OK && result->bytes > WAL_ROWS_MAX)
        status = call_fail(call, DP_TOO_LARGE,
                           "the patched rows have about %" PRIu64 " bytes, more than %d: split the write",
                           result->bytes, WAL_ROWS_MAX);
    return status;
}

/* Notes that each record from position `from` on is now the newest record of its id. */
static enum dp_status note_newest(struct call *call, struct effects *e, size_t from)
{
    enum dp_status status = DP_OK;
    for (size_t i = from; i < e->count && status == DP_OK; i++) {
        uint64_t *newest;
        status = map_put(&e->newest, e->records[i].key, i, &newest, NULL, &call->error);
        if (status == DP_OK)
            *newest = i;
    }
    return status;
}

bool effects_add(struct call *call, struct effects *e, struct write_member *m)
{
    size_t from = e->count;
    dp_error_clear(&call->error);
    enum dp_status status = e->broken ? call_nomem(call, "a write") : judge_rows(call, e, m);
    bool fits = status != DP_OK || from == 0 || e->bytes + m->result.bytes <= WAL_ROWS_MAX;
    if (status == DP_OK && fits)
        status = e->broken = note_newest(call, e, from);
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
