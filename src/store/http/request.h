/* store/http/request.h: one request to a remote store. A store fills it in and hands it to transport_run (run.h).
 *
 * The store sets the fields of the first half; transport_run sets those of the second. The thread that runs a
 * request owns it.
 */
#ifndef STORE_HTTP_REQUEST_H
#define STORE_HTTP_REQUEST_H

#include "store/store.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_DELETE };

struct transport_header {
    struct span name, value;
};

enum { HTTP_LEN_TO_END = -1 };

/* A store's verdict on a complete answer. */
enum http_verdict {
    HTTP_AS_USUAL, /* like HTTP_RETRY for the codes 408, 429 and 5xx except 501 and 505; else like HTTP_FINAL */
    HTTP_FINAL,    /* the request ends with DP_OK and this answer */
    HTTP_RETRY,    /* try again after a wait */
    /* Try again at once, because `prepare` used something out of date. The second such answer to a request is
     * final. */
    HTTP_RETRY_ONCE
};

struct http_try; /* one try of a request, while it is prepared (store/http/try.h) */

struct transport_request {
    /* ---- in; all spans live until transport_run returns ---- */
    enum http_method method;
    struct span url;                        /* http:// or https://, percent-encoded; sent as it is */
    const struct transport_header *headers; /* every try sends them */
    size_t header_count;
    struct span body; /* PUT, POST */

    bool ranged; /* GET: asks for `len` bytes from `offset` with a Range header */
    uint64_t offset;
    int64_t len; /* ≥ 1, or HTTP_LEN_TO_END */
    /* GET, HEAD: the ETag (with its quotes) that the object must have, else the request fails with DP_STALE. */
    struct span if_match;
    /* The header of answers that holds the object's version, in place of the ETag; then `if_match` is the version
     * that the answer must show, and the URL holds the condition that the store checks. NULL: the ETag. */
    const char *version_header;

    /* GET: gets the bytes of a 200 or 206; has room for into_len bytes. NULL: the transport makes a block. */
    uint8_t *into;
    size_t into_len;
    /* maximum bytes of a 2xx answer, else DP_TOO_LARGE; 0: the length of the range, or 16 MiB without a range */
    uint64_t max_body;

    /* The store must not carry out the request twice: a conditional write, or the completion of an upload. See
     * `maybe_landed`. */
    bool once;

    /* transport_run calls `prepare` before each try. It may add headers (http_try_header), change the URL
     * (http_try_url) and block. Its failure ends the request. NULL: no preparation. */
    enum dp_status (*prepare)(struct call *call, struct transport_request *req, struct http_try *attempt);
    /* transport_run calls `inspect` for each complete answer, with the outputs below set. NULL: HTTP_AS_USUAL. */
    enum http_verdict (*inspect)(struct call *call, struct transport_request *req);
    void *ctx; /* for prepare and inspect */

    /* For an answer that the store prepares slowly: a try stalls only if no byte arrives within slow_ms
     * milliseconds. 0: the options' stall_ms and stall_bytes decide. */
    unsigned slow_ms;

    const struct trust *trust; /* certificates to trust for https; NULL: those of the transport */

    /* ---- out ---- */
    enum dp_status status; /* DP_OK: a complete answer came, whatever its code. See transport_run. */
    struct dp_error error;
    int code;                 /* of the last answer; 0: none came */
    struct store_bytes bytes; /* the body, which the caller releases; at most 64 KiB if the answer is not 2xx */
    uint64_t body_len;        /* bytes of the body that arrived, also those in `into` */
    struct span head;         /* header lines of the answer, in the call's arena; see http_head_find */
    struct span etag; /* in `head`: the version_header, or the ETag as sent (a weak one with W/); len 0: none */
    struct span last_modified; /* in `head` */
    /* of the whole object; known if a 200, a 206, a 416 or the answer to a HEAD says it */
    uint64_t size;
    bool size_known;
    unsigned sent; /* number of times that the request was sent */
    /* An earlier try was sent and got no clear answer, so the store may have carried it out. Then a 412 may come
     * from our own write. */
    bool maybe_landed;
    bool unasked; /* a server refused to be asked before the body comes (417), so later tries do not ask */
};

#endif
