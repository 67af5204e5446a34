/* sim.h: a deterministic world in one thread: virtual time, tasks that take turns, and randomness from a seed.
 *
 * Each task is a coroutine with a stack of its own. It runs until it waits (sim_sleep); then the earliest event
 * goes on. Time passes only between events. So a seed decides everything, and the same seed gives the same history.
 * A task must hold no lock when it waits.
 */
#ifndef SIM_H
#define SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

enum { SIM_NS_PER_MS = 1000000 };

struct sim;

struct sim_task {
    struct sim *sim;
    const char *name;
    void (*run)(void *context);
    void *context;
    void *op; /* what the task is doing, for whoever watches the store; or NULL */
    bool ended;
    int64_t waited_ns; /* when its last wait for another task ended, and how long that was */
    int64_t wait_ns;
    ucontext_t here;
    jmp_buf left; /* where it was left */
    bool begun;
    uint8_t *stack;
    void *fake_stack; /* the address sanitizer's */
    struct sim_task *next;
};

/* Something that happens at a time: a task goes on, or `happen` is called. */
struct sim_event {
    int64_t at_ns;
    uint64_t order; /* events of one time happen in the order in which they were made */
    struct sim_task *task;
    void (*happen)(void *context);
    void *context;
};

struct sim {
    int64_t now_ns;
    uint64_t random;
    struct sim_event *events; /* a heap, earliest first */
    size_t event_count, event_room;
    uint64_t order, steps;
    struct sim_task *tasks, *current;
    ucontext_t home;
    jmp_buf left; /* where the loop of events was left */
    void *home_fake_stack;
    const void *home_stack;
    size_t home_stack_size;
    bool trace;         /* print each step */
    bool failed;        /* a promise was broken; the world stops */
    char failure[1024]; /* the promise, and what broke it */
};

void sim_init(struct sim *sim, uint64_t seed);
/* Frees everything. After a failure the memory of unfinished tasks is lost. */
void sim_deinit(struct sim *sim);
/* Makes a task that begins now. */
struct sim_task *sim_spawn(struct sim *sim, const char *name, void (*run)(void *context), void *context);
/* Lets `happen` be called after `ns`. */
void sim_later(struct sim *sim, int64_t ns, void (*happen)(void *context), void *context);
/* Runs until every task has ended and nothing is to happen, or a promise is broken. `steps_max` bounds the events. */
void sim_run(struct sim *sim, uint64_t steps_max);

/* Lets `ns` pass for the current task. */
void sim_sleep(struct sim *sim, int64_t ns);
/* What the current task of the world that runs is doing (sim_task.op); NULL: nothing, or no world runs. */
void *sim_current_op(void);
uint64_t sim_next(struct sim *sim);
/* A number below `bound`, which is at least 1. */
uint64_t sim_below(struct sim *sim, uint64_t bound);
/* True `n` times out of `of`. */
bool sim_chance(struct sim *sim, uint64_t n, uint64_t of);
/* A time between `least` and `most`, each power of two as likely as the next. */
int64_t sim_span(struct sim *sim, int64_t least, int64_t most);

/* Tells a step of the history, if it is traced. */
void sim_note(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says that a promise is broken. The first one counts. */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
