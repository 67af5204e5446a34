/* commit.c: makes a load visible by one swap of the manifest.
 *
 * Each try reads the manifest anew, joins the schema, finds the rows of older segments that the load replaces,
 * writes their .del objects, and puts the manifest under the condition that it is still the one it read. When
 * another writer was first, all this is done again over what that writer left; what was looked up in segments
 * that are still listed is kept.
 *
 * A put whose answer was lost is resolved by the writer's ULID: the manifest remembers its latest writers, so
 * that reading it tells whether the swap happened. That it did not happen is certain only when the manifest has
 * another version than the put expected: until then the put may still be on its way. While it cannot be told,
 * nothing that the manifest might list is removed, and the answer is DP_UNKNOWN.
 */
#include "index/load.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "index/supersede.h"
#include "os/clock.h"

enum { TRIES = 32, COPY_LEN = 8 * 1024 * 1024 };

/* What a load does to one older segment. */
struct superseded {
    struct ulid segment;
    struct row_set rows; /* whose ids the load brings anew */
    bool written;        /* `after` holds for segments whose .del was `base` */
    bool had_base;
    struct ulid base;
    uint64_t fresh; /* rows of `rows` that were live */
    struct manifest_segment after;
    struct superseded *next;
};

struct commit {
    struct index_loader *loader;
    struct span *keys; /* [loader->key_count], sorted */
    struct superseded *superseded;
    struct manifest manifest; /* as read, then as to be written */
    bool exists;
    struct store_version version;
    uint64_t replaced;
    bool done;   /* an earlier try of ours has landed */
    bool unsure; /* one may have */
    bool lost;   /* its answer was lost: it may land while what it expected is there */
    bool expects;
    struct store_version expected; /* expects: the manifest that the lost put replaces; else there was none */
};

static int compare_keys(const void *a, const void *b)
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
    qsort(c->keys, l->key_count, sizeof *c->keys, compare_keys);
    return DP_OK;
}

/* Whether a put whose answer was lost can still land: what it expected is still there. */
static bool may_land(const struct commit *c, bool exists, const struct store_version *version)
{
    return c->lost && c->expects == exists && (!exists || store_version_equal(&c->expected, version));
}

/* ---- reading what is there ----------------------------------------------------------------------------- */

static enum dp_status read_manifest(struct call *call, struct commit *c)
{
    struct index_loader *l = c->loader;
    struct manifest *m = &c->manifest;
    manifest_deinit(m);
    enum dp_status status = manifest_load(call, l->store, l->name, m, &c->version);
    c->exists = status == DP_OK;
    if (status == DP_OK || status == DP_NOT_FOUND) {
        c->done = c->exists && manifest_has_writer(m, &l->writer);
        c->lost = may_land(c, c->exists, &c->version);
        c->unsure = c->lost;
    }
    if (status == DP_NOT_FOUND) {
        dp_error_clear(&call->error);
        manifest_init(m);
        m->incarnation = l->incarnation;
        m->dim = l->dim;
        m->metric = l->metric;
        m->model = l->model;
        m->fingerprint = l->fingerprint;
        m->created_ms = m->updated_ms = os_wall_ms();
        return DP_OK;
    }
    if (status)
        return status;
    return c->done ? DP_OK : load_check_vectors(l, m, &call->error);
}

/* ---- objects that were written for another incarnation --------------------------------------------------- */

