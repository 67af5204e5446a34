/* gcs/credentials_fetch.c: tokens for each kind of Google's credentials.
 *
 * Sources: "Using OAuth 2.0 for Server to Server Applications" (service accounts), AIP-4112 and 4113 (users), AIP-4117
 * (external accounts), "Create short-lived credentials" (impersonation), "Authenticate by the metadata server". Answers
 * may hold tokens, so no message quotes them, but for the error that they name.
 */
#include "store/gcs/credentials_fetch.h"

#include <limits.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/json.h"
#include "store/auth/ask.h"
#include "store/auth/jwt.h"
#include "store/auth/oauth.h"
#include "store/gcs/credentials_file.h"
#include "store/http/head.h"

enum { FORM_MAX_BYTES = 256 << 10, LIFE_SECONDS = 3600, URL_MAX_BYTES = 4096 };

static const char SCOPE_STORAGE[] = "https://www.googleapis.com/auth/devstorage.read_write";
static const char SCOPE_ALL[] = "https://www.googleapis.com/auth/cloud-platform"; /* to act as another account */
static const char METADATA_HOST[] = "169.254.169.254";

/* ---- token endpoints -------------------------------------------------------------------------------- */

/* Posts a form to a token endpoint and reads the token of the answer. `authorization`: of the client, or empty. */
static enum dp_status post_form(struct call *call, const struct google_fetch *f, const char *from, struct span url,
                                struct buffer *form, struct span authorization, struct bearer_token **out)
{
    struct span body;
    const struct transport_header headers[] = {
        {span_str("Content-Type"), span_str("application/x-www-form-urlencoded")},
        {span_str("Authorization"), authorization}};
    enum dp_status status = buffer_check(form, "a request for a token", &call->error);
    if (status == DP_OK)
        status = auth_check_private(call, from, url);
    if (status != DP_OK)
        return status;
    struct transport_request req = {.method = HTTP_POST,
                                    .url = url,
                                    .headers = headers,
                                    .header_count = authorization.len ? 2 : 1,
                                    .body = buffer_span(form)};
    status = auth_ask(call, &f->settings->trust, AUTH_FAR, from, &req, &body);
    if (status != DP_OK)
        return status;
    if (req.code / 100 != 2)
        return oauth_refused(from, req.code, body, call->arena, &call->error);
    return oauth_token_parse(from, body, f->wall_ms(), call->arena, out, &call->error);
}

/* Writes and signs the claims of a service account. */
static enum dp_status sign_assertion(struct call *call, const struct google_fetch *f, const char *from,
                                     const struct google_file *file, const char *scope, struct buffer *assertion)
{
    struct buffer header, claims;
    struct json_writer w;
    int64_t now = f->wall_ms() / 1000;
    buffer_init(&header, FORM_MAX_BYTES);
    buffer_init(&claims, FORM_MAX_BYTES);
    json_writer_init(&w, &header);
    json_begin_object(&w);
    json_field_str(&w, "alg", "RS256");
    json_field_str(&w, "typ", "JWT");
    if (file->private_key_id.len)
        json_field_span(&w, "kid", file->private_key_id);
    json_end_object(&w);
    json_writer_init(&w, &claims);
    json_begin_object(&w);
    json_field_span(&w, "iss", file->client_email);
    json_field_str(&w, "scope", scope);
    json_field_span(&w, "aud", file->token_url);
    json_field_i64(&w, "iat", now);
    json_field_i64(&w, "exp", now + LIFE_SECONDS);
    json_end_object(&w);
    enum dp_status status = buffer_check(&header, "a request for a token", &call->error);
    if (status == DP_OK)
        status = buffer_check(&claims, "a request for a token", &call->error);
    if (status == DP_OK)
        status = jwt_sign_rs256(from, file->private_key, buffer_span(&header), buffer_span(&claims), assertion,
                                &call->error);
    buffer_deinit(&header);
    buffer_deinit(&claims);
    return status;
}

