/* ivf_batch.c: several queries over a file in memory, list by list.
 *
 * First every query is made ready and says which lists it probes; then each list is scanned for all of its queries,
 * one after another, while its codes are in the processor's cache. The best k do not depend on the order in which
 * lists come, but for RaBitQ codes of several bits, whose closer look depends on what has been found so far: those
 * are searched query by query.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "faiss/parse.h"

/* A query that scans a list. */
struct visit {
    uint32_t list, query;
};

struct batch {
    const struct faiss_ivf *ivf;
    size_t count;    /* queries */
    size_t most;     /* lists a query */
    float *rooms;    /* [count][transform room] */
    uint32_t *lists; /* [most] */
    struct visit *visits;
    size_t visit_count;
    struct ivf_query ready[FAISS_BATCH_MAX];
};

bool faiss_ivf_any_order(const struct faiss_ivf *ivf)
{
    return (ivf->codec.kind != IVF_RABITQ && ivf->codec.kind != IVF_RABITQ_FAST) || ivf->codec.bits == 1;
}

static int by_list(const void *a, const void *b)
{
    const struct visit *left = a, *right = b;
    if (left->list != right->list)
        return left->list < right->list ? -1 : 1;
    return left->query < right->query ? -1 : left->query > right->query;
}

/* Makes query q ready and notes its lists. */
static enum dp_status plan(struct batch *batch, size_t q, const float *query, struct dp_error *error)
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

/* Scans a list for the queries of visits[0, count). */
static enum dp_status scan_for(struct call *call, struct batch *batch, const struct faiss_reader *reader,
                               const struct visit *visits, size_t count, const struct id_filter *filter,
                               struct topk *tops)
{
    struct faiss_list_range at = faiss_ivf_list_range(batch->ivf, visits->list);
    struct faiss_range range = {.offset = at.offset, .len = (size_t)at.len};
    enum dp_status status = call_check(call);
    if (status == DP_OK)
        status = reader->read(call, reader->ctx, &range, 1);
    if (status != DP_OK)
        return status;
    for (size_t i = 0; status == DP_OK && i < count; i++)
        status = faiss_ivf_scan(batch->ivf, &batch->ready[visits[i].query], visits->list, range.bytes, filter,
                                &tops[visits[i].query], &call->error);
    reader->release(reader->ctx, &range, 1);
    return status;
}

static enum dp_status scan_all(struct call *call, struct batch *batch, const struct faiss_reader *reader,
                               const struct id_filter *filter, struct topk *tops)
{
    enum dp_status status = DP_OK;
    if (batch->visit_count > 0)
        qsort(batch->visits, batch->visit_count, sizeof *batch->visits, by_list);
    for (size_t begin = 0, end; status == DP_OK && begin < batch->visit_count; begin = end) {
        for (end = begin + 1; end < batch->visit_count && batch->visits[end].list == batch->visits[begin].list;)
            end++;
        status = scan_for(call, batch, reader, batch->visits + begin, end - begin, filter, tops);
    }
    return status;
}

enum dp_status faiss_ivf_search_batch(struct call *call, const struct faiss_ivf *ivf,
                                      const struct faiss_reader *reader, const float *queries, size_t count,
                                      size_t nprobe, const struct id_filter *filter, struct topk *tops)
{
    struct batch batch = {.ivf = ivf, .count = count, .most = nprobe < ivf->nlist ? nprobe : (size_t)ivf->nlist};
    enum dp_status status = DP_OK;
    size_t room = faiss_ivf_transform_room(ivf);
    batch.rooms = mem_calloc(count * room, sizeof *batch.rooms);
    batch.lists = mem_calloc(batch.most, sizeof *batch.lists);
    batch.visits = mem_calloc(count * batch.most, sizeof *batch.visits);
    if (batch.rooms == NULL || batch.lists == NULL || batch.visits == NULL)
        status = call_nomem(call, "the lists of a search");
    for (size_t q = 0; status == DP_OK && q < count; q++)
        status = plan(&batch, q, queries + q * ivf->dim_in, &call->error);
    if (status == DP_OK)
        status = scan_all(call, &batch, reader, filter, tops);
    for (size_t q = 0; q < count; q++)
        ivf_query_deinit(&batch.ready[q]);
    mem_free(batch.visits);
    mem_free(batch.lists);
    mem_free(batch.rooms);
    return status;
}
