/* query.c: answers queries for nearest rows, and requests for namespaces' names and metadata. */
#include "os/clock.h"
#include "os/gate.h"
#include "os/lanes.h"
#include "service/compute.h"
#include "service/full_text.h"
#include "service/query_scan.h"
#include "service/service_impl.h"

/* Borrows the slot of a namespace. If the namespace does not exist, the error lists names that exist. */
static enum dp_status borrow_namespace(struct call *call, struct service *s, enum gate_use use, struct span name,
                                       struct reader_slot **out)
{
    enum dp_status status = readers_borrow(call, &s->readers, s->store, use, name, out);
    if (status == DP_NOT_FOUND)
        known_names_tell(call, &s->known_names, s->store);
    return status;
}

/* Fails if the namespace, as it was last seen, has another metric than the client expects. */
static enum dp_status check_seen_metric(struct call *call, struct index_reader *reader,
                                        const struct query_request *request)
{
    struct index_vectors vectors;
    if (!request->check_metric)
        return DP_OK;
    struct index_external external;
    enum dp_status status = index_vectors_of(call, reader, &vectors);
    if (status == DP_OK && vectors.dim == 0)
        status = index_external_of(call, reader, &external);
    if (status == DP_OK && vectors.dim == 0 && external.url.len)
        vectors.metric = external.metric;
    if (status == DP_OK && vectors.metric != request->metric)
        status = call_fail(call, DP_INVALID, "distance_metric differs from that of the namespace, which is %s",
                           vectors.metric == INDEX_COSINE ? "cosine_distance" : "euclidean_squared");
    return status;
}

/* Fails if the namespace has another metric than the client expects. Before it fails, it refreshes the state,
 * unless the query is eventual. */
static enum dp_status check_metric(struct call *call, struct index_reader *reader,
                                   const struct query_request *request, bool eventual)
{
    enum dp_status status = check_seen_metric(call, reader, request);
    if (status != DP_INVALID || eventual)
        return status;
    dp_error_clear(&call->error);
    status = index_refresh(call, reader);
    return status == DP_OK ? check_seen_metric(call, reader, request) : status;
}

static enum dp_status embed_query(struct call *call, struct service *s, struct served_model *m,
                                  const struct query_request *request, struct index_query *query)
{
    struct embed_input input = {.text = request->text};
    struct embed_request embed = {.inputs = &input, .count = 1, .kind = TEXT_QUERY, .normalize = true};
    struct embed_response answer;
    enum dp_status status = service_embed_by(call, s, m, &embed, &answer);
    if (status != DP_OK)
        return status;
    query->vector = answer.vectors;
    query->dim = answer.dim;
    query->fingerprint = m->facts.fingerprint;
    return DP_OK;
}

/* Returns true if the query is eventual and the cached state is no older than the client allows. */
static bool may_be_stale(const struct reader_slot *slot, const struct query_request *request, int64_t now)
{
    int64_t seconds = request->staleness_s ? request->staleness_s : SERVICE_STALENESS_MAX_S;
    return request->rows.eventual && now - atomic_load(&slot->fresh_ns) <= seconds * 1000000000;
}

static enum dp_status check_query(struct call *call, const struct query_request *request)
{
    if (request->rows.top_k == 0 || request->rows.top_k > INDEX_TOP_K_MAX)
        return call_fail(call, DP_INVALID, "a query answers 1 to %d rows, not %u", INDEX_TOP_K_MAX,
                         request->rows.top_k);
    return DP_OK;
}

/* Finds the FAISS file that has the namespace's vectors, if the query is for vectors. Refreshes the state first,
 * unless the query is eventual, if there may be such a file. */
static enum dp_status find_external(struct call *call, struct index_reader *reader,
                                    const struct query_request *request, bool eventual, struct index_external *out)
{
    struct index_vectors vectors;
    *out = (struct index_external){.dim = 0};
    if (!query_has_vector(request))
        return DP_OK;
    enum dp_status status = index_vectors_of(call, reader, &vectors);
    if (status != DP_OK || vectors.dim)
        return status;
    status = eventual ? DP_OK : index_refresh(call, reader);
    return status == DP_OK ? index_external_of(call, reader, out) : status;
}

