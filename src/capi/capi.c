/* capi.c: the public C API (include/dipper/dipper.h) over the rooms: handles, copies, C strings.
 *
 * A dp_model owns its embedder, a dp_namespace its store; results own the arena that their rows lie in.
 */
#include <dipper/dipper.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "capi/capi.h"
#include "capi/limits.h"
#include "capi/rows_file.h"
#include "service/store_settings.h"
#include "base/alloc.h"
#include "embed/embedder.h"
#include "os/clock.h"
#include "service/ingest.h"

#ifndef DIPPER_VERSION
#error "the build defines DIPPER_VERSION"
#endif

enum { CALL_ARENA_MAX = 1 << 30, TEXTS_A_RUN = 1024 };

const char *dp_version(void)
{
    return DIPPER_VERSION;
}

/* ---- runtime ---------------------------------------------------------------------------------------- */

enum dp_status dp_runtime_new(const struct dp_runtime_options *options, struct dp_runtime **out,
                              struct dp_error *error)
{
    enum dp_status status = capi_need(error, "dp_runtime_new", "out", out, NULL);
    struct dp_runtime *runtime;

    if (status != DP_OK)
        return status;
    *out = NULL;
    runtime = mem_calloc(1, sizeof(*runtime));
    if (!runtime)
        return dp_fail_nomem(error, "the runtime");
    status = team_new(options ? options->threads : 0, &runtime->team, error);
    if (status != DP_OK) {
        mem_free(runtime);
        return status;
    }
    *out = runtime;
    return DP_OK;
}

void dp_runtime_free(struct dp_runtime *runtime)
{
    if (!runtime)
        return;
    team_free(runtime->team);
    mem_free(runtime);
}

/* ---- models ----------------------------------------------------------------------------------------- */

struct dp_model {
    struct dp_runtime *runtime;
    struct model *model;
    struct embedder *embedder;
};

/* Takes over `opened`, also on failure. */
static enum dp_status model_wrap(struct dp_runtime *runtime, struct model *opened, struct dp_model **out,
                                 struct dp_error *error)
{
    struct dp_model *model = mem_calloc(1, sizeof(*model));
    enum dp_status status;

    if (!model) {
        model_free(opened);
        return dp_fail_nomem(error, "the model");
    }
    model->runtime = runtime;
    model->model = opened;
    status = embedder_new(opened, runtime->team, NULL, &model->embedder, error);
    if (status != DP_OK) {
        dp_model_close(model);
        return status;
    }
    *out = model;
    return DP_OK;
}

enum dp_status dp_model_open(struct dp_runtime *runtime, const char *path, struct dp_model **out,
                             struct dp_error *error)
{
    return dp_model_open_with(runtime, path, NULL, out, error);
}

static enum dp_status set_prompts(struct model *model, const struct dp_model_options *options,
                                  struct dp_error *error)
{
    const char *const given[TEXT_KINDS] = {[TEXT_PLAIN] = options->default_prompt,
                                           [TEXT_QUERY] = options->query_prompt,
                                           [TEXT_DOCUMENT] = options->document_prompt};
    struct span of[TEXT_KINDS];

    for (size_t i = 0; i < TEXT_KINDS; i++)
        of[i] = given[i] ? span_str(given[i]) : span_of(NULL, 0);
    return model_set_prompts(model, of, error);
}

enum dp_status dp_model_open_with(struct dp_runtime *runtime, const char *path,
                                  const struct dp_model_options *options, struct dp_model **out,
                                  struct dp_error *error)
{
    struct model *opened = NULL;
    bool fp32 = options && options->precision == DP_FP32;
    enum dp_status status = capi_need(error, "dp_model_open", "runtime", runtime, "out", out, NULL);

    if (out)
        *out = NULL;
    if (status != DP_OK)
        return status;
    if (!path)
        return dp_fail(error, DP_INVALID,
                       "dp_model_open: path is NULL; the library carries no model: name a model's folder or a "
                       "packed model, or give its bytes to dp_model_open_memory");
    status = model_open_dir(path, fp32 ? MODEL_FP32 : MODEL_INT8, &opened, error);
    if (status == DP_OK && options)
        status = set_prompts(opened, options, error);
    if (status != DP_OK)
        model_free(opened);
    return status == DP_OK ? model_wrap(runtime, opened, out, error) : status;
}

enum dp_status dp_model_open_memory(struct dp_runtime *runtime, const void *bytes, size_t len,
                                    struct dp_model **out, struct dp_error *error)
{
    struct model *opened = NULL;
    enum dp_status status =
        capi_need(error, "dp_model_open_memory", "runtime", runtime, "bytes", bytes, "out", out, NULL);

    if (out)
        *out = NULL;
    if (status == DP_OK)
        status = model_open_memory(span_of(bytes, len), &opened, error);
    return status == DP_OK ? model_wrap(runtime, opened, out, error) : status;
}

