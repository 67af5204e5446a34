/* openai.c: POST /v1/embeddings, GET /v1/models and /v1/models/{id}.
 *
 * "input" is a string or an array of strings. If the operator permits token ids, it may also be an array of tokens,
 * or an array of such arrays. Vectors have unit length, as OpenAI's do. A text over the model's limit is cut; the
 * header X-Dipper-Truncated counts such inputs. Errors are {"error": {"message", "type", "param", "code"}}.
 */
#include "api/api.h"

#include "api/fields.h"

/* Answers with an error; param and code may be NULL. */
static void print_error(struct http_response *response, unsigned status, const char *param, const char *code,
                        const char *message)
{
    struct json_writer w;
    http_response_clear(response);
    response->status = status;
    response->content_type = "application/json";
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_object(&w, "error");
    json_field_str(&w, "message", message);
    json_field_str(&w, "type", status >= 500 ? "server_error" : "invalid_request_error");
    json_field_str(&w, "param", param);
    json_field_str(&w, "code", code);
    json_end_object(&w);
    json_end_object(&w);
}

static void openai_error(struct http_response *response, unsigned status, const char *code, const char *message)
{
    print_error(response, status, NULL, code, message);
}

const struct api_dialect api_openai = {"openai", openai_error, NULL};

static void answer_unknown_model(struct call *call, struct span name, struct http_response *response)
{
    const char *message = arena_printf(call->arena, "The model `%.*s` does not exist or is not loaded here.",
                                       name.len < 200 ? (int)name.len : 200, (const char *)name.data);
    print_error(response, 404, "model", "model_not_found", message ? message : "No such model.");
    response->outcome = DP_NOT_FOUND;
    response->error_code = "model_not_found";
}

struct openai_request {
    struct embed_request embed;
    bool base64;
    const char *param; /* the wrong field */
};

/* Reads an array of token ids. */
static bool read_tokens(struct json_reader *r, struct call *call, struct embed_input *input)
{
    size_t count = fields_count_items(r);
    int32_t *ids = arena_array(call->arena, count ? count : 1, sizeof *ids);
    if (!ids) {
        json_reject(r, DP_NOMEM, "tokens");
        return false;
    }
    if (count == 0)
        json_reject(r, DP_INVALID, "'input' holds an empty array of tokens");
    json_enter_array(r);
    for (size_t i = 0; json_next_item(r) && i < count; i++) {
        uint32_t id;
        if (!fields_u32(r, "a token of 'input'", 0, INT32_MAX, &id))
            return false;
        ids[i] = (int32_t)id;
    }
    input->ids = ids;
    input->id_count = count;
    return !json_failed(r);
}

/* The type of the first element of the next array. */
static enum json_type first_item(const struct json_reader *r)
{
    struct json_reader ahead = *r;
    return json_enter_array(&ahead) && json_next_item(&ahead) ? json_peek(&ahead) : JSON_NOTHING;
}

static bool read_input(struct json_reader *r, struct call *call, struct embed_request *out)
{
    enum json_type type = json_peek(r);
    bool many = type == JSON_ARRAY && first_item(r) != JSON_NUMBER;
    size_t count = many ? fields_count_items(r) : 1;
    if (type != JSON_STRING && !fields_expect(r, JSON_ARRAY, "'input'"))
        return false;
    if (count == 0 || count > SERVICE_BATCH_MAX) {
        json_reject(r, DP_INVALID, "'input' must hold 1 to %d inputs, not %zu", SERVICE_BATCH_MAX, count);
        return false;
    }
    struct embed_input *inputs = arena_calloc(call->arena, count, sizeof *inputs);
    if (!inputs) {
        json_reject(r, DP_NOMEM, "a batch of inputs");
        return false;
    }
    out->inputs = inputs;
    out->count = count;
    if (type == JSON_STRING)
        return json_read_string(r, call->arena, &inputs[0].text);
    if (!many)
        return read_tokens(r, call, &inputs[0]);
    json_enter_array(r);
    for (size_t i = 0; json_next_item(r) && i < count; i++) {
        type = json_peek(r);
        if (type == JSON_ARRAY)
            read_tokens(r, call, &inputs[i]);
        else if (type == JSON_STRING)
            json_read_string(r, call->arena, &inputs[i].text);
        else if (type != JSON_NOTHING)
            json_reject(r, DP_INVALID, "each of 'input' must be a string or an array of tokens, not %s",
                        json_type_name(type));
        if (json_failed(r))
            return false;
    }
    return !json_failed(r);
}

