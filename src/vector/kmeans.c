/* kmeans.c: Lloyd's k-means (Lloyd 1957; MacQueen 1967), spherical for inner products (Dhillon & Modha 2001).
 *
 * Each iteration assigns the sample to the nearest centroids, then moves each centroid to the mean of its members.
 * Assignment is a blocked matrix product: with scores <x, c> - |c|²/2 (L2) or <x, c> the nearest centroid has the
 * largest score. One worker adds up the members of a centroid, in sample order, so neither the number of threads
 * nor their order changes a bit. A centroid without members becomes a copy of another one. Both then move slightly
 * apart along alternating dimensions, as in FAISS, and the next iteration divides the members between them.
 */
#include "vector/kmeans.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/splitmix.h"
#include "os/clock.h"
#include "simd/nearest.h"
#include "simd/simd.h"

enum {
    /* Vectors that a worker compares with all centroids before it takes the next block: whole tiles of 6 and of 14
     * rows. */
    BLOCK_ROWS = 168,
    PANEL = NEAREST_COLUMNS,
    SLICE_BLOCKS = 64,
    SPLIT_TRIES = 64 /* maximum draws to find a centroid with two or more members */
};
static const size_t SLICE_PRODUCTS = (size_t)1 << 32;
static const float SPLIT_STEP = 1.0f / 1024.0f;

/* ---- chance ------------------------------------------------------------------------------------------ */

/* Knuth's selection sampling (TAOCP 3.4.2, S). */
bool kmeans_choose(struct kmeans_choice *choice)
{
    bool chosen = choice->wanted > 0 && splitmix64_next(&choice->random) % choice->n < choice->wanted;
    choice->n--;
    choice->wanted -= chosen;
    return chosen;
}

/* Picks `wanted` of the numbers [0, n) at random, in rising order. */
static void pick_numbers(uint64_t *random, size_t n, size_t wanted, uint32_t *picked)
{
    struct kmeans_choice choice = {*random, n, wanted};
    for (size_t i = 0, have = 0; have < wanted; i++)
        if (kmeans_choose(&choice))
            picked[have++] = (uint32_t)i;
    *random = choice.random;
}

/* ---- assignment -------------------------------------------------------------------------------------- */

/* The centroids packed for the matrix product, and the buffers of the workers. */
struct assigner {
    const struct call *call;
    const float *x;       /* float[..][dim] */
    const uint32_t *rows; /* numbers of the rows of x to assign; NULL: all rows in order */
    size_t count, dim, k, panels;
    enum vector_metric metric;
    const float *centroids;
    float *packed;  /* [panels][dim][PANEL] */
    float *bias;    /* [panels * PANEL] */
    float *scratch; /* per worker: float[BLOCK_ROWS][dim] */
    uint32_t *list; /* out */
    float *score;   /* out, or NULL */
    size_t begin;   /* first vector of the slice that is being assigned */
    const struct kmeans_watch *watch;
    double done, share; /* parts of the whole work: those before this assignment, and this assignment */
    atomic_bool stop;
};

static const float *vector_at(const struct assigner *a, size_t i)
{
    return a->x + (a->rows ? a->rows[i] : i) * a->dim;
}

static float *alloc_floats(size_t a, size_t b)
{
    size_t size;
    if (!mem_mul_ok(a, b, &size) || !mem_mul_ok(size, sizeof(float), &size))
        return NULL;
    return mem_aligned_alloc(64, size > 0 ? size : 64);
}

static void assigner_deinit(struct assigner *a)
{
    mem_free(a->packed);
    mem_free(a->bias);
    mem_free(a->scratch);
}

/* Allocates the arrays. The caller has set dim and k, and must call assigner_deinit, also on failure. */
static enum dp_status assigner_init(struct call *call, struct assigner *a, const struct team *team)
{
    a->call = call;
    a->panels = (a->k + PANEL - 1) / PANEL;
    a->packed = alloc_floats(a->panels * PANEL, a->dim);
    a->bias = alloc_floats(a->panels, PANEL);
    a->scratch = alloc_floats(team_size(team) * BLOCK_ROWS, a->dim);
    if (!a->packed || !a->bias || !a->scratch)
        return call_nomem(call, "k-means");
    return DP_OK;
}

