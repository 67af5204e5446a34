/* load/target.c: checks that a namespace can take a load, when the load begins and again when it commits. */
#include "index/load/target.h"

#include <inttypes.h>

#include "index/manifest/manifest.h"

enum {
    /* Bytes to reserve in a manifest: for a new one with its schema, for each segment's line, for a writer's
     * line. */
    MANIFEST_START_LEN = 2048,
    MANIFEST_SEGMENT_LEN = 256,
    MANIFEST_WRITER_LEN = 128
};

enum dp_status target_check_vectors(const struct load_target *t, const struct manifest *m, struct dp_error *error)
{
    if (m->external.url.len && t->vectors.dim)
        return manifest_fail_external(m, t->name, error);
    if (m->vectors.dim == 0 && (m->features & MANIFEST_FEATURE_LOG))
        return DP_OK; /* no row has brought a vector yet */
    if (m->vectors.dim != t->vectors.dim)
        return dp_fail(error, DP_INVALID,
                       "namespace \"%.*s\" holds vectors of %" PRIu32
                       " dimensions; the rows to load have %" PRIu32,
                       SPAN_FMT(t->name), m->vectors.dim, t->vectors.dim);
    if (m->vectors.metric != t->vectors.metric)
        return dp_fail(error, DP_INVALID, "namespace \"%.*s\" has another distance metric than the rows to load",
                       SPAN_FMT(t->name));
    if (!span_equal(m->vectors.fingerprint, t->vectors.fingerprint))
        return dp_fail(
            error, DP_INVALID,
            "namespace \"%.*s\" was embedded by model \"%.*s\" (fingerprint %.16s); the rows to load were "
            "embedded by \"%.*s\" (fingerprint %.16s): vectors of two models cannot be compared",
            SPAN_FMT(t->name), SPAN_FMT(m->vectors.model),
            m->vectors.fingerprint.len ? (const char *)m->vectors.fingerprint.data : "none",
            SPAN_FMT(t->vectors.model),
            t->vectors.fingerprint.len ? (const char *)t->vectors.fingerprint.data : "none");
    return DP_OK;
}

enum dp_status target_check_room(const struct load_target *t, size_t written, struct dp_error *error)
{
    if (written < t->segments_max)
        return DP_OK;
    return dp_fail(
        error, DP_TOO_LARGE,
        "namespace \"%.*s\" lists %zu segments and this load has written %zu: its manifest, of at most %d KiB, "
        "has no room for another one; load into another namespace, with fewer and larger loads",
        SPAN_FMT(t->name), t->segments_listed, written, MANIFEST_BYTES_MAX / 1024);
}

/* Sets segments_max to the number of segments that fit into a manifest that already has `used` bytes. */
static void count_room(struct load_target *t, size_t used)
{
    size_t left = MANIFEST_BYTES_MAX - MANIFEST_WRITER_LEN;
    t->segments_max = used < left ? (left - used) / MANIFEST_SEGMENT_LEN : 0;
    if (t->segments_max > MANIFEST_SEGMENTS_MAX - t->segments_listed)
        t->segments_max = MANIFEST_SEGMENTS_MAX - t->segments_listed;
}

static enum dp_status check_room_beside(const struct manifest *m, struct load_target *t, struct dp_error *error)
{
    struct buffer bytes;
    buffer_init(&bytes, MANIFEST_BYTES_MAX * 2);
    enum dp_status status = manifest_write(m, &bytes, error);
    if (status == DP_NOMEM || bytes.status == DP_NOMEM) {
        buffer_deinit(&bytes);
        return status;
    }
    t->segments_listed = m->segment_count < MANIFEST_SEGMENTS_MAX ? m->segment_count : MANIFEST_SEGMENTS_MAX;
    count_room(t, status == DP_OK ? bytes.len : MANIFEST_BYTES_MAX);
    buffer_deinit(&bytes);
    return target_check_room(t, 0, error);
}

/* Judges a read of the log entry after wal_floor. DP_OK: there is no entry. DP_UNSUPPORTED: there is one. */
static enum dp_status judge_log(const struct store_read_req *probe, struct dp_error *error)
{
    if (store_read_missing(probe))
        return DP_OK;
    if (probe->status == DP_OK || probe->status == DP_INVALID)
        return dp_fail(
            error, DP_UNSUPPORTED,
            "%.*s: the namespace has a write-ahead log, which this version cannot read; a newer one wrote it",
            SPAN_FMT(probe->key));
    *error = probe->error;
    return probe->status;
}

enum dp_status target_check_writable(struct call *call, struct store *store, const struct load_target *t,
                                     const struct manifest *m)
{
    struct object_key key;
    if (m->read_only)
        return call_fail(call, DP_DENIED, "namespace \"%.*s\" is read-only", SPAN_FMT(t->name));
    if (m->features & MANIFEST_FEATURE_LOG)
        return DP_OK; /* the load goes through the log */
    key_of_wal(&key, t->name, &m->incarnation, m->wal_floor + 1);
    struct store_read_req probe = {.key = object_key_span(&key), .len = 1};
    store_read(call, store, &probe, 1); /* judge_log() judges probe.status */
    dp_error_clear(&call->error);
    enum dp_status status = judge_log(&probe, &call->error);
    store_read_release(&probe, 1);
    return status;
}

int64_t target_store_ms(const struct load_target *t, const struct index_clock *clock)
{
    return t->store_ms ? t->store_ms + (index_now_ns(clock) - t->at_ns) / 1000000 : 0;
}

enum dp_status target_look(struct call *call, struct store *store, const struct index_clock *clock,
                           struct load_target *t, struct schema *schema, struct arena *arena)
{
    struct manifest m;
    struct manifest_answer answer;
    enum dp_status status = manifest_load_any(call, store, t->name, &m, &answer);
    t->store_ms = answer.date_ms;
    t->at_ns = index_now_ns(clock);
    if (status == DP_NOT_FOUND) {
        dp_error_clear(&call->error);
        memset(t->horizon.text, '0', ULID_LEN);
        count_room(t, MANIFEST_START_LEN);
        return ulid_new(clock, &t->horizon, t->store_ms, &t->incarnation, &call->error);
    }
    if (status)
        return status;
    t->joins = m.state == NAMESPACE_LIVE;
    t->incarnation = m.incarnation;
    t->horizon = m.horizon;
    status = check_room_beside(&m, t, &call->error);
    if (status == DP_OK && !t->joins)
        status = ulid_new(clock, &t->horizon, t->store_ms, &t->incarnation, &call->error);
    if (status == DP_OK && t->joins)
        status = target_check_writable(call, store, t, &m);
    if (status == DP_OK && t->joins)
        status = target_check_vectors(t, &m, &call->error);
    if (status == DP_OK && t->joins)
        status = schema_join(schema, arena, &m.schema, &call->error);
    manifest_deinit(&m);
    return status;
}
