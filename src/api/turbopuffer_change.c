/* turbopuffer_change.c: requests that change namespaces: writes, deletion, metadata, schema. */
#include "api/fields.h"
#include "api/turbopuffer_body.h"
#include "api/turbopuffer_handlers.h"
#include "api/turbopuffer_write.h"
#include "base/checksum.h"
#include "base/json.h"
#include "service/hit_json.h"

/* Answers with the call's error. Clients of turbopuffer send a write again after 429 and 5xx; They would also
 * repeat a write after 409, even if it can never succeed. So nothing here answers 409. */
static void fail_change(const struct call *call, bool malformed, struct http_response *response)
{
    turbopuffer_fail(call, malformed, response);
    if (call->error.status == DP_OVERLOADED)
        response->status = 429;
    if (call->error.status == DP_CONFLICT) {
        response->status = 503;
        http_add_header(response, "Retry-After", "1");
    }
}

/* ---- writing ------------------------------------------------------------------------------------------ */

/* Prints the ids of the written rows of one kind: first those that a filter chose, found[count], then those that
 * the request names. Prints nothing if there are none. */
static void print_ids(struct json_writer *w, const char *field, const struct write_request *request,
                      const struct write_response *answer, enum write_kind kind, const struct index_id *found,
                      size_t count)
{
    bool any = count > 0;
    if (any)
        json_field_array(w, field);
    for (size_t i = 0; i < count; i++)
        hit_write_id(w, &found[i]);
    for (size_t i = 0; i < request->row_count; i++) {
        if (request->rows[i].kind != kind || !answer->rows.applied || !answer->rows.applied[i])
            continue;
        if (!any)
            json_field_array(w, field);
        any = true;
        hit_write_id(w, &request->rows[i].id);
    }
    if (any)
        json_end_array(w);
}

static void print_write_costs(struct json_writer *w, const struct call_cost *cost,
                              const struct write_response *answer)
{
    json_field_object(w, "billing");
    json_field_u64(w, "billable_logical_bytes_written", answer->rows.bytes);
    json_end_object(w);
    json_field_object(w, "performance");
    json_field_u64(w, "server_total_ms", turbopuffer_whole_ms((uint64_t)answer->total_ns));
    if (answer->embedded) {
        json_field_u64(w, "embedding_ms", turbopuffer_whole_ms(cost->embed_ns + cost->tokenize_ns));
        json_field_u64(w, "embedding_tokens", cost->tokens);
    }
    json_field_u64(w, "rounds", cost->rounds);
    json_field_u64(w, "requests", cost->requests);
    json_field_u64(w, "bytes", cost->bytes);
    json_field_u64(w, "bytes_written", cost->bytes_written);
    json_field_double(w, "ms", turbopuffer_ms((uint64_t)answer->total_ns));
    json_end_object(w);
}

/* Makes the namespace as a branch or a copy of another one. */
static void clone_namespace(struct call *call, const struct api_context *api, const struct clone_request *request,
                            struct http_response *response)
{
    struct clone_response answer;
    struct json_writer w;
    if (service_clone(call, api->service, request, &answer) != DP_OK) {
        fail_change(call, false, response);
        return;
    }
    const struct write_response costs = {.total_ns = answer.total_ns};
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_str(&w, "status", "OK");
    json_field_str(&w, "message", "namespace cloned successfully");
    json_field_u64(&w, "rows_affected", answer.rows);
    print_write_costs(&w, &call->cost, &costs);
    json_end_object(&w);
    api_finish(call, &api_turbopuffer, response);
}

/* Reads the header Idempotency-Key. DP_INVALID: it is empty, too long, or not printable. */
static enum dp_status take_key(struct call *call, const struct http_request *http, struct write_request *out)
{
    const struct span key = http->header ? http->header(http->header_ctx, "idempotency-key") : (struct span){0};
    bool good = key.len > 0 && key.len <= WRITE_KEY_TEXT_MAX;
    for (size_t i = 0; i < key.len && good; i++)
        good = key.data[i] >= 0x20 && key.data[i] < 0x7f;
    if (!key.data)
        return DP_OK;
    if (!good)
        return call_fail(call, DP_INVALID, "the header Idempotency-Key has 1 to %d printable characters",
                         WRITE_KEY_TEXT_MAX);
    out->key = key;
    out->request_hash = checksum64(http->body);
    return DP_OK;
}

