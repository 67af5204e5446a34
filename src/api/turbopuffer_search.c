/* turbopuffer_search.c: POST /v2/namespaces/{ns}/query, with one query or several.
 *
 * "performance" has turbopuffer's fields and the costs: rounds, requests and bytes of the store, and the milliseconds
 * of each stage.
 */
#include <stdio.h>

#include "api/turbopuffer_handlers.h"
#include "api/turbopuffer_query.h"
#include "service/hit_json.h"

static void print_stages(struct json_writer *w, const struct call_cost *cost)
{
    json_field_object(w, "stages_ms");
    json_field_double(w, "tokenize", turbopuffer_ms(cost->tokenize_ns));
    json_field_double(w, "embed", turbopuffer_ms(cost->embed_ns));
    json_field_double(w, "store", turbopuffer_ms(cost->store_ns));
    json_field_double(w, "scan", turbopuffer_ms(cost->scan_ns));
    json_end_object(w);
}

/* Prints a ratio with a decimal point, even if it is 0 or 1: clients in languages with integers and floats expect a
 * float. */
static void print_ratio(struct json_writer *w, const char *key, double ratio)
{
    char text[16];
    snprintf(text, sizeof text, "%.4f", ratio);
    json_field_raw(w, key, span_str(text));
}

/* `last`: the answer to the last query, whose time covers all of them. `exhaustive`: rows that were looked at one by
 * one. */
static void print_performance(struct json_writer *w, const struct call *call, const struct query_response *last,
                              uint64_t exhaustive, bool embedded)
{
    const struct call_cost *cost = &call->cost;
    uint64_t lookups = cost->requests + cost->cache_hits;
    double ratio = lookups ? (double)cost->cache_hits / (double)lookups : 1.0;
    uint64_t total = (uint64_t)last->total_ns;
    json_field_object(w, "performance");
    print_ratio(w, "cache_hit_ratio", ratio);
    json_field_str(w, "cache_temperature", ratio >= 1.0 ? "hot" : last->answer.from_cache ? "warm" : "cold");
    json_field_u64(w, "server_total_ms", turbopuffer_whole_ms(total));
    json_field_u64(w, "query_execution_ms", turbopuffer_whole_ms(total));
    json_field_u64(w, "exhaustive_search_count", exhaustive);
    json_field_u64(w, "approx_namespace_size", last->answer.approx_rows);
    if (embedded) {
        json_field_u64(w, "embedding_ms", turbopuffer_whole_ms(cost->embed_ns + cost->tokenize_ns));
        json_field_u64(w, "embedding_tokens", cost->tokens);
    }
    json_field_u64(w, "rounds", cost->rounds);
    json_field_u64(w, "requests", cost->requests);
    json_field_u64(w, "bytes", cost->bytes);
    json_field_u64(w, "cache_hits", cost->cache_hits);
    json_field_double(w, "ms", turbopuffer_ms(total));
    print_stages(w, cost);
    json_end_object(w);
}

static struct hit_format format_of(const struct turbopuffer_query *query, bool base64,
                                   const struct query_response *answer, uint64_t *logical)
{
    return (struct hit_format){.excluded = query->exclude,
                               .excluded_count = query->exclude_count,
                               .dim = answer->dim,
                               .base64 = base64,
                               .no_distance = query->query.rank == QUERY_ORDERED,
                               .logical_bytes = logical};
}

/* Prints the rows, and adds their logical bytes to *logical. */
static enum dp_status print_rows(struct json_writer *w, struct call *call, const struct turbopuffer_query *query,
                                 bool base64, const struct query_response *answer, uint64_t *logical)
{
    const struct hit_format format = format_of(query, base64, answer, logical);
    enum dp_status status = DP_OK;
    json_field_array(w, "rows");
    for (size_t i = query->offset; i < answer->answer.count && status == DP_OK; i++)
        status = hit_write_json(w, call, &answer->answer.hits[i], &format);
    json_end_array(w);
    return status;
}

