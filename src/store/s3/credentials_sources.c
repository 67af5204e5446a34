/* credentials_sources.c: asks the sources of keys in turn (see credentials_sources.h). */
#include "store/s3/credentials_sources.h"

#include <stdio.h>

#include "store/s3/credentials_http.h"
#include "store/s3/credentials_process.h"
#include "store/s3/credentials_profile.h"
#include "store/s3/credentials_sso.h"
#include "store/s3/credentials_sts.h"

enum { CHAIN_MAX = 16 }; /* profiles of a chain of roles */

/* What a fetch of keys works with. */
struct key_search {
    struct s3_settings settings;
    const char *region;
    int64_t now_ms;
    struct aws_files files;
    struct aws_profile first;     /* the profile that the settings name */
    struct span chain[CHAIN_MAX]; /* names of the profiles whose keys take roles, in order */
    size_t chain_len;
};

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

/* ---- a profile's own keys ---------------------------------------------------------------------------- */

static enum dp_status from_file_keys(struct call *call, const char *from, const struct aws_file_keys *keys,
                                     struct aws_keys **out)
{
    return aws_keys_new(from, keys->id, keys->secret, keys->token, INT64_MAX, out, &call->error);
}

static enum dp_status from_web_identity(struct call *call, const struct key_search *k, const struct aws_profile *p,
                                        struct aws_keys **out)
{
    const struct sts_role role = {.arn = p->role_arn, .session = p->role_session_name};
    if (!role.arn.len)
        return call_fail(
            call, DP_INVALID,
            "a web identity token is set, but no role that it may take: set AWS_ROLE_ARN, or role_arn "
            "in the AWS profile");
    enum dp_status status = credentials_from_web_identity(call, &k->settings, k->region, &role,
                                                          text_of(call->arena, p->web_identity_token_file), out);
    return status == DP_NOT_FOUND ? call_restatus(call, DP_DENIED) : status; /* the token's file is missing */
}

static enum dp_status from_sso(struct call *call, const struct key_search *k, struct span name,
                               const struct aws_profile *p, struct aws_keys **out)
{
    struct sso_source source = {
        .settings = &k->settings, .profile = text_of(call->arena, name), .now_ms = k->now_ms};
    enum dp_status status = aws_profile_sso(&k->files, p, name, &source.sso, &call->error);
    if (status == DP_OK)
        status = aws_profile_endpoint(&k->files, &k->first, "sso", &source.portal_url, &call->error);
    if (status == DP_OK)
        status = aws_profile_endpoint(&k->files, &k->first, "sso_oidc", &source.oidc_url, &call->error);
    return status == DP_OK ? credentials_from_sso(call, &source, out) : status;
}

/* Fetches keys as a profile says, but for its role. The token of the web identity is that of the environment for the
 * first profile only: `first`. Returns DP_NOT_FOUND if the profile names no source of keys. */
static enum dp_status from_profile_itself(struct call *call, const struct key_search *k, struct span name,
                                          const struct aws_profile *given, bool first, struct aws_keys **out)
{
    const struct s3_settings *s = &k->settings;
    struct aws_profile p = *given;
    const char *from = arena_printf(call->arena, "the AWS profile \"%.*s\"", SPAN_FMT(name));
    if (!from)
        return call_nomem(call, "keys");
    if (first && setting_is_set(s->web_identity_token_file))
        p.web_identity_token_file = span_str(s->web_identity_token_file);
    if (first && setting_is_set(s->role_arn))
        p.role_arn = span_str(s->role_arn);
    if (first && setting_is_set(s->role_session_name))
        p.role_session_name = span_str(s->role_session_name);
    switch (aws_profile_source_but_role(&p)) {
    case AWS_PROFILE_WEB_IDENTITY: return from_web_identity(call, k, &p, out);
    case AWS_PROFILE_SSO: return from_sso(call, k, name, &p, out);
    case AWS_PROFILE_CREDENTIALS_KEYS: return from_file_keys(call, from, &p.credentials_keys, out);
    case AWS_PROFILE_LOGIN:
        return call_fail(
            call, DP_UNSUPPORTED,
            "%s gets its keys by `aws login` (login_session), which is not supported: set "
            "credential_process = aws configure export-credentials --profile %.*s --format process in "
            "another profile, and use that",
            from, SPAN_FMT(name));
    case AWS_PROFILE_PROCESS: return credentials_from_process(call, from, p.credential_process, out);
    case AWS_PROFILE_CONFIG_KEYS: return from_file_keys(call, from, &p.config_keys, out);
    default: return DP_NOT_FOUND;
    }
}

/* ---- chains of roles --------------------------------------------------------------------------------- */

static enum dp_status fail_role(struct call *call, enum dp_status status, struct span name, const char *why,
                                struct span what)
{
    return call_fail(call, status, "the AWS profile \"%.*s\" takes a role (role_arn), but %s \"%.*s\"",
                     SPAN_FMT(name), why, SPAN_FMT(what));
}

/* Returns whether a profile's name stands in the chain. */
static bool is_in_chain(const struct key_search *k, struct span name)
{
    for (size_t i = 0; i < k->chain_len; i++)
        if (span_equal(k->chain[i], name))
            return true;
    return false;
}

static bool has_container(const struct s3_settings *s)
{
    return setting_is_set(s->container_relative_uri) || setting_is_set(s->container_full_uri);
}

