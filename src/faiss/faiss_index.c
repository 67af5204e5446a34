/* faiss_index.c: opens a file together with its reader, and searches it for one or several queries. */
#include "faiss/faiss_index.h"

#include <float.h>
#include <inttypes.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "faiss/batch.h"
#include "faiss/ids.h"
#include "faiss/refine.h"
#include "faiss/search.h"
#include "faiss/store_file.h"
#include "os/clock.h"

enum {
    FIRST_READ_BYTES = 128 * 1024,
    SIZES_A_LINK = 256,   /* list sizes of one link in the fingerprint's chain */
    BATCH_HITS_MAX = 4096 /* a query that wants more hits joins no batch */
};
/* Maximum bytes of a first read that a caller's cluster_data_offset sets. */
static const uint64_t FIRST_READ_MAX = (uint64_t)1 << 30;

struct faiss_index {
    struct faiss_reader reader;
    struct faiss_ivf *ivf;
};

static size_t first_read_bytes(const struct faiss_index_options *options)
{
    if (!options || options->cluster_data_offset == 0 || options->cluster_data_offset > FIRST_READ_MAX)
        return FIRST_READ_BYTES;
    return (size_t)options->cluster_data_offset;
}

static enum dp_status check_options(struct call *call, const struct faiss_ivf *ivf,
                                    const struct faiss_index_options *options, const char *name)
{
    if (!options || options->n_clusters == 0 || options->n_clusters == faiss_ivf_info(ivf).nlist)
        return DP_OK;
    return call_fail(call, DP_INVALID, "%s: it has %" PRIu64 " lists, not %" PRIu64, name,
                     faiss_ivf_info(ivf).nlist, options->n_clusters);
}

enum dp_status faiss_index_open(struct call *call, const struct faiss_reader *reader,
                                const struct faiss_index_options *options, struct faiss_index **out)
{
    const char *name = reader->name ? reader->name : "FAISS file";
    struct faiss_index *index = mem_calloc(1, sizeof *index);
    *out = NULL;
    if (!index) {
        if (reader->free)
            reader->free(reader->ctx);
        return call_nomem(call, "a FAISS file");
    }
    index->reader = *reader;
    enum dp_status status = faiss_ivf_open_within(call, reader, first_read_bytes(options),
                                                  options ? options->memory : NULL, &index->ivf);
    if (status == DP_OK)
        status = check_options(call, index->ivf, options, name);
    if (status == DP_OK)
        *out = index;
    else
        faiss_index_free(index);
    return status;
}

enum dp_status faiss_index_open_url(struct call *call, struct span url, const struct store_options *store,
                                    const struct faiss_index_options *options, struct faiss_index **out)
{
    struct store *opened;
    struct span key;
    struct faiss_reader reader;
    *out = NULL;
    enum dp_status status = store_open_object(call, url, store, &opened, &key);
    if (status != DP_OK)
        return status;
    status = faiss_store_reader(call, opened, true, key, key, first_read_bytes(options), &reader);
    if (status == DP_OK)
        status = faiss_index_open(call, &reader, options, out);
    if (status == DP_OK)
        faiss_store_reader_opened(&(*out)->reader);
    return status;
}

void faiss_index_free(struct faiss_index *index)
{
    if (!index)
        return;
    faiss_ivf_free(index->ivf);
    if (index->reader.free)
        index->reader.free(index->reader.ctx);
    mem_free(index);
}

struct faiss_ivf_info faiss_index_info(const struct faiss_index *index)
{
    return faiss_ivf_info(index->ivf);
}

uint64_t faiss_index_list_size(const struct faiss_index *index, uint32_t list)
{
    return faiss_ivf_info(index->ivf).flat ? faiss_ivf_info(index->ivf).ntotal
                                           : faiss_ivf_list_range(index->ivf, list).count;
}

struct span faiss_index_version(const struct faiss_index *index)
{
    return index->reader.version;
}

enum dp_status faiss_index_ids(struct call *call, const struct faiss_index *index, int64_t *ids)
{
    return faiss_ivf_ids(call, index->ivf, &index->reader, ids);
}

uint64_t faiss_index_fingerprint(const struct faiss_index *index)
{
    struct faiss_ivf_info info = faiss_ivf_info(index->ivf);
    size_t floats = info.flat ? 0 : (size_t)info.nlist * info.codec->dim;
    /* The fingerprint is a chain: each link is a checksum over the link before it and SIZES_A_LINK list sizes. */
    uint64_t link[2] = {checksum64(span_of(faiss_ivf_centroids(index->ivf), floats * sizeof(float)))};
    uint64_t sizes[SIZES_A_LINK];
    for (uint64_t begin = 0; begin < info.nlist; begin += SIZES_A_LINK) {
        size_t n = info.nlist - begin < SIZES_A_LINK ? (size_t)(info.nlist - begin) : SIZES_A_LINK;
        for (size_t i = 0; i < n; i++)
            sizes[i] = faiss_index_list_size(index, (uint32_t)(begin + i));
        link[1] = checksum64(span_of(sizes, n * sizeof *sizes));
        link[0] = checksum64(span_of(link, sizeof link));
    }
    return link[0];
}

