/* credentials.c: the keys for S3 (see credentials.h). */
#include "store/s3/credentials.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "store/auth/secret_cache.h"
#include "store/s3/credentials_sources.h"

enum { TEXTS_MAX_BYTES = 256 << 10 };

struct credentials {
    struct s3_settings settings; /* copies; their texts live in the arena */
    const char *region;
    int64_t (*wall_ms)(void); /* Unix time in milliseconds */
    struct arena arena;
    struct secret_cache *cache; /* of struct aws_keys */
};

static enum dp_status fetch_keys(struct call *call, void *ctx, struct secret **out)
{
    const struct credentials *c = ctx;
    struct aws_keys *keys = NULL;
    enum dp_status status = credentials_ask_sources(call, &c->settings, c->region, c->wall_ms(), &keys);
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
    c->wall_ms = wall_ms ? wall_ms : os_wall_ms;
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
