/* http/web.c: a read-only store of objects at plain or presigned http(s) URLs.
 *
 * There are two kinds of root. For a folder, https://host/folder?query, the store appends the percent-encoded key
 * to the path, and sends the query with every request. For one object, it requests the URL byte for byte, because
 * a presigned URL's signature covers its spelling.
 *
 * Size and version come with the first answer to a range, because a presigned GET URL answers 403 to HEAD. The
 * store cannot list or write. It does not change after it is opened, so any thread may use it.
 */
#include "store/http/web.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/masked_url.h"
#include "base/url.h"
#include "store/http/fetch.h"
#include "store/http/refusal.h"

enum { URL_MAX = 16 << 10 };

struct http_store {
    struct store base;
    struct http_source source;
    struct range_limits limits;
    struct span path;   /* the URL up to its query; for a folder, without '/' at the end */
    struct span query;  /* with its '?', or empty */
    struct span object; /* the only key of the store, whose URL is path + query; empty: the URL is a folder */
    uint8_t text[];
};

static struct http_store *http_store_of(struct store *store)
{
    return (struct http_store *)store;
}

/* ---- URLs ------------------------------------------------------------------------------------------- */

/* A bucket that shows its objects but not their names answers 403 for a missing one, and a cache in front of it may
 * replace the body. So only a body that names another reason says that the object may be there. */
static bool web_hides_missing(struct call *call, const struct transport_request *req)
{
    const char *why;
    (void)call;
    return req->code == 403 && !http_refusal_known(req, &why);
}

static enum dp_status web_aim(struct http_source *source, struct call *call, struct span key,
                              struct transport_request *req)
{
    const struct http_store *h = (const struct http_store *)((char *)source - offsetof(struct http_store, source));
    if (h->object.len) {
        if (!span_equal(key, h->object))
            return call_fail(call, DP_NOT_FOUND, "there is no object %.*s: the URL is that of %.*s", SPAN_FMT(key),
                             SPAN_FMT(h->object));
        req->url = span_of(h->path.data, h->path.len + h->query.len);
        return DP_OK;
    }
    uint8_t *url = arena_alloc(call->arena, h->path.len + 1 + 3 * key.len + h->query.len);
    if (!url)
        return call_nomem(call, "a URL");
    size_t len = h->path.len;
    memcpy(url, h->path.data, len);
    url[len++] = '/';
    len += percent_encode(key, true, url + len);
    if (h->query.len)
        memcpy(url + len, h->query.data, h->query.len);
    req->url = span_of(url, len + h->query.len);
    return DP_OK;
}

/* ---- operations ------------------------------------------------------------------------------------- */

static void http_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    struct http_store *h = http_store_of(store);
    ranges_read(call, &h->limits, reqs, n, http_fetch, &h->source);
}

static enum dp_status http_head(struct call *call, struct store *store, struct span key, struct store_info *out)
{
    return http_fetch_head(&http_store_of(store)->source, call, key, out);
}

static enum dp_status web_refuse(struct call *call, struct store *store, const char *what)
{
    char shown[URL_SHOWN_MAX];
    const struct http_store *h = http_store_of(store);
    return call_fail(call, DP_UNSUPPORTED, "%s: a plain http(s) URL can only be read: nothing %s there",
                     url_shown(h->path, shown), what);
}

static enum dp_status http_put(struct call *call, struct store *store, struct store_put *put)
{
    (void)put;
    return web_refuse(call, store, "can be written");
}

static enum dp_status http_list(struct call *call, struct store *store, struct span prefix, struct span after,
                                bool folders, size_t max, struct store_listing *out)
{
    (void)prefix, (void)after, (void)folders, (void)max, (void)out;
    return web_refuse(call, store, "can be listed");
}

static enum dp_status http_remove(struct call *call, struct store *store, struct span key)
{
    (void)key;
    return web_refuse(call, store, "can be removed");
}

