/* member.c: checks a write, and adds to the manifest the attributes and the feature that the write needs. */
#include "index/wal/member.h"

#include <inttypes.h>

#include "base/json.h"
#include "base/map.h"
#include "index/id.h"
#include "index/lives.h"
#include "index/manifest/swap.h"
#include "index/row_vector.h"

enum { LEARN_ARENA_MAX = 64 * 1024 * 1024 };

/* ---- checking ---------------------------------------------------------------------------------------- */

/* Encodes the ids. Fails with DP_INVALID for one that occurs twice, and for one of another kind than the namespace
 * has. */
static enum dp_status take_ids(struct call *call, enum id_kind kind, struct write_member *m)
{
    struct map seen;
    char text[ID_TEXT_MAX];
    enum dp_status status = DP_OK;
    map_init(&seen, m->write->count);
    for (size_t i = 0; i < m->write->count && status == DP_OK; i++) {
        struct id_key key;
        bool twice = false;
        status = id_encode(m->write->rows[i].id, &key, &call->error);
        if (status)
            break;
        m->keys[i] = arena_copy(call->arena, id_key_span(&key));
        if (!m->keys[i].data)
            status = call_nomem(call, "a write");
        if (status == DP_OK && kind != ID_ANY)
            status = id_kind_join(&kind, m->keys[i], &call->error);
        if (status == DP_OK)
            status = map_put(&seen, m->keys[i], 0, NULL, &twice, &call->error);
        if (status == DP_OK && twice)
            status = call_fail(call, DP_INVALID, "id %s occurs twice in one write: name each id once",
                               id_describe(m->keys[i], text));
    }
    map_deinit(&seen);
    return status;
}

static enum dp_status check_windows(struct call *call, const struct write_member *m,
                                    const struct index_write_row *row)
{
    if (row->kind == INDEX_DELETE && row->windows)
        return call_fail(call, DP_INVALID, "a deletion has no vector");
    if (row->windows > INDEX_WINDOWS_MAX)
        return call_fail(call, DP_INVALID, "a row has at most %d vectors, not %" PRIu32, INDEX_WINDOWS_MAX,
                         row->windows);
    if (row->windows && m->write->dim != m->vector.dim)
        return call_fail(call, DP_INVALID,
                         "its vector has %" PRIu32 " dimensions; the namespace holds vectors of %" PRIu32,
                         m->write->dim, m->vector.dim);
    if (row->kind == INDEX_UPSERT && !row->windows && m->vector.dim)
        return call_fail(call, DP_INVALID,
                         "it has no vector; each row of the namespace has a vector of %" PRIu32 " dimensions",
                         m->vector.dim);
    return DP_OK;
}

/* Checks the vectors and the size of the attributes. */
static enum dp_status check_row(struct call *call, const struct write_member *m, const struct index_write_row *row)
{
    uint32_t dim = m->vector.dim;
    enum dp_status status = check_windows(call, m, row);
    for (size_t w = 0; w < row->windows && status == DP_OK; w++)
        status = row_vector_check(&m->vector, row->vectors + w * dim, &call->error);
    if (status == DP_OK && row->attributes.len > INDEX_DOCUMENT_MAX)
        status = call_fail(call, DP_TOO_LARGE, "its attributes have %zu bytes, more than %d", row->attributes.len,
                           INDEX_DOCUMENT_MAX);
    return status;
}

/* Returns whether the schema lacks an attribute of the document that is not null. */
static bool names_new(const struct schema *schema, struct span document, struct arena *arena)
{
    struct json_reader r;
    struct span name;
    bool lacks = false;
    json_reader_init(&r, document);
    json_enter_object(&r);
    while (!lacks && json_next_key(&r, arena, &name)) {
        bool known = json_peek(&r) == JSON_NULL || schema_find(schema, name) != NULL;
        lacks = !known;
        json_skip(&r);
    }
    return lacks || json_failed(&r); /* schema_learn() says what is wrong with the text */
}

/* Checks a row; m->queued.bytes grows by what it adds to an entry. */
static enum dp_status take_row(struct call *call, const struct manifest *manifest, struct write_member *m,
                               size_t i, bool *learns)
{
    const struct index_write_row *row = &m->write->rows[i];
    m->documents[i] = row->attributes.len ? row->attributes : span_str("{}");
    enum dp_status status = check_row(call, m, row);
    if (status) {
        char text[ID_TEXT_MAX];
        dp_error_prefix(&call->error, "id %s", id_describe(m->keys[i], text));
        return status;
    }
    if (!*learns && row->kind != INDEX_DELETE)
        *learns = names_new(&manifest->schema, m->documents[i], call->arena);
    bool whole = row->kind != INDEX_DELETE;
    m->queued.bytes += wal_row_bytes(m->keys[i], whole ? row->windows : 0, m->vector.dim,
                                     whole ? m->documents[i] : (struct span){0});
    return DP_OK;
}

