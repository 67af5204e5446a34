/* routes.c: the table of routes, its check, and its search. */
#include "server/routes.h"

#include <string.h>

#include "server/handlers.h"

const struct route ROUTES[] = {
    {.method = "POST",
     .pattern = "/v1/embed",
     .dialect = &api_fastembed,
     .handler = fastembed_embed,
     .attempt = fastembed_embed_cached,
     .flags = ROUTE_BLOCKS | ROUTE_EMBEDS,
     .right = RIGHT_TO_EMBED,
     .scope = SCOPE_NOTHING,
     .price = PRICE_TEXTS,
     .body = BODY_KEPT},
    {.method = "POST",
     .pattern = "/v1/embed/batch",
     .dialect = &api_fastembed,
     .handler = fastembed_embed,
     .attempt = fastembed_embed_cached,
     .flags = ROUTE_BLOCKS | ROUTE_EMBEDS,
     .right = RIGHT_TO_EMBED,
     .scope = SCOPE_NOTHING,
     .price = PRICE_TEXTS,
     .body = BODY_KEPT},
    {.method = "POST",
     .pattern = "/v1/embeddings",
     .dialect = &api_openai,
     .handler = openai_embeddings,
     .attempt = openai_embeddings_cached,
     .flags = ROUTE_BLOCKS | ROUTE_EMBEDS,
     .right = RIGHT_TO_EMBED,
     .scope = SCOPE_NOTHING,
     .price = PRICE_TEXTS,
     .body = BODY_KEPT},
    {.method = "GET",
     .pattern = "/v1/models",
     .dialect = &api_openai,
     .handler = openai_models,
     .right = RIGHT_OF_KEY,
     .scope = SCOPE_NOTHING,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "GET",
     .pattern = "/v1/models/{model}",
     .dialect = &api_openai,
     .handler = openai_model,
     .right = RIGHT_OF_KEY,
     .scope = SCOPE_NOTHING,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "POST",
     .pattern = "/v2/namespaces/{ns}/query",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_query,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_READ,
     .scope = SCOPE_PATH,
     .price = PRICE_TEXTS,
     .body = BODY_KEPT},
    {.method = "POST",
     .pattern = "/v2/namespaces/{ns}/explain_query",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_explain,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_READ,
     .scope = SCOPE_PATH,
     .price = PRICE_FREE,
     .body = BODY_KEPT},
    {.method = "POST",
     .pattern = "/v1/namespaces/{ns}/_debug/recall",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_recall,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_READ,
     .scope = SCOPE_PATH,
     .price = PRICE_FREE,
     .body = BODY_KEPT},
    {.method = "GET",
     .pattern = "/v1/namespaces",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_namespaces,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_READ,
     .scope = SCOPE_LIST,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "GET",
     .pattern = "/v1/namespaces/{ns}/metadata",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_metadata,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_READ,
     .scope = SCOPE_PATH,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "GET",
     .pattern = "/v2/namespaces/{ns}/metadata",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_metadata,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_READ,
     .scope = SCOPE_PATH,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "GET",
     .pattern = "/v1/namespaces/{ns}/schema",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_schema,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_READ,
     .scope = SCOPE_PATH,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "GET",
     .pattern = "/v2/namespaces/{ns}/schema",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_schema,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_READ,
     .scope = SCOPE_PATH,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "GET",
     .pattern = "/v1/namespaces/{ns}/hint_cache_warm",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_warm,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_READ,
     .scope = SCOPE_PATH,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "POST",
     .pattern = "/v2/namespaces/{ns}",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_write,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_WRITE,
     .scope = SCOPE_PATH_AND_BODY,
     .price = PRICE_TEXTS,
     .body = BODY_LARGE},
    {.method = "DELETE",
     .pattern = "/v2/namespaces/{ns}",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_delete,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_WRITE,
     .scope = SCOPE_PATH,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "PATCH",
     .pattern = "/v1/namespaces/{ns}/metadata",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_change_metadata,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_WRITE,
     .scope = SCOPE_PATH,
     .price = PRICE_FREE,
     .body = BODY_KEPT},
    {.method = "POST",
     .pattern = "/v1/namespaces/{ns}/schema",
     .dialect = &api_turbopuffer,
     .handler = turbopuffer_change_schema,
     .flags = ROUTE_BLOCKS | ROUTE_PACKS,
     .right = RIGHT_TO_WRITE,
     .scope = SCOPE_PATH,
     .price = PRICE_FREE,
     .body = BODY_KEPT},
    {.method = "POST",
     .pattern = "/v1/indexes",
     .dialect = &api_faiss,
     .handler = faiss_open,
     .flags = ROUTE_BLOCKS,
     .right = RIGHT_TO_WRITE,
     .scope = SCOPE_EVERYTHING,
     .price = PRICE_FREE,
     .body = BODY_KEPT},
    {.method = "GET",
     .pattern = "/v1/indexes",
     .dialect = &api_faiss,
     .handler = faiss_list,
     .flags = ROUTE_BLOCKS,
     .right = RIGHT_TO_READ,
     .scope = SCOPE_LIST,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "GET",
     .pattern = "/v1/indexes/{name}",
     .dialect = &api_faiss,
     .handler = faiss_describe,
     .flags = ROUTE_BLOCKS,
     .right = RIGHT_TO_READ,
     .scope = SCOPE_PATH,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "DELETE",
     .pattern = "/v1/indexes/{name}",
     .dialect = &api_faiss,
     .handler = faiss_close,
     .flags = ROUTE_BLOCKS,
     .right = RIGHT_TO_WRITE,
     .scope = SCOPE_PATH,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "POST",
     .pattern = "/v1/indexes/{name}/search",
     .dialect = &api_faiss,
     .handler = faiss_search_index,
     .flags = ROUTE_BLOCKS,
     .right = RIGHT_TO_READ,
     .scope = SCOPE_PATH,
     .price = PRICE_TEXTS,
     .body = BODY_KEPT},
    {.method = "POST",
     .pattern = "/admin/models/reload",
     .dialect = &api_admin,
     .handler = admin_reload_models,
     .flags = ROUTE_BLOCKS,
     .right = RIGHT_TO_ADMIN,
     .scope = SCOPE_NOTHING,
     .price = PRICE_FREE,
     .body = BODY_KEPT},
    {.method = "GET",
     .pattern = "/health",
     .dialect = &api_fastembed,
     .handler = handle_health,
     .right = RIGHT_OF_WATCHER,
     .scope = SCOPE_NOTHING,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "GET",
     .pattern = "/health/live",
     .dialect = &api_fastembed,
     .handler = handle_live,
     .right = RIGHT_OF_WATCHER,
     .scope = SCOPE_NOTHING,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "GET",
     .pattern = "/health/ready",
     .dialect = &api_fastembed,
     .handler = handle_ready,
     .right = RIGHT_OF_WATCHER,
     .scope = SCOPE_NOTHING,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "GET",
     .pattern = "/metrics",
     .dialect = &api_fastembed,
     .handler = handle_metrics,
     .right = RIGHT_OF_WATCHER,
     .scope = SCOPE_NOTHING,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "GET",
     .pattern = "/",
     .dialect = &api_fastembed,
     .handler = handle_page,
     .right = RIGHT_OF_ANYONE,
     .scope = SCOPE_NOTHING,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
    {.method = "GET",
     .pattern = "/assets/{file}",
     .dialect = &api_fastembed,
     .handler = handle_page,
     .right = RIGHT_OF_ANYONE,
     .scope = SCOPE_NOTHING,
     .price = PRICE_FREE,
     .body = BODY_DROPPED},
};
const size_t ROUTE_COUNT = sizeof ROUTES / sizeof ROUTES[0];

/* ---- checking the table ----------------------------------------------------------------------------- */

/* Returns the first fault of a route, or NULL. */
static const char *fault_of(const struct route *r)
{
    const bool names = r->right == RIGHT_TO_READ || r->right == RIGHT_TO_WRITE;
    const bool by_path = r->scope == SCOPE_PATH || r->scope == SCOPE_PATH_AND_BODY;
    if (!r->method || !r->pattern || !r->handler)
        return "no method, pattern or handler";
    if (!r->dialect)
        return "no dialect";
    if (r->right == RIGHT_FORGOTTEN)
        return "no right";
    if (r->scope == SCOPE_FORGOTTEN)
        return "no scope";
    if (r->price == PRICE_FORGOTTEN)
        return "no price";
    if (r->body == BODY_FORGOTTEN)
        return "no rule for its body";
    if (names == (r->scope == SCOPE_NOTHING))
        return names ? "a right over names, but no scope" : "a scope, but no right over names";
    if (by_path && !strchr(r->pattern, '{'))
        return "a scope that its path does not name";
    if (r->price == PRICE_TEXTS && r->right < RIGHT_TO_EMBED)
        return "a price, but no right";
    if (r->body >= BODY_KEPT && r->right < RIGHT_OF_KEY)
        return "a body that is kept for clients without a key";
    if (r->body == BODY_LARGE && !(r->flags & ROUTE_BLOCKS))
        return "a large body, but no request thread";
    return NULL;
}

enum dp_status route_check(const struct route *route, struct dp_error *error)
{
    const char *fault = fault_of(route);
    if (!fault)
        return DP_OK;
    return dp_fail(error, DP_INVALID, "the route %s %s has %s", route->method ? route->method : "?",
                   route->pattern ? route->pattern : "?", fault);
}

enum dp_status routes_check(struct dp_error *error)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < ROUTE_COUNT && status == DP_OK; i++)
        status = route_check(&ROUTES[i], error);
    return status;
}