/* Gets the keys of a source that is no profile. */
static enum dp_status from_credential_source(struct call *call, const struct key_search *k, struct span name,
                                             struct span source, struct aws_keys **out)
{
    const struct s3_settings *s = &k->settings;
    enum dp_status status;
    if (span_equal_str(source, "Environment"))
        status = from_settings(s, out, &call->error);
    else if (span_equal_str(source, "EcsContainer"))
        status = has_container(s) ? credentials_from_container(call, s, out) : DP_NOT_FOUND;
    else if (span_equal_str(source, "Ec2InstanceMetadata"))
        status = s->metadata_disabled ? DP_NOT_FOUND : credentials_from_metadata(call, s, out);
    else
        return fail_role(call, DP_INVALID, name,
                         "credential_source must be Environment, EcsContainer or Ec2InstanceMetadata, not",
                         source);
    if (status == DP_NOT_FOUND)
        status = fail_role(call, DP_DENIED, name, "there are no keys in its credential_source", source);
    return status;
}

/* Checks a profile whose role other keys take, and adds its source_profile to the chain. */
static enum dp_status check_role(struct call *call, struct key_search *k, struct span name,
                                 const struct aws_profile *p, struct aws_profile *source)
{
    struct span from = p->source_profile;
    if (p->mfa_serial.len)
        return fail_role(call, DP_UNSUPPORTED, name,
                         "a role with mfa_serial needs a person who types a code: run `aws configure "
                         "export-credentials`, and use the keys that it prints; the device is",
                         p->mfa_serial);
    if (!from.data == !p->credential_source.data)
        return call_fail(call, DP_INVALID,
                         "the AWS profile \"%.*s\" takes a role (role_arn), and has %s source_profile %s "
                         "credential_source: set one of them",
                         SPAN_FMT(name), from.data ? "both" : "neither", from.data ? "and" : "nor");
    if (!from.data)
        return DP_OK;
    aws_profile_find(&k->files, from, source);
    if (!source->found)
        return fail_role(call, DP_INVALID, name, "there is no source_profile", from);
    /* A profile may take its role with its own keys. */
    if (is_in_chain(k, from) && !(span_equal(from, name) && aws_profile_has_keys(source)))
        return fail_role(call, DP_INVALID, name, "its chain of roles comes back to", from);
    if (k->chain_len == CHAIN_MAX)
        return fail_role(call, DP_INVALID, name, "its chain of roles is too long; it ends at", from);
    k->chain[k->chain_len++] = from;
    return DP_OK;
}

/* Reads a number of seconds. Other texts are 0, which leaves the choice to STS, as boto3 does. */
static unsigned seconds_of(struct span text)
{
    unsigned seconds = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || text.len > 9)
            return 0;
        seconds = seconds * 10 + (unsigned)(text.data[i] - '0');
    }
    return seconds;
}

static enum dp_status from_role(struct call *call, struct key_search *k, struct span name,
                                const struct aws_profile *p, struct aws_keys **out)
{
    struct aws_profile source = {0};
    struct aws_keys *keys = NULL;
    enum dp_status status = check_role(call, k, name, p, &source);
    if (status != DP_OK)
        return status;
    if (p->credential_source.data)
        status = from_credential_source(call, k, name, p->credential_source, &keys);
    else if (!aws_profile_has_keys(&source) && aws_profile_source(&source) == AWS_PROFILE_ROLE)
        status = from_role(call, k, p->source_profile, &source, &keys); /* at most CHAIN_MAX deep */
    else
        status = from_profile_itself(call, k, p->source_profile, &source, false, &keys);
    if (status == DP_NOT_FOUND)
        status = fail_role(call, DP_DENIED, name, "there are no keys in its source_profile", p->source_profile);
    if (status != DP_OK)
        return status;
    const struct sts_role role = {.arn = p->role_arn,
                                  .session = p->role_session_name,
                                  .external_id = p->external_id,
                                  .duration_seconds = seconds_of(p->duration_seconds)};
    status = credentials_from_role(call, &k->settings, k->region, &role, keys, out);
    aws_keys_release(keys);
    return status;
}

/* ---- all sources ------------------------------------------------------------------------------------- */

/* Asks the profile, and the environment's web identity. Returns DP_NOT_FOUND if neither names a source of keys. */
static enum dp_status from_profile(struct call *call, struct key_search *k, struct aws_keys **out)
{
    struct s3_settings *s = &k->settings;
    struct span name = span_str(setting_is_set(s->profile) ? s->profile : "default"), sts;
    enum dp_status status = credentials_profile(s, call->arena, &k->files, &k->first, &call->error);
    if (status == DP_NOT_FOUND) /* the settings name a profile that does not exist */
        return call_restatus(call, DP_DENIED);
    if (status == DP_OK)
        status = aws_profile_endpoint(&k->files, &k->first, "sts", &sts, &call->error);
    if (status != DP_OK)
        return status;
    if (!setting_is_set(s->sts_endpoint_url))
        s->sts_endpoint_url = text_of(call->arena, sts);
    k->chain[k->chain_len++] = name;
    return aws_profile_source(&k->first) == AWS_PROFILE_ROLE
               ? from_role(call, k, name, &k->first, out)
               : from_profile_itself(call, k, name, &k->first, true, out);
}

enum dp_status credentials_ask_sources(struct call *call, const struct s3_settings *settings, const char *region,
                                       int64_t now_ms, struct aws_keys **out)
{
    struct key_search k = {.settings = *settings, .region = region, .now_ms = now_ms};
    const struct s3_settings *s = &k.settings;
    enum dp_status status = from_settings(s, out, &call->error);
    if (status == DP_NOT_FOUND)
        status = from_profile(call, &k, out);
    if (status != DP_NOT_FOUND)
        return status;
    if (has_container(s)) {
        status = credentials_from_container(call, s, out);
        return status == DP_NOT_FOUND ? call_restatus(call, DP_DENIED) : status; /* the token's file is missing */
    }
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
