/* commit.c: makes a load visible by one swap of the manifest (manifest/swap.h).
 *
 * Each try of the swap puts the load's rows into the manifest (load/row_change.h). If another load or deletion was
 * first, the next try does this again over the newer manifest. If the namespace has a log, the swap only makes the load
 * pending, and a log entry makes it visible (load/by_log.h).
 *
 * A load belongs to the incarnation of the namespace that it began on. Once that incarnation has ended, the load
 * commits nothing. Once the load has sent a manifest, it removes none of its objects, whatever the store answered.
 */
#include "index/load/load.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "index/load/by_log.h"

enum { COPY_LEN = 8 * 1024 * 1024 };

struct commit {
    struct index_loader *loader;
    struct span *keys; /* [loader->key_count], sorted */
    struct row_change change;
    bool by_log;      /* the latest try has made the load pending */
    struct ulid load; /* if by_log: ULID of the pending load */
};

static enum dp_status sort_keys(struct call *call, struct commit *c)
{
    struct index_loader *l = c->loader;
    c->keys = mem_calloc(l->key_count + 1, sizeof *c->keys);
    if (!c->keys)
        return call_nomem(call, "a commit");
    if (l->key_count)
        memcpy(c->keys, l->keys, l->key_count * sizeof *c->keys);
    qsort(c->keys, l->key_count, sizeof *c->keys, span_compare_at);
    c->change = (struct row_change){.store = l->store,
                                    .clock = l->clock,
                                    .name = l->target.name,
                                    .arena = &l->arena,
                                    .log = &l->log,
                                    .keys = c->keys,
                                    .key_count = l->key_count,
                                    .segments = l->segments,
                                    .segment_count = l->segment_count,
                                    .schema = &l->schema};
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
    bool live = exists && m->state == NAMESPACE_LIVE;
    bool same = live && ulid_equal(&l->target.incarnation, &m->incarnation);
    if (l->target.joins)
        return same ? DP_OK : fail_ended(call, l);
    if (live)
        return same ? DP_OK : move_segments(call, l, m);
    manifest_begin_life(m, &l->target.incarnation);
    m->vectors = l->target.vectors;
    return for_each_own(&own, check_own); /* a removal of the namespace may have removed the load's objects */
}

/* ---- the swap -------------------------------------------------------------------------------------------- */

static enum dp_status apply_load(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    struct commit *c = context;
    struct index_loader *l = c->loader;
    bool live = exists && m->state == NAMESPACE_LIVE;
    enum dp_status status = live ? target_check_vectors(&l->target, m, &call->error) : DP_OK;
    *needed = !live || l->segment_count > 0;
    if (status == DP_OK)
        status = join_life(call, l, m, exists);
    if (status == DP_OK && live)
        status = target_check_writable(call, l->store, &l->target, m);
    c->by_log = status == DP_OK && *needed && (m->features & MANIFEST_FEATURE_LOG) != 0;
    if (c->by_log)
        status = by_log_add_pending(call, l, &c->change, &c->load, m);
    else if (status == DP_OK && *needed)
        status = row_change_apply(call, &c->change, m);
    return object_log_status(call, status);
}

static void note_sent(void *context)
{
    struct commit *c = context;
    c->loader->log.sent = true;
}

static bool shows_load(const void *context, const struct manifest *m)
{
    const struct commit *c = context;
    return row_change_shows(&c->change, m);
}

static const struct manifest_edit load_edit = {apply_load, note_sent, shows_load, true};

static void summarise_load(const struct commit *c, const struct manifest *m, struct index_load_summary *out)
{
    const struct index_loader *l = c->loader;
    *out = (struct index_load_summary){.rows = l->key_count,
                                       .replaced = c->change.replaced,
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
    if (status == DP_OK)
        status = manifest_swap(call, l->store, l->target.name, &load_edit, &c, l->clock, &m);
    if (status == DP_OK) {
        summarise_load(&c, &m, summary);
        manifest_deinit(&m);
        if (c.by_log)
            status = by_log_attach(call, l, &c.load, summary);
    } else {
        if (c.by_log) /* a pending load without an entry never counts */
            status = object_log_status(call, status);
        object_log_remove(&l->log, l->store);
    }
    advise_reload(status, &call->error);
    row_change_deinit(&c.change);
    mem_free(c.keys);
    loader_free(l);
    return status;
}
