/* load_places.c: counts the loads that run and those that wait, under one lock. */
#include "service/load_places.h"

void load_places_init(struct load_places *p)
{
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->freed, NULL);
    p->running = p->waiting = 0;
}

void load_places_deinit(struct load_places *p)
{
    pthread_cond_destroy(&p->freed);
    pthread_mutex_destroy(&p->lock);
}

enum dp_status load_places_take(struct call *call, struct load_places *p)
{
    enum dp_status status = DP_OK;
    pthread_mutex_lock(&p->lock);
    if (p->running == LOAD_PLACES && p->waiting == LOAD_WAITERS) {
        pthread_mutex_unlock(&p->lock);
        return call_fail(call, DP_OVERLOADED, "%d large writes run and %d wait; send this one again later",
                         LOAD_PLACES, LOAD_WAITERS);
    }
    p->waiting++;
    while (p->running == LOAD_PLACES && status == DP_OK) {
        call_wait(call, &p->freed, &p->lock);
        status = call_check(call);
    }
    p->waiting--;
    if (status == DP_OK)
        p->running++;
    else
        pthread_cond_signal(&p->freed); /* this call may have consumed a signal for another */
    pthread_mutex_unlock(&p->lock);
    return status;
}

void load_places_give(struct load_places *p)
{
    pthread_mutex_lock(&p->lock);
    p->running--;
    pthread_cond_signal(&p->freed);
    pthread_mutex_unlock(&p->lock);
}
