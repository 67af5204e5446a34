/* azure/request.c: makes requests to Azure's blob service: writes their URLs and signs each try.
 *
 * The version that requests name is 2021-12-02: every cloud of Azure and every emulator in use knows it. Since
 * 2020-06-12 listings mark folders of hierarchical accounts, and since 2021-02-12 names that XML cannot hold.
 */
#include "base/url.h"
#include "os/clock.h"
#include "store/azure/azure.h"
#include "store/http/head.h"
#include "store/http/run.h"
#include "store/http/try.h"

static const char VERSION[] = "2021-12-02";

enum { AUTHORIZATION_MAX = SECRET_TEXT_MAX + 64 };

/* Appends the signature of all headers of the try. */
static enum dp_status append_signature(const struct azure_request *r, const struct transport_request *req,
                                       struct http_try *attempt, struct buffer *out, struct dp_error *error)
{
    struct transport_header headers[SHARED_KEY_HEADERS_MAX];
    enum dp_status status = http_try_complete(attempt, error);
    if (status != DP_OK)
        return status;
    const struct azure_connection *c = &r->azure->connection;
    const struct shared_key_request request = {.method = http_method_name(req->method),
                                               .path = r->path,
                                               .query = r->query,
                                               .query_count = r->query_count,
                                               .headers = headers,
                                               .header_count =
                                                   http_try_headers(attempt, headers, SHARED_KEY_HEADERS_MAX),
                                               .body_len = req->body.len};
    return shared_key_authorization(c->account, c->key, &request, out, error);
}

static enum dp_status append_token(struct call *call, struct azure_request *r, struct buffer *out)
{
    struct bearer_token *token;
    enum dp_status status = azure_tokens_get(call, r->azure->tokens, &token);
    if (status != DP_OK)
        return status;
    r->token = token->base.serial;
    buffer_append_str(out, "Bearer ");
    buffer_append(out, token->text);
    secret_release(&token->base);
    return buffer_check(out, "an Authorization header", &call->error);
}

/* Signs a try. The transport calls it before each try, so the date is fresh and the token is the renewed one. */
static enum dp_status azure_sign(struct call *call, struct transport_request *req, struct http_try *attempt)
{
    struct azure_request *r = req->ctx;
    enum azure_credential credential = r->azure->connection.credential;
    char date[HTTP_DATE_LEN + 1];
    struct buffer authorization;
    http_date_format(os_wall_ms(), date);
    enum dp_status status = http_try_header(attempt, "x-ms-version", span_str(VERSION), &call->error);
    if (status == DP_OK)
        status = http_try_header(attempt, "x-ms-date", span_str(date), &call->error);
    if (status != DP_OK || credential == AZURE_ANONYMOUS || credential == AZURE_SAS)
        return status;
    buffer_init(&authorization, AUTHORIZATION_MAX);
    status = credential == AZURE_TOKEN ? append_token(call, r, &authorization)
                                       : append_signature(r, req, attempt, &authorization, &call->error);
    if (status == DP_OK)
        status = http_try_header(attempt, "Authorization", buffer_span(&authorization), &call->error);
    buffer_deinit(&authorization);
    return status;
}

/* Appends the query, and the SAS token if it opens the store. */
static void append_url_query(const struct azure_store *azure, const struct azure_parameter *query, size_t count,
                             struct buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        buffer_append_str(out, i ? "&" : "?");
        percent_append(out, query[i].name, false);
        buffer_u8(out, '=');
        percent_append(out, query[i].value, false);
    }
    if (azure->connection.credential == AZURE_SAS) {
        buffer_append_str(out, count ? "&" : "?");
        buffer_append(out, azure->connection.sas);
    }
}

enum dp_status azure_request(struct call *call, struct azure_store *azure, struct span key,
                             const struct azure_parameter *query, size_t query_count,
                             struct transport_request *req)
{
    struct buffer b;
    struct azure_request *r = arena_calloc(call->arena, 1, sizeof *r);
    if (!r)
        return call_nomem(call, "a request");
    r->azure = azure;
    r->key = key;
    r->query_count = query_count;
    if (query_count)
        memcpy(r->query, query, query_count * sizeof *query);
    buffer_init(&b, AZURE_URL_MAX);
    buffer_append(&b, azure->base_path);
    if (key.len) {
        percent_append(&b, azure->prefix, true);
        percent_append(&b, key, true);
    } else {
        b.len--; /* a request to the container itself: "/container" instead of "/container/" */
    }
    r->path = arena_copy(call->arena, buffer_span(&b));
    enum dp_status status = buffer_check(&b, "a blob's name", &call->error);
    buffer_clear(&b);
    buffer_append(&b, azure->origin);
    buffer_append(&b, r->path);
    append_url_query(azure, query, query_count, &b);
    if (status == DP_OK)
        status = buffer_check(&b, "a request's URL", &call->error);
    req->url = arena_copy(call->arena, buffer_span(&b));
    buffer_deinit(&b);
    if (status == DP_OK && (!r->path.data || !req->url.data))
        status = call_nomem(call, "a request");
    req->prepare = azure_sign;
    req->inspect = azure_inspect;
    req->ctx = r;
    return status;
}

enum dp_status azure_aim(struct http_source *source, struct call *call, struct span key,
                         struct transport_request *req)
{
    struct azure_store *azure =
        (struct azure_store *)(void *)((char *)source - offsetof(struct azure_store, source));
    return azure_request(call, azure, key, NULL, 0, req);
}

enum dp_status azure_send(struct call *call, struct azure_store *azure, struct transport_request *req)
{
    if (!req->max_body)
        req->max_body = AZURE_ANSWER_MAX;
    return transport_run(call, azure->source.transport, req, 1);
}
