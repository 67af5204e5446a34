/* snapshot.c: opens a namespace: one batch with the hot part, the .ivf head and the deleted rows of each
 * segment that is not open yet, and a look for log entries that this build could not read.
 */
#include "index/snapshot.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/checksum.h"

static void segment_release(struct segment *s)
{
    if (!s || atomic_fetch_sub(&s->references, 1) != 1)
        return;
    segment_hot_deinit(&s->hot);
    faiss_ivf_free(s->ivf);
    mem_free(s);
}

static void deleted_release(struct deleted_rows *d)
{
    if (!d || atomic_fetch_sub(&d->references, 1) != 1)
        return;
    row_set_deinit(&d->set);
    mem_free(d);
}

struct snapshot *snapshot_retain(struct snapshot *s)
{
    atomic_fetch_add(&s->references, 1);
    return s;
}

void snapshot_release(struct snapshot *s)
{
    if (!s || atomic_fetch_sub(&s->references, 1) != 1)
        return;
    for (size_t i = 0; s->segments && i < s->manifest.segment_count; i++) {
        segment_release(s->segments[i].segment);
        deleted_release(s->segments[i].deleted);
    }
    mem_free(s->segments);
    manifest_deinit(&s->manifest);
    mem_free(s);
}

enum dp_status snapshot_check_wal(const struct store_read_req *probe, struct dp_error *error)
{
    /* Without the right to list, S3 answers 403 for what is not there. A writer of logs asks for a feature in the
     * manifest before its first entry, and a manifest with one was refused. So there is no log. */
    if (probe->status == DP_NOT_FOUND || probe->status == DP_DENIED)
        return DP_OK;
    if (probe->status == DP_OK || probe->status == DP_INVALID)
        return dp_fail(
            error, DP_UNSUPPORTED,
            "%.*s: the namespace has a write-ahead log, which this version cannot read; a newer one wrote it",
            SPAN_FMT(probe->key));
    *error = probe->error;
    return probe->status;
}

enum dp_status snapshot_check_read(const struct store_read_req *req, uint64_t size, bool *gone,
                                   struct dp_error *error)
{
    if (req->status == DP_NOT_FOUND || req->status == DP_STALE) {
        *gone = true;
        return dp_fail(error, DP_STALE, "%.*s: the manifest lists it, but it is %s", SPAN_FMT(req->key),
                       req->status == DP_NOT_FOUND ? "missing" : "another object now");
    }
    if (req->status == DP_INVALID)
        return dp_fail(error, DP_CORRUPT, "%.*s: it does not have the %" PRIu64 " bytes that the manifest lists",
                       SPAN_FMT(req->key), size);
    if (req->status) {
        *error = req->error;
        return req->status;
    }
    if (req->size != size)
        return dp_fail(error, DP_CORRUPT, "%.*s: it has %" PRIu64 " bytes; the manifest lists %" PRIu64,
                       SPAN_FMT(req->key), req->size, size);
    return DP_OK;
}

/* ---- opening ------------------------------------------------------------------------------------------ */

struct opening {
    struct call *call;
    struct snapshot *snapshot;
    struct store_read_req *reqs; /* [3 * segments + 1] */
    size_t count;
    bool gone;
};

/* What `before` has of a segment. */
static void share(struct snapshot_segment *to, const struct manifest_segment *listed,
                  const struct snapshot *before)
{
    for (size_t i = 0; before && i < before->manifest.segment_count; i++) {
        const struct manifest_segment *old = &before->manifest.segments[i];
        if (!ulid_equal(&old->id, &listed->id))
            continue;
        to->segment = before->segments[i].segment;
        atomic_fetch_add(&to->segment->references, 1);
        if (listed->has_deleted && old->has_deleted && ulid_equal(&old->deletion, &listed->deletion)) {
            to->deleted = before->segments[i].deleted;
            atomic_fetch_add(&to->deleted->references, 1);
        }
        return;
    }
}

static struct store_read_req *ask(struct opening *o, struct span key, uint64_t offset, uint64_t len)
{
    struct store_read_req *req = &o->reqs[o->count++];
    *req = (struct store_read_req){.key = key, .offset = offset, .len = (int64_t)len};
    return req;
}

static enum dp_status ask_segment(struct opening *o, struct span name, size_t i, const struct snapshot *before)
{
    struct snapshot *s = o->snapshot;
    const struct manifest_segment *listed = &s->manifest.segments[i];
    struct snapshot_segment *to = &s->segments[i];
    const struct ulid *incarnation = &s->manifest.incarnation;
    if (before && ulid_equal(&before->manifest.incarnation, incarnation))
        share(to, listed, before);
    if (!to->segment) {
        struct segment *segment = mem_calloc(1, sizeof *segment);
        if (!segment)
            return call_nomem(o->call, "a segment");
        atomic_init(&segment->references, 1);
        key_of_ivf(&segment->ivf_key, name, incarnation, &listed->id);
        key_of_dpr(&segment->dpr_key, name, incarnation, &listed->id);
        to->segment = segment;
        ask(o, object_key_span(&segment->dpr_key), listed->hot_offset, listed->hot_len);
        ask(o, object_key_span(&segment->ivf_key), 0, listed->ivf_head);
    }
    if (listed->has_deleted && !to->deleted) {
        struct object_key *key = arena_alloc(o->call->arena, sizeof *key);
        if (key)
            to->deleted = mem_calloc(1, sizeof *to->deleted);
        if (!to->deleted)
            return call_nomem(o->call, "deleted rows");
        atomic_init(&to->deleted->references, 1);
        key_of_del(key, name, incarnation, &listed->id, &listed->deletion);
        ask(o, object_key_span(key), 0, listed->deleted_size);
    }
    return DP_OK;
}

