/* store/http/run.h: runs rounds of requests over a transport and decides what to try again.
 *
 * A request is tried again, as `struct transport_options` says, after 5xx, 429, 408, resets, stalls and truncated
 * bodies. A read resumes where it broke off, pinned to the version that it began with: bytes of two versions never
 * mix. If the answer to a GET has not begun when 95 of 100 recent answers would have, the GET is sent a second
 * time (a "hedge"), on a connection apart, at most once for every 20 GETs; the first complete answer counts.
 *
 * PUT, POST and DELETE are patient, and so are all requests of a patient call: a load of hours outlasts a store
 * that restarts. Other requests fail soon, so that a wrong address is reported at once.
 *
 * Redirects are final answers. Certificates are checked. Messages never show the secrets in URLs (userinfo,
 * query).
 */
#ifndef STORE_HTTP_RUN_H
#define STORE_HTTP_RUN_H

#include "store/http/request.h"
#include "store/transport.h"

/* Runs n requests in parallel and returns when all have ended, the call's deadline has passed or the call was
 * cancelled. Adds the requests sent and the body bytes of 2xx answers to call->cost, but no round. Statuses of a
 * request:
 *   DP_OK           a complete answer that needs no further try
 *   DP_STALE        the object does not have the ETag of if_match (also for an answer 412)
 *   DP_UNAVAILABLE  it failed after as many tries as allowed
 *   DP_UNKNOWN      replaces every other failure of a PUT, a DELETE or a `once` request, if the store may have carried
 *                   out one of its tries
 *   DP_IO           the peer breaks the rules: no HTTP, a wrong Content-Range, an untrusted certificate
 *   DP_UNSUPPORTED  the server answers a range with the whole of a larger object
 *   DP_TOO_LARGE    the answer exceeds a limit
 *   DP_INVALID      the URL or the range is malformed; DP_DEADLINE, DP_CANCELLED, DP_NOMEM
 * Returns DP_OK when every request is DP_OK, else the first failure's status with its error in the call. */
enum dp_status transport_run(struct call *call, struct transport *transport, struct transport_request *reqs,
                             size_t n);
/* Releases the bodies of n requests. */
void transport_release(struct transport_request *reqs, size_t n);

#endif
