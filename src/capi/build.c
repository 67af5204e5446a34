/* build.c: the public C API that builds FAISS files (dp_index_build…), with faiss/faiss_build.h. */
#include <dipper/dipper.h>

#include "base/alloc.h"
#include "capi/arguments.h"
#include "capi/call.h"
#include "capi/runtime.h"
#include "faiss/faiss_build.h"
#include "faiss/vector_input.h"
#include "service/store_settings.h"

static enum dp_status build_options(const char *function, const struct dp_index_build_options *from,
                                    struct dp_limits *limits, struct faiss_build_options *to,
                                    struct dp_error *error)
{
    struct dp_index_build_options o;
    enum dp_status status = capi_options(error, function, "struct dp_index_build_options", from, &o, sizeof o);
    if (status != DP_OK)
        return status;
    if (o.kind != DP_IVF_FLAT && o.kind != DP_IVF_SQ8)
        return dp_fail(error, DP_INVALID, "%s: kind %d is neither DP_IVF_FLAT nor DP_IVF_SQ8", function,
                       (int)o.kind);
    if (o.metric != DP_METRIC_L2 && o.metric != DP_METRIC_INNER_PRODUCT && o.metric != DP_METRIC_COSINE)
        return dp_fail(error, DP_INVALID,
                       "%s: metric %d is not DP_METRIC_L2, DP_METRIC_INNER_PRODUCT or DP_METRIC_COSINE", function,
                       (int)o.metric);
    *limits = o.limits;
    *to = (struct faiss_build_options){.kind = o.kind == DP_IVF_FLAT ? IVF_FLAT : IVF_SQ8,
                                       .metric = o.metric == DP_METRIC_L2 ? VECTOR_L2 : VECTOR_INNER_PRODUCT,
                                       .normalize = o.metric == DP_METRIC_COSINE,
                                       .nlist = o.nlist,
                                       .seed = o.seed,
                                       .memory_bytes = o.memory_bytes,
                                       .no_recall = o.no_recall,
                                       .progress = o.progress,
                                       .progress_ctx = o.progress_ctx};
    return DP_OK;
}

/* Builds the file at `path`, with a remote store's settings from the environment. */
static enum dp_status build_index(struct call *call, struct dp_runtime *runtime,
                                  const struct vector_source *source, const struct faiss_build_options *options,
                                  const char *path)
{
    struct environment_settings e;
    enum dp_status status = environment_settings_load(&e, span_str(path), &call->error);
    if (status == DP_OK)
        status =
            faiss_build(call, runtime ? runtime->team : NULL, source, options, span_str(path), &e.store, NULL);
    environment_settings_deinit(&e);
    return status;
}

static enum dp_status point_at_vectors(struct call *call, void *ctx, uint64_t first, size_t n, float *room,
                                       const float **out)
{
    const struct vector_source *source = ctx;
    (void)call, (void)n, (void)room;
    *out = (const float *)source->ctx + first * source->dim;
    return DP_OK;
}

enum dp_status dp_index_build(struct dp_runtime *runtime, const float *vectors, size_t count, size_t dim,
                              const int64_t *ids, const char *path, const struct dp_index_build_options *options,
                              struct dp_error *error)
{
    struct faiss_build_options how;
    struct dp_limits limits;
    struct capi_call c;
    enum dp_status status = capi_need(error, "dp_index_build", "path", path, NULL);
    if (status == DP_OK && count > 0)
        status = capi_need(error, "dp_index_build", "vectors", vectors, NULL);
    if (status == DP_OK)
        status = build_options("dp_index_build", options, &limits, &how, error);
    if (status != DP_OK)
        return status;
    struct vector_source where = {.dim = dim, .ctx = (void *)(uintptr_t)vectors};
    const struct vector_source source = {
        .count = count, .dim = dim, .read = point_at_vectors, .ctx = &where, .name = "the vectors"};
    how.ids = ids;
    capi_begin(&c, &limits, CAPI_INDEX_ARENA_MAX);
    status = build_index(&c.call, runtime, &source, &how, path);
    return capi_end(&c, status, error);
}

enum dp_status dp_index_build_file(struct dp_runtime *runtime, const char *vectors_path, const char *ids_path,
                                   const char *path, const struct dp_index_build_options *options,
                                   struct dp_error *error)
{
    struct faiss_build_options how;
    struct vector_input input;
    struct dp_limits limits;
    struct capi_call c;
    int64_t *ids = NULL;
    enum dp_status status =
        capi_need(error, "dp_index_build_file", "vectors_path", vectors_path, "path", path, NULL);
    if (status == DP_OK)
        status = build_options("dp_index_build_file", options, &limits, &how, error);
    if (status != DP_OK)
        return status;
    capi_begin(&c, &limits, CAPI_INDEX_ARENA_MAX);
    status = vector_input_open(&c.call, vectors_path, &input);
    if (status == DP_OK && ids_path)
        status = vector_input_ids(&c.call, ids_path, input.layout.count, &ids);
    if (status == DP_OK) {
        const struct vector_source source = vector_input_source(&input);
        how.ids = ids;
        status = build_index(&c.call, runtime, &source, &how, path);
    }
    mem_free(ids);
    vector_input_close(&input);
    return capi_end(&c, status, error);
}