static enum dp_status from_service_account(struct call *call, const struct google_fetch *f, const char *from,
                                           const struct google_file *file, const char *scope,
                                           struct bearer_token **out)
{
    struct buffer assertion, form;
    buffer_init(&assertion, FORM_MAX_BYTES);
    buffer_init(&form, FORM_MAX_BYTES);
    enum dp_status status = sign_assertion(call, f, from, file, scope, &assertion);
    if (status == DP_OK) {
        auth_append_field(&form, "grant_type", span_str("urn:ietf:params:oauth:grant-type:jwt-bearer"));
        auth_append_field(&form, "assertion", buffer_span(&assertion));
        status = post_form(call, f, "Google's token endpoint (service account)", file->token_url, &form,
                           (struct span){0}, out);
    }
    /* The endpoint answers invalid_grant to a time that is not its own. */
    if (status == DP_DENIED && strstr(call->error.message, "iat"))
        dp_error_prefix(&call->error, "perhaps this machine's clock is wrong");
    buffer_deinit(&assertion);
    buffer_deinit(&form);
    return status;
}

static enum dp_status from_user(struct call *call, const struct google_fetch *f, const struct google_file *file,
                                struct bearer_token **out)
{
    struct buffer form;
    buffer_init(&form, FORM_MAX_BYTES);
    auth_append_field(&form, "grant_type", span_str("refresh_token"));
    auth_append_field(&form, "client_id", file->client_id);
    auth_append_field(&form, "client_secret", file->client_secret);
    auth_append_field(&form, "refresh_token", file->refresh_token);
    enum dp_status status =
        post_form(call, f, "Google's token endpoint (user)", file->token_url, &form, (struct span){0}, out);
    buffer_deinit(&form);
    return status;
}

/* ---- external accounts ------------------------------------------------------------------------------ */

/* Gets the text that holds the external account's own token, from a file or a URL. */
static enum dp_status read_subject(struct call *call, const struct google_fetch *f, const struct google_file *file,
                                   struct span *text)
{
    static const char FROM[] = "the URL of credential_source";
    struct transport_header headers[GOOGLE_HEADERS_MAX];
    if (file->source_file.len) {
        char path[PATH_MAX];
        if (file->source_file.len >= sizeof path)
            return call_fail(call, DP_INVALID, "credential_source: the path is too long");
        snprintf(path, sizeof path, "%.*s", SPAN_FMT(file->source_file));
        return auth_read_token(call, path, text);
    }
    for (size_t i = 0; i < file->source_header_count; i++)
        headers[i] = (struct transport_header){file->source_headers[i].name, file->source_headers[i].value};
    struct transport_request req = {.method = HTTP_GET,
                                    .url = file->source_url,
                                    .headers = headers,
                                    .header_count = file->source_header_count};
    enum dp_status status = auth_ask(call, &f->settings->trust, AUTH_FAR, FROM, &req, text);
    if (status == DP_OK && req.code != 200)
        status = oauth_refused(FROM, req.code, *text, call->arena, &call->error);
    return status;
}

/* Makes the header that identifies an OAuth client to STS; empty if the file names no client. */
static enum dp_status client_header(struct call *call, const struct google_file *file, struct span *out)
{
    struct buffer b;
    *out = (struct span){0};
    if (!file->client_id.len || !file->client_secret.len)
        return DP_OK;
    const char *pair =
        arena_printf(call->arena, "%.*s:%.*s", SPAN_FMT(file->client_id), SPAN_FMT(file->client_secret));
    if (!pair)
        return call_nomem(call, "a request for a token");
    buffer_init(&b, FORM_MAX_BYTES);
    buffer_append_str(&b, "Basic ");
    base64_encode(span_str(pair), &b);
    *out = arena_copy(call->arena, buffer_span(&b));
    enum dp_status status = buffer_check(&b, "a request for a token", &call->error);
    buffer_deinit(&b);
    return status == DP_OK && !out->data ? call_nomem(call, "a request for a token") : status;
}

