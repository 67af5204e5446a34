/* gcs/request.c: makes requests of the JSON API: writes their URLs, pins versions, and gives each try a token. */
#include "store/gcs/gcs.h"

#include "base/url.h"
#include "store/http/run.h"
#include "store/http/try.h"

static const char VERSION_HEADER[] = "x-goog-generation";

/* ---- versions --------------------------------------------------------------------------------------- */

enum { GENERATION_DIGITS_MAX = 19 }; /* of a signed number of 64 bits */

bool gcs_version(struct span generation, struct store_version *out)
{
    *out = (struct store_version){0};
    if (!generation.len || generation.len > GENERATION_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < generation.len; i++)
        if (generation.data[i] < '0' || generation.data[i] > '9')
            return false;
    memcpy(out->token, generation.data, generation.len);
    out->len = (uint8_t)generation.len;
    return true;
}

struct span gcs_generation(const struct store_version *version)
{
    struct store_version copy;
    struct span token = span_of(version->token, version->len);
    return gcs_version(token, &copy) ? token : span_of(NULL, 0);
}

bool gcs_version_of_answer(const struct transport_request *req, struct store_version *out)
{
    return gcs_version(req->etag, out);
}

enum dp_status gcs_pin(struct call *call, const struct store_version *version, bool if_changed,
                       struct transport_request *req)
{
    struct span generation = gcs_generation(version);
    if (!if_changed) /* the answer must show this version, whatever the store makes of the condition */
        req->if_match = span_of(version->token, version->len);
    if (!generation.len) /* a version of another store: no object has it */
        return DP_OK;
    const char *url =
        arena_printf(call->arena, "%.*s&%s=%.*s", SPAN_FMT(req->url),
                     if_changed ? "ifGenerationNotMatch" : "ifGenerationMatch", SPAN_FMT(generation));
    if (!url)
        return call_nomem(call, "a request");
    req->url = span_str(url);
    return DP_OK;
}

/* ---- tries ------------------------------------------------------------------------------------------ */

/* Gives a try a token. The transport calls it before each try, so the token is the renewed one. */
static enum dp_status authorize_try(struct call *call, struct transport_request *req, struct http_try *attempt)
{
    static const char BEARER[] = "Bearer ";
    struct gcs_request *r = req->ctx;
    struct bearer_token *token;
    enum dp_status status = gcs_credentials_get(call, r->gcs->credentials, &token);
    r->has_token = status == DP_OK && token;
    if (!r->has_token)
        return status;
    r->serial = token->base.serial;
    struct buffer value;
    buffer_init(&value, sizeof BEARER + SECRET_TEXT_MAX);
    buffer_append_str(&value, BEARER);
    buffer_append(&value, token->text);
    status = buffer_check(&value, "a token", &call->error);
    if (status == DP_OK)
        status = http_try_header(attempt, "Authorization", buffer_span(&value), &call->error);
    buffer_deinit(&value);
    secret_release(&token->base);
    return status;
}

/* ---- requests --------------------------------------------------------------------------------------- */

static void append_parameter(struct buffer *url, const char *name, struct span value)
{
    buffer_printf(url, "%c%s=", url->len && memchr(url->data, '?', url->len) ? '&' : '?', name);
    percent_append(url, value, false);
}

/* Takes the URL in `url` and completes the request. */
static enum dp_status finish_request(struct call *call, struct gcs_store *gcs, enum gcs_place place,
                                     struct span key, struct buffer *url, struct transport_request *req)
{
    struct gcs_request *r = arena_calloc(call->arena, 1, sizeof *r);
    enum dp_status status = r ? buffer_check(url, "a request's URL", &call->error) : call_nomem(call, "a request");
    if (status != DP_OK)
        return status;
    r->gcs = gcs;
    r->place = place;
    r->key = key;
    req->url = arena_copy(call->arena, buffer_span(url));
    if (!req->url.data)
        return call_nomem(call, "a request");
    req->prepare = authorize_try;
    req->inspect = gcs_inspect;
    req->ctx = r;
    return DP_OK;
}

enum dp_status gcs_request(struct call *call, struct gcs_store *gcs, enum gcs_place place, struct span key,
                           const struct gcs_parameter *query, size_t count, struct transport_request *req)
{
    struct buffer url;
    struct span prefix = gcs->root.prefix;
    if (prefix.len + key.len > GCS_NAME_MAX)
        return call_fail(call, DP_INVALID, "Google Cloud Storage takes names of at most %d bytes: %s/%.*s",
                         GCS_NAME_MAX, gcs->root.url, SPAN_FMT(key));
    buffer_init(&url, GCS_URL_MAX);
    buffer_printf(&url, "%.*s%s/storage/v1/b/%.*s/o", SPAN_FMT(gcs->origin), place == GCS_UPLOAD ? "/upload" : "",
                  SPAN_FMT(gcs->root.bucket));
    const char *name = arena_printf(call->arena, "%.*s%.*s", SPAN_FMT(prefix), SPAN_FMT(key));
    enum dp_status status = name ? DP_OK : call_nomem(call, "a name");
    if (status == DP_OK && place == GCS_OBJECT) {
        buffer_append_str(&url, "/");
        percent_append(&url, span_str(name), false);
    }
    if (status == DP_OK && place == GCS_UPLOAD)
        append_parameter(&url, "name", span_str(name));
    for (size_t i = 0; i < count && status == DP_OK; i++)
        append_parameter(&url, query[i].name, query[i].value);
    if (status == DP_OK && gcs->user_project.len)
        append_parameter(&url, "userProject", gcs->user_project);
    if (status == DP_OK)
        status = finish_request(call, gcs, place, key, &url, req);
    buffer_deinit(&url);
    return status;
}

enum dp_status gcs_request_session(struct call *call, struct gcs_store *gcs, struct span key, struct span given,
                                   struct transport_request *req)
{
    struct url parts;
    struct buffer url;
    if (!url_split(given, &parts) || !parts.path.len || parts.fragment.data)
        return call_fail(call, DP_IO, "%s/%.*s: the store gave no URL for the upload", gcs->root.url,
                         SPAN_FMT(key));
    buffer_init(&url, GCS_URL_MAX);
    buffer_append(&url, gcs->origin);
    buffer_append(&url, span_of(parts.path.data, given.len - (size_t)(parts.path.data - given.data)));
    enum dp_status status = finish_request(call, gcs, GCS_OBJECT, key, &url, req);
    buffer_deinit(&url);
    return status;
}

enum dp_status gcs_aim(struct http_source *source, struct call *call, struct span key,
                       struct transport_request *req)
{
    static const struct gcs_parameter MEDIA[] = {{"alt", {(const uint8_t *)"media", 5}}};
    struct gcs_store *gcs = (struct gcs_store *)(void *)((char *)source - offsetof(struct gcs_store, source));
    req->version_header = VERSION_HEADER;
    return gcs_request(call, gcs, GCS_OBJECT, key, MEDIA, 1, req);
}

enum dp_status gcs_send(struct call *call, struct gcs_store *gcs, struct transport_request *req)
{
    if (!req->max_body)
        req->max_body = GCS_ANSWER_MAX;
    enum dp_status status = transport_run(call, gcs->source.transport, req, 1);
    const struct gcs_request *r = req->ctx;
    /* The URL of an upload names its object in the query, or not at all, and the transport's messages show no query. */
    if (status != DP_OK && (req->method == HTTP_PUT || req->method == HTTP_POST))
        dp_error_prefix(&call->error, "%s/%.*s", gcs->root.url, SPAN_FMT(r->key));
    return status;
}
