/* c_api_index.c: the public C API of FAISS files (dp_index_…): over faiss/faiss_index.h, with a caller's own
 * reader. */
#include <dipper/dipper.h>

#include <stdio.h>
#include <string.h>

#include "api/store_settings.h"
#include "base/alloc.h"
#include "faiss/faiss_index.h"

enum { CALL_ARENA_MAX = 64 << 20 };

struct dp_index {
    struct faiss_index *index;
};

static struct faiss_index_options options_of(const struct dp_index_options *options)
{
    if (!options)
        return (struct faiss_index_options){0};
    return (struct faiss_index_options){options->cluster_data_offset, options->n_clusters};
}

/* Hands the opened index to the caller; frees it when there is no memory for the handle. */
static enum dp_status hand_out(enum dp_status status, struct call *call, struct faiss_index *index,
                               struct dp_index **out, struct dp_error *error)
{
    struct dp_index *handle = status == DP_OK ? mem_calloc(1, sizeof *handle) : NULL;
    if (status == DP_OK && !handle)
        status = call_nomem(call, "the index");
    if (status == DP_OK) {
        handle->index = index;
        *out = handle;
    } else {
        faiss_index_free(index);
        if (error)
            *error = call->error;
    }
    return status;
}

enum dp_status dp_index_open(const char *url, const struct dp_index_options *options, struct dp_index **out,
                             struct dp_error *error)
{
    const struct faiss_index_options known = options_of(options);
    struct faiss_index *index = NULL;
    struct config config = {0};
    struct arena arena;
    struct call call;
    enum dp_status status = DP_OK;
    bool s3_url = span_starts_with(span_str(url), span_str("s3://"));
    *out = NULL;
    arena_init(&arena, CALL_ARENA_MAX);
    call_init(&call, &arena);
    if (s3_url) /* what else the environment says does not matter to others */
        status = store_settings_load(&config, &call.error);
    if (status == DP_OK) {
        const struct s3_settings s3 = s3_url ? s3_settings_of(&config) : (struct s3_settings){0};
        const struct store_options store = {.s3 = &s3,
                                            .merge_gap = options && options->merge_none ? STORE_NEVER : 0};
        status = faiss_index_open_url(&call, span_str(url), &store, &known, &index);
    }
    config_deinit(&config);
    status = hand_out(status, &call, index, out, error);
    arena_deinit(&arena);
    return status;
}

/* ---- a caller's reader ----------------------------------------------------------------------------------- */

struct callbacks {
    dp_read_ranges *read_ranges;
    void *ctx;
    void (*free_ctx)(void *ctx);
};

static void release_ranges(void *ctx, struct faiss_range *ranges, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        mem_free(ranges[i].owner);
}

static enum dp_status read_ranges(struct call *call, void *ctx, struct faiss_range *ranges, size_t n)
{
    const struct callbacks *own = ctx;
    char message[DP_ERROR_MESSAGE_MAX] = "";
    enum dp_status status = DP_OK;
    struct dp_range *asked = mem_calloc(n, sizeof *asked);
    if (!asked)
        return call_nomem(call, "the ranges of a FAISS file");
    for (size_t i = 0; i < n; i++)
        ranges[i].owner = NULL;
    for (size_t i = 0; status == DP_OK && i < n; i++) {
        if (!(ranges[i].owner = mem_alloc(ranges[i].len)))
            status = call_nomem(call, "the bytes of a FAISS file");
        ranges[i].bytes = span_of(ranges[i].owner, ranges[i].len);
        asked[i] = (struct dp_range){ranges[i].offset, ranges[i].len, ranges[i].owner};
        call->cost.bytes += ranges[i].len;
    }
    if (status == DP_OK) {
        call->cost.rounds++;
        call->cost.requests += n;
        status = own->read_ranges(own->ctx, asked, n, message);
        if (status != DP_OK) {
            message[sizeof message - 1] = '\0';
            if (status > DP_OK || status < DP_FULL) /* none of ours */
                status = DP_IO;
            call_fail(call, status, "the caller's reader: %s", *message ? message : dp_status_name(status));
        }
    }
    if (status != DP_OK)
        release_ranges(NULL, ranges, n);
    mem_free(asked);
    return status;
}

static void free_callbacks(void *ctx)
{
    struct callbacks *own = ctx;
    if (own->free_ctx)
        own->free_ctx(own->ctx);
    mem_free(own);
}

enum dp_status dp_index_open_callbacks(uint64_t size, dp_read_ranges *read, void *ctx, void (*free_ctx)(void *ctx),
                                       const struct dp_index_options *options, struct dp_index **out,
                                       struct dp_error *error)
{
    const struct faiss_index_options known = options_of(options);
    struct callbacks *own = mem_calloc(1, sizeof *own);
    struct faiss_index *index = NULL;
    struct arena arena;
    struct call call;
    *out = NULL;
    if (!own) {
        if (free_ctx)
            free_ctx(ctx);
        return dp_fail_nomem(error, "the index");
    }
    *own = (struct callbacks){read, ctx, free_ctx};
    arena_init(&arena, CALL_ARENA_MAX);
    call_init(&call, &arena);
    const struct faiss_reader reader = {
        .size = size, .read = read_ranges, .release = release_ranges, .free = free_callbacks, .ctx = own};
    enum dp_status status = faiss_index_open(&call, &reader, &known, &index);
    status = hand_out(status, &call, index, out, error);
    arena_deinit(&arena);
    return status;
}

void dp_index_close(struct dp_index *index)
{
    if (!index)
        return;
    faiss_index_free(index->index);
    mem_free(index);
}

struct dp_index_info dp_index_info(const struct dp_index *index)
{
    const struct faiss_ivf_info from = faiss_index_info(index->index);
    struct dp_index_info info = {.dim = from.dim_in,
                                 .metric = from.codec->metric == VECTOR_L2 ? DP_L2 : DP_INNER_PRODUCT,
                                 .vectors = from.ntotal,
                                 .lists = from.nlist,
                                 .default_nprobe = from.nprobe,
                                 .cluster_data_offset = from.head_bytes,
                                 .file_bytes = from.file_bytes,
                                 .open_rounds = from.open_rounds,
                                 .open_bytes = from.open_bytes};
    snprintf(info.kind, sizeof info.kind, "%s", from.fourcc);
    return info;
}

enum dp_status dp_index_search(const struct dp_index *index, const float *queries, size_t count, size_t dim,
                               size_t k, size_t nprobe, int64_t *ids, float *distances, struct dp_cost *costs,
                               struct dp_error *error)
{
    struct arena arena;
    struct call call;
    enum dp_status status = DP_OK;
    arena_init(&arena, CALL_ARENA_MAX);
    call_init(&call, &arena);
    for (size_t q = 0; status == DP_OK && q < count; q++) {
        struct faiss_search_cost cost;
        const struct faiss_search search = {
            .queries = queries + q * dim, .count = 1, .dim = dim, .k = k, .nprobe = nprobe};
        status = faiss_index_search(&call, index->index, &search, ids + q * k, distances + q * k, &cost);
        if (status == DP_OK && costs)
            costs[q] = (struct dp_cost){cost.rounds, cost.requests, cost.bytes, (double)cost.duration_ns * 1e-6};
    }
    if (status != DP_OK && error)
        *error = call.error;
    arena_deinit(&arena);
    return status;
}
