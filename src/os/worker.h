/* os/worker.h: one background thread that runs registered tasks, one after another.
 *
 * A task runs first when its period has passed after the start, then a period after each of its runs has ended, and as
 * soon as possible when it is woken. Each run gets a call with a deadline and an arena. Tasks share the thread: one that
 * waits delays the others, so each run needs a limit. The worker writes no log: a task that fails logs as it sees fit.
 */
#ifndef OS_WORKER_H
#define OS_WORKER_H

#include "os/call.h"

struct worker;

enum { WORKER_TASKS_MAX = 16, WORKER_ARENA_MAX = 16 << 20 };

struct worker_task {
    enum dp_status (*run)(struct call *call, void *ctx);
    void *ctx;
    int64_t period_ms; /* positive */
    int64_t limit_ms;  /* of one run; 0: its own steps have limits */
};

struct worker_counts {
    uint64_t runs, failures; /* runs that have ended; those of them that did not answer DP_OK */
    int64_t last_ns;         /* duration of the last run */
};

enum dp_status worker_new(struct worker **out, struct dp_error *error);
/* Registers a task, before the start; returns its number. At most WORKER_TASKS_MAX. */
unsigned worker_add(struct worker *worker, const struct worker_task *task);
/* Starts the thread, whose name has at most 15 characters. DP_UNAVAILABLE: the system gives no thread. */
enum dp_status worker_start(struct worker *worker, const char *name, struct dp_error *error);
/* The functions below are thread-safe. A wake-up during a run leads to another run. */
void worker_wake(struct worker *worker, unsigned task);
struct worker_counts worker_counts(struct worker *worker, unsigned task);
/* Lets the run that is under way end, begins no other, and frees the worker. NULL is fine. */
void worker_free(struct worker *worker);

#endif
