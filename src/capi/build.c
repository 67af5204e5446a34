/* build.c: the public C API of building FAISS files (dp_ivf_…): over faiss/faiss_build.h. */
#include <dipper/dipper.h>

#include "capi/capi.h"
#include "service/store_settings.h"
#include "base/alloc.h"
#include "faiss/faiss_build.h"
#include "faiss/vector_input.h"

enum { CALL_ARENA_MAX = 64 << 20 };

static enum dp_status build_options(const struct dp_ivf_options *from, struct faiss_build_options *to,
                                    struct dp_error *error)
{
    static const struct dp_ivf_options none;
    from = from ? from : &none;
    if (from->kind != DP_IVF_FLAT && from->kind != DP_IVF_SQ8)
        return dp_fail(error, DP_INVALID, "kind %d is neither DP_IVF_FLAT nor DP_IVF_SQ8", (int)from->kind);
    if (from->metric != DP_IVF_L2 && from->metric != DP_IVF_INNER_PRODUCT && from->metric != DP_IVF_COSINE)
        return dp_fail(error, DP_INVALID, "metric %d is none of DP_IVF_L2, DP_IVF_INNER_PRODUCT, DP_IVF_COSINE",
                       (int)from->metric);
    *to = (struct faiss_build_options){.kind = from->kind == DP_IVF_FLAT ? IVF_FLAT : IVF_SQ8,
                                       .metric = from->metric == DP_IVF_L2 ? VECTOR_L2 : VECTOR_INNER_PRODUCT,
                                       .normalize = from->metric == DP_IVF_COSINE,
                                       .nlist = from->nlist,
                                       .seed = from->seed,
                                       .memory_bytes = from->memory_bytes,
                                       .no_recall = from->no_recall,
                                       .progress = from->progress,
                                       .progress_ctx = from->progress_ctx};
    return DP_OK;
}

/* Builds; the settings of a remote store are the environment's. */
static enum dp_status build(struct call *call, struct dp_runtime *runtime, const struct vector_source *source,
                            const struct faiss_build_options *options, const char *path)
{
    struct environment_settings e;
    enum dp_status status = environment_settings_load(&e, span_str(path), &call->error);
    if (status == DP_OK)
        status =
            faiss_build(call, runtime ? runtime->team : NULL, source, options, span_str(path), &e.store, NULL);
    environment_settings_deinit(&e);
    return status;
}

static enum dp_status read_memory(struct call *call, void *ctx, uint64_t first, size_t n, float *room,
                                  const float **out)
{
    const struct vector_source *source = ctx;
    (void)call, (void)n, (void)room;
    *out = (const float *)source->ctx + first * source->dim;
    return DP_OK;
}

enum dp_status dp_ivf_build(struct dp_runtime *runtime, const float *vectors, size_t count, size_t dim,
                            const int64_t *ids, const char *path, const struct dp_ivf_options *options,
                            struct dp_error *error)
{
    struct faiss_build_options how;
    struct arena arena;
    struct call call;
    enum dp_status status = capi_need(error, "dp_ivf_build", "path", path, NULL);
    if (status == DP_OK && count > 0)
        status = capi_need(error, "dp_ivf_build", "vectors", vectors, NULL);
    if (status == DP_OK)
        status = build_options(options, &how, error);
    if (status != DP_OK)
        return status;
    struct vector_source where = {.dim = dim, .ctx = (void *)(uintptr_t)vectors};
    const struct vector_source source = {
        .count = count, .dim = dim, .read = read_memory, .ctx = &where, .name = "the vectors"};
    how.ids = ids;
    arena_init(&arena, CALL_ARENA_MAX);
    call_init(&call, &arena);
    status = build(&call, runtime, &source, &how, path);
    if (status != DP_OK && error)
        *error = call.error;
    arena_deinit(&arena);
    return status;
}

enum dp_status dp_ivf_build_file(struct dp_runtime *runtime, const char *vectors_path, const char *path,
                                 const struct dp_ivf_options *options, struct dp_error *error)
{
    struct faiss_build_options how;
    struct vector_input input;
    struct arena arena;
    struct call call;
    int64_t *ids = NULL;
    enum dp_status status =
        capi_need(error, "dp_ivf_build_file", "vectors_path", vectors_path, "path", path, NULL);
    if (status == DP_OK)
        status = build_options(options, &how, error);
    if (status != DP_OK)
        return status;
    arena_init(&arena, CALL_ARENA_MAX);
    call_init(&call, &arena);
    status = vector_input_open(&call, vectors_path, &input);
    if (status == DP_OK && options && options->ids_path)
        status = vector_input_ids(&call, options->ids_path, input.layout.count, &ids);
    if (status == DP_OK) {
        const struct vector_source source = vector_input_source(&input);
        how.ids = ids;
        status = build(&call, runtime, &source, &how, path);
    }
    if (status != DP_OK && error)
        *error = call.error;
    mem_free(ids);
    vector_input_close(&input);
    arena_deinit(&arena);
    return status;
}
