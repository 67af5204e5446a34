/* http.c: responses, query parameters and the HTTP statuses of failures. */
#include "api/http.h"

#include <inttypes.h>
#include <stdint.h>

#include "base/url.h"

enum { NS_PER_S = 1000000000, RETRY_MAX_S = 600 };

void http_response_init(struct http_response *response)
{
    *response = (struct http_response){.status = 200};
    buffer_init(&response->body, HTTP_RESPONSE_MAX);
}

void http_response_deinit(struct http_response *response)
{
    buffer_deinit(&response->body);
}

void http_response_clear(struct http_response *response)
{
    struct buffer body = response->body;
    buffer_clear(&body);
    *response = (struct http_response){.status = 200, .body = body};
}

void http_add_header(struct http_response *response, const char *name, const char *value)
{
    if (value && response->header_count < HTTP_HEADERS_MAX)
        response->headers[response->header_count++] = (struct http_header){name, value};
}

void http_add_retry(struct http_response *response, struct arena *arena, int64_t wait_ns)
{
    const int64_t seconds = (wait_ns + NS_PER_S - 1) / NS_PER_S;
    http_add_header(response, "Retry-After",
                    seconds <= 1 ? "1"
                                 : arena_printf(arena, "%" PRId64, seconds < RETRY_MAX_S ? seconds : RETRY_MAX_S));
}

enum dp_status http_percent_decode(struct span text, bool plus, struct arena *arena, struct span *out)
{
    uint8_t *bytes = arena_alloc(arena, text.len ? text.len : 1);
    size_t len;
    if (!bytes)
        return DP_NOMEM;
    if (!percent_decode(text, plus, bytes, &len))
        return DP_INVALID;
    *out = span_of(bytes, len);
    return DP_OK;
}

enum dp_status http_query_arg(const struct http_request *request, struct arena *arena, const char *name,
                              struct span *out, struct dp_error *error)
{
    *out = span_of(NULL, 0);
    struct span rest = request->query;
    while (rest.len) {
        const uint8_t *end = memchr(rest.data, '&', rest.len);
        size_t len = end ? (size_t)(end - rest.data) : rest.len;
        struct span pair = span_of(rest.data, len);
        rest = end ? span_of(end + 1, rest.len - len - 1) : span_of(NULL, 0);
        const uint8_t *equals = len ? memchr(pair.data, '=', len) : NULL;
        size_t name_len = equals ? (size_t)(equals - pair.data) : len;
        if (!span_equal_str(span_of(pair.data, name_len), name))
            continue;
        if (out->data)
            return dp_fail(error, DP_INVALID, "the parameter \"%s\" is given twice", name);
        struct span value = equals ? span_of(equals + 1, len - name_len - 1) : span_of(pair.data, 0);
        enum dp_status status = http_percent_decode(value, true, arena, out);
        if (status == DP_NOMEM)
            return dp_fail_nomem(error, "a parameter");
        if (status != DP_OK)
            return dp_fail(error, DP_INVALID, "the parameter \"%s\" is badly encoded", name);
    }
    return DP_OK;
}

unsigned http_status_of(enum dp_status status)
{
    switch (status) {
    case DP_OK: return 200;
    case DP_INVALID:
    case DP_UNSUPPORTED: return 400;
    case DP_DENIED: return 403;
    case DP_NOT_FOUND: return 404;
    case DP_EXISTS:
    case DP_CONFLICT: return 409;
    case DP_TOO_LARGE: return 413;
    case DP_STALE:
    case DP_UNAVAILABLE:
    case DP_OVERLOADED:
    case DP_NOMEM: return 503;
    case DP_DEADLINE: return 504;
    case DP_FULL: return 507;
    case DP_CANCELLED: return 499; /* nobody reads it: the client has left */
    case DP_CORRUPT:
    case DP_IO:
    case DP_UNKNOWN:
    case DP_NOT_DURABLE: return 500;
    }
    return 500;
}
