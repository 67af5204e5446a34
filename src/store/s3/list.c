/* s3/list.c: lists objects with ListObjectsV2.
 *
 * MinIO (still in 2026) loses names when a listing starts behind a given name: it counts names of neighbouring
 * folders, "a-b/" for "a/", towards the page although they lie before the start. A listing that starts at the
 * beginning and continues by tokens is complete. So a listing from MinIO never begins behind a name.
 *
 * It asks for percent-encoded names, because XML cannot hold all characters.
 */
#include "store/bucket_list.h"
#include "store/s3/answers.h"
#include "store/s3/s3.h"

enum { PAGE_MAX = 1000 };

/* Fetches one page. */
static enum dp_status fetch_page(struct call *call, const struct bucket *bucket,
                                 const struct bucket_page_req *want, struct bucket_page *page)
{
    struct s3_store *s3 = bucket->ctx;
    struct sigv4_pair query[S3_PARAMETERS_MAX];
    size_t count = 0;
    const char *max_keys = arena_printf(call->arena, "%zu", want->most);
    if (!max_keys)
        return call_nomem(call, "a listing");
    query[count++] = (struct sigv4_pair){span_str("list-type"), span_str("2")};
    query[count++] = (struct sigv4_pair){span_str("encoding-type"), span_str("url")};
    query[count++] = (struct sigv4_pair){span_str("max-keys"), span_str(max_keys)};
    if (want->prefix.len)
        query[count++] = (struct sigv4_pair){span_str("prefix"), want->prefix};
    if (want->folders)
        query[count++] = (struct sigv4_pair){span_str("delimiter"), span_str("/")};
    if (want->token.len)
        query[count++] = (struct sigv4_pair){span_str("continuation-token"), want->token};
    else if (want->behind.len)
        query[count++] = (struct sigv4_pair){span_str("start-after"), want->behind};
    struct transport_request req = {.method = HTTP_GET};
    enum dp_status status = s3_request(call, s3, (struct span){0}, query, count, &req);
    if (status == DP_OK)
        status = s3_send(call, s3, &req);
    page->bytes = req.bytes;
    if (status != DP_OK)
        return status;
    if (req.code != 200)
        return s3_explain(&s3->source, call, &req, &call->error);
    status = s3_parse_page(req.bytes.span, call->arena, page, &call->error);
    if (status != DP_OK)
        dp_error_prefix(&call->error, "%s", s3->root);
    return status;
}

static bool begins_behind(const struct bucket *bucket)
{
    const struct s3_store *s3 = bucket->ctx;
    return !atomic_load_explicit(&s3->loses_names, memory_order_relaxed);
}

enum dp_status s3_list(struct call *call, struct store *store, struct span prefix, struct span after, bool folders,
                       size_t max, struct store_listing *out)
{
    struct s3_store *s3 = s3_of(store);
    const struct bucket bucket = {.root = s3->root,
                                  .prefix = s3->prefix,
                                  .page_max = PAGE_MAX,
                                  .fetch = fetch_page,
                                  .begins_behind = begins_behind,
                                  .ctx = s3};
    return bucket_list(call, &bucket, prefix, after, folders, max, out);
}