static enum dp_status parse_openai(struct call *call, struct span body, struct openai_request *out)
{
    enum { INPUT, MODEL, ENCODING_FORMAT, DIMENSIONS, USER, FIELDS };
    static const char *const names[FIELDS] = {"input", "model", "encoding_format", "dimensions", "user"};
    struct json_reader reader, *r = &reader;
    struct span text;
    uint64_t seen = 0;
    *out = (struct openai_request){.embed = {.normalize = true, .form = VECTOR_JSON}};
    json_reader_init(r, body);
    fields_enter_request(r);
    for (int field; fields_next(r, call->arena, names, FIELDS, &seen, &field);) {
        if (field != INPUT && field != MODEL && fields_null(r))
            continue; /* null means "not given" */
        switch (field) {
        case INPUT: read_input(r, call, &out->embed); break;
        case MODEL: fields_string(r, call->arena, "'model'", &out->embed.model); break;
        case ENCODING_FORMAT:
            if (fields_string(r, call->arena, "'encoding_format'", &text)) {
                out->base64 = span_equal_str(text, "base64");
                out->embed.form = out->base64 ? VECTOR_BASE64 : VECTOR_JSON;
                if (!out->base64 && !span_equal_str(text, "float"))
                    json_reject(r, DP_INVALID, "'encoding_format' must be \"float\" or \"base64\"");
            }
            break;
        case DIMENSIONS: fields_u32(r, "'dimensions'", 1, INDEX_DIM_MAX, &out->embed.dimensions); break;
        case USER: fields_string(r, call->arena, "'user'", &text); break;
        }
        if (json_failed(r))
            out->param = names[field];
    }
    json_end(r);
    if (json_failed(r))
        return json_error(r, &call->error);
    if (!(seen & 1U << INPUT)) {
        out->param = "input";
        return call_fail(call, DP_INVALID, "you must provide an 'input' parameter");
    }
    if (!(seen & 1U << MODEL)) {
        out->param = "model";
        return call_fail(call, DP_INVALID, "you must provide a 'model' parameter");
    }
    return DP_OK;
}

/* Refuses token ids unless the operator permits them. Token ids belong to one tokenizer, and clients may send ids
 * of another one: LangChain sends tiktoken's by default. */
static enum dp_status check_tokens(struct call *call, const struct service *service,
                                   const struct openai_request *request)
{
    for (size_t i = 0; i < request->embed.count && !service_takes_tokens(service); i++)
        if (request->embed.inputs[i].ids)
            return call_fail(
                call, DP_INVALID,
                "'input' holds token ids, and another model's ids would give wrong vectors: send text "
                "(LangChain: check_embedding_ctx_length=False); or, if the ids are this model's own, "
                "start the server with --allow-token-input");
    return DP_OK;
}

static void print_vector(struct json_writer *w, const float *vector, uint32_t dim, bool base64)
{
    if (base64)
        json_base64(w, span_of(vector, dim * sizeof *vector));
    else
        json_floats(w, vector, dim);
}

