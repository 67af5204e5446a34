/* load.c: rows of a bulk load come in here, are checked, and wait until a segment is full.
 *
 * The ids of a whole load are kept in memory (about 100 bytes each) to find duplicates and, at the end, the rows
 * they supersede. Vectors and documents wait in spills: in memory at first, then in unnamed temporary files.
 * Segments are written as they fill; they mean nothing until commit.c swaps the manifest.
 */
#include "index/load/load.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "index/id.h"
#include "index/query/snapshot.h"
#include "vector/distance.h"

enum {
    SEGMENT_ROWS = 1000 * 1000,
    HOT_BYTES = 3 * 1024 * 1024, /* of the estimate below */
    VECTORS_MEMORY = 384 * 1024 * 1024,
    DOCUMENTS_MEMORY = 128 * 1024 * 1024,
    SCRATCH_MAX = 64 * 1024 * 1024,
    /* Bytes of a manifest: of a new one with its schema, and at most of a segment's line and a writer's. */
    MANIFEST_START_LEN = 2048,
    MANIFEST_SEGMENT_LEN = 256,
    MANIFEST_WRITER_LEN = 64
};
static const uint64_t vectors_bytes_max = UINT64_C(2) << 30, documents_bytes_max = UINT64_C(4) << 30,
                      ids_memory_max = UINT64_C(16) << 30;

enum dp_status load_check_vectors(const struct index_loader *l, const struct manifest *m, struct dp_error *error)
{
    if (m->dim != l->dim)
        return dp_fail(error, DP_INVALID,
                       "namespace \"%.*s\" holds vectors of %" PRIu32
                       " dimensions; the rows to load have %" PRIu32,
                       SPAN_FMT(l->name), m->dim, l->dim);
    if (m->metric != l->metric)
        return dp_fail(error, DP_INVALID, "namespace \"%.*s\" has another distance metric than the rows to load",
                       SPAN_FMT(l->name));
    if (!span_equal(m->fingerprint, l->fingerprint))
        return dp_fail(
            error, DP_INVALID,
            "namespace \"%.*s\" was embedded by model \"%.*s\" (fingerprint %.16s); the rows to load were "
            "embedded by \"%.*s\" (fingerprint %.16s): vectors of two models cannot be compared",
            SPAN_FMT(l->name), SPAN_FMT(m->model), m->fingerprint.len ? (const char *)m->fingerprint.data : "none",
            SPAN_FMT(l->model), l->fingerprint.len ? (const char *)l->fingerprint.data : "none");
    return DP_OK;
}

enum dp_status load_check_room(const struct index_loader *l, struct dp_error *error)
{
    if (l->segment_count < l->segments_max)
        return DP_OK;
    return dp_fail(
        error, DP_TOO_LARGE,
        "namespace \"%.*s\" lists %zu segments and this load has written %zu: its manifest, of at most %d KiB, "
        "has no room for another one; load into another namespace, with fewer and larger loads",
        SPAN_FMT(l->name), l->segments_listed, l->segment_count, MANIFEST_BYTES_MAX / 1024);
}

/* Counts the segments that fit beside `used` bytes of manifest. */
static void count_room(struct index_loader *l, size_t used)
{
    size_t left = MANIFEST_BYTES_MAX - MANIFEST_WRITER_LEN;
    l->segments_max = used < left ? (left - used) / MANIFEST_SEGMENT_LEN : 0;
    if (l->segments_max > MANIFEST_SEGMENTS_MAX - l->segments_listed)
        l->segments_max = MANIFEST_SEGMENTS_MAX - l->segments_listed;
}

static enum dp_status check_room_beside(const struct manifest *m, struct index_loader *l, struct dp_error *error)
{
    struct buffer bytes;
    buffer_init(&bytes, MANIFEST_BYTES_MAX * 2);
    enum dp_status status = manifest_write(m, &bytes, error);
    if (status == DP_NOMEM || bytes.status == DP_NOMEM) {
        buffer_deinit(&bytes);
        return status;
    }
    l->segments_listed = m->segment_count < MANIFEST_SEGMENTS_MAX ? m->segment_count : MANIFEST_SEGMENTS_MAX;
    count_room(l, status == DP_OK ? bytes.len : MANIFEST_BYTES_MAX);
    buffer_deinit(&bytes);
    return load_check_room(l, error);
}

enum dp_status load_check_log(struct call *call, const struct index_loader *l, const struct manifest *m)
{
    struct object_key key;
    key_of_wal(&key, l->name, &m->incarnation, m->wal_floor + 1);
    struct store_read_req probe = {.key = object_key_span(&key), .len = 1};
    store_read(call, l->store, &probe, 1); /* judged by its own status */
    dp_error_clear(&call->error);
    enum dp_status status = snapshot_check_wal(&probe, &call->error);
    store_read_release(&probe, 1);
    return status;
}

