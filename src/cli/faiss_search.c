/* faiss_search.c: `dipper faiss search`: the neighbours of vectors, or of some words, in a FAISS file. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/json.h"
#include "cli/faiss.h"
#include "cli/interrupt.h"
#include "cli/linked_model.h"
#include "cli/output.h"
#include "os/file.h"
#include "vector/vector_file.h"

enum { ARENA_MAX = 256 << 20, OUTPUT_MAX = 64 << 20 };

enum dp_status faiss_read_vectors(const char *path, struct vector_file *out, struct dp_error *error)
{
    struct os_map map;
    enum dp_status status = os_map_file(path, &map, error);
    if (status != DP_OK)
        return status;
    status = vector_file_parse(map.bytes, path, out, error);
    os_unmap(&map);
    return status;
}

/* The vectors to look for: a file's, or one that the model makes. */
static enum dp_status take_queries(struct call *call, const struct config *config,
                                   const struct faiss_search_options *options, struct vector_file *out)
{
    if (options->queries)
        return faiss_read_vectors(options->queries, out, &call->error);
    struct service *service;
    const struct embed_input input = {.text = span_str(options->text)};
    const struct embed_request request = {.inputs = &input, .count = 1, .kind = TEXT_QUERY, .normalize = true};
    struct embed_response response;
    enum dp_status status = open_service(program_inputs(config), OPEN_MODEL, &service, &call->error);
    if (status != DP_OK)
        return status;
    status = service_embed(call, service, &request, &response);
    if (status == DP_OK && (out->values = mem_alloc(response.dim * sizeof(float))) == NULL)
        status = call_nomem(call, "a query");
    if (status == DP_OK) {
        memcpy(out->values, response.vectors, response.dim * sizeof(float));
        out->count = 1;
        out->dim = response.dim;
    }
    service_free(service);
    return status;
}

/* One query's answers. */
struct answer {
    const int64_t *ids;     /* [k] */
    const float *distances; /* [k] */
    size_t k;
    struct faiss_search_cost cost;
};

static void write_json(struct buffer *out, const struct answer *a)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "ids");
    json_begin_array(&w);
    for (size_t i = 0; i < a->k; i++)
        json_i64(&w, a->ids[i]);
    json_end_array(&w);
    json_key(&w, "distances");
    json_begin_array(&w);
    for (size_t i = 0; i < a->k; i++)
        json_float(&w, a->distances[i]);
    json_end_array(&w);
    json_key(&w, "rounds");
    json_u64(&w, a->cost.rounds);
    json_key(&w, "requests");
    json_u64(&w, a->cost.requests);
    json_key(&w, "bytes");
    json_u64(&w, a->cost.bytes);
    json_key(&w, "ms");
    int64_t us = a->cost.duration_ns / 1000;
    json_double(&w, (double)us / 1000);
    json_end_object(&w);
    buffer_append_str(out, "\n");
}

static void write_human(struct buffer *out, size_t query, const struct answer *a)
{
    buffer_printf(out, "query %zu\n", query);
    for (size_t i = 0; i < a->k && a->ids[i] != -1; i++)
        buffer_printf(out, "%3zu. %-12" PRId64 " %g\n", i + 1, a->ids[i], (double)a->distances[i]);
    buffer_printf(out, "     %" PRIu64 " rounds, %" PRIu64 " requests, %.1f KB, %.2f ms\n", a->cost.rounds,
                  a->cost.requests, (double)a->cost.bytes / 1024, (double)a->cost.duration_ns * 1e-6);
}

static enum dp_status print(struct call *call, size_t query, const struct answer *a, bool json, struct buffer *out)
{
    if (json)
        write_json(out, a);
    else
        write_human(out, query, a);
    enum dp_status status = buffer_check(out, "the answer", &call->error);
    if (status == DP_OK)
        status = output_write(buffer_span(out), &call->error);
    buffer_clear(out);
    return status;
}

/* Room for the answers of the queries that are searched at once. */
struct answers {
    int64_t *ids;     /* [together][k] */
    float *distances; /* [together][k] */
    struct faiss_search_cost *costs;
    size_t together;
};

static enum dp_status search_all(struct call *call, const struct faiss_index *index,
                                 const struct vector_file *queries, const struct faiss_search *how, bool json,
                                 const struct answers *room, struct buffer *out)
{
    enum dp_status status = DP_OK;
    struct faiss_search search = *how;
    for (size_t begin = 0; status == DP_OK && begin < queries->count; begin += search.count) {
        search.queries = queries->values + begin * queries->dim;
        search.count = queries->count - begin < room->together ? queries->count - begin : room->together;
        status = faiss_index_search(call, index, &search, room->ids, room->distances, room->costs);
        for (size_t q = 0; status == DP_OK && q < search.count; q++) {
            const struct answer one = {room->ids + q * search.k, room->distances + q * search.k, search.k,
                                       room->costs[q]};
            status = print(call, begin + q, &one, json, out);
        }
    }
    return status;
}

enum dp_status faiss_search(const struct config *config, const struct faiss_search_options *options,
                            struct dp_error *error)
{
    struct arena arena;
    struct call call;
    struct buffer out;
    struct faiss_index *index = NULL;
    struct vector_file queries = {0};
    struct answers room = {0};
    struct faiss_search how = {.k = (size_t)options->k,
                               .nprobe = (size_t)options->nprobe,
                               .k_factor = options->k_factor,
                               .scan_all = options->scan_all};
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    call.cancelled = interrupt_watch();
    buffer_init(&out, OUTPUT_MAX);
    enum dp_status status = take_queries(&call, config, options, &queries);
    if (status == DP_OK)
        status = open_faiss(&call, config, span_str(options->url), &index);
    if (status == DP_OK && options->recall > 0)
        status =
            open_nprobe(&call, config, options->url, options->recall_table, index, options->recall, &how.nprobe);
    if (status == DP_OK) {
        how.dim = queries.dim;
        room.together = faiss_index_together(index, how.k);
        room.ids = mem_calloc(room.together * how.k, sizeof *room.ids);
        room.distances = mem_calloc(room.together * how.k, sizeof *room.distances);
        room.costs = mem_calloc(room.together, sizeof *room.costs);
        status = room.ids && room.distances && room.costs
                     ? search_all(&call, index, &queries, &how, options->json, &room, &out)
                     : call_nomem(&call, "the answers");
    }
    *error = call.error;
    mem_free(room.ids);
    mem_free(room.distances);
    mem_free(room.costs);
    vector_file_deinit(&queries);
    faiss_index_free(index);
    buffer_deinit(&out);
    arena_deinit(&arena);
    return status;
}
