/* row_change.c: edits a manifest: marks superseded rows of listed segments as deleted, and adds segments. */
#include "index/load/row_change.h"

#include <inttypes.h>
#include <stdlib.h>

/* What a change does to one older segment. */
struct superseded {
    struct ulid segment;
    struct row_set rows; /* rows whose ids the change brings again */
    bool written;        /* a try has computed `after`, from a segment whose .del object was `base` */
    bool had_base;       /* whether that segment had a .del object */
    struct ulid base;
    uint64_t fresh;                /* how many of `rows` were not deleted before */
    struct manifest_segment after; /* the segment's new entry in the manifest */
    struct superseded *next;
};

/* ---- superseded rows ------------------------------------------------------------------------------------- */

enum dp_status row_change_know(struct call *call, struct row_change *c, const struct ulid *segment,
                               struct row_set *rows)
{
    struct superseded *s = arena_calloc(c->arena, 1, sizeof *s);
    if (!s) {
        row_set_deinit(rows);
        return call_nomem(call, "a commit");
    }
    s->segment = *segment;
    s->rows = *rows;
    s->next = c->superseded;
    c->superseded = s;
    *rows = (struct row_set){0};
    return DP_OK;
}

static enum dp_status find_superseded(struct call *call, struct row_change *c, const struct segment_place *place,
                                      struct superseded **out)
{
    for (struct superseded *s = c->superseded; s; s = s->next) {
        if (ulid_equal(&s->segment, &place->listed->id)) {
            *out = s;
            return DP_OK;
        }
    }
    struct row_set rows;
    enum dp_status status = supersede_find(call, place, c->keys, c->key_count, &rows);
    if (status == DP_OK)
        status = row_change_know(call, c, &place->listed->id, &rows);
    if (status == DP_OK)
        *out = c->superseded;
    return status;
}

enum dp_status put_deleted_rows(struct call *call, const struct index_clock *clock,
                                const struct segment_place *place, const struct manifest *m,
                                const struct row_set *all, struct object_log *log, struct manifest_segment *out)
{
    struct object_key key;
    struct buffer bytes;
    buffer_init(&bytes, DELETED_FIXED_LEN + 10 * (size_t)all->rows);
    deleted_write(all, &place->listed->id, &bytes);
    enum dp_status status = buffer_check(&bytes, "deleted rows", &call->error);
    if (status == DP_OK)
        status = ulid_new(clock, &m->horizon, manifest_store_ms(m, clock), &out->deletion, &call->error);
    if (status == DP_OK) {
        key_of_del(&key, place->name, &m->incarnation, &place->listed->id, &out->deletion);
        status = object_log_note(call, log, &key);
    }
    if (status == DP_OK) {
        struct store_put put = {
            .key = object_key_span(&key), .body = buffer_span(&bytes), .condition = STORE_IF_ABSENT};
        status = store_put(call, place->store, &put);
    }
    if (status == DP_OK) {
        out->has_deleted = true;
        out->deleted_owner = 0;
        out->deleted_rows = all->count;
        out->deleted_size = bytes.len;
        log->bytes += bytes.len;
    }
    buffer_deinit(&bytes);
    return status;
}

/* Computes the new entry of a segment, and puts its .del object: the rows deleted before, and those that the change
 * supersedes. */
static enum dp_status write_deleted(struct call *call, struct row_change *c, const struct segment_place *place,
                                    const struct manifest *m, struct superseded *s)
{
    struct row_set all;
    enum dp_status status = supersede_read_deleted(call, place, &all);
    if (status)
        return status;
    uint64_t before = all.count;
    for (uint64_t row = 0; row < s->rows.rows; row++) {
        if (row_set_has(&s->rows, row))
            row_set_add(&all, row);
    }
    s->after = *place->listed;
    s->fresh = all.count - before;
    s->after.deleted_rows = all.count;
    s->had_base = place->listed->has_deleted;
    s->base = place->listed->deletion;
    /* The manifest no longer lists a segment without a row left, so such a segment needs no .del object. */
    if (s->fresh != 0 && all.count != all.rows)
        status = put_deleted_rows(call, c->clock, place, m, &all, c->log, &s->after);
    s->written = status == DP_OK;
    row_set_deinit(&all);
    return status;
}

