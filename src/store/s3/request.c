/* s3/request.c: makes S3 requests: writes their URLs and signs each try. */
#include "store/s3/s3.h"

#include "base/checksum.h"
#include "base/hex.h"
#include "base/url.h"
#include "os/clock.h"
#include "store/http/run.h"
#include "store/http/try.h"

static const char EMPTY_HASH[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

enum { SIGNING_ARENA_BYTES = 1 << 20 };

/* Sends a try to where the bucket is now. Sets *url to its URL. */
static enum dp_status aim_try(struct call *call, const struct s3_store *s3, const struct transport_request *req,
                              struct http_try *attempt, struct span *url)
{
    struct span origin = s3_origin(s3), first = s3->origin;
    *url = req->url;
    if (origin.data == first.data)
        return DP_OK;
    const char *moved = arena_printf(call->arena, "%.*s%.*s", SPAN_FMT(origin), (int)(req->url.len - first.len),
                                     (const char *)req->url.data + first.len);
    if (!moved)
        return call_nomem(call, "a request");
    *url = span_str(moved);
    return http_try_url(attempt, *url, &call->error);
}

/* Signs a try. The transport calls it before each try, so the date is fresh and the keys are the renewed ones. */
static enum dp_status sign_try(struct call *call, struct transport_request *req, struct http_try *attempt)
{
    struct s3_request *r = req->ctx;
    struct aws_keys *keys;
    struct span url;
    enum dp_status status = aim_try(call, r->s3, req, attempt, &url);
    if (status == DP_OK)
        status = credentials_get(call, r->s3->credentials, &keys);
    if (status != DP_OK || !keys)
        return status;
    struct sigv4_signer signer = {.access_key_id = keys->access_key_id,
                                  .secret_access_key = keys->secret_access_key,
                                  .region = s3_region(r->s3),
                                  .service = span_str("s3")};
    r->keys = keys->base.serial;
    r->keys_expire = keys->base.expires_ms != INT64_MAX;
    sigv4_date(os_wall_ms(), signer.date);
    struct sigv4_pair headers[4] = {
        {span_str("Host"), url_host_header(url)},
        {span_str("x-amz-date"), span_str(signer.date)},
        {span_str("x-amz-content-sha256"), span_str(r->payload_hash)},
        {span_str("x-amz-security-token"), keys->session_token},
    };
    size_t count = keys->session_token.len ? 4 : 3;
    struct sigv4_request request = {.method = http_method_name(req->method),
                                    .path = r->path,
                                    .query = r->query,
                                    .query_count = r->query_count,
                                    .headers = headers,
                                    .header_count = count,
                                    .payload_hash = span_str(r->payload_hash)};
    struct arena arena;
    struct buffer authorization;
    arena_init(&arena, SIGNING_ARENA_BYTES);
    buffer_init(&authorization, S3_URL_MAX);
    status = sigv4_authorization(&signer, &request, &arena, &authorization, &call->error);
    for (size_t i = 1; i < count && status == DP_OK; i++)
        status = http_try_header(attempt, (const char *)headers[i].name.data, headers[i].value, &call->error);
    if (status == DP_OK)
        status = http_try_header(attempt, "Authorization", buffer_span(&authorization), &call->error);
    buffer_deinit(&authorization);
    arena_deinit(&arena);
    aws_keys_release(keys);
    return status;
}

enum dp_status s3_request(struct call *call, struct s3_store *s3, struct span key, const struct sigv4_pair *query,
                          size_t query_count, struct transport_request *req)
{
    struct buffer b;
    struct s3_request *r = arena_calloc(call->arena, 1, sizeof *r);
    if (!r)
        return call_nomem(call, "a request");
    if (s3->prefix.len + key.len > S3_KEY_MAX)
        return call_fail(call, DP_INVALID, "%s/%.*s: S3 takes names of at most %d bytes", s3->root, SPAN_FMT(key),
                         S3_KEY_MAX);
    r->s3 = s3;
    r->key = key;
    r->query_count = query_count;
    if (query_count)
        memcpy(r->query, query, query_count * sizeof *query);
    if (req->body.len) {
        uint8_t digest[32];
        sha256(req->body, digest);
        hex_encode(span_of(digest, sizeof digest), r->payload_hash);
    } else {
        memcpy(r->payload_hash, EMPTY_HASH, sizeof EMPTY_HASH);
    }
    buffer_init(&b, S3_URL_MAX + 3 * S3_ANSWER_MAX);
    buffer_append(&b, s3->base_path);
    if (key.len) {
        buffer_append(&b, s3->prefix);
        buffer_append(&b, key);
    } else if (b.len > 1) {
        b.len--; /* a request to the bucket itself: "/bucket" instead of "/bucket/" */
    }
    bool ok = b.status == DP_OK;
    r->path = arena_copy(call->arena, buffer_span(&b));
    buffer_clear(&b);
    buffer_append(&b, s3->origin);
    percent_append(&b, r->path, true);
    sigv4_query(&b, query, query_count);
    req->url = arena_copy(call->arena, buffer_span(&b));
    ok = ok && b.status == DP_OK && r->path.data && req->url.data;
    buffer_deinit(&b);
    if (!ok)
        return call_nomem(call, "a request");
    req->trust = s3->trust;
    req->prepare = sign_try;
    req->inspect = s3_inspect;
    req->ctx = r;
    return DP_OK;
}

enum dp_status s3_aim(struct http_source *source, struct call *call, struct span key,
                      struct transport_request *req)
{
    struct s3_store *s3 = (struct s3_store *)(void *)((char *)source - offsetof(struct s3_store, source));
    return s3_request(call, s3, key, NULL, 0, req);
}

enum dp_status s3_send(struct call *call, struct s3_store *s3, struct transport_request *req)
{
    if (!req->max_body)
        req->max_body = S3_ANSWER_MAX;
    return transport_run(call, s3->source.transport, req, 1);
}
