/* credentials_sso.c: exchanges the token of `aws sso login` for keys. Files and answers hold secrets, so no message
 * quotes them.
 *
 * Sources: "GetRoleCredentials", IAM Identity Center Portal API Reference; "CreateToken", IAM Identity Center OIDC API
 * Reference; for the file, botocore's SSOTokenProvider.
 */
#include "store/s3/credentials_sso.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "base/hex.h"
#include "base/json.h"
#include "base/url.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/auth/ask.h"
#include "store/s3/credentials_http.h"
#include "store/s3/credentials_profile.h"
#include "store/s3/endpoint.h"

enum { TOKEN_FILE_MAX_BYTES = 256 << 10, URL_MAX_BYTES = 4096, RENEW_MS = 15 * 60 * 1000 };

static const char PORTAL[] = "the SSO portal (GetRoleCredentials)";
static const char OIDC[] = "SSO's token service (CreateToken)";

/* The file of a token. */
struct sso_token {
    struct span access_token, expires, refresh_token, client_id, client_secret, registration_expires;
};

static enum dp_status fail_login(struct call *call, const struct sso_source *source, const char *why)
{
    return call_fail(call, DP_DENIED, "the AWS profile \"%s\" uses SSO, but %s: run `aws sso login --profile %s`",
                     source->profile, why, source->profile);
}

/* ---- the token's file -------------------------------------------------------------------------------- */

static enum dp_status token_path(const struct sso_source *source, char path[PATH_MAX], struct dp_error *error)
{
    struct span name = source->sso.session.data ? source->sso.session : source->sso.start_url;
    uint8_t digest[SHA_DIGEST_LENGTH];
    char hex[2 * sizeof digest + 1], file[sizeof hex + sizeof "sso/cache/.json"];
    SHA1(name.data, name.len, digest);
    hex_encode(span_of(digest, sizeof digest), hex);
    snprintf(file, sizeof file, "sso/cache/%s.json", hex);
    return credentials_home_path(source->settings, file, path, error);
}

static void parse_token(struct json_reader *r, struct arena *arena, struct sso_token *token)
{
    const struct {
        const char *name;
        struct span *to;
    } fields[] = {
        {"accessToken", &token->access_token},   {"expiresAt", &token->expires},
        {"refreshToken", &token->refresh_token}, {"clientId", &token->client_id},
        {"clientSecret", &token->client_secret}, {"registrationExpiresAt", &token->registration_expires}};
    struct span key;
    json_enter_object(r);
    while (json_next_key(r, arena, &key)) {
        struct span *to = NULL;
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
            if (span_equal_str(key, fields[i].name))
                to = fields[i].to;
        if (to && json_peek(r) == JSON_STRING)
            json_read_string(r, arena, to);
        else
            json_skip(r);
    }
    json_end(r);
}

static enum dp_status read_token_file(struct call *call, const struct sso_source *source, const char *path,
                                      struct sso_token *token)
{
    struct buffer b;
    struct json_reader r;
    buffer_init(&b, TOKEN_FILE_MAX_BYTES);
    enum dp_status status = os_read_file(path, &b, &call->error);
    if (status == DP_NOT_FOUND)
        status = fail_login(call, source, "there is no token yet");
    if (status == DP_OK) {
        struct span text = arena_copy(call->arena, buffer_span(&b)); /* the token lies in it */
        json_reader_init(&r, text);
        if (text.data)
            parse_token(&r, call->arena, token);
        if (!text.data || r.status == DP_NOMEM)
            status = call_nomem(call, "a token");
        else if (json_failed(&r) || !token->access_token.len || !token->expires.len)
            status = fail_login(call, source, "its token's file is damaged");
    }
    buffer_deinit(&b);
    return status;
}

/* ---- renewing the token ------------------------------------------------------------------------------ */

static bool can_renew(const struct sso_source *source, const struct sso_token *token)
{
    int64_t registered_until;
    return source->sso.session.data && token->refresh_token.len && token->client_id.len &&
           token->client_secret.len && secret_time_parse(token->registration_expires, &registered_until) &&
           registered_until > source->now_ms;
}

/* Takes the new token from the answer. Returns false if it has none. */
static bool take_new_token(struct call *call, const struct sso_source *source, struct span body,
                           struct sso_token *token)
{
    struct json_reader r;
    struct span key, refresh = {0}, access = {0};
    uint64_t seconds = 0;
    json_reader_init(&r, body);
    json_enter_object(&r);
    while (json_next_key(&r, call->arena, &key)) {
        if (span_equal_str(key, "accessToken"))
            json_read_string(&r, call->arena, &access);
        else if (span_equal_str(key, "refreshToken") && json_peek(&r) == JSON_STRING)
            json_read_string(&r, call->arena, &refresh);
        else if (span_equal_str(key, "expiresIn"))
            json_read_u64(&r, &seconds);
        else
            json_skip(&r);
    }
    json_end(&r);
    if (json_failed(&r) || !access.len || seconds > INT32_MAX)
        return false;
    char time[25];
    os_format_utc(source->now_ms + (int64_t)seconds * 1000, time);
    const char *expires = arena_printf(call->arena, "%.19sZ", time);
    if (!expires)
        return false;
    token->access_token = access;
    token->refresh_token = refresh;
    token->expires = span_str(expires);
    return true;
}