static void pack_panel(void *ctx, size_t panel, unsigned worker)
{
    struct assigner *a = ctx;
    float *to = a->packed + panel * PANEL * a->dim;
    (void)worker;
    for (size_t c = 0; c < PANEL; c++) {
        size_t centroid = panel * PANEL + c;
        const float *from = a->centroids + centroid * a->dim;
        float *bias = &a->bias[centroid];
        *bias = centroid < a->k ? 0.0f : -INFINITY;
        for (size_t i = 0; i < a->dim; i++)
            to[i * PANEL + c] = centroid < a->k ? from[i] : 0.0f;
        if (centroid < a->k && a->metric == VECTOR_L2)
            *bias = -0.5f * distance_pair(VECTOR_INNER_PRODUCT, from, from, a->dim);
    }
}

static bool should_stop(struct assigner *a)
{
    const struct call *call = a->call;
    if (atomic_load_explicit(&a->stop, memory_order_relaxed))
        return true;
    bool stop = (call->cancelled && atomic_load_explicit(call->cancelled, memory_order_relaxed)) ||
                (call->deadline_ns != INT64_MAX && os_now_ns() >= call->deadline_ns);
    if (stop)
        atomic_store_explicit(&a->stop, true, memory_order_relaxed);
    return stop;
}

static void assign_block(void *ctx, size_t block, unsigned worker)
{
    struct assigner *a = ctx;
    if (should_stop(a))
        return;
    size_t begin = a->begin + block * BLOCK_ROWS,
           rows = a->count - begin < BLOCK_ROWS ? a->count - begin : BLOCK_ROWS;
    const float *vectors = a->x + begin * a->dim;
    float best[BLOCK_ROWS];
    uint32_t *list = a->list + begin;
    for (size_t r = 0; r < rows; r++) {
        best[r] = -INFINITY;
        list[r] = 0;
    }
    if (a->rows) {
        float *gathered = a->scratch + worker * BLOCK_ROWS * a->dim;
        for (size_t r = 0; r < rows; r++)
            memcpy(gathered + r * a->dim, vector_at(a, begin + r), a->dim * sizeof *gathered);
        vectors = gathered;
    }
    simd_ops()->nearest->largest(vectors, a->dim, rows, a->dim, a->packed, a->bias, a->panels, best, list);
    if (a->score)
        for (size_t r = 0; r < rows; r++)
            a->score[begin + r] =
                distance_pair(a->metric, vectors + r * a->dim, a->centroids + list[r] * a->dim, a->dim);
}

/* Returns the number of vectors between two calls of the watch: work for some tenths of a second. */
static size_t slice_rows(const struct assigner *a)
{
    size_t rows = SLICE_PRODUCTS / (a->k * a->dim + 1);
    return rows / BLOCK_ROWS > SLICE_BLOCKS ? rows / BLOCK_ROWS * BLOCK_ROWS : SLICE_BLOCKS * BLOCK_ROWS;
}

static enum dp_status tell_watch(struct call *call, const struct assigner *a, double part)
{
    if (!a->watch || a->watch->tell(a->watch->ctx, a->done + part * a->share))
        return DP_OK;
    return call_fail(call, DP_CANCELLED, "clustering was cancelled");
}

static enum dp_status assign_all(struct call *call, struct team *team, struct assigner *a)
{
    enum dp_status status = DP_OK;
    size_t slice = slice_rows(a);
    team_run(team, a->panels, pack_panel, a);
    for (a->begin = 0; status == DP_OK && a->begin < a->count; a->begin += slice) {
        size_t rows = a->count - a->begin < slice ? a->count - a->begin : slice;
        team_run(team, (rows + BLOCK_ROWS - 1) / BLOCK_ROWS, assign_block, a);
        status = call_check(call);
        if (status == DP_OK && atomic_load(&a->stop))
            status = call_fail(call, DP_CANCELLED, "clustering was cancelled");
        if (status == DP_OK)
            status = tell_watch(call, a, (double)(a->begin + rows) / (double)a->count);
    }
    return status == DP_OK ? call_check(call) : status;
}

/* ---- training ---------------------------------------------------------------------------------------- */

