/* bench_merge.c: Dipper's half of bench/merge_vs.py.
 *
 *     bench_merge load ROOT VECTORS.f32 DIM PARTS     makes a namespace of PARTS segments, as folds make them
 *     bench_merge merge ROOT THREADS                  merges them into one
 *
 * "merge" prints the time, the processor time and the peak memory of the process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "index/load/load.h"
#include "index/upkeep.h"
#include "os/clock.h"
#include "os/file.h"

static const struct span namespace = {(const uint8_t *)"rows", 4};

static void die(const char *why)
{
    fprintf(stderr, "bench_merge: %s\n", why);
    exit(1);
}

static void load_part(struct call *call, struct store *store, const float *x, size_t dim, size_t begin, size_t end)
{
    const struct index_vectors vectors = {.dim = (uint32_t)dim, .metric = INDEX_EUCLIDEAN_SQUARED};
    struct index_loader *loader;
    struct index_load_summary summary;
    arena_reset(call->arena);
    if (index_load_begin(call, store, namespace, &vectors, NULL, &loader) != DP_OK)
        die(call->error.message);
    loader->quick = loader->coarse = true;
    for (size_t i = begin; i < end; i++) {
        if (index_load_row(call, loader, (struct index_id){.number = i}, x + i * dim, 1, span_str("{}")) != DP_OK)
            die(call->error.message);
    }
    if (index_load_commit(call, loader, &summary) != DP_OK)
        die(call->error.message);
}

static void load(struct call *call, struct store *store, char **arg)
{
    struct buffer bytes;
    size_t dim = strtoul(arg[4], NULL, 10), parts = strtoul(arg[5], NULL, 10);
    buffer_init(&bytes, SIZE_MAX / 2);
    if (os_read_file(arg[3], &bytes, &call->error) != DP_OK)
        die(call->error.message);
    size_t count = bytes.len / sizeof(float) / dim;
    for (size_t i = 0; i < parts; i++)
        load_part(call, store, (const float *)(const void *)bytes.data, dim, count * i / parts,
                  count * (i + 1) / parts);
    buffer_deinit(&bytes);
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static void merge(struct call *call, struct store *store, char **arg)
{
    struct team *team;
    struct index_merge_result result;
    struct rusage usage;
    if (team_new((unsigned)strtoul(arg[3], NULL, 10), &team, &call->error) != DP_OK)
        die(call->error.message);
    const struct index_merge_options options = {.team = team, .everything = true};
    int64_t begun = os_now_ns();
    if (index_merge(call, store, namespace, &options, &result) != DP_OK)
        die(call->error.message);
    int64_t ended = os_now_ns();
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"inputs\": %llu, \"outputs\": %llu, \"rows\": %llu, \"seconds\": %.3f, \"cpu\": %.3f, \"peak_mb\": "
           "%.1f}\n",
           (unsigned long long)result.inputs, (unsigned long long)result.outputs, (unsigned long long)result.rows,
           (double)(ended - begun) * 1e-9, seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime),
           (double)usage.ru_maxrss / 1024);
    team_free(team);
}

int main(int argc, char **argv)
{
    struct arena arena;
    struct call call;
    struct store *store;
    bool loads = argc == 6 && strcmp(argv[1], "load") == 0;
    if (!loads && !(argc == 4 && strcmp(argv[1], "merge") == 0))
        die("see the head of bench_merge.c");
    arena_init(&arena, (size_t)1 << 30);
    call_init(&call, &arena);
    if (store_open(&call, span_str(argv[2]), true, &store) != DP_OK)
        die(call.error.message);
    if (loads)
        load(&call, store, argv);
    else
        merge(&call, store, argv);
    store_free(store);
    arena_deinit(&arena);
    return 0;
}
