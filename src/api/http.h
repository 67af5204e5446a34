/* api/http.h: an HTTP request and its response as plain structs, so that tests of handlers need no sockets.
 *
 * The server fills a request and sends a response; handlers know nothing of connections. Both lie in the call's arena,
 * except the bodies, whose buffers have a maximum.
 */
#ifndef API_HTTP_H
#define API_HTTP_H

#include "base/buffer.h"
#include "os/call.h"

enum { HTTP_ARGS_MAX = 2, HTTP_HEADERS_MAX = 16, HTTP_RESPONSE_MAX = 256 << 20 };

struct http_request {
    const char *method;              /* "GET" */
    struct span path;                /* as sent, without the query */
    struct span query;               /* as sent, after the '?' */
    struct span body;                /* decoded */
    struct span args[HTTP_ARGS_MAX]; /* the parts for {…} in the route's pattern, percent-decoded */
    /* Returns a header by its lower-case name; data NULL: absent. */
    struct span (*header)(const void *ctx, const char *name);
    const void *header_ctx;
};

struct http_header {
    const char *name, *value; /* constants, or in the call's arena */
};

struct http_response {
    unsigned status;
    const char *content_type; /* NULL: no body */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t header_count;
    struct buffer body;
    struct span static_body; /* data not NULL: replaces `body`; outlives the response */
    enum dp_status outcome;  /* for the log: the cause of an error */
    const char *error_code;  /* for metrics: the code in an error's body, a constant; NULL: that of the status */
};

void http_response_init(struct http_response *response);
void http_response_deinit(struct http_response *response);
/* Empties the response, but keeps the memory of its body. */
void http_response_clear(struct http_response *response);
/* Adds a header, or does nothing when there is no room or `value` is NULL. */
void http_add_header(struct http_response *response, const char *name, const char *value);

/* Adds the header Retry-After: in how many seconds a client that was refused should ask again, at least one. */
void http_add_retry(struct http_response *response, struct arena *arena, int64_t wait_ns);

/* Percent-decodes a query parameter into the arena; data NULL: absent. DP_INVALID: it is given twice or badly encoded;
 * DP_NOMEM. */
enum dp_status http_query_arg(const struct http_request *request, struct arena *arena, const char *name,
                              struct span *out, struct dp_error *error);
/* Decodes %XX into the arena, with `plus` also '+' as a space. DP_INVALID: malformed; DP_NOMEM. */
enum dp_status http_percent_decode(struct span text, bool plus, struct arena *arena, struct span *out);

/* The HTTP status of a failed call. */
unsigned http_status_of(enum dp_status status);

#endif
