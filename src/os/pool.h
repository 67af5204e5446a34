/* os/pool.h: a bounded pool of threads for requests that may block. */
#ifndef OS_POOL_H
#define OS_POOL_H

#include "base/error.h"
#include "base/metrics.h"

struct pool;

/* Makes a pool with a queue of up to `queue_max` jobs. It starts up to `threads` threads as jobs need them. */
enum dp_status pool_new(unsigned threads, unsigned queue_max, struct pool **out, struct dp_error *error);
/* Queues fn(ctx) for a thread of the pool. Does not wait. Fails with DP_OVERLOADED if the queue is full, with
 * DP_UNAVAILABLE if the system starts no thread. Thread-safe. */
enum dp_status pool_submit(struct pool *pool, void (*fn)(void *ctx), void *ctx, struct dp_error *error);
/* Adds dipper_request_threads* and dipper_request_queue* to a registry that outlives the pool. Call it before the
 * first job. */
enum dp_status pool_add_metrics(struct pool *pool, struct metric_registry *registry, struct dp_error *error);
/* Returns how many jobs wait for a thread. Thread-safe. */
unsigned pool_waiting(const struct pool *pool);
/* Waits until every submitted job has ended, then ends the threads. */
void pool_free(struct pool *pool);

#endif
