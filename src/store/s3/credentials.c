/* credentials.c: the keys for S3 and their sources (see credentials.h). */
#include "store/s3/credentials.h"

#include <stdio.h>

#include "base/alloc.h"
#include "store/auth/secret_cache.h"
#include "store/s3/credentials_http.h"
#include "store/s3/credentials_profile.h"

enum { TEXTS_MAX_BYTES = 256 << 10 };

struct credentials {
    struct s3_settings settings; /* copies; their texts live in the arena */
    const char *region;
    struct arena arena;
    struct secret_cache *cache; /* of struct aws_keys */
};

/* ---- the sources ------------------------------------------------------------------------------------ */

static const char *text_of(struct arena *arena, struct span s)
{
    struct span copy = arena_copy(arena, s);
    return copy.data ? (const char *)copy.data : "";
}

/* Makes keys from the settings themselves. Returns DP_NOT_FOUND if the settings hold no keys. */
static enum dp_status from_settings(const struct s3_settings *s, struct aws_keys **out, struct dp_error *error)
{
    if (!setting_is_set(s->access_key_id) && !setting_is_set(s->secret_access_key))
        return DP_NOT_FOUND;
    if (!setting_is_set(s->access_key_id) || !setting_is_set(s->secret_access_key))
        return dp_fail(error, DP_INVALID, "%s is set, but %s is not: S3 needs both",
                       setting_is_set(s->access_key_id) ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                       setting_is_set(s->access_key_id) ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    return aws_keys_new("the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN)",
                        span_str(s->access_key_id), span_str(s->secret_access_key), span_str(s->session_token),
                        INT64_MAX, out, error);
}

/* Makes or fetches keys as the profile says. Returns DP_NOT_FOUND if the profile names no source of keys. */
static enum dp_status from_profile(struct call *call, struct credentials *c, struct aws_keys **out)
{
    const struct s3_settings *s = &c->settings;
    struct aws_profile p;
    char from[256];
    snprintf(from, sizeof from, "the AWS profile \"%.200s\"", setting_is_set(s->profile) ? s->profile : "default");
    enum dp_status status = credentials_profile(s, call->arena, &p, &call->error);
    if (status == DP_NOT_FOUND) /* the settings name a profile that does not exist */
        status = call_restatus(call, DP_DENIED);
    if (status != DP_OK)
        return status;
    if (p.access_key_id.len || p.secret_access_key.len)
        return aws_keys_new(from, p.access_key_id, p.secret_access_key, p.session_token, INT64_MAX, out,
                            &call->error);
    if (p.role_arn.len && p.web_identity_token_file.len)
        return credentials_from_sts(call, s, c->region, text_of(call->arena, p.role_arn),
                                    text_of(call->arena, p.web_identity_token_file),
                                    text_of(call->arena, p.role_session_name), out);
    const char *other = p.source_profile.len || p.credential_source.len ? "role_arn"
                        : p.credential_process.len                      ? "credential_process"
                        : p.sso_start_url.len || p.sso_session.len      ? "sso"
                                                                        : NULL;
    if (other)
        return call_fail(call, DP_UNSUPPORTED,
                         "%s gets its keys by %s, which is not supported: run `aws configure export-credentials "
                         "--format env` and set what it prints",
                         from, other);
    return DP_NOT_FOUND;
}

/* Asks the sources of keys one after another, until one has keys. */
static enum dp_status ask_sources(struct call *call, struct credentials *c, struct aws_keys **out)
{
    const struct s3_settings *s = &c->settings;
    enum dp_status status = from_settings(s, out, &call->error);
    if (status != DP_NOT_FOUND)
        return status;
    if (setting_is_set(s->web_identity_token_file) && setting_is_set(s->role_arn))
        return credentials_from_sts(call, s, c->region, s->role_arn, s->web_identity_token_file,
                                    s->role_session_name, out);
    status = from_profile(call, c, out);
    if (status != DP_NOT_FOUND)
        return status;
    if (setting_is_set(s->container_relative_uri) || setting_is_set(s->container_full_uri))
        return credentials_from_container(call, s, out);
    dp_error_clear(&call->error);
    status = s->metadata_disabled ? DP_UNAVAILABLE : credentials_from_metadata(call, s, out);
    if (status != DP_UNAVAILABLE && status != DP_DENIED)
        return status;
    char why[DP_ERROR_MESSAGE_MAX / 2];
    snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, call->error.message);
    return call_fail(
        call, DP_DENIED,
        "there are no keys for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or "
        "give this machine a role (or AWS_NO_SIGN_REQUEST=true for a public bucket)%s%s%s",
        *why ? " (" : "", why, *why ? ")" : "");
}

