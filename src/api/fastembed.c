/* fastembed.c: POST /v1/embed and /v1/embed/batch.
 *
 * A request is {"text": "…"} or {"texts": ["…", …]}. It may have "model" (the name of a model; default: the first one),
 * "normalize" (false: the pooled vector as it is),
 * "truncate" (false: a text over the model's limit is an error) and "dimensions". The answer to one text has
 * "embedding", "model", "tokens", "cached" and "latency_ms"; the answer to several has "embeddings" in place of
 * "embedding". "truncated" says that a text was cut. An error is {"error": code, "message": sentence}, with
 * "reset_at" when a limit was reached.
 */
#include "api/api.h"

#include "api/fields.h"
#include "os/clock.h"

static void fastembed_limited(struct http_response *response, unsigned status, const char *code,
                              const char *message, const char *reset_at)
{
    struct json_writer w;
    http_response_clear(response);
    response->status = status;
    response->content_type = "application/json";
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_str(&w, "error", code);
    json_field_str(&w, "message", message);
    if (reset_at)
        json_field_str(&w, "reset_at", reset_at);
    json_end_object(&w);
}

void api_fastembed_error(struct http_response *response, unsigned status, const char *code, const char *message)
{
    fastembed_limited(response, status, code, message, NULL);
}

const struct api_dialect api_fastembed = {"fastembed", api_fastembed_error, fastembed_limited};

/* Answers that a text is over the model's limit. The answer has a special code, and the limit. */
static void answer_text_too_long(const struct call *call, const struct api_context *api, struct span name,
                                 struct http_response *response)
{
    struct service_model model;
    struct json_writer w;
    http_response_clear(response);
    response->status = 400;
    response->content_type = "application/json";
    response->outcome = DP_TOO_LARGE;
    response->error_code = "text_too_long";
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_str(&w, "error", "text_too_long");
    json_field_str(&w, "message", call->error.message);
    if (service_model_named(api->service, name, call->arena, &model))
        json_field_u64(&w, "max_tokens", model.max_tokens);
    json_end_object(&w);
}

struct fastembed_request {
    struct embed_request embed;
    bool single; /* "text", not "texts" */
};

static bool read_many_texts(struct json_reader *r, struct call *call, struct fastembed_request *out)
{
    if (!fields_expect(r, JSON_ARRAY, "\"texts\""))
        return false;
    size_t count = fields_count_items(r);
    if (count > SERVICE_BATCH_MAX) {
        json_reject(r, DP_INVALID, "\"texts\" holds %zu texts, but at most %d are allowed", count,
                    SERVICE_BATCH_MAX);
        return false;
    }
    struct embed_input *inputs = arena_calloc(call->arena, count ? count : 1, sizeof *inputs);
    if (!inputs) {
        json_reject(r, DP_NOMEM, "a batch of texts");
        return false;
    }
    json_enter_array(r);
    for (size_t i = 0; json_next_item(r) && i < count; i++)
        if (!fields_string(r, call->arena, "each of \"texts\"", &inputs[i].text))
            return false;
    out->embed.inputs = inputs;
    out->embed.count = count;
    return !json_failed(r);
}

static bool read_one_text(struct json_reader *r, struct call *call, struct fastembed_request *out)
{
    struct embed_input *input = arena_calloc(call->arena, 1, sizeof *input);
    if (!input) {
        json_reject(r, DP_NOMEM, "a text");
        return false;
    }
    out->single = true;
    out->embed.inputs = input;
    out->embed.count = 1;
    return fields_string(r, call->arena, "\"text\"", &input->text);
}

