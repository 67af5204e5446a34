/* server/access_log.h: one line for each request. */
#ifndef SERVER_ACCESS_LOG_H
#define SERVER_ACCESS_LOG_H

#include "os/call.h"

enum access_log_format { ACCESS_LOG_OFF, ACCESS_LOG_TEXT, ACCESS_LOG_JSON };

/* What the log says of a request. */
struct access_entry {
    const char *id, *trace; /* trace "": the client sent none */
    const char *peer, *method;
    struct span path;   /* empty: the target was refused before its path was taken out of it */
    struct span target; /* the request line's */
    const char *route;  /* its pattern; NULL: none */
    unsigned status;
    enum dp_status outcome;
    double seconds;
    uint64_t bytes_in, bytes_out;
    const char *key, *tier; /* NULL: nobody's */
    const struct call_cost *cost;
    bool sent; /* the whole answer has gone out */
};

void access_log(enum access_log_format format, const struct access_entry *entry);

#endif
