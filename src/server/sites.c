/* sites.c: judges the headers Host, Origin and Sec-Fetch-*, and writes those of CORS
 * (https://fetch.spec.whatwg.org/#http-cors-protocol). */
#include "server/sites.h"

#include <string.h>

#include "os/address.h"

enum { REQUESTED_HEADERS_MAX = 2048, HOST_TEXT_MAX = 64 };

/* Removes the first word from *rest and returns it; length 0: there is none. */
static struct span next_word(const char **rest)
{
    static const char separators[] = " \t,";
    const char *begin = *rest + strspn(*rest, separators);
    const size_t len = strcspn(begin, separators);
    *rest = begin + len;
    return span_of(begin, len);
}

static bool ends_ignoring_case(struct span text, struct span end)
{
    return text.len > end.len && span_equal_ignoring_case(span_of(text.data + text.len - end.len, end.len), end);
}

/* ---- the name of this server ------------------------------------------------------------------------ */

/* Returns a host without its port: "a.example" of "a.example:8000", "::1" of "[::1]:8000". */
static struct span without_port(struct span host)
{
    if (host.len && host.data[0] == '[') {
        const uint8_t *end = memchr(host.data, ']', host.len);
        return end ? span_of(host.data + 1, (size_t)(end - host.data) - 1) : host;
    }
    const uint8_t *colon = host.len ? memchr(host.data, ':', host.len) : NULL;
    return colon ? span_of(host.data, (size_t)(colon - host.data)) : host;
}

static bool is_address(struct span name)
{
    char text[HOST_TEXT_MAX];
    if (name.len >= sizeof text)
        return false;
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    return os_is_address(text);
}

static bool is_localhost(struct span name)
{
    return span_equal_ignoring_case(name, span_str("localhost")) ||
           ends_ignoring_case(name, span_str(".localhost"));
}

static bool is_allowed_name(const char *allowed, struct span name)
{
    for (struct span word = next_word(&allowed); word.len; word = next_word(&allowed)) {
        const bool below = word.len > 2 && word.data[0] == '*' && word.data[1] == '.';
        if (span_equal_str(word, "*") || span_equal_ignoring_case(word, name) ||
            (below && ends_ignoring_case(name, span_of(word.data + 1, word.len - 1))))
            return true;
    }
    return false;
}

bool site_knows_host(const struct site_rules *rules, const struct head *head)
{
    struct span name = without_port(head_value(head, "host"));
    if (!rules->checks_host || name.len == 0)
        return true;
    if (name.data[name.len - 1] == '.') /* the root of all names, which a client may write */
        name.len--;
    return is_address(name) || is_localhost(name) ||
           (rules->allowed_hosts && is_allowed_name(rules->allowed_hosts, name));
}

static bool is_host_rule(struct span word)
{
    if (span_equal_str(word, "*") || is_address(word))
        return true;
    if (word.len > 2 && word.data[0] == '*' && word.data[1] == '.')
        word = span_of(word.data + 2, word.len - 2);
    for (size_t i = 0; i < word.len; i++)
        if (strchr("*/:@?#[]", word.data[i]))
            return false;
    return true;
}

/* ---- pages of other sites ---------------------------------------------------------------------------- */

/* Whether pages of this origin may send requests. */
static bool permits_origin(const struct site_rules *rules, struct span origin)
{
    const char *rest = rules->cors_origin ? rules->cors_origin : "";
    for (struct span word = next_word(&rest); word.len; word = next_word(&rest))
        if (span_equal_str(word, "*") || (origin.len && span_equal_ignoring_case(word, origin)))
            return true;
    return false;
}

static bool is_origin_rule(struct span word)
{
    const struct span mark = span_str("://");
    const uint8_t *at = memmem(word.data, word.len, mark.data, mark.len);
    if (span_equal_str(word, "*") || span_equal_str(word, "null"))
        return true;
    const size_t begin = at ? (size_t)(at - word.data) + mark.len : word.len;
    for (size_t i = begin; i < word.len; i++)
        if (strchr("*/@?#", word.data[i]))
            return false;
    return at && at > word.data && begin < word.len;
}

enum dp_status site_rules_check(const struct site_rules *rules, struct dp_error *error)
{
    const char *origins = rules->cors_origin ? rules->cors_origin : "";
    const char *names = rules->allowed_hosts ? rules->allowed_hosts : "";
    for (struct span word = next_word(&origins); word.len; word = next_word(&origins))
        if (!is_origin_rule(word))
            return dp_fail(error, DP_INVALID,
                           "\"%.*s\" is no origin of --cors-origin: give scheme, host and perhaps port, as "
                           "https://site.example, without a path, or * for any",
                           SPAN_FMT(word));
    for (struct span word = next_word(&names); word.len; word = next_word(&names))
        if (!is_host_rule(word))
            return dp_fail(
                error, DP_INVALID,
                "\"%.*s\" is no name of --allowed-hosts: give a.example, *.a.example for all names below "
                "it, or * for any, without scheme and port",
                SPAN_FMT(word));
    return DP_OK;
}