/* Sorts the hits, and writes them into ids[k] and distances[k]. */
static void put_hits(struct topk *top, size_t k, int64_t *ids, float *distances)
{
    topk_sort(top);
    for (size_t i = 0; i < k; i++) {
        bool found = i < top->count;
        ids[i] = found ? top->hits[i].id : -1;
        distances[i] = found ? top->hits[i].score : top->larger_is_better ? -FLT_MAX : FLT_MAX;
    }
}

/* Returns the cost of a query that began at the time `begun`, when the call's costs were `before`. */
static struct faiss_search_cost cost_since(const struct call *call, const struct call_cost *before, int64_t begun,
                                           uint64_t lists)
{
    return (struct faiss_search_cost){.rounds = call->cost.rounds - before->rounds,
                                      .requests = call->cost.requests - before->requests,
                                      .bytes = call->cost.bytes - before->bytes,
                                      .lists = lists,
                                      .duration_ns = os_now_ns() - begun};
}

/* The heaps of a search. */
struct search_heaps {
    struct topk found[FAISS_BATCH_MAX]; /* of each query of a batch: hits, or candidates if the search refines */
    struct topk refined;                /* hits of one query, if the search refines */
    size_t count;                       /* length of `found`: maximum queries of a batch */
    bool refines;
};

/* Answers a query with the hits in `found`. If the file has a flat part, refines them first. */
static enum dp_status finish_query(struct call *call, const struct faiss_index *index,
                                   const struct faiss_search *search, const float *query,
                                   struct search_heaps *heaps, struct topk *found, int64_t *ids, float *distances)
{
    enum dp_status status = DP_OK;
    if (heaps->refines) {
        topk_clear(&heaps->refined);
        status = faiss_ivf_refine(call, index->ivf, &index->reader, query, found, &heaps->refined);
        found = &heaps->refined;
    }
    if (status == DP_OK)
        put_hits(found, search->k, ids, distances);
    return status;
}

static enum dp_status search_alone(struct call *call, const struct faiss_index *index,
                                   const struct faiss_search *search, struct search_heaps *heaps, int64_t *ids,
                                   float *distances, struct faiss_search_cost *cost)
{
    struct call_cost before = call->cost;
    int64_t begun = os_now_ns();
    topk_clear(heaps->found);
    enum dp_status status = faiss_ivf_search(call, index->ivf, &index->reader, search->queries, search->nprobe,
                                             search->filter, heaps->found);
    if (status == DP_OK)
        status = finish_query(call, index, search, search->queries, heaps, heaps->found, ids, distances);
    if (status == DP_OK && cost)
        *cost = cost_since(call, &before, begun, search->nprobe);
    return status;
}

/* Searches for a batch of queries. Each query's cost has an equal share of the time; the first query's cost has
 * all reads. */
static enum dp_status search_together(struct call *call, const struct faiss_index *index,
                                      const struct faiss_search *search, struct search_heaps *heaps, int64_t *ids,
                                      float *distances, struct faiss_search_cost *costs)
{
    struct call_cost before = call->cost;
    int64_t begun = os_now_ns();
    for (size_t q = 0; q < search->count; q++)
        topk_clear(&heaps->found[q]);
    enum dp_status status = faiss_ivf_search_batch(call, index->ivf, &index->reader, search->queries,
                                                   search->count, search->nprobe, search->filter, heaps->found);
    for (size_t q = 0; status == DP_OK && q < search->count; q++)
        status = finish_query(call, index, search, search->queries + q * search->dim, heaps, &heaps->found[q],
                              ids + q * search->k, distances + q * search->k);
    if (status != DP_OK || !costs)
        return status;
    struct faiss_search_cost all = cost_since(call, &before, begun, search->nprobe);
    all.duration_ns /= (int64_t)search->count;
    for (size_t q = 0; q < search->count; q++) {
        costs[q] = all;
        if (q > 0)
            costs[q].rounds = costs[q].requests = costs[q].bytes = 0;
    }
    return DP_OK;
}

