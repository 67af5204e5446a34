/* load/rows.c: takes in the rows of a load: checks them, and keeps them until a segment is full.
 *
 * The ids of a whole load stay in memory (about 100 bytes each), to find duplicates and, at the commit, the rows that
 * they replace. Vectors and documents wait in spills.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "base/array.h"
#include "index/id.h"
#include "index/load/load.h"
#include "index/row_vector.h"
#include "index/schema_options.h"
#include "index/segment/format.h"

static const uint64_t vectors_bytes_max = UINT64_C(2) << 30, documents_bytes_max = UINT64_C(4) << 30;

/* Makes room for the key and the facts of one more row. */
static bool reserve_row(struct index_loader *l)
{
    struct span *keys = array_reserve(l->keys, l->key_count, &l->key_room, sizeof *keys, 64);
    if (!keys)
        return false;
    l->keys = keys;
    struct waiting_row *rows =
        array_reserve(l->waiting.rows, l->waiting.count, &l->waiting.room, sizeof *rows, 64);
    if (!rows)
        return false;
    l->waiting.rows = rows;
    return true;
}

static enum dp_status check_row_vectors(struct index_loader *l, const float *vectors, size_t windows,
                                        struct dp_error *error)
{
    if (windows == 0 && l->vectorless)
        return DP_OK;
    if (windows == 0 || windows > INDEX_WINDOWS_MAX)
        return dp_fail(error, DP_INVALID, "a row has 1 to %d vectors, not %zu", INDEX_WINDOWS_MAX, windows);
    enum dp_status status = DP_OK;
    for (size_t w = 0; w < windows && status == DP_OK; w++)
        status = row_vector_check(&l->target.vectors, vectors + w * l->target.vectors.dim, error);
    return status;
}

/* Whether no segment may have another row beside those that wait. The estimate of the hot part is an upper bound
 * (segment/write.c). Rows, vectors and documents have limits too. */
static bool segment_is_full(const struct index_loader *l)
{
    uint64_t rows = l->waiting.count;
    uint64_t frames = 2 * (l->waiting.documents.len + l->waiting.key_bytes + rows * 4) / (8 * 1024) + 2;
    uint64_t id_blocks = (l->waiting.key_bytes + rows * 5) / (15 * 1024) + 1;
    uint64_t hot = frames * 5 + id_blocks * (l->waiting.key_longest + 17) + l->waiting.window_rows * 5 + 12 * 4096;
    return rows >= SEGMENT_ROWS_MAX || hot > l->hot_bytes || l->waiting.vectors.len >= vectors_bytes_max ||
           l->waiting.documents.len >= documents_bytes_max;
}

/* Builds a segment of the rows that wait, if the next row must not join them. */
static enum dp_status build_ended_segment(struct call *call, struct index_loader *l)
{
    const bool full = l->waiting.count && segment_is_full(l);
    if (!full && (l->waiting.count == 0 || l->waiting.count < l->segment_rows))
        return DP_OK;
    enum dp_status status = load_build_segment(call, l);
    if (status == DP_OK)
        l->segments[l->segment_count - 1].full = full;
    return status;
}

void index_load_declare(struct index_loader *l, struct span name, struct span options)
{
    l->declared = schema_find(&l->schema, name) ? (struct span){0} : name;
    l->declared_options = options;
}

/* Gives the attribute l->declared its options if a row of this load has made it. */
static enum dp_status declare_attribute(struct index_loader *l, struct dp_error *error)
{
    struct attribute *a = l->declared.len ? schema_find(&l->schema, l->declared) : NULL;
    if (!a)
        return DP_OK;
    l->declared = (struct span){0};
    if (a->type != ATTRIBUTE_STRING)
        return DP_OK;
    return schema_set_options(a, l->declared_options, false, &l->arena, error);
}

/* Checks a row before the load takes any part of it. Its attributes join the load's schema. */
static enum dp_status check_row(struct call *call, struct index_loader *l, const struct id_key *key,
                                const float *vectors, size_t windows, struct span attributes)
{
    char text[ID_TEXT_MAX];
    enum dp_status status = DP_OK;
    if (map_find(&l->seen, id_key_span(key)))
        return call_fail(call, DP_INVALID, "id %s occurs twice", id_describe(id_key_span(key), text));
    if (attributes.len > INDEX_DOCUMENT_MAX)
        status = dp_fail(&call->error, DP_TOO_LARGE, "its attributes have %zu bytes, more than %d", attributes.len,
                         INDEX_DOCUMENT_MAX);
    if (status == DP_OK)
        status = check_row_vectors(l, vectors, windows, &call->error);
    arena_reset(&l->scratch);
    if (status == DP_OK)
        status = schema_learn(&l->schema, &l->arena, attributes, &l->scratch, &call->error);
    if (status == DP_OK)
        status = declare_attribute(l, &call->error);
    if (status)
        dp_error_prefix(&call->error, "id %s", id_describe(id_key_span(key), text));
    return status;
}

/* Keeps a row for the next segment. When it fails, part of the row may be kept. */
static enum dp_status keep_row(struct call *call, struct index_loader *l, struct span key, const float *vectors,
                               size_t windows, struct span document)
{
    enum dp_status status = DP_OK;
    struct span kept = arena_copy(&l->arena, key);
    if (!kept.data || !reserve_row(l))
        return call_nomem(call, "a row");
    l->keys[l->key_count++] = kept;
    l->waiting.rows[l->waiting.count++] = (struct waiting_row){l->waiting.vector_count, l->waiting.documents.len,
                                                               (uint32_t)windows, (uint32_t)document.len};
    l->waiting.vector_count += windows;
    l->windows += windows ? windows - 1 : 0;
    l->waiting.window_rows += windows != 1;
    l->waiting.key_bytes += key.len;
    l->waiting.key_longest = key.len > l->waiting.key_longest ? key.len : l->waiting.key_longest;
    if (windows)
        status = spill_append(&l->waiting.vectors,
                              span_of(vectors, windows * l->target.vectors.dim * sizeof(float)), &call->error);
    return status == DP_OK ? spill_append(&l->waiting.documents, document, &call->error) : status;
}

enum dp_status load_take_row(struct call *call, struct index_loader *l, struct span key, const float *vectors,
                             size_t windows, struct span document)
{
    enum dp_status status = build_ended_segment(call, l);
    return status == DP_OK ? keep_row(call, l, key, vectors, windows, document) : status;
}

enum dp_status index_load_row(struct call *call, struct index_loader *l, struct index_id id, const float *vectors,
                              size_t windows, struct span attributes)
{
    struct id_key key;
    if (attributes.len == 0)
        attributes = span_str("{}");
    enum dp_status status = id_encode(id, &key, &call->error);
    if (status == DP_OK)
        status = check_row(call, l, &key, vectors, windows, attributes);
    if (status == DP_OK)
        status = call_check(call);
    if (status == DP_OK && l->broken)
        status = call_fail(call, DP_INVALID, "this load has failed: begin another load");
    if (status == DP_OK)
        status = build_ended_segment(call, l);
    if (status)
        return status;
    status = keep_row(call, l, id_key_span(&key), vectors, windows, attributes);
    if (status == DP_OK)
        status = map_put(&l->seen, l->keys[l->key_count - 1], l->key_count - 1, NULL, NULL, &call->error);
    l->broken = status != DP_OK;
    return status;
}
