/* server/request_ids.h: the ids of a request: its own, and that of its client's trace. */
#ifndef SERVER_REQUEST_IDS_H
#define SERVER_REQUEST_IDS_H

#include "server/head.h"

enum { REQUEST_ID_MAX = 64, TRACE_ID_LEN = 32 };

struct request_ids {
    char id[REQUEST_ID_MAX + 1];
    char trace[TRACE_ID_LEN + 1]; /* the trace id of the client's traceparent, hexadecimal; "": it sent none */
    uint64_t numbers[2];          /* the trace id, or else seed and number */
};

/* Keeps the client's X-Request-Id if it is short and harmless, else makes an id of seed and number. `seed` is the
 * process's, random; `number` counts its requests. */
void request_ids_choose(const struct head *head, uint64_t seed, uint64_t number, struct request_ids *out);

#endif