/* Whether a query that needs a scan can ask for a newer state in the round of its first reads. */
static bool asks_beside(const struct query_request *request, const struct index_query *query)
{
    return !query->eventual && request->rank == QUERY_NEAREST && request->filters.len && !request->per_count &&
           query_near(request).len == 0;
}

/* Runs such a query. Its filter is parsed by the types that the slot knows. If the newest state has others, or the
 * query fails, *answered is false: then it must run again over that state. */
static enum dp_status scan_beside(struct call *call, struct reader_slot *slot, const struct query_request *request,
                                  const struct index_query *query, struct query_response *response, bool *answered)
{
    struct span before, after;
    enum dp_status status = index_schema_json(call, slot->reader, &before);
    if (status != DP_OK)
        return status;
    *answered = query_scan(call, slot->reader, request, query, response) == DP_OK;
    dp_error_clear(&call->error);
    status = index_schema_json(call, slot->reader, &after);
    *answered = *answered && status == DP_OK && span_equal(before, after);
    return status;
}

/* Refreshes the slot's state unless the query is eventual, and runs the query over it. */
static enum dp_status search_slot(struct call *call, struct service *s, struct reader_slot *slot,
                                  const struct query_request *request, const struct index_query *query,
                                  struct query_response *response)
{
    struct index_external external;
    bool answered;
    enum dp_status status = find_external(call, slot->reader, request, query->eventual, &external);
    if (status != DP_OK)
        return status;
    if (external_concerns(request, &external))
        return external_query(call, s, slot->reader, &external, request, query, response);
    if (!query_needs_scan(request))
        return index_query(call, slot->reader, query, &response->answer);
    status = query_words(call, slot->reader, request, query, &answered, response);
    if (status == DP_OK && !answered && asks_beside(request, query))
        status = scan_beside(call, slot, request, query, response, &answered);
    if (status != DP_OK || answered)
        return status;
    /* The filter needs the newest types, so refresh the state before parsing it. */
    status = query->eventual ? DP_OK : index_refresh(call, slot->reader);
    struct index_query settled = *query;
    struct query_request found = *request;
    settled.eventual = true;
    if (status == DP_OK)
        status = query_find_target(call, slot->reader, &found);
    if (status != DP_OK)
        return status;
    return query_needs_scan(&found) ? query_scan(call, slot->reader, &found, &settled, response)
                                    : index_query(call, slot->reader, &settled, &response->answer);
}

/* The queries of one request, over one namespace. */
struct query_lanes {
    struct service *service;
    struct reader_slot *slot;
    const struct query_request *requests;
    struct query_response *responses;
    struct query_lane *lanes; /* [count] */
    size_t count;
    bool opened; /* the request opened the namespace */
};

/* One query of a request. */
struct query_lane {
    struct index_query query;
    struct served_model *model; /* the query has the fingerprint of this model */
};

/* Describes the vectors that the query compares, as they were last seen: the namespace's, or those of an attribute. */
static enum dp_status near_vectors(struct call *call, struct index_reader *reader,
                                   const struct query_request *request, struct index_vectors *out)
{
    struct query_request found = *request; /* a query may name the attribute whose texts are embedded */
    struct schema schema;
    enum dp_status status = query_find_target(call, reader, &found);
    const struct span near = query_near(&found);
    if (status == DP_OK && near.len == 0)
        return index_vectors_of(call, reader, out);
    *out = (struct index_vectors){.dim = 0};
    if (status == DP_OK)
        status = index_schema(call, reader, &schema);
    const struct attribute *a = status == DP_OK ? schema_find(&schema, near) : NULL;
    if (a)
        out->fingerprint = a->fingerprint;
    return status;
}

/* Finds the model that made the vectors which the query compares, and embeds the query's text if it has one. */
static enum dp_status find_vector(struct call *call, struct query_lanes *all, size_t i)
{
    struct query_lane *lane = &all->lanes[i];
    const struct query_request *request = &all->requests[i];
    struct index_vectors vectors;
    if (!query_has_vector(request) || request->rows.vector)
        return DP_OK;
    enum dp_status status = near_vectors(call, all->slot->reader, request, &vectors);
    if (status == DP_OK && request->model.len)
        status = models_borrow(call, &all->service->models, request->model, &lane->model);
    else if (status == DP_OK)
        status = models_borrow_for(call, &all->service->models, &vectors, &lane->model);
    if (status == DP_NOT_FOUND)
        status = call_restatus(call, DP_INVALID); /* the namespace is there */
    return status == DP_OK ? embed_query(call, all->service, lane->model, request, &lane->query) : status;
}

