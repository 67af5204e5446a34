/* server/server_timing.h: the Server-Timing header: where the time of a request went. */
#ifndef SERVER_SERVER_TIMING_H
#define SERVER_SERVER_TIMING_H

#include "api/http.h"

/* Adds the header (https://www.w3.org/TR/server-timing/): the stages of `cost`, how long the request waited for a thread
 * (0: not at all), and all of it until now. */
void server_timing_add(struct http_response *response, struct arena *arena, const struct call_cost *cost,
                       int64_t began_ns, uint64_t queued_ns);

#endif