/* Fuses the answers and prints the rows as the only result. */
static enum dp_status print_fused(struct json_writer *w, struct call *call, const struct turbopuffer_queries *all,
                                  const struct query_response *answers, uint64_t *logical)
{
    const struct turbopuffer_fusion *fusion = &all->fusion;
    struct fuse_lane lanes[FUSE_LANES_MAX];
    struct fused_hit *hits;
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        size_t skipped = all->queries[i].offset, found = answers[i].answer.count;
        lanes[i] = (struct fuse_lane){.weight = fusion->weight_count ? fusion->weights[i] : 1};
        if (skipped < found)
            lanes[i].hits = answers[i].answer.hits + skipped, lanes[i].count = found - skipped;
    }
    enum dp_status status = fuse_lanes(call, lanes, all->count, fusion->rank_constant,
                                       fusion->limit ? fusion->limit : SIZE_MAX, &hits, &count);
    json_begin_object(w);
    json_field_array(w, "rows");
    for (size_t i = fusion->offset; i < count && status == DP_OK; i++) {
        const size_t lane = hits[i].lane;
        struct hit_format format = format_of(&all->queries[lane], all->base64, &answers[lane], logical);
        format.no_distance = false;
        status = hit_write_json(w, call, &hits[i].hit, &format);
    }
    json_end_array(w);
    json_end_object(w);
    return status;
}

/* Prints the answer to each query. */
static enum dp_status print_each(struct json_writer *w, struct call *call, const struct turbopuffer_queries *all,
                                 const struct query_response *answers, uint64_t *logical)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < all->count && status == DP_OK; i++) {
        if (all->is_multi)
            json_begin_object(w);
        if (all->queries[i].query.rank == QUERY_AGGREGATED)
            turbopuffer_print_aggregates(w, &all->queries[i].aggregate, answers[i].aggregates);
        else
            status = print_rows(w, call, &all->queries[i], all->base64, &answers[i], logical);
        if (all->is_multi)
            json_end_object(w);
    }
    return status;
}

static enum dp_status print_answers(struct json_writer *w, struct call *call,
                                    const struct turbopuffer_queries *all, const struct query_response *answers)
{
    uint64_t exhaustive = 0, logical = 0;
    bool embedded = false;
    json_begin_object(w);
    if (all->is_multi)
        json_field_array(w, "results");
    enum dp_status status = all->fusion.asked ? print_fused(w, call, all, answers, &logical)
                                              : print_each(w, call, all, answers, &logical);
    if (all->is_multi)
        json_end_array(w);
    for (size_t i = 0; i < all->count; i++) {
        exhaustive += answers[i].answer.exhaustive_rows;
        embedded = embedded || all->queries[i].query.text.data;
    }
    json_field_object(w, "billing");
    json_field_u64(w, "billable_logical_bytes_queried", call->cost.bytes);
    json_field_u64(w, "billable_logical_bytes_returned", logical);
    json_end_object(w);
    print_performance(w, call, &answers[all->count - 1], exhaustive, embedded);
    json_end_object(w);
    return status;
}

static enum dp_status run_queries(struct call *call, struct service *service, struct span namespace,
                                  const struct turbopuffer_queries *all, struct query_response *answers)
{
    struct query_request *requests = arena_array(call->arena, all->count, sizeof *requests);
    if (!requests)
        return call_nomem(call, "queries");
    for (size_t i = 0; i < all->count; i++) {
        requests[i] = all->queries[i].query;
        requests[i].namespace = namespace;
        requests[i].rows.base64 = all->base64;
        if (requests[i].aggregate)
            requests[i].aggregate = &all->queries[i].aggregate;
    }
    return service_queries(call, service, requests, all->count, answers);
}

void turbopuffer_query(struct call *call, const struct api_context *api, const struct http_request *http,
                       struct http_response *response)
{
    struct turbopuffer_queries all;
    struct query_response answers[TURBOPUFFER_QUERIES_MAX];
    struct json_writer w;
    bool malformed;
    if (turbopuffer_parse_query(call, http->body, &all, &malformed) != DP_OK) {
        turbopuffer_fail(call, malformed, response);
        return;
    }
    json_writer_init(&w, &response->body);
    if (run_queries(call, api->service, http->args[0], &all, answers) == DP_OK &&
        print_answers(&w, call, &all, answers) == DP_OK)
        api_finish(call, &api_turbopuffer, response);
    else
        api_fail(call, &api_turbopuffer, response);
}
