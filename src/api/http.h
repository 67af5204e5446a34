/* api/http.h: an HTTP exchange as plain structs, so that handlers are tested without sockets.
 *
 * The server fills a request and prints a response; a handler sees nothing of connections. Memory of both is
 * the call's arena, but the body, which has a buffer (and a maximum) of its own.
 */
#ifndef API_HTTP_H
#define API_HTTP_H

#include "base/buffer.h"
#include "os/call.h"

enum { HTTP_ARGS_MAX = 2, HTTP_HEADERS_MAX = 16, HTTP_RESPONSE_MAX = 256 << 20 };

struct http_request {
    const char *method;              /* "GET" */
    struct span path;                /* as it was sent, without the query */
    struct span query;               /* as it was sent, after the '?' */
    struct span body;                /* decoded */
    struct span args[HTTP_ARGS_MAX]; /* what stands for the {…} of the route's pattern, percent-decoded */
    /* A header by its lower-case name; data NULL: absent. */
    struct span (*header)(const void *ctx, const char *name);
    const void *header_ctx;
};

struct http_header {
    const char *name, *value; /* in the call's arena, or constants */
};

struct http_response {
    unsigned status;
    const char *content_type; /* NULL: no body */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t header_count;
    struct buffer body;
    struct span static_body; /* instead of `body`, when its data is not NULL: bytes that outlive the response */
    enum dp_status outcome;  /* for the log: why an error was answered */
    const char *error_code;  /* for metrics: the code in an error's body, a constant; NULL: its status's */
};

void http_response_init(struct http_response *response);
void http_response_deinit(struct http_response *response);
/* Back to an empty answer, keeping the memory of the body. */
void http_response_clear(struct http_response *response);
/* Ignored when there is no room: headers are never the answer itself. */
void http_add_header(struct http_response *response, const char *name, const char *value);

/* The value of a query parameter, percent-decoded into the arena; data NULL: absent. DP_INVALID when it is given
 * twice or is badly encoded; DP_NOMEM. */
enum dp_status http_query_arg(const struct http_request *request, struct arena *arena, const char *name,
                              struct span *out, struct dp_error *error);
/* Decodes %XX (and '+' as a space when `plus`) into the arena. DP_INVALID when malformed, DP_NOMEM. */
enum dp_status http_percent_decode(struct span text, bool plus, struct arena *arena, struct span *out);

/* The HTTP status that a failed call is answered with. */
unsigned http_status_of(enum dp_status status);

#endif
