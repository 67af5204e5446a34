/* os/worker.h: one background thread that runs registered tasks, one after another.
 *
 * A task runs for the first time one period after the start, and again one period after the end of each run. A
 * wake-up makes it run as soon as possible. Each run gets a call with an arena and, if the task has a limit, a
 * deadline. Tasks share the thread: a task that waits delays the others, so each run needs a limit. The worker
 * writes no log lines: a task that fails writes its own.
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
    int64_t limit_ms;  /* maximum duration of a run; 0: no deadline, the task limits its own steps */
};

struct worker_counts {
    uint64_t runs, failures; /* runs that have ended; how many of them did not return DP_OK */
    int64_t last_ns;         /* duration of the last run */
};

enum dp_status worker_new(struct worker **out, struct dp_error *error);
/* Registers a task and returns its number. Call it before worker_start, for at most WORKER_TASKS_MAX tasks. */
unsigned worker_add(struct worker *worker, const struct worker_task *task);
/* Starts the thread under a name of at most 15 characters. Fails with DP_UNAVAILABLE if the system starts no
 * thread. */
enum dp_status worker_start(struct worker *worker, const char *name, struct dp_error *error);
/* The two functions below are thread-safe. A task that is woken during its run runs once more after it. */
void worker_wake(struct worker *worker, unsigned task);
struct worker_counts worker_counts(struct worker *worker, unsigned task);
/* Waits until the current run has ended, begins no other, and frees the worker. NULL is fine. */
void worker_free(struct worker *worker);

#endif