/* The .ivf must be what this namespace's writer makes and the .dpr describes. */
static enum dp_status check_ivf(const struct snapshot *s, const struct segment *segment, struct dp_error *error)
{
    const struct faiss_ivf_info info = faiss_ivf_info(segment->ivf);
    const struct segment_hot *hot = &segment->hot;
    enum vector_metric metric = s->manifest.metric == INDEX_COSINE ? VECTOR_INNER_PRODUCT : VECTOR_L2;
    if (info.codec->dim != s->manifest.dim || info.codec->metric != metric || info.codec->kind != IVF_SQ8 ||
        info.codec->code_size != s->manifest.dim || info.listed != hot->vectors || info.flat ||
        info.nlist != hot->nlist || info.head_bytes != hot->ivf_head || info.file_bytes != hot->ivf_size)
        return dp_fail(error, DP_CORRUPT, "it is not the file that the segment describes");
    return DP_OK;
}

static enum dp_status take_segment(struct opening *o, const struct manifest_segment *listed,
                                   struct segment *segment, const struct store_read_req *dpr,
                                   const struct store_read_req *ivf)
{
    struct dp_error *error = &o->call->error;
    enum dp_status status = snapshot_check_read(dpr, listed->dpr_size, &o->gone, error);
    if (status || (status = snapshot_check_read(ivf, listed->ivf_size, &o->gone, error)) != DP_OK)
        return status;
    status = segment_parse_hot(dpr->bytes.span, listed, o->snapshot->manifest.dim, &segment->hot, error);
    if (status) {
        dp_error_prefix(error, "%s", segment->dpr_key.text);
        return status;
    }
    if (checksum64(ivf->bytes.span) != segment->hot.ivf_head_checksum)
        return dp_fail(error, DP_CORRUPT, "%s: the checksum of its head does not fit", segment->ivf_key.text);
    status = faiss_ivf_parse_head(ivf->bytes.span, listed->ivf_size, &segment->ivf, error);
    if (status == DP_OK)
        status = check_ivf(o->snapshot, segment, error);
    if (status)
        dp_error_prefix(error, "%s", segment->ivf_key.text);
    segment->dpr_version = dpr->version;
    segment->ivf_version = ivf->version;
    return status;
}

static enum dp_status take_all(struct opening *o)
{
    struct snapshot *s = o->snapshot;
    size_t next = 0;
    for (size_t i = 0; i < s->manifest.segment_count; i++) {
        const struct manifest_segment *listed = &s->manifest.segments[i];
        struct snapshot_segment *to = &s->segments[i];
        enum dp_status status = DP_OK;
        if (!to->segment->ivf) {
            status = take_segment(o, listed, to->segment, &o->reqs[next], &o->reqs[next + 1]);
            next += 2;
        }
        if (status)
            return status;
        if (!to->deleted || to->deleted->set.bits)
            continue;
        const struct store_read_req *req = &o->reqs[next++];
        status = snapshot_check_read(req, listed->deleted_size, &o->gone, &o->call->error);
        if (status)
            return status;
        status = deleted_parse(req->bytes.span, &listed->id, listed->rows, listed->deleted_rows, &to->deleted->set,
                               &o->call->error);
        if (status) {
            dp_error_prefix(&o->call->error, "%.*s", SPAN_FMT(req->key));
            return status;
        }
    }
    return snapshot_check_wal(&o->reqs[next], &o->call->error);
}

enum dp_status snapshot_open(struct call *call, struct store *store, struct span name, struct manifest *m,
                             const struct store_version *version, struct manifest_read seen,
                             const struct snapshot *before, struct snapshot **out, bool *gone)
{
    struct opening o = {.call = call, .snapshot = mem_calloc(1, sizeof *o.snapshot)};
    enum dp_status status = DP_OK;
    *gone = false;
    if (!o.snapshot) {
        manifest_deinit(m);
        return call_nomem(call, "a namespace");
    }
    struct snapshot *s = o.snapshot;
    atomic_init(&s->references, 1);
    s->seen = seen;
    s->manifest = *m;
    *m = (struct manifest){0};
    s->version = *version;
    key_of_manifest(&s->manifest_key, name);
    key_of_wal(&s->wal_key, name, &s->manifest.incarnation, s->manifest.wal_floor + 1);
    s->segments = mem_calloc(s->manifest.segment_count + 1, sizeof *s->segments);
    o.reqs = arena_calloc(call->arena, 3 * s->manifest.segment_count + 1, sizeof *o.reqs);
    if (!s->segments || !o.reqs) {
        status = call_nomem(call, "a namespace");
        goto out;
    }
    for (size_t i = 0; i < s->manifest.segment_count && status == DP_OK; i++)
        status = ask_segment(&o, name, i, before);
    if (status)
        goto out;
    ask(&o, object_key_span(&s->wal_key), 0, 1);
    store_read(call, store, o.reqs, o.count); /* each request is judged by itself */
    dp_error_clear(&call->error);
    status = take_all(&o);
    store_read_release(o.reqs, o.count);
    *gone = o.gone;
out:
    if (status) {
        snapshot_release(s);
        return status;
    }
    *out = s;
    return DP_OK;
}
