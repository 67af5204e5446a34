/* s3/open.c: opens s3://bucket/prefix, and reads its objects.
 *
 * For Amazon, the host name contains the bucket (https://bucket.s3.eu-west-1.amazonaws.com/key), unless the
 * bucket's name has a dot. For other stores, the path contains the bucket (http://host:9000/bucket/key). The
 * settings can choose either form for all stores. Opening sends no request: the first operation reports a wrong
 * bucket, region or key.
 */
#include "base/alloc.h"
#include "store/bucket_root.h"
#include "store/gather.h"
#include "store/s3/credentials_profile.h"
#include "store/s3/endpoint.h"
#include "store/s3/s3.h"

enum { TEXTS_MAX_BYTES = 64 << 10, PROFILE_ARENA_BYTES = 8 << 20, BUCKET_MIN = 3, BUCKET_MAX = 255 };

static const char DEFAULT_REGION[] = "us-east-1";

/* ---- operations ------------------------------------------------------------------------------------- */

static void s3_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    struct s3_store *s3 = s3_of(store);
    ranges_read(call, &s3->limits, reqs, n, http_fetch, &s3->source);
}

static enum dp_status s3_head(struct call *call, struct store *store, struct span key, struct store_info *out)
{
    return http_fetch_head(&s3_of(store)->source, call, key, out);
}

static void s3_free(struct store *store)
{
    struct s3_store *s3 = s3_of(store);
    transport_free(s3->source.transport);
    credentials_free(s3->credentials);
    mem_free(s3->trust);
    s3_free_places(s3);
    arena_deinit(&s3->arena);
    mem_free(s3);
}

static enum dp_status s3_add_metrics(struct store *store, struct metric_registry *registry, struct dp_error *error)
{
    return transport_add_metrics(s3_of(store)->source.transport, registry, error);
}

static const struct store_ops S3_OPS = {
    .scheme = "s3",
    .counting = STORE_COUNTS_REQUESTS,
    .read = s3_read,
    .head = s3_head,
    .put = s3_put,
    .list = s3_list,
    .remove = s3_remove,
    .upload_begin = s3_upload_begin,
    .upload_write = gather_write,
    .upload_finish = s3_upload_finish,
    .upload_abort = s3_upload_abort,
    .free = s3_free,
    .add_metrics = s3_add_metrics,
};

/* ---- names ------------------------------------------------------------------------------------------ */

/* Refuses buckets of other kinds than ours, which Amazon marks by the ends of their names. */
static enum dp_status refuse_kinds(struct call *call, struct span bucket)
{
    static const struct {
        const char *end, *what;
    } KINDS[] = {
        {"--x-s3", "a directory bucket of S3 Express One Zone, which needs sessions and lists without order"},
        {"--xa-s3", "an access point of a directory bucket (S3 Express One Zone)"},
        {"--ol-s3", "an access point of Object Lambda, whose objects a function makes"},
        {"--op-s3", "an access point of S3 on Outposts"},
        {".mrap", "an access point of several regions, which needs other signatures (SigV4A)"},
        {"--table-s3", "a table bucket"},
    };
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        size_t len = strlen(KINDS[i].end);
        if (bucket.len > len && memcmp(bucket.data + bucket.len - len, KINDS[i].end, len) == 0)
            return call_fail(call, DP_UNSUPPORTED, "root s3://%.*s: this is %s; use a general purpose bucket",
                             SPAN_FMT(bucket), KINDS[i].what);
    }
    return DP_OK;
}

/* Splits "bucket/a/b/" into the bucket and the prefix "a/b/". A bucket's name may have more than Amazon allows today,
 * because old buckets and other stores have such names. */
