/* credentials.c: the keys for S3. Many threads share them; one thread at a time fetches new ones (see
 * credentials.h). */
#include "store/s3/credentials.h"

#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/log.h"
#include "store/s3/credentials_http.h"
#include "store/s3/credentials_profile.h"

enum {
    TEXTS_MAX_BYTES = 256 << 10,
    FETCH_ARENA_BYTES = 4 << 20,
    EARLY_MS = 5 * 60 * 1000, /* renew keys this long before they expire, or after half of a shorter life */
    /* pause after a failed renewal; also how long ago the last fetch must be before a doubt renews the keys */
    AGAIN_MS = 10 * 1000,
};

struct credentials {
    struct s3_settings settings; /* copies; their texts live in the arena */
    const char *region;
    struct arena arena;
    int64_t (*wall_ms)(void);
    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct aws_keys *keys; /* NULL: not fetched yet, or refused */
        int64_t renew_ms;      /* Unix time of the next renewal */
        int64_t fetched_ms;    /* Unix time at which the last fetch ended */
        bool fetching;
        uint64_t fetches;        /* fetches that have ended */
        struct dp_error failure; /* error of the last fetch; DP_OK if it succeeded */
    } locked;
};

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
    c->wall_ms = wall_ms ? wall_ms : os_wall_ms;
    arena_init(&c->arena, TEXTS_MAX_BYTES);
    pthread_mutex_init(&c->locked.lock, NULL);
    pthread_cond_init(&c->locked.changed, NULL);
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
    *out = c;
    return DP_OK;
}

void credentials_free(struct credentials *c)
{
    if (!c)
        return;
    aws_keys_release(c->locked.keys);
    pthread_cond_destroy(&c->locked.changed);
    pthread_mutex_destroy(&c->locked.lock);
    arena_deinit(&c->arena);
    mem_free(c);
}

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
static enum dp_status fetch_keys(struct call *call, struct credentials *c, struct aws_keys **out)
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

/* ---- sharing and renewing --------------------------------------------------------------------------- */

/* Returns the Unix time in milliseconds at which to renew keys that were fetched at `now`. */
static int64_t renewal_ms(const struct aws_keys *keys, int64_t now)
{
    if (keys->expires_ms == INT64_MAX)
        return INT64_MAX;
    int64_t half = (keys->expires_ms - now) / 2;
    return keys->expires_ms - (half < EARLY_MS ? half : EARLY_MS);
}

/* Waits until the running fetch or the call ends. The caller holds the lock. */
static enum dp_status wait_for_fetch(struct call *call, struct credentials *c)
{
    uint64_t before = c->locked.fetches;
    while (c->locked.fetches == before) {
        enum dp_status status = call_check(call);
        if (status != DP_OK)
            return status;
        call_wait(call, &c->locked.changed, &c->locked.lock);
    }
    /* The failure of the fetch is ours too, unless only its deadline passed or its call was cancelled. */
    enum dp_status failed = c->locked.failure.status;
    if (failed == DP_OK || failed == DP_DEADLINE || failed == DP_CANCELLED)
        return DP_OK;
    call->error = c->locked.failure;
    return failed;
}

/* Fetches keys for all threads and stores the result. The caller holds the lock and has seen that no other thread
 * fetches; this function releases the lock while it fetches. */
static enum dp_status fetch_for_all(struct call *call, struct credentials *c)
{
    struct aws_keys *fresh = NULL, *old = NULL;
    struct arena arena;
    struct call child;
    bool late = false;
    c->locked.fetching = true;
    pthread_mutex_unlock(&c->locked.lock);
    arena_init(&arena, FETCH_ARENA_BYTES);
    call_child(call, &child, &arena); /* the costs of the fetch do not count for the request */
    enum dp_status status = fetch_keys(&child, c, &fresh);
    arena_deinit(&arena);
    pthread_mutex_lock(&c->locked.lock);
    int64_t now = c->wall_ms();
    c->locked.fetching = false;
    c->locked.fetches++;
    c->locked.fetched_ms = now;
    c->locked.failure = child.error;
    c->locked.failure.status = status;
    if (status == DP_OK && fresh->expires_ms <= now) {
        c->locked.failure.status = status =
            dp_fail(&c->locked.failure, DP_DENIED, "the keys for S3 that were fetched have expired");
        aws_keys_release(fresh);
    }
    if (status == DP_OK) {
        old = c->locked.keys;
        fresh->serial = c->locked.fetches;
        c->locked.keys = fresh;
        c->locked.renew_ms = renewal_ms(fresh, now);
    } else if (c->locked.keys && now < c->locked.keys->expires_ms) {
        c->locked.renew_ms = now + AGAIN_MS;
        late = true;
        status = DP_OK;
    } else {
        call->error = c->locked.failure;
    }
    pthread_cond_broadcast(&c->locked.changed);
    aws_keys_release(old);
    if (late) {
        pthread_mutex_unlock(&c->locked.lock);
        log_write(LOG_WARN, "the keys for S3 could not be renewed yet: %s", child.error.message);
        pthread_mutex_lock(&c->locked.lock);
    }
    return status;
}

enum dp_status credentials_get(struct call *call, struct credentials *c, struct aws_keys **out)
{
    *out = NULL;
    if (c->settings.unsigned_requests)
        return DP_OK;
    enum dp_status status = DP_OK;
    pthread_mutex_lock(&c->locked.lock);
    while (status == DP_OK && !*out) {
        int64_t now = c->wall_ms();
        bool good = c->locked.keys && now < c->locked.keys->expires_ms;
        if (good && (now < c->locked.renew_ms || c->locked.fetching))
            *out = aws_keys_retain(c->locked.keys);
        else if (c->locked.fetching)
            status = wait_for_fetch(call, c);
        else
            status = fetch_for_all(call, c);
    }
    pthread_mutex_unlock(&c->locked.lock);
    return status;
}

void credentials_refused(struct credentials *c, uint64_t serial)
{
    struct aws_keys *old = NULL;
    pthread_mutex_lock(&c->locked.lock);
    if (c->locked.keys && c->locked.keys->serial == serial && !c->locked.fetching) {
        old = c->locked.keys;
        c->locked.keys = NULL;
    }
    pthread_mutex_unlock(&c->locked.lock);
    aws_keys_release(old);
}

bool credentials_doubted(struct credentials *c, uint64_t serial)
{
    pthread_mutex_lock(&c->locked.lock);
    bool others = c->locked.keys && c->locked.keys->serial != serial;
    int64_t now = c->wall_ms();
    if (!others && c->locked.keys && !c->locked.fetching && now - c->locked.fetched_ms >= AGAIN_MS) {
        c->locked.renew_ms = now;
        others = true;
    }
    pthread_mutex_unlock(&c->locked.lock);
    return others;
}
