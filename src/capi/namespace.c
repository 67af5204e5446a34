/* namespace.c: implements the public C API for loading, opening and searching namespaces (dp_namespace_…,
 * dp_results_…) with service/ingest.h and service/service.h.
 *
 * A dp_results owns the arena that holds its rows.
 */
#include <dipper/dipper.h>

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "capi/arguments.h"
#include "capi/call.h"
#include "capi/model.h"
#include "capi/namespace.h"
#include "capi/rows_file.h"
#include "capi/runtime.h"
#include "os/clock.h"
#include "service/ingest.h"
#include "service/search.h"
#include "service/store_settings.h"

/* ---- loading ---------------------------------------------------------------------------------------- */

static enum dp_status load_rows(struct call *call, struct dp_model *model, const char *root, const char *name,
                                struct rows_file *in, struct ingest_summary *summary)
{
    struct service_options options = {.borrowed_model = model->model, .borrowed_team = model->runtime->team};
    struct ingest_options ingest = {.namespace = span_str(name), .wake = rows_file_wake, .wake_ctx = in};
    struct service *service = NULL;
    struct line_reader reader;
    enum dp_status status;

    if (index_check_name(ingest.namespace, &call->error) != DP_OK)
        return call->error.status;
    status = store_open_by_environment(call, span_str(root), true, 0, &options.store);
    if (status == DP_OK)
        status = service_new(&options, &service, &call->error);
    if (status != DP_OK)
        return status;
    line_reader_init(&reader, in->stream, INGEST_LINE_MAX);
    status = service_ingest(call, service, &reader, &ingest, summary);
    line_reader_deinit(&reader);
    service_free(service);
    return status;
}

enum dp_status dp_namespace_load_file(struct dp_model *model, const char *root, const char *name,
                                      const char *jsonl_path, const struct dp_load_options *options,
                                      struct dp_load_summary *summary, struct dp_error *error)
{
    struct ingest_summary done = {0};
    struct dp_load_options o;
    struct rows_file in;
    struct capi_call c;
    enum dp_status status = capi_need(error, "dp_namespace_load_file", "model", model, "root", root, "name", name,
                                      "jsonl_path", jsonl_path, NULL);

    if (status == DP_OK)
        status = capi_options(error, "dp_namespace_load_file", "struct dp_load_options", options, &o, sizeof o);
    if (status == DP_OK && summary)
        status = capi_answer_check(error, "dp_namespace_load_file", "struct dp_load_summary", summary);
    if (status != DP_OK)
        return status;
    capi_begin(&c, &o.limits, CAPI_ROWS_ARENA_MAX);
    status = rows_file_open(&in, &c.call, jsonl_path);
    if (status == DP_OK)
        status = load_rows(&c.call, model, root, name, &in, &done);
    rows_file_close(&in);
    if (status == DP_OK && summary) {
        const struct dp_load_summary loaded = {.rows = done.rows,
                                               .replaced = done.load.replaced,
                                               .long_texts = done.long_texts,
                                               .total_rows = done.load.total_rows,
                                               .bytes = done.load.bytes};
        capi_answer(summary, &loaded, sizeof loaded);
    }
    return capi_end(&c, status, error);
}

/* ---- searching -------------------------------------------------------------------------------------- */

/* Makes the service of an open namespace. A service without a model computes on the calling thread alone. */
static enum dp_status open_namespace_service(struct call *call, struct dp_namespace *ns, const char *root,
                                             const struct dp_namespace_options *options)
{
    struct service_options service = {.threads = 1, .readers_max = CAPI_READERS_MAX};
    enum dp_status status =
        store_open_by_environment(call, span_str(root), options->create, options->cache_bytes, &service.store);

    if (status != DP_OK)
        return status;
    if (options->model) {
        service.borrowed_model = options->model->model;
        service.borrowed_team = options->model->runtime->team;
    }
    return service_new(&service, &ns->service, &call->error);
}

/* Opens the namespace; with `create`, it need not exist. */
static enum dp_status open_namespace(struct call *call, struct dp_namespace *ns, const char *root,
                                     const struct dp_namespace_options *options)
{
    enum dp_status status = open_namespace_service(call, ns, root, options);

    if (status == DP_OK)
        status = service_warm(call, ns->service, ns->name);
    if (status != DP_NOT_FOUND || !ns->service || !options->create)
        return status;
    dp_error_clear(&call->error);
    return DP_OK;
}

