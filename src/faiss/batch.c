/* batch.c: searches one file for several queries together, list by list. This is faster for a file in memory, and
 * for a flat file, which every query scans whole.
 *
 * First each query probes. Then the batch reads the lists, round by round, and scans each list for all queries
 * that probe it, while the list's codes are in the processor's cache. The best k do not depend on the order of the
 * lists, except for RaBitQ codes of several bits: there a scan looks more closely only at codes that may beat the
 * best so far. Callers search files with such codes query by query (faiss_ivf_any_order).
 */
#include "faiss/batch.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "faiss/ivf_file.h"
#include "faiss/search.h"

/* A list that a query scans. */
struct visit {
    uint32_t list, query;
};

struct search_batch {
    const struct faiss_ivf *ivf;
    size_t count;    /* number of queries */
    size_t most;     /* maximum lists for each query */
    float *rooms;    /* [count][faiss_ivf_transform_room()]: the transformed queries */
    uint32_t *lists; /* [most]: the lists of the query that is being planned */
    struct visit *visits;
    size_t visit_count;
    struct ivf_query ready[FAISS_BATCH_MAX];
};

static int by_list(const void *a, const void *b)
{
    const struct visit *left = a, *right = b;
    if (left->list != right->list)
        return left->list < right->list ? -1 : 1;
    return left->query < right->query ? -1 : left->query > right->query;
}

/* Prepares query q for scans, and adds the lists that it probes to the visits. */
static enum dp_status plan_query(struct search_batch *batch, size_t q, const float *query, struct dp_error *error)
{
    const struct faiss_ivf *ivf = batch->ivf;
    size_t count;
    query = faiss_ivf_transform(ivf, query, batch->rooms + q * faiss_ivf_transform_room(ivf));
    enum dp_status status = faiss_ivf_probe(ivf, query, batch->most, batch->lists, &count, error);
    if (status == DP_OK)
        status = faiss_ivf_query(ivf, query, batch->lists, count, &batch->ready[q], error);
    for (size_t i = 0; status == DP_OK && i < count; i++)
        if (faiss_ivf_list_range(ivf, batch->lists[i]).len > 0)
            batch->visits[batch->visit_count++] = (struct visit){batch->lists[i], (uint32_t)q};
    return status;
}

/* Scans a list, whose content is `bytes`, for the queries of visits[0] to visits[count - 1]. */
static enum dp_status scan_for_queries(struct call *call, struct search_batch *batch, struct span bytes,
                                       const struct visit *visits, size_t count, const struct id_filter *filter,
                                       struct topk *tops)
{
    enum dp_status status = call_check(call);
    for (size_t i = 0; status == DP_OK && i < count; i++)
        status = faiss_ivf_scan(batch->ivf, &batch->ready[visits[i].query], visits->list, bytes, filter,
                                &tops[visits[i].query], &call->error);
    return status;
}

/* Reads lists[0] to lists[count - 1] in one round, and scans them for their visits. These visits begin at
 * *next. Advances *next past the last of them. */
static enum dp_status scan_batch_round(struct call *call, struct search_batch *batch,
                                       const struct faiss_reader *reader, const uint32_t *lists, size_t count,
                                       struct faiss_range *ranges, size_t *next, const struct id_filter *filter,
                                       struct topk *tops)
{
    for (size_t i = 0; i < count; i++) {
        struct faiss_list_range at = faiss_ivf_list_range(batch->ivf, lists[i]);
        ranges[i] = (struct faiss_range){.offset = at.offset, .len = (size_t)at.len};
    }
    enum dp_status status = reader->read(call, reader->ctx, ranges, count);
    if (status != DP_OK)
        return status;
    for (size_t i = 0; status == DP_OK && i < count; i++) {
        size_t end = *next;
        while (end < batch->visit_count && batch->visits[end].list == lists[i])
            end++;
        status = scan_for_queries(call, batch, ranges[i].bytes, batch->visits + *next, end - *next, filter, tops);
        *next = end;
    }
    reader->release(reader->ctx, ranges, count);
    return status;
}

static enum dp_status scan_batch(struct call *call, struct search_batch *batch, const struct faiss_reader *reader,
                                 const struct id_filter *filter, struct topk *tops)
{
    size_t count = 0, next = 0;
    if (batch->visit_count == 0)
        return DP_OK;
    qsort(batch->visits, batch->visit_count, sizeof *batch->visits, by_list);
    uint32_t *lists = mem_calloc(batch->visit_count, sizeof *lists);
    struct faiss_range *ranges = mem_calloc(batch->visit_count, sizeof *ranges);
    enum dp_status status = lists && ranges ? DP_OK : call_nomem(call, "the lists of a search");
    for (size_t i = 0; status == DP_OK && i < batch->visit_count; i++)
        if (count == 0 || lists[count - 1] != batch->visits[i].list)
            lists[count++] = batch->visits[i].list;
    for (size_t begin = 0, end; status == DP_OK && begin < count; begin = end) {
        end = faiss_ivf_round(batch->ivf, lists, begin, count);
        status = scan_batch_round(call, batch, reader, lists + begin, end - begin, ranges, &next, filter, tops);
    }
    mem_free(ranges);
    mem_free(lists);
    return status;
}

enum dp_status faiss_ivf_search_batch(struct call *call, const struct faiss_ivf *ivf,
                                      const struct faiss_reader *reader, const float *queries, size_t count,
                                      size_t nprobe, const struct id_filter *filter, struct topk *tops)
{
    struct search_batch batch = {.ivf = ivf, .count = count, .most = faiss_ivf_scanned(ivf, nprobe)};
    enum dp_status status = DP_OK;
    size_t room = faiss_ivf_transform_room(ivf);
    batch.rooms = mem_calloc(count * room, sizeof *batch.rooms);
    batch.lists = mem_calloc(batch.most, sizeof *batch.lists);
    batch.visits = mem_calloc(count * batch.most, sizeof *batch.visits);
    if (!batch.rooms || !batch.lists || !batch.visits)
        status = call_nomem(call, "the lists of a search");
    for (size_t q = 0; status == DP_OK && q < count; q++)
        status = plan_query(&batch, q, queries + q * ivf->dim_in, &call->error);
    if (status == DP_OK)
        status = scan_batch(call, &batch, reader, filter, tops);
    for (size_t q = 0; q < count; q++)
        ivf_query_deinit(&batch.ready[q]);
    mem_free(batch.visits);
    mem_free(batch.lists);
    mem_free(batch.rooms);
    return status;
}
