/* store/http/fetch.h: range fetches (store/ranges.h) as HTTP requests, for every store that speaks HTTP.
 *
 * Such a store reads with
 *     ranges_read(call, &limits, reqs, n, http_fetch, &source);
 * where `source` makes the requests for its objects and explains its errors.
 *
 * Versions: a strong ETag is a version, and If-Match pins it. If the ETag is weak, missing or too long, the
 * version is Last-Modified (without it, the weak ETag) with the size: "~DATE;SIZE". No header pins such a version,
 * so the code compares each answer. An object without any of these cannot be read, because nobody could notice
 * that it changed.
 */
#ifndef STORE_HTTP_FETCH_H
#define STORE_HTTP_FETCH_H

#include "store/ranges.h"
#include "store/transport.h"
#include "store/http/request.h"

struct http_source {
    struct transport *transport;
    bool heads; /* a look (ranges.h) is a HEAD; false: a GET of one byte, because presigned URLs allow no HEAD */
    /* Sets url, headers, prepare, inspect and ctx of a request for the object. It allocates in the call's
     * arena. */
    enum dp_status (*aim)(struct http_source *source, struct call *call, struct span key,
                          struct transport_request *req);
    /* For a store whose versions are not ETags; NULL: they are. `pin` makes the request fail if the object has another
     * version; with `if_changed` it makes the store answer 304 if the object still has it. `version_of` takes the
     * version from an answer, and returns false if there is none. */
    enum dp_status (*pin)(struct call *call, const struct store_version *version, bool if_changed,
                          struct transport_request *req);
    bool (*version_of)(const struct transport_request *req, struct store_version *out);
    /* Fails for an answer whose code is not 2xx, 304, 412 or 416, and says why. NULL: http_answer_error does
     * that. */
    enum dp_status (*explain)(struct http_source *source, struct call *call, const struct transport_request *req,
                              struct dp_error *error);
    /* Returns whether an answer that `explain` reported as DP_DENIED may mean that the object is missing. NULL: no
     * answer may. */
    bool (*hides_missing)(struct call *call, const struct transport_request *req);
};

/* Runs all fetches in one round. `ctx` is a struct http_source. A range at an object's end may need a second
 * round, and an empty object a third. */
void http_fetch(void *ctx, struct call *call, struct range_fetch *fetches, size_t n);

/* Implements a store's `head` with a look, which reads only version and size. */
enum dp_status http_fetch_head(struct http_source *source, struct call *call, struct span key,
                               struct store_info *out);

/* Fails with the status that the answer's code alone suggests: DP_NOT_FOUND, DP_DENIED, DP_INVALID, … */
enum dp_status http_answer_error(const struct transport_request *req, struct dp_error *error);

/* Returns the header Date in Unix milliseconds: the server's clock when it answered. Returns 0 if the date is
 * missing or malformed. Also returns 0 if a cache on the way answered, which the header Age shows. */
int64_t http_answer_date(const struct transport_request *req);

/* Makes an object's version from an answer's header values. Returns false if they identify none. */
bool http_version_of(struct span etag, struct span last_modified, bool size_known, uint64_t size,
                     struct store_version *out);
/* Returns the ETag to send for a version; .len is 0 if the version is not an ETag. */
struct span http_version_etag(const struct store_version *version);

#endif
