/* reader.c: opens a namespace, holds its current snapshot, and answers its statistics and schema. */
#include "index/query/reader.h"

#include "base/alloc.h"
#include "base/json.h"
#include "index/lives.h"
#include "index/query/follow.h"
#include "index/query/settle.h"

enum { SCHEMA_JSON_MAX = 1024 * 1024 };

int64_t reader_now_ns(const struct index_reader *reader)
{
    return index_now_ns(reader->clock);
}

struct view *reader_view(struct index_reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    struct view *view = view_retain(reader->current);
    pthread_mutex_unlock(&reader->lock);
    return view;
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

static bool replaces(const struct view *view, const struct view *now)
{
    const struct snapshot *s = view->base, *than = now->base;
    const uint64_t last = atomic_load(&view->last), last_now = atomic_load(&now->last);
    const bool same = ulid_equal(&s->manifest.incarnation, &than->manifest.incarnation) &&
                      s->manifest.sequence == than->manifest.sequence &&
                      store_version_equal(&s->version, &than->version);
    return same && last != last_now ? last > last_now : is_newer(s, than);
}

void reader_confirm(struct index_reader *reader, struct view *view, struct manifest_read seen)
{
    struct snapshot *s = view->base;
    pthread_mutex_lock(&reader->lock);
    if (seen.sent_ns > s->seen.sent_ns)
        s->seen = seen;
    pthread_mutex_unlock(&reader->lock);
}

void reader_install(struct index_reader *reader, struct view *view)
{
    struct view *loser = view;
    pthread_mutex_lock(&reader->lock);
    struct view *now = reader->current;
    if (!now || replaces(view, now)) {
        loser = now;
        reader->current = view;
    }
    pthread_mutex_unlock(&reader->lock);
    view_release(loser);
}

enum dp_status reader_reload(struct call *call, struct index_reader *reader, struct view **out)
{
    enum dp_status status = DP_STALE;
    uint64_t sequence = 0;
    int unmoved = 0; /* reads in a row that found the same manifest as the read before */
    for (int i = 0; i < READER_LOADS_MAX && unmoved <= READER_RELOADS && status == DP_STALE; i++) {
        struct manifest m;
        struct store_version version;
        struct manifest_read seen = {.sent_ns = reader_now_ns(reader)};
        dp_error_clear(&call->error);
        status = manifest_load(call, reader->store, reader->name, &m, &version);
        seen.answered_ns = reader_now_ns(reader);
        if (status == DP_OK) {
            seen.date_ms = m.date_ms;
            unmoved = m.sequence == sequence ? unmoved + 1 : 1;
            sequence = m.sequence;
            status = view_open(call, reader, &m, &version, seen, NULL, out);
        }
    }
    return status == DP_STALE ? reader_fail_stale(call, unmoved <= READER_RELOADS) : status;
}

enum dp_status reader_fail_stale(struct call *call, bool moved)
{
    return call_restatus(call, moved ? DP_UNAVAILABLE : DP_CORRUPT);
}

bool reader_moved(const struct view *from, const struct view *to)
{
    return from->base->manifest.sequence != to->base->manifest.sequence;
}

enum dp_status reader_run(struct call *call, struct index_reader *reader, struct view **view,
                          enum dp_status (*run)(struct call *call, struct view *view, void *context),
                          void *context)
{
    bool moved = false;
    enum dp_status status = run(call, *view, context);
    for (int reloads = 0; status == DP_STALE && reloads < READER_RELOADS; reloads++) {
        struct view *next;
        status = reader_reload(call, reader, &next);
        if (status)
            return status;
        reader_install(reader, view_retain(next));
        moved = reader_moved(*view, next);
        view_release(*view);
        *view = next;
        status = run(call, *view, context);
    }
    return status == DP_STALE ? reader_fail_stale(call, moved) : status;
}

/* Asks whether the view is current. Sets *newer unless it is. */
static enum dp_status ask_newer(struct call *call, struct index_reader *reader, struct view *view,
                                struct view **newer)
{
    struct round round;
    struct current_read read;
    struct store_read_req manifest;
    bool changed = false;
    round_init(&round, call, reader->store, reader->round_bytes);
    enum dp_status status = current_ask(&round, view, &read);
    read.seen.sent_ns = reader_now_ns(reader);
    if (status == DP_OK)
        status = round_read(&round);
    read.seen.answered_ns = reader_now_ns(reader);
    if (status == DP_OK)
        status = current_judge(&round, &read, &changed, &manifest, NULL);
    if (status == DP_OK && !changed)
        reader_confirm(reader, view, read.seen);
    if (status == DP_OK && changed)
        status = current_adopt(call, view, &manifest, read.seen, newer);
    round_deinit(&round);
    return status;
}

static enum dp_status settle_view(struct call *call, struct view *view, void *context)
{
    (void)context;
    return view_settle(call, view);
}

enum dp_status view_refresh(struct call *call, struct index_reader *reader, struct view *view, struct view **out)
{
    struct view *newer = NULL;
    enum dp_status status = ask_newer(call, reader, view, &newer);
    if (status == DP_STALE)
        status = reader_reload(call, reader, &newer);
    if (status)
        return status;
    if (newer)
        reader_install(reader, view_retain(newer));
    struct view *found = newer ? newer : view_retain(view);
    status = reader_run(call, reader, &found, settle_view, NULL);
    if (status) {
        view_release(found);
        return status;
    }
    /* A thread that read the manifest before may have installed its view meanwhile, and that view may lack the entries
     * that this look has found. The caller's next reader_view() must show them. */
    reader_install(reader, view_retain(found));
    *out = found;
    return DP_OK;
}

enum dp_status index_open(struct call *call, struct store *store, struct span name, struct index_reader **out)
{
    return reader_open(call, store, name, 0, NULL, out);
}

/* Opens what `as` says: its store, name, round_bytes, log_end and clock. */
static enum dp_status open_reader(struct call *call, const struct index_reader *as, struct index_reader **out)
{
    const struct span name = as->name;
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
    reader->store = as->store;
    reader->name = span_of(copy, name.len);
    reader->round_bytes = as->round_bytes;
    reader->log_end = as->log_end;
    reader->clock = as->clock;
    pthread_mutex_init(&reader->lock, NULL);
    commit_group_init(&reader->group);
    status = reader_reload(call, reader, &reader->current);
    if (status) {
        index_close(reader);
        return status;
    }
    *out = reader;
    return DP_OK;
}

enum dp_status reader_open(struct call *call, struct store *store, struct span name, uint64_t round_bytes,
                           const struct index_clock *clock, struct index_reader **out)
{
    const struct index_reader as = {.store = store, .name = name, .round_bytes = round_bytes, .clock = clock};
    return open_reader(call, &as, out);
}

enum dp_status reader_open_until(struct call *call, struct store *store, struct span name, uint64_t log_end,
                                 struct index_reader **out)
{
    const struct index_reader as = {.store = store, .name = name, .log_end = log_end};
    return open_reader(call, &as, out);
}

void index_close(struct index_reader *reader)
{
    if (!reader)
        return;
    view_release(reader->current);
    commit_group_deinit(&reader->group);
    key_set_deinit(&reader->folded.set);
    pthread_mutex_destroy(&reader->lock);
    mem_free((void *)(uintptr_t)reader->name.data);
    mem_free(reader);
}

static struct index_vectors copy_vectors(struct call *call, const struct manifest *m)
{
    return (struct index_vectors){m->vectors.dim, m->vectors.metric, arena_copy(call->arena, m->vectors.model),
                                  arena_copy(call->arena, m->vectors.fingerprint)};
}

enum dp_status index_vectors_of(struct call *call, struct index_reader *reader, struct index_vectors *out)
{
    struct view *view = reader_view(reader);
    *out = copy_vectors(call, &view->base->manifest);
    view_release(view);
    return out->model.data && out->fingerprint.data ? DP_OK : call_nomem(call, "a namespace's numbers");
}

enum dp_status index_external_of(struct call *call, struct index_reader *reader, struct index_external *out)
{
    struct view *view = reader_view(reader);
    *out = view->base->manifest.external;
    out->url = arena_copy(call->arena, out->url);
    out->version = arena_copy(call->arena, out->version);
    view_release(view);
    return out->url.data && out->version.data ? DP_OK : call_nomem(call, "a namespace's numbers");
}

enum dp_status index_stats(struct call *call, struct index_reader *reader, struct index_stats *out)
{
    struct view *view = reader_view(reader);
    enum dp_status status = reader_run(call, reader, &view, settle_view, NULL);
    if (status) {
        view_release(view);
        return status;
    }
    const struct manifest *m = &view->base->manifest;
    struct view_counts counts = view_counts(view);
    *out = (struct index_stats){
        .life = life_of(&m->incarnation),
        .vectors = copy_vectors(call, m),
        .rows = counts.rows,
        .unindexed_rows = counts.tail_rows,
        .unindexed_bytes = counts.tail_bytes,
        .last_entry = counts.at.last,
        .has_log = (m->features & MANIFEST_FEATURE_LOG) != 0,
        .segments = view->base->listed_count,
        .bytes = manifest_bytes(m),
        .branches = m->pin_count,
        .read_only = m->read_only,
        .created_ms = m->created_ms,
        .updated_ms = m->updated_ms,
    };
    view_release(view);
    if (!out->vectors.model.data || !out->vectors.fingerprint.data)
        return call_nomem(call, "a namespace's numbers");
    return DP_OK;
}

enum dp_status index_schema_json(struct call *call, struct index_reader *reader, struct span *out)
{
    struct buffer text;
    struct json_writer w;
    struct view *view = reader_view(reader);
    buffer_init(&text, SCHEMA_JSON_MAX);
    json_writer_init(&w, &text);
    schema_print(&view->base->manifest.schema, &view->base->manifest.vectors, &w);
    enum dp_status status = buffer_check(&text, "a schema", &call->error);
    if (status == DP_OK) {
        *out = arena_copy(call->arena, buffer_span(&text));
        if (!out->data)
            status = call_nomem(call, "a schema");
    }
    buffer_deinit(&text);
    view_release(view);
    return status;
}

enum dp_status index_schema(struct call *call, struct index_reader *reader, struct schema *out)
{
    struct view *view = reader_view(reader);
    enum dp_status status = schema_copy(&view->base->manifest.schema, call->arena, out, &call->error);
    view_release(view);
    return status;
}

enum dp_status index_refresh(struct call *call, struct index_reader *reader)
{
    struct view *view = reader_view(reader), *newest = NULL;
    enum dp_status status = view_refresh(call, reader, view, &newest);
    view_release(view);
    view_release(newest);
    return status;
}
