/* server/request_pools.h: the threads that run requests, and the requests that wait for them, apart for each kind.
 *
 * So a store that hangs holds up queries and writes, but no embedding; and many texts at a time hold up no single
 * one.
 */
#ifndef SERVER_REQUEST_POOLS_H
#define SERVER_REQUEST_POOLS_H

#include "os/pool.h"
#include "server/exchange.h"

enum request_kind {
    REQUEST_EMBED, /* embeddings with a small body */
    REQUEST_BULK,  /* embeddings with a large body, or with a compressed one */
    REQUEST_QUERY, /* what reads the store */
    REQUEST_WRITE, /* what writes to it */
    REQUEST_KINDS,
};

struct request_pools {
    struct pool *of[REQUEST_KINDS];
};

/* Makes the pools. `threads` and `queue_max` hold for each kind, except that fewer bulk requests run at a time. After
 * a failure the caller frees them too. */
enum dp_status request_pools_new(struct request_pools *pools, unsigned threads, unsigned queue_max,
                                 struct metric_registry *registry, struct dp_error *error);
/* Waits until every request has ended, then ends the threads. */
void request_pools_free(struct request_pools *pools);

/* Gives fn(ctx), which works on the exchange, to a thread of its kind. Does not wait. If that is impossible, writes
 * the refusal into the exchange, and returns false. */
bool request_pools_give(struct request_pools *pools, struct exchange *ex, void (*fn)(void *ctx), void *ctx);
/* Whether request_pools_give is likely to take the exchange. If it is not, writes the refusal as that function does. An I/O
 * thread asks first, because suspending a connection costs more than all the rest of a refusal. */
bool request_pools_admit(struct request_pools *pools, struct exchange *ex);

#endif
