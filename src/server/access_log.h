/* server/access_log.h: one line a request. */
#ifndef SERVER_ACCESS_LOG_H
#define SERVER_ACCESS_LOG_H

#include "server/exchange.h"

/* Writes the line of an exchange that ends, as its context's `log` says. */
void access_log(const struct exchange *ex, double seconds, bool sent);

#endif
