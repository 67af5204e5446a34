/* gcs/open.c: opens gs://bucket/prefix, and reads its objects. Opening sends no request: the first operation reports
 * a wrong bucket or missing credentials. */
#include "base/alloc.h"
#include "base/url.h"
#include "store/auth/ask.h"
#include "store/gather.h"
#include "store/gcs/gcs.h"

enum { TEXTS_MAX_BYTES = 64 << 10, BUCKET_MIN = 3, BUCKET_MAX = 222, HOST_MAX = 255 };

static const char GOOGLE[] = "https://storage.googleapis.com";

/* ---- operations ------------------------------------------------------------------------------------- */

static void gcs_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    struct gcs_store *gcs = gcs_of(store);
    ranges_read(call, &gcs->limits, reqs, n, http_fetch, &gcs->source);
}

static enum dp_status gcs_head(struct call *call, struct store *store, struct span key, struct store_info *out)
{
    return http_fetch_head(&gcs_of(store)->source, call, key, out);
}

static void gcs_free(struct store *store)
{
    struct gcs_store *gcs = gcs_of(store);
    transport_free(gcs->source.transport);
    gcs_credentials_free(gcs->credentials);
    arena_deinit(&gcs->arena);
    mem_free(gcs);
}

static enum dp_status gcs_add_metrics(struct store *store, struct metric_registry *registry,
                                      struct dp_error *error)
{
    return transport_add_metrics(gcs_of(store)->source.transport, registry, error);
}

static const struct store_ops GCS_OPS = {
    .scheme = "gs",
    .counting = STORE_COUNTS_REQUESTS,
    .read = gcs_read,
    .head = gcs_head,
    .put = gcs_put,
    .list = gcs_list,
    .remove = gcs_remove,
    .upload_begin = gcs_upload_begin,
    .upload_write = gather_write,
    .upload_finish = gcs_upload_finish,
    .upload_abort = gcs_upload_abort,
    .free = gcs_free,
    .add_metrics = gcs_add_metrics,
};

/* ---- opening ---------------------------------------------------------------------------------------- */

/* Takes the URL's scheme, host and path. STORAGE_EMULATOR_HOST may lack the scheme. */
static enum dp_status take_origin(struct call *call, struct gcs_store *gcs, const char *setting, const char *value,
                                  const char *scheme)
{
    struct url parts;
    bool has_scheme = url_scheme_len(span_str(value)) > 0;
    const char *text = arena_printf(&gcs->arena, "%s%s", has_scheme ? "" : scheme, value);
    if (!text)
        return call_nomem(call, "a store");
    struct span url = span_str(text);
    bool good = url_split(url, &parts) && parts.host.len && parts.host.len <= HOST_MAX && !parts.userinfo.data &&
                !parts.query.data && !parts.fragment.data &&
                (span_equal_str(parts.scheme, "http") || span_equal_str(parts.scheme, "https"));
    for (size_t i = 0; i < url.len && good; i++)
        good = url.data[i] > 0x20 && url.data[i] < 0x7f && !strchr("%\\\"<>", url.data[i]);
    if (!good)
        return call_fail(call, DP_INVALID,
                         "%s: write http://host:port or https://host, without user, query or escapes", setting);
    while (url.data[url.len - 1] == '/')
        url.len--;
    const char *origin = arena_printf(&gcs->arena, "%.*s", SPAN_FMT(url));
    if (!origin)
        return call_nomem(call, "a store");
    gcs->origin = span_str(origin);
    /* "storage.googleapis.com" and a private endpoint, "storage-NAME.p.googleapis.com" */
    struct span end = span_str(".googleapis.com"), host = parts.host;
    gcs->vouched = span_equal_str(parts.scheme, "https") && host.len > end.len &&
                   span_equal(span_of(host.data + host.len - end.len, end.len), end);
    return DP_OK;
}

static enum dp_status take_settings(struct call *call, struct gcs_store *gcs, struct gcs_settings *s)
{
    bool emulated = setting_is_set(s->emulator_host);
    enum dp_status status = emulated ? take_origin(call, gcs, "STORAGE_EMULATOR_HOST", s->emulator_host, "http://")
                                     : take_origin(call, gcs, "DIPPER_GCS_ENDPOINT_URL",
                                                   setting_is_set(s->endpoint_url) ? s->endpoint_url : GOOGLE, "");
    if (status == DP_OK && setting_is_set(s->user_project)) {
        gcs->user_project = arena_copy(&gcs->arena, span_str(s->user_project));
        if (!gcs->user_project.data)
            status = call_nomem(call, "a store");
    }
    s->anonymous |= emulated;
    if (status == DP_OK && !s->anonymous && !auth_is_private(gcs->origin))
        return call_fail(call, DP_INVALID,
                         "DIPPER_GCS_ENDPOINT_URL: %.*s would get the token in clear text: use https, or set "
                         "DIPPER_GCS_ANONYMOUS=true",
                         SPAN_FMT(gcs->origin));
    return status == DP_OK ? gcs_credentials_new(s, NULL, &gcs->credentials, &call->error) : status;
}

enum dp_status store_gcs_open(struct call *call, struct span name, const struct store_options *options,
                              const struct gcs_settings *given, struct store **out)
{
    static const struct bucket_names NAMES = {.scheme = "gs",
                                              .what = "a bucket's name",
                                              .least = BUCKET_MIN,
                                              .most = BUCKET_MAX,
                                              .inner = ".-_",
                                              .secrets = "GOOGLE_APPLICATION_CREDENTIALS"};
    struct gcs_settings settings = given ? *given : (struct gcs_settings){0};
    settings.trust = options->trust;
    *out = NULL;
    struct gcs_store *gcs = mem_calloc(1, sizeof *gcs);
    if (!gcs)
        return call_nomem(call, "a store");
    gcs->base.ops = &GCS_OPS;
    gcs->source.aim = gcs_aim;
    gcs->source.pin = gcs_pin;
    gcs->source.version_of = gcs_version_of_answer;
    gcs->source.explain = gcs_explain;
    gcs->source.hides_missing = gcs_hides_missing;
    arena_init(&gcs->arena, TEXTS_MAX_BYTES);
    enum dp_status status = range_limits_of(options, &gcs->limits, &call->error);
    if (status == DP_OK)
        status = bucket_root_split(call, &NAMES, name, &gcs->arena, &gcs->root);
    if (status == DP_OK)
        status = take_settings(call, gcs, &settings);
    if (status == DP_OK)
        status = transport_of_options(options, &gcs->source.transport, &call->error);
    if (status == DP_OK)
        *out = &gcs->base;
    else
        gcs_free(&gcs->base);
    return status;
}
