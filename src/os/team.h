/* os/team.h: the compute team, a fixed set of threads that run one parallel loop, or one gathering, at a time.
 *
 * In a loop, each free thread claims the next index, so no thread waits for another one that the scheduler has not
 * run yet. In a gathering, each member does a fixed share, and all members meet between steps of a few
 * microseconds. Only workers that are awake in time become members.
 *
 * A process has one team of os_cpu_count() workers (the caller of team_run counts as one). Workers spin for a
 * bounded time (50 µs by default) between loops and then sleep. They never block on I/O.
 */
#ifndef OS_TEAM_H
#define OS_TEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct team;

/* Makes a team. `workers` counts the thread that calls team_run; 0: os_cpu_count() workers. */
enum dp_status team_new(unsigned workers, struct team **out, struct dp_error *error);
void team_free(struct team *team);
unsigned team_size(const struct team *team);

/* Runs fn(ctx, index, worker) for each index in [0, count) on the threads of the team. Returns when all calls have
 * ended. `worker`, in [0, team_size), is the number of the thread, for example to choose its workspace. A second
 * caller waits for the team's lock. fn must not call team_run() on the same team. If `team` is NULL, the caller's
 * thread runs everything. */
void team_run(struct team *team, size_t count, void (*fn)(void *ctx, size_t index, unsigned worker), void *ctx);

/* Runs a loop as team_run() does, and returns true. If the team is busy, it calls nothing and returns false. */
bool team_try_run(struct team *team, size_t count, void (*fn)(void *ctx, size_t index, unsigned worker),
                  void *ctx);

/* One of the `count` threads in a gathering. */
struct team_member {
    struct team *team;
    unsigned index, count; /* index 0 is the caller */
};

/* Runs fn(ctx, self) once on each member, on all at the same time. The members are the caller and the workers that
 * enter within `patience_ns`. Awake workers enter at once; team_gather wakes the others (an earlier team_wake()
 * saves this time). Returns when all calls have ended. The rules of team_run() hold. */
void team_gather(struct team *team, int64_t patience_ns, void (*fn)(void *ctx, const struct team_member *self),
                 void *ctx);

/* Waits until all members have called it. After that each member sees all writes that the others made before. */
void team_meet(const struct team_member *self);

/* Wakes the workers. They stay awake for a bounded time and look for work. */
void team_wake(struct team *team);

/* Returns whether each worker seems to have a processor, so that a meeting takes nanoseconds. False while there
 * are more workers than processors, and for 50 ms after a worker was a millisecond late or could not be woken. */
bool team_can_gather(const struct team *team);

#endif
