/* turbopuffer.c: the dialect, the list of namespaces, their metadata and schema.
 *
 * Shapes follow turbopuffer's API v2. Errors are {"status": "error", "error": sentence}.
 */
#include "api/turbopuffer_handlers.h"

#include "base/json.h"
#include "os/clock.h"
#include "service/search.h"

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
    json_field_str(&w, "status", "error");
    json_field_str(&w, "error", message);
    json_end_object(&w);
}

const struct api_dialect api_turbopuffer = {"turbopuffer", turbopuffer_error, NULL};

void turbopuffer_fail(const struct call *call, bool malformed, struct http_response *response)
{
    api_fail(call, &api_turbopuffer, response);
    if (malformed)
        response->status = 422;
}

double turbopuffer_ms(uint64_t ns)
{
    uint64_t us = ns / 1000;
    return (double)us / 1000;
}

uint64_t turbopuffer_whole_ms(uint64_t ns)
{
    return (ns + 999999) / 1000000;
}

/* ---- namespaces ------------------------------------------------------------------------------------- */

/* Reads a decimal number within [least, most] from a query parameter. */
static enum dp_status read_page_number(struct call *call, const char *name, struct span text, uint32_t least,
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
        (page_size.data && read_page_number(call, "page_size", page_size, 1, SERVICE_NAMES_MAX, &max) != DP_OK) ||
        service_namespaces(call, api->service, prefix, cursor, max, &names) != DP_OK) {
        api_fail(call, &api_turbopuffer, response);
        return;
    }
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_array(&w, "namespaces");
    for (size_t i = 0; i < names.count; i++) {
        json_begin_object(&w);
        json_field_span(&w, "id", names.names[i]);
        json_end_object(&w);
    }
    json_end_array(&w);
    if (names.truncated && names.count)
        json_field_span(&w, "next_cursor", names.names[names.count - 1]);
    json_end_object(&w);
    api_finish(call, &api_turbopuffer, response);
}

static void print_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    char text[25];
    os_format_utc(wall_ms, text);
    json_field_str(w, key, text);
}

/* Prints how many rows and bytes only the log holds. */
static void print_index_status(struct json_writer *w, const struct index_stats *stats)
{
    json_field_object(w, "index");
    json_field_str(w, "status", stats->unindexed_rows ? "updating" : "up-to-date");
    if (stats->unindexed_rows) {
        json_field_u64(w, "unindexed_bytes", stats->unindexed_bytes);
        json_field_u64(w, "unindexed_rows", stats->unindexed_rows);
    }
    json_end_object(w);
}

void turbopuffer_print_metadata(struct call *call, struct span name, const struct namespace_info *info,
                                struct http_response *response)
{
    const struct index_stats *stats = &info->stats;
    struct json_writer w;
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_span(&w, "id", name);
    json_field_raw(&w, "schema", info->schema);
    json_field_u64(&w, "approx_logical_bytes", stats->bytes + stats->unindexed_bytes);
    json_field_u64(&w, "approx_row_count", stats->rows);
    print_time(&w, "created_at", stats->created_ms);
    print_time(&w, "updated_at", stats->updated_ms);
    json_field_raw(&w, "encryption", span_str("{\"mode\":\"default\"}"));
    print_index_status(&w, stats);
    if (stats->read_only)
        json_field_bool(&w, "read_only", true);
    json_field_u64(&w, "segments", stats->segments);
    json_field_u64(&w, "dimensions", stats->vectors.dim);
    json_field_str(&w, "distance_metric",
                   stats->vectors.metric == INDEX_COSINE ? "cosine_distance" : "euclidean_squared");
    json_key(&w, "model");
    if (stats->vectors.model.len)
        json_string(&w, stats->vectors.model);
    else
        json_null(&w);
    json_field_str(&w, "rank", search_rank_name(search_default(info->meaning, info->words)));
    json_end_object(&w);
    api_finish(call, &api_turbopuffer, response);
}

void turbopuffer_metadata(struct call *call, const struct api_context *api, const struct http_request *http,
                          struct http_response *response)
{
    struct namespace_info info;
    if (service_namespace_info(call, api->service, GATE_READ, http->args[0], &info) == DP_OK)
        turbopuffer_print_metadata(call, http->args[0], &info, response);
    else
        api_fail(call, &api_turbopuffer, response);
}

void turbopuffer_schema(struct call *call, const struct api_context *api, const struct http_request *http,
                        struct http_response *response)
{
    struct namespace_info info;
    if (service_namespace_info(call, api->service, GATE_READ, http->args[0], &info) != DP_OK) {
        api_fail(call, &api_turbopuffer, response);
        return;
    }
    buffer_append(&response->body, info.schema);
    api_finish(call, &api_turbopuffer, response);
}

void turbopuffer_warm(struct call *call, const struct api_context *api, const struct http_request *http,
                      struct http_response *response)
{
    if (service_warm(call, api->service, http->args[0]) != DP_OK) {
        api_fail(call, &api_turbopuffer, response);
        return;
    }
    buffer_append_str(&response->body, "{\"status\":\"ACCEPTED\",\"message\":\"the namespace is open\"}");
    api_finish(call, &api_turbopuffer, response);
}