/* The incarnation to write into, and early refusals. */
static enum dp_status look_at_namespace(struct call *call, struct index_loader *l)
{
    struct manifest m;
    enum dp_status status = manifest_load(call, l->store, l->name, &m, NULL);
    if (status == DP_NOT_FOUND) {
        dp_error_clear(&call->error);
        memset(l->horizon.text, '0', ULID_LEN);
        count_room(l, MANIFEST_START_LEN);
        return os_ulid(l->incarnation.text, &call->error);
    }
    if (status)
        return status;
    l->joins = true;
    l->incarnation = m.incarnation;
    l->horizon = m.horizon;
    status = load_check_vectors(l, &m, &call->error);
    if (status == DP_OK)
        status = check_room_beside(&m, l, &call->error);
    if (status == DP_OK)
        status = load_check_log(call, l, &m);
    if (status == DP_OK) /* so that a row that contradicts what is there is found when it comes */
        status = schema_join(&l->schema, &l->arena, &m.schema, &call->error);
    manifest_deinit(&m);
    return status;
}

static enum dp_status check_vectors_spec(struct span name, const struct index_vectors *v, struct dp_error *error)
{
    enum dp_status status = index_check_name(name, error);
    if (status)
        return status;
    if (v->dim == 0 || v->dim > INDEX_DIM_MAX)
        return dp_fail(error, DP_INVALID, "vectors have 1 to %d dimensions, not %" PRIu32, INDEX_DIM_MAX, v->dim);
    if (v->model.len > 256 || v->fingerprint.len > 128)
        return dp_fail(error, DP_INVALID, "the model's name or fingerprint is too long");
    return DP_OK;
}

enum dp_status index_load_begin(struct call *call, struct store *store, struct span name,
                                const struct index_vectors *vectors, struct team *team, struct index_loader **out)
{
    *out = NULL;
    enum dp_status status = check_vectors_spec(name, vectors, &call->error);
    if (status)
        return status;
    struct index_loader *l = mem_calloc(1, sizeof *l);
    if (!l)
        return call_nomem(call, "a load");
    l->store = store;
    l->team = team;
    l->dim = vectors->dim;
    l->metric = vectors->metric;
    l->segment_rows = SEGMENT_ROWS;
    arena_init(&l->arena, ids_memory_max);
    arena_init(&l->scratch, SCRATCH_MAX);
    map_init(&l->seen, NAMESPACE_ROWS_MAX);
    spill_init(&l->vectors, VECTORS_MEMORY);
    spill_init(&l->documents, DOCUMENTS_MEMORY);
    l->scaled = mem_alloc((size_t)l->dim * sizeof(float));
    l->name = arena_copy(&l->arena, name);
    l->model = arena_copy(&l->arena, vectors->model);
    l->fingerprint = arena_copy(&l->arena, vectors->fingerprint);
    if (!l->scaled || !l->name.data || !l->model.data || !l->fingerprint.data)
        status = call_nomem(call, "a load");
    else
        status = os_ulid(l->writer.text, &call->error);
    if (status == DP_OK)
        status = look_at_namespace(call, l);
    if (status) {
        index_load_abort(l);
        return status;
    }
    *out = l;
    return DP_OK;
}

/* Room for one more element; the array doubles. */
static bool make_room(void **array, size_t count, size_t *room, size_t size)
{
    size_t more = *room ? *room * 2 : 64, bytes;
    if (count < *room)
        return true;
    if (!mem_mul_ok(more, size, &bytes))
        return false;
    void *grown = mem_realloc(*array, bytes);
    if (!grown)
        return false;
    *array = grown;
    *room = more;
    return true;
}

static enum dp_status add_vectors(struct call *call, struct index_loader *l, const float *vectors, size_t windows)
{
    for (size_t w = 0; w < windows; w++) {
        memcpy(l->scaled, vectors + w * l->dim, (size_t)l->dim * sizeof(float));
        if (l->metric == INDEX_COSINE)
            vector_normalize(l->scaled, l->dim);
        enum dp_status status =
            spill_append(&l->vectors, span_of(l->scaled, (size_t)l->dim * sizeof(float)), &call->error);
        if (status)
            return status;
    }
    return DP_OK;
}

/* Finite, and for cosine of a length that can be divided by. */
static enum dp_status check_row_vectors(struct index_loader *l, const float *vectors, size_t windows,
                                        struct dp_error *error)
{
    if (windows == 0 || windows > INDEX_WINDOWS_MAX)
        return dp_fail(error, DP_INVALID, "a row has 1 to %d vectors, not %zu", INDEX_WINDOWS_MAX, windows);
    for (size_t w = 0; w < windows; w++) {
        const float *x = vectors + w * l->dim;
        for (uint32_t d = 0; d < l->dim; d++) {
            if (!isfinite(x[d]))
                return dp_fail(error, DP_INVALID,
                               "its vector has a component (number %" PRIu32 ") that is not finite", d);
            if (l->metric != INDEX_COSINE && fabsf(x[d]) > INDEX_COMPONENT_MAX)
                return dp_fail(error, DP_INVALID,
                               "its vector has a component (number %" PRIu32
                               ") of more than %g: squared distances "
                               "would not fit a float",
                               d, (double)INDEX_COMPONENT_MAX);
        }
        if (l->metric != INDEX_COSINE)
            continue;
        memcpy(l->scaled, x, (size_t)l->dim * sizeof(float));
        if (!vector_normalize(l->scaled, l->dim))
            return dp_fail(
                error, DP_INVALID,
                "its vector has no length (or too much) and so no direction, which cosine distance needs");
    }
    return DP_OK;
}

