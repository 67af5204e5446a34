/* os/pool.h: a bounded pool of threads for requests that may block.
 *
 * Of the jobs that wait, the one runs next whose client has the fewest jobs running. So a client with many jobs does
 * not delay one with few.
 */
#ifndef OS_POOL_H
#define OS_POOL_H

#include <stdint.h>

#include "base/error.h"
#include "base/metrics.h"

struct pool;

/* A field that is 0 sets no limit, but `threads` must not be 0. */
struct pool_options {
    unsigned threads;   /* started as jobs need them */
    unsigned queue_max; /* jobs that may wait; 0: none */
    size_t bytes_max; /* bytes that waiting jobs may hold; a job that alone holds more may wait if no other does */
    const char *kind; /* the metrics' label, a constant; NULL: no label */
};

struct pool_job {
    void (*fn)(void *ctx);
    void *ctx;
    uint64_t client;     /* whose job it is; 0: nobody's */
    size_t bytes;        /* that the job holds while it waits */
    int64_t patience_ns; /* refuse the job if it is likely not done by then; 0: it waits however long */
};

enum pool_answer {
    POOL_TAKEN,
    POOL_FULL,        /* too many jobs or bytes wait, or the wait is too long */
    POOL_CLIENT_FULL, /* half of the places are this client's */
    POOL_NO_THREAD,   /* the system starts no thread */
};

enum dp_status pool_new(const struct pool_options *options, struct pool **out, struct dp_error *error);
/* Queues a job for a thread of the pool. Does not wait. If it does not take the job, *error says why, and *retry_ns is
 * about how long the jobs wait now. Thread-safe. */
enum pool_answer pool_submit(struct pool *pool, const struct pool_job *job, int64_t *retry_ns,
                             struct dp_error *error);
/* Says whether pool_submit would take the job now, and counts a refusal, without queueing anything. Thread-safe. */
enum pool_answer pool_ask(struct pool *pool, const struct pool_job *job, int64_t *retry_ns,
                          struct dp_error *error);
/* Adds dipper_request_threads* and dipper_request_queue* of some pools to a registry that outlives them. Call it before
 * the first job. */
enum dp_status pool_add_metrics(struct pool *const *pools, size_t count, struct metric_registry *registry,
                                struct dp_error *error);
/* Returns how many jobs wait for a thread. Thread-safe. */
unsigned pool_waiting(const struct pool *pool);
/* Waits until every submitted job has ended, then ends the threads. */
void pool_free(struct pool *pool);

#endif
