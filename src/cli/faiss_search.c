/* faiss_search.c: `dipper faiss search`: finds the neighbours of vectors, or of words, in a FAISS file. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "cli/faiss.h"
#include "cli/interrupt.h"
#include "cli/linked_model.h"
#include "cli/output.h"
#include "os/file.h"

static const double AUTO_RECALL = 0.95;

enum { ARENA_MAX = 256 << 20, OUTPUT_MAX = 64 << 20 };

enum dp_status cli_faiss_vectors(const char *path, struct vector_file *out, struct dp_error *error)
{
    struct os_map map;
    enum dp_status status = os_map_file(path, &map, error);
    if (status != DP_OK)
        return status;
    status = vector_file_parse(map.bytes, path, out, error);
    os_unmap(&map);
    return status;
}

/* Reads the queries from a file, or embeds the words. */
static enum dp_status take_queries(struct call *call, const struct config *config,
                                   const struct faiss_options *options, struct vector_file *out)
{
    if (options->queries)
        return cli_faiss_vectors(options->queries, out, &call->error);
    struct service *service;
    const struct embed_input input = {.text = span_str(options->text)};
    const struct embed_request request = {.inputs = &input, .count = 1, .kind = TEXT_QUERY, .normalize = true};
    struct embed_response response;
    enum dp_status status = open_service(program_inputs(config), OPEN_MODEL, &service, &call->error);
    if (status != DP_OK)
        return status;
    status = service_embed(call, service, &request, &response);
    if (status == DP_OK) {
        out->values = mem_alloc(response.dim * sizeof(float));
        status = out->values ? DP_OK : call_nomem(call, "a query");
    }
    if (status == DP_OK) {
        memcpy(out->values, response.vectors, response.dim * sizeof(float));
        out->count = 1;
        out->dim = response.dim;
    }
    service_free(service);
    return status;
}

/* The answer to one query. */
struct faiss_answer {
    const int64_t *ids;     /* [k] */
    const float *distances; /* [k] */
    size_t k;
    struct faiss_search_cost cost;
};

static void write_answer_json(struct buffer *out, const struct faiss_answer *a)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_field_array(&w, "ids");
    for (size_t i = 0; i < a->k; i++)
        json_i64(&w, a->ids[i]);
    json_end_array(&w);
    json_field_array(&w, "distances");
    for (size_t i = 0; i < a->k; i++)
        json_float(&w, a->distances[i]);
    json_end_array(&w);
    json_field_u64(&w, "rounds", a->cost.rounds);
    json_field_u64(&w, "requests", a->cost.requests);
    json_field_u64(&w, "bytes", a->cost.bytes);
    json_key(&w, "ms");
    int64_t us = a->cost.duration_ns / 1000;
    json_double(&w, (double)us / 1000);
    json_end_object(&w);
    buffer_append_str(out, "\n");
}

static void write_answer_text(struct buffer *out, size_t query, const struct faiss_answer *a)
{
    buffer_printf(out, "query %zu\n", query);
    for (size_t i = 0; i < a->k && a->ids[i] != -1; i++)
        buffer_printf(out, "%3zu. %-12" PRId64 " %g\n", i + 1, a->ids[i], (double)a->distances[i]);
    buffer_printf(out, "     %" PRIu64 " rounds, %" PRIu64 " requests, %.1f KB, %.2f ms\n", a->cost.rounds,
                  a->cost.requests, (double)a->cost.bytes / 1024, (double)a->cost.duration_ns * 1e-6);
}

static enum dp_status print_answer(struct call *call, size_t query, const struct faiss_answer *a, bool json,
                                   struct buffer *out)
{
    if (json)
        write_answer_json(out, a);
    else
        write_answer_text(out, query, a);
    enum dp_status status = buffer_check(out, "the answer", &call->error);
    if (status == DP_OK)
        status = output_write(buffer_span(out), &call->error);
    buffer_clear(out);
    return status;
}

/* Room for the answers to a batch of queries. */
struct faiss_answers {
    int64_t *ids;     /* [together][k] */
    float *distances; /* [together][k] */
    struct faiss_search_cost *costs;
    size_t together;
};

static enum dp_status search_queries(struct call *call, const struct faiss_index *index,
                                     const struct vector_file *queries, const struct faiss_search *how, bool json,
                                     const struct faiss_answers *room, struct buffer *out)
{
    enum dp_status status = DP_OK;
    struct faiss_search search = *how;
    for (size_t begin = 0; status == DP_OK && begin < queries->count; begin += search.count) {
        search.queries = queries->values + begin * queries->dim;
        search.count = queries->count - begin < room->together ? queries->count - begin : room->together;
        status = faiss_index_search(call, index, &search, room->ids, room->distances, room->costs);
        for (size_t q = 0; status == DP_OK && q < search.count; q++) {
            const struct faiss_answer one = {room->ids + q * search.k, room->distances + q * search.k, search.k,
                                             room->costs[q]};
            status = print_answer(call, begin + q, &one, json, out);
        }
    }
    return status;
}

