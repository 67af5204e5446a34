/* turbopuffer.c: POST /v2/namespaces/{ns}/query, the list of namespaces, their metadata and schema.
 *
 * Shapes are those of turbopuffer's API v2. Answers add what the query cost to "performance": rounds, requests and
 * bytes of the store, and the milliseconds of each stage. Errors are {"status": "error", "error": sentence}.
 */
#include "api/api.h"

#include "api/fields.h"
#include "api/turbopuffer_query.h"
#include "os/clock.h"
#include "service/hit_json.h"

enum { PAGE_DEFAULT = 100 };

static void turbopuffer_error(struct http_response *response, unsigned status, const char *code,
                              const char *message)
{
    struct json_writer w;
    (void)code;
    http_response_clear(response);
    response->status = status;
    response->content_type = "application/json";
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_key(&w, "status");
    json_string_str(&w, "error");
    json_key(&w, "error");
    json_string_str(&w, message);
    json_end_object(&w);
}

const struct api_dialect api_turbopuffer = {"turbopuffer", turbopuffer_error, NULL};

static void finish(struct call *call, struct http_response *response)
{
    response->content_type = "application/json";
    if (buffer_check(&response->body, "the answer", &call->error) != DP_OK)
        api_fail(call, &api_turbopuffer, response);
}

/* ---- query ------------------------------------------------------------------------------------------ */

static double milliseconds(uint64_t ns)
{
    uint64_t us = ns / 1000;
    return (double)us / 1000;
}

static void print_performance(struct json_writer *w, const struct call *call, const struct query_response *answer,
                              bool embedded)
{
    const struct call_cost *cost = &call->cost;
    uint64_t lookups = cost->requests + cost->cache_hits;
    double ratio = lookups ? (double)cost->cache_hits / (double)lookups : 1.0;
    uint64_t total = (uint64_t)answer->total_ns;
    json_key(w, "performance");
    json_begin_object(w);
    json_key(w, "cache_hit_ratio");
    json_double(w, ratio);
    json_key(w, "cache_temperature");
    json_string_str(w, ratio >= 1.0 ? "hot" : answer->answer.from_cache ? "warm" : "cold");
    json_key(w, "server_total_ms");
    json_u64(w, total / 1000000);
    json_key(w, "query_execution_ms");
    json_u64(w, total / 1000000);
    json_key(w, "exhaustive_search_count");
    json_u64(w, 0);
    json_key(w, "approx_namespace_size");
    json_u64(w, answer->answer.approx_rows);
    if (embedded) {
        json_key(w, "embedding_ms");
        json_u64(w, (cost->embed_ns + cost->tokenize_ns) / 1000000);
        json_key(w, "embedding_tokens");
        json_u64(w, cost->tokens);
    }
    json_key(w, "rounds");
    json_u64(w, cost->rounds);
    json_key(w, "requests");
    json_u64(w, cost->requests);
    json_key(w, "bytes");
    json_u64(w, cost->bytes);
    json_key(w, "cache_hits");
    json_u64(w, cost->cache_hits);
    json_key(w, "ms");
    json_double(w, milliseconds(total));
    json_key(w, "stages_ms");
    json_begin_object(w);
    json_key(w, "tokenize");
    json_double(w, milliseconds(cost->tokenize_ns));
    json_key(w, "embed");
    json_double(w, milliseconds(cost->embed_ns));
    json_key(w, "store");
    json_double(w, milliseconds(cost->store_ns));
    json_key(w, "scan");
    json_double(w, milliseconds(cost->scan_ns));
    json_end_object(w);
    json_end_object(w);
}

void turbopuffer_query(struct call *call, const struct api_context *api, const struct http_request *http,
                       struct http_response *response)
{
    struct turbopuffer_query query;
    struct query_response answer;
    struct json_writer w;
    if (turbopuffer_parse_query(call, http->body, &query) != DP_OK) {
        api_fail(call, &api_turbopuffer, response);
        return;
    }
    query.query.namespace = http->args[0];
    if (service_query(call, api->service, &query.query, &answer) != DP_OK) {
        api_fail(call, &api_turbopuffer, response);
        return;
    }
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_key(&w, "rows");
    json_begin_array(&w);
    for (size_t i = query.offset; i < answer.answer.count; i++)
        if (hit_write_json(&w, call, &answer.answer.hits[i], query.exclude, query.exclude_count) != DP_OK) {
            api_fail(call, &api_turbopuffer, response);
            return;
        }
    json_end_array(&w);
    size_t rows_bytes = response->body.len;
    json_key(&w, "billing");
    json_begin_object(&w);
    json_key(&w, "billable_logical_bytes_queried");
    json_u64(&w, call->cost.bytes);
    json_key(&w, "billable_logical_bytes_returned");
    json_u64(&w, rows_bytes);
    json_end_object(&w);
    print_performance(&w, call, &answer, !query.query.rows.vector);
    json_end_object(&w);
    finish(call, response);
}

