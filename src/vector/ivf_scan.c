/* ivf_scan.c: runs lists through the kind of their codec, block by block, into the heap. */
#include "vector/ivf_scan.h"

#include <float.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "vector/ivf_kinds.h"
#include "vector/sq8.h"

static const struct ivf_kind *kind_of(const struct ivf_codec *codec)
{
    switch (codec->kind) {
    case IVF_FLAT: return &ivf_kind_flat;
    case IVF_SQ8:
    case IVF_SQ4:
    case IVF_SQ6:
    case IVF_FP16: return &ivf_kind_scalar;
    case IVF_PQ: return &ivf_kind_pq;
    case IVF_PQ_FAST: return &ivf_kind_pq_fast;
    case IVF_RABITQ: return codec->bits == 1 ? &ivf_kind_rabitq : &ivf_kind_rabitq_bits;
    case IVF_RABITQ_FAST: return codec->bits == 1 ? &ivf_kind_rabitq_fast : &ivf_kind_rabitq_fast_bits;
    }
    return &ivf_kind_flat; /* not reached */
}

void ivf_encode(const struct ivf_codec *codec, const float *x, const float *centroid, float *residual,
                uint8_t *code)
{
    if (codec->kind == IVF_FLAT) {
        memcpy(code, x, codec->code_size);
        return;
    }
    if (codec->by_residual) {
        for (size_t i = 0; i < codec->dim; i++)
            residual[i] = x[i] - centroid[i];
        x = residual;
    }
    sq8_encode(codec->trained, codec->dim, x, code);
}

enum { MEMORY_ALIGNMENT = 64 };

void ivf_memory_add(struct ivf_memory *memory, size_t count, size_t size)
{
    size_t bytes;
    if (memory->size == SIZE_MAX || !mem_mul_ok(count, size, &bytes) ||
        __builtin_add_overflow(bytes, MEMORY_ALIGNMENT, &bytes) ||
        __builtin_add_overflow(memory->size, bytes / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT, &memory->size))
        memory->size = SIZE_MAX;
}

enum dp_status ivf_memory_make(struct ivf_memory *memory, struct ivf_query *query, struct dp_error *error)
{
    if (memory->size == SIZE_MAX || (query->memory = mem_aligned_alloc(MEMORY_ALIGNMENT, memory->size)) == NULL)
        return dp_fail_nomem(error, "a query's tables");
    memory->next = query->memory;
    return DP_OK;
}

void *ivf_memory_take(struct ivf_memory *memory, size_t count, size_t size)
{
    void *block = memory->next;
    memory->next += (count * size + MEMORY_ALIGNMENT) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
    return block;
}

enum dp_status ivf_query_init(struct ivf_query *query, const struct ivf_codec *codec, const float *vector,
                              struct dp_error *error)
{
    *query = (struct ivf_query){.codec = codec, .vector = vector, .block_rows = IVF_SCAN_ROWS};
    return kind_of(codec)->begin(query, error);
}

void ivf_query_deinit(struct ivf_query *query)
{
    mem_free(query->memory);
    *query = (struct ivf_query){0};
}

void ivf_query_probe(struct ivf_query *query, const float *centroids, const uint32_t *lists, size_t count)
{
    const struct ivf_kind *kind = kind_of(query->codec);
    if (kind->probe != NULL)
        kind->probe(query, centroids, lists, count);
}

static int64_t load_id(const uint8_t *ids, uint64_t index)
{
    int64_t id;
    memcpy(&id, ids + index * sizeof id, sizeof id);
    return id;
}

/* The ids of a block into id[n]. */
static enum dp_status take_ids(const struct ivf_query *query, const uint8_t *ids, size_t n, int64_t *id,
                               struct dp_error *error)
{
    for (size_t i = 0; i < n; i++) {
        id[i] = load_id(ids, i);
        if (query->map.ids == NULL)
            continue;
        if (id[i] < 0 || (uint64_t)id[i] >= query->map.count)
            return dp_fail(error, DP_CORRUPT, "a list holds number %" PRId64 ", the id map has %" PRIu64, id[i],
                           query->map.count);
        id[i] = load_id(query->map.ids, (uint64_t)id[i]);
    }
    return DP_OK;
}

static bool block_has_allowed(const struct id_filter *filter, const int64_t *id, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (id_filter_allows(filter, id[i]))
            return true;
    return false;
}

static enum dp_status check_list(const struct ivf_codec *codec, struct span codes, struct span ids,
                                 struct dp_error *error)
{
    size_t n = ids.len / sizeof(int64_t);
    if (codec->block_rows == 0 && codes.len % codec->code_size != 0)
        return dp_fail(error, DP_CORRUPT, "list of %zu bytes is not a whole number of %zu-byte codes", codes.len,
                       codec->code_size);
    if (ids.len % sizeof(int64_t) != 0 || ivf_codec_list_bytes(codec, n) != codes.len)
        return dp_fail(error, DP_CORRUPT, "list of %zu bytes of codes has %zu bytes of ids, not 8 for each code",
                       codes.len, ids.len);
    return DP_OK;
}

/* The score that a vector must beat to get in. */
static float worst_score(const struct topk *top)
{
    if (top->count == top->k && top->k > 0)
        return top->hits[0].score;
    return top->larger_is_better ? -FLT_MAX : FLT_MAX;
}

enum dp_status ivf_scan_list(struct ivf_query *query, const float *centroid, struct span codes, struct span ids,
                             const struct id_filter *filter, struct topk *top, struct dp_error *error)
{
    const struct ivf_kind *kind = kind_of(query->codec);
    size_t n = ids.len / sizeof(int64_t);
    enum dp_status status = check_list(query->codec, codes, ids, error);
    if (status != DP_OK || n == 0)
        return status;
    float scores[IVF_SCAN_ROWS];
    int64_t id[IVF_SCAN_ROWS];
    if (kind->enter != NULL)
        kind->enter(query, centroid);
    for (size_t begin = 0; begin < n; begin += query->block_rows) {
        size_t rows = n - begin < query->block_rows ? n - begin : query->block_rows;
        status = take_ids(query, ids.data + begin * sizeof *id, rows, id, error);
        if (status != DP_OK)
            return status;
        if (filter != NULL && !block_has_allowed(filter, id, rows))
            continue;
        kind->score(query, codes.data, begin, rows, scores);
        for (size_t i = 0; i < rows; i++) {
            if ((kind->refine == NULL && !topk_admits(top, scores[i])) ||
                (filter != NULL && !id_filter_allows(filter, id[i])))
                continue;
            if (kind->refine == NULL || kind->refine(query, codes.data, begin + i, worst_score(top), &scores[i]))
                topk_push(top, scores[i], id[i]);
        }
    }
    return DP_OK;
}