static enum dp_status http_upload_begin(struct call *call, struct store *store, struct span key,
                                        struct store_upload **out)
{
    (void)key, (void)out;
    return web_refuse(call, store, "can be written");
}

/* Nobody calls the next three functions, because http_upload_begin always fails. The table of operations needs
 * them. */
static enum dp_status http_upload_write(struct call *call, struct store_upload *upload, struct span bytes)
{
    (void)bytes;
    return web_refuse(call, upload->store, "can be written");
}

static enum dp_status http_upload_finish(struct call *call, struct store_upload *upload,
                                         struct store_version *version)
{
    (void)version;
    return web_refuse(call, upload->store, "can be written");
}

static void http_upload_abort(struct store_upload *upload)
{
    (void)upload;
}

static void http_free(struct store *store)
{
    struct http_store *h = http_store_of(store);
    transport_free(h->source.transport);
    mem_free(h);
}

static enum dp_status http_add_metrics(struct store *store, struct metric_registry *registry,
                                       struct dp_error *error)
{
    return transport_add_metrics(http_store_of(store)->source.transport, registry, error);
}

static const struct store_ops HTTP_OPS = {
    .scheme = "http",
    .counting = STORE_COUNTS_REQUESTS,
    .read = http_read,
    .head = http_head,
    .put = http_put,
    .list = http_list,
    .remove = http_remove,
    .upload_begin = http_upload_begin,
    .upload_write = http_upload_write,
    .upload_finish = http_upload_finish,
    .upload_abort = http_upload_abort,
    .free = http_free,
    .add_metrics = http_add_metrics,
};

/* ---- opening ---------------------------------------------------------------------------------------- */

static enum dp_status check_url(struct call *call, struct span url)
{
    char shown[URL_SHOWN_MAX];
    if (url.len > URL_MAX)
        return call_fail(call, DP_TOO_LARGE, "a URL has %zu bytes, more than %d", url.len, URL_MAX);
    for (size_t i = 0; i < url.len; i++)
        if (url.data[i] <= 0x20 || url.data[i] >= 0x7f)
            return call_fail(call, DP_INVALID, "%s: a URL must be percent-encoded (byte 0x%02x)",
                             url_shown(url, shown), url.data[i]);
    if (url_host_header(url).len == 0)
        return call_fail(call, DP_INVALID, "the URL names no host");
    return DP_OK;
}

enum dp_status store_http_open(struct call *call, struct span url, struct span object,
                               const struct store_options *options, struct store **out)
{
    *out = NULL;
    struct range_limits limits;
    enum dp_status status = check_url(call, url);
    if (status == DP_OK)
        status = range_limits_of(options, &limits, &call->error);
    if (status != DP_OK)
        return status;
    const uint8_t *fragment = memchr(url.data, '#', url.len);
    if (fragment)
        url.len = (size_t)(fragment - url.data);
    const uint8_t *mark = memchr(url.data, '?', url.len);
    size_t path_len = mark ? (size_t)(mark - url.data) : url.len, query_len = url.len - path_len;
    if (object.len == 0)
        while (url.data[path_len - 1] == '/')
            path_len--;
    struct http_store *h = mem_calloc(1, sizeof *h + path_len + query_len + object.len);
    if (!h)
        return call_nomem(call, "a store");
    const struct store_options none = {0};
    status = transport_of_options(options ? options : &none, &h->source.transport, &call->error);
    if (status != DP_OK) {
        mem_free(h);
        return status;
    }
    h->base.ops = &HTTP_OPS;
    h->source.aim = web_aim;
    h->source.hides_missing = web_hides_missing;
    h->limits = limits;
    uint8_t *at = h->text;
    memcpy(at, url.data, path_len);
    h->path = span_of(at, path_len);
    at += path_len;
    if (query_len)
        memcpy(at, mark, query_len);
    h->query = span_of(at, query_len);
    at += query_len;
    if (object.len)
        memcpy(at, object.data, object.len);
    h->object = span_of(at, object.len);
    *out = &h->base;
    return DP_OK;
}
