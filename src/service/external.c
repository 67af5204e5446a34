/* external.c: answers queries by a FAISS file and the rows that have its ids. */
#include "service/external.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/alloc.h"
#include "base/masked_url.h"
#include "index/id.h"
#include "index/schema.h"
#include "service/indexes.h"
#include "service/query_scan.h"

/* One query. */
struct external_search {
    struct call *call;
    struct index_reader *reader;
    const struct faiss_index *index;
    const struct index_external *external;
    const struct index_query *query;
    struct faiss_search search;
    int64_t *keep; /* [keep_count]: ids of the rows that match, owned */
    size_t keep_count, keep_room;
    struct index_hit *hits; /* [count]: in the call's arena */
    size_t count;
    size_t found; /* vectors that the latest search of the file gave */
};

/* ---- filters ---------------------------------------------------------------------------------------------- */

static void forget_kept(void *context)
{
    struct external_search *x = context;
    x->keep_count = 0;
}

static enum dp_status keep_row_id(void *context, struct span key, struct span document)
{
    struct external_search *x = context;
    struct index_id id;
    char uuid[UUID_TEXT_LEN];
    (void)document;
    if (!id_decode(key, uuid, &id) || id.is_string || id.number > INT64_MAX)
        return DP_OK; /* no vector of the file has such an id */
    int64_t *grown = array_reserve(x->keep, x->keep_count, &x->keep_room, sizeof *grown, 1024);
    if (!grown)
        return call_nomem(x->call, "rows that match");
    x->keep = grown;
    x->keep[x->keep_count++] = (int64_t)id.number;
    return DP_OK;
}

/* Collects the ids of the rows that match the filter. */
static enum dp_status choose_rows(struct external_search *x, struct span filters)
{
    struct schema schema;
    struct index_answer none;
    struct scan_filter filter;
    struct index_scan scan = {
        .query = {.top_k = 1, .eventual = true}, .visit = keep_row_id, .begin = forget_kept, .visit_ctx = x};
    enum dp_status status = index_schema(x->call, x->reader, &schema);
    if (status == DP_OK)
        status = query_parse_filter(x->call, filters, &schema, &filter, &scan);
    if (status == DP_OK)
        status = index_scan(x->call, x->reader, &scan, &none);
    return status == DP_OK ? filter.watch.status : status;
}

/* ---- rows ------------------------------------------------------------------------------------------------- */

/* A vector of the file that a search found. */
struct found_vector {
    uint64_t id;
    float dist;
};

static int by_id(const void *a, const void *b)
{
    const struct found_vector *left = a, *right = b;
    if (left->id != right->id)
        return left->id < right->id ? -1 : 1;
    return left->dist < right->dist ? -1 : left->dist > right->dist;
}

static int by_dist(const void *a, const void *b)
{
    const struct index_hit *left = a, *right = b;
    if (left->dist != right->dist)
        return left->dist < right->dist ? -1 : 1;
    return left->id.number < right->id.number ? -1 : left->id.number > right->id.number;
}

/* Makes hits of the vectors that have rows. */
static enum dp_status join_rows(struct external_search *x, struct found_vector *vectors, size_t count)
{
    struct arena *arena = x->call->arena;
    size_t kept = 0;
    uint64_t *ids = arena_array(arena, count + 1, sizeof *ids);
    bool *found = arena_array(arena, count + 1, sizeof *found);
    x->hits = arena_array(arena, count + 1, sizeof *x->hits);
    if (!ids || !found || !x->hits)
        return call_nomem(x->call, "an answer");
    if (count)
        qsort(vectors, count, sizeof *vectors, by_id);
    for (size_t i = 0; i < count; i++) { /* of several vectors with one id the nearest counts */
        if (kept && vectors[kept - 1].id == vectors[i].id)
            continue;
        vectors[kept] = vectors[i];
        ids[kept++] = vectors[i].id;
    }
    enum dp_status status = index_rows(x->call, x->reader, ids, kept, x->query, found, x->hits);
    x->count = 0;
    for (size_t i = 0; i < kept && status == DP_OK; i++) {
        if (!found[i])
            continue;
        x->hits[x->count] = x->hits[i];
        x->hits[x->count++].dist = vectors[i].dist;
    }
    if (x->count)
        qsort(x->hits, x->count, sizeof *x->hits, by_dist);
    return status;
}

