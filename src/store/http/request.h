/* store/http/request.h: one request to a remote store, as a store asks it of the transport (store/http/run.h).
 *
 * The store fills the first half; transport_run fills the second. A request belongs to the thread that runs it.
 */
#ifndef STORE_HTTP_REQUEST_H
#define STORE_HTTP_REQUEST_H

#include "store/store.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_DELETE };

struct transport_header {
    struct span name, value;
};

enum { HTTP_LEN_TO_END = -1 };

/* What becomes of a complete answer. */
enum http_verdict {
    HTTP_AS_USUAL, /* final, unless its status is 408, 429 or 5xx (except 501 and 505) */
    HTTP_FINAL,    /* the request has ended, with DP_OK and this answer */
    HTTP_RETRY,    /* try again after a wait */
    /* Try again at once, because prepare used something stale; the second such answer of a request is final. */
    HTTP_RETRY_ONCE
};

struct http_try; /* one try of a request, while it is prepared (store/http/try.h) */

struct transport_request {
    /* ---- in; all spans live until transport_run returns ---- */
    enum http_method method;
    struct span url;                        /* http:// or https://, percent-encoded; sent as it is */
    const struct transport_header *headers; /* on every try */
    size_t header_count;
    struct span body; /* PUT, POST */

    bool ranged; /* GET: asks for `len` bytes from `offset` with a Range header */
    uint64_t offset;
    int64_t len; /* ≥ 1, or HTTP_LEN_TO_END */
    /* GET, HEAD: the ETag (with its quotes) that the object must have; DP_STALE otherwise. */
    struct span if_match;

    /* GET: where the bytes of a 200 or 206 go, with room for into_len; NULL: the transport makes a block. */
    uint8_t *into;
    size_t into_len;
    uint64_t max_body; /* of a 2xx answer, in bytes; more is DP_TOO_LARGE. 0: 16 MiB, or the range's length */

    /* Must not be done twice: a conditional write, or the begin of an upload. See `maybe_landed`. */
    bool once;

    /* Called before each try, to add headers by http_try_header or to change the URL by http_try_url; may block.
     * Its failure ends the request. NULL: none. */
    enum dp_status (*prepare)(struct call *call, struct transport_request *req, struct http_try *attempt);
    /* Called for each complete answer, with the outputs below set. NULL: HTTP_AS_USUAL. */
    enum http_verdict (*inspect)(struct call *call, struct transport_request *req);
    void *ctx; /* for prepare and inspect */

    /* For an answer that the store prepares slowly: one byte in each window of so many milliseconds is enough. 0:
     * the options' stall_ms and stall_bytes. */
    unsigned slow_ms;

    const struct trust *trust; /* for https; NULL: the transport's */

    /* ---- out ---- */
    enum dp_status status; /* DP_OK: a complete answer came, whatever its code. See transport_run. */
    struct dp_error error;
    int code;                  /* of the last answer; 0: none came */
    struct store_bytes bytes;  /* the body, which the caller releases; at most 64 KiB if the answer is not 2xx */
    uint64_t body_len;         /* bytes received, those in `into` included */
    struct span head;          /* header lines of the answer, in the call's arena; see http_head_find */
    struct span etag;          /* in `head`, as sent, weak ones with W/; len 0: none */
    struct span last_modified; /* in `head` */
    uint64_t size;             /* of the whole object, if a 200, a 206, a 416 or the answer to a HEAD tells it */
    bool size_known;
    unsigned sent; /* how many times a try went out */
    /* An earlier try was sent and had no clear answer, so the store may have carried it out. A 412 may then be the
     * effect of our own write. */
    bool maybe_landed;
};

#endif
