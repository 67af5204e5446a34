/* bench_kmeans.c: Dipper's half of bench/kmeans_vs.py and bench/lists_recall.py.
 *
 *     bench_kmeans VECTORS.f32 DIM K THREADS CENTROIDS.f32 [LISTS.u32 [quick]]
 *
 * Clusters and assigns vectors, and prints the time of both. VECTORS.f32 holds floats only; it is read before the clock
 * starts. LISTS.u32 receives the cluster of each vector. With "quick" it clusters as folds and merges do. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/file.h"
#include "simd/simd.h"
#include "vector/kmeans.h"

static int fail(const struct dp_error *error)
{
    fprintf(stderr, "bench_kmeans: %s\n", error->message);
    return 1;
}

struct bench {
    struct call *call;
    struct team *team;
    const float *x;
    size_t n, dim, k;
    float *centroids; /* [k][dim] */
    uint32_t *list;   /* [n] */
};

static enum dp_status cluster(const struct bench *b)
{
    int64_t begun = os_now_ns();
    enum dp_status status = kmeans_train(b->call, b->team, b->x, b->n, b->dim, b->k, VECTOR_L2, 1, b->centroids);
    int64_t trained = os_now_ns();
    if (status == DP_OK)
        status = kmeans_assign(b->call, b->team, b->x, b->n, b->dim, b->centroids, b->k, VECTOR_L2, b->list, NULL);
    printf("{\"simd\": \"%s\", \"train\": %.4f, \"assign\": %.4f}\n", simd_ops()->name,
           (double)(trained - begun) * 1e-9, (double)(os_now_ns() - trained) * 1e-9);
    return status;
}

static enum dp_status cluster_quickly(const struct bench *b)
{
    const struct kmeans_task task = {
        .x = b->x, .n = b->n, .dim = b->dim, .k = b->k, .metric = VECTOR_L2, .seed = 1};
    int64_t begun = os_now_ns();
    enum dp_status status = kmeans_cluster(b->call, b->team, &task, b->centroids, b->list);
    printf("{\"simd\": \"%s\", \"cluster\": %.4f}\n", simd_ops()->name, (double)(os_now_ns() - begun) * 1e-9);
    return status;
}

int main(int argc, char **argv)
{
    struct dp_error error = {0};
    struct buffer file;
    struct arena arena;
    struct call call;
    struct team *team;
    if (argc < 6 || argc > 8) {
        fprintf(stderr, "usage: bench_kmeans VECTORS.f32 DIM K THREADS CENTROIDS.f32 [LISTS.u32 [quick]]\n");
        return 2;
    }
    buffer_init(&file, (size_t)8 << 30);
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    if (os_read_file(argv[1], &file, &error) != DP_OK ||
        team_new((unsigned)strtoul(argv[4], NULL, 10), &team, &error) != DP_OK)
        return fail(&error);
    struct bench b = {.call = &call,
                      .team = team,
                      .x = (const float *)(const void *)file.data,
                      .dim = strtoul(argv[2], NULL, 10),
                      .k = strtoul(argv[3], NULL, 10)};
    b.n = b.dim > 0 ? file.len / (b.dim * sizeof *b.x) : 0;
    b.centroids = mem_calloc(b.k, b.dim * sizeof *b.centroids);
    b.list = mem_calloc(b.n, sizeof *b.list);
    if (b.centroids == NULL || b.list == NULL)
        return 1;
    if ((argc == 8 ? cluster_quickly(&b) : cluster(&b)) != DP_OK)
        return fail(&call.error);
    if (os_write_file(argv[5], span_of(b.centroids, b.k * b.dim * sizeof *b.centroids), &error) != DP_OK ||
        (argc > 6 && os_write_file(argv[6], span_of(b.list, b.n * sizeof *b.list), &error) != DP_OK))
        return fail(&error);
    mem_free(b.centroids);
    mem_free(b.list);
    buffer_deinit(&file);
    arena_deinit(&arena);
    team_free(team);
    return 0;
}
