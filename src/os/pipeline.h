/* os/pipeline.h: a ring of slots that stages work on, each in its own thread, one behind the other.
 *
 *     while (pipeline_take(&pipeline, stage, &slot)) {
 *         … work on the slot: it is this stage's alone …
 *         pipeline_pass(&pipeline, stage);
 *     }
 *
 * Stage 0 takes what the last stage has passed (at first, any slot), every other stage what the one before it has
 * passed; all see the same order. So a fast stage runs ahead of a slow one by the number of slots and then waits:
 * that bounds the memory. What a stage writes into a slot before it passes it is seen by who takes it next.
 */
#ifndef OS_PIPELINE_H
#define OS_PIPELINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIPELINE_STAGES_MAX = 8, PIPELINE_LOOK_MS = 20 };

/* `lock` guards the rest. */
struct pipeline {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned stages;
    size_t slots;
    uint64_t passed[PIPELINE_STAGES_MAX]; /* slots that each stage has passed */
    bool ended, stopped;
};

/* stages: 1 to PIPELINE_STAGES_MAX; slots ≥ 1. */
void pipeline_init(struct pipeline *p, unsigned stages, size_t slots);
void pipeline_deinit(struct pipeline *p); /* nobody may be inside */

/* Waits for the stage's next slot, and answers its place in [0, slots). False when none will come: the pipeline has
 * ended and this stage has passed what there was, or it was stopped. */
bool pipeline_take(struct pipeline *p, unsigned stage, size_t *slot);

enum pipeline_taken { PIPELINE_TAKEN, PIPELINE_OVER, PIPELINE_NOT_YET };

/* The same for a thread that has to look elsewhere meanwhile: waits for PIPELINE_LOOK_MS at most. */
enum pipeline_taken pipeline_take_soon(struct pipeline *p, unsigned stage, size_t *slot);
/* Hands the slot that was taken last on. */
void pipeline_pass(struct pipeline *p, unsigned stage);
/* Stage 0 will pass no more; what is on its way goes through. */
void pipeline_end(struct pipeline *p);
/* No stage gets another slot. From any thread. */
void pipeline_stop(struct pipeline *p);

#endif
