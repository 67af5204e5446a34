/* commit.c: makes a load visible by one swap of the manifest (manifest/swap.h).
 *
 * Each try of the swap joins the schema, finds the rows of older segments that the load replaces, writes .del
 * objects for those segments, and adds the load's segments. If another load or deletion was first, the next try
 * does all this again over the newer manifest. It keeps the results for segments that the newer manifest
 * still lists.
 *
 * A load belongs to the incarnation of the namespace that it began on. Once that incarnation has ended, the load
 * commits nothing. Once the load has sent a manifest, it removes none of its objects, whatever the store answered.
 */
#include "index/load/load.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "index/load/supersede.h"

enum { COPY_LEN = 8 * 1024 * 1024 };

/* The changes of a load to one older segment. */
struct superseded {
    struct ulid segment;
    struct row_set rows; /* rows whose ids the load brings again */
    bool written;        /* a try has computed `after`, from a segment whose .del object was `base` */
    bool had_base;       /* whether that segment had a .del object */
    struct ulid base;
    uint64_t fresh;                /* how many of `rows` were not deleted before */
    struct manifest_segment after; /* the segment's new entry in the manifest */
    struct superseded *next;
};

struct commit {
    struct index_loader *loader;
    struct span *keys; /* [loader->key_count], sorted */
    struct superseded *superseded;
    uint64_t replaced;
};

static int compare_load_keys(const void *a, const void *b)
{
    const struct span *left = a, *right = b;
    return span_compare(*left, *right);
}

static enum dp_status sort_keys(struct call *call, struct commit *c)
{
    struct index_loader *l = c->loader;
    c->keys = mem_calloc(l->key_count + 1, sizeof *c->keys);
    if (!c->keys)
        return call_nomem(call, "a commit");
    if (l->key_count)
        memcpy(c->keys, l->keys, l->key_count * sizeof *c->keys);
    qsort(c->keys, l->key_count, sizeof *c->keys, compare_load_keys);
    return DP_OK;
}

/* ---- the load's own objects ------------------------------------------------------------------------------ */

/* A walk over the objects of the load's segments. */
struct own_objects {
    struct call *call;
    struct index_loader *loader;
    const struct ulid *to; /* the incarnation that receives copies */
};

static enum dp_status for_each_own(struct own_objects *own, manifest_object_fn *fn)
{
    const struct index_loader *l = own->loader;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < l->segment_count && status == DP_OK; i++)
        status = segment_for_each_object(&l->segments[i], fn, own);
    return status;
}

static enum dp_status fail_ended(struct call *call, const struct index_loader *l)
{
    return call_fail(
        call, DP_CONFLICT,
        "namespace \"%.*s\" was removed while rows were loaded into it; none of them was kept: load again",
        SPAN_FMT(l->target.name));
}

static enum dp_status check_own(void *context, const struct manifest_object *object)
{
    const struct own_objects *own = context;
    struct object_key key;
    struct store_info info;
    key_of_object(&key, own->loader->target.name, &own->loader->target.incarnation, object);
    enum dp_status status = store_head(own->call, own->loader->store, object_key_span(&key), &info);
    if (status == DP_NOT_FOUND || (status == DP_OK && info.size != object->size))
        return fail_ended(own->call, own->loader);
    return status;
}

static enum dp_status copy_object(struct call *call, struct index_loader *l, const struct object_key *from,
                                  const struct object_key *to, uint64_t size)
{
    struct store_upload *upload = NULL;
    enum dp_status status = object_log_note(call, &l->log, to);
    if (status == DP_OK)
        status = store_upload_begin(call, l->store, object_key_span(to), &upload);
    for (uint64_t at = 0; at < size && status == DP_OK; at += COPY_LEN) {
        struct store_read_req req = {.key = object_key_span(from),
                                     .offset = at,
                                     .len = (int64_t)(size - at < COPY_LEN ? size - at : COPY_LEN)};
        status = store_read(call, l->store, &req, 1);
        if (status == DP_OK)
            status = store_upload_write(call, upload, req.bytes.span);
        store_read_release(&req, 1);
    }
    if (status) {
        store_upload_abort(upload);
        return status;
    }
    struct store_version version;
    return store_upload_finish(call, upload, &version);
}

static enum dp_status copy_own(void *context, const struct manifest_object *object)
{
    const struct own_objects *own = context;
    struct object_key from, to;
    key_of_object(&from, own->loader->target.name, &own->loader->target.incarnation, object);
    key_of_object(&to, own->loader->target.name, own->to, object);
    enum dp_status status = copy_object(own->call, own->loader, &from, &to, object->size);
    return status == DP_NOT_FOUND ? fail_ended(own->call, own->loader) : status;
}

static enum dp_status remove_own(void *context, const struct manifest_object *object)
{
    const struct own_objects *own = context;
    struct object_key key;
    key_of_object(&key, own->loader->target.name, &own->loader->target.incarnation, object);
    store_remove(own->call, own->loader->store, object_key_span(&key)); /* after a failure the object is garbage */
    return DP_OK;
}