enum dp_status dp_namespace_open(const char *root, const char *name, const struct dp_namespace_options *options,
                                 struct dp_namespace **out, struct dp_error *error)
{
    struct dp_namespace_options o;
    struct dp_namespace *ns;
    struct capi_call c;
    enum dp_status status = capi_need(error, "dp_namespace_open", "root", root, "name", name, "out", out, NULL);

    if (out)
        *out = NULL;
    if (status == DP_OK)
        status = capi_options(error, "dp_namespace_open", "struct dp_namespace_options", options, &o, sizeof o);
    if (status == DP_OK)
        status = index_check_name(span_str(name), error);
    if (status != DP_OK)
        return status;
    ns = mem_calloc(1, sizeof *ns);
    if (!ns)
        return dp_fail_nomem(error, "the namespace");
    ns->name = span_of(ns->name_bytes, strlen(name));
    memcpy(ns->name_bytes, name, ns->name.len);
    capi_begin(&c, &o.limits, CAPI_ROWS_ARENA_MAX);
    status = open_namespace(&c.call, ns, root, &o);
    if (status == DP_OK)
        *out = ns;
    else
        dp_namespace_close(ns);
    return capi_end(&c, status, error);
}

void dp_namespace_close(struct dp_namespace *ns)
{
    if (!ns)
        return;
    index_collector_free(atomic_load(&ns->collector));
    service_free(ns->service);
    mem_free(ns);
}

struct dp_results {
    struct capi_call c; /* its arena holds the answer, the ids and the attributes */
    struct index_answer answer;
    const char **ids, **attributes;
    double ms;
};

/* Copies the rows' ids and attributes as C strings. */
static enum dp_status copy_rows(struct dp_results *results)
{
    struct arena *arena = &results->c.arena;
    size_t count = results->answer.count;

    results->ids = arena_calloc(arena, count + 1, sizeof(*results->ids));
    results->attributes = arena_calloc(arena, count + 1, sizeof(*results->attributes));
    if (!results->ids || !results->attributes)
        return call_nomem(&results->c.call, "the results");
    for (size_t i = 0; i < count; i++) {
        const struct index_hit *hit = &results->answer.hits[i];
        struct span json = arena_copy(arena, hit->attributes.len ? hit->attributes : span_str("{}"));
        results->ids[i] = hit->id.is_string ? (const char *)arena_copy(arena, hit->id.text).data
                                            : arena_printf(arena, "%" PRIu64, hit->id.number);
        results->attributes[i] = (const char *)json.data;
        if (!results->ids[i] || !results->attributes[i])
            return call_nomem(&results->c.call, "the results");
    }
    return DP_OK;
}

/* Embeds the query's text with the query's model, and fills in the vector, dim and fingerprint of `query`. */
static enum dp_status embed_query_text(struct call *call, const struct dp_query *asked, struct index_query *query)
{
    struct dp_model *model = asked->model;
    float *vector = arena_array(call->arena, dp_model_dim(model), sizeof *vector);

    if (!vector)
        return call_nomem(call, "the query's vector");
    query->vector = vector;
    query->dim = (uint32_t)dp_model_dim(model);
    query->fingerprint = span_str(model_info(model->model)->fingerprint);
    return capi_model_embed(call, model, TEXT_QUERY, &asked->text, asked->text_len ? &asked->text_len : NULL, 1,
                            true, vector);
}

/* Makes the vector of the query's rows, or leaves the text to the namespace's model. */
static enum dp_status prepare_query(struct call *call, const struct dp_namespace *ns, const struct dp_query *asked,
                                    struct query_request *request)
{
    if ((unsigned)asked->rank > DP_RANK_HYBRID || (unsigned)asked->fusion > DP_FUSION_CONVEX)
        return call_fail(call, DP_INVALID, "rank %d or fusion %d is unknown", (int)asked->rank,
                         (int)asked->fusion);
    if (!asked->text && (asked->rank == DP_RANK_WORDS || asked->rank == DP_RANK_HYBRID))
        return call_fail(call, DP_INVALID, "a query by words needs a text");
    if (asked->filters)
        request->filters = span_str(asked->filters);
    if (asked->text)
        request->text = asked->text_len ? span_of(asked->text, asked->text_len) : span_str(asked->text);
    if (asked->rank == DP_RANK_WORDS)
        return DP_OK;
    if (asked->text && asked->model)
        return embed_query_text(call, asked, &request->rows);
    if (asked->text && !service_has_model(ns->service))
        return call_fail(call, DP_INVALID, "a query by text needs a model to embed it");
    if (!asked->text && !asked->vector)
        return call_fail(call, DP_INVALID, "there is nothing to search for: neither text nor vector");
    return DP_OK;
}