/* Whether an origin, such as "http://127.0.0.1:8000", names the host that the client has called. A proxy may have
 * replaced Host, so an allowed name counts too. */
static bool is_own_origin(const struct site_rules *rules, const struct head *head, struct span origin)
{
    const struct span mark = span_str("://");
    const uint8_t *at = origin.len ? memmem(origin.data, origin.len, mark.data, mark.len) : NULL;
    if (!at)
        return false; /* "null": a page without an origin */
    const uint8_t *begin = at + mark.len;
    const struct span host = span_of(begin, origin.len - (size_t)(begin - origin.data));
    return span_equal_ignoring_case(host, head_value(head, "host")) ||
           (rules->allowed_hosts && is_allowed_name(rules->allowed_hosts, without_port(host)));
}

/* Whether a browser sends a POST with this head to any site without a preflight, as it does for forms. */
static bool is_simple_post(const struct head *head, struct span method)
{
    static const char *const types[] = {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"};
    struct span type = head_value(head, "content-type");
    const uint8_t *end = type.len ? memchr(type.data, ';', type.len) : NULL;
    type = span_trim(end ? span_of(type.data, (size_t)(end - type.data)) : type, " \t");
    bool simple = type.len == 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        simple = simple || span_equal_ignoring_case(type, span_str(types[i]));
    return simple && span_equal_str(method, "POST");
}

bool site_is_foreign(const struct site_rules *rules, const struct head *head, struct span method)
{
    const struct span site = head_value(head, "sec-fetch-site"), origin = head_value(head, "origin");
    if (permits_origin(rules, origin))
        return false;
    if (!site.data)
        return origin.data && is_simple_post(head, method) && !is_own_origin(rules, head, origin);
    if (span_equal_str(site, "same-origin") || span_equal_str(site, "none"))
        return false;
    /* A user may follow a link from any site, so a GET by navigation is not foreign. */
    return !span_equal_str(method, "GET") || !span_equal_str(head_value(head, "sec-fetch-mode"), "navigate");
}

/* ---- CORS --------------------------------------------------------------------------------------------- */

void site_add_cors(const struct site_rules *rules, const struct head *head, struct arena *arena,
                   struct http_response *response)
{
    const struct span origin = head_value(head, "origin");
    if (!rules->cors_origin)
        return;
    const bool any = permits_origin(rules, span_of(NULL, 0));
    if (!any)
        http_add_header(response, "Vary", "Origin"); /* a cache must not give one site's answer to another */
    if (any)
        http_add_header(response, "Access-Control-Allow-Origin", "*");
    else if (origin.len && permits_origin(rules, origin))
        http_add_header(response, "Access-Control-Allow-Origin", arena_printf(arena, "%.*s", SPAN_FMT(origin)));
    else
        return;
    http_add_header(response, "Access-Control-Expose-Headers",
                    "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, X-Request-Id, "
                    "Server-Timing, ETag, Idempotent-Replayed, X-Dipper-Truncated");
}

void site_add_preflight(const struct site_rules *rules, const struct head *head, struct arena *arena,
                        struct http_response *response)
{
    const struct span wanted = head_value(head, "access-control-request-headers");
    if (!rules->cors_origin || !permits_origin(rules, head_value(head, "origin")))
        return;
    http_add_header(response, "Access-Control-Allow-Methods", "GET, HEAD, POST, PATCH, DELETE, OPTIONS");
    /* Clients add headers of their own, such as X-Stainless-Lang, and "*" would leave out Authorization. So the
     * answer repeats what the browser asks for: no header of a request changes what a key may do. */
    http_add_header(
        response, "Access-Control-Allow-Headers",
        wanted.len && wanted.len <= REQUESTED_HEADERS_MAX
            ? arena_printf(arena, "%.*s", SPAN_FMT(wanted))
            : "Content-Type, Authorization, X-Api-Key, Api-Key, X-Request-Id, X-Request-Timeout, Idempotency-Key");
    http_add_header(response, "Access-Control-Max-Age", "86400");
    if (head_value(head, "access-control-request-private-network").data)
        http_add_header(response, "Access-Control-Allow-Private-Network", "true");
}