static enum dp_status take_root_name(struct call *call, struct s3_store *s3, struct span name)
{
    static const struct bucket_names NAMES = {.scheme = "s3",
                                              .what = "a bucket's name",
                                              .least = BUCKET_MIN,
                                              .most = BUCKET_MAX,
                                              .inner = ".-_",
                                              .secrets = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"};
    struct bucket_root root;
    if (span_starts_with(name, span_str("arn:")))
        return call_fail(call, DP_UNSUPPORTED,
                         "root s3://arn:…: ARNs of access points are not supported: use the access point's alias "
                         "(…-s3alias) as the bucket's name, or the bucket");
    enum dp_status status = bucket_root_split(call, &NAMES, name, &s3->arena, &root);
    if (status == DP_OK)
        status = refuse_kinds(call, root.bucket);
    if (status != DP_OK)
        return status;
    s3->bucket = root.bucket;
    s3->prefix = root.prefix;
    s3->root = root.url;
    return DP_OK;
}

/* ---- where requests go ------------------------------------------------------------------------------ */

/* Returns whether the host's name contains the bucket. A bucket with a dot does not match Amazon's
 * certificates. */
static bool by_host(enum s3_addressing how, struct span host, struct span bucket)
{
    if (how != S3_ADDRESSING_AUTO)
        return how == S3_ADDRESSING_HOST;
    return aws_owns_host(host) && !memchr(bucket.data, '.', bucket.len);
}

/* Sets where requests go. `from` names the setting with the endpoint's URL. */
static enum dp_status take_endpoint(struct call *call, struct s3_store *s3, enum s3_addressing how,
                                    const char *from, struct span url)
{
    struct s3_endpoint e = {0};
    enum dp_status status = s3_endpoint_split(from, url, &e, &call->error);
    if (status != DP_OK)
        return status;
    bool host = by_host(how, e.host, s3->bucket);
    const char *origin = host ? arena_printf(&s3->arena, "%.*s%.*s.%.*s", SPAN_FMT(e.scheme), SPAN_FMT(s3->bucket),
                                             SPAN_FMT(e.host))
                              : arena_printf(&s3->arena, "%.*s%.*s", SPAN_FMT(e.scheme), SPAN_FMT(e.host));
    const char *path = host ? arena_printf(&s3->arena, "%.*s/", SPAN_FMT(e.path))
                            : arena_printf(&s3->arena, "%.*s/%.*s/", SPAN_FMT(e.path), SPAN_FMT(s3->bucket));
    s3->endpoint = arena_printf(&s3->arena, "%.*s", SPAN_FMT(url));
    if (!origin || !path || !s3->endpoint)
        return call_nomem(call, "a store");
    s3->origin = span_str(origin);
    s3->base_path = span_str(path);
    return DP_OK;
}

/* Sets the store's own trust if the profile names a CA bundle. The transport, which other stores may share, does
 * not know the profile. */
static enum dp_status take_trust(struct call *call, struct s3_store *s3, struct s3_settings *s,
                                 struct span ca_bundle)
{
    if (!ca_bundle.len)
        return DP_OK;
    struct span copy = arena_copy(&s3->arena, ca_bundle);
    s3->trust = mem_alloc(sizeof *s3->trust);
    if (!copy.data || !s3->trust)
        return call_nomem(call, "a store");
    s->trust.profile_file = (const char *)copy.data;
    s->trust.profile_from = "ca_bundle of the AWS profile";
    trust_find(&s->trust, s3->trust);
    return DP_OK;
}

/* Returns how URLs name the bucket: as the settings say, else as the profile's group "s3" does. */
static enum s3_addressing addressing_of(const struct s3_settings *s, const struct aws_profile *profile)
{
    struct span style = ini_nested(profile->s3, "addressing_style");
    return s->addressing != S3_ADDRESSING_AUTO ? s->addressing
           : span_equal_str(style, "path")     ? S3_ADDRESSING_PATH
           : span_equal_str(style, "virtual")  ? S3_ADDRESSING_HOST
                                               : S3_ADDRESSING_AUTO;
}

/* Finds the endpoint's URL in the settings or the profile, or makes Amazon's. */
static enum dp_status find_endpoint(struct call *call, struct s3_store *s3, const struct s3_settings *s,
                                    const struct aws_files *files, const struct aws_profile *profile)
{
    const char *from = "S3_ENDPOINT_URL";
    struct span url = span_str(setting_is_set(s->endpoint_url) ? s->endpoint_url : "");
    enum dp_status status = DP_OK;
    if (!url.len) {
        status = aws_profile_endpoint(files, profile, "s3", &url, &call->error);
        from = "endpoint_url of the AWS profile";
    }
    if (status == DP_OK && !url.len) {
        const char *amazon =
            arena_printf(&s3->arena, "https://s3.%.*s.%s", SPAN_FMT(s3->region), aws_domain(s3->region));
        if (!amazon)
            return call_nomem(call, "a store");
        url = span_str(amazon);
        s3->at_amazon = true;
    }
    return status == DP_OK ? take_endpoint(call, s3, addressing_of(s, profile), from, url) : status;
}

/* Sets region, endpoint and trust from the settings, the profile, or Amazon's defaults. */
static enum dp_status take_region(struct call *call, struct s3_store *s3, struct s3_settings *s)
{
    struct aws_profile profile;
    struct aws_files files;
    struct arena arena;
    arena_init(&arena, PROFILE_ARENA_BYTES);
    enum dp_status status = credentials_profile(s, &arena, &files, &profile, &call->error);
    if (status == DP_NOT_FOUND) { /* the first request for keys reports it, if it needs the profile */
        dp_error_clear(&call->error);
        status = DP_OK;
    }
    bool given = setting_is_set(s->region);
    struct span region = given                ? span_str(s->region)
                         : profile.region.len ? profile.region
                                              : span_str(DEFAULT_REGION);
    if (status == DP_OK)
        status = s3_region_check(given ? "AWS_REGION" : "region of the AWS profile", region, &call->error);
    if (status == DP_OK) {
        s3->region = arena_copy(&s3->arena, region);
        status = s3->region.data ? find_endpoint(call, s3, s, &files, &profile) : call_nomem(call, "a store");
    }
    if (status == DP_OK)
        status = take_trust(call, s3, s, profile.ca_bundle);
    arena_deinit(&arena);
    return status;
}

enum dp_status store_s3_open(struct call *call, struct span name, const struct store_options *options,
                             const struct s3_settings *given, struct store **out)
{
    struct s3_settings settings = given ? *given : (struct s3_settings){0};
    settings.trust = options->trust;
    *out = NULL;
    struct s3_store *s3 = mem_calloc(1, sizeof *s3);
    if (!s3)
        return call_nomem(call, "a store");
    s3->base.ops = &S3_OPS;
    s3->source.aim = s3_aim;
    s3->source.heads = true;
    s3->source.explain = s3_explain;
    s3->source.hides_missing = s3_hides_missing;
    arena_init(&s3->arena, TEXTS_MAX_BYTES);
    enum dp_status status = range_limits_of(options, &s3->limits, &call->error);
    if (status == DP_OK)
        status = take_root_name(call, s3, name);
    if (status == DP_OK)
        status = take_region(call, s3, &settings);
    if (status == DP_OK)
        status = credentials_new(&settings, (const char *)s3->region.data, NULL, &s3->credentials, &call->error);
    if (status == DP_OK)
        status = transport_of_options(options, &s3->source.transport, &call->error);
    if (status == DP_OK)
        *out = &s3->base;
    else
        s3_free(&s3->base);
    return status;
}
