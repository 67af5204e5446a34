/* load/import.c: makes a new namespace of rows that another namespace has exported.
 *
 * An import is a load whose swap begins a life. It knows the schema before the first row comes, and takes rows without
 * vectors. Until its swap there is no such namespace; if somebody else makes one meanwhile, the import fails.
 */
#include "index/transfer.h"

#include <inttypes.h>

#include "index/id.h"
#include "index/load/load.h"
#include "index/load/row_change.h"

enum { MODEL_NAME_MAX = 256, FINGERPRINT_MAX = 128 };

static enum dp_status fail_exists(struct call *call, struct span name)
{
    return call_fail(call, DP_INVALID,
                     "there is a namespace \"%.*s\" already: import under another name, or delete it first",
                     SPAN_FMT(name));
}

/* Fails unless the name and the kind of vectors are possible, and there is no namespace of this name. */
static enum dp_status check_import(struct call *call, struct store *store, struct span name,
                                   const struct index_vectors *v)
{
    struct manifest m;
    enum dp_status status = index_check_name(name, &call->error);
    if (status)
        return status;
    if (v->dim > INDEX_DIM_MAX || v->model.len > MODEL_NAME_MAX || v->fingerprint.len > FINGERPRINT_MAX)
        return call_fail(call, DP_INVALID,
                         "vectors have at most %d dimensions, a model's name %d bytes, a fingerprint %d bytes",
                         INDEX_DIM_MAX, MODEL_NAME_MAX, FINGERPRINT_MAX);
    status = manifest_load(call, store, name, &m, NULL);
    if (status == DP_OK) {
        manifest_deinit(&m);
        return fail_exists(call, name);
    }
    if (status != DP_NOT_FOUND)
        return status;
    dp_error_clear(&call->error);
    return DP_OK;
}

/* Keeps what the new namespace gets beside its rows and its schema. */
static enum dp_status keep_settings(struct call *call, struct index_loader *l,
                                    const struct index_transfer_head *head)
{
    l->begins.read_only = head->read_only;
    l->begins.external = head->external;
    if (head->external.url.len == 0)
        return DP_OK;
    l->begins.external.url = arena_copy(&l->arena, head->external.url);
    l->begins.external.version = arena_copy(&l->arena, head->external.version);
    return l->begins.external.url.data && l->begins.external.version.data ? DP_OK : call_nomem(call, "a load");
}

enum dp_status index_import_begin(struct call *call, struct store *store, struct span name,
                                  const struct index_transfer_head *head, struct team *team,
                                  struct index_loader **out)
{
    struct index_loader *l = NULL;
    *out = NULL;
    enum dp_status status = check_import(call, store, name, &head->vectors);
    if (status == DP_OK)
        status = loader_new(call, store, name, &head->vectors, team, NULL, &l);
    if (status)
        return status;
    l->vectorless = true;
    status = target_look(call, store, l->clock, &l->target, &l->schema, &l->arena);
    if (status == DP_OK && l->target.joins)
        status = fail_exists(call, name);
    if (status == DP_OK)
        status = schema_copy(head->schema, &l->arena, &l->schema, &call->error);
    if (status == DP_OK)
        status = keep_settings(call, l, head);
    if (status) {
        index_load_abort(l);
        return status;
    }
    *out = l;
    return DP_OK;
}

enum dp_status index_import_row(struct call *call, struct index_loader *l, const struct index_transfer_row *row)
{
    struct id_key key;
    char text[ID_TEXT_MAX];
    enum dp_status status = id_encode(row->id, &key, &call->error);
    if (status)
        return status;
    if (l->schema.id_kind != ID_ANY && id_key_kind(id_key_span(&key)) != l->schema.id_kind)
        return call_fail(call, DP_INVALID, "id %s is of another type than the schema's, which is %s",
                         id_describe(id_key_span(&key), text), id_kind_name(l->schema.id_kind));
    if (row->windows && l->target.vectors.dim == 0)
        return call_fail(call, DP_INVALID, "id %s has a vector, but the schema has no \"vector\"",
                         id_describe(id_key_span(&key), text));
    return index_load_row(call, l, row->id, row->vectors, row->windows, row->document);
}

/* ---- the swap -------------------------------------------------------------------------------------------- */

/* The swap of an import. */
struct import_commit {
    struct index_loader *loader;
    struct row_change change;
};

static enum dp_status apply_import(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    struct import_commit *c = context;
    struct index_loader *l = c->loader;
    *needed = true;
    if (exists && m->state == NAMESPACE_LIVE)
        return call_fail(call, DP_CONFLICT,
                         "somebody has made a namespace \"%.*s\" during the import: import under another name",
                         SPAN_FMT(l->target.name));
    manifest_begin_life(m, &l->target.incarnation);
    m->vectors = l->target.vectors;
    m->features |= MANIFEST_FEATURE_LOG;
    m->read_only = l->begins.read_only;
    m->external = l->begins.external;
    if (m->external.url.len)
        m->features |= MANIFEST_FEATURE_EXTERNAL;
    return object_log_status(call, row_change_apply(call, &c->change, m));
}

static void note_import_sent(void *context)
{
    struct import_commit *c = context;
    c->loader->log.sent = true;
}

/* Returns whether the manifest is the import's: nobody else uses its incarnation. */
static bool shows_import(const void *context, const struct manifest *m)
{
    const struct import_commit *c = context;
    return m->state == NAMESPACE_LIVE && ulid_equal(&m->incarnation, &c->loader->target.incarnation);
}

static const struct manifest_edit import_edit = {apply_import, note_import_sent, shows_import, true};

enum dp_status index_import_commit(struct call *call, struct index_loader *l, struct index_load_summary *summary)
{
    struct import_commit c = {.loader = l};
    struct manifest m;
    enum dp_status status = l->broken ? call_fail(call, DP_INVALID, "this load has failed: begin another") : DP_OK;
    if (status == DP_OK && l->waiting.count)
        status = load_build_segment(call, l);
    c.change = (struct row_change){.store = l->store,
                                   .clock = l->clock,
                                   .name = l->target.name,
                                   .arena = &l->arena,
                                   .log = &l->log,
                                   .segments = l->segments,
                                   .segment_count = l->segment_count,
                                   .schema = &l->schema};
    if (status == DP_OK)
        status = manifest_swap(call, l->store, l->target.name, &import_edit, &c, l->clock, &m);
    if (status == DP_OK) {
        *summary = (struct index_load_summary){.rows = l->key_count,
                                               .windows = l->windows,
                                               .segments = l->segment_count,
                                               .bytes = l->log.bytes,
                                               .total_rows = manifest_rows(&m)};
        manifest_deinit(&m);
    } else
        object_log_remove(&l->log, l->store);
    row_change_deinit(&c.change);
    loader_free(l);
    return status;
}
