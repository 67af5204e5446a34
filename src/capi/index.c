/* index.c: the public C API of FAISS files (dp_index_…): over faiss/faiss_index.h. */
#include <dipper/dipper.h>

#include <stdio.h>
#include <string.h>

#include "capi/capi.h"
#include "capi/caller_reader.h"
#include "capi/limits.h"
#include "capi/recall_lookup.h"
#include "service/store_settings.h"
#include "base/alloc.h"
#include "faiss/faiss_index.h"
#include "faiss/memory_file.h"

enum { CALL_ARENA_MAX = 64 << 20 };

struct dp_index {
    struct faiss_index *index;
    struct recall_lookup *recall;
    uint64_t timeout_ms; /* of each search; 0: no limit */
};

static uint64_t timeout_of(const struct dp_index_options *options)
{
    return options ? options->timeout_ms : 0;
}

static void call_begin(struct call *call, struct arena *arena, uint64_t timeout_ms)
{
    call_init(call, arena);
    if (timeout_ms > 0)
        call_limit_ms(call, timeout_ms > INT64_MAX ? INT64_MAX : (int64_t)timeout_ms);
}

static struct faiss_index_options options_of(const struct dp_index_options *options)
{
    if (!options)
        return (struct faiss_index_options){0};
    return (struct faiss_index_options){.cluster_data_offset = options->cluster_data_offset,
                                        .n_clusters = options->n_clusters};
}

/* Hands the opened index to the caller; frees it when there is no memory for the handle. url: NULL when there is
 * none. */