/* ---- the options ------------------------------------------------------------------------------------------ */

/* Reads --k-factor. Returns CLI_OK or CLI_USAGE. */
static int read_k_factor(const struct cli_args *args, float *out)
{
    const struct faiss_options *given = args->options;
    char *end = NULL;
    if (!given->k_factor)
        return CLI_OK;
    *out = strtof(given->k_factor, &end);
    if (end == given->k_factor || *end || !(*out >= 1))
        return cli_usage(args, "--k-factor is '%s', but must be a number from 1 on", given->k_factor);
    return CLI_OK;
}

/* Reads --nprobe or --recall; the other one stays 0. Returns CLI_OK or CLI_USAGE. */
static int read_nprobe(const struct cli_args *args, size_t *nprobe, double *recall)
{
    const struct faiss_options *given = args->options;
    char *end = NULL;
    if (given->nprobe && given->recall)
        return cli_usage(args, "--nprobe and --recall exclude each other: give one of them");
    if (given->recall) {
        *recall = strtod(given->recall, &end);
        if (end == given->recall || *end || !(*recall > 0 && *recall <= 1))
            return cli_usage(args, "--recall is '%s', but must be a number above 0, at most 1", given->recall);
    } else if (given->nprobe && strcmp(given->nprobe, "auto") == 0) {
        *recall = AUTO_RECALL;
    } else if (given->nprobe) {
        errno = 0;
        unsigned long long number = strtoull(given->nprobe, &end, 10);
        if (*given->nprobe < '0' || *given->nprobe > '9' || *end || errno || number > UINT32_MAX)
            return cli_usage(args, "--nprobe is '%s', but must be auto or a whole number from 0 to %" PRIu32,
                             given->nprobe, UINT32_MAX);
        *nprobe = (size_t)number;
    }
    return CLI_OK;
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

/* Allocates room for the answers, searches, and prints the answers. */
static enum dp_status search_index(struct call *call, const struct faiss_index *index,
                                   const struct vector_file *queries, const struct faiss_search *how, bool json)
{
    struct buffer out;
    struct faiss_answers room = {.together = faiss_index_together(index, how->k)};
    buffer_init(&out, OUTPUT_MAX);
    room.ids = mem_calloc(room.together * how->k, sizeof *room.ids);
    room.distances = mem_calloc(room.together * how->k, sizeof *room.distances);
    room.costs = mem_calloc(room.together, sizeof *room.costs);
    enum dp_status status = room.ids && room.distances && room.costs
                                ? search_queries(call, index, queries, how, json, &room, &out)
                                : call_nomem(call, "the answers");
    mem_free(room.ids);
    mem_free(room.distances);
    mem_free(room.costs);
    buffer_deinit(&out);
    return status;
}

static enum dp_status search_file_at(struct call *call, const struct cli_args *args, struct faiss_search *how,
                                     double recall)
{
    const struct faiss_options *given = args->options;
    const char *url = args->positions[0];
    struct faiss_index *index = NULL;
    struct vector_file queries = {0};
    enum dp_status status = take_queries(call, &args->config, given, &queries);
    if (status == DP_OK)
        status = open_faiss(call, &args->config, span_str(url), &index);
    if (status == DP_OK && recall > 0)
        status = open_nprobe(call, &args->config, url, given->recall_table, index, recall, &how->nprobe);
    if (status == DP_OK) {
        how->dim = queries.dim;
        status = search_index(call, index, &queries, how, given->json);
    }
    vector_file_deinit(&queries);
    faiss_index_free(index);
    return status;
}

int cli_faiss_search(const struct cli_args *args)
{
    const struct faiss_options *given = args->options;
    struct faiss_search how = {.k = (size_t)given->k, .scan_all = given->scan_all};
    double recall = 0;
    struct arena arena;
    struct call call;
    if (!given->queries == !given->text)
        return cli_usage(args, "`faiss search` needs either --queries FILE or --text \"words\"");
    int status = read_nprobe(args, &how.nprobe, &recall);
    if (status == CLI_OK)
        status = read_k_factor(args, &how.k_factor);
    if (status != CLI_OK)
        return status;
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    call.cancelled = interrupt_watch();
    search_file_at(&call, args, &how, recall);
    struct dp_error error = call.error;
    arena_deinit(&arena);
    return cli_end(args, &error);
}
