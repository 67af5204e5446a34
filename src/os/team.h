/* os/team.h: the compute team, a fixed set of threads that run one parallel loop, or one gathering, at a time.
 *
 * In a loop, free threads claim indices, so no thread waits for another that the scheduler has not run yet. In a
 * gathering, each member has a fixed share and all meet between steps of a few microseconds; only workers that are
 * awake belong to it.
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

/* `workers` ≥ 1 includes the caller's own thread; 0 means os_cpu_count(). */
enum dp_status team_new(unsigned workers, struct team **out, struct dp_error *error);
void team_free(struct team *team);
unsigned team_size(const struct team *team);

/* Runs fn(ctx, index, worker) for each index in [0, count), spread over the team; returns when all have ended.
 * `worker`, in [0, team_size), names the scratch of a thread. A second caller waits for the team's lock. fn must
 * not call team_run() on the same team. `team` NULL runs in the caller. */
void team_run(struct team *team, size_t count, void (*fn)(void *ctx, size_t index, unsigned worker), void *ctx);

/* One of the `count` threads in a gathering. */
struct team_member {
    struct team *team;
    unsigned index, count; /* index 0 is the caller */
};

/* Runs fn(ctx, self) once on each member at the same time: on the caller, and on workers that come within
 * `patience_ns`. Awake workers come at once, others are woken (an earlier team_wake() saves this time). Returns
 * when all have ended. The rules of team_run() hold. */
void team_gather(struct team *team, int64_t patience_ns, void (*fn)(void *ctx, const struct team_member *self),
                 void *ctx);

/* Returns when all members have called it; each member then sees what the others wrote before. */
void team_meet(const struct team_member *self);

/* Wakes the workers, which then look for work for a while. */
void team_wake(struct team *team);

/* Returns whether each worker seems to have a processor, so that a meeting takes nanoseconds. False while there
 * are more workers than processors, and for 50 ms after a worker was a millisecond late or could not be woken. */
bool team_can_gather(const struct team *team);

#endif