/* The state of one training. */
struct trainer {
    struct assigner assigner;
    float *centroids;
    uint32_t *sample; /* row numbers of the sample, or NULL when it is all of x */
    uint32_t *list;   /* [count]: each vector's list in this iteration */
    uint32_t *before; /* [count]: each vector's list in the last iteration */
    uint32_t *member; /* [count] positions in the sample, list by list; within a list in rising order */
    size_t *begin;    /* [k + 1] positions in `member` */
    uint64_t random;
    const struct kmeans_task *task;
};

static void trainer_deinit(struct trainer *t)
{
    assigner_deinit(&t->assigner);
    mem_free(t->sample);
    mem_free(t->list);
    mem_free(t->before);
    mem_free(t->member);
    mem_free(t->begin);
}

void kmeans_group(const uint32_t *list, size_t count, size_t lists, uint32_t *member, size_t *begin)
{
    memset(begin, 0, (lists + 1) * sizeof *begin);
    for (size_t i = 0; i < count; i++)
        begin[list[i] + 1]++;
    for (size_t l = 0; l < lists; l++)
        begin[l + 1] += begin[l];
    for (size_t i = 0; i < count; i++)
        member[begin[list[i]]++] = (uint32_t)i;
    memmove(begin + 1, begin, lists * sizeof *begin); /* the loop moved each list's begin to its end */
    begin[0] = 0;
}

static void move_centroid(void *ctx, size_t c, unsigned worker)
{
    struct trainer *t = ctx;
    const struct assigner *a = &t->assigner;
    size_t members = t->begin[c + 1] - t->begin[c];
    float *centroid = t->centroids + c * a->dim;
    (void)worker;
    if (members == 0)
        return;
    memset(centroid, 0, a->dim * sizeof *centroid);
    for (size_t m = t->begin[c]; m < t->begin[c + 1]; m++) {
        const float *x = vector_at(a, t->member[m]);
        for (size_t i = 0; i < a->dim; i++)
            centroid[i] += x[i];
    }
    for (size_t i = 0; i < a->dim; i++)
        centroid[i] /= (float)members;
}

/* For each centroid without members, draws a vector of the sample and splits that vector's centroid: the empty
 * centroid becomes a copy of it, and both move slightly apart. */
static void repair_empty(struct trainer *t)
{
    const struct assigner *a = &t->assigner;
    for (size_t empty = 0; empty < a->k; empty++) {
        if (t->begin[empty + 1] > t->begin[empty])
            continue;
        size_t full = 0;
        for (int tries = 0; tries < SPLIT_TRIES; tries++) {
            full = t->list[splitmix64_next(&t->random) % a->count];
            if (t->begin[full + 1] - t->begin[full] > 1)
                break;
        }
        float *from = t->centroids + full * a->dim, *to = t->centroids + empty * a->dim;
        for (size_t i = 0; i < a->dim; i++) {
            float step = i % 2 == 0 ? SPLIT_STEP : -SPLIT_STEP;
            to[i] = from[i] * (1.0f + step);
            from[i] *= 1.0f - step;
        }
    }
}

/* Chooses the rows to train on. */
static void choose_sample(struct trainer *t)
{
    const struct kmeans_task *task = t->task;
    if (t->sample)
        pick_numbers(&t->random, task->n, t->assigner.count, t->sample);
    for (size_t i = 0; t->sample && task->rows && i < t->assigner.count; i++)
        t->sample[i] = task->rows[t->sample[i]];
    t->assigner.rows = t->sample ? t->sample : task->rows;
}

static enum dp_status trainer_init(struct call *call, struct team *team, struct trainer *t)
{
    struct assigner *a = &t->assigner;
    size_t n = t->task->n, samples = t->task->samples;
    a->count = n / samples < a->k ? n : a->k * samples;
    t->sample = a->count < n ? mem_calloc(a->count, sizeof *t->sample) : NULL;
    t->list = mem_calloc(a->count, sizeof *t->list);
    t->before = mem_calloc(a->count, sizeof *t->before);
    t->member = mem_calloc(a->count, sizeof *t->member);
    t->begin = mem_calloc(a->k + 1, sizeof *t->begin);
    if ((a->count < n && !t->sample) || !t->list || !t->before || !t->member || !t->begin)
        return call_nomem(call, "k-means");
    choose_sample(t);
    a->centroids = t->centroids;
    enum dp_status status = assigner_init(call, a, team);
    if (status != DP_OK)
        return status;
    /* The first centroids are vectors of the sample. t->member is free to hold the choice: k ≤ count. */
    pick_numbers(&t->random, a->count, a->k, t->member);
    for (size_t c = 0; c < a->k; c++)
        memcpy(t->centroids + c * a->dim, vector_at(a, t->member[c]), a->dim * sizeof(float));
    return DP_OK;
}

