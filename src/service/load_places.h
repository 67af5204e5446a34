/* service/load_places.h: limits how many large writes become loads at the same time.
 *
 * A load keeps the rows of its request in memory, and its clustering uses the whole compute team. Only LOAD_PLACES
 * loads run at the same time, and LOAD_WAITERS loads wait. The service refuses all others, so the memory of loads
 * is bounded.
 */
#ifndef SERVICE_LOAD_PLACES_H
#define SERVICE_LOAD_PLACES_H

#include <pthread.h>

#include "os/call.h"

enum {
    LOAD_PLACES = 2,  /* loads that run */
    LOAD_WAITERS = 6, /* loads that wait for a place */
};

/* All functions are thread-safe. */
struct load_places {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    unsigned running, waiting; /* under the lock */
};

void load_places_init(struct load_places *p);
/* Nobody may hold a place or wait for one. */
void load_places_deinit(struct load_places *p);

/* Takes a place. Waits until one is free or the call ends. DP_OVERLOADED: LOAD_WAITERS loads wait already. */
enum dp_status load_places_take(struct call *call, struct load_places *p);
/* Gives a place back. */
void load_places_give(struct load_places *p);

#endif