static enum dp_status search_in_batches(struct call *call, const struct faiss_index *index,
                                        const struct faiss_search *search, struct search_heaps *heaps,
                                        int64_t *ids, float *distances, struct faiss_search_cost *costs)
{
    enum dp_status status = DP_OK;
    for (size_t q = 0; status == DP_OK && q < search->count; q += heaps->count) {
        struct faiss_search part = *search;
        struct faiss_search_cost *cost = costs ? costs + q : NULL;
        part.queries += q * search->dim;
        part.count = search->count - q < heaps->count ? search->count - q : heaps->count;
        int64_t *found = ids + q * search->k;
        float *scores = distances + q * search->k;
        status = heaps->count > 1 ? search_together(call, index, &part, heaps, found, scores, cost)
                                  : search_alone(call, index, &part, heaps, found, scores, cost);
    }
    return status;
}

size_t faiss_index_together(const struct faiss_index *index, size_t k)
{
    struct faiss_ivf_info info = faiss_ivf_info(index->ivf);
    bool shares = index->reader.in_memory || info.flat;
    return shares && faiss_ivf_any_order(index->ivf) && k <= BATCH_HITS_MAX ? FAISS_BATCH_MAX : 1;
}

/* Sets *room to the number of candidates that the lists must give for k neighbours: at most all vectors. Computes
 * in floats, as FAISS does. */
static enum dp_status candidate_count(struct call *call, const struct faiss_ivf_info *info,
                                      const struct faiss_search *search, const char *name, size_t *room)
{
    float factor = search->k_factor != 0.0f ? search->k_factor : info->k_factor;
    *room = search->k < info->listed ? search->k : (size_t)info->listed;
    if (!info->refined && search->k_factor == 0.0f)
        return DP_OK;
    if (!info->refined)
        return call_fail(
            call, DP_INVALID,
            "%s: k_factor is %g, but the file has no flat part (RFlat) for a second look; leave k_factor out",
            name, (double)search->k_factor);
    if (!(factor >= 1.0f))
        return call_fail(call, DP_INVALID, "%s: k_factor is %g, but must be at least 1", name, (double)factor);
    float wanted = (float)search->k * factor;
    *room = wanted < (float)info->listed ? (size_t)wanted : (size_t)info->listed;
    return DP_OK;
}

static enum dp_status check_faiss_search(struct call *call, const struct faiss_index *index,
                                         const struct faiss_ivf_info *info, const struct faiss_search *search,
                                         const char *name)
{
    if (search->dim != info->dim_in)
        return call_fail(call, DP_INVALID, "%s: queries have %zu dimensions, its vectors %zu", name, search->dim,
                         info->dim_in);
    if (search->k < 1)
        return call_fail(call, DP_INVALID, "%s: k is 0, but must be at least 1", name);
    if (info->flat && !index->reader.in_memory && !search->scan_all && info->data_bytes > FLAT_BYTES_MAX)
        return call_fail(
            call, DP_TOO_LARGE,
            "%s: it is a flat index, so each search reads all of its %" PRIu64
            " bytes of vectors. Above %d bytes allow that (--scan-all, scan_all), or make an IVF file with "
            "`dipper faiss build`, of which a search reads a small part",
            name, info->data_bytes, FLAT_BYTES_MAX);
    return DP_OK;
}

enum dp_status faiss_index_search(struct call *call, const struct faiss_index *index,
                                  const struct faiss_search *asked, int64_t *ids, float *distances,
                                  struct faiss_search_cost *costs)
{
    struct faiss_ivf_info info = faiss_ivf_info(index->ivf);
    const char *name = index->reader.name ? index->reader.name : "FAISS file";
    const bool larger = vector_larger_is_better(info.codec->metric);
    struct faiss_search search = *asked;
    struct search_heaps heaps = {.refines = info.refined};
    size_t room = 0, made = 0;
    enum dp_status status = check_faiss_search(call, index, &info, &search, name);
    if (status == DP_OK)
        status = candidate_count(call, &info, &search, name, &room);
    if (status != DP_OK)
        return status;
    search.nprobe = search.nprobe > 0 ? search.nprobe : info.nprobe > 0 ? (size_t)info.nprobe : 1;
    search.nprobe = search.nprobe < info.nlist ? search.nprobe : (size_t)info.nlist;
    heaps.count = faiss_index_together(index, room);
    heaps.count = search.count < heaps.count ? search.count : heaps.count;
    heaps.count = heaps.count > 0 ? heaps.count : 1;
    for (; status == DP_OK && made < heaps.count; made++)
        status = topk_init(&heaps.found[made], room, larger, &call->error);
    if (status == DP_OK && heaps.refines)
        status = topk_init(&heaps.refined, search.k < room ? search.k : room, larger, &call->error);
    if (status == DP_OK)
        status = search_in_batches(call, index, &search, &heaps, ids, distances, costs);
    for (size_t i = 0; i < made; i++)
        topk_deinit(&heaps.found[i]);
    topk_deinit(&heaps.refined);
    return status;
}
