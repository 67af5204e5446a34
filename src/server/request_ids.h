/* server/request_ids.h: chooses the ids of a request: its own id, and the trace id of its client. */
#ifndef SERVER_REQUEST_IDS_H
#define SERVER_REQUEST_IDS_H

#include "server/head.h"

enum { REQUEST_ID_MAX = 64, TRACE_ID_LEN = 32 };

struct request_ids {
    char id[REQUEST_ID_MAX + 1];
    char trace[TRACE_ID_LEN + 1]; /* the client's trace id from traceparent, hexadecimal; "": it sent none */
    uint64_t numbers[2];          /* the trace id as two numbers, or else seed and number */
};

/* Keeps the client's X-Request-Id if it is short and harmless, else makes an id of seed and number. `seed` is a
 * random number of the process; `number` is the request's number in the process. */
void request_ids_choose(const struct head *head, uint64_t seed, uint64_t number, struct request_ids *out);

#endif
