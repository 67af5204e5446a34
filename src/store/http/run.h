/* store/http/run.h: runs rounds of requests over a transport and decides what to try again.
 *
 * A request gets another try after 5xx, 429, 408, resets, stalls and truncated bodies; `struct transport_options`
 * limits the tries. A read resumes where it broke off, pinned to the version that it began with: bytes of two
 * versions never mix. If a GET waits longer for its answer than 95 of 100 recent GETs did, the transport sends a
 * hedge: the GET a second time, over another connection. It sends at most one hedge for every 20 GETs. The first
 * complete answer counts.
 *
 * PUT, POST and DELETE are patient, and so are all requests of a patient call (os/call.h): by default only
 * retry_total_ms limits their tries, so a load of hours survives a restart of the store. Other requests fail soon,
 * so the user learns of a wrong address at once.
 *
 * The transport follows no redirect: it is a final answer. It checks certificates. Its messages never show the
 * secrets in URLs (userinfo, query).
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
 *   DP_UNAVAILABLE  it failed, and the options allow no further try
 *   DP_UNKNOWN      replaces every other failure of a PUT, a DELETE or a `once` request if the store may have
 *                   carried out one of its tries
 *   DP_IO           the peer breaks the rules: no HTTP, a wrong Content-Range, an untrusted certificate
 *   DP_UNSUPPORTED  the server answers a range with the whole of a larger object
 *   DP_TOO_LARGE    the answer exceeds a limit
 *   DP_INVALID      the URL or the range is malformed; DP_DEADLINE, DP_CANCELLED, DP_NOMEM
 * Returns DP_OK if all requests have this status; otherwise returns the status of the first failed one and copies
 * its error to the call. */
enum dp_status transport_run(struct call *call, struct transport *transport, struct transport_request *reqs,
                             size_t n);
/* Releases the bodies of n requests. */
void transport_release(struct transport_request *reqs, size_t n);

#endif
