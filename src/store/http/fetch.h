/* store/http/fetch.h: range fetches (store/ranges.h) as HTTP requests, for every store that speaks HTTP.
 *
 * A store of this kind reads with
 *     ranges_read(call, &limits, reqs, n, http_fetch, &source);
 * where `source` tells how its objects are asked for and what its errors mean.
 *
 * Versions: a strong ETag is one, as it is, and pinned with If-Match. Where the ETag is weak, absent or longer than a
 * version may be, Last-Modified and the size are ("~DATE;SIZE"), which no header pins: the answer is compared. An
 * object with neither cannot be read, since nobody could tell whether it changes.
 */
#ifndef STORE_HTTP_FETCH_H
#define STORE_HTTP_FETCH_H

#include "store/ranges.h"
#include "store/transport.h"
#include "store/http/request.h"

struct http_source {
    struct transport *transport;
    bool heads; /* a look is a HEAD; otherwise a GET of one byte, as presigned URLs allow no HEAD */
    /* Sets url, headers, prepare, inspect and ctx of a request for the object; what it allocates lives in the call's
     * arena. */
    enum dp_status (*aim)(struct http_source *source, struct call *call, struct span key,
                          struct transport_request *req);
    /* The error behind an answer whose code is no 2xx, 304, 412 or 416. NULL: http_answer_error. */
    enum dp_status (*explain)(struct http_source *source, struct call *call, const struct transport_request *req,
                              struct dp_error *error);
};

/* Runs fetches in one round; ctx: a struct http_source. What lies at an object's end may need a second, and an object
 * without a byte a third. */
void http_fetch(void *ctx, struct call *call, struct range_fetch *fetches, size_t n);

/* What a store's `head` answers, by a look. */
enum dp_status http_fetch_head(struct http_source *source, struct call *call, struct span key,
                               struct store_info *out);

/* The error behind an answer, by its code alone: DP_NOT_FOUND, DP_DENIED, DP_INVALID, … */
enum dp_status http_answer_error(const struct transport_request *req, struct dp_error *error);

/* The version of an object as an answer's head tells it; false when it tells none. */
bool http_version_of(struct span etag, struct span last_modified, bool size_known, uint64_t size,
                     struct store_version *out);
/* The ETag to send for a version; .len 0 when it is none. */
struct span http_version_etag(const struct store_version *version);

#endif