/* An upper bound of the hot part that the waiting rows and one more would make; see segment/write.c. */
static bool segment_is_full(const struct index_loader *l)
{
    if (l->row_count == 0)
        return false;
    uint64_t rows = l->row_count;
    uint64_t blocks = 2 * (l->documents.len + rows * (ID_KEY_MAX + 4)) / (32 * 1024) + 2;
    uint64_t id_blocks = rows * (ID_KEY_MAX + 5) / (15 * 1024) + 1;
    uint64_t hot = rows * 10 / 8 + blocks * 20 + id_blocks * (ID_KEY_MAX + 17) + l->window_rows * 5 + 12 * 4096;
    return rows >= l->segment_rows || hot > HOT_BYTES || l->vectors.len >= vectors_bytes_max ||
           l->documents.len >= documents_bytes_max;
}

enum dp_status index_load_row(struct call *call, struct index_loader *l, struct index_id id, const float *vectors,
                              size_t windows, struct span attributes)
{
    struct id_key key;
    char text[ID_TEXT_MAX];
    enum dp_status status = id_encode(id, &key, &call->error);
    if (status)
        return status;
    if (attributes.len == 0)
        attributes = span_str("{}");
    if (map_find(&l->seen, id_key_span(&key)))
        return call_fail(call, DP_INVALID, "id %s is there twice", id_describe(id_key_span(&key), text));
    if (attributes.len > INDEX_DOCUMENT_MAX)
        status = dp_fail(&call->error, DP_TOO_LARGE, "its attributes have %zu bytes, more than %d", attributes.len,
                         INDEX_DOCUMENT_MAX);
    if (status == DP_OK)
        status = check_row_vectors(l, vectors, windows, &call->error);
    arena_reset(&l->scratch);
    if (status == DP_OK)
        status = schema_learn(&l->schema, &l->arena, attributes, &l->scratch, &call->error);
    if (status) {
        dp_error_prefix(&call->error, "id %s", id_describe(id_key_span(&key), text));
        return status;
    }
    if ((status = call_check(call)) != DP_OK)
        return status;
    if (l->broken)
        return call_fail(call, DP_INVALID, "this load has failed: begin another");
    if (segment_is_full(l) && (status = load_build(call, l)) != DP_OK)
        return status;
    l->broken = true; /* until all of the row is in */
    struct span kept = arena_copy(&l->arena, id_key_span(&key));
    if (!kept.data || !make_room((void **)&l->keys, l->key_count, &l->key_room, sizeof *l->keys) ||
        !make_room((void **)&l->rows, l->row_count, &l->row_room, sizeof *l->rows))
        return call_nomem(call, "a row");
    if ((status = map_put(&l->seen, kept, l->key_count, NULL, NULL, &call->error)) != DP_OK)
        return status;
    l->keys[l->key_count++] = kept;
    l->rows[l->row_count++] =
        (struct load_row){l->vector_count, l->documents.len, (uint32_t)windows, (uint32_t)attributes.len};
    l->vector_count += windows;
    l->windows += windows - 1;
    l->window_rows += windows > 1;
    if ((status = add_vectors(call, l, vectors, windows)) == DP_OK)
        status = spill_append(&l->documents, attributes, &call->error);
    l->broken = status != DP_OK;
    return status;
}

enum dp_status load_note(struct call *call, struct index_loader *l, const struct object_key *key)
{
    struct load_object *o = arena_alloc(&l->arena, sizeof *o);
    if (!o)
        return call_nomem(call, "a load");
    *o = (struct load_object){*key, l->written};
    l->written = o;
    return DP_OK;
}

enum dp_status load_unlisted(struct call *call, enum dp_status status)
{
    switch (status) {
    case DP_NOT_DURABLE: return call->error.status = DP_IO;
    case DP_UNKNOWN: return call->error.status = DP_UNAVAILABLE;
    default: return status;
    }
}

void loader_remove_uncommitted(struct index_loader *l)
{
    struct arena arena;
    struct call call; /* of its own: the caller's may have ended */
    if (l->sent)
        return;
    arena_init(&arena, SCRATCH_MAX);
    call_init(&call, &arena);
    call_limit_ms(&call, LOAD_CLEANUP_MS);
    for (const struct load_object *o = l->written; o && call_check(&call) == DP_OK; o = o->next)
        store_remove(&call, l->store, object_key_span(&o->key));
    arena_deinit(&arena);
}

void index_load_abort(struct index_loader *l)
{
    if (!l)
        return;
    loader_remove_uncommitted(l);
    loader_free(l);
}

void loader_free(struct index_loader *l)
{
    spill_deinit(&l->vectors);
    spill_deinit(&l->documents);
    map_deinit(&l->seen);
    mem_free(l->keys);
    mem_free(l->rows);
    mem_free(l->segments);
    mem_free(l->scaled);
    arena_deinit(&l->scratch);
    arena_deinit(&l->arena);
    mem_free(l);
}
