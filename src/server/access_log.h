/* server/access_log.h: logs one line for each request. */
#ifndef SERVER_ACCESS_LOG_H
#define SERVER_ACCESS_LOG_H

#include "os/call.h"

enum access_log_format { ACCESS_LOG_OFF, ACCESS_LOG_TEXT, ACCESS_LOG_JSON };

/* The log line of one request. */
struct access_entry {
    const char *id, *trace; /* trace is "" when the client sent none */
    const char *peer, *method;
    struct span path;   /* empty when the server refused the target before it split it */
    struct span target; /* the target of the request line */
    const char *route;  /* pattern of the route; NULL: no route */
    unsigned status;
    enum dp_status outcome;
    double seconds;
    uint64_t bytes_in, bytes_out;
    const char *key, *tier; /* id of the API key, and its tier; NULL: the request has no valid key */
    const struct call_cost *cost;
    bool sent; /* whether the server sent the whole answer */
};

/* Writes the line in this format; nothing for ACCESS_LOG_OFF. */
void access_log(enum access_log_format format, const struct access_entry *entry);

#endif