/* Checks the metric, and embeds the query's text. */
static enum dp_status prepare_lane(struct call *call, struct query_lanes *all, size_t i)
{
    struct query_lane *lane = &all->lanes[i];
    const struct query_request *request = &all->requests[i];
    lane->query = request->rows;
    lane->query.team = all->service->team;
    enum dp_status status =
        check_metric(call, all->slot->reader, request, may_be_stale(all->slot, request, os_now_ns()));
    if (status == DP_OK && request->compute_count)
        status = compute_widen(call, request, &lane->query);
    return status == DP_OK ? find_vector(call, all, i) : status;
}

/* Searches again after a query failed because the namespace, whose newer state it saw, has vectors of another model
 * than before. */
static enum dp_status search_again(struct call *call, struct query_lanes *all, size_t i, struct index_query *query)
{
    struct query_lane *lane = &all->lanes[i];
    struct served_model *before = lane->model;
    const struct dp_error error = call->error;
    dp_error_clear(&call->error);
    lane->model = NULL;
    enum dp_status status = find_vector(call, all, i);
    const bool same = lane->model == before;
    served_model_release(before);
    if (status != DP_OK || same) {
        call->error = status == DP_OK ? error : call->error;
        return call->error.status;
    }
    query->vector = lane->query.vector;
    query->dim = lane->query.dim;
    query->fingerprint = lane->query.fingerprint;
    return search_slot(call, all->service, all->slot, &all->requests[i], query, &all->responses[i]);
}

/* Answers query number i. Asks the store for a newer state, unless the answer may be stale or an earlier query of its
 * lane has asked. */
static enum dp_status run_lane(struct call *call, void *ctx, size_t i)
{
    struct query_lanes *all = ctx;
    struct reader_slot *slot = all->slot;
    const struct query_request *request = &all->requests[i];
    struct index_query query = all->lanes[i].query;
    struct query_response *response = &all->responses[i];
    struct index_vectors vectors;
    int64_t now = os_now_ns();
    query.eventual = i >= LANES_AT_ONCE || may_be_stale(slot, request, now);
    enum dp_status status = search_slot(call, all->service, slot, request, &query, response);
    if (status == DP_INVALID && all->lanes[i].model)
        status = search_again(call, all, i, &query);
    if (status == DP_OK && request->compute_count)
        status = compute_hits(call, slot->reader, request, &response->answer);
    if (status == DP_OK && !query.eventual) {
        atomic_store(&slot->fresh_ns, now);
        atomic_store(&slot->alive_ns, now);
    }
    if (all->opened)
        response->answer.from_cache = false;
    response->dim = query.dim;
    if (status == DP_OK && request->rows.with_vectors && (!query_has_vector(request) || query_near(request).len)) {
        status = index_vectors_of(call, slot->reader, &vectors);
        response->dim = status == DP_OK ? vectors.dim : 0;
    }
    return status;
}

static enum dp_status run_queries(struct call *call, struct service *s, const struct query_request *requests,
                                  size_t count, struct query_response *responses)
{
    struct query_lanes all = {.service = s, .requests = requests, .responses = responses, .count = count};
    uint64_t rounds = call->cost.rounds;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < count && status == DP_OK; i++)
        status = check_query(call, &requests[i]);
    /* Opens the namespace first, so that a wrong name costs no embedding. */
    if (status == DP_OK)
        status = borrow_namespace(call, s, GATE_READ, requests->namespace, &all.slot);
    if (status != DP_OK)
        return status;
    all.opened = call->cost.rounds != rounds;
    all.lanes = arena_calloc(call->arena, count, sizeof *all.lanes);
    if (!all.lanes)
        status = call_nomem(call, "queries");
    for (size_t i = 0; i < count && status == DP_OK; i++)
        status = prepare_lane(call, &all, i);
    if (status == DP_OK)
        status = lanes_run(call, count, run_lane, &all);
    for (size_t i = 0; all.lanes && i < count; i++)
        served_model_release(all.lanes[i].model);
    readers_give_back(&s->readers, all.slot, status == DP_NOT_FOUND);
    return status;
}

