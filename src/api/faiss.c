/* faiss.c: POST and GET /v1/indexes, GET and DELETE /v1/indexes/{name}, POST /v1/indexes/{name}/search.
 *
 * Searches FAISS files where they lie. Fields have the names that FAISS or `dipper faiss … --json` uses. Errors are
 * {"error": code, "message": sentence}.
 */
#include "api/api.h"

#include "api/faiss_request.h"
#include "base/json.h"

const struct api_dialect api_faiss = {.name = "faiss", .error = api_fastembed_error};

static void print_cost(struct json_writer *w, uint64_t rounds, uint64_t requests, uint64_t bytes, double ms)
{
    json_field_u64(w, "rounds", rounds);
    json_field_u64(w, "requests", requests);
    json_field_u64(w, "bytes", bytes);
    json_field_double(w, "ms", ms);
}

static void print_index(struct json_writer *w, const struct index_description *d)
{
    json_begin_object(w);
    json_field_span(w, "name", d->name);
    json_field_str(w, "url", d->url);
    json_field_str(w, "kind", d->kind);
    json_field_str(w, "codes", d->codes);
    json_field_u64(w, "d", d->dim);
    json_field_str(w, "metric", d->metric == VECTOR_L2 ? "l2" : "inner_product");
    json_field_u64(w, "vectors", d->vectors);
    json_field_u64(w, "in_no_list", d->in_no_list);
    json_field_u64(w, "nlist", d->nlist);
    json_field_u64(w, "nprobe", d->nprobe);
    json_field_u64(w, "transforms", d->transforms);
    json_field_bool(w, "id_map", d->id_map);
    json_field_bool(w, "refined", d->refined);
    json_field_float(w, "k_factor", d->k_factor);
    json_field_u64(w, "file_bytes", d->file_bytes);
    json_field_u64(w, "cluster_data_offset", d->cluster_data_offset);
    json_field_u64(w, "memory_bytes", d->memory_bytes);
    json_field_object(w, "open");
    print_cost(w, d->open_rounds, d->open_requests, d->open_bytes, d->open_ms);
    json_end_object(w);
    json_end_object(w);
}

/* Answers a failed opening. If the server of the file failed, answers 502, because this server has neither failed
 * nor too much load. */
static void fail_open(const struct call *call, const struct index_source *source, struct http_response *response)
{
    enum dp_status status = call->error.status;
    bool elsewhere = source->url.len && !span_starts_with(source->url, span_str("file:"));
    if (!elsewhere || (status != DP_IO && status != DP_UNAVAILABLE)) {
        api_fail(call, &api_faiss, response);
        return;
    }
    api_faiss.error(response, 502, api_error_code(502, status), call->error.message);
    response->outcome = status;
}

void faiss_open(struct call *call, const struct api_context *api, const struct http_request *http,
                struct http_response *response)
{
    struct index_source source = {.url = span_of(NULL, 0)};
    struct index_description opened;
    struct json_writer w;
    if (faiss_parse_open(call, http->body, &source) != DP_OK ||
        service_index_open(call, api->service, &source, &opened) != DP_OK) {
        fail_open(call, &source, response);
        return;
    }
    response->status = 201;
    json_writer_init(&w, &response->body);
    print_index(&w, &opened);
    api_finish(call, &api_faiss, response);
}

void faiss_list(struct call *call, const struct api_context *api, const struct http_request *http,
                struct http_response *response)
{
    struct index_description *indexes;
    struct json_writer w;
    struct span prefix;
    size_t count;
    if (http_query_arg(http, call->arena, "prefix", &prefix, &call->error) != DP_OK ||
        service_index_list(call, api->service, prefix, &indexes, &count) != DP_OK) {
        api_fail(call, &api_faiss, response);
        return;
    }
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_array(&w, "indexes");
    for (size_t i = 0; i < count; i++)
        print_index(&w, &indexes[i]);
    json_end_array(&w);
    json_end_object(&w);
    api_finish(call, &api_faiss, response);
}

void faiss_describe(struct call *call, const struct api_context *api, const struct http_request *http,
                    struct http_response *response)
{
    struct index_description index;
    struct json_writer w;
    if (service_index_describe(call, api->service, http->args[0], &index) != DP_OK) {
        api_fail(call, &api_faiss, response);
        return;
    }
    json_writer_init(&w, &response->body);
    print_index(&w, &index);
    api_finish(call, &api_faiss, response);
}

void faiss_close(struct call *call, const struct api_context *api, const struct http_request *http,
                 struct http_response *response)
{
    struct json_writer w;
    if (service_index_close(call, api->service, http->args[0]) != DP_OK) {
        api_fail(call, &api_faiss, response);
        return;
    }
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_span(&w, "name", http->args[0]);
    json_field_str(&w, "status", "closed");
    json_end_object(&w);
    api_finish(call, &api_faiss, response);
}

static void print_hits(struct json_writer *w, const int64_t *ids, const float *distances, size_t k,
                       const struct faiss_search_cost *cost)
{
    int64_t us = cost->duration_ns / 1000;
    json_begin_object(w);
    json_field_array(w, "ids");
    for (size_t i = 0; i < k; i++)
        json_i64(w, ids[i]);
    json_end_array(w);
    json_field_array(w, "distances");
    for (size_t i = 0; i < k; i++)
        json_float(w, distances[i]);
    json_end_array(w);
    json_field_u64(w, "lists", cost->lists);
    print_cost(w, cost->rounds, cost->requests, cost->bytes, (double)us / 1000);
    json_end_object(w);
}

void faiss_search_index(struct call *call, const struct api_context *api, const struct http_request *http,
                        struct http_response *response)
{
    struct index_search search;
    struct index_hits hits;
    struct json_writer w;
    if (faiss_parse_search(call, http->body, &search) != DP_OK) {
        api_fail(call, &api_faiss, response);
        return;
    }
    search.name = http->args[0];
    if (service_index_search(call, api->service, &search, &hits) != DP_OK) {
        api_fail(call, &api_faiss, response);
        return;
    }
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_array(&w, "results");
    for (size_t q = 0; q < search.count; q++)
        print_hits(&w, hits.ids + q * search.k, hits.distances + q * search.k, search.k, &hits.costs[q]);
    json_end_array(&w);
    if (search.texts) {
        uint64_t us = (call->cost.tokenize_ns + call->cost.embed_ns) / 1000;
        json_field_double(&w, "embedding_ms", (double)us / 1000);
    }
    json_end_object(&w);
    api_finish(call, &api_faiss, response);
}
