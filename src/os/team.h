/* os/team.h: the compute team, a fixed set of threads that run one parallel loop at a time.
 *
 * One team per process, of os_cpu_count() workers in all (the caller of team_run is one of them). Workers
 * spin for a bounded time (default 50 µs) between loops and then sleep. They never block on I/O.
 */
#ifndef OS_TEAM_H
#define OS_TEAM_H

#include <stddef.h>

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

#endif
