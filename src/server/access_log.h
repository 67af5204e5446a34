/* server/access_log.h: logs one line for each request. */
#ifndef SERVER_ACCESS_LOG_H
#define SERVER_ACCESS_LOG_H

#include "os/call.h"

enum access_log_format { ACCESS_LOG_OFF, ACCESS_LOG_TEXT, ACCESS_LOG_JSON };

/* What the log says about a request. */
struct access_entry {
    const char *id, *trace; /* trace "": the client sent none */
    const char *peer, *method;
    struct span path;   /* empty: the target was refused before it was split */
    struct span target; /* the request line's */
    const char *route;  /* its pattern; NULL: none */
    unsigned status;
    enum dp_status outcome;
    double seconds;
    uint64_t bytes_in, bytes_out;
    const char *key, *tier; /* NULL: without a key */
    const struct call_cost *cost;
    bool sent; /* the whole answer was sent */
};

void access_log(enum access_log_format format, const struct access_entry *entry);

#endif
