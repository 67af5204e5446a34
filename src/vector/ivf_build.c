/* ivf_build.c: clusters vectors, groups them by list and trains the codec.
 *
 * SQ8 codes are by residual, as FAISS's IndexIVFScalarQuantizer makes them by default: the ranges of x - centroid
 * are narrower than those of x, so eight bits give finer steps (docs/internals/faiss.md has the measured recall).
 * The ranges cover every vector, so encoding clamps no code.
 *
 * Lists are numbered in an order of proximity (vector/list_order.h). Centroids are rounded to few bits for each
 * dimension (vector/centroid_codes.h) before the codec is trained, so that the codes tell them exactly.
 */
#include "vector/ivf_build.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "vector/kmeans.h"
#include "vector/list_order.h"
#include "vector/sq8.h"

size_t ivf_auto_nlist(size_t n)
{
    size_t root = (size_t)sqrt((double)n);
    return root > 0 ? root : 1;
}

/* Walks over the vectors in order, and calls the watch after every SLICE_ROWS vectors. */
static enum dp_status train_codec(struct call *call, struct ivf_build *build, const struct kmeans_task *task,
                                  const uint32_t *list, float *residual)
{
    enum { SLICE_ROWS = 32 * 1024 };
    size_t dim = build->codec.dim;
    sq8_train_begin(build->trained, dim);
    for (size_t r = 0; r < build->count; r++) {
        const float *vector = task->x + r * dim, *centroid = build->centroids + list[r] * dim;
        memcpy(residual, vector, dim * sizeof *residual);
        if (task->scales)
            vector_normalize(residual, dim);
        for (size_t i = 0; i < dim; i++)
            residual[i] -= centroid[i];
        sq8_train_add(build->trained, dim, residual, 1);
        if (r % SLICE_ROWS == SLICE_ROWS - 1 && task->watch && !task->watch->tell(task->watch->ctx, 1))
            return call_fail(call, DP_CANCELLED, "building an index was cancelled");
    }
    sq8_train_end(build->trained, dim);
    return DP_OK;
}

static enum dp_status cluster_fully(struct call *call, struct team *team, const struct kmeans_task *task,
                                    float *centroids, uint32_t *list)
{
    enum dp_status status = kmeans_run(call, team, task, centroids);
    return status == DP_OK ? kmeans_assign_rows(call, team, task, centroids, list, NULL) : status;
}

/* Renumbers the lists, so that near ones lie side by side. room: float[dim] of scratch. */
static enum dp_status order_lists(struct call *call, struct ivf_build *build, uint32_t *list, float *room)
{
    uint32_t *order = mem_calloc(build->nlist, sizeof *order);
    if (!order)
        return call_nomem(call, "the lists of an index");
    size_t dim = build->codec.dim;
    enum dp_status status = list_order_near(build->centroids, build->nlist, dim, order, &call->error);
    if (status == DP_OK)
        status = list_order_apply(build->centroids, build->nlist, dim, order, room, &call->error);
    for (size_t r = 0; r < build->count && status == DP_OK; r++)
        list[r] = order[list[r]];
    mem_free(order);
    return status;
}

/* Makes the arrays of a build. Returns false if memory runs out. */
static bool make_arrays(struct ivf_build *build)
{
    size_t nlist = build->nlist, dim = build->codec.dim, floats;
    struct centroid_codes *codes = &build->centroid_codes;
    if (!mem_mul_ok(nlist, dim, &floats))
        return false;
    build->list_begin = mem_calloc(nlist + 1, sizeof *build->list_begin);
    build->rows = mem_calloc(build->count, sizeof *build->rows);
    build->centroids = mem_calloc(floats, sizeof(float));
    *codes = (struct centroid_codes){.count = nlist,
                                     .dim = dim,
                                     .least = mem_calloc(dim, sizeof(float)),
                                     .step = mem_calloc(dim, sizeof(float)),
                                     .codes = mem_calloc(floats, 1)};
    if (build->codec.kind == IVF_SQ8)
        build->codec.trained = build->trained = mem_calloc(2 * dim, sizeof(float));
    return build->list_begin && build->rows && build->centroids && codes->least && codes->step && codes->codes &&
           (build->codec.kind != IVF_SQ8 || build->trained);
}

