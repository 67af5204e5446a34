/* gcs/credentials.c: the token for Google Cloud Storage and the order of its sources (see gcs/credentials.h). */
#include "store/gcs/credentials.h"

#include <limits.h>
#include <stdio.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/auth/secret_cache.h"
#include "store/gcs/credentials_fetch.h"

enum { TEXTS_MAX_BYTES = 256 << 10, FILE_MAX_BYTES = 256 << 10 };

struct gcs_credentials {
    struct gcs_settings settings; /* copies; their texts live in the arena */
    struct google_fetch fetch;
    struct arena arena;
    struct secret_cache *cache; /* of struct bearer_token */
};

/* ---- the sources ------------------------------------------------------------------------------------ */

/* Fetches a token with the file's credentials. Sets *found to whether there is a file. */
static enum dp_status from_file(struct call *call, const struct gcs_credentials *c, const char *path, bool *found,
                                struct bearer_token **out)
{
    struct buffer b;
    buffer_init(&b, FILE_MAX_BYTES);
    enum dp_status status = os_read_file(path, &b, &call->error);
    *found = status != DP_NOT_FOUND;
    if (status == DP_OK)
        status = google_token_of_file(call, &c->fetch, path, buffer_span(&b), out);
    buffer_deinit(&b);
    return status;
}

/* Fetches a token with the file that `gcloud auth application-default login` writes. Sets *found to whether there is
 * one. */
static enum dp_status from_login(struct call *call, const struct gcs_credentials *c, bool *found,
                                 struct bearer_token **out)
{
    const struct gcs_settings *s = &c->settings;
    char path[PATH_MAX];
    int len = setting_is_set(s->config_folder)
                  ? snprintf(path, sizeof path, "%s/application_default_credentials.json", s->config_folder)
                  : snprintf(path, sizeof path, "%s/.config/gcloud/application_default_credentials.json", s->home);
    *found = setting_is_set(s->config_folder) || setting_is_set(s->home);
    if (!*found)
        return DP_NOT_FOUND;
    if (len < 0 || (size_t)len >= sizeof path)
        return call_fail(call, DP_INVALID, "CLOUDSDK_CONFIG: the path is too long");
    return from_file(call, c, path, found, out);
}

/* Asks the sources one after another, until one has a token. */
static enum dp_status ask_sources(struct call *call, const struct gcs_credentials *c, struct bearer_token **out)
{
    const struct gcs_settings *s = &c->settings;
    bool found = true;
    if (setting_is_set(s->credentials_file)) {
        enum dp_status status = from_file(call, c, s->credentials_file, &found, out);
        if (!found) {
            dp_error_prefix(&call->error, "GOOGLE_APPLICATION_CREDENTIALS");
            status = call_restatus(call, DP_DENIED);
        }
        return status;
    }
    enum dp_status status = from_login(call, c, &found, out);
    if (found)
        return status;
    dp_error_clear(&call->error);
    status = s->metadata_disabled ? DP_UNAVAILABLE : google_token_of_machine(call, &c->fetch, out);
    if (status != DP_UNAVAILABLE && status != DP_DENIED)
        return status;
    char why[DP_ERROR_MESSAGE_MAX / 2];
    snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, call->error.message);
    return call_fail(
        call, DP_DENIED,
        "there are no credentials for Google Cloud Storage: set GOOGLE_APPLICATION_CREDENTIALS, or run "
        "`gcloud auth application-default login`, or give this machine a service account (or set "
        "DIPPER_GCS_ANONYMOUS=true for a public bucket)%s%s%s",
        *why ? " (" : "", why, *why ? ")" : "");
}

static enum dp_status fetch_token(struct call *call, void *ctx, struct secret **out)
{
    struct bearer_token *token = NULL;
    enum dp_status status = ask_sources(call, ctx, &token);
    *out = token ? &token->base : NULL;
    return status;
}

/* ---- making ----------------------------------------------------------------------------------------- */

static bool copy_text(struct arena *arena, const char **text)
{
    struct span copy = arena_copy(arena, span_str(*text ? *text : ""));
    *text = (const char *)copy.data;
    return copy.data;
}

enum dp_status gcs_credentials_new(const struct gcs_settings *settings, int64_t (*wall_ms)(void),
                                   struct gcs_credentials **out, struct dp_error *error)
{
    *out = NULL;
    struct gcs_credentials *c = mem_calloc(1, sizeof *c);
    if (!c)
        return dp_fail_nomem(error, "credentials");
    c->settings = *settings;
    c->fetch = (struct google_fetch){&c->settings, wall_ms ? wall_ms : os_wall_ms};
    arena_init(&c->arena, TEXTS_MAX_BYTES);
    struct gcs_settings *s = &c->settings;
    const char **texts[] = {
        &s->credentials_file, &s->config_folder,     &s->metadata_host,    &s->home,
        &s->trust.file,       &s->trust.file_from,   &s->trust.other_file, &s->trust.other_from,
        &s->trust.folders,    &s->trust.folders_from};
    bool copied = true;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && copied; i++)
        copied = copy_text(&c->arena, texts[i]);
    s->endpoint_url = s->emulator_host = s->user_project =
        NULL; /* the store's own; credentials need none of them */
    const struct secret_source source = {"the token for Google Cloud Storage", fetch_token, c, wall_ms};
    enum dp_status status =
        copied ? secret_cache_new(&source, &c->cache, error) : dp_fail_nomem(error, "credentials");
    if (status == DP_OK)
        *out = c;
    else
        gcs_credentials_free(c);
    return status;
}

void gcs_credentials_free(struct gcs_credentials *c)
{
    if (!c)
        return;
    secret_cache_free(c->cache);
    arena_deinit(&c->arena);
    mem_free(c);
}

enum dp_status gcs_credentials_get(struct call *call, struct gcs_credentials *c, struct bearer_token **out)
{
    struct secret *secret = NULL;
    enum dp_status status = c->settings.anonymous ? DP_OK : secret_cache_get(call, c->cache, &secret);
    *out = (struct bearer_token *)secret;
    return status;
}

void gcs_credentials_refused(struct gcs_credentials *c, uint64_t serial)
{
    secret_cache_refused(c->cache, serial);
}
