/* recall.c: compares the answers of queries with those of exact ones. */
#include "service/recall.h"

#include "service/query_scan.h"
#include "service/service_impl.h"

static bool is_same_id(const struct index_id *a, const struct index_id *b)
{
    return a->is_string == b->is_string && (a->is_string ? span_equal(a->text, b->text) : a->number == b->number);
}

/* Counts the hits of `exact` that `found` has too. */
static size_t count_found(const struct index_answer *found, const struct index_answer *exact)
{
    size_t count = 0;
    for (size_t i = 0; i < exact->count; i++)
        for (size_t j = 0; j < found->count; j++)
            if (is_same_id(&exact->hits[i].id, &found->hits[j].id)) {
                count++;
                break;
            }
    return count;
}

/* Reads the rows whose vectors are the queries. */
static enum dp_status choose_queries(struct call *call, struct index_reader *reader,
                                     const struct recall_request *request, struct recall_response *out)
{
    const struct query_request rows = {
        .rank = QUERY_ORDERED, .rank_attribute = span_str("id"), .filters = request->filters};
    const struct index_query query = {.top_k = request->num, .eventual = true, .with_vectors = true};
    struct query_response response;
    struct index_stats stats;
    enum dp_status status = index_stats(call, reader, &stats);
    if (status == DP_OK && stats.vectors.dim == 0)
        status = call_fail(call, DP_INVALID, "the namespace has no vectors, so there is no recall to measure");
    if (status == DP_OK)
        status = query_scan(call, reader, &rows, &query, &response);
    if (status != DP_OK)
        return status;
    const struct index_answer answer = response.answer;
    *out = (struct recall_response){.dim = stats.vectors.dim, .recall = 1};
    out->queries = arena_calloc(call->arena, answer.count + 1, sizeof *out->queries);
    if (!out->queries)
        return call_nomem(call, "the queries of a measurement");
    for (size_t i = 0; i < answer.count; i++)
        if (answer.hits[i].vector)
            out->queries[out->count++].vector = answer.hits[i].vector;
    return DP_OK;
}

/* Runs one query as clients do, and exactly. */
static enum dp_status measure_query(struct call *call, struct index_reader *reader,
                                    const struct recall_request *request, uint32_t dim, struct recall_query *q)
{
    const struct index_query query = {.vector = q->vector, .dim = dim, .top_k = request->top_k, .eventual = true};
    struct query_request exact = {.rank = QUERY_EXACT, .filters = request->filters}, filtered = exact;
    struct query_response response;
    enum dp_status status = query_scan(call, reader, &exact, &query, &response);
    if (status != DP_OK)
        return status;
    q->exact = response.answer;
    if (request->filters.len == 0)
        return index_query(call, reader, &query, &q->found);
    filtered.rank = QUERY_NEAREST;
    status = query_scan(call, reader, &filtered, &query, &response);
    q->found = response.answer;
    return status;
}

static enum dp_status measure_recall(struct call *call, struct index_reader *reader,
                                     const struct recall_request *request, struct recall_response *out)
{
    double sum = 0;
    enum dp_status status = index_refresh(call, reader);
    if (status == DP_OK)
        status = choose_queries(call, reader, request, out);
    for (size_t i = 0; status == DP_OK && i < out->count; i++) {
        struct recall_query *q = &out->queries[i];
        status = measure_query(call, reader, request, out->dim, q);
        if (status == DP_OK && q->exact.count)
            sum += (double)count_found(&q->found, &q->exact) / (double)q->exact.count;
    }
    if (status == DP_OK && out->count)
        out->recall = sum / (double)out->count;
    return status;
}

enum dp_status service_recall(struct call *call, struct service *s, const struct recall_request *request,
                              struct recall_response *response)
{
    struct reader_slot *slot;
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = readers_borrow(call, &s->readers, s->store, GATE_READ, request->namespace, &slot);
    if (status == DP_NOT_FOUND)
        known_names_tell(call, &s->known_names, s->store);
    if (status != DP_OK)
        return status;
    status = measure_recall(call, slot->reader, request, response);
    readers_give_back(&s->readers, slot, status == DP_NOT_FOUND);
    return status;
}