/* task->samples 0: clusters with kmeans_cluster(). */
static enum dp_status build_lists(struct call *call, struct team *team, struct ivf_build *build,
                                  const struct kmeans_task *task)
{
    uint32_t *list = mem_calloc(task->n, sizeof *list);
    float *residual = mem_calloc(task->dim, sizeof *residual);
    bool made = list && residual && make_arrays(build);
    enum dp_status status = made ? DP_OK : call_nomem(call, "the lists of an index");
    if (status == DP_OK)
        status = task->samples ? cluster_fully(call, team, task, build->centroids, list)
                               : kmeans_cluster(call, team, task, build->centroids, list);
    if (status == DP_OK)
        status = order_lists(call, build, list, residual);
    if (status == DP_OK)
        centroid_codes_round(&build->centroid_codes, build->centroids);
    if (status == DP_OK)
        kmeans_group(list, build->count, build->nlist, build->rows, build->list_begin);
    if (status == DP_OK && build->codec.kind == IVF_SQ8)
        status = train_codec(call, build, task, list, residual);
    mem_free(list);
    mem_free(residual);
    return status;
}

static enum dp_status build_task(struct call *call, struct team *team, const struct kmeans_task *task,
                                 enum ivf_codec_kind kind, struct ivf_build **out)
{
    *out = NULL;
    if (task->k < 1 || task->k > task->n || task->n > UINT32_MAX || task->dim < 1 || task->dim > INT32_MAX)
        return call_fail(call, DP_INVALID, "cannot make %zu lists of %zu vectors of %zu dimensions", task->k,
                         task->n, task->dim);
    struct ivf_build *build = mem_calloc(1, sizeof *build);
    if (!build)
        return call_nomem(call, "the lists of an index");
    build->codec = (struct ivf_codec){.kind = kind,
                                      .metric = task->metric,
                                      .dim = task->dim,
                                      .code_size = kind == IVF_FLAT ? task->dim * sizeof(float) : task->dim,
                                      .by_residual = kind == IVF_SQ8};
    build->nlist = task->k;
    build->count = task->n;
    enum dp_status status = build_lists(call, team, build, task);
    if (status == DP_OK)
        *out = build;
    else
        ivf_build_free(build);
    return status;
}

enum dp_status ivf_build_new(struct call *call, struct team *team, const float *x, size_t n, size_t dim,
                             enum vector_metric metric, enum ivf_codec_kind kind, size_t nlist, uint64_t seed,
                             struct ivf_build **out)
{
    const struct kmeans_task task = {.x = x,
                                     .n = n,
                                     .dim = dim,
                                     .k = nlist ? nlist : ivf_auto_nlist(n),
                                     .metric = metric,
                                     .seed = seed,
                                     .samples = KMEANS_SAMPLES,
                                     .iterations = KMEANS_ITERATIONS};
    return build_task(call, team, &task, kind, out);
}

enum dp_status ivf_build_quick(struct call *call, struct team *team, const struct kmeans_task *task,
                               enum ivf_codec_kind kind, struct ivf_build **out)
{
    struct kmeans_task quick = *task;
    quick.rows = NULL;
    quick.samples = 0;
    return build_task(call, team, &quick, kind, out);
}

void ivf_build_free(struct ivf_build *build)
{
    if (!build)
        return;
    mem_free(build->centroids);
    mem_free(build->centroid_codes.least);
    mem_free(build->centroid_codes.step);
    mem_free(build->centroid_codes.codes);
    mem_free(build->trained);
    mem_free(build->list_begin);
    mem_free(build->rows);
    mem_free(build);
}

void ivf_build_encode(const struct ivf_build *build, const float *x, size_t list, float *residual, uint8_t *codes)
{
    const struct ivf_codec *codec = &build->codec;
    const float *centroid = build->centroids + list * codec->dim;
    for (size_t p = build->list_begin[list]; p < build->list_begin[list + 1]; p++, codes += codec->code_size)
        ivf_encode(codec, x + build->rows[p] * codec->dim, centroid, residual, codes);
}
