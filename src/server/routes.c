/* routes.c: the table of routes, and finding one. */
#include "server/routes.h"

#include <string.h>

#include "server/handlers.h"

const struct route ROUTES[] = {
    {"POST", "/v1/embed", &api_fastembed, fastembed_embed, ROUTE_BLOCKS | ROUTE_EMBEDS, fastembed_embed_cached,
     ACCESS_EMBED},
    {"POST", "/v1/embed/batch", &api_fastembed, fastembed_embed, ROUTE_BLOCKS | ROUTE_EMBEDS,
     fastembed_embed_cached, ACCESS_EMBED},
    {"POST", "/v1/embeddings", &api_openai, openai_embeddings, ROUTE_BLOCKS | ROUTE_EMBEDS,
     openai_embeddings_cached, ACCESS_EMBED},
    {"GET", "/v1/models", &api_openai, openai_models, 0, NULL, ACCESS_KEY},
    {"GET", "/v1/models/{model}", &api_openai, openai_model, 0, NULL, ACCESS_KEY},
    {"POST", "/v2/namespaces/{ns}/query", &api_turbopuffer, turbopuffer_query, ROUTE_BLOCKS, NULL, ACCESS_READ},
    {"GET", "/v1/namespaces", &api_turbopuffer, turbopuffer_namespaces, ROUTE_BLOCKS, NULL, ACCESS_READ},
    {"GET", "/v1/namespaces/{ns}/metadata", &api_turbopuffer, turbopuffer_metadata, ROUTE_BLOCKS, NULL,
     ACCESS_READ},
    {"GET", "/v2/namespaces/{ns}/metadata", &api_turbopuffer, turbopuffer_metadata, ROUTE_BLOCKS, NULL,
     ACCESS_READ},
    {"GET", "/v1/namespaces/{ns}/schema", &api_turbopuffer, turbopuffer_schema, ROUTE_BLOCKS, NULL, ACCESS_READ},
    {"GET", "/v2/namespaces/{ns}/schema", &api_turbopuffer, turbopuffer_schema, ROUTE_BLOCKS, NULL, ACCESS_READ},
    {"GET", "/v1/namespaces/{ns}/hint_cache_warm", &api_turbopuffer, turbopuffer_warm, ROUTE_BLOCKS, NULL,
     ACCESS_READ},
    {"POST", "/v2/namespaces/{ns}", &api_turbopuffer, turbopuffer_write, 0, NULL, ACCESS_WRITE},
    {"POST", "/v1/indexes", &api_faiss, faiss_open, ROUTE_BLOCKS, NULL, ACCESS_WRITE},
    {"GET", "/v1/indexes", &api_faiss, faiss_list, ROUTE_BLOCKS, NULL, ACCESS_READ},
    {"GET", "/v1/indexes/{ns}", &api_faiss, faiss_describe, ROUTE_BLOCKS, NULL, ACCESS_READ},
    {"DELETE", "/v1/indexes/{ns}", &api_faiss, faiss_close, ROUTE_BLOCKS, NULL, ACCESS_WRITE},
    {"POST", "/v1/indexes/{ns}/search", &api_faiss, faiss_search_index, ROUTE_BLOCKS, NULL, ACCESS_READ},
    {"GET", "/health", &api_fastembed, handle_health, 0, NULL, ACCESS_WATCH},
    {"GET", "/health/live", &api_fastembed, handle_live, 0, NULL, ACCESS_WATCH},
    {"GET", "/health/ready", &api_fastembed, handle_ready, 0, NULL, ACCESS_WATCH},
    {"GET", "/metrics", &api_fastembed, handle_metrics, 0, NULL, ACCESS_WATCH},
    {"GET", "/", &api_fastembed, handle_page, 0, NULL, ACCESS_OPEN},
    {"GET", "/assets/{file}", &api_fastembed, handle_page, 0, NULL, ACCESS_OPEN},
};
const size_t ROUTE_COUNT = sizeof ROUTES / sizeof ROUTES[0];

/* Takes the part of `rest` up to the next '/', which is dropped. */
static struct span next_part(struct span *rest)
{
    const uint8_t *slash = rest->len ? memchr(rest->data, '/', rest->len) : NULL;
    size_t len = slash ? (size_t)(slash - rest->data) : rest->len;
    struct span part = span_of(rest->data, len);
    *rest = slash ? span_of(slash + 1, rest->len - len - 1) : span_of(rest->data + rest->len, 0);
    return part;
}

/* Whether the path has the pattern's form; raw[] gets what stands for its {…}. */
static bool fits(const char *pattern, struct span path, struct span raw[HTTP_ARGS_MAX], size_t *count)
{
    struct span wanted = span_str(pattern);
    size_t slashes = 0;
    *count = 0;
    for (size_t i = 0; i < wanted.len; i++)
        slashes += wanted.data[i] == '/';
    for (size_t i = 0; i < path.len; i++)
        slashes -= path.data[i] == '/';
    if (slashes != 0)
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

/* Whose clients use paths of this kind. */
static const struct api_dialect *dialect_of(struct span path)
{
    if (span_starts_with(path, span_str("/v1/namespaces")) || span_starts_with(path, span_str("/v2/")))
        return &api_turbopuffer;
    if (span_starts_with(path, span_str("/v1/indexes")))
        return &api_faiss;
    if (span_starts_with(path, span_str("/v1/embeddings")) || span_starts_with(path, span_str("/v1/models")))
        return &api_openai;
    return &api_fastembed;
}

static bool method_fits(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* The methods that a path answers, as an Allow header says them; NULL when out of memory. */
static const char *methods_of(struct span path, struct arena *arena)
{
    struct span raw[HTTP_ARGS_MAX];
    size_t count;
    const char *allow = "";
    for (size_t i = 0; allow && i < ROUTE_COUNT; i++)
        if (fits(ROUTES[i].pattern, path, raw, &count))
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
        if (!fits(route->pattern, path, raw, &count))
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
