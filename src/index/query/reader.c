/* reader.c: opens a namespace, holds its current snapshot, and answers its statistics and schema. */
#include "index/query/reader.h"

#include "base/alloc.h"
#include "base/json.h"

enum { SCHEMA_JSON_MAX = 1024 * 1024 };

struct snapshot *reader_snapshot(struct index_reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    struct snapshot *s = snapshot_retain(reader->current);
    pthread_mutex_unlock(&reader->lock);
    return s;
}

static bool is_newer(const struct snapshot *s, const struct snapshot *than)
{
    if (s->seen.sent_ns >= than->seen.answered_ns)
        return true;
    if (than->seen.sent_ns >= s->seen.answered_ns)
        return false;
    if (ulid_equal(&s->manifest.incarnation, &than->manifest.incarnation))
        return s->manifest.sequence >= than->manifest.sequence;
    return s->seen.sent_ns >= than->seen.sent_ns;
}

void reader_confirm(struct index_reader *reader, struct snapshot *s, struct manifest_read seen)
{
    pthread_mutex_lock(&reader->lock);
    if (seen.sent_ns > s->seen.sent_ns)
        s->seen = seen;
    pthread_mutex_unlock(&reader->lock);
}

void reader_install(struct index_reader *reader, struct snapshot *s)
{
    struct snapshot *loser = s;
    pthread_mutex_lock(&reader->lock);
    struct snapshot *now = reader->current;
    if (!now || is_newer(s, now)) {
        loser = now;
        reader->current = s;
    }
    pthread_mutex_unlock(&reader->lock);
    snapshot_release(loser);
}

enum dp_status reader_reload(struct call *call, struct index_reader *reader, struct snapshot **out)
{
    enum dp_status status = DP_STALE;
    /* When an object vanishes between the two rounds, the manifest has changed: read it again. */
    for (int reloads = 0; reloads <= READER_RELOADS && status == DP_STALE; reloads++) {
        struct manifest m;
        struct store_version version;
        struct manifest_read seen = {.sent_ns = index_now_ns(reader->clock)};
        dp_error_clear(&call->error);
        status = manifest_load(call, reader->store, reader->name, &m, &version);
        seen.answered_ns = index_now_ns(reader->clock);
        if (status == DP_OK)
            status = snapshot_open(call, reader->store, reader->name, &m, &version, seen, NULL,
                                   reader->round_bytes, out);
    }
    if (status == DP_STALE)
        status = call_restatus(call, DP_CORRUPT);
    return status;
}

enum dp_status index_open(struct call *call, struct store *store, struct span name, struct index_reader **out)
{
    return reader_open(call, store, name, 0, NULL, out);
}

enum dp_status reader_open(struct call *call, struct store *store, struct span name, uint64_t round_bytes,
                           const struct index_clock *clock, struct index_reader **out)
{
    *out = NULL;
    enum dp_status status = index_check_name(name, &call->error);
    if (status)
        return status;
    struct index_reader *reader = mem_calloc(1, sizeof *reader);
    uint8_t *copy = mem_alloc(name.len);
    if (!reader || !copy) {
        mem_free(reader);
        mem_free(copy);
        return call_nomem(call, "a namespace");
    }
    memcpy(copy, name.data, name.len);
    reader->store = store;
    reader->name = span_of(copy, name.len);
    reader->round_bytes = round_bytes;
    reader->clock = clock;
    pthread_mutex_init(&reader->lock, NULL);
    status = reader_reload(call, reader, &reader->current);
    if (status) {
        index_close(reader);
        return status;
    }
    *out = reader;
    return DP_OK;
}

void index_close(struct index_reader *reader)
{
    if (!reader)
        return;
    snapshot_release(reader->current);
    pthread_mutex_destroy(&reader->lock);
    mem_free((void *)(uintptr_t)reader->name.data);
    mem_free(reader);
}

enum dp_status index_stats(struct call *call, struct index_reader *reader, struct index_stats *out)
{
    struct snapshot *s = reader_snapshot(reader);
    const struct manifest *m = &s->manifest;
    *out = (struct index_stats){
        .vectors = {m->vectors.dim, m->vectors.metric, arena_copy(call->arena, m->vectors.model),
                    arena_copy(call->arena, m->vectors.fingerprint)},
        .rows = manifest_rows(m),
        .segments = m->segment_count,
        .bytes = manifest_bytes(m),
        .created_ms = m->created_ms,
        .updated_ms = m->updated_ms,
    };
    snapshot_release(s);
    if (!out->vectors.model.data || !out->vectors.fingerprint.data)
        return call_nomem(call, "a namespace's numbers");
    return DP_OK;
}

enum dp_status index_schema_json(struct call *call, struct index_reader *reader, struct span *out)
{
    struct buffer text;
    struct json_writer w;
    struct snapshot *s = reader_snapshot(reader);
    const struct schema *schema = &s->manifest.schema;
    buffer_init(&text, SCHEMA_JSON_MAX);
    json_writer_init(&w, &text);
    json_begin_object(&w);
    for (size_t i = 0; i < schema->count; i++) {
        json_key_span(&w, schema->attributes[i].name);
        json_begin_object(&w);
        json_field_str(&w, "type", attribute_type_name(schema->attributes[i].type));
        json_end_object(&w);
    }
    json_end_object(&w);
    enum dp_status status = buffer_check(&text, "a schema", &call->error);
    if (status == DP_OK) {
        *out = arena_copy(call->arena, buffer_span(&text));
        if (!out->data)
            status = call_nomem(call, "a schema");
    }
    buffer_deinit(&text);
    snapshot_release(s);
    return status;
}
