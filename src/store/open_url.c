/* open_url.c: opens the store that a root names, and the store and key of one object's URL. SCHEMES lists all
 * kinds of roots. */
#include "store/implement.h"
#include "base/masked_url.h"
#include "base/url.h"
#include "store/store_cache.h"
#include "store/store_memory.h"
#include "store/azure/azure.h"
#include "store/gcs/gcs.h"
#include "store/http/web.h"
#include "store/local/local.h"
#include "store/s3/s3.h"

#include <limits.h>
#include <stdio.h>

/* Copies `from` as a path and appends a NUL. If `escaped`, decodes %XX. */
static enum dp_status copy_path(struct call *call, struct span from, bool escaped, char out[PATH_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < from.len;) {
        uint8_t c;
        if (!escaped)
            c = from.data[i++];
        else if (!percent_next(from, &i, &c))
            return call_fail(call, DP_INVALID, "root file://%.*s: '%%' must be followed by two hexadecimal digits",
                             SPAN_FMT(from));
        if (c == '\0')
            return call_fail(call, DP_INVALID, "a root's path has a NUL in it");
        if (len + 1 >= PATH_MAX)
            return call_fail(call, DP_INVALID, "a root's path is longer than %d bytes", PATH_MAX - 1);
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return DP_OK;
}

/* ---- schemes ---------------------------------------------------------------------------------------- */

/* A root to open. */
struct root {
    struct span url, rest; /* rest: behind "://" */
    const char *scheme;
    const struct store_options *options;
    const void *settings; /* settings of its scheme, or NULL */
};

static enum dp_status open_path(struct call *call, const struct root *root, struct store **out)
{
    char path[PATH_MAX];
    enum dp_status status = copy_path(call, root->url, false, path);
    return status == DP_OK ? store_local_open(call, path, root->options->create, out) : status;
}

static enum dp_status open_file_url(struct call *call, const struct root *root, struct store **out)
{
    char path[PATH_MAX];
    if (!span_starts_with(root->rest, span_str("/")))
        return call_fail(call, DP_INVALID, "root file://…: write file:///path, with three slashes");
    enum dp_status status = copy_path(call, root->rest, true, path);
    return status == DP_OK ? store_local_open(call, path, root->options->create, out) : status;
}

static enum dp_status open_memory(struct call *call, const struct root *root, struct store **out)
{
    (void)root;
    return store_memory_open(call, out);
}

static enum dp_status open_http(struct call *call, const struct root *root, struct store **out)
{
    return store_http_open(call, root->url, span_of(NULL, 0), root->options, out);
}

static enum dp_status open_s3(struct call *call, const struct root *root, struct store **out)
{
    return store_s3_open(call, root->rest, root->options, root->settings, out);
}

static enum dp_status open_gcs(struct call *call, const struct root *root, struct store **out)
{
    return store_gcs_open(call, root->rest, root->options, root->settings, out);
}

static enum dp_status open_azure(struct call *call, const struct root *root, struct store **out)
{
    return store_azure_open(call, root->scheme, root->rest, root->options, root->settings, out);
}

/* The way in which the URL of one object names its store and key. */
enum object_place {
    OBJECT_IN_FOLDER, /* the key is the part behind the last '/' */
    OBJECT_IN_BUCKET, /* the key is everything behind the bucket's name */
    OBJECT_IS_URL     /* requests use the URL as it stands */
};

static const char GIVE_URL[] = "give the signed URL (https://…) as it is",
                  SET_SAS[] =
                      "give the blob's URL (https://…) as it is, or set AZURE_STORAGE_SAS_TOKEN to the SAS token";

/* Every kind of root. A new store is a row here. */
static const struct scheme {
    const char *name;  /* "": a path without a scheme */
    const char *shape; /* for messages; NULL: another row's shape covers it */
    enum object_place place;
    enum dp_status (*open)(struct call *call, const struct root *root, struct store **out);
    const char *settings;  /* scheme under which the options have its settings; NULL: it has none */
    const char *if_signed; /* what to do with a signature behind a '?'; NULL: any name may have one */
} SCHEMES[] = {
    {"", "a folder's path", OBJECT_IN_FOLDER, open_path, NULL, NULL},
    {"file", "file:///path", OBJECT_IN_FOLDER, open_file_url, NULL, NULL},
    {"s3", "s3://bucket/prefix", OBJECT_IN_BUCKET, open_s3, "s3", GIVE_URL},
    {"gs", "gs://bucket/prefix", OBJECT_IN_BUCKET, open_gcs, "gs", GIVE_URL},
    {"az", "az://container/prefix", OBJECT_IN_BUCKET, open_azure, "az", SET_SAS},
    {"abfss", "abfss://container@account.dfs.core.windows.net/prefix", OBJECT_IN_BUCKET, open_azure, "az",
     SET_SAS},
    {"abfs", NULL, OBJECT_IN_BUCKET, open_azure, "az", SET_SAS},
    {"http", "http(s)://host/path", OBJECT_IS_URL, open_http, NULL, NULL},
    {"https", NULL, OBJECT_IS_URL, open_http, NULL, NULL},
    {"mem", "mem://name", OBJECT_IN_BUCKET, open_memory, NULL, NULL},
};
enum { SCHEME_COUNT = sizeof SCHEMES / sizeof *SCHEMES };

/* Returns whether a URL has a parameter with a signature, as presigned URLs and SAS tokens have. */
static bool is_signed(struct span url)
{
    static const char *const NAMES[] = {"sig=", "Signature=", "X-Amz-Signature=", "X-Goog-Signature="};
    bool query = false;
    for (size_t i = 0; i < url.len; i++) {
        query = query || url.data[i] == '?';
        if (!query || (url.data[i] != '?' && url.data[i] != '&'))
            continue;
        struct span parameter = span_of(url.data + i + 1, url.len - i - 1);
        for (size_t n = 0; n < sizeof NAMES / sizeof *NAMES; n++)
            if (span_starts_with(parameter, span_str(NAMES[n])))
                return true;
    }
    return false;
}

/* Fails if a path begins as a URL with a slash too few, "s3:/bucket": it would name a new folder. */
static enum dp_status check_path(struct call *call, struct span path)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        size_t len = strlen(SCHEMES[i].name);
        if (len && path.len > len && path.data[len] == ':' && memcmp(path.data, SCHEMES[i].name, len) == 0)
            return call_fail(call, DP_INVALID,
                             "%s:…: two slashes follow the colon of a URL, as in %s://…; ./%s:… is a path",
                             SCHEMES[i].name, SCHEMES[i].name, SCHEMES[i].name);
    }
    return DP_OK;
}