static void make_spherical(struct trainer *t)
{
    const struct assigner *a = &t->assigner;
    if (a->metric == VECTOR_INNER_PRODUCT)
        for (size_t c = 0; c < a->k; c++)
            vector_normalize(t->centroids + c * a->dim, a->dim);
}

static enum dp_status train_centroids(struct call *call, struct team *team, struct trainer *t)
{
    struct assigner *a = &t->assigner;
    int iterations = t->task->iterations;
    enum dp_status status = trainer_init(call, team, t);
    if (status == DP_OK)
        make_spherical(t);
    for (int iteration = 0; status == DP_OK && iteration < iterations; iteration++) {
        a->list = t->list;
        a->share = 1.0 / iterations;
        a->done = iteration * a->share;
        status = assign_all(call, team, a);
        if (status != DP_OK || (iteration > 0 && memcmp(t->list, t->before, a->count * sizeof *t->list) == 0))
            break;
        kmeans_group(t->list, a->count, a->k, t->member, t->begin);
        team_run(team, a->k, move_centroid, t);
        repair_empty(t);
        make_spherical(t);
        uint32_t *swap = t->before;
        t->before = t->list;
        t->list = swap;
    }
    return status;
}

enum dp_status kmeans_train(struct call *call, struct team *team, const float *x, size_t n, size_t dim, size_t k,
                            enum vector_metric metric, uint64_t seed, float *centroids)
{
    return kmeans_train_watched(call, team, x, n, dim, k, metric, seed, NULL, centroids);
}

enum dp_status kmeans_train_watched(struct call *call, struct team *team, const float *x, size_t n, size_t dim,
                                    size_t k, enum vector_metric metric, uint64_t seed,
                                    const struct kmeans_watch *watch, float *centroids)
{
    const struct kmeans_task task = {.x = x,
                                     .n = n,
                                     .dim = dim,
                                     .k = k,
                                     .metric = metric,
                                     .seed = seed,
                                     .samples = KMEANS_SAMPLES,
                                     .iterations = KMEANS_ITERATIONS,
                                     .watch = watch};
    return kmeans_run(call, team, &task, centroids);
}

enum dp_status kmeans_run(struct call *call, struct team *team, const struct kmeans_task *task, float *centroids)
{
    size_t n = task->n, dim = task->dim, k = task->k;
    if (k < 1 || k > n || dim < 1 || n > UINT32_MAX)
        return call_fail(call, DP_INVALID, "cannot make %zu clusters of %zu vectors of %zu dimensions", k, n, dim);
    struct trainer t = {
        .assigner = {.x = task->x, .dim = dim, .k = k, .metric = task->metric, .watch = task->watch},
        .centroids = centroids,
        .random = task->seed,
        .task = task};
    enum dp_status status = train_centroids(call, team, &t);
    trainer_deinit(&t);
    return status;
}

enum dp_status kmeans_assign(struct call *call, struct team *team, const float *x, size_t n, size_t dim,
                             const float *centroids, size_t k, enum vector_metric metric, uint32_t *list,
                             float *score)
{
    const struct kmeans_task task = {.x = x, .n = n, .dim = dim, .k = k, .metric = metric};
    return kmeans_assign_rows(call, team, &task, centroids, list, score);
}

enum dp_status kmeans_assign_rows(struct call *call, struct team *team, const struct kmeans_task *task,
                                  const float *centroids, uint32_t *list, float *score)
{
    size_t dim = task->dim, k = task->k;
    if (k < 1 || k > UINT32_MAX || dim < 1)
        return call_fail(call, DP_INVALID, "cannot assign vectors of %zu dimensions to %zu clusters", dim, k);
    struct assigner a = {.x = task->x,
                         .rows = task->rows,
                         .count = task->n,
                         .dim = dim,
                         .k = k,
                         .metric = task->metric,
                         .centroids = centroids,
                         .list = list,
                         .score = score};
    enum dp_status status = assigner_init(call, &a, team);
    if (status == DP_OK)
        status = assign_all(call, team, &a);
    assigner_deinit(&a);
    return status;
}
