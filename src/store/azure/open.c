/* azure/open.c: opens az://container/prefix, and reads its objects. Opening sends no request: the first operation
 * reports a wrong account, container or key.
 */
#include <openssl/crypto.h>

#include "base/alloc.h"
#include "base/url.h"
#include "store/auth/ask.h"
#include "store/azure/azure.h"
#include "store/gather.h"

enum { TEXTS_MAX_BYTES = 128 << 10 };

/* ---- operations ------------------------------------------------------------------------------------- */

static void azure_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    struct azure_store *azure = azure_of(store);
    ranges_read(call, &azure->limits, reqs, n, http_fetch, &azure->source);
}

static enum dp_status azure_head(struct call *call, struct store *store, struct span key, struct store_info *out)
{
    return http_fetch_head(&azure_of(store)->source, call, key, out);
}

static void azure_free(struct store *store)
{
    struct azure_store *azure = azure_of(store);
    struct span key = azure->connection.key;
    transport_free(azure->source.transport);
    azure_tokens_free(azure->tokens);
    if (key.len)
        OPENSSL_cleanse((void *)(uintptr_t)key.data, key.len);
    arena_deinit(&azure->arena);
    mem_free(azure);
}

static enum dp_status azure_add_metrics(struct store *store, struct metric_registry *registry,
                                        struct dp_error *error)
{
    return transport_add_metrics(azure_of(store)->source.transport, registry, error);
}

static const struct store_ops AZURE_OPS = {
    .scheme = "az",
    .counting = STORE_COUNTS_REQUESTS,
    .read = azure_read,
    .head = azure_head,
    .put = azure_put,
    .list = azure_list,
    .remove = azure_remove,
    .upload_begin = azure_upload_begin,
    .upload_write = gather_write,
    .upload_finish = azure_upload_finish,
    .upload_abort = azure_upload_abort,
    .free = azure_free,
    .add_metrics = azure_add_metrics,
};

/* ---- where requests go ------------------------------------------------------------------------------ */

/* Sets the texts of requests and messages from the root and the connection. */
static enum dp_status take_names(struct call *call, struct azure_store *azure, const char *scheme,
                                 const struct azure_root *root)
{
    struct arena *arena = &azure->arena;
    struct span endpoint = azure->connection.endpoint;
    struct url u;
    if (!url_split(endpoint, &u))
        return call_fail(call, DP_INVALID, "the endpoint of the storage account is not a URL");
    if (azure->connection.credential == AZURE_TOKEN && !auth_is_private(endpoint))
        return call_fail(
            call, DP_INVALID,
            "root %s://%.*s: a token may travel by https only, not to %.*s: set AZURE_STORAGE_KEY, or "
            "use an https endpoint",
            scheme, SPAN_FMT(root->container), SPAN_FMT(endpoint));
    azure->container = arena_copy(arena, root->container);
    const char *prefix =
        root->prefix.len ? arena_printf(arena, "%.*s/", SPAN_FMT(root->prefix)) : arena_printf(arena, "%s", "");
    const char *path = arena_printf(arena, "%.*s/%.*s/", SPAN_FMT(u.path), SPAN_FMT(root->container));
    azure->root =
        arena_printf(arena, "%s://%.*s%s%.*s%s%.*s", scheme, SPAN_FMT(root->container), root->host.len ? "@" : "",
                     SPAN_FMT(root->host), root->prefix.len ? "/" : "", SPAN_FMT(root->prefix));
    if (!azure->container.data || !prefix || !path || !azure->root)
        return call_nomem(call, "a store");
    azure->prefix = span_str(prefix);
    azure->base_path = span_str(path);
    azure->origin = span_of(endpoint.data, endpoint.len - u.path.len);
    return DP_OK;
}

enum dp_status store_azure_open(struct call *call, const char *scheme, struct span name,
                                const struct store_options *options, const struct azure_settings *given,
                                struct store **out)
{
    struct azure_settings settings = given ? *given : (struct azure_settings){0};
    struct azure_root root;
    settings.trust = options->trust;
    *out = NULL;
    struct azure_store *azure = mem_calloc(1, sizeof *azure);
    if (!azure)
        return call_nomem(call, "a store");
    azure->base.ops = &AZURE_OPS;
    azure->source.aim = azure_aim;
    azure->source.heads = true;
    azure->source.explain = azure_explain;
    arena_init(&azure->arena, TEXTS_MAX_BYTES);
    enum dp_status status = range_limits_of(options, &azure->limits, &call->error);
    if (status == DP_OK)
        status = azure_root_parse(scheme, name, &root, &call->error);
    if (status == DP_OK)
        status = azure_connection_find(&settings, &root, &azure->arena, &azure->connection, &call->error);
    if (status == DP_OK)
        status = take_names(call, azure, scheme, &root);
    if (status == DP_OK && azure->connection.credential == AZURE_TOKEN)
        status = azure_tokens_new(&settings, azure->connection.account, NULL, &azure->tokens, &call->error);
    if (status == DP_OK)
        status = transport_of_options(options, &azure->source.transport, &call->error);
    if (status == DP_OK)
        *out = &azure->base;
    else
        azure_free(&azure->base);
    return status;
}