/* Searches, and copies the rows. */
static enum dp_status run_search(struct dp_results *results, struct dp_namespace *ns, const struct dp_query *asked,
                                 struct query_request *request)
{
    static const enum search_rank ranks[] = {[DP_RANK_DEFAULT] = SEARCH_MEANING,
                                             [DP_RANK_MEANING] = SEARCH_MEANING,
                                             [DP_RANK_WORDS] = SEARCH_WORDS,
                                             [DP_RANK_HYBRID] = SEARCH_HYBRID};
    struct call *call = &results->c.call;
    struct query_response response;
    enum dp_status status = prepare_query(call, ns, asked, request);
    if (status)
        return status;
    struct search_options how = {.rank = ranks[asked->rank],
                                 .fusion = asked->fusion == DP_FUSION_CONVEX ? FUSION_CONVEX : FUSION_RRF,
                                 .words_share = asked->words_share};
    status = service_search(call, ns->service, request, &how, &response);
    if (status)
        return status;
    results->answer = response.answer;
    return copy_rows(results);
}

static enum dp_status search_namespace(struct dp_namespace *ns, const struct dp_query *asked,
                                       struct dp_results **out, struct dp_error *error)
{
    struct query_request request = {.namespace = ns->name,
                                    .rows = {.vector = asked->text ? NULL : asked->vector,
                                             .dim = asked->dim > UINT32_MAX ? UINT32_MAX : (uint32_t)asked->dim,
                                             .top_k = asked->k > UINT32_MAX ? UINT32_MAX : (uint32_t)asked->k,
                                             .all_attributes = true}};
    struct dp_results *results = mem_calloc(1, sizeof *results);
    int64_t began_ns = os_now_ns();

    if (!results)
        return dp_fail_nomem(error, "the results");
    capi_begin(&results->c, &asked->limits, CAPI_ROWS_ARENA_MAX);
    enum dp_status status = run_search(results, ns, asked, &request);
    results->ms = (double)(os_now_ns() - began_ns) * 1e-6;
    if (status == DP_OK) {
        capi_unlimit(&results->c);
        *out = results;
        return DP_OK;
    }
    capi_end(&results->c, status, error);
    mem_free(results);
    return status;
}

enum dp_status dp_namespace_query(struct dp_namespace *ns, const struct dp_query *query, struct dp_results **out,
                                  struct dp_error *error)
{
    struct dp_query q;
    enum dp_status status = capi_need(error, "dp_namespace_query", "ns", ns, "query", query, "out", out, NULL);

    if (out)
        *out = NULL;
    if (status == DP_OK)
        status = capi_options(error, "dp_namespace_query", "struct dp_query", query, &q, sizeof q);
    return status == DP_OK ? search_namespace(ns, &q, out, error) : status;
}

enum dp_status dp_namespace_search(struct dp_namespace *ns, struct dp_model *model, const char *text, size_t k,
                                   struct dp_results **out, struct dp_error *error)
{
    const struct dp_query query = {.model = model, .text = text, .k = k};
    enum dp_status status =
        capi_need(error, "dp_namespace_search", "ns", ns, "model", model, "text", text, "out", out, NULL);

    if (out)
        *out = NULL;
    return status == DP_OK ? search_namespace(ns, &query, out, error) : status;
}

void dp_results_free(struct dp_results *results)
{
    if (!results)
        return;
    arena_deinit(&results->c.arena);
    mem_free(results);
}

size_t dp_results_count(const struct dp_results *results)
{
    return results ? results->answer.count : 0;
}

const char *dp_results_id(const struct dp_results *results, size_t row)
{
    return row < dp_results_count(results) ? results->ids[row] : NULL;
}

bool dp_results_id_is_number(const struct dp_results *results, size_t row)
{
    return row < dp_results_count(results) && !results->answer.hits[row].id.is_string;
}

float dp_results_dist(const struct dp_results *results, size_t row)
{
    return row < dp_results_count(results) ? results->answer.hits[row].dist : NAN;
}

const char *dp_results_attributes(const struct dp_results *results, size_t row)
{
    return row < dp_results_count(results) ? results->attributes[row] : NULL;
}

struct dp_cost dp_results_cost(const struct dp_results *results)
{
    if (!results)
        return (struct dp_cost){.rounds = 0};
    const struct call_cost *cost = &results->c.call.cost;
    return (struct dp_cost){
        .rounds = cost->rounds, .requests = cost->requests, .bytes = cost->bytes, .ms = results->ms};
}