static void print_openai(struct call *call, const struct openai_request *request,
                         const struct embed_response *answer, struct http_response *response)
{
    struct json_writer w;
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_str(&w, "object", "list");
    json_field_array(&w, "data");
    for (size_t i = 0; i < request->embed.count; i++) {
        json_begin_object(&w);
        json_field_str(&w, "object", "embedding");
        json_field_u64(&w, "index", i);
        json_key(&w, "embedding");
        if (answer->texts && answer->texts[i].data)
            json_raw(&w, answer->texts[i]);
        else
            print_vector(&w, answer->vectors + i * answer->dim, answer->dim, request->base64);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_field_span(&w, "model", answer->model);
    json_field_object(&w, "usage");
    json_field_u64(&w, "prompt_tokens", answer->tokens);
    json_field_u64(&w, "total_tokens", answer->tokens);
    json_end_object(&w);
    json_end_object(&w);
    response->content_type = "application/json";
    if (answer->truncated)
        http_add_header(response, "X-Dipper-Truncated", arena_printf(call->arena, "%zu", answer->truncated));
}

/* Answers with the call's error; `param` is the field that it is about, or NULL. */
static void fail_openai(const struct call *call, const char *param, struct http_response *response)
{
    if (call->error.status != DP_INVALID && call->error.status != DP_TOO_LARGE) {
        api_fail(call, &api_openai, response);
        return;
    }
    print_error(response, 400, param, NULL, call->error.message);
    response->outcome = call->error.status;
}

static void answer_openai(struct call *call, const struct openai_request *request,
                          const struct embed_response *answer, struct http_response *response)
{
    print_openai(call, request, answer, response);
    if (buffer_check(&response->body, "the answer", &call->error) != DP_OK)
        api_fail(call, &api_openai, response);
}

/* Finds the model that the request names, and opens it if necessary. Answers and returns false if that fails. */
static bool find_openai_model(struct call *call, struct service *service, const struct openai_request *request,
                              struct service_model *model, struct http_response *response)
{
    const struct span name = request->embed.model;
    enum dp_status status = name.len ? service_open_model(call, service, name, model) : DP_NOT_FOUND;
    if (status == DP_NOT_FOUND || status == DP_UNSUPPORTED)
        answer_unknown_model(call, name, response);
    else if (status != DP_OK)
        fail_openai(call, NULL, response);
    return status == DP_OK;
}

void openai_embeddings(struct call *call, const struct api_context *api, const struct http_request *http,
                       struct http_response *response)
{
    struct openai_request request;
    struct embed_response answer;
    struct service_model model;
    if (parse_openai(call, http->body, &request) != DP_OK) {
        fail_openai(call, request.param, response);
        return;
    }
    if (!find_openai_model(call, api->service, &request, &model, response))
        return;
    if (request.embed.dimensions > model.dim) {
        call_fail(call, DP_INVALID, "'dimensions' is %u, the model has only %u", request.embed.dimensions,
                  model.dim);
        fail_openai(call, "dimensions", response);
        return;
    }
    if (check_tokens(call, api->service, &request) != DP_OK) {
        fail_openai(call, "input", response);
        return;
    }
    if (service_embed(call, api->service, &request.embed, &answer) != DP_OK) {
        fail_openai(call, "input", response);
        return;
    }
    answer_openai(call, &request, &answer, response);
}

bool openai_embeddings_cached(struct call *call, const struct api_context *api, const struct http_request *http,
                              struct http_response *response)
{
    struct openai_request request;
    struct embed_response answer;
    if (parse_openai(call, http->body, &request) != DP_OK || request.embed.model.len == 0)
        return false;
    const enum embed_cached found = service_embed_cached(call, api->service, &request.embed, &answer);
    if (found == EMBED_CACHED)
        answer_openai(call, &request, &answer, response);
    return found != EMBED_NOT_CACHED;
}

static void print_model(struct json_writer *w, const struct service_model *model, struct span name)
{
    json_begin_object(w);
    json_field_span(w, "id", name);
    json_field_str(w, "object", "model");
    json_field_i64(w, "created", model->loaded_s);
    json_field_str(w, "owned_by", "dipper");
    json_end_object(w);
}

void openai_models(struct call *call, const struct api_context *api, const struct http_request *http,
                   struct http_response *response)
{
    struct service_model model;
    struct json_writer w;
    (void)http;
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_str(&w, "object", "list");
    json_field_array(&w, "data");
    for (size_t i = 0; service_model_at(api->service, i, call->arena, &model); i++)
        print_model(&w, &model, model.name);
    json_end_array(&w);
    json_end_object(&w);
    api_finish(call, &api_openai, response);
}

void openai_model(struct call *call, const struct api_context *api, const struct http_request *http,
                  struct http_response *response)
{
    struct service_model model;
    struct json_writer w;
    struct span name = http->args[0];
    if (name.len == 0 || !service_model_named(api->service, name, call->arena, &model)) {
        answer_unknown_model(call, name, response);
        return;
    }
    json_writer_init(&w, &response->body);
    print_model(&w, &model, name);
    api_finish(call, &api_openai, response);
}