/* Copies the load's objects into the incarnation of `m`. Two loads may begin a new namespace at once; the load
 * that commits second moves into the incarnation of the first. */
static enum dp_status move_segments(struct call *call, struct index_loader *l, const struct manifest *m)
{
    struct own_objects own = {call, l, &m->incarnation};
    enum dp_status status = for_each_own(&own, copy_own);
    if (status)
        return status;
    if (!l->log.sent)
        for_each_own(&own, remove_own);
    dp_error_clear(&call->error);
    l->target.incarnation = m->incarnation;
    l->target.joins = true;
    return DP_OK;
}

/* Checks that the namespace still has the incarnation that the load began on. If the load began on none, makes its
 * incarnation the namespace's first one, or moves the load into the one that exists now. */
static enum dp_status join_life(struct call *call, struct index_loader *l, struct manifest *m, bool exists)
{
    struct own_objects own = {call, l, NULL};
    bool same = exists && ulid_equal(&l->target.incarnation, &m->incarnation);
    if (l->target.joins)
        return same ? DP_OK : fail_ended(call, l);
    if (exists)
        return same ? DP_OK : move_segments(call, l, m);
    m->incarnation = l->target.incarnation;
    m->vectors = l->target.vectors;
    return for_each_own(&own, check_own); /* a removal of the namespace may have removed the load's objects */
}

/* ---- rows that the load replaces ------------------------------------------------------------------------- */

static enum dp_status find_superseded(struct call *call, struct commit *c, const struct segment_place *place,
                                      struct superseded **out)
{
    for (struct superseded *s = c->superseded; s; s = s->next) {
        if (ulid_equal(&s->segment, &place->listed->id)) {
            *out = s;
            return DP_OK;
        }
    }
    struct superseded *s = arena_calloc(&c->loader->arena, 1, sizeof *s);
    if (!s)
        return call_nomem(call, "a commit");
    enum dp_status status = supersede_find(call, place, c->keys, c->loader->key_count, &s->rows);
    if (status)
        return status;
    s->segment = place->listed->id;
    s->next = c->superseded;
    c->superseded = s;
    *out = s;
    return DP_OK;
}

/* Puts the .del object of a segment. Its ULID comes after the horizon, which cannot move before the swap. */
static enum dp_status put_deleted_rows(struct call *call, struct index_loader *l,
                                       const struct segment_place *place, const struct ulid *horizon,
                                       const struct row_set *all, struct superseded *s)
{
    struct object_key key;
    struct buffer bytes;
    buffer_init(&bytes, DELETED_FIXED_LEN + 10 * (size_t)all->rows);
    deleted_write(all, &s->segment, &bytes);
    enum dp_status status = buffer_check(&bytes, "deleted rows", &call->error);
    if (status == DP_OK)
        status = ulid_new(horizon, &s->after.deletion, &call->error);
    if (status == DP_OK) {
        key_of_del(&key, l->target.name, &place->incarnation, &s->segment, &s->after.deletion);
        status = object_log_note(call, &l->log, &key);
    }
    if (status == DP_OK) {
        struct store_put put = {
            .key = object_key_span(&key), .body = buffer_span(&bytes), .condition = STORE_IF_ABSENT};
        status = store_put(call, l->store, &put);
    }
    if (status == DP_OK) {
        s->after.has_deleted = true;
        s->after.deleted_size = bytes.len;
        l->log.bytes += bytes.len;
    }
    buffer_deinit(&bytes);
    return status;
}

/* Computes the new entry of a segment, and puts its .del object: the rows deleted before, and those that the load
 * replaces. */
static enum dp_status write_deleted(struct call *call, struct commit *c, const struct segment_place *place,
                                    const struct ulid *horizon, struct superseded *s)
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
        status = put_deleted_rows(call, c->loader, place, horizon, &all, s);
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
static enum dp_status supersede_rows(struct call *call, struct commit *c, struct manifest *m)
{
    struct index_loader *l = c->loader;
    size_t kept = 0;
    c->replaced = 0;
    for (size_t i = 0; i < m->segment_count; i++) {
        struct segment_place place = {l->store, l->target.name, m->incarnation, m->vectors.dim, &m->segments[i]};
        struct superseded *s = NULL;
        enum dp_status status = find_superseded(call, c, &place, &s);
        if (status)
            return status;
        if (s->rows.count == 0) {
            m->segments[kept++] = m->segments[i];
            continue;
        }
        if (!still_holds(s, &m->segments[i], &m->horizon))
            status = write_deleted(call, c, &place, &m->horizon, s);
        if (status)
            return status;
        c->replaced += s->fresh;
        if (s->after.deleted_rows < s->after.rows)
            m->segments[kept++] = s->after;
    }
    m->segment_count = kept;
    return DP_OK;
}

/* ---- the swap -------------------------------------------------------------------------------------------- */

static int compare_segments(const void *a, const void *b)
{
    const struct manifest_segment *left = a, *right = b;
    return memcmp(left->id.text, right->id.text, ULID_LEN);
}