/* Checks the patch of the rows that a filter chooses. */
static enum dp_status take_patch(struct call *call, const struct manifest *manifest, struct write_member *m,
                                 bool *learns)
{
    const struct index_write_row *patch = &m->write->patch;
    if (!m->write->patches.filter)
        return DP_OK;
    m->patch = patch->attributes.len ? patch->attributes : span_str("{}");
    enum dp_status status = check_row(call, m, patch);
    if (status)
        dp_error_prefix(&call->error, "a patch by a filter");
    *learns = *learns || names_new(&manifest->schema, m->patch, call->arena);
    return status;
}

enum dp_status write_prepare(struct call *call, const struct manifest *manifest, const struct index_write *write,
                             struct write_member *out, bool *learns)
{
    struct arena *arena = call->arena;
    *out = (struct write_member){.write = write,
                                 .keys = arena_array(arena, write->count + 1, sizeof(struct span)),
                                 .documents = arena_array(arena, write->count + 1, sizeof(struct span)),
                                 .incarnation = manifest->incarnation,
                                 .vector = {manifest->vectors.dim, manifest->vectors.metric, {0}, {0}}};
    if (!life_matches(&write->life, &manifest->incarnation))
        return call_fail(call, DP_CONFLICT, "the namespace was deleted and made anew during the write");
    out->result.applied = arena_calloc(arena, write->count + 1, sizeof(bool));
    *learns = !(manifest->features & MANIFEST_FEATURE_LOG);
    if (!out->keys || !out->documents || !out->result.applied)
        return call_nomem(call, "a write");
    if (write->count > WAL_RECORDS_MAX)
        return call_fail(call, DP_TOO_LARGE, "the write has %zu rows, more than %d: split it", write->count,
                         WAL_RECORDS_MAX);
    out->queued.rows = write->count;
    if (write->key.len) {
        write_key_identify(write->key, &out->key);
        out->key.request = write->request;
        out->queued.bytes += 1 + WAL_KEY_LEN;
    }
    enum dp_status status = take_ids(call, manifest->schema.id_kind, out);
    for (size_t i = 0; i < write->count && status == DP_OK; i++)
        status = take_row(call, manifest, out, i, learns);
    if (status == DP_OK)
        status = take_patch(call, manifest, out, learns);
    if (status == DP_OK && out->queued.bytes > WAL_ROWS_MAX)
        status = call_fail(call, DP_TOO_LARGE, "the write has about %" PRIu64 " bytes, more than %d: split it",
                           out->queued.bytes, WAL_ROWS_MAX);
    return status;
}

/* ---- learning ---------------------------------------------------------------------------------------- */

struct learning {
    const struct write_member *member;
    struct arena scratch;
};

static enum dp_status learn_apply(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    struct learning *l = context;
    const struct index_write *write = l->member->write;
    if (!exists || m->state != NAMESPACE_LIVE || !ulid_equal(&m->incarnation, &l->member->incarnation))
        return call_fail(call, DP_CONFLICT, "the namespace was deleted or made anew during the write");
    if (m->read_only)
        return call_fail(call, DP_DENIED, "the namespace is read-only");
    size_t known = m->schema.count;
    bool logs = m->features & MANIFEST_FEATURE_LOG;
    m->features |= MANIFEST_FEATURE_LOG;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < write->count && status == DP_OK; i++) {
        char text[ID_TEXT_MAX];
        arena_reset(&l->scratch);
        if (write->rows[i].kind != INDEX_DELETE)
            status = schema_learn(&m->schema, &m->arena, l->member->documents[i], &l->scratch, &call->error);
        if (status)
            dp_error_prefix(&call->error, "id %s", id_describe(l->member->keys[i], text));
    }
    arena_reset(&l->scratch);
    if (status == DP_OK && write->patches.filter)
        status = schema_learn(&m->schema, &m->arena, l->member->patch, &l->scratch, &call->error);
    *needed = !logs || m->schema.count != known;
    return status;
}

static void learn_sent(void *context)
{
    (void)context;
}

static bool learn_shows(const void *context, const struct manifest *m)
{
    (void)context, (void)m;
    return false;
}

enum dp_status write_learn(struct call *call, struct store *store, struct span name, const struct write_member *m,
                           const struct index_clock *clock)
{
    static const struct manifest_edit edit = {.apply = learn_apply, .sent = learn_sent, .shows = learn_shows};
    struct learning learning = {.member = m};
    struct manifest manifest;
    arena_init(&learning.scratch, LEARN_ARENA_MAX);
    enum dp_status status = manifest_swap(call, store, name, &edit, &learning, clock, &manifest);
    if (status == DP_OK)
        manifest_deinit(&manifest);
    else if (status == DP_UNKNOWN || status == DP_NOT_DURABLE) /* this concerns the schema: no row was sent */
        status = call_restatus(call, DP_UNAVAILABLE);
    arena_deinit(&learning.scratch);
    return status;
}
