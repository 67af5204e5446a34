/* server/server_timing.h: the Server-Timing header, which lists how a request spent its time. */
#ifndef SERVER_SERVER_TIMING_H
#define SERVER_SERVER_TIMING_H

#include "api/http.h"

/* Adds the header (https://www.w3.org/TR/server-timing/). It lists the stages of `cost`, the time that the
 * request waited for a thread (`queued_ns`; 0: it did not wait), and the whole time since `began_ns`. */
void server_timing_add(struct http_response *response, struct arena *arena, const struct call_cost *cost,
                       int64_t began_ns, uint64_t queued_ns);

#endif
