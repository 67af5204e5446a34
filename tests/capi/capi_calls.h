/* capi_calls.h: short forms of calls of the public C API, for tests that call them often. */
#ifndef TEST_CAPI_CALLS_H
#define TEST_CAPI_CALLS_H

#include <dipper/dipper.h>

static inline struct dp_index_info index_info(const struct dp_index *index)
{
    struct dp_index_info info = {.size = sizeof info};
    dp_index_info(index, &info, NULL);
    return info;
}

/* A search of nprobe lists; 0: the file's default. */
static inline enum dp_status search_lists(const struct dp_index *index, const float *queries, size_t count,
                                          size_t dim, size_t k, size_t nprobe, int64_t *ids, float *distances,
                                          struct dp_cost *costs, struct dp_error *error)
{
    const struct dp_index_search_options options = {.size = sizeof options, .nprobe = nprobe};
    return dp_index_search(index, queries, count, dim, k, &options, ids, distances, costs, error);
}

/* options may be NULL. */
static inline enum dp_status open_reader(uint64_t file_bytes, dp_read_ranges *read_ranges, void *ctx,
                                         void (*free_ctx)(void *ctx), const struct dp_index_options *options,
                                         struct dp_index **out, struct dp_error *error)
{
    struct dp_index_options all = options ? *options : (struct dp_index_options){.size = sizeof all};
    all.reader = (struct dp_reader){file_bytes, read_ranges, ctx, free_ctx};
    return dp_index_open(NULL, &all, out, error);
}

/* options may be NULL. */
static inline enum dp_status open_bytes(const void *bytes, size_t len, const struct dp_index_options *options,
                                        struct dp_index **out, struct dp_error *error)
{
    struct dp_index_options all = options ? *options : (struct dp_index_options){.size = sizeof all};
    all.bytes = bytes;
    all.bytes_len = len;
    return dp_index_open(NULL, &all, out, error);
}

#endif