static void answer_write(struct call *call, const struct api_context *api, const struct http_request *http,
                         struct http_response *response)
{
    struct turbopuffer_write parsed;
    struct write_response answer;
    struct json_writer w;
    bool malformed;
    if (turbopuffer_parse_write(call, http->body, &parsed, &malformed) != DP_OK) {
        fail_change(call, malformed, response);
        return;
    }
    if (parsed.clone.source.len) {
        parsed.clone.namespace = http->args[0];
        clone_namespace(call, api, &parsed.clone, response);
        return;
    }
    parsed.write.namespace = http->args[0];
    if (take_key(call, http, &parsed.write) != DP_OK ||
        service_write(call, api->service, &parsed.write, &answer) != DP_OK) {
        fail_change(call, false, response);
        return;
    }
    if (answer.rows.repeated)
        http_add_header(response, "Idempotent-Replayed", "true");
    const struct index_write_result *rows = &answer.rows;
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_field_str(&w, "status", "OK");
    json_field_str(&w, "message", "the rows are written");
    json_field_u64(&w, "rows_affected", rows->upserted + rows->patched + rows->deleted);
    if (parsed.upserts)
        json_field_u64(&w, "rows_upserted", rows->upserted);
    if (parsed.patches)
        json_field_u64(&w, "rows_patched", rows->patched);
    if (parsed.deletes)
        json_field_u64(&w, "rows_deleted", rows->deleted);
    if (parsed.write.delete_partial || parsed.write.patch_partial)
        json_field_bool(&w, "rows_remaining", rows->remaining);
    if (parsed.return_affected_ids) {
        print_ids(&w, "upserted_ids", &parsed.write, &answer, WRITE_UPSERT, NULL, 0);
        print_ids(&w, "patched_ids", &parsed.write, &answer, WRITE_PATCH, rows->patched_ids,
                  rows->patched_id_count);
        print_ids(&w, "deleted_ids", &parsed.write, &answer, WRITE_DELETE, rows->deleted_ids,
                  rows->deleted_id_count);
    }
    print_write_costs(&w, &call->cost, &answer);
    json_end_object(&w);
    api_finish(call, &api_turbopuffer, response);
}

void turbopuffer_write(struct call *call, const struct api_context *api, const struct http_request *http,
                       struct http_response *response)
{
    bool large;
    if (service_begin_write(call, api->service, http->body.len, &large) != DP_OK) {
        fail_change(call, false, response);
        return;
    }
    answer_write(call, api, http, response);
    service_end_write(api->service, large);
}

/* ---- namespaces --------------------------------------------------------------------------------------- */

void turbopuffer_delete(struct call *call, const struct api_context *api, const struct http_request *http,
                        struct http_response *response)
{
    if (service_delete_namespace(call, api->service, http->args[0]) != DP_OK) {
        fail_change(call, false, response);
        return;
    }
    buffer_append_str(&response->body, "{\"status\":\"OK\"}");
    api_finish(call, &api_turbopuffer, response);
}

/* Reads {"read_only": bool, "pinning": null or false}. */
static enum dp_status parse_metadata(struct call *call, struct span body, bool *read_only, bool *has_read_only,
                                     bool *malformed)
{
    enum { READ_ONLY, PINNING, FIELDS };
    static const char *const names[FIELDS] = {"read_only", "pinning"};
    struct body_parse b;
    uint64_t seen = 0;
    bool pinned = false;
    *has_read_only = false;
    body_init(&b, call, body);
    fields_enter_request(&b.r);
    for (int field; fields_next(&b.r, call->arena, names, FIELDS, &seen, &field);) {
        if (fields_null(&b.r))
            continue;
        if (field == READ_ONLY) {
            *has_read_only = fields_bool(&b.r, "read_only", read_only);
        } else if (json_peek(&b.r) == JSON_BOOL) {
            json_read_bool(&b.r, &pinned);
        } else {
            pinned = fields_expect(&b.r, JSON_OBJECT, "pinning");
            json_skip(&b.r);
        }
    }
    if (pinned)
        body_not_yet(&b, "pinning", "the server keeps what is in use in memory");
    return body_end(&b, malformed);
}

void turbopuffer_change_metadata(struct call *call, const struct api_context *api, const struct http_request *http,
                                 struct http_response *response)
{
    bool read_only, has_read_only, malformed;
    if (parse_metadata(call, http->body, &read_only, &has_read_only, &malformed) != DP_OK) {
        fail_change(call, malformed, response);
        return;
    }
    struct namespace_info info;
    struct span name = http->args[0];
    enum dp_status status = DP_OK;
    if (has_read_only)
        status = service_set_read_only(call, api->service, name, read_only);
    if (status == DP_OK)
        status = service_namespace_info(call, api->service, GATE_WRITE, name, &info);
    if (status == DP_OK)
        turbopuffer_print_metadata(call, name, &info, response);
    else
        fail_change(call, false, response);
}

/* The body is the schema itself: {attribute: type or configuration}. */
void turbopuffer_change_schema(struct call *call, const struct api_context *api, const struct http_request *http,
                               struct http_response *response)
{
    struct write_request request = {.namespace = http->args[0], .create = CREATE_NEVER};
    struct write_response answer;
    struct body_parse b;
    bool malformed;
    body_init(&b, call, http->body);
    if (fields_expect(&b.r, JSON_OBJECT, "the request") || json_peek(&b.r) == JSON_NOTHING)
        json_read_raw(&b.r, &request.schema);
    if (body_end(&b, &malformed) != DP_OK) {
        fail_change(call, malformed, response);
        return;
    }
    struct namespace_info info;
    if (service_write(call, api->service, &request, &answer) != DP_OK ||
        service_namespace_info(call, api->service, GATE_WRITE, request.namespace, &info) != DP_OK) {
        fail_change(call, false, response);
        return;
    }
    buffer_append(&response->body, info.schema);
    api_finish(call, &api_turbopuffer, response);
}