/* Returns whether the entry and the .del object of an earlier try are still right. */
static bool still_holds(const struct superseded *s, const struct manifest_segment *listed,
                        const struct ulid *horizon)
{
    return s->written && s->had_base == listed->has_deleted &&
           (!s->had_base || ulid_equal(&s->base, &listed->deletion)) &&
           (s->fresh == 0 || memcmp(s->after.deletion.text, horizon->text, ULID_LEN) > 0);
}

/* Replaces the manifest's entries of older segments, and drops segments without a row left. */
static enum dp_status supersede_rows(struct call *call, struct row_change *c, struct manifest *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->segment_count; i++) {
        struct segment_place place = {c->store, c->name, m, &m->segments[i]};
        struct superseded *s = NULL;
        enum dp_status status = find_superseded(call, c, &place, &s);
        if (status)
            return status;
        if (s->rows.count == 0) {
            m->segments[kept++] = m->segments[i];
            continue;
        }
        if (!still_holds(s, &m->segments[i], &m->horizon))
            status = write_deleted(call, c, &place, m, s);
        if (status)
            return status;
        c->replaced += s->fresh;
        if (s->after.deleted_rows < s->after.rows)
            m->segments[kept++] = s->after;
    }
    m->segment_count = kept;
    return DP_OK;
}

/* ---- segments -------------------------------------------------------------------------------------------- */

static enum dp_status check_totals(struct call *call, const struct row_change *c, const struct manifest *m)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < m->segment_count; i++)
        rows += m->segments[i].rows;
    if (rows > NAMESPACE_ROWS_MAX)
        return call_fail(call, DP_TOO_LARGE,
                         "namespace \"%.*s\" would hold %" PRIu64
                         " rows with those that were replaced, more than %d: "
                         "load into another namespace",
                         SPAN_FMT(c->name), rows, NAMESPACE_ROWS_MAX);
    if (m->segment_count > MANIFEST_SEGMENTS_MAX)
        return call_fail(call, DP_TOO_LARGE,
                         "namespace \"%.*s\" would have %zu segments, more than %d: load into another namespace",
                         SPAN_FMT(c->name), m->segment_count, MANIFEST_SEGMENTS_MAX);
    return DP_OK;
}

enum dp_status row_change_check_horizon(struct call *call, const struct row_change *c, const struct manifest *m)
{
    for (size_t i = 0; i < c->segment_count; i++) {
        if (memcmp(c->segments[i].id.text, m->horizon.text, ULID_LEN) <= 0)
            return call_fail(call, DP_CONFLICT,
                             "the load took so long that its first objects may have been collected: load again");
    }
    return DP_OK;
}

static enum dp_status add_segments(struct call *call, const struct row_change *c, struct manifest *m)
{
    struct manifest_segment *all = arena_array(&m->arena, m->segment_count + c->segment_count + 1, sizeof *all);
    if (!all)
        return call_nomem(call, "a manifest");
    if (m->segment_count)
        memcpy(all, m->segments, m->segment_count * sizeof *all);
    enum dp_status status = row_change_check_horizon(call, c, m);
    if (status)
        return status;
    for (size_t i = 0; i < c->segment_count; i++)
        all[m->segment_count + i] = c->segments[i];
    m->segments = all;
    m->segment_count += c->segment_count;
    qsort(all, m->segment_count, sizeof *all, manifest_compare_segments);
    return check_totals(call, c, m);
}

/* ---- the change ------------------------------------------------------------------------------------------ */

enum dp_status row_change_apply(struct call *call, struct row_change *c, struct manifest *m)
{
    c->replaced = 0;
    enum dp_status status = c->key_count || c->superseded ? supersede_rows(call, c, m) : DP_OK;
    if (status == DP_OK)
        status = add_segments(call, c, m);
    if (status == DP_OK && c->schema)
        status = schema_join(&m->schema, &m->arena, c->schema, &call->error);
    return status;
}

bool row_change_shows(const struct row_change *c, const struct manifest *m)
{
    bool shows = false;
    for (size_t i = 0; i < c->segment_count && !shows; i++) {
        const struct ulid *id = &c->segments[i].id;
        shows = manifest_has_segment(m->segments, m->segment_count, id);
        for (size_t k = 0; k < m->pending_count && !shows; k++)
            shows = manifest_has_segment(m->pending[k].segments, m->pending[k].segment_count, id);
    }
    return shows;
}

void row_change_deinit(struct row_change *c)
{
    for (struct superseded *s = c->superseded; s; s = s->next)
        row_set_deinit(&s->rows);
    c->superseded = NULL;
}