/* Adds the load's segments and its schema to the manifest. */
static enum dp_status attach_segments(struct call *call, struct index_loader *l, struct manifest *m)
{
    struct manifest_segment *all = arena_array(&m->arena, m->segment_count + l->segment_count + 1, sizeof *all);
    if (!all)
        return call_nomem(call, "a manifest");
    if (m->segment_count)
        memcpy(all, m->segments, m->segment_count * sizeof *all);
    for (size_t i = 0; i < l->segment_count; i++) {
        if (memcmp(l->segments[i].id.text, m->horizon.text, ULID_LEN) <= 0)
            return call_fail(call, DP_CONFLICT,
                             "the load took so long that its first objects may have been collected: load again");
        all[m->segment_count + i] = l->segments[i];
    }
    m->segments = all;
    m->segment_count += l->segment_count;
    qsort(all, m->segment_count, sizeof *all, compare_segments);
    uint64_t rows = 0;
    for (size_t i = 0; i < m->segment_count; i++)
        rows += all[i].rows;
    if (rows > NAMESPACE_ROWS_MAX)
        return call_fail(call, DP_TOO_LARGE,
                         "namespace \"%.*s\" would hold %" PRIu64
                         " rows with those that were replaced, more than %d: "
                         "load into another namespace",
                         SPAN_FMT(l->target.name), rows, NAMESPACE_ROWS_MAX);
    if (m->segment_count > MANIFEST_SEGMENTS_MAX)
        return call_fail(call, DP_TOO_LARGE,
                         "namespace \"%.*s\" would have %zu segments, more than %d: load into another namespace",
                         SPAN_FMT(l->target.name), m->segment_count, MANIFEST_SEGMENTS_MAX);
    return schema_join(&m->schema, &m->arena, &l->schema, &call->error);
}

static enum dp_status apply_load(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    struct commit *c = context;
    struct index_loader *l = c->loader;
    enum dp_status status = exists ? target_check_vectors(&l->target, m, &call->error) : DP_OK;
    *needed = !exists || l->segment_count > 0;
    if (status == DP_OK)
        status = join_life(call, l, m, exists);
    if (status == DP_OK && exists)
        status = target_check_log(call, l->store, &l->target, m);
    if (status == DP_OK && *needed)
        status = supersede_rows(call, c, m);
    if (status == DP_OK && *needed)
        status = attach_segments(call, l, m);
    return object_log_status(call, status);
}

static void note_sent(void *context)
{
    struct commit *c = context;
    c->loader->log.sent = true;
}

/* Returns whether the manifest lists a segment of this load. Nobody uses a segment's ULID twice, so only this
 * load's swap can have listed it. */
static bool shows_load(const void *context, const struct manifest *m)
{
    const struct commit *c = context;
    const struct index_loader *l = c->loader;
    for (size_t i = 0; i < l->segment_count; i++) {
        for (size_t k = 0; k < m->segment_count; k++) {
            if (ulid_equal(&l->segments[i].id, &m->segments[k].id))
                return true;
        }
    }
    return false;
}

static const struct manifest_edit load_edit = {apply_load, note_sent, shows_load};

static void summarise_load(const struct commit *c, const struct manifest *m, struct index_load_summary *out)
{
    const struct index_loader *l = c->loader;
    *out = (struct index_load_summary){.rows = l->key_count,
                                       .replaced = c->replaced,
                                       .windows = l->windows,
                                       .segments = l->segment_count,
                                       .bytes = l->log.bytes,
                                       .total_rows = manifest_rows(m)};
}

/* Adds advice to the error of a failed commit whose rows may be visible. */
static void advise_reload(enum dp_status status, struct dp_error *error)
{
    if (status == DP_UNKNOWN)
        dp_error_prefix(
            error, "it is not known whether the rows were committed; load the same rows again, which is safe");
    if (status == DP_NOT_DURABLE)
        dp_error_prefix(error,
                        "the rows can be read, but a crash of the host may lose them; check the disk and load the "
                        "same rows again");
}

enum dp_status index_load_commit(struct call *call, struct index_loader *l, struct index_load_summary *summary)
{
    struct commit c = {.loader = l};
    struct manifest m;
    enum dp_status status = l->broken ? call_fail(call, DP_INVALID, "this load has failed: begin another") : DP_OK;
    if (status == DP_OK && l->waiting.count)
        status = load_build_segment(call, l);
    if (status == DP_OK)
        status = sort_keys(call, &c);
    if (status == DP_OK) {
        status = manifest_swap(call, l->store, l->target.name, &l->writer, &load_edit, &c, l->clock, &m);
        advise_reload(status, &call->error);
    }
    if (status == DP_OK) {
        summarise_load(&c, &m, summary);
        manifest_deinit(&m);
    } else
        object_log_remove(&l->log, l->store);
    for (struct superseded *s = c.superseded; s; s = s->next)
        row_set_deinit(&s->rows);
    mem_free(c.keys);
    loader_free(l);
    return status;
}
