/* faiss.c: POST and GET /v1/indexes, GET and DELETE /v1/indexes/{name}, POST /v1/indexes/{name}/search.
 *
 * FAISS files that are searched where they lie. Names of fields are FAISS's and those of `dipper faiss … --json`. Errors
 * are {"error": code, "message": sentence}.
 */
#include "api/api.h"

#include "api/faiss_request.h"
#include "base/json.h"

const struct api_dialect api_faiss = {.name = "faiss", .error = api_fastembed_error};

static void finish(struct call *call, struct http_response *response)
{
    response->content_type = "application/json";
    if (buffer_check(&response->body, "the answer", &call->error) != DP_OK)
        api_fail(call, &api_faiss, response);
}

static void print_u64(struct json_writer *w, const char *key, uint64_t value)
{
    json_key(w, key);
    json_u64(w, value);
}

static void print_cost(struct json_writer *w, uint64_t rounds, uint64_t requests, uint64_t bytes, double ms)
{
    print_u64(w, "rounds", rounds);
    print_u64(w, "requests", requests);
    print_u64(w, "bytes", bytes);
    json_key(w, "ms");
    json_double(w, ms);
}

static void print_index(struct json_writer *w, const struct index_description *d)
{
    json_begin_object(w);
    json_key(w, "name");
    json_string(w, d->name);
    json_key(w, "url");
    json_string_str(w, d->url);
    json_key(w, "kind");
    json_string_str(w, d->kind);
    json_key(w, "codes");
    json_string_str(w, d->codes);
    print_u64(w, "d", d->dim);
    json_key(w, "metric");
    json_string_str(w, d->metric == VECTOR_L2 ? "l2" : "inner_product");
    print_u64(w, "vectors", d->vectors);
    print_u64(w, "in_no_list", d->in_no_list);
    print_u64(w, "nlist", d->nlist);
    print_u64(w, "nprobe", d->nprobe);
    print_u64(w, "transforms", d->transforms);
    json_key(w, "id_map");
    json_bool(w, d->id_map);
    json_key(w, "refined");
    json_bool(w, d->refined);
    json_key(w, "k_factor");
    json_float(w, d->k_factor);
    print_u64(w, "file_bytes", d->file_bytes);
    print_u64(w, "cluster_data_offset", d->cluster_data_offset);
    print_u64(w, "memory_bytes", d->memory_bytes);
    json_key(w, "open");
    json_begin_object(w);
    print_cost(w, d->open_rounds, d->open_requests, d->open_bytes, d->open_ms);
    json_end_object(w);
    json_end_object(w);
}

/* Another server's failure is neither ours nor a sign of load. */
static void fail_open(const struct call *call, const struct index_source *source, struct http_response *response)
{
    enum dp_status status = call->error.status;
    bool elsewhere = source->url.len && !span_starts_with(source->url, span_str("file:"));
    if (!elsewhere || (status != DP_IO && status != DP_UNAVAILABLE)) {
        api_fail(call, &api_faiss, response);
        return;
    }
    api_faiss.error(response, 502, api_error_code(502), call->error.message);
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
    finish(call, response);
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
    json_key(&w, "indexes");
    json_begin_array(&w);
    for (size_t i = 0; i < count; i++)
        print_index(&w, &indexes[i]);
    json_end_array(&w);
    json_end_object(&w);
    finish(call, response);
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
    finish(call, response);
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
    json_key(&w, "name");
    json_string(&w, http->args[0]);
    json_key(&w, "status");
    json_string_str(&w, "closed");
    json_end_object(&w);
    finish(call, response);
}

static void print_hits(struct json_writer *w, const int64_t *ids, const float *distances, size_t k,
                       const struct faiss_search_cost *cost)
{
    int64_t us = cost->duration_ns / 1000;
    json_begin_object(w);
    json_key(w, "ids");
    json_begin_array(w);
    for (size_t i = 0; i < k; i++)
        json_i64(w, ids[i]);
    json_end_array(w);
    json_key(w, "distances");
    json_begin_array(w);
    for (size_t i = 0; i < k; i++)
        json_float(w, distances[i]);
    json_end_array(w);
    print_u64(w, "lists", cost->lists);
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
    json_key(&w, "results");
    json_begin_array(&w);
    for (size_t q = 0; q < search.count; q++)
        print_hits(&w, hits.ids + q * search.k, hits.distances + q * search.k, search.k, &hits.costs[q]);
    json_end_array(&w);
    if (search.texts) {
        uint64_t us = (call->cost.tokenize_ns + call->cost.embed_ns) / 1000;
        json_key(&w, "embedding_ms");
        json_double(&w, (double)us / 1000);
    }
    json_end_object(&w);
    finish(call, response);
}
