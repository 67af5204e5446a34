/* route_hint.c: compares the parts of a path with those of all patterns. */
#include "server/route_hint.h"

#include <string.h>
#include <strings.h>

enum { PARTS_MAX = 8, PATH_MAX_BYTES = 200 };

struct path_parts {
    struct span part[PARTS_MAX];
    size_t count;
};

/* Splits a path into its non-empty parts. Returns false when it has more than PARTS_MAX. */
static bool split_parts(struct span path, struct path_parts *out)
{
    out->count = 0;
    for (size_t at = 0; at < path.len;) {
        size_t end = at;
        while (end < path.len && path.data[end] != '/')
            end++;
        if (end > at && out->count == PARTS_MAX)
            return false;
        if (end > at)
            out->part[out->count++] = span_of(path.data + at, end - at);
        at = end + 1;
    }
    return true;
}

/* Returns whether the path's parts from `path_skipped` on match the pattern's parts from `skipped` on.
 * Ignores case. At least one of the pattern's parts must be a word, not a {…}. */
static bool parts_fit(const struct path_parts *pattern, size_t skipped, const struct path_parts *path,
                      size_t path_skipped)
{
    bool alike = false;
    if (pattern->count <= skipped || pattern->count - skipped != path->count - path_skipped)
        return false;
    for (size_t i = 0; i < path->count - path_skipped; i++) {
        const struct span form = pattern->part[skipped + i], part = path->part[path_skipped + i];
        if (form.data[0] == '{')
            continue;
        if (form.len != part.len || strncasecmp((const char *)form.data, (const char *)part.data, form.len) != 0)
            return false;
        alike = true;
    }
    return alike;
}

static const char *path_of(const struct path_parts *pattern, const struct path_parts *path, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; text && i < pattern->count; i++) {
        const bool named = pattern->part[i].data[0] == '{';
        const struct span part = named ? path->part[path->count + i - pattern->count] : pattern->part[i];
        text = arena_printf(arena, "%s/%.*s", text, SPAN_FMT(part));
    }
    return text;
}

/* How the path differs from the pattern; a higher number is a worse match. */
enum way { WAY_SPELLING, WAY_LACKS_FIRST, WAY_HAS_ONE_MORE, WAYS };

static bool differs_so(enum way way, const struct path_parts *pattern, const struct path_parts *path)
{
    switch (way) {
    case WAY_SPELLING: return parts_fit(pattern, 0, path, 0);
    case WAY_LACKS_FIRST: return parts_fit(pattern, 1, path, 0);
    case WAY_HAS_ONE_MORE: return path->count > 0 && parts_fit(pattern, 0, path, 1);
    case WAYS: break;
    }
    return false;
}

bool route_hint(const char *method, struct span path, struct arena *arena, struct route_hint *out)
{
    struct path_parts parts, pattern, found = {.count = 0};
    *out = (struct route_hint){.route = NULL};
    if (path.len > PATH_MAX_BYTES || !split_parts(path, &parts) || parts.count == 0)
        return false;
    for (int any_method = 0; any_method < 2 && !out->route; any_method++)
        for (enum way way = WAY_SPELLING; way < WAYS && !out->route; way++)
            for (size_t i = 0; i < ROUTE_COUNT && !out->route; i++) {
                if ((!any_method && strcmp(ROUTES[i].method, method) != 0) ||
                    !split_parts(span_str(ROUTES[i].pattern), &pattern) || !differs_so(way, &pattern, &parts))
                    continue;
                found = pattern;
                out->route = &ROUTES[i];
            }
    if (out->route)
        out->path = path_of(&found, &parts, arena);
    return out->path != NULL;
}
