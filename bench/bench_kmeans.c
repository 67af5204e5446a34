/* bench_kmeans.c: Dipper's half of bench/kmeans_vs.py.
 *
 *     bench_kmeans VECTORS.f32 DIM K THREADS CENTROIDS.f32
 *
 * Clusters and assigns vectors, and prints the time of both. VECTORS.f32 holds floats only; it is read before the clock
 * starts. */
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

int main(int argc, char **argv)
{
    struct dp_error error = {0};
    struct buffer file;
    struct arena arena;
    struct call call;
    struct team *team;
    if (argc != 6) {
        fprintf(stderr, "usage: bench_kmeans VECTORS.f32 DIM K THREADS CENTROIDS.f32\n");
        return 2;
    }
    size_t dim = strtoul(argv[2], NULL, 10), k = strtoul(argv[3], NULL, 10);
    buffer_init(&file, (size_t)8 << 30);
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    if (os_read_file(argv[1], &file, &error) != DP_OK ||
        team_new((unsigned)strtoul(argv[4], NULL, 10), &team, &error) != DP_OK)
        return fail(&error);
    const float *x = (const float *)(const void *)file.data;
    size_t n = dim > 0 ? file.len / (dim * sizeof *x) : 0;
    float *centroids = mem_calloc(k, dim * sizeof *centroids);
    uint32_t *list = mem_calloc(n, sizeof *list);
    if (centroids == NULL || list == NULL)
        return 1;
    int64_t begun = os_now_ns();
    if (kmeans_train(&call, team, x, n, dim, k, VECTOR_L2, 1, centroids) != DP_OK)
        return fail(&call.error);
    int64_t trained = os_now_ns();
    if (kmeans_assign(&call, team, x, n, dim, centroids, k, VECTOR_L2, list, NULL) != DP_OK)
        return fail(&call.error);
    int64_t assigned = os_now_ns();
    if (os_write_file(argv[5], span_of(centroids, k * dim * sizeof *centroids), &error) != DP_OK)
        return fail(&error);
    printf("{\"simd\": \"%s\", \"train\": %.4f, \"assign\": %.4f}\n", simd_ops()->name,
           (double)(trained - begun) * 1e-9, (double)(assigned - trained) * 1e-9);
    mem_free(centroids);
    mem_free(list);
    buffer_deinit(&file);
    arena_deinit(&arena);
    team_free(team);
    return 0;
}
