/* ivf_tool.c: builds and searches inverted files for tests/python/test_faiss_agree.py.
 *
 *     ivf_tool build VECTORS.f32 DIM ip|l2 flat|sq8 NLIST OUT.ivf    ids are the numbers of the vectors in the input
 *     ivf_tool search FILE.ivf QUERIES.f32 NPROBE K [K_FACTOR]       answers on standard output
 *
 * Inputs are raw little-endian floats. Answers, per query: i64 ids[K] (-1: none), then f32 scores[K]. On standard
 * error: rounds and bytes of the opening, most rounds of a search. */
#include "faiss/faiss_index.h"
#include "faiss_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct call call;

static enum dp_status file_sink(struct call *writing, void *ctx, struct span bytes)
{
    if (fwrite(bytes.data, 1, bytes.len, ctx) != bytes.len)
        return call_fail(writing, DP_IO, "a short write");
    return DP_OK;
}

/* Reads a whole file into memory from malloc. */
static struct span read_whole(const char *path)
{
    FILE *in = fopen(path, "rb");
    if (in == NULL || fseek(in, 0, SEEK_END) != 0)
        exit(2);
    size_t len = (size_t)ftell(in);
    uint8_t *bytes = malloc(len + 1);
    rewind(in);
    if (bytes == NULL || fread(bytes, 1, len, in) != len)
        exit(2);
    fclose(in);
    return span_of(bytes, len);
}

static enum dp_status build(char **arguments)
{
    struct span vectors = read_whole(arguments[0]);
    size_t dim = strtoul(arguments[1], NULL, 10), n = vectors.len / sizeof(float) / dim;
    const float *x = (const float *)(const void *)vectors.data;
    FILE *out = fopen(arguments[5], "wb");
    struct ivf_build *made = NULL;
    struct team *team = NULL;
    if (out == NULL)
        return DP_IO;
    enum dp_status status = team_new(0, &team, &call.error);
    if (status == DP_OK)
        status = ivf_build_new(
            &call, team, x, n, dim, strcmp(arguments[2], "ip") == 0 ? VECTOR_INNER_PRODUCT : VECTOR_L2,
            strcmp(arguments[3], "flat") == 0 ? IVF_FLAT : IVF_SQ8, strtoul(arguments[4], NULL, 10), 1, &made);
    if (status == DP_OK)
        status = write_build(&call, made, x, false, (struct faiss_sink){file_sink, out});
    if (fclose(out) != 0 && status == DP_OK)
        status = DP_IO;
    ivf_build_free(made);
    team_free(team);
    free((void *)vectors.data);
    return status;
}

static enum dp_status search(char **arguments, float k_factor)
{
    struct memory_file file = {.bytes = read_whole(arguments[0])};
    struct span queries = read_whole(arguments[1]);
    struct faiss_reader reader = memory_reader(&file);
    struct faiss_search search = {.count = 1,
                                  .nprobe = strtoul(arguments[2], NULL, 10),
                                  .k = strtoul(arguments[3], NULL, 10),
                                  .k_factor = k_factor};
    struct faiss_index *index = NULL;
    int64_t *ids = calloc(search.k, sizeof *ids);
    float *distances = calloc(search.k, sizeof *distances);
    if (ids == NULL || distances == NULL)
        exit(2);
    enum dp_status status = faiss_index_open(&call, &reader, NULL, &index);
    size_t rounds = file.rounds, bytes = file.read, most = 0;
    search.dim = status == DP_OK ? faiss_index_info(index).dim_in : 1;
    search.queries = (const float *)(const void *)queries.data;
    for (size_t left = queries.len / sizeof(float) / search.dim; status == DP_OK && left > 0; left--) {
        size_t before = file.rounds;
        status = faiss_index_search(&call, index, &search, ids, distances, NULL);
        most = file.rounds - before > most ? file.rounds - before : most;
        if (status == DP_OK) {
            fwrite(ids, sizeof *ids, search.k, stdout);
            fwrite(distances, sizeof *distances, search.k, stdout);
        }
        search.queries += search.dim;
    }
    if (status == DP_OK)
        fprintf(stderr, "%zu %zu %zu\n", rounds, bytes, most);
    faiss_index_free(index);
    free(distances);
    free(ids);
    free((void *)queries.data);
    free((void *)file.bytes.data);
    return status;
}

int main(int argc, char **argv)
{
    struct arena arena;
    enum dp_status status = DP_INVALID;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    if (argc == 8 && strcmp(argv[1], "build") == 0)
        status = build(argv + 2);
    else if ((argc == 6 || argc == 7) && strcmp(argv[1], "search") == 0)
        status = search(argv + 2, argc == 7 ? strtof(argv[6], NULL) : 0.0f);
    if (status != DP_OK)
        fprintf(stderr, "ivf_tool: %s: %s\n", dp_status_name(status), call.error.message);
    arena_deinit(&arena);
    return status == DP_OK ? 0 : 1;
}
