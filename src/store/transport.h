/* store/transport.h: HTTP for the remote stores: rounds of requests in parallel, over libcurl.
 *
 * A transport owns one loop thread that moves bytes and nothing else: it reuses connections, keeps at most
 * `per_host` requests in flight to each host and lets later ones wait in line. Whatever decides or computes
 * (signing, judging an answer, backing off) runs on the thread that called transport_run, which blocks there until every
 * request of its round has ended, its deadline has passed or it was cancelled.
 *
 * Patient are PUT, POST and DELETE, and the requests of patient calls: a load of hours outlasts a store that restarts,
 * while whoever asks for something at a wrong address is told at once.
 *
 * A request is tried again as `struct transport_options` says after 5xx, 429, 408, resets, stalls and truncated
 * bodies. A read resumes where it broke off, pinned to the version that it began with: bytes of two versions
 * never mix. A GET whose answer has not begun when 95 of 100 recent ones would have is sent a second time, up to one
 * such "hedge" for 20 GETs, on connections of their own; the first complete answer counts. Redirects are answers like any other. Certificates are checked. Secrets in URLs (userinfo, query)
 * appear in no message.
 *
 * Any number of threads may run rounds over one transport.
 */
#ifndef STORE_TRANSPORT_H
#define STORE_TRANSPORT_H

#include "store/store.h"
#include "store/trust.h"

struct transport;

/* 0 or NULL means the default that stands behind each. */
struct transport_options {
    unsigned per_host;           /* requests in flight to one host: 128 */
    unsigned connect_timeout_ms; /* resolving, TCP and TLS together: 10,000 */
    unsigned stall_ms;           /* a try must move stall_bytes in each window of this length: 20,000 */
    unsigned stall_bytes;        /* 1,024 */
    unsigned tries;              /* of one request: 10; of a patient one: what retry_total_ms allows */
    unsigned connect_tries;      /* of these, while no connection could be made at all: 4; as well */
    unsigned retry_base_ms;      /* the first wait is random up to this, each later one up to twice as long: 100 */
    unsigned retry_cap_ms;       /* and never longer than: 10,000 (a Retry-After may ask for up to 30,000) */
    unsigned retry_total_ms;     /* no try begins later than this after the first: 60,000 */
    unsigned hedge_floor_ms;     /* a GET is never thought slow before: 50 */
    unsigned hedge_after;        /* answers that must have come before any GET is thought slow: 200 */
    bool no_hedges;              /* see below */
    struct trust_settings trust; /* whose certificates: the system's */
    bool direct;      /* no proxy, whatever the environment says: for what is on this host or beside it */
    bool public_only; /* connects to public addresses alone, whatever names resolve to, and through no
                                  * proxy; DP_DENIED otherwise. For URLs that strangers give */
};

enum dp_status transport_new(const struct transport_options *options, struct transport **out,
                             struct dp_error *error);
/* Another owner of the same transport. */
struct transport *transport_retain(struct transport *transport);
/* The last owner ends it; no round may be running. NULL is fine. */
void transport_free(struct transport *transport);

/* Adds dipper_store_http_* to a registry whose last printing comes before the transport's end. */
enum dp_status transport_add_metrics(const struct transport *transport, struct metric_registry *registry,
                                     struct dp_error *error);

/* ---- requests --------------------------------------------------------------------------------------- */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_DELETE };

struct http_header {
    struct span name, value;
};

enum { HTTP_LEN_TO_END = -1 };

/* What becomes of a complete answer. */
enum http_verdict {
    HTTP_AS_USUAL, /* final, unless its status is 408, 429 or 5xx (but 501 and 505) */
    HTTP_FINAL,    /* the request has ended, with DP_OK and this answer */
    HTTP_RETRY,    /* try again after a wait */
    HTTP_RETRY_ONCE, /* try again at once, if this was the first answer that was judged so: what prepare uses was stale */
};

struct http_try; /* one try of a request, while it is prepared */

struct http_request {
    /* ---- in; all spans live until transport_run returns ---- */
    enum http_method method;
    struct span url;                   /* http:// or https://, percent-encoded; sent as it is */
    const struct http_header *headers; /* on every try */
    size_t header_count;
    struct span body; /* PUT, POST */

    bool ranged; /* GET: asks for `len` bytes from `offset` with a Range header */
    uint64_t offset;
    int64_t len;          /* ≥ 1, or HTTP_LEN_TO_END */
    struct span if_match; /* GET, HEAD: the ETag (with its quotes) that the object must have: DP_STALE otherwise */

