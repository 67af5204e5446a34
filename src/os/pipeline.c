/* pipeline.c: stages over a ring of slots. One mutex and one condition suffice, since there are few threads and
 * the work on a slot takes milliseconds. */
#include "os/pipeline.h"

#include <assert.h>

#include "os/clock.h"
#include "os/thread.h"

enum { NS_PER_MS = 1000000 };

void pipeline_init(struct pipeline *p, unsigned stages, size_t slots)
{
    assert(stages >= 1 && stages <= PIPELINE_STAGES_MAX && slots >= 1);
    *p = (struct pipeline){.stages = stages, .slots = slots};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
}

void pipeline_deinit(struct pipeline *p)
{
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
}

/* Returns whether the stage can take its next slot. The caller holds the lock. */
static bool is_ready(const struct pipeline *p, unsigned stage)
{
    if (stage == 0)
        return p->passed[0] - p->passed[p->stages - 1] < p->slots;
    return p->passed[stage] < p->passed[stage - 1];
}

/* Returns whether the stage will get no further slot. The caller holds the lock. */
static bool is_over(const struct pipeline *p, unsigned stage)
{
    return p->stopped || (p->ended && p->passed[stage] == p->passed[0]);
}

/* Takes the next slot of the stage. Waits for it, at most until the time `until_ns` of os_now_ns(). */
static enum pipeline_taken take_until(struct pipeline *p, unsigned stage, int64_t until_ns, size_t *slot)
{
    enum pipeline_taken taken = PIPELINE_NOT_YET;
    bool waited = false;
    pthread_mutex_lock(&p->lock);
    while (!is_over(p, stage) && !is_ready(p, stage) && !waited)
        waited = os_wait_until(&p->changed, &p->lock, until_ns);
    if (is_over(p, stage))
        taken = PIPELINE_OVER;
    else if (is_ready(p, stage))
        taken = PIPELINE_TAKEN;
    *slot = (size_t)(p->passed[stage] % p->slots);
    pthread_mutex_unlock(&p->lock);
    return taken;
}

bool pipeline_take(struct pipeline *p, unsigned stage, size_t *slot)
{
    return take_until(p, stage, INT64_MAX, slot) == PIPELINE_TAKEN;
}

enum pipeline_taken pipeline_take_soon(struct pipeline *p, unsigned stage, size_t *slot)
{
    return take_until(p, stage, os_now_ns() + (int64_t)PIPELINE_LOOK_MS * NS_PER_MS, slot);
}

void pipeline_pass(struct pipeline *p, unsigned stage)
{
    pthread_mutex_lock(&p->lock);
    p->passed[stage]++;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void pipeline_end(struct pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    p->ended = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void pipeline_stop(struct pipeline *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopped = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}
