/* admin.c: POST /admin/models/reload opens the files of models again, while the server runs.
 *
 * The body is empty, or {"model": NAME}; without a name all open models are reloaded. The answer lists the models with
 * the fingerprints of their new and their old versions. If a model cannot be opened or fails its test, the answer is
 * 409, and the old version goes on serving. Errors are {"error": code, "message": sentence}.
 */
#include "api/api.h"

#include "api/fields.h"

const struct api_dialect api_admin = {.name = "admin", .error = api_fastembed_error};

static enum dp_status parse_reload(struct call *call, struct span body, struct span *name)
{
    static const char *const names[] = {"model"};
    struct json_reader reader, *r = &reader;
    uint64_t seen = 0;
    *name = span_of(NULL, 0);
    if (span_trim(body, " \t\r\n").len == 0)
        return DP_OK;
    json_reader_init(r, body);
    fields_enter_request(r);
    for (int field; fields_next(r, call->arena, names, 1, &seen, &field);)
        if (fields_string(r, call->arena, "\"model\"", name) && name->len == 0)
            json_reject(r, DP_INVALID, "\"model\" is empty; leave it out to reload all open models");
    json_end(r);
    return json_failed(r) ? json_error(r, &call->error) : DP_OK;
}

static void print_change(struct json_writer *w, const struct model_change *change)
{
    json_begin_object(w);
    json_field_span(w, "name", change->after.name);
    json_field_u64(w, "dimensions", change->after.dim);
    json_field_span(w, "fingerprint", change->after.fingerprint);
    json_key(w, "previous_fingerprint");
    if (change->before.len)
        json_string(w, change->before);
    else
        json_null(w);
    json_field_bool(w, "changed", !span_equal(change->after.fingerprint, change->before));
    json_field_i64(w, "ms", change->ms);
    json_end_object(w);
}

void admin_reload_models(struct call *call, const struct api_context *api, const struct http_request *http,
                         struct http_response *response)
{
    struct model_change *changes = NULL;
    struct json_writer w;
    struct span name;
    size_t count = 0;
    enum dp_status status = parse_reload(call, http->body, &name);
    if (status == DP_OK)
        status = service_reload_models(call, api->service, name, &changes, &count);
    if (status != DP_OK) {
        api_fail(call, &api_admin, response);
        return;
    }
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_array(&w, "models");
    for (size_t i = 0; i < count; i++)
        print_change(&w, &changes[i]);
    json_end_array(&w);
    json_end_object(&w);
    api_finish(call, &api_admin, response);
}