    uint8_t *into; /* GET: where the bytes of a 200 or 206 go, room for into_len; NULL: a block of their own */
    size_t into_len;
    uint64_t max_body; /* of a 2xx answer, in bytes; more is DP_TOO_LARGE. 0: 16 MiB, or the range's length */

    /* Not to be done twice: a conditional write, the begin of an upload. See `maybe_landed`. */
    bool once;

    /* Called before each try, to add headers with http_try_header or to change the URL; may block. NULL: none.
     * Its failure ends the request. */
    enum dp_status (*prepare)(struct call *call, struct http_request *req, struct http_try *attempt);
    /* Called for each complete answer: `code`, `bytes`, `head` and what was parsed from it are set. NULL: as usual. */
    enum http_verdict (*inspect)(struct call *call, struct http_request *req);
    void *ctx; /* for prepare and inspect */

    /* For an answer that takes the store long to work out: a byte in each window of this length is enough, in place of the
     * options' stall_ms and stall_bytes. 0: these. */
    unsigned slow_ms;

    const struct trust *trust; /* for https, in place of the transport's; NULL: that */

    /* ---- out ---- */
    enum dp_status status; /* DP_OK: a complete answer came, whatever its code. See transport_run. */
    struct dp_error error;
    int code;                 /* of the last answer, 0: none came */
    struct store_bytes bytes; /* its body; the caller releases it. Of an answer that is no 2xx: the first 64 KiB */
    uint64_t body_len;        /* bytes received, also those in `into` */
    struct span head;         /* header lines of the answer, in the call's arena; see http_head_find */
    struct span etag;         /* as sent, weak ones with W/; len 0: none. Lies in `head`, as does the next */
    struct span last_modified;
    uint64_t size; /* of the whole object, as far as a 200, 206, 416 or a HEAD's answer tells */
    bool size_known;
    unsigned sent;     /* how many times a try went out */
    bool maybe_landed; /* an earlier try was sent and had no clear answer, so it may have been carried out: a
                         * 412 may then speak of our own write */
};

/* Adds a header to this try; one of the same name (in any case) in `headers` is not sent. Header values must not
 * hold line ends: DP_INVALID. */
enum dp_status http_try_header(struct http_try *attempt, const char *name, struct span value,
                               struct dp_error *error);
/* This try goes to another URL. */
enum dp_status http_try_url(struct http_try *attempt, struct span url, struct dp_error *error);

/* Runs n requests side by side and returns when all have ended. Counts the requests that were sent and the body bytes
 * of 2xx answers in call->cost, not the round. Statuses of a request:
 *   DP_OK           a complete answer that is not to be retried
 *   DP_STALE        the object does not have the ETag of if_match (also for an answer 412)
 *   DP_UNAVAILABLE  it failed after as many tries as allowed
 *   DP_UNKNOWN      in place of each other failure, for a PUT, DELETE or `once` request with a try that may have been
 *                   carried out
 *   DP_IO           the peer breaks the rules: no HTTP, a wrong Content-Range, an untrusted certificate
 *   DP_UNSUPPORTED  the server answers a range with the whole of a larger object
 *   DP_TOO_LARGE    the answer exceeds a limit
 *   DP_INVALID      no URL that can be asked; DP_DEADLINE, DP_CANCELLED, DP_NOMEM
 * The answer is DP_OK when every request is DP_OK, else the first failure's status with its error in the call. */
enum dp_status transport_run(struct call *call, struct transport *transport, struct http_request *reqs, size_t n);
/* Releases the bodies of n requests. */
void http_request_release(struct http_request *reqs, size_t n);

/* ---- heads of answers (http/head.c) ------------------------------------------------------------------ */

/* The value of the first header line of that name (in any case), trimmed; .data is NULL when there is none. */
struct span http_head_find(struct span head, const char *name);

/* "bytes 0-99/1000", "bytes * /1000" (without the blank). */
struct http_content_range {
    uint64_t first, last; /* inclusive; only with has_range */
    uint64_t size;        /* only with has_size ("*" otherwise) */
    bool has_range, has_size;
};
/* False when `value` is none of the forms of RFC 9110 §14.4, or not in bytes. */
bool http_content_range_parse(struct span value, struct http_content_range *out);
/* Seconds from `now` (Unix seconds) that a Retry-After asks to wait: a number, or an IMF-fixdate; false when
 * neither. */
bool http_retry_after_parse(struct span value, int64_t now, uint64_t *seconds);
/* Whether the ETag is a strong one: quoted, no W/, no control character. */
bool http_etag_is_strong(struct span etag);

#endif
