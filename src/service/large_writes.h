/* service/large_writes.h: limits how many writes with large bodies are worked on at the same time.
 *
 * A write keeps its parsed rows in memory, and the largest become loads, whose clustering uses the whole compute
 * team. So few large writes run, more wait with their bodies, and the rest are refused: memory stays bounded whatever
 * clients send.
 */
#ifndef SERVICE_LARGE_WRITES_H
#define SERVICE_LARGE_WRITES_H

#include <pthread.h>

#include "os/call.h"

enum {
    LARGE_WRITE_BYTES = 8 << 20, /* a larger body is large */
    LARGE_WRITES = 2,            /* large writes that run */
    LARGE_WRITES_WAITING = 16,   /* large writes that wait for a place */
};

/* All functions are thread-safe. */
struct large_writes {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    unsigned running, waiting; /* under the lock */
};

void large_writes_init(struct large_writes *p);
/* Nobody may hold a place or wait for one. */
void large_writes_deinit(struct large_writes *p);

/* Takes a place, for which it may wait until the call ends. DP_OVERLOADED: no more may wait. */
enum dp_status large_writes_begin(struct call *call, struct large_writes *p);
/* Gives a place back. */
void large_writes_end(struct large_writes *p);

#endif
