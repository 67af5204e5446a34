/* index.c: the public C API of FAISS files (dp_index_…), over faiss/faiss_index.h. */
#include <dipper/dipper.h>

#include <stdio.h>

#include "base/alloc.h"
#include "capi/arguments.h"
#include "capi/call.h"
#include "capi/caller_reader.h"
#include "capi/recall_lookup.h"
#include "faiss/faiss_index.h"
#include "faiss/memory_file.h"
#include "service/store_settings.h"

/* An open FAISS file. It never changes after opening, except that the first search by recall sets the recall
 * table, atomically. */
struct dp_index {
    struct faiss_index *index;
    struct recall_lookup *recall;
};

/* ---- opening ---------------------------------------------------------------------------------------- */

static bool has_reader(const struct dp_index_options *options)
{
    return options->reader.read_ranges || options->reader.ctx || options->reader.free_ctx;
}

static enum dp_status check_index_source(const char *url, const struct dp_index_options *options,
                                         struct dp_error *error)
{
    const int sources = (url != NULL) + (options->bytes != NULL) + has_reader(options);
    if (sources == 0)
        return dp_fail(error, DP_INVALID,
                       "dp_index_open: url is NULL; give a url, options.bytes or options.reader");
    if (sources > 1)
        return dp_fail(error, DP_INVALID,
                       "dp_index_open: more than one of url, options.bytes and options.reader is set");
    return DP_OK;
}

static enum dp_status open_faiss_url(struct call *call, const char *url, const struct dp_index_options *options,
                                     const struct faiss_index_options *known, struct faiss_index **out)
{
    struct environment_settings e;
    enum dp_status status = environment_settings_load(&e, span_str(url), &call->error);
    if (status == DP_OK) {
        e.store.merge_gap = e.store.split_at = options->merge_none ? STORE_NEVER : 0;
        e.store.cache_bytes = options->cache_bytes;
        e.store.cache_local = true;
        status = faiss_index_open_url(call, span_str(url), &e.store, known, out);
    }
    environment_settings_deinit(&e);
    return status;
}

/* Opens a URL, bytes or the caller's reader. Takes ownership of that reader, also on failure. */
static enum dp_status open_index_source(struct call *call, const char *url, const struct dp_index_options *options,
                                        struct faiss_index **out)
{
    const struct faiss_index_options known = {.cluster_data_offset = options->cluster_data_offset,
                                              .n_clusters = options->n_clusters};
    struct faiss_reader reader;
    enum dp_status status = DP_OK;

    if (url)
        return open_faiss_url(call, url, options, &known, out);
    if (options->bytes)
        status = faiss_memory_reader(call, span_of(options->bytes, options->bytes_len), options->name, &reader);
    else
        status = caller_reader_open(call, &options->reader, options->name, &reader);
    return status == DP_OK ? faiss_index_open(call, &reader, &known, out) : status;
}

/* Makes the handle of an opened file. Takes ownership of `index`, also on failure. */
static enum dp_status index_wrap(struct call *call, const char *url, const char *recall_table,
                                 struct faiss_index *index, struct dp_index **out)
{
    struct dp_index *handle = mem_calloc(1, sizeof *handle);
    enum dp_status status = handle ? DP_OK : call_nomem(call, "the index");
    if (status == DP_OK)
        status = recall_lookup_new(url, recall_table, &handle->recall, &call->error);
    if (status == DP_OK) {
        handle->index = index;
        *out = handle;
    } else {
        mem_free(handle);
        faiss_index_free(index);
    }
    return status;
}

enum dp_status dp_index_open(const char *url, const struct dp_index_options *options, struct dp_index **out,
                             struct dp_error *error)
{
    struct faiss_index *index = NULL;
    struct dp_index_options o;
    struct capi_call c;
    enum dp_status status = capi_options(error, "dp_index_open", "struct dp_index_options", options, &o, sizeof o);
    if (out)
        *out = NULL;
    if (status == DP_OK)
        status = capi_need(error, "dp_index_open", "out", out, NULL);
    if (status == DP_OK)
        status = check_index_source(url, &o, error);
    if (status != DP_OK) {
        if (o.reader.free_ctx)
            o.reader.free_ctx(o.reader.ctx);
        return status;
    }
    capi_begin(&c, &o.limits, CAPI_INDEX_ARENA_MAX);
    status = open_index_source(&c.call, url, &o, &index);
    if (status == DP_OK)
        status = index_wrap(&c.call, url, o.recall_table, index, out);
    return capi_end(&c, status, error);
}

void dp_index_close(struct dp_index *index)
{
    if (!index)
        return;
    faiss_index_free(index->index);
    recall_lookup_free(index->recall);
    mem_free(index);
}

