/* azure/list.c: lists blobs with List Blobs.
 *
 * A listing cannot begin behind a name: the parameter startFrom exists only since version 2026-02-06, which older
 * clouds and emulators refuse. So a listing that continues behind a name begins at its start, in pages of 5,000
 * names, and skips what lies before. Within one listing, pages continue by marker.
 */
#include "store/azure/answers.h"
#include "store/azure/azure.h"

static enum dp_status fetch_page(struct call *call, const struct bucket *bucket,
                                 const struct bucket_page_req *want, struct bucket_page *page)
{
    struct azure_store *azure = bucket->ctx;
    struct azure_parameter query[AZURE_PARAMETERS_MAX];
    size_t count = 0;
    const char *most = arena_printf(call->arena, "%zu", want->most);
    if (!most)
        return call_nomem(call, "a listing");
    query[count++] = (struct azure_parameter){span_str("restype"), span_str("container")};
    query[count++] = (struct azure_parameter){span_str("comp"), span_str("list")};
    query[count++] = (struct azure_parameter){span_str("maxresults"), span_str(most)};
    if (want->prefix.len)
        query[count++] = (struct azure_parameter){span_str("prefix"), want->prefix};
    if (want->folders)
        query[count++] = (struct azure_parameter){span_str("delimiter"), span_str("/")};
    if (want->token.len)
        query[count++] = (struct azure_parameter){span_str("marker"), want->token};
    struct transport_request req = {.method = HTTP_GET};
    enum dp_status status = azure_request(call, azure, (struct span){0}, query, count, &req);
    if (status == DP_OK)
        status = azure_send(call, azure, &req);
    page->bytes = req.bytes;
    if (status != DP_OK)
        return status;
    if (req.code != 200)
        return azure_explain(&azure->source, call, &req, &call->error);
    status = azure_parse_page(req.bytes.span, call->arena, page, &call->error);
    if (status != DP_OK)
        dp_error_prefix(&call->error, "%s", azure->root);
    return status;
}

static bool never_begins_behind(const struct bucket *bucket)
{
    (void)bucket;
    return false;
}

enum dp_status azure_list(struct call *call, struct store *store, struct span prefix, struct span after,
                          bool folders, size_t max, struct store_listing *out)
{
    struct azure_store *azure = azure_of(store);
    const struct bucket bucket = {.root = azure->root,
                                  .prefix = azure->prefix,
                                  .page_max = AZURE_PAGE_MAX,
                                  .fetch = fetch_page,
                                  .begins_behind = never_begins_behind,
                                  .ctx = azure};
    return bucket_list(call, &bucket, prefix, after, folders, max, out);
}