/* ---- finding ----------------------------------------------------------------------------------------- */

/* Removes the part before the next '/' from `rest` and returns it. Drops the '/'. */
static struct span next_part(struct span *rest)
{
    const uint8_t *slash = rest->len ? memchr(rest->data, '/', rest->len) : NULL;
    size_t len = slash ? (size_t)(slash - rest->data) : rest->len;
    struct span part = span_of(rest->data, len);
    *rest = slash ? span_of(slash + 1, rest->len - len - 1) : span_of(rest->data + rest->len, 0);
    return part;
}

static size_t count_slashes(struct span path)
{
    size_t count = 0;
    for (size_t i = 0; i < path.len; i++)
        count += path.data[i] == '/';
    return count;
}

/* Returns whether the path matches the pattern. Sets raw[] to the parts in place of the pattern's {…}. */
static bool pattern_fits(const char *pattern, struct span path, struct span raw[HTTP_ARGS_MAX], size_t *count)
{
    struct span wanted = span_str(pattern);
    *count = 0;
    if (count_slashes(wanted) != count_slashes(path))
        return false;
    while (wanted.len || path.len) {
        struct span form = next_part(&wanted), part = next_part(&path);
        if (form.len && form.data[0] == '{') {
            if (part.len == 0 || *count == HTTP_ARGS_MAX)
                return false;
            raw[(*count)++] = part;
        } else if (!span_equal(form, part)) {
            return false;
        }
    }
    return true;
}

