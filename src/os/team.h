/* os/team.h: the compute team, a fixed set of threads that run one parallel loop, or one gathering, at a time.
 *
 * A loop's indices are taken by whoever is free; nobody waits for a thread that the scheduler has not run yet. In a
 * gathering each member has a fixed share and all meet between steps of a few microseconds; only workers that are
 * awake belong to it.
 *
 * One team per process, of os_cpu_count() workers in all (the caller of team_run is one of them). Workers
 * spin for a bounded time (default 50 µs) between loops and then sleep. They never block on I/O.
 */
#ifndef OS_TEAM_H
#define OS_TEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct team;

/* `workers` ≥ 1, the caller's own thread included; 0 means os_cpu_count(). */
enum dp_status team_new(unsigned workers, struct team **out, struct dp_error *error);
void team_free(struct team *team);
unsigned team_size(const struct team *team);

/* Runs fn(ctx, index, worker) for each index in [0, count), spread over the team; returns when all have
 * ended. worker in [0, team_size) names the thread's own scratch. From one thread at a time: callers take
 * turns on the team's lock (a second caller that finds it busy waits); fn must not call team_run() on the same
 * team. `team` NULL runs in the caller. */
void team_run(struct team *team, size_t count, void (*fn)(void *ctx, size_t index, unsigned worker), void *ctx);

/* One of the `count` threads in a gathering. */
struct team_member {
    struct team *team;
    unsigned index, count; /* index 0 is the caller */
};

/* Runs fn(ctx, self) once on each member at the same time: on the caller, and on workers that come within
 * `patience_ns`; those that are awake do so at once, others are woken (team_wake() earlier saves the waiting).
 * Returns when all have ended. The rules of team_run() hold. */
void team_gather(struct team *team, int64_t patience_ns, void (*fn)(void *ctx, const struct team_member *self),
                 void *ctx);

/* Returns when all members have called it; what they wrote before can be read after. */
void team_meet(const struct team_member *self);

/* Wakes the workers, who will look out for work for a while. */
void team_wake(struct team *team);

/* Whether workers seem to have a processor each, so that meeting is a matter of nanoseconds: no while there are more
 * of them than processors, and for 50 ms after one was a millisecond late or could not be woken. */
bool team_can_gather(const struct team *team);

#endif