/* Writes the token as the other tools of AWS expect it. */
static enum dp_status write_token_file(struct call *call, const struct sso_source *source, const char *path,
                                       const struct sso_token *token)
{
    struct buffer b;
    struct json_writer w;
    buffer_init(&b, TOKEN_FILE_MAX_BYTES);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_field_span(&w, "startUrl", source->sso.start_url);
    json_field_span(&w, "region", source->sso.region);
    json_field_span(&w, "accessToken", token->access_token);
    json_field_span(&w, "expiresAt", token->expires);
    json_field_span(&w, "clientId", token->client_id);
    json_field_span(&w, "clientSecret", token->client_secret);
    json_field_span(&w, "registrationExpiresAt", token->registration_expires);
    if (token->refresh_token.len)
        json_field_span(&w, "refreshToken", token->refresh_token);
    json_end_object(&w);
    enum dp_status status = buffer_check(&b, "a token", &call->error);
    if (status == DP_OK)
        status = os_write_secret_file(path, buffer_span(&b), &call->error);
    buffer_deinit(&b);
    return status;
}

/* Asks for a new token. Leaves `token` as it is if that fails: it may be valid for some minutes yet. */
static void renew_token(struct call *call, const struct sso_source *source, const char *path,
                        struct sso_token *token)
{
    char url[URL_MAX_BYTES];
    struct buffer form;
    struct json_writer w;
    struct span body;
    const struct transport_header headers[] = {{span_str("Content-Type"), span_str("application/json")}};
    if (source->oidc_url.len)
        snprintf(url, sizeof url, "%.*s/token", SPAN_FMT(source->oidc_url));
    else
        snprintf(url, sizeof url, "https://oidc.%.*s.%s/token", SPAN_FMT(source->sso.region),
                 aws_domain(source->sso.region));
    buffer_init(&form, TOKEN_FILE_MAX_BYTES);
    json_writer_init(&w, &form);
    json_begin_object(&w);
    json_field_span(&w, "clientId", token->client_id);
    json_field_span(&w, "clientSecret", token->client_secret);
    json_field_str(&w, "grantType", "refresh_token");
    json_field_span(&w, "refreshToken", token->refresh_token);
    json_end_object(&w);
    struct transport_request req = {.method = HTTP_POST,
                                    .url = span_str(url),
                                    .headers = headers,
                                    .header_count = 1,
                                    .body = buffer_span(&form)};
    if (form.status == DP_OK && auth_ask(call, &source->settings->trust, AUTH_FAR, OIDC, &req, &body) == DP_OK &&
        req.code == 200 && take_new_token(call, source, body, token))
        write_token_file(call, source, path, token); /* a failure costs another renewal, or another login */
    dp_error_clear(&call->error);
    buffer_deinit(&form);
}

/* ---- keys -------------------------------------------------------------------------------------------- */

/* Gets a token that is valid now. */
static enum dp_status find_token(struct call *call, const struct sso_source *source, struct sso_token *token)
{
    char path[PATH_MAX];
    int64_t expires_ms;
    enum dp_status status = token_path(source, path, &call->error);
    if (status == DP_OK)
        status = read_token_file(call, source, path, token);
    if (status != DP_OK)
        return status;
    if (!secret_time_parse(token->expires, &expires_ms))
        return fail_login(call, source, "its token's file is damaged");
    if (expires_ms - source->now_ms < RENEW_MS && can_renew(source, token)) {
        renew_token(call, source, path, token);
        status = call_check(call);
        if (status == DP_OK && !secret_time_parse(token->expires, &expires_ms))
            expires_ms = 0;
    }
    if (status == DP_OK && expires_ms <= source->now_ms)
        status = fail_login(call, source, "its token has expired");
    return status;
}

enum dp_status credentials_from_sso(struct call *call, const struct sso_source *source, struct aws_keys **out)
{
    struct sso_token token = {0};
    struct buffer url;
    struct span body;
    enum dp_status status = find_token(call, source, &token);
    if (status != DP_OK)
        return status;
    buffer_init(&url, URL_MAX_BYTES);
    if (source->portal_url.len)
        buffer_append(&url, source->portal_url);
    else
        buffer_printf(&url, "https://portal.sso.%.*s.%s", SPAN_FMT(source->sso.region),
                      aws_domain(source->sso.region));
    buffer_append_str(&url, "/federation/credentials?role_name=");
    percent_append(&url, source->sso.role_name, false);
    buffer_append_str(&url, "&account_id=");
    percent_append(&url, source->sso.account_id, false);
    status = buffer_check(&url, "a request to the SSO portal", &call->error);
    if (status == DP_OK) {
        const struct transport_header headers[] = {{span_str("x-amz-sso_bearer_token"), token.access_token}};
        struct transport_request req = {
            .method = HTTP_GET, .url = buffer_span(&url), .headers = headers, .header_count = 1};
        status = auth_ask(call, &source->settings->trust, AUTH_FAR, PORTAL, &req, &body);
        if (status == DP_OK && req.code == 401)
            status = fail_login(call, source, "the portal does not take its token any more");
        else if (status == DP_OK)
            status = req.code == 200 ? aws_keys_from_sso(PORTAL, body, call->arena, out, &call->error)
                                     : credentials_refusal(call, PORTAL, &req, body);
    }
    buffer_deinit(&url);
    return status;
}