/* Counts the leading parts that path and pattern have in common. */
static size_t common_parts(const char *pattern, struct span path)
{
    struct span wanted = span_str(pattern);
    size_t count = 0;
    next_part(&wanted), next_part(&path); /* skips the empty part before the first slash */
    while (wanted.len && path.len) {
        struct span form = next_part(&wanted), part = next_part(&path);
        if (form.data[0] != '{' && !span_equal(form, part))
            break;
        count++;
    }
    return count;
}

const struct route *route_below(struct span base)
{
    for (size_t i = 0; base.len && i < ROUTE_COUNT; i++)
        if (common_parts(ROUTES[i].pattern, base) == count_slashes(base))
            return &ROUTES[i];
    return NULL;
}

/* Returns the dialect for an unknown path: that of the routes that share most leading parts with it. If these
 * routes differ, returns api_fastembed. */
static const struct api_dialect *dialect_of(struct span path)
{
    const struct api_dialect *found = &api_fastembed;
    size_t most = 0;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        size_t common = common_parts(ROUTES[i].pattern, path);
        if (common > most)
            found = ROUTES[i].dialect;
        else if (common == most && found != ROUTES[i].dialect)
            found = &api_fastembed;
        most = common > most ? common : most;
    }
    return found;
}

static bool method_fits(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* Returns the Allow header of a path, or NULL when out of memory. */
static const char *methods_of(struct span path, struct arena *arena)
{
    struct span raw[HTTP_ARGS_MAX];
    size_t count;
    const char *allow = "";
    for (size_t i = 0; allow && i < ROUTE_COUNT; i++)
        if (pattern_fits(ROUTES[i].pattern, path, raw, &count))
            allow = arena_printf(arena, "%s%s, ", allow,
                                 strcmp(ROUTES[i].method, "GET") == 0 ? "GET, HEAD" : ROUTES[i].method);
    return allow ? arena_printf(arena, "%sOPTIONS", allow) : NULL;
}

enum route_found route_find(const char *method, struct span path, struct arena *arena, struct route_match *out)
{
    struct span raw[HTTP_ARGS_MAX];
    size_t count;
    const struct route *path_fits = NULL;
    *out = (struct route_match){.dialect = dialect_of(path)};
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &ROUTES[i];
        if (!pattern_fits(route->pattern, path, raw, &count))
            continue;
        path_fits = route;
        if (!method_fits(route, method))
            continue;
        out->route = route;
        out->dialect = route->dialect;
        for (size_t arg = 0; arg < count; arg++) {
            enum dp_status status = http_percent_decode(raw[arg], false, arena, &out->args[arg]);
            if (status != DP_OK)
                return status == DP_NOMEM ? ROUTE_NOMEM : ROUTE_BAD_PATH;
        }
        return ROUTE_FOUND;
    }
    if (!path_fits)
        return ROUTE_NO_PATH;
    out->dialect = path_fits->dialect;
    out->allow = methods_of(path, arena);
    return out->allow ? ROUTE_NO_METHOD : ROUTE_NOMEM;
}