/* Exchanges the external account's own token at STS (RFC 8693). */
static enum dp_status from_external_account(struct call *call, const struct google_fetch *f,
                                            const struct google_file *file, struct bearer_token **out)
{
    struct span subject, authorization;
    struct buffer form;
    enum dp_status status = read_subject(call, f, file, &subject);
    if (status == DP_OK && file->source_is_json)
        status = google_field_parse("the answer of credential_source", subject, file->source_field, call->arena,
                                    &subject, &call->error);
    if (status == DP_OK)
        status = client_header(call, file, &authorization);
    if (status != DP_OK)
        return status;
    buffer_init(&form, FORM_MAX_BYTES);
    auth_append_field(&form, "grant_type", span_str("urn:ietf:params:oauth:grant-type:token-exchange"));
    auth_append_field(&form, "audience", file->audience);
    auth_append_field(&form, "scope", span_str(SCOPE_ALL));
    auth_append_field(&form, "requested_token_type", span_str("urn:ietf:params:oauth:token-type:access_token"));
    auth_append_field(&form, "subject_token", subject);
    auth_append_field(&form, "subject_token_type", file->subject_token_type);
    if (file->workforce_pool_user_project.len && !authorization.len) {
        const char *options =
            arena_printf(call->arena, "{\"userProject\":\"%.*s\"}", SPAN_FMT(file->workforce_pool_user_project));
        if (options)
            auth_append_field(&form, "options", span_str(options));
        else
            status = call_nomem(call, "a request for a token");
    }
    if (status == DP_OK)
        status = post_form(call, f, "Google's token exchange (workload identity)", file->token_url, &form,
                           authorization, out);
    buffer_deinit(&form);
    return status;
}

/* ---- impersonation ---------------------------------------------------------------------------------- */

static void write_wish(struct buffer *body, const struct google_file *file)
{
    struct json_writer w;
    char lifetime[32];
    uint64_t seconds = file->impersonation_seconds ? file->impersonation_seconds : LIFE_SECONDS;
    snprintf(lifetime, sizeof lifetime, "%llus", (unsigned long long)seconds);
    json_writer_init(&w, body);
    json_begin_object(&w);
    json_field_array(&w, "scope");
    json_string_str(&w, SCOPE_STORAGE);
    json_end_array(&w);
    json_field_str(&w, "lifetime", lifetime);
    if (file->delegate_count) {
        json_field_array(&w, "delegates");
        for (size_t i = 0; i < file->delegate_count; i++)
            json_string(&w, file->delegates[i]);
        json_end_array(&w);
    }
    json_end_object(&w);
}

/* Reads {"accessToken":…,"expireTime":…}. */
static enum dp_status parse_impersonated(struct call *call, const char *from, struct span body,
                                         struct bearer_token **out)
{
    struct span text, time;
    int64_t expires_ms = 0;
    enum dp_status status =
        google_field_parse(from, body, span_str("accessToken"), call->arena, &text, &call->error);
    if (status == DP_OK)
        status = google_field_parse(from, body, span_str("expireTime"), call->arena, &time, &call->error);
    if (status == DP_OK && !secret_time_parse(time, &expires_ms))
        status = call_fail(call, DP_IO, "%s sent a malformed expireTime", from);
    if (status == DP_OK)
        status = bearer_token_new(from, text, expires_ms, out, &call->error);
    return status == DP_INVALID ? call_restatus(call, DP_IO) : status;
}

/* Exchanges the token of one account, which it releases, for one of the service account that the file names. */
static enum dp_status impersonate(struct call *call, const struct google_fetch *f, const struct google_file *file,
                                  struct bearer_token *own, struct bearer_token **out)
{
    static const char FROM[] = "Google's IAM credentials service (impersonation)";
    struct buffer body;
    struct span answer;
    buffer_init(&body, FORM_MAX_BYTES);
    write_wish(&body, file);
    const char *authorization = arena_printf(call->arena, "Bearer %.*s", SPAN_FMT(own->text));
    enum dp_status status = buffer_check(&body, "a request for a token", &call->error);
    if (status == DP_OK && !authorization)
        status = call_nomem(call, "a request for a token");
    if (status == DP_OK)
        status = auth_check_private(call, FROM, file->impersonation_url);
    if (status == DP_OK) {
        const struct transport_header headers[] = {{span_str("Content-Type"), span_str("application/json")},
                                                   {span_str("Authorization"), span_str(authorization)}};
        struct transport_request req = {.method = HTTP_POST,
                                        .url = file->impersonation_url,
                                        .headers = headers,
                                        .header_count = 2,
                                        .body = buffer_span(&body)};
        status = auth_ask(call, &f->settings->trust, AUTH_FAR, FROM, &req, &answer);
        if (status == DP_OK && req.code / 100 != 2)
            status = oauth_refused(FROM, req.code, answer, call->arena, &call->error);
    }
    if (status == DP_OK)
        status = parse_impersonated(call, FROM, answer, out);
    buffer_deinit(&body);
    secret_release(&own->base);
    return status;
}