static enum dp_status parse_fastembed(struct call *call, struct span body, struct fastembed_request *out)
{
    enum { TEXT, TEXTS, NORMALIZE, TRUNCATE, DIMENSIONS, MODEL, FIELDS };
    static const char *const names[FIELDS] = {"text", "texts", "normalize", "truncate", "dimensions", "model"};
    struct json_reader reader, *r = &reader;
    uint64_t seen = 0;
    bool truncate = true;
    *out = (struct fastembed_request){.embed.form = VECTOR_JSON};
    json_reader_init(r, body);
    fields_enter_request(r);
    for (int field; fields_next(r, call->arena, names, FIELDS, &seen, &field);) {
        switch (field) {
        case TEXT: read_one_text(r, call, out); break;
        case TEXTS: read_many_texts(r, call, out); break;
        case NORMALIZE: fields_bool(r, "\"normalize\"", &out->embed.normalize); break;
        case TRUNCATE: fields_bool(r, "\"truncate\"", &truncate); break;
        case DIMENSIONS: fields_u32(r, "\"dimensions\"", 1, INDEX_DIM_MAX, &out->embed.dimensions); break;
        case MODEL: fields_string(r, call->arena, "\"model\"", &out->embed.model); break;
        }
    }
    json_end(r);
    if (json_failed(r))
        return json_error(r, &call->error);
    if (!(seen & (1U << TEXT | 1U << TEXTS)))
        return call_fail(call, DP_INVALID, "the field \"text\" (or \"texts\") is missing");
    if ((seen & 1U << TEXT) && (seen & 1U << TEXTS))
        return call_fail(call, DP_INVALID, "\"text\" and \"texts\" exclude each other");
    out->embed.refuse_long = !truncate;
    return DP_OK;
}

static void print_fastembed(const struct fastembed_request *request, const struct embed_response *answer,
                            double latency_ms, struct http_response *response)
{
    struct json_writer w;
    bool cached = true;
    size_t count = request->embed.count;
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_key(&w, request->single ? "embedding" : "embeddings");
    if (!request->single)
        json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        if (answer->texts && answer->texts[i].data)
            json_raw(&w, answer->texts[i]);
        else
            json_floats(&w, answer->vectors + i * answer->dim, answer->dim);
        cached = cached && answer->items[i].cached;
    }
    if (!request->single)
        json_end_array(&w);
    json_field_span(&w, "model", answer->model);
    json_field_u64(&w, "tokens", answer->tokens);
    json_field_bool(&w, "cached", cached);
    json_field_double(&w, "latency_ms", latency_ms);
    if (answer->truncated && request->single) {
        json_field_bool(&w, "truncated", true);
    } else if (answer->truncated) {
        json_field_array(&w, "truncated"); /* positions of the texts that were cut */
        for (size_t i = 0; i < count; i++)
            if (answer->items[i].truncated)
                json_u64(&w, i);
        json_end_array(&w);
    }
    json_end_object(&w);
    response->content_type = "application/json";
}

static void answer_fastembed(struct call *call, const struct fastembed_request *request,
                             const struct embed_response *answer, int64_t began, struct http_response *response)
{
    /* Round to whole microseconds: the clock's finer digits mean nothing. */
    int64_t us = (os_now_ns() - began) / 1000;
    print_fastembed(request, answer, (double)us / 1000, response);
    if (buffer_check(&response->body, "the answer", &call->error) != DP_OK)
        api_fail(call, &api_fastembed, response);
}

void fastembed_embed(struct call *call, const struct api_context *api, const struct http_request *http,
                     struct http_response *response)
{
    int64_t began = os_now_ns();
    struct fastembed_request request;
    struct embed_response answer;
    if (parse_fastembed(call, http->body, &request) != DP_OK) {
        api_fail(call, &api_fastembed, response);
        return;
    }
    enum dp_status status = service_embed(call, api->service, &request.embed, &answer);
    if (status == DP_TOO_LARGE) {
        answer_text_too_long(call, api, request.embed.model, response);
        return;
    }
    if (status != DP_OK) {
        api_fail(call, &api_fastembed, response);
        return;
    }
    answer_fastembed(call, &request, &answer, began, response);
}

/* If this returns false, fastembed_embed parses the body again. An attempt gets at most 16 KiB. Parsing them again
 * takes some microseconds, on a thread that waits for the embedding anyway. A kept request would hold its arena's
 * memory for as long as it waits in the queue. */
bool fastembed_embed_cached(struct call *call, const struct api_context *api, const struct http_request *http,
                            struct http_response *response)
{
    int64_t began = os_now_ns();
    struct fastembed_request request;
    struct embed_response answer;
    if (parse_fastembed(call, http->body, &request) != DP_OK)
        return false;
    const enum embed_cached found = service_embed_cached(call, api->service, &request.embed, &answer);
    if (found == EMBED_CACHED)
        answer_fastembed(call, &request, &answer, began, response);
    return found != EMBED_NOT_CACHED;
}
