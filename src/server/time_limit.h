/* server/time_limit.h: the time that the server has for a request: its setting, or less if the client says so. */
#ifndef SERVER_TIME_LIMIT_H
#define SERVER_TIME_LIMIT_H

#include "base/span.h"

/* Reads the header X-Request-Timeout, seconds like "2" or "0.25", into *ms if that is less. Returns false if it is
 * malformed. */
bool time_limit_read(struct span header, int *ms);

#endif