enum dp_status dp_index_info(const struct dp_index *index, struct dp_index_info *info, struct dp_error *error)
{
    enum dp_status status = capi_need(error, "dp_index_info", "index", index, "info", info, NULL);
    if (status == DP_OK)
        status = capi_answer_check(error, "dp_index_info", "struct dp_index_info", info);
    if (status != DP_OK)
        return status;
    const struct faiss_ivf_info from = faiss_index_info(index->index);
    struct dp_index_info to = {.dim = from.dim_in,
                               .metric = from.codec->metric == VECTOR_L2 ? DP_METRIC_L2 : DP_METRIC_INNER_PRODUCT,
                               .k_factor = from.k_factor,
                               .vectors = from.ntotal,
                               .lists = from.nlist,
                               .in_no_list = from.ntotal - from.listed,
                               .default_nprobe = from.nprobe,
                               .cluster_data_offset = from.head_bytes,
                               .file_bytes = from.file_bytes,
                               .open_rounds = from.open_rounds,
                               .open_bytes = from.open_bytes,
                               .flat = from.flat};
    snprintf(to.kind, sizeof to.kind, "%s", from.fourcc);
    capi_answer(info, &to, sizeof to);
    return DP_OK;
}

/* ---- searching -------------------------------------------------------------------------------------- */

static enum dp_status make_id_filter(const struct dp_index_search_options *options, struct id_filter *filter,
                                     struct dp_error *error)
{
    *filter = (struct id_filter){0};
    if ((!options->keep && options->keep_count > 0) || (!options->skip && options->skip_count > 0))
        return dp_fail(error, DP_INVALID,
                       "dp_index_search: keep or skip is NULL, but keep_count is %zu and skip_count %zu",
                       options->keep_count, options->skip_count);
    return id_filter_init(filter, options->keep, options->keep_count, options->skip, options->skip_count, error);
}

/* Sets *nprobe to the caller's nprobe, or to the number of lists that reached the caller's recall. */
static enum dp_status choose_nprobe(struct call *call, const struct dp_index *index,
                                    const struct dp_index_search_options *options, size_t *nprobe)
{
    *nprobe = options->nprobe;
    if (options->recall == 0)
        return DP_OK;
    if (options->nprobe > 0)
        return call_fail(call, DP_INVALID, "a search with a recall of %g and an nprobe of %zu: give one of them",
                         options->recall, options->nprobe);
    return recall_lookup_nprobe(call, index->recall, index->index, options->recall, nprobe);
}

/* Searches, and writes the cost of each query into `costs`, unless that is NULL. */
static enum dp_status search_faiss(struct call *call, const struct dp_index *index,
                                   const struct faiss_search *search, int64_t *ids, float *distances,
                                   struct dp_cost *costs)
{
    struct faiss_search_cost *spent = costs ? mem_calloc(search->count, sizeof *spent) : NULL;
    enum dp_status status = DP_OK;
    if (costs && !spent)
        return call_nomem(call, "the costs of a search");
    status = faiss_index_search(call, index->index, search, ids, distances, spent);
    for (size_t q = 0; status == DP_OK && costs && q < search->count; q++)
        costs[q] = (struct dp_cost){spent[q].rounds, spent[q].requests, spent[q].bytes,
                                    (double)spent[q].duration_ns * 1e-6};
    mem_free(spent);
    return status;
}

enum dp_status dp_index_search(const struct dp_index *index, const float *queries, size_t count, size_t dim,
                               size_t k, const struct dp_index_search_options *options, int64_t *ids,
                               float *distances, struct dp_cost *costs, struct dp_error *error)
{
    struct dp_index_search_options o;
    struct id_filter filter;
    struct capi_call c;
    size_t nprobe = 0;
    enum dp_status status = capi_need(error, "dp_index_search", "index", index, NULL);
    if (status == DP_OK && count > 0)
        status = capi_need(error, "dp_index_search", "queries", queries, "ids", ids, "distances", distances, NULL);
    if (status == DP_OK)
        status = capi_options(error, "dp_index_search", "struct dp_index_search_options", options, &o, sizeof o);
    if (status != DP_OK)
        return status;
    capi_begin(&c, &o.limits, CAPI_INDEX_ARENA_MAX);
    status = make_id_filter(&o, &filter, &c.call.error);
    if (status == DP_OK)
        status = choose_nprobe(&c.call, index, &o, &nprobe);
    if (status == DP_OK && count > 0) {
        const struct faiss_search search = {.queries = queries,
                                            .count = count,
                                            .dim = dim,
                                            .k = k,
                                            .nprobe = nprobe,
                                            .k_factor = o.k_factor,
                                            .scan_all = o.scan_all,
                                            .filter = filter.keeps || o.skip_count > 0 ? &filter : NULL};
        status = search_faiss(&c.call, index, &search, ids, distances, costs);
    }
    id_filter_deinit(&filter);
    return capi_end(&c, status, error);
}
