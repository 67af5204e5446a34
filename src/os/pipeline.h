/* os/pipeline.h: a ring of slots. Stages work on the slots one after another, each stage in its own thread.
 *
 *     while (pipeline_take(&pipeline, stage, &slot)) {
 *         … work on the slot, which belongs to this stage alone …
 *         pipeline_pass(&pipeline, stage);
 *     }
 *
 * Stage 0 takes slots that the last stage has passed (any slot at first); every other stage takes slots that the
 * stage before it has passed. All stages get the slots in the same order. A fast stage runs ahead of a slow one by
 * at most the number of slots and then waits, so the memory is bounded. The next stage sees everything that a
 * stage wrote into a slot before it passed the slot.
 */
#ifndef OS_PIPELINE_H
#define OS_PIPELINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIPELINE_STAGES_MAX = 8, PIPELINE_LOOK_MS = 20 };

/* `lock` guards all other fields. */
struct pipeline {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned stages;
    size_t slots;
    uint64_t passed[PIPELINE_STAGES_MAX]; /* slots passed by each stage */
    bool ended, stopped;
};

/* stages: 1 to PIPELINE_STAGES_MAX; slots ≥ 1. */
void pipeline_init(struct pipeline *p, unsigned stages, size_t slots);
void pipeline_deinit(struct pipeline *p); /* no thread may be in a function of the pipeline */

/* Waits for the stage's next slot and returns its place in [0, slots). Returns false if none will come: the
 * pipeline was stopped, or it ended and this stage has passed every slot. */
bool pipeline_take(struct pipeline *p, unsigned stage, size_t *slot);

enum pipeline_taken { PIPELINE_TAKEN, PIPELINE_OVER, PIPELINE_NOT_YET };

/* Works like pipeline_take, but waits for at most PIPELINE_LOOK_MS. For a thread that must also do other
 * things. */
enum pipeline_taken pipeline_take_soon(struct pipeline *p, unsigned stage, size_t *slot);
/* Passes the slot that this stage took last on to the next stage. */
void pipeline_pass(struct pipeline *p, unsigned stage);
/* Says that stage 0 passes on no more slots. The other stages still get the slots that it has passed on. */
void pipeline_end(struct pipeline *p);
/* Stops the pipeline: no stage gets another slot. Any thread may call it. */
void pipeline_stop(struct pipeline *p);

#endif
