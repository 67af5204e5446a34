/* gcs/list.c: lists objects. A listing can begin at a name, itself included, so a page asks for one entry more than
 * a listing behind that name needs; bucket_list skips it. */
#include "store/gcs/answers.h"
#include "store/gcs/gcs.h"

enum { PAGE_MAX = 1000 }; /* entries of a page */

static enum dp_status fetch_page(struct call *call, const struct bucket *bucket,
                                 const struct bucket_page_req *want, struct bucket_page *page)
{
    struct gcs_store *gcs = bucket->ctx;
    struct gcs_parameter query[6];
    size_t count = 0;
    size_t count_max = want->most + (want->behind.len && want->most < PAGE_MAX ? 1 : 0);
    const char *most = arena_printf(call->arena, "%zu", count_max);
    if (!most)
        return call_nomem(call, "a listing");
    query[count++] = (struct gcs_parameter){"maxResults", span_str(most)};
    query[count++] = (struct gcs_parameter){"fields", span_str("items(name,size),prefixes,nextPageToken")};
    if (want->prefix.len)
        query[count++] = (struct gcs_parameter){"prefix", want->prefix};
    if (want->folders)
        query[count++] = (struct gcs_parameter){"delimiter", span_str("/")};
    if (want->token.len)
        query[count++] = (struct gcs_parameter){"pageToken", want->token};
    else if (want->behind.len)
        query[count++] = (struct gcs_parameter){"startOffset", want->behind};
    struct transport_request req = {.method = HTTP_GET};
    enum dp_status status = gcs_request(call, gcs, GCS_BUCKET, (struct span){0}, query, count, &req);
    if (status == DP_OK)
        status = gcs_send(call, gcs, &req);
    page->bytes = req.bytes;
    if (status != DP_OK)
        return status;
    if (req.code != 200)
        return gcs_explain(&gcs->source, call, &req, &call->error);
    status = gcs_parse_page(req.bytes.span, call->arena, page, &call->error);
    if (status != DP_OK)
        dp_error_prefix(&call->error, "%s", gcs->root.url);
    return status;
}

static bool begins_behind(const struct bucket *bucket)
{
    (void)bucket;
    return true;
}

enum dp_status gcs_list(struct call *call, struct store *store, struct span prefix, struct span after,
                        bool folders, size_t max, struct store_listing *out)
{
    struct gcs_store *gcs = gcs_of(store);
    const struct bucket bucket = {.root = gcs->root.url,
                                  .prefix = gcs->root.prefix,
                                  .fetch = fetch_page,
                                  .begins_behind = begins_behind,
                                  .page_max = PAGE_MAX,
                                  .ctx = gcs};
    return bucket_list(call, &bucket, prefix, after, folders, max, out);
}