/* Searches the file once, and joins what it finds. */
static enum dp_status search_once(struct external_search *x)
{
    const bool products = faiss_index_info(x->index).codec->metric == VECTOR_INNER_PRODUCT;
    struct arena *arena = x->call->arena;
    size_t k = x->search.k;
    int64_t *ids = arena_array(arena, k, sizeof *ids);
    float *distances = arena_array(arena, k, sizeof *distances);
    struct found_vector *vectors = arena_array(arena, k, sizeof *vectors);
    size_t count = 0;
    if (!ids || !distances || !vectors)
        return call_nomem(x->call, "an answer");
    enum dp_status status = faiss_index_search(x->call, x->index, &x->search, ids, distances, NULL);
    if (status == DP_STALE || status == DP_NOT_FOUND)
        return external_fail_replaced(x->call, x->external);
    if (status != DP_OK)
        return status;
    for (x->found = 0; x->found < k && ids[x->found] != -1; x->found++) {
        const float distance = distances[x->found];
        if (ids[x->found] >= 0)
            vectors[count++] = (struct found_vector){(uint64_t)ids[x->found], products ? 1 - distance : distance};
    }
    return join_rows(x, vectors, count);
}

/* Searches until top_k rows are found, or the whole file was searched. Asks for more vectors if some had no row, and
 * for more lists if the lists had too few vectors. */
static enum dp_status search_enough(struct external_search *x)
{
    const struct faiss_ivf_info info = faiss_index_info(x->index);
    const size_t all = (size_t)info.listed < INDEX_SEARCH_HITS_MAX ? (size_t)info.listed : INDEX_SEARCH_HITS_MAX;
    const size_t wanted = x->query->top_k;
    x->search.k = wanted < all ? wanted : all;
    for (;;) {
        enum dp_status status = x->search.k ? search_once(x) : DP_OK;
        if (status != DP_OK || x->count >= wanted)
            return status;
        if (x->found < x->search.k) {
            if (x->search.nprobe >= info.nlist)
                return DP_OK;
            x->search.nprobe *= 4;
        } else if (x->search.k < all) {
            x->search.k = 2 * x->search.k + 16 < all ? 2 * x->search.k + 16 : all;
        } else
            return DP_OK;
    }
}

/* ---- queries ---------------------------------------------------------------------------------------------- */

bool external_concerns(const struct query_request *request, const struct index_external *external)
{
    return external->url.len > 0 && query_has_vector(request) && query_near(request).len == 0;
}

static enum dp_status check_external(struct call *call, const struct index_external *external,
                                     const struct query_request *request, const struct index_query *query)
{
    char shown[URL_SHOWN_MAX];
    if (query->dim != external->dim)
        return call_fail(call, DP_INVALID,
                         "the query's vector has %" PRIu32 " dimensions; those of the FAISS file %s have %" PRIu32,
                         query->dim, url_shown(external->url, shown), external->dim);
    if (request->per_count)
        return call_fail(call, DP_UNSUPPORTED,
                         "limit.per needs vectors of the namespace itself: its vectors are in the FAISS file %s",
                         url_shown(external->url, shown));
    return DP_OK;
}

static size_t choose_nprobe(const struct faiss_ivf_info *info, const struct query_request *request)
{
    const size_t usual = index_default_nprobe((uint32_t)info->nlist);
    if (request->rank == QUERY_EXACT || info->flat)
        return (size_t)info->nlist;
    if (request->rows.nprobe)
        return request->rows.nprobe;
    return info->nprobe > usual ? (size_t)info->nprobe : usual;
}

static enum dp_status run_external(struct external_search *x, const struct query_request *request)
{
    struct id_filter allowed;
    if (!request->filters.len)
        return search_enough(x);
    enum dp_status status = choose_rows(x, request->filters);
    if (status != DP_OK || x->keep_count == 0)
        return status;
    status = id_filter_init(&allowed, x->keep, x->keep_count, NULL, 0, &x->call->error);
    if (status != DP_OK)
        return status;
    x->search.filter = &allowed;
    status = search_enough(x);
    id_filter_deinit(&allowed);
    return status;
}

enum dp_status external_query(struct call *call, struct service *s, struct index_reader *reader,
                              const struct index_external *external, const struct query_request *request,
                              const struct index_query *query, struct query_response *out)
{
    struct external_search x = {.call = call, .reader = reader, .external = external, .query = query};
    struct external_file *file = NULL;
    struct index_stats stats;
    enum dp_status status = check_external(call, external, request, query);
    if (status == DP_OK)
        status = external_borrow(call, s, external, &file);
    if (status == DP_OK) {
        x.index = external_index(file);
        const struct faiss_ivf_info info = faiss_index_info(x.index);
        x.search = (struct faiss_search){
            .queries = query->vector, .count = 1, .dim = query->dim, .nprobe = choose_nprobe(&info, request)};
        status = run_external(&x, request);
        if (status == DP_OK)
            status = index_stats(call, reader, &stats);
    }
    external_give_back(s, file, status == DP_STALE);
    mem_free(x.keep);
    if (status != DP_OK)
        return status;
    out->answer = (struct index_answer){.hits = x.hits,
                                        .count = x.count < query->top_k ? x.count : query->top_k,
                                        .metric = external->metric,
                                        .approx_rows = stats.rows};
    return DP_OK;
}
