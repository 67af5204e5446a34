/* load/load.c: begins, aborts and frees a load. rows.c accepts its rows, build.c makes segments of them, and
 * commit.c makes the segments visible.
 */
#include "index/load/load.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "index/lives.h"

enum {
    SEGMENT_ROWS = 1000 * 1000,
    HOT_BYTES = 3 * 1024 * 1024,
    VECTORS_MEMORY = 384 * 1024 * 1024,
    DOCUMENTS_MEMORY = 128 * 1024 * 1024,
    WRITE_MEMORY = 4 * 1024 * 1024,         /* of vectors and of documents each, for one large write */
    WRITE_SAMPLE_MEMORY = 12 * 1024 * 1024, /* of the vectors that its clustering learns from */
    SCRATCH_MAX = 64 * 1024 * 1024
};
static const uint64_t ids_memory_max = UINT64_C(16) << 30;

static enum dp_status check_vectors_spec(struct span name, const struct index_vectors *v, bool may_lack,
                                         struct dp_error *error)
{
    enum dp_status status = index_check_name(name, error);
    if (status)
        return status;
    if ((v->dim == 0 && !may_lack) || v->dim > INDEX_DIM_MAX)
        return dp_fail(error, DP_INVALID, "vectors have 1 to %d dimensions, not %" PRIu32, INDEX_DIM_MAX, v->dim);
    if (v->model.len > 256 || v->fingerprint.len > 128)
        return dp_fail(error, DP_INVALID, "the model's name or fingerprint is too long");
    return DP_OK;
}

enum dp_status loader_new(struct call *call, struct store *store, struct span name,
                          const struct index_vectors *vectors, struct team *team, const struct index_clock *clock,
                          struct index_loader **out)
{
    *out = NULL;
    struct index_loader *l = mem_calloc(1, sizeof *l);
    if (!l)
        return call_nomem(call, "a load");
    l->store = store;
    l->team = team;
    l->clock = clock;
    l->segment_rows = SEGMENT_ROWS;
    l->hot_bytes = HOT_BYTES;
    l->indexed = &l->schema;
    l->log.arena = &l->arena;
    arena_init(&l->arena, ids_memory_max);
    arena_init(&l->scratch, SCRATCH_MAX);
    map_init(&l->seen, NAMESPACE_ROWS_MAX);
    spill_init(&l->waiting.vectors, VECTORS_MEMORY);
    spill_init(&l->waiting.documents, DOCUMENTS_MEMORY);
    l->target.name = arena_copy(&l->arena, name);
    l->target.vectors =
        (struct index_vectors){vectors->dim, vectors->metric, arena_copy(&l->arena, vectors->model),
                               arena_copy(&l->arena, vectors->fingerprint)};
    enum dp_status status = DP_OK;
    if (!l->target.name.data || !l->target.vectors.model.data || !l->target.vectors.fingerprint.data)
        status = call_nomem(call, "a load");
    if (status) {
        loader_free(l);
        return status;
    }
    *out = l;
    return DP_OK;
}

enum dp_status index_load_begin(struct call *call, struct store *store, struct span name,
                                const struct index_vectors *vectors, struct team *team, struct index_loader **out)
{
    return load_begin(call, store, name, vectors, team, NULL, out);
}

/* Begins a load. may_lack: the namespace may have no vectors. */
static enum dp_status begin_load(struct call *call, struct store *store, struct span name,
                                 const struct index_vectors *vectors, struct team *team,
                                 const struct index_clock *clock, bool may_lack, struct index_loader **out)
{
    struct index_loader *l = NULL;
    *out = NULL;
    enum dp_status status = check_vectors_spec(name, vectors, may_lack, &call->error);
    if (status == DP_OK)
        status = loader_new(call, store, name, vectors, team, clock, &l);
    if (status == DP_OK)
        status = target_look(call, store, clock, &l->target, &l->schema, &l->arena);
    if (status) {
        index_load_abort(l);
        return status;
    }
    *out = l;
    return DP_OK;
}

enum dp_status load_begin(struct call *call, struct store *store, struct span name,
                          const struct index_vectors *vectors, struct team *team, const struct index_clock *clock,
                          struct index_loader **out)
{
    return begin_load(call, store, name, vectors, team, clock, false, out);
}

enum dp_status index_load_begin_write(struct call *call, struct store *store, struct span name,
                                      const struct index_life *life, const struct index_vectors *vectors,
                                      struct team *team, struct index_loader **out)
{
    enum dp_status status = begin_load(call, store, name, vectors, team, NULL, true, out);
    struct index_loader *l = *out;
    if (status)
        return status;
    if (!l->target.joins)
        status = call_fail(call, DP_NOT_FOUND, "there is no namespace \"%.*s\"", SPAN_FMT(name));
    else if (!life_matches(life, &l->target.incarnation))
        status = call_fail(call, DP_CONFLICT, "the namespace was deleted and made anew during the write");
    if (status != DP_OK) {
        index_load_abort(l);
        *out = NULL;
        return status;
    }
    l->vectorless = vectors->dim == 0;
    l->quick = true;
    l->sample_bytes = WRITE_SAMPLE_MEMORY;
    spill_deinit(&l->waiting.vectors);
    spill_deinit(&l->waiting.documents);
    spill_init(&l->waiting.vectors, WRITE_MEMORY);
    spill_init(&l->waiting.documents, WRITE_MEMORY);
    return DP_OK;
}

void index_load_abort(struct index_loader *l)
{
    if (!l)
        return;
    object_log_remove(&l->log, l->store);
    loader_free(l);
}

void loader_free(struct index_loader *l)
{
    spill_deinit(&l->waiting.vectors);
    spill_deinit(&l->waiting.documents);
    map_deinit(&l->seen);
    mem_free(l->keys);
    mem_free(l->waiting.rows);
    mem_free(l->segments);
    arena_deinit(&l->scratch);
    arena_deinit(&l->arena);
    mem_free(l);
}