/* Finds the scheme of a URL or path. Fails with DP_UNSUPPORTED if this build does not have it. */
static enum dp_status find_scheme(struct call *call, struct span url, const struct scheme **out)
{
    const struct span name = span_of(url.data, url_scheme_len(url));
    char shapes[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < SCHEME_COUNT; i++)
        if (span_equal_str(name, SCHEMES[i].name)) {
            *out = &SCHEMES[i];
            /* The signature is a secret, and would become a part of an object's name. */
            if (SCHEMES[i].if_signed && is_signed(url))
                return call_fail(call, DP_INVALID, "%s://…: it has a signature: %s", SCHEMES[i].name,
                                 SCHEMES[i].if_signed);
            return name.len ? DP_OK : check_path(call, url);
        }
    for (size_t i = 0; i < SCHEME_COUNT && len < sizeof shapes; i++)
        if (SCHEMES[i].shape)
            len += (size_t)snprintf(shapes + len, sizeof shapes - len, "%s%s",
                                    i == 0                  ? ""
                                    : i + 1 == SCHEME_COUNT ? " and "
                                                            : ", ",
                                    SCHEMES[i].shape);
    return call_fail(call, DP_UNSUPPORTED, "root %.*s://…: this build reads %s", SPAN_FMT(name), shapes);
}

static const void *settings_of(const struct store_options *options, const char *scheme)
{
    for (size_t i = 0; i < STORE_SETTINGS_MAX && options->settings[i].scheme; i++)
        if (strcmp(options->settings[i].scheme, scheme) == 0)
            return options->settings[i].values;
    return NULL;
}