static enum dp_status hand_out(enum dp_status status, struct call *call, const char *url,
                               const struct dp_index_options *options, struct faiss_index *index,
                               struct dp_index **out, struct dp_error *error)
{
    struct dp_index *handle = status == DP_OK ? mem_calloc(1, sizeof *handle) : NULL;
    struct recall_lookup *recall = NULL;
    if (status == DP_OK && !handle)
        status = call_nomem(call, "the index");
    if (status == DP_OK)
        status = recall_lookup_new(url, options ? options->recall_table : NULL, &recall, &call->error);
    if (status == DP_OK) {
        *handle = (struct dp_index){index, recall, timeout_of(options)};
        *out = handle;
    } else {
        mem_free(handle);
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
    struct environment_settings e;
    struct limits limits;
    struct arena arena;
    struct call call;
    enum dp_status status = capi_need(error, "dp_index_open", "url", url, "out", out, NULL);
    if (out)
        *out = NULL;
    if (status != DP_OK)
        return status;
    arena_init(&arena, CALL_ARENA_MAX);
    call_begin(&call, &arena, timeout_of(options));
    limits_set(&limits, options ? options->limits : NULL, &call);
    status = environment_settings_load(&e, span_str(url), &call.error);
    if (status == DP_OK) {
        e.store.merge_gap = e.store.split_at = options && options->merge_none ? STORE_NEVER : 0;
        status = faiss_index_open_url(&call, span_str(url), &e.store, &known, &index);
    }
    environment_settings_deinit(&e);
    status = hand_out(status, &call, url, options, index, out, error);
    arena_deinit(&arena);
    return status;
}

enum dp_status dp_index_open_callbacks(uint64_t size, dp_read_ranges *read_ranges, void *ctx,
                                       void (*free_ctx)(void *ctx), const struct dp_index_options *options,
                                       struct dp_index **out, struct dp_error *error)
{
    const struct faiss_index_options known = options_of(options);
    const struct caller_reader own = {size, read_ranges, ctx, free_ctx, options ? options->name : NULL};
    struct faiss_index *index = NULL;
    struct faiss_reader reader;
    struct limits limits;
    struct arena arena;
    struct call call;
    enum dp_status status = capi_need(error, "dp_index_open_callbacks", "out", out, NULL);
    if (status != DP_OK) {
        if (free_ctx)
            free_ctx(ctx);
        return status;
    }
    *out = NULL;
    arena_init(&arena, CALL_ARENA_MAX);
    call_begin(&call, &arena, timeout_of(options));
    limits_set(&limits, options ? options->limits : NULL, &call);
    status = caller_reader_open(&call, &own, &reader);
    if (status == DP_OK)
        status = faiss_index_open(&call, &reader, &known, &index);
    status = hand_out(status, &call, NULL, options, index, out, error);
    arena_deinit(&arena);
    return status;
}

enum dp_status dp_index_open_memory(const void *bytes, size_t len, const struct dp_index_options *options,
                                    struct dp_index **out, struct dp_error *error)
{
    const struct faiss_index_options known = options_of(options);
    struct faiss_index *index = NULL;
    struct faiss_reader reader;
    struct limits limits;
    struct arena arena;
    struct call call;
    enum dp_status status = capi_need(error, "dp_index_open_memory", "out", out, NULL);
    if (status == DP_OK && len > 0)
        status = capi_need(error, "dp_index_open_memory", "bytes", bytes, NULL);
    if (out)
        *out = NULL;
    if (status != DP_OK)
        return status;
    arena_init(&arena, CALL_ARENA_MAX);
    call_begin(&call, &arena, timeout_of(options));
    limits_set(&limits, options ? options->limits : NULL, &call);
    status = faiss_memory_reader(&call, span_of(bytes, len), options ? options->name : NULL, &reader);
    if (status == DP_OK)
        status = faiss_index_open(&call, &reader, &known, &index);
    status = hand_out(status, &call, NULL, options, index, out, error);
    arena_deinit(&arena);
    return status;
}

void dp_index_close(struct dp_index *index)
{
    if (!index)
        return;
    faiss_index_free(index->index);
    recall_lookup_free(index->recall);
    mem_free(index);
}

struct dp_index_info dp_index_info(const struct dp_index *index)
{
    if (!index)
        return (struct dp_index_info){.dim = 0};
    const struct faiss_ivf_info from = faiss_index_info(index->index);
    struct dp_index_info info = {.dim = from.dim_in,
                                 .metric = from.codec->metric == VECTOR_L2 ? DP_L2 : DP_INNER_PRODUCT,
                                 .vectors = from.ntotal,
                                 .in_no_list = from.ntotal - from.listed,
                                 .lists = from.nlist,
                                 .default_nprobe = from.nprobe,
                                 .cluster_data_offset = from.head_bytes,
                                 .file_bytes = from.file_bytes,
                                 .open_rounds = from.open_rounds,
                                 .open_bytes = from.open_bytes,
                                 .flat = from.flat,
                                 .k_factor = from.k_factor};
    snprintf(info.kind, sizeof info.kind, "%s", from.fourcc);
    return info;
}

enum dp_status dp_index_search(const struct dp_index *index, const float *queries, size_t count, size_t dim,
                               size_t k, size_t nprobe, int64_t *ids, float *distances, struct dp_cost *costs,
                               struct dp_error *error)
{
    const struct dp_search_options options = {.nprobe = nprobe};
    return dp_index_search_with(index, queries, count, dim, k, &options, ids, distances, costs, error);
}

static enum dp_status filter_of(const struct dp_search_options *options, struct id_filter *filter,
                                struct dp_error *error)
{
    *filter = (struct id_filter){0};
    if ((!options->keep && options->keep_count > 0) || (!options->skip && options->skip_count > 0))
        return dp_fail(error, DP_INVALID,
                       "a search with %zu ids to keep and %zu to skip, but where they are is NULL",
                       options->keep_count, options->skip_count);
    return id_filter_init(filter, options->keep, options->keep_count, options->skip, options->skip_count, error);
}

/* The lists to probe: as many as the caller says, or as the wanted recall takes. */
static enum dp_status nprobe_of(struct call *call, const struct dp_index *index,
                                const struct dp_search_options *options, size_t *nprobe)
{
    *nprobe = options->nprobe;
    if (options->recall == 0)
        return DP_OK;
    if (options->nprobe > 0)
        return call_fail(call, DP_INVALID, "a search with a recall of %g and an nprobe of %zu: give one of them",
                         options->recall, options->nprobe);
    return recall_lookup_nprobe(call, index->recall, index->index, options->recall, nprobe);
}

enum dp_status dp_index_search_with(const struct dp_index *index, const float *queries, size_t count, size_t dim,
                                    size_t k, const struct dp_search_options *options, int64_t *ids,
                                    float *distances, struct dp_cost *costs, struct dp_error *error)
{
    const struct dp_search_options none = {0};
    struct id_filter filter;
    size_t nprobe = 0;
    struct limits limits;
    struct arena arena;
    struct call call;
    enum dp_status status = capi_need(error, "dp_index_search", "index", index, NULL);
    if (status == DP_OK && count > 0)
        status = capi_need(error, "dp_index_search", "queries", queries, "ids", ids, "distances", distances, NULL);
    if (status != DP_OK)
        return status;
    options = options ? options : &none;
    arena_init(&arena, CALL_ARENA_MAX);
    call_begin(&call, &arena, index->timeout_ms);
    limits_set(&limits, options->limits, &call);
    status = filter_of(options, &filter, &call.error);
    if (status == DP_OK)
        status = nprobe_of(&call, index, options, &nprobe);
    const struct faiss_search search = {.queries = queries,
                                        .count = count,
                                        .dim = dim,
                                        .k = k,
                                        .nprobe = nprobe,
                                        .k_factor = options->k_factor,
                                        .scan_all = options->scan_all,
                                        .filter = filter.keeps || options->skip_count > 0 ? &filter : NULL};
    struct faiss_search_cost *spent = costs ? mem_calloc(count, sizeof *spent) : NULL;
    if (status == DP_OK && costs && count && !spent)
        status = call_nomem(&call, "the costs of a search");
    if (status == DP_OK && count)
        status = faiss_index_search(&call, index->index, &search, ids, distances, spent);
    for (size_t q = 0; status == DP_OK && costs && q < count; q++)
        costs[q] = (struct dp_cost){spent[q].rounds, spent[q].requests, spent[q].bytes,
                                    (double)spent[q].duration_ns * 1e-6};
    mem_free(spent);
    if (status != DP_OK && error)
        *error = call.error;
    id_filter_deinit(&filter);
    arena_deinit(&arena);
    return status;
}