void dp_model_close(struct dp_model *model)
{
    if (!model)
        return;
    embedder_free(model->embedder);
    model_free(model->model);
    mem_free(model);
}

const char *dp_model_name(const struct dp_model *model)
{
    return model ? model_info(model->model)->name : "";
}

size_t dp_model_dim(const struct dp_model *model)
{
    return model ? model_info(model->model)->dim : 0;
}

size_t dp_model_max_tokens(const struct dp_model *model)
{
    return model ? model_info(model->model)->max_tokens : 0;
}

/* lengths: NULL where texts are NUL-terminated. */
static enum dp_status embed_run(struct call *call, struct dp_model *model, enum text_kind kind,
                                const char *const *texts, const size_t *lengths, size_t count, bool normalize,
                                float *out)
{
    const struct model_info *info = model_info(model->model);
    struct tokens *seqs = arena_calloc(call->arena, count, sizeof(*seqs));

    if (!seqs)
        return call_nomem(call, "the texts' tokens");
    for (size_t i = 0; i < count; i++) {
        if (!texts[i] && (!lengths || lengths[i] > 0))
            return call_fail(call, DP_INVALID, "the text at place %zu is NULL", i);
        struct span text = lengths ? span_of(texts[i], lengths[i]) : span_str(texts[i]);
        enum dp_status status =
            model_encode(model->model, kind, text, info->max_tokens, call->arena, &seqs[i], &call->error);
        if (status != DP_OK)
            return status;
    }
    return embedder_embed(call, model->embedder, seqs, count, normalize, out);
}

enum dp_status dp_embed(struct dp_model *model, const char *const *texts, size_t count, bool normalize, float *out,
                        struct dp_error *error)
{
    return dp_embed_within(model, texts, NULL, count, normalize, NULL, out, error);
}

enum dp_status dp_embed_within(struct dp_model *model, const char *const *texts, const size_t *lengths,
                               size_t count, bool normalize, const struct dp_limits *limits, float *out,
                               struct dp_error *error)
{
    return dp_embed_as(model, DP_TEXT, texts, lengths, count, normalize, limits, out, error);
}

enum dp_status dp_embed_as(struct dp_model *model, enum dp_input input, const char *const *texts,
                           const size_t *lengths, size_t count, bool normalize, const struct dp_limits *asked,
                           float *out, struct dp_error *error)
{
    static const enum text_kind kinds[] = {
        [DP_TEXT] = TEXT_PLAIN, [DP_QUERY] = TEXT_QUERY, [DP_DOCUMENT] = TEXT_DOCUMENT};
    struct limits limits;
    struct arena arena;
    struct call call;
    enum dp_status status = capi_need(error, "dp_embed", "model", model, "texts", texts, "out", out, NULL);

    if (status != DP_OK)
        return status;
    if (count == 0)
        return dp_fail(error, DP_INVALID, "there is no text to embed: count is 0");
    if ((unsigned)input > DP_DOCUMENT)
        return dp_fail(error, DP_INVALID, "%d is no kind of text: it must be DP_TEXT, DP_QUERY or DP_DOCUMENT",
                       (int)input);
    arena_init(&arena, CALL_ARENA_MAX);
    call_init(&call, &arena);
    limits_set(&limits, asked, &call);
    for (size_t done = 0; done < count && status == DP_OK; done += TEXTS_A_RUN) {
        size_t n = count - done < TEXTS_A_RUN ? count - done : TEXTS_A_RUN;
        status = embed_run(&call, model, kinds[input], texts + done, lengths ? lengths + done : NULL, n, normalize,
                           out + done * dp_model_dim(model));
        arena_reset(&arena);
    }
    if (status != DP_OK && error)
        *error = call.error;
    arena_deinit(&arena);
    return status;
}

enum dp_status dp_tokenize(const struct dp_model *model, const char *const *texts, size_t count, int32_t *ids,
                           size_t ids_max, size_t *ends, struct dp_error *error)
{
    struct arena arena;
    enum dp_status status =
        capi_need(error, "dp_tokenize", "model", model, "texts", texts, "ids", ids, "ends", ends, NULL);
    size_t used = 0;

    if (status != DP_OK)
        return status;
    if (count == 0)
        return dp_fail(error, DP_INVALID, "there is no text to cut into tokens: count is 0");
    arena_init(&arena, CALL_ARENA_MAX);
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        struct tokens tokens;
        if (!texts[i]) {
            status = dp_fail(error, DP_INVALID, "the text at place %zu is NULL", i);
            break;
        }
        status = model_encode(model->model, TEXT_PLAIN, span_str(texts[i]), dp_model_max_tokens(model), &arena,
                              &tokens, error);
        if (status == DP_OK && tokens.count > ids_max - used)
            status = dp_fail(error, DP_TOO_LARGE,
                             "the tokens of text %zu do not fit: there is room for %zu in all", i, ids_max);
        if (status == DP_OK) {
            memcpy(ids + used, tokens.ids, tokens.count * sizeof(*ids));
            used += tokens.count;
            ends[i] = used;
        }
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    return status;
}