/* ---- files ------------------------------------------------------------------------------------------ */

/* Fetches the token of the credentials themselves, before any impersonation. */
static enum dp_status own_token(struct call *call, const struct google_fetch *f, const char *from,
                                const struct google_file *file, const char *scope, struct bearer_token **out)
{
    switch (file->kind) {
    case GOOGLE_SERVICE_ACCOUNT: return from_service_account(call, f, from, file, scope, out);
    case GOOGLE_AUTHORIZED_USER: return from_user(call, f, file, out);
    case GOOGLE_EXTERNAL_ACCOUNT: return from_external_account(call, f, file, out);
    default:
        return call_fail(call, DP_UNSUPPORTED,
                         "%s: the source_credentials of impersonated credentials are impersonated themselves: use "
                         "\"delegates\"",
                         from);
    }
}

enum dp_status google_token_of_file(struct call *call, const struct google_fetch *f, const char *from,
                                    struct span text, struct bearer_token **out)
{
    struct google_file file, behind;
    *out = NULL;
    enum dp_status status = google_file_parse(from, text, call->arena, &file, &call->error);
    if (status != DP_OK)
        return status;
    const struct google_file *own = &file;
    if (file.kind == GOOGLE_IMPERSONATED) {
        status = google_file_parse(from, file.source_credentials, call->arena, &behind, &call->error);
        own = &behind;
    }
    bool becomes_another =
        file.kind == GOOGLE_IMPERSONATED || (file.kind == GOOGLE_EXTERNAL_ACCOUNT && file.impersonation_url.len);
    struct bearer_token *token = NULL;
    if (status == DP_OK)
        status = own_token(call, f, from, own, becomes_another ? SCOPE_ALL : SCOPE_STORAGE, &token);
    if (status == DP_OK && becomes_another)
        return impersonate(call, f, &file, token, out);
    *out = token;
    return status;
}

/* ---- the metadata server ---------------------------------------------------------------------------- */

enum dp_status google_token_of_machine(struct call *call, const struct google_fetch *f, struct bearer_token **out)
{
    static const char FROM[] = "the metadata server of this machine";
    char url[URL_MAX_BYTES];
    struct span body;
    const char *host = setting_is_set(f->settings->metadata_host) ? f->settings->metadata_host : METADATA_HOST;
    *out = NULL;
    snprintf(url, sizeof url, "http://%.1024s/computeMetadata/v1/instance/service-accounts/default/token", host);
    const struct transport_header headers[] = {{span_str("Metadata-Flavor"), span_str("Google")}};
    struct transport_request req = {
        .method = HTTP_GET, .url = span_str(url), .headers = headers, .header_count = 1};
    enum dp_status status = auth_ask(call, &f->settings->trust, AUTH_NEAR, FROM, &req, &body);
    if (status != DP_OK)
        return status;
    /* Another server may listen at this address. */
    if (!span_equal_str(http_head_find(req.head, "metadata-flavor"), "Google"))
        return call_fail(call, DP_UNAVAILABLE, "this machine has no metadata server of Google's");
    if (req.code == 404)
        return call_fail(call, DP_UNAVAILABLE, "this machine has no service account");
    if (req.code != 200)
        return oauth_refused(FROM, req.code, body, call->arena, &call->error);
    return oauth_token_parse(FROM, body, f->wall_ms(), call->arena, out, &call->error);
}
