/* azure/tokens.c: the sources of bearer tokens for Azure's blobs (see tokens.h).
 *
 * Sources: "Microsoft identity platform and the OAuth 2.0 client credentials flow" for secrets and federated tokens;
 * "How to use managed identities for Azure resources on an Azure VM to acquire an access token"; "How to use managed
 * identities for App Service and Azure Functions".
 */
#include "store/azure/tokens.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/url.h"
#include "os/clock.h"
#include "store/auth/ask.h"
#include "store/auth/oauth.h"
#include "store/auth/secret_cache.h"

enum { TEXTS_MAX_BYTES = 256 << 10, FORM_MAX_BYTES = 128 << 10, URL_MAX_BYTES = 4096 };

static const char SCOPE[] = "https://storage.azure.com/.default";
static const char RESOURCE[] = "https%3A%2F%2Fstorage.azure.com%2F";
static const char AUTHORITY[] = "https://login.microsoftonline.com";
static const char METADATA[] = "http://169.254.169.254";

struct azure_tokens {
    struct azure_settings settings; /* copies; their texts live in the arena */
    const char *account;            /* for messages */
    int64_t (*wall_ms)(void);
    struct arena arena;
    struct secret_cache *cache; /* of struct bearer_token */
};

/* ---- the sources ------------------------------------------------------------------------------------ */

/* Sends a request and takes the token from its answer. */
static enum dp_status ask_for_token(struct call *call, struct azure_tokens *t, enum auth_distance distance,
                                    const char *from, struct transport_request *req, struct bearer_token **out)
{
    struct span body;
    enum dp_status status = auth_ask(call, &t->settings.trust, distance, from, req, &body);
    if (status != DP_OK)
        return status;
    if (req->code != 200)
        return oauth_refused(from, req->code, body, call->arena, &call->error);
    return oauth_token_parse(from, body, t->wall_ms(), call->arena, out, &call->error);
}