enum dp_status service_queries(struct call *call, struct service *s, const struct query_request *requests,
                               size_t count, struct query_response *responses)
{
    int64_t began = os_now_ns();
    struct call_cost before = call->cost;
    enum dp_status status = service_need_store(call, s);
    if (status != DP_OK)
        return status;
    status = run_queries(call, s, requests, count, responses);
    int64_t total_ns = os_now_ns() - began;
    for (size_t i = 0; i < count; i++)
        responses[i].total_ns = total_ns;
    metric_add(status == DP_OK ? s->counts.queries : s->counts.query_errors, 1);
    metric_observe(s->counts.query_seconds, (double)total_ns * 1e-9);
    metric_add(s->counts.rounds, (int64_t)(call->cost.rounds - before.rounds));
    metric_add(s->counts.requests, (int64_t)(call->cost.requests - before.requests));
    metric_add(s->counts.bytes, (int64_t)(call->cost.bytes - before.bytes));
    return status;
}

enum dp_status service_query(struct call *call, struct service *s, const struct query_request *request,
                             struct query_response *response)
{
    return service_queries(call, s, request, 1, response);
}

/* Whether a default search compares vectors. It leaves alone those that clients brought, or that are in a FAISS file,
 * if no vector of the loaded model has their dimension. Vectors of another model are no such case: their search
 * fails. */
static bool ranks_by_meaning(struct service *s, const struct index_vectors *vectors,
                             const struct index_external *external)
{
    const uint32_t dim = external->dim ? external->dim : vectors->dim;
    struct served_model *m = models_try(&s->models, span_of(NULL, 0));
    const bool ranks = dim && (vectors->fingerprint.len || !m || m->facts.dim == dim);
    served_model_release(m);
    return ranks;
}

enum dp_status service_lanes_of(struct call *call, struct service *s, struct span namespace, bool *meaning,
                                bool *words)
{
    struct reader_slot *slot;
    struct index_vectors vectors;
    struct index_external external;
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = borrow_namespace(call, s, GATE_READ, namespace, &slot);
    if (status != DP_OK)
        return status;
    status = index_has_words(call, slot->reader, span_str(FULL_TEXT_ATTRIBUTE), words);
    if (status == DP_OK)
        status = index_vectors_of(call, slot->reader, &vectors);
    if (status == DP_OK)
        status = index_external_of(call, slot->reader, &external);
    if (status == DP_OK)
        *meaning = ranks_by_meaning(s, &vectors, &external);
    readers_give_back(&s->readers, slot, false);
    return status;
}

enum dp_status service_namespaces(struct call *call, struct service *s, struct span prefix, struct span after,
                                  size_t max, struct index_names *out)
{
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = gate_list(call, prefix);
    return status == DP_OK ? index_list(call, s->store, prefix, after, max, out) : status;
}

enum dp_status service_namespace_info(struct call *call, struct service *s, enum gate_use use,
                                      struct span namespace, struct namespace_info *out)
{
    struct reader_slot *slot;
    struct index_external external;
    uint64_t rounds = call->cost.rounds;
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = borrow_namespace(call, s, use, namespace, &slot);
    if (status != DP_OK)
        return status;
    if (call->cost.rounds == rounds) /* the namespace was open already: the state may be old */
        status = index_refresh(call, slot->reader);
    if (status == DP_OK)
        status = index_stats(call, slot->reader, &out->stats);
    if (status == DP_OK)
        status = index_schema_json(call, slot->reader, &out->schema);
    if (status == DP_OK)
        status = index_has_words(call, slot->reader, span_str(FULL_TEXT_ATTRIBUTE), &out->words);
    if (status == DP_OK)
        status = index_external_of(call, slot->reader, &external);
    if (status == DP_OK) {
        out->external = external.dim > 0;
        out->meaning = ranks_by_meaning(s, &out->stats.vectors, &external);
    }
    readers_give_back(&s->readers, slot, status == DP_NOT_FOUND);
    return status;
}

enum dp_status service_warm(struct call *call, struct service *s, struct span namespace)
{
    struct reader_slot *slot;
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = borrow_namespace(call, s, GATE_READ, namespace, &slot);
    if (status == DP_OK)
        readers_give_back(&s->readers, slot, false);
    return status;
}
