/* snapshot.c: opens a namespace.
 *
 * One round reads the hot part and the deleted rows of each segment that is not open yet; also the head of the .ivf, if
 * the hot part does not have it. When these exceed the bytes of a round, several rounds read them. The first round also
 * reads log entries.
 */
#include "index/query/snapshot.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "index/round.h"
#include "index/segment/ivf_head.h"
#include "index/segment/words.h"

static void segment_release(struct segment *s)
{
    if (!s || atomic_fetch_sub(&s->references, 1) != 1)
        return;
    segment_hot_deinit(&s->hot);
    first_codes_free(s->first_codes);
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

enum dp_status snapshot_check_read(const struct store_read_req *req, uint64_t size, struct dp_error *error)
{
    if (req->status == DP_NOT_FOUND || req->status == DP_STALE)
        return dp_fail(error, DP_STALE, "%.*s: the manifest lists it, but it is %s", SPAN_FMT(req->key),
                       req->status == DP_NOT_FOUND ? "missing" : "another object now");
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

/* Puts the segments of pending loads behind the listed ones. */
static enum dp_status take_pending(struct call *call, struct snapshot *s)
{
    struct manifest *m = &s->manifest;
    size_t count = m->segment_count, loads = m->pending_count;
    s->listed_count = count;
    if (loads == 0)
        return DP_OK;
    for (size_t i = 0; i < loads; i++)
        count += m->pending[i].segment_count;
    struct manifest_segment *all = arena_array(&m->arena, count + 1, sizeof *all);
    s->loads = arena_array(&m->arena, loads, sizeof *s->loads);
    if (!all || !s->loads)
        return call_nomem(call, "a namespace");
    if (m->segment_count)
        memcpy(all, m->segments, m->segment_count * sizeof *all);
    count = m->segment_count;
    for (size_t i = 0; i < loads; i++) {
        const struct manifest_pending *p = &m->pending[i];
        s->loads[i] = (struct snapshot_load){p->load, p->at_ms, count, p->segment_count};
        if (p->segment_count) /* a repair may have left none */
            memcpy(all + count, p->segments, p->segment_count * sizeof *all);
        count += p->segment_count;
    }
    s->load_count = loads;
    m->segments = all;
    m->segment_count = count;
    m->pending_count = 0;
    return DP_OK;
}

/* ---- opening ------------------------------------------------------------------------------------------ */

/* The reads of one segment in a round. */
struct asked_segment {
    bool opens, deletes;      /* whether the round opens the segment; reads the deleted rows */
    size_t dpr, ivf, deleted; /* handles of these reads */
};

/* The state of one snapshot_open(). */
struct opening {
    struct call *call;
    struct snapshot *snapshot;
    struct span name;
    const struct snapshot *before;
    struct round round;
    struct asked_segment *asked; /* [segment_count] */
    struct snapshot_log *log;    /* or NULL */
};

/* Returns whether readers look up many ids: the log has rows that may replace those of segments. */
static bool needs_filters(const struct snapshot *s)
{
    return s->manifest.features & MANIFEST_FEATURE_LOG;
}

/* Shares the segment and the deleted rows with the older snapshot `before` (or NULL), as far as it has them.
 * `filter`: only a segment that was opened with its filter of ids. */
static void share_segment(struct snapshot_segment *to, const struct manifest_segment *listed,
                          const struct snapshot *before, bool filter)
{
    for (size_t i = 0; before && i < before->manifest.segment_count; i++) {
        const struct manifest_segment *old = &before->manifest.segments[i];
        if (!ulid_equal(&old->id, &listed->id))
            continue;
        if (filter && before->segments[i].segment->hot.filter.len == 0)
            return;
        to->segment = before->segments[i].segment;
        atomic_fetch_add(&to->segment->references, 1);
        if (listed->has_deleted && old->has_deleted && ulid_equal(&old->deletion, &listed->deletion)) {
            to->deleted = before->segments[i].deleted;
            atomic_fetch_add(&to->deleted->references, 1);
        }
        return;
    }
}

/* Returns the bytes to read of the head of the segment's .ivf. */
static uint64_t head_to_read(const struct manifest_segment *listed)
{
    return listed->centroids ? 0 : listed->ivf_head;
}

static size_t ask_object(struct opening *o, const struct object_key *key, uint64_t offset, uint64_t len)
{
    const struct store_read_req req = {.key = object_key_span(key), .offset = offset, .len = (int64_t)len};
    return round_ask(&o->round, &req);
}

/* Makes an empty segment, and asks the round for what opens it. */
static enum dp_status ask_new_segment(struct opening *o, const struct manifest_segment *listed,
                                      struct snapshot_segment *to, struct asked_segment *asked)
{
    const struct object_home home = manifest_home(&o->snapshot->manifest, o->name, listed->owner);
    struct segment *segment = mem_calloc(1, sizeof *segment);
    if (!segment)
        return call_nomem(o->call, "a segment");
    atomic_init(&segment->references, 1);
    key_of_ivf(&segment->ivf_key, home.name, home.incarnation, &listed->id);
    key_of_dpr(&segment->dpr_key, home.name, home.incarnation, &listed->id);
    to->segment = segment;
    asked->opens = true;
    const struct opening_range range = segment_opening_range(listed, needs_filters(o->snapshot));
    asked->dpr = ask_object(o, &segment->dpr_key, range.offset, range.len);
    if (head_to_read(listed))
        asked->ivf = ask_object(o, &segment->ivf_key, 0, head_to_read(listed));
    return DP_OK;
}

static enum dp_status ask_new_deleted(struct opening *o, const struct manifest_segment *listed,
                                      struct snapshot_segment *to, struct asked_segment *asked)
{
    const struct object_home home = manifest_home(&o->snapshot->manifest, o->name, listed->deleted_owner);
    struct object_key *key = arena_alloc(o->call->arena, sizeof *key);
    if (key)
        to->deleted = mem_calloc(1, sizeof *to->deleted);
    if (!to->deleted)
        return call_nomem(o->call, "deleted rows");
    atomic_init(&to->deleted->references, 1);
    key_of_del(key, home.name, home.incarnation, &listed->id, &listed->deletion);
    asked->deletes = true;
    asked->deleted = ask_object(o, key, 0, listed->deleted_size);
    return DP_OK;
}

/* Asks the round for the parts of segment i that are not open yet. If they do not fit, asks for nothing and sets
 * *full. */
static enum dp_status ask_segment(struct opening *o, size_t i, bool *full)
{
    struct snapshot *s = o->snapshot;
    const struct manifest_segment *listed = &s->manifest.segments[i];
    struct snapshot_segment *to = &s->segments[i];
    if (!to->segment && o->before && ulid_equal(&o->before->manifest.incarnation, &s->manifest.incarnation))
        share_segment(to, listed, o->before, needs_filters(s));
    bool opens = !to->segment, deletes = listed->has_deleted && !to->deleted;
    uint64_t bytes = (opens ? segment_opening_range(listed, needs_filters(s)).len + head_to_read(listed) : 0) +
                     (deletes ? listed->deleted_size : 0);
    *full = (opens || deletes) && !round_takes(&o->round, bytes, (opens ? 2 : 0) + (deletes ? 1 : 0));
    if (*full)
        return DP_OK;
    enum dp_status status = opens ? ask_new_segment(o, listed, to, &o->asked[i]) : DP_OK;
    return status == DP_OK && deletes ? ask_new_deleted(o, listed, to, &o->asked[i]) : status;
}

/* Checks that the .ivf has the namespace's codec, and the sizes that the .dpr gives. Fails with DP_CORRUPT. */
static enum dp_status check_ivf(const struct snapshot *s, const struct segment *segment, struct dp_error *error)
{
    const struct faiss_ivf_info info = faiss_ivf_info(segment->ivf);
    const struct segment_hot *hot = &segment->hot;
    enum vector_metric metric = s->manifest.vectors.metric == INDEX_COSINE ? VECTOR_INNER_PRODUCT : VECTOR_L2;
    if (info.codec->dim != s->manifest.vectors.dim || info.codec->metric != metric ||
        info.codec->kind != IVF_SQ8 || info.codec->code_size != s->manifest.vectors.dim ||
        info.listed != hot->vectors || info.flat || info.nlist != hot->nlist || info.head_bytes != hot->ivf_head ||
        info.file_bytes != hot->ivf_size)
        return dp_fail(error, DP_CORRUPT, "it is not the file that the segment describes");
    return DP_OK;
}

static enum dp_status parse_ivf(struct opening *o, struct segment *segment, struct span head)
{
    struct dp_error *error = &o->call->error;
    enum dp_status status = faiss_ivf_parse_head(head, segment->hot.ivf_size, &segment->ivf, error);
    if (status == DP_OK)
        status = check_ivf(o->snapshot, segment, error);
    if (status == DP_OK)
        status = first_codes_open(&segment->hot, segment->ivf, &segment->first_codes, error);
    if (status)
        dp_error_prefix(error, "%s", segment->ivf_key.text);
    return status;
}

/* Opens the .ivf with the head that the round has read. */
static enum dp_status open_read_ivf(struct opening *o, size_t i)
{
    struct segment *segment = o->snapshot->segments[i].segment;
    const struct store_read_req *ivf = round_answer(&o->round, o->asked[i].ivf);
    enum dp_status status = snapshot_check_read(ivf, segment->hot.ivf_size, &o->call->error);
    if (status)
        return status;
    if (checksum64(ivf->bytes.span) != segment->hot.ivf_head_checksum)
        return call_fail(o->call, DP_CORRUPT, "%s: the checksum of its head does not fit", segment->ivf_key.text);
    return parse_ivf(o, segment, ivf->bytes.span);
}

/* Opens the .ivf with the head that the hot part has. */
static enum dp_status open_packed_ivf(struct opening *o, size_t i)
{
    struct segment *segment = o->snapshot->segments[i].segment;
    enum index_metric metric = o->snapshot->manifest.vectors.metric;
    struct buffer head;
    buffer_init(&head, (size_t)segment->hot.ivf_head);
    enum dp_status status =
        ivf_head_unpack(o->call, &segment->hot, metric == INDEX_COSINE ? VECTOR_INNER_PRODUCT : VECTOR_L2, &head);
    if (status)
        dp_error_prefix(&o->call->error, "%s", segment->dpr_key.text);
    else
        status = parse_ivf(o, segment, buffer_span(&head));
    buffer_deinit(&head);
    return status;
}

static enum dp_status open_ivf(struct opening *o, size_t i)
{
    const struct manifest_segment *listed = &o->snapshot->manifest.segments[i];
    if (listed->vectors == 0)
        return DP_OK;
    return listed->centroids ? open_packed_ivf(o, i) : open_read_ivf(o, i);
}

static enum dp_status open_segment(struct opening *o, size_t i)
{
    struct dp_error *error = &o->call->error;
    const struct manifest_segment *listed = &o->snapshot->manifest.segments[i];
    struct segment *segment = o->snapshot->segments[i].segment;
    const struct store_read_req *dpr = round_answer(&o->round, o->asked[i].dpr);
    enum dp_status status = snapshot_check_read(dpr, listed->dpr_size, error);
    if (status)
        return status;
    status = segment_parse_hot(dpr->bytes.span, listed, o->snapshot->manifest.vectors.dim, &segment->hot, error);
    if (status == DP_OK)
        status = segment_open_words(&segment->hot, &segment->words, error);
    if (status) {
        dp_error_prefix(error, "%s", segment->dpr_key.text);
        return status;
    }
    segment->dpr_version = dpr->version;
    return open_ivf(o, i);
}

static enum dp_status open_deleted(struct opening *o, size_t i)
{
    const struct manifest_segment *listed = &o->snapshot->manifest.segments[i];
    const struct store_read_req *del = round_answer(&o->round, o->asked[i].deleted);
    enum dp_status status = snapshot_check_read(del, listed->deleted_size, &o->call->error);
    if (status)
        return status;
    status = deleted_parse(del->bytes.span, &listed->id, listed->rows, listed->deleted_rows,
                           &o->snapshot->segments[i].deleted->set, &o->call->error);
    if (status)
        dp_error_prefix(&o->call->error, "%.*s", SPAN_FMT(del->key));
    return status;
}

/* Opens segments from *at on in one round, and moves *at behind them. The first round also reads the log. */
static enum dp_status open_round(struct opening *o, size_t *at)
{
    struct snapshot *s = o->snapshot;
    size_t begin = *at;
    bool full = false, logs = begin == 0 && o->log;
    struct log_read read;
    enum dp_status status = DP_OK;
    while (*at < s->manifest.segment_count && !full && status == DP_OK) {
        status = ask_segment(o, *at, &full);
        *at += !full;
    }
    if (status == DP_OK && logs)
        status = log_read_ask(&o->round, o->name, &s->manifest.incarnation, o->log->first, o->log->count, &read);
    if (status == DP_OK)
        status = round_read(&o->round);
    for (size_t i = begin; i < *at && status == DP_OK; i++) {
        if (o->asked[i].opens)
            status = open_segment(o, i);
        if (status == DP_OK && o->asked[i].deletes)
            status = open_deleted(o, i);
    }
    if (status == DP_OK && logs)
        status = log_read_take(&o->round, &read, &o->log->run);
    round_release(&o->round);
    return status;
}

enum dp_status snapshot_open(struct call *call, struct store *store, struct span name, struct manifest *m,
                             const struct store_version *version, struct manifest_read seen,
                             const struct snapshot *before, uint64_t round_bytes, struct snapshot_log *log,
                             struct snapshot **out)
{
    struct snapshot *s = mem_calloc(1, sizeof *s);
    if (log)
        log->run = (struct log_run){0};
    if (!s) {
        manifest_deinit(m);
        return call_nomem(call, "a namespace");
    }
    atomic_init(&s->references, 1);
    s->seen = seen;
    s->manifest = *m;
    s->manifest.came_ns = seen.answered_ns;
    *m = (struct manifest){0};
    s->version = *version;
    key_of_manifest(&s->manifest_key, name);
    enum dp_status status = take_pending(call, s);
    if (status) {
        snapshot_release(s);
        return status;
    }
    s->segments = mem_calloc(s->manifest.segment_count + 1, sizeof *s->segments);
    struct opening o = {.call = call, .snapshot = s, .name = name, .before = before, .log = log};
    o.asked = arena_calloc(call->arena, s->manifest.segment_count + 1, sizeof *o.asked);
    round_init(&o.round, call, store, round_bytes);
    status = s->segments && o.asked ? DP_OK : call_nomem(call, "a namespace");
    size_t at = 0;
    if (status == DP_OK) {
        do
            status = open_round(&o, &at);
        while (status == DP_OK && at < s->manifest.segment_count);
    }
    round_deinit(&o.round);
    if (status && log)
        log_run_release(&log->run);
    if (status)
        snapshot_release(s);
    else
        *out = s;
    return status;
}