static enum dp_status fetch_keys(struct call *call, void *ctx, struct secret **out)
{
    struct aws_keys *keys = NULL;
    enum dp_status status = ask_sources(call, ctx, &keys);
    *out = keys ? &keys->base : NULL;
    return status;
}

/* ---- making ----------------------------------------------------------------------------------------- */

static bool copy_text(struct arena *arena, const char **text)
{
    if (!setting_is_set(*text)) {
        *text = "";
        return true;
    }
    struct span copy = arena_copy(arena, span_str(*text));
    *text = (const char *)copy.data;
    return copy.data;
}

enum dp_status credentials_new(const struct s3_settings *settings, const char *region, int64_t (*wall_ms)(void),
                               struct credentials **out, struct dp_error *error)
{
    *out = NULL;
    struct credentials *c = mem_calloc(1, sizeof *c);
    if (!c)
        return dp_fail_nomem(error, "credentials");
    c->settings = *settings;
    c->region = region;
    arena_init(&c->arena, TEXTS_MAX_BYTES);
    struct s3_settings *s = &c->settings;
    const char **texts[] = {
        &s->region,
        &s->endpoint_url,
        &s->access_key_id,
        &s->secret_access_key,
        &s->session_token,
        &s->role_arn,
        &s->web_identity_token_file,
        &s->role_session_name,
        &s->profile,
        &s->credentials_file,
        &s->config_file,
        &s->container_relative_uri,
        &s->container_full_uri,
        &s->container_token,
        &s->container_token_file,
        &s->sts_endpoint_url,
        &s->metadata_endpoint,
        &s->container_endpoint,
        &s->home,
        &s->trust.file,
        &s->trust.file_from,
        &s->trust.profile_file,
        &s->trust.profile_from,
        &s->trust.other_file,
        &s->trust.other_from,
        &s->trust.folders,
        &s->trust.folders_from,
        &c->region,
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!copy_text(&c->arena, texts[i])) {
            credentials_free(c);
            return dp_fail_nomem(error, "credentials");
        }
    }
    const struct secret_source source = {"the keys for S3", fetch_keys, c, wall_ms};
    enum dp_status status = secret_cache_new(&source, &c->cache, error);
    if (status == DP_OK)
        *out = c;
    else
        credentials_free(c);
    return status;
}

void credentials_free(struct credentials *c)
{
    if (!c)
        return;
    secret_cache_free(c->cache);
    arena_deinit(&c->arena);
    mem_free(c);
}

/* ---- sharing ---------------------------------------------------------------------------------------- */

enum dp_status credentials_get(struct call *call, struct credentials *c, struct aws_keys **out)
{
    struct secret *secret = NULL;
    enum dp_status status = c->settings.unsigned_requests ? DP_OK : secret_cache_get(call, c->cache, &secret);
    *out = (struct aws_keys *)secret;
    return status;
}

void credentials_refused(struct credentials *c, uint64_t serial)
{
    secret_cache_refused(c->cache, serial);
}

bool credentials_doubted(struct credentials *c, uint64_t serial)
{
    return secret_cache_doubted(c->cache, serial);
}
