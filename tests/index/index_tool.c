/* index_tool.c: lets the Python tests load and query a namespace with vectors of their own.
 *
 *   index_tool load  ROOT NAME VECTORS.f32 DIM cosine|l2 WINDOWS     row i has vectors [i*WINDOWS, (i+1)*WINDOWS)
 *   index_tool query ROOT NAME QUERIES.f32 DIM NPROBE K              writes K × (i64 id, f32 distance) a query;
 *                                                                    -1 where there are fewer
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "index/index.h"
#include "os/file.h"

static void die(const char *why)
{
    fprintf(stderr, "index_tool: %s\n", why);
    exit(1);
}

static const float *read_floats(const char *path, size_t *count)
{
    static struct buffer bytes;
    struct dp_error error;
    buffer_init(&bytes, SIZE_MAX / 2);
    if (os_read_file(path, &bytes, &error) != DP_OK)
        die(error.message);
    *count = bytes.len / sizeof(float);
    return (const float *)(const void *)bytes.data;
}

static void load(struct call *call, struct store *store, char **arg)
{
    size_t count, dim = strtoul(arg[5], NULL, 10), windows = strtoul(arg[7], NULL, 10);
    const float *x = read_floats(arg[4], &count);
    struct index_vectors vectors = {.dim = (uint32_t)dim,
                                    .metric = strcmp(arg[6], "l2") == 0 ? INDEX_EUCLIDEAN_SQUARED : INDEX_COSINE};
    struct index_loader *loader;
    struct index_load_summary summary;
    if (index_load_begin(call, store, span_str(arg[3]), &vectors, NULL, &loader) != DP_OK)
        die(call->error.message);
    for (size_t i = 0; i < count / dim / windows; i++) {
        if (index_load_row(call, loader, (struct index_id){.number = i}, x + i * windows * dim, windows,
                           span_str("{}")) != DP_OK)
            die(call->error.message);
    }
    if (index_load_commit(call, loader, &summary) != DP_OK)
        die(call->error.message);
}

static void query(struct call *call, struct store *store, char **arg)
{
    size_t count, dim = strtoul(arg[5], NULL, 10), k = strtoul(arg[7], NULL, 10);
    const float *x = read_floats(arg[4], &count);
    struct index_reader *reader;
    if (index_open(call, store, span_str(arg[3]), &reader) != DP_OK)
        die(call->error.message);
    for (size_t i = 0; i < count / dim; i++) {
        struct index_query q = {.vector = x + i * dim,
                                .dim = (uint32_t)dim,
                                .top_k = (uint32_t)k,
                                .nprobe = (uint32_t)strtoul(arg[6], NULL, 10)};
        struct index_answer answer;
        arena_reset(call->arena);
        if (index_query(call, reader, &q, &answer) != DP_OK)
            die(call->error.message);
        for (size_t h = 0; h < k; h++) {
            int64_t id = h < answer.count ? (int64_t)answer.hits[h].id.number : -1;
            float dist = h < answer.count ? answer.hits[h].dist : 0;
            fwrite(&id, sizeof id, 1, stdout);
            fwrite(&dist, sizeof dist, 1, stdout);
        }
    }
    index_close(reader);
}

int main(int argc, char **argv)
{
    struct arena arena;
    struct call call;
    struct store *store;
    if (argc != 8)
        die("see the head of index_tool.c");
    arena_init(&arena, (size_t)1 << 30);
    call_init(&call, &arena);
    if (store_open(&call, span_str(argv[2]), true, &store) != DP_OK)
        die(call.error.message);
    if (strcmp(argv[1], "load") == 0)
        load(&call, store, argv);
    else
        query(&call, store, argv);
    store_free(store);
    arena_deinit(&arena);
    return fflush(stdout) == 0 ? 0 : 1;
}