/* ---- roots ------------------------------------------------------------------------------------------ */

/* Puts a memory cache before a remote store, if the options ask for one. A folder of this host gets one only if
 * the caller says so: the system's page cache is larger and all processes share it, so a second copy pays only for
 * ranges that are read over and over, where copying them takes longer than using them. */
static enum dp_status with_cache(struct call *call, const struct store_options *options, struct store **store)
{
    bool remote = (*store)->ops->counting == STORE_COUNTS_REQUESTS;
    bool local = (*store)->ops->is_current != NULL && options->cache_local;
    if ((!remote && !local) || (!options->cache && !options->cache_bytes))
        return DP_OK;
    if (options->cache)
        return store_cache_over(options->cache, *store, store, &call->error);
    const struct store_cache_options cache = {.bytes = options->cache_bytes};
    return store_cache_new(*store, &cache, store, &call->error);
}

enum dp_status store_open_with(struct call *call, struct span url, const struct store_options *options,
                               struct store **out)
{
    const struct scheme *scheme = NULL;
    *out = NULL;
    enum dp_status status = call_check(call);
    if (status == DP_OK && url.len == 0)
        status = call_fail(call, DP_INVALID, "the root is empty: name a folder, or file:///path");
    if (status == DP_OK)
        status = find_scheme(call, url, &scheme);
    if (status != DP_OK)
        return status;
    size_t behind = *scheme->name ? strlen(scheme->name) + 3 : 0;
    const struct root root = {.url = url,
                              .rest = span_of(url.data + behind, url.len - behind),
                              .options = options,
                              .scheme = scheme->name,
                              .settings = scheme->settings ? settings_of(options, scheme->settings) : NULL};
    status = scheme->open(call, &root, out);
    return status == DP_OK ? with_cache(call, options, out) : status;
}

enum dp_status store_open(struct call *call, struct span url, bool create, struct store **out)
{
    return store_open_with(call, url, &(struct store_options){.create = create}, out);
}

enum dp_status store_url_path(struct call *call, struct span url, const char **path)
{
    char copy[PATH_MAX], shown[MASKED_URL_MAX];
    size_t len = url_scheme_len(url);
    bool is_file = len > 0 && span_equal_str(span_of(url.data, len), "file");
    *path = NULL;
    if (len > 0 && !is_file)
        return DP_OK;
    if (len == 0 && check_path(call, url) != DP_OK)
        return call->error.status;
    struct span rest = is_file ? span_of(url.data + len + 3, url.len - len - 3) : url;
    if (rest.len == 0 || rest.data[rest.len - 1] == '/' || (is_file && rest.data[0] != '/'))
        return call_fail(call, DP_INVALID, "%s does not name an object", masked_url(url, shown));
    enum dp_status status = copy_path(call, rest, is_file, copy);
    if (status != DP_OK)
        return status;
    *path = (const char *)arena_copy(call->arena, span_of(copy, strlen(copy) + 1)).data;
    return *path ? DP_OK : call_nomem(call, "a path");
}

/* ---- one object ------------------------------------------------------------------------------------- */

/* Returns the part of `url` behind its last '/' as a key, with %XX decoded when `escaped`. .data is NULL if the
 * part is not a key, or if memory ran out: then the call's error is DP_NOMEM. */
static struct span last_part(struct call *call, struct span url, bool escaped)
{
    size_t start = url.len;
    while (start && url.data[start - 1] != '/')
        start--;
    const struct span part = span_of(url.data + start, url.len - start);
    uint8_t *key = arena_alloc(call->arena, part.len + 1);
    size_t len = part.len;
    struct dp_error ignored;
    if (!key)
        call_nomem(call, "the name of an object");
    else if (escaped)
        len = percent_decode_loosely(part, key);
    else
        memcpy(key, part.data, len);
    if (!key || store_key_check(span_of(key, len), &ignored) != DP_OK || memchr(key, '/', len))
        return span_of(NULL, 0);
    return span_of(key, len);
}