static enum dp_status copy_object(struct call *call, struct index_loader *l, const struct object_key *from,
                                  const struct object_key *to, uint64_t size)
{
    struct store_upload *upload = NULL;
    enum dp_status status = load_note(call, l, to);
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

/* Two loads may have begun a new namespace at once. The one that came second writes into the incarnation of
 * the first. */
static enum dp_status move_segments(struct call *call, struct commit *c)
{
    struct index_loader *l = c->loader;
    struct object_key from, to;
    if (ulid_equal(&l->incarnation, &c->manifest.incarnation))
        return DP_OK;
    for (size_t i = 0; i < l->segment_count; i++) {
        const struct manifest_segment *s = &l->segments[i];
        key_of_ivf(&from, l->name, &l->incarnation, &s->id);
        key_of_ivf(&to, l->name, &c->manifest.incarnation, &s->id);
        enum dp_status status = copy_object(call, l, &from, &to, s->ivf_size);
        if (status)
            return status;
        key_of_dpr(&from, l->name, &l->incarnation, &s->id);
        key_of_dpr(&to, l->name, &c->manifest.incarnation, &s->id);
        if ((status = copy_object(call, l, &from, &to, s->dpr_size)) != DP_OK)
            return status;
    }
    l->incarnation = c->manifest.incarnation;
    return DP_OK;
}

/* ---- rows that the load replaces ------------------------------------------------------------------------- */

static enum dp_status lookup(struct call *call, struct commit *c, const struct segment_place *place,
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

/* Writes the .del object of a segment: what was deleted before and what the load replaces. */
static enum dp_status write_deleted(struct call *call, struct commit *c, const struct segment_place *place,
                                    struct superseded *s)
{
    struct index_loader *l = c->loader;
    struct object_key key;
    struct buffer bytes;
    struct row_set all;
    enum dp_status status = supersede_read_deleted(call, place, &all);
    if (status)
        return status;
    buffer_init(&bytes, DELETED_FIXED_LEN + 10 * (size_t)all.rows);
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
    if (s->fresh == 0 || all.count == all.rows)
        goto out; /* nothing new; or nothing left, and the segment is no longer listed */
    deleted_write(&all, &s->segment, &bytes);
    if ((status = buffer_check(&bytes, "deleted rows", &call->error)) != DP_OK ||
        (status = os_ulid(s->after.deletion.text, &call->error)) != DP_OK)
        goto out;
    key_of_del(&key, l->name, &place->incarnation, &s->segment, &s->after.deletion);
    struct store_put put = {
        .key = object_key_span(&key), .body = buffer_span(&bytes), .condition = STORE_IF_ABSENT};
    if ((status = load_note(call, l, &key)) != DP_OK || (status = store_put(call, l->store, &put)) != DP_OK)
        goto out;
    s->after.has_deleted = true;
    s->after.deleted_size = bytes.len;
    l->bytes_written += bytes.len;
out:
    s->written = status == DP_OK;
    buffer_deinit(&bytes);
    row_set_deinit(&all);
    return status;
}

static bool same_base(const struct superseded *s, const struct manifest_segment *listed)
{
    return s->written && s->had_base == listed->has_deleted &&
           (!s->had_base || ulid_equal(&s->base, &listed->deletion));
}

/* Replaces the older segments' entries; those without a row left are dropped. */
static enum dp_status supersede(struct call *call, struct commit *c)
{
    struct index_loader *l = c->loader;
    struct manifest *m = &c->manifest;
    size_t kept = 0;
    c->replaced = 0;
    for (size_t i = 0; i < m->segment_count; i++) {
        struct segment_place place = {l->store, l->name, m->incarnation, m->dim, &m->segments[i]};
        struct superseded *s = NULL;
        enum dp_status status = lookup(call, c, &place, &s);
        if (status)
            return status;
        if (s->rows.count == 0) {
            m->segments[kept++] = m->segments[i];
            continue;
        }
        if (!same_base(s, &m->segments[i]) && (status = write_deleted(call, c, &place, s)) != DP_OK)
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

static enum dp_status attach(struct call *call, struct commit *c)
{
    struct index_loader *l = c->loader;
    struct manifest *m = &c->manifest;
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
    uint64_t rows = manifest_rows(m);
    if (rows > NAMESPACE_ROWS_MAX)
        return call_fail(call, DP_TOO_LARGE, "the namespace would have %" PRIu64 " rows, more than %d", rows,
                         NAMESPACE_ROWS_MAX);
    enum dp_status status = schema_join(&m->schema, &m->arena, &l->schema, &call->error);
    if (status)
        return status;
    m->sequence++;
    int64_t now = os_wall_ms();
    m->updated_ms = now > m->updated_ms ? now : m->updated_ms;
    status = manifest_add_writer(m, &l->writer, &call->error);
    return status == DP_OK ? manifest_check(m, &call->error) : status;
}

/* One try. DP_CONFLICT, DP_EXISTS or DP_UNKNOWN of the swap itself set *again. */
static enum dp_status try_commit(struct call *call, struct commit *c, bool *again)
{
    struct index_loader *l = c->loader;
    struct object_key key;
    struct buffer bytes;
    *again = false;
    enum dp_status status = read_manifest(call, c);
    if (status || c->done || (c->exists && l->segment_count == 0))
        return status;
    if ((status = move_segments(call, c)) != DP_OK || (status = supersede(call, c)) != DP_OK ||
        (status = attach(call, c)) != DP_OK)
        return status;
    buffer_init(&bytes, MANIFEST_BYTES_MAX * 2);
    key_of_manifest(&key, l->name);
    status = manifest_write(&c->manifest, &bytes, &call->error);
    if (status == DP_OK) {
        struct store_put put = {.key = object_key_span(&key),
                                .body = buffer_span(&bytes),
                                .condition = c->exists ? STORE_IF_VERSION : STORE_IF_ABSENT,
                                .expected = &c->version};
        status = store_put(call, l->store, &put);
        *again = status == DP_CONFLICT || status == DP_EXISTS || status == DP_UNKNOWN;
        if (status != DP_OK && status != DP_CONFLICT && status != DP_EXISTS)
            c->unsure = true;
        if (status == DP_UNKNOWN) {
            c->lost = true;
            c->expects = c->exists;
            c->expected = c->version;
        }
        l->bytes_written += bytes.len;
    }
    buffer_deinit(&bytes);
    return status;
}

/* After a failure: what became of the swap. DP_OK: it has happened, and c->manifest is what is there now;
 * DP_UNKNOWN: that cannot be told; `status`: it certainly has not, nor will. */
static enum dp_status resolve(struct commit *c, enum dp_status status)
{
    struct index_loader *l = c->loader;
    struct arena arena;
    struct call call; /* of its own: the caller's may have ended */
    struct manifest m;
    struct store_version version = {0};
    if (!c->unsure)
        return status;
    arena_init(&arena, 64 * 1024 * 1024);
    call_init(&call, &arena);
    enum dp_status read = manifest_load(&call, l->store, l->name, &m, &version), answer = DP_UNKNOWN;
    if (read == DP_OK && manifest_has_writer(&m, &l->writer)) {
        manifest_deinit(&c->manifest);
        c->manifest = m;
        answer = DP_OK;
    } else {
        if ((read == DP_OK || read == DP_NOT_FOUND) && !may_land(c, read == DP_OK, &version))
            answer = status;
        if (read == DP_OK)
            manifest_deinit(&m);
    }
    arena_deinit(&arena);
    return answer;
}

static bool is_listed(const struct commit *c, const struct object_key *key)
{
    const struct manifest *m = &c->manifest;
    struct object_key listed;
    for (size_t i = 0; i < m->segment_count; i++) {
        const struct manifest_segment *s = &m->segments[i];
        key_of_ivf(&listed, c->loader->name, &m->incarnation, &s->id);
        if (span_equal(object_key_span(&listed), object_key_span(key)))
            return true;
        key_of_dpr(&listed, c->loader->name, &m->incarnation, &s->id);
        if (span_equal(object_key_span(&listed), object_key_span(key)))
            return true;
        if (!s->has_deleted)
            continue;
        key_of_del(&listed, c->loader->name, &m->incarnation, &s->id, &s->deletion);
        if (span_equal(object_key_span(&listed), object_key_span(key)))
            return true;
    }
    return false;
}

/* Forgets the objects that must stay, so that freeing the loader removes the others only. */
static void keep_listed(struct commit *c)
{
    struct load_object **at = &c->loader->written;
    while (*at) {
        if (is_listed(c, &(*at)->key))
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
}

static void summarise(const struct commit *c, struct index_load_summary *out)
{
    const struct index_loader *l = c->loader;
    *out = (struct index_load_summary){.rows = l->key_count,
                                       .replaced = c->replaced,
                                       .windows = l->windows,
                                       .segments = l->segment_count,
                                       .bytes = l->bytes_written,
                                       .total_rows = manifest_rows(&c->manifest)};
}

enum dp_status index_load_commit(struct call *call, struct index_loader *l, struct index_load_summary *summary)
{
    struct commit c = {.loader = l};
    bool again = true;
    manifest_init(&c.manifest);
    enum dp_status status = l->broken ? call_fail(call, DP_INVALID, "this load has failed: begin another") : DP_OK;
    if (status == DP_OK && l->row_count)
        status = load_build(call, l);
    if (status == DP_OK)
        status = sort_keys(call, &c);
    for (int i = 0; i < TRIES && status == DP_OK && again; i++) {
        dp_error_clear(&call->error);
        status = try_commit(call, &c, &again);
        if (again && i + 1 < TRIES)
            status = call_check(call);
    }
    if (status != DP_OK) {
        enum dp_status resolved = resolve(&c, status);
        if (resolved == DP_UNKNOWN) {
            l->written = NULL; /* the manifest may list them */
            if (status != DP_UNKNOWN)
                dp_error_prefix(&call->error, "whether the load was committed is not known: load again");
            call->error.status = DP_UNKNOWN;
        }
        status = resolved;
    }
    if (status == DP_OK) {
        dp_error_clear(&call->error);
        summarise(&c, summary);
        keep_listed(&c);
    }
    for (struct superseded *s = c.superseded; s; s = s->next)
        row_set_deinit(&s->rows);
    mem_free(c.keys);
    manifest_deinit(&c.manifest);
    index_load_abort(l);
    return status;
}