/* Asks Entra for a token, with a secret or with a token that another issuer has signed. */
static enum dp_status from_entra(struct call *call, struct azure_tokens *t, struct bearer_token **out)
{
    const struct azure_settings *s = &t->settings;
    const char *from = setting_is_set(s->client_secret) ? "Microsoft Entra (AZURE_CLIENT_SECRET)"
                                                        : "Microsoft Entra (AZURE_FEDERATED_TOKEN_FILE)";
    struct buffer url, form;
    struct span assertion = {0};
    enum dp_status status = DP_OK;
    if (!setting_is_set(s->client_id) || !setting_is_set(s->tenant_id))
        return call_fail(call, DP_INVALID, "%s needs %s too", from,
                         setting_is_set(s->client_id) ? "AZURE_TENANT_ID" : "AZURE_CLIENT_ID");
    if (!setting_is_set(s->client_secret))
        status = auth_read_token(call, s->federated_token_file, &assertion); /* the file changes every hour */
    if (status != DP_OK)
        return status;
    buffer_init(&url, URL_MAX_BYTES);
    buffer_init(&form, FORM_MAX_BYTES);
    struct span authority = span_str(setting_is_set(s->authority) ? s->authority : AUTHORITY);
    while (authority.len && authority.data[authority.len - 1] == '/')
        authority.len--;
    if (!url_scheme_len(authority)) /* as Azure's own libraries do */
        buffer_append_str(&url, "https://");
    buffer_append(&url, authority);
    buffer_u8(&url, '/');
    percent_append(&url, span_str(s->tenant_id), false);
    buffer_append_str(&url, "/oauth2/v2.0/token");
    auth_append_field(&form, "client_id", span_str(s->client_id));
    auth_append_field(&form, "scope", span_str(SCOPE));
    auth_append_field(&form, "grant_type", span_str("client_credentials"));
    if (assertion.len) {
        auth_append_field(&form, "client_assertion_type",
                          span_str("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        auth_append_field(&form, "client_assertion", assertion);
    } else {
        auth_append_field(&form, "client_secret", span_str(s->client_secret));
    }
    status = buffer_check(&url, "AZURE_AUTHORITY_HOST", &call->error);
    if (status == DP_OK)
        status = buffer_check(&form, "a request for a token", &call->error);
    if (status == DP_OK)
        status = auth_check_private(call, from, buffer_span(&url));
    if (status == DP_OK) {
        const struct transport_header headers[] = {
            {span_str("Content-Type"), span_str("application/x-www-form-urlencoded")}};
        struct transport_request req = {.method = HTTP_POST,
                                        .url = buffer_span(&url),
                                        .headers = headers,
                                        .header_count = 1,
                                        .body = buffer_span(&form)};
        status = ask_for_token(call, t, AUTH_FAR, from, &req, out);
    }
    buffer_deinit(&url);
    buffer_deinit(&form);
    return status;
}

/* Asks for the token of a managed identity: GET with one header that shows that the asker is on this machine. */
static enum dp_status from_identity(struct call *call, struct azure_tokens *t, const char *from, const char *base,
                                    const char *version, struct transport_header header, struct bearer_token **out)
{
    const struct azure_settings *s = &t->settings;
    struct buffer url;
    buffer_init(&url, URL_MAX_BYTES);
    buffer_printf(&url, "%s?api-version=%s&resource=%s", base, version, RESOURCE);
    if (setting_is_set(s->client_id)) { /* a user-assigned identity */
        buffer_append_str(&url, "&client_id=");
        percent_append(&url, span_str(s->client_id), false);
    }
    enum dp_status status = buffer_check(&url, "the URL of an identity endpoint", &call->error);
    if (status == DP_OK) {
        struct transport_request req = {
            .method = HTTP_GET, .url = buffer_span(&url), .headers = &header, .header_count = 1};
        status = ask_for_token(call, t, AUTH_NEAR, from, &req, out);
    }
    buffer_deinit(&url);
    return status;
}

static enum dp_status from_metadata(struct call *call, struct azure_tokens *t, struct bearer_token **out)
{
    char base[URL_MAX_BYTES];
    const char *host = setting_is_set(t->settings.metadata_endpoint) ? t->settings.metadata_endpoint : METADATA;
    size_t len = strlen(host);
    while (len && host[len - 1] == '/')
        len--;
    snprintf(base, sizeof base, "%.*s/metadata/identity/oauth2/token", (int)len, host);
    enum dp_status status = from_identity(call, t, "the metadata service of this machine", base, "2018-02-01",
                                          (struct transport_header){span_str("Metadata"), span_str("true")}, out);
    if (status != DP_UNAVAILABLE && status != DP_DENIED)
        return status;
    char why[DP_ERROR_MESSAGE_MAX / 2];
    snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, call->error.message);
    return call_fail(call, DP_DENIED,
                     "there are no credentials for the storage account \"%s\": set AZURE_STORAGE_KEY, "
                     "AZURE_STORAGE_SAS_TOKEN or AZURE_CLIENT_ID with AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or "
                     "give this machine an identity (or AZURE_STORAGE_ANON=true for a public container) (%s)",
                     t->account, why);
}

/* Fetches a token from the first source that the settings name. */
static enum dp_status fetch_token(struct call *call, void *ctx, struct secret **out)
{
    struct azure_tokens *t = ctx;
    const struct azure_settings *s = &t->settings;
    struct bearer_token *token = NULL;
    enum dp_status status;
    if (setting_is_set(s->client_secret) || setting_is_set(s->federated_token_file))
        status = from_entra(call, t, &token);
    else if (setting_is_set(s->identity_endpoint) && setting_is_set(s->identity_header))
        status = from_identity(
            call, t, "the identity endpoint of App Service", s->identity_endpoint, "2019-08-01",
            (struct transport_header){span_str("X-IDENTITY-HEADER"), span_str(s->identity_header)}, &token);
    else
        status = from_metadata(call, t, &token);
    *out = status == DP_OK ? &token->base : NULL;
    return status;
}

/* ---- sharing ---------------------------------------------------------------------------------------- */

static bool copy_setting(struct arena *arena, const char **text)
{
    if (!setting_is_set(*text))
        return true;
    *text = (const char *)arena_copy(arena, span_str(*text)).data;
    return *text != NULL;
}

enum dp_status azure_tokens_new(const struct azure_settings *settings, struct span account,
                                int64_t (*wall_ms)(void), struct azure_tokens **out, struct dp_error *error)
{
    *out = NULL;
    struct azure_tokens *t = mem_calloc(1, sizeof *t);
    if (!t)
        return dp_fail_nomem(error, "credentials");
    t->settings = *settings;
    t->wall_ms = wall_ms ? wall_ms : os_wall_ms;
    arena_init(&t->arena, TEXTS_MAX_BYTES);
    t->account = (const char *)arena_copy(&t->arena, account).data;
    struct azure_settings *s = &t->settings;
    const char **const texts[] = {
        &s->client_id,        &s->client_secret,     &s->tenant_id,          &s->federated_token_file,
        &s->authority,        &s->identity_endpoint, &s->identity_header,    &s->metadata_endpoint,
        &s->trust.file,       &s->trust.file_from,   &s->trust.profile_file, &s->trust.profile_from,
        &s->trust.other_file, &s->trust.other_from,  &s->trust.folders,      &s->trust.folders_from};
    bool copied = t->account != NULL;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && copied; i++)
        copied = copy_setting(&t->arena, texts[i]);
    const struct secret_source source = {"the token for Azure", fetch_token, t, wall_ms};
    enum dp_status status =
        copied ? secret_cache_new(&source, &t->cache, error) : dp_fail_nomem(error, "credentials");
    if (status == DP_OK)
        *out = t;
    else
        azure_tokens_free(t);
    return status;
}

void azure_tokens_free(struct azure_tokens *t)
{
    if (!t)
        return;
    secret_cache_free(t->cache);
    arena_deinit(&t->arena);
    mem_free(t);
}

enum dp_status azure_tokens_get(struct call *call, struct azure_tokens *t, struct bearer_token **out)
{
    struct secret *secret = NULL;
    enum dp_status status = secret_cache_get(call, t->cache, &secret);
    *out = (struct bearer_token *)secret;
    return status;
}

bool azure_tokens_doubted(struct azure_tokens *t, uint64_t serial)
{
    return secret_cache_doubted(t->cache, serial);
}