/* ---- indexing --------------------------------------------------------------------------------------- */

static enum dp_status ingest(struct call *call, struct dp_model *model, const char *root, const char *name,
                             struct rows_file *in, struct ingest_summary *summary)
{
    struct service_options options = {.borrowed_model = model->model, .borrowed_team = model->runtime->team};
    struct ingest_options ingest = {.namespace = span_str(name), .wake = rows_file_wake, .wake_ctx = in};
    struct service *service = NULL;
    struct line_reader reader;
    enum dp_status status;

    if (index_check_name(ingest.namespace, &call->error) != DP_OK)
        return call->error.status;
    status = store_open_by_environment(call, span_str(root), true, &options.store);
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

enum dp_status dp_index_file(struct dp_model *model, const char *root, const char *name, const char *jsonl_path,
                             struct dp_index_summary *summary, struct dp_error *error)
{
    return dp_index_file_within(model, root, name, jsonl_path, NULL, summary, error);
}

enum dp_status dp_index_file_within(struct dp_model *model, const char *root, const char *name,
                                    const char *jsonl_path, const struct dp_limits *asked,
                                    struct dp_index_summary *summary, struct dp_error *error)
{
    struct ingest_summary done = {0};
    struct limits limits;
    struct arena arena;
    struct call call;
    enum dp_status status = capi_need(error, "dp_index_file", "model", model, "root", root, "name", name,
                                      "jsonl_path", jsonl_path, NULL);
    struct rows_file in;

    if (status != DP_OK)
        return status;
    arena_init(&arena, CALL_ARENA_MAX);
    call_init(&call, &arena);
    limits_set(&limits, asked, &call);
    status = rows_file_open(&in, &call, jsonl_path);
    if (status == DP_OK)
        status = ingest(&call, model, root, name, &in, &done);
    rows_file_close(&in);
    if (status == DP_OK && summary)
        *summary = (struct dp_index_summary){.rows = done.rows,
                                             .replaced = done.load.replaced,
                                             .long_texts = done.long_texts,
                                             .total_rows = done.load.total_rows,
                                             .bytes = done.load.bytes};
    if (status != DP_OK && error)
        *error = call.error;
    arena_deinit(&arena);
    return status;
}

/* ---- searching -------------------------------------------------------------------------------------- */

struct dp_namespace {
    struct store *store;
    struct index_reader *reader;
};

enum dp_status dp_namespace_open(const char *root, const char *name, struct dp_namespace **out,
                                 struct dp_error *error)
{
    return dp_namespace_open_within(root, name, NULL, out, error);
}

enum dp_status dp_namespace_open_within(const char *root, const char *name, const struct dp_limits *asked,
                                        struct dp_namespace **out, struct dp_error *error)
{
    enum dp_status status = capi_need(error, "dp_namespace_open", "root", root, "name", name, "out", out, NULL);
    struct dp_namespace *ns;
    struct limits limits;
    struct arena arena;
    struct call call;

    if (out)
        *out = NULL;
    if (status != DP_OK)
        return status;
    ns = mem_calloc(1, sizeof(*ns));
    if (!ns)
        return dp_fail_nomem(error, "the namespace");
    arena_init(&arena, CALL_ARENA_MAX);
    call_init(&call, &arena);
    limits_set(&limits, asked, &call);
    status = index_check_name(span_str(name), &call.error);
    if (status == DP_OK)
        status = store_open_by_environment(&call, span_str(root), false, &ns->store);
    if (status == DP_OK)
        status = index_open(&call, ns->store, span_str(name), &ns->reader);
    if (status == DP_OK) {
        *out = ns;
    } else {
        if (error)
            *error = call.error;
        dp_namespace_close(ns);
    }
    arena_deinit(&arena);
    return status;
}

void dp_namespace_close(struct dp_namespace *ns)
{
    if (!ns)
        return;
    index_close(ns->reader);
    store_free(ns->store);
    mem_free(ns);
}

struct dp_results {
    struct arena arena;
    struct call call;
    struct index_answer answer;
    const char **ids, **attributes;
    double ms;
};

/* C strings of the rows' ids and attributes. */
static enum dp_status name_rows(struct dp_results *results)
{
    struct arena *arena = &results->arena;
    size_t count = results->answer.count;

