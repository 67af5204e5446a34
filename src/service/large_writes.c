/* large_writes.c: counts the large writes that run and those that wait, under one lock. */
#include "service/large_writes.h"

void large_writes_init(struct large_writes *p)
{
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->freed, NULL);
    p->running = p->waiting = 0;
}

void large_writes_deinit(struct large_writes *p)
{
    pthread_cond_destroy(&p->freed);
    pthread_mutex_destroy(&p->lock);
}

enum dp_status large_writes_begin(struct call *call, struct large_writes *p)
{
    enum dp_status status = DP_OK;
    pthread_mutex_lock(&p->lock);
    if (p->running == LARGE_WRITES && p->waiting == LARGE_WRITES_WAITING) {
        pthread_mutex_unlock(&p->lock);
        return call_fail(call, DP_OVERLOADED, "%d large writes run and %d wait; send this one again later",
                         LARGE_WRITES, LARGE_WRITES_WAITING);
    }
    p->waiting++;
    while (p->running == LARGE_WRITES && status == DP_OK) {
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

void large_writes_end(struct large_writes *p)
{
    pthread_mutex_lock(&p->lock);
    p->running--;
    pthread_cond_signal(&p->freed);
    pthread_mutex_unlock(&p->lock);
}