/* Opens the object of an http(s) URL. Requests use the URL as it is; the key is only a name for it. */
static enum dp_status open_http_object(struct call *call, struct span url, const struct store_options *options,
                                       struct store **out, struct span *key)
{
    size_t len = 0;
    while (len < url.len && url.data[len] != '?' && url.data[len] != '#')
        len++;
    *key = last_part(call, span_of(url.data, len), true);
    if (call->error.status == DP_NOMEM)
        return DP_NOMEM;
    if (!key->data)
        *key = span_str("object");
    enum dp_status status = store_http_open(call, url, *key, options, out);
    return status == DP_OK ? with_cache(call, options, out) : status;
}

/* Fails because a URL names no object. `in_bucket`: it names one of a bucket that keys of ours cannot name, which the call's
 * error explains: "a//b". */
static enum dp_status fail_object(struct call *call, struct span url, bool in_bucket)
{
    char shown[MASKED_URL_MAX], why[DP_ERROR_MESSAGE_MAX / 2];
    masked_url(url, shown);
    if (!in_bucket)
        return call_fail(call, DP_INVALID, "%s does not name an object", shown);
    snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, call->error.message);
    return call_fail(
        call, DP_INVALID,
        "%s: %s; Dipper reads such an object only by a presigned URL (https://…), which names it as it is", shown,
        why);
}

/* Opens the folder `below` as the root, and sets the object's key below it. DP_DENIED if the object does not lie
 * there. A store follows no link below its root, so the object cannot lie elsewhere. */
static enum dp_status open_below(struct call *call, struct span url, const char *below, struct store **out,
                                 struct span *key)
{
    const char *path;
    char shown[MASKED_URL_MAX];
    enum dp_status status = store_url_path(call, url, &path);
    if (status != DP_OK)
        return status;
    size_t len = strlen(below);
    while (len && below[len - 1] == '/')
        len--;
    if (!path || strncmp(path, below, len) != 0 || path[len] != '/')
        return call_fail(call, DP_DENIED, "%s does not lie below %s", masked_url(url, shown), below);
    *key = span_str(path + len + 1);
    if (store_key_check(*key, &call->error) != DP_OK)
        return call_fail(call, DP_INVALID, "%s does not name an object", masked_url(url, shown));
    return store_local_open(call, len ? below : "/", false, out);
}

enum dp_status store_open_object(struct call *call, struct span url, const struct store_options *options,
                                 struct store **out, struct span *key)
{
    const struct store_options none = {0};
    struct store_options opened = options ? *options : none;
    const struct scheme *scheme = NULL;
    opened.create = false;
    *out = NULL;
    *key = span_of(NULL, 0);
    enum dp_status status = call_check(call);
    if (status != DP_OK)
        return status;
    status = find_scheme(call, url, &scheme);
    if (status != DP_OK)
        return status;
    if (scheme->place == OBJECT_IS_URL)
        return open_http_object(call, url, &opened, out, key);
    bool local = scheme->place == OBJECT_IN_FOLDER;
    if (local && opened.below)
        return open_below(call, url, opened.below, out, key);
    size_t begin = *scheme->name ? strlen(scheme->name) + 3 : 0, cut = url.len;
    if (local) {
        *key = last_part(call, url, *scheme->name);
        while (cut > begin && url.data[cut - 1] != '/')
            cut--;
    } else {
        for (cut = begin; cut < url.len && url.data[cut] != '/'; cut++)
            ;
        if (cut < url.len)
            *key = arena_copy(call->arena, span_of(url.data + cut + 1, url.len - cut - 1));
        if (cut < url.len && !key->data)
            call_nomem(call, "the name of an object");
    }
    if (call->error.status == DP_NOMEM)
        return DP_NOMEM;
    bool named = key->len && key->data[key->len - 1] != '/';
    if (!named || store_key_check(*key, &call->error) != DP_OK)
        return fail_object(call, url, named && !local);
    struct span root = cut ? span_of(url.data, cut) : span_str(".");
    return store_open_with(call, root, &opened, out);
}