/* ---- namespaces ------------------------------------------------------------------------------------- */

/* A decimal number of a query parameter within [least, most]. */
static enum dp_status read_number(struct call *call, const char *name, struct span text, uint32_t least,
                                  uint32_t most, uint32_t *out)
{
    uint64_t value = 0;
    bool good = text.len > 0 && text.len < 10;
    for (size_t i = 0; good && i < text.len; i++) {
        good = text.data[i] >= '0' && text.data[i] <= '9';
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (!good || value < least || value > most)
        return call_fail(call, DP_INVALID, "%s must be a number from %u to %u", name, least, most);
    *out = (uint32_t)value;
    return DP_OK;
}

void turbopuffer_namespaces(struct call *call, const struct api_context *api, const struct http_request *http,
                            struct http_response *response)
{
    struct span prefix, cursor, page_size;
    struct index_names names;
    struct json_writer w;
    uint32_t max = PAGE_DEFAULT;
    if (http_query_arg(http, call->arena, "prefix", &prefix, &call->error) != DP_OK ||
        http_query_arg(http, call->arena, "cursor", &cursor, &call->error) != DP_OK ||
        http_query_arg(http, call->arena, "page_size", &page_size, &call->error) != DP_OK ||
        (page_size.data && read_number(call, "page_size", page_size, 1, SERVICE_NAMES_MAX, &max) != DP_OK) ||
        service_namespaces(call, api->service, prefix, cursor, max, &names) != DP_OK) {
        api_fail(call, &api_turbopuffer, response);
        return;
    }
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_key(&w, "namespaces");
    json_begin_array(&w);
    for (size_t i = 0; i < names.count; i++) {
        json_begin_object(&w);
        json_key(&w, "id");
        json_string(&w, names.names[i]);
        json_end_object(&w);
    }
    json_end_array(&w);
    if (names.truncated && names.count) {
        json_key(&w, "next_cursor");
        json_string(&w, names.names[names.count - 1]);
    }
    json_end_object(&w);
    finish(call, response);
}

static void print_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    char text[25];
    os_format_utc(wall_ms, text);
    json_key(w, key);
    json_string_str(w, text);
}

void turbopuffer_metadata(struct call *call, const struct api_context *api, const struct http_request *http,
                          struct http_response *response)
{
    struct namespace_info info;
    struct json_writer w;
    if (service_namespace_info(call, api->service, http->args[0], &info) != DP_OK) {
        api_fail(call, &api_turbopuffer, response);
        return;
    }
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_key(&w, "id");
    json_string(&w, http->args[0]);
    json_key(&w, "schema");
    json_raw(&w, info.schema);
    json_key(&w, "approx_logical_bytes");
    json_u64(&w, info.stats.bytes);
    json_key(&w, "approx_row_count");
    json_u64(&w, info.stats.rows);
    print_time(&w, "created_at", info.stats.created_ms);
    print_time(&w, "updated_at", info.stats.updated_ms);
    json_key(&w, "encryption");
    json_raw(&w, span_str("{\"mode\":\"default\"}"));
    json_key(&w, "index");
    json_raw(&w, span_str("{\"status\":\"up-to-date\"}"));
    json_key(&w, "segments");
    json_u64(&w, info.stats.segments);
    json_key(&w, "dimensions");
    json_u64(&w, info.stats.vectors.dim);
    json_key(&w, "distance_metric");
    json_string_str(&w, info.stats.vectors.metric == INDEX_COSINE ? "cosine_distance" : "euclidean_squared");
    json_key(&w, "model");
    if (info.stats.vectors.model.len)
        json_string(&w, info.stats.vectors.model);
    else
        json_null(&w);
    json_end_object(&w);
    finish(call, response);
}

void turbopuffer_schema(struct call *call, const struct api_context *api, const struct http_request *http,
                        struct http_response *response)
{
    struct namespace_info info;
    if (service_namespace_info(call, api->service, http->args[0], &info) != DP_OK) {
        api_fail(call, &api_turbopuffer, response);
        return;
    }
    buffer_append(&response->body, info.schema);
    finish(call, response);
}

void turbopuffer_warm(struct call *call, const struct api_context *api, const struct http_request *http,
                      struct http_response *response)
{
    if (service_warm(call, api->service, http->args[0]) != DP_OK) {
        api_fail(call, &api_turbopuffer, response);
        return;
    }
    buffer_append_str(&response->body, "{\"status\":\"ACCEPTED\",\"message\":\"the namespace is open\"}");
    finish(call, response);
}

void turbopuffer_write(struct call *call, const struct api_context *api, const struct http_request *http,
                       struct http_response *response)
{
    (void)api;
    (void)http;
    call_fail(call, DP_UNSUPPORTED,
              "writing over HTTP is not supported yet by this server; add rows with `dipper index`");
    api_fail(call, &api_turbopuffer, response);
}