    results->ids = arena_calloc(arena, count + 1, sizeof(*results->ids));
    results->attributes = arena_calloc(arena, count + 1, sizeof(*results->attributes));
    if (!results->ids || !results->attributes)
        return call_nomem(&results->call, "the results");
    for (size_t i = 0; i < count; i++) {
        const struct index_hit *hit = &results->answer.hits[i];
        struct span json = arena_copy(arena, hit->attributes.len ? hit->attributes : span_str("{}"));
        results->ids[i] = hit->id.is_string ? (const char *)arena_copy(arena, hit->id.text).data
                                            : arena_printf(arena, "%llu", (unsigned long long)hit->id.number);
        results->attributes[i] = (const char *)json.data;
        if (!results->ids[i] || !results->attributes[i])
            return call_nomem(&results->call, "the results");
    }
    return DP_OK;
}

/* The vector of the query's text, by its model. */
static enum dp_status embed_query(struct call *call, const struct dp_query *asked, struct index_query *query)
{
    struct dp_model *model = asked->model;
    float *vector;

    if (!model)
        return call_fail(call, DP_INVALID, "a query by text needs a model to embed it");
    vector = arena_array(call->arena, dp_model_dim(model), sizeof(*vector));
    if (!vector)
        return call_nomem(call, "the query's vector");
    query->vector = vector;
    query->dim = (uint32_t)dp_model_dim(model);
    query->fingerprint = span_str(model_info(model->model)->fingerprint);
    return embed_run(call, model, TEXT_QUERY, &asked->text, asked->text_len ? &asked->text_len : NULL, 1, true,
                     vector);
}

/* Its pointers are there. */
static enum dp_status search_namespace(struct dp_namespace *ns, const struct dp_query *asked,
                                       const struct dp_limits *asked_limits, struct dp_results **out,
                                       struct dp_error *error)
{
    struct index_query query = {.vector = asked->vector,
                                .dim = asked->dim > UINT32_MAX ? UINT32_MAX : (uint32_t)asked->dim,
                                .top_k = asked->k > UINT32_MAX ? UINT32_MAX : (uint32_t)asked->k,
                                .all_attributes = true};
    struct dp_results *results = mem_calloc(1, sizeof(*results));
    int64_t began_ns = os_now_ns();
    struct limits limits;
    enum dp_status status = DP_OK;

    if (!results)
        return dp_fail_nomem(error, "the results");
    arena_init(&results->arena, CALL_ARENA_MAX);
    call_init(&results->call, &results->arena);
    limits_set(&limits, asked_limits, &results->call);
    if (asked->text)
        status = embed_query(&results->call, asked, &query);
    else if (!asked->vector)
        status = call_fail(&results->call, DP_INVALID, "there is nothing to search for: neither text nor vector");
    if (status == DP_OK)
        status = index_query(&results->call, ns->reader, &query, &results->answer);
    if (status == DP_OK)
        status = name_rows(results);
    results->ms = (double)(os_now_ns() - began_ns) * 1e-6;
    results->call.poll = NULL; /* the limits end here, the results live on */
    results->call.cancelled = NULL;
    if (status == DP_OK) {
        *out = results;
    } else {
        if (error)
            *error = results->call.error;
        dp_results_free(results);
    }
    return status;
}

enum dp_status dp_search_within(struct dp_namespace *ns, const struct dp_query *query,
                                const struct dp_limits *limits, struct dp_results **out, struct dp_error *error)
{
    enum dp_status status = capi_need(error, "dp_search_within", "ns", ns, "query", query, "out", out, NULL);

    if (out)
        *out = NULL;
    return status == DP_OK ? search_namespace(ns, query, limits, out, error) : status;
}

enum dp_status dp_search(struct dp_namespace *ns, struct dp_model *model, const char *text, size_t k,
                         struct dp_results **out, struct dp_error *error)
{
    enum dp_status status =
        capi_need(error, "dp_search", "ns", ns, "model", model, "text", text, "out", out, NULL);

    if (out)
        *out = NULL;
    return status == DP_OK
               ? search_namespace(ns, &(struct dp_query){.model = model, .text = text, .k = k}, NULL, out, error)
               : status;
}

enum dp_status dp_search_vector(struct dp_namespace *ns, const float *vector, size_t dim, size_t k,
                                struct dp_results **out, struct dp_error *error)
{
    enum dp_status status = capi_need(error, "dp_search_vector", "ns", ns, "vector", vector, "out", out, NULL);

    if (out)
        *out = NULL;
    return status == DP_OK
               ? search_namespace(ns, &(struct dp_query){.vector = vector, .dim = dim, .k = k}, NULL, out, error)
               : status;
}

void dp_results_free(struct dp_results *results)
{
    if (!results)
        return;
    arena_deinit(&results->arena);
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
    return (struct dp_cost){.rounds = results->call.cost.rounds,
                            .requests = results->call.cost.requests,
                            .bytes = results->call.cost.bytes,
                            .ms = results->ms};
}
