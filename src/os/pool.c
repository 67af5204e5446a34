/* pool.c: a bounded pool of threads with one queue of jobs and one mutex.
 *
 * Jobs run in the order of their arrival. A thread is started only if a job finds none idle, so a quiet process
 * has few threads; a started thread stays until pool_free(). The ring holds the waiting jobs. They may be more
 * than queue_max: one more for each idle or newly started thread that has not taken its job yet.
 *
 * `lock` guards every field but `waiting`, which is written under the lock and read by any thread.
 */
#include "os/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/thread.h"

struct pool_job {
    void (*fn)(void *ctx);
    void *ctx;
    int64_t came_ns;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* signalled when a job waits or the pool closes */
    struct pool_job *ring;
    size_t ring_size, first;
    _Atomic unsigned waiting;
    unsigned queue_max, threads_max;
    unsigned started, idle;
    bool closing;
    struct {
        struct metric *started, *busy, *waiting, *jobs, *refused, *wait_seconds;
    } metrics; /* all NULL without metrics; set before the first job */
    pthread_t threads[];
};

static void *serve_requests(void *context)
{
    struct pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->waiting == 0 && !pool->closing) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
        }
        if (pool->waiting == 0)
            break;
        struct pool_job job = pool->ring[pool->first];
        pool->first = (pool->first + 1) % pool->ring_size;
        pool->waiting--;
        metric_set(pool->metrics.waiting, pool->waiting);
        pthread_mutex_unlock(&pool->lock);
        metric_observe(pool->metrics.wait_seconds, (double)(os_now_ns() - job.came_ns) * 1e-9);
        metric_add(pool->metrics.busy, 1);
        job.fn(job.ctx);
        metric_add(pool->metrics.busy, -1);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

enum dp_status pool_new(unsigned threads, unsigned queue_max, struct pool **out, struct dp_error *error)
{
    *out = NULL;
    if (threads == 0)
        return dp_fail(error, DP_INVALID, "a pool needs at least one thread");
    size_t ring_size = (size_t)threads + queue_max;
    struct pool *pool = mem_calloc(1, sizeof *pool + threads * sizeof pool->threads[0]);
    struct pool_job *ring = mem_calloc(ring_size, sizeof *ring);
    if (!pool || !ring) {
        mem_free(pool);
        mem_free(ring);
        return dp_fail_nomem(error, "a thread pool");
    }
    pool->ring = ring;
    pool->ring_size = ring_size;
    pool->threads_max = threads;
    pool->queue_max = queue_max;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    *out = pool;
    return DP_OK;
}

/* Starts one more thread. Returns 0 or an errno. */
static int start_thread(struct pool *pool)
{
    int failed = os_thread_start(&pool->threads[pool->started], "dipper-request", serve_requests, pool);
    if (!failed)
        pool->started++;
    metric_set(pool->metrics.started, pool->started);
    return failed;
}

enum dp_status pool_submit(struct pool *pool, void (*fn)(void *ctx), void *ctx, struct dp_error *error)
{
    enum dp_status status = DP_OK;
    pthread_mutex_lock(&pool->lock);
    unsigned waiting = pool->waiting;
    bool taken = waiting < pool->idle; /* whether an idle or a new thread takes the job */
    if (!taken && pool->started < pool->threads_max) {
        int failed = start_thread(pool);
        if (failed && pool->started == 0) {
            status = dp_fail(error, DP_UNAVAILABLE, "cannot start a thread: %s", strerror(failed));
            goto out;
        }
        taken = !failed; /* after a failure the job waits for the existing threads */
    }
    if (!taken && waiting - pool->idle >= pool->queue_max) {
        status = dp_fail(error, DP_OVERLOADED, "%u requests are waiting already", waiting);
        metric_add(pool->metrics.refused, 1);
        goto out;
    }
    pool->ring[(pool->first + waiting) % pool->ring_size] = (struct pool_job){fn, ctx, os_now_ns()};
    pool->waiting = waiting + 1;
    metric_set(pool->metrics.waiting, pool->waiting);
    metric_add(pool->metrics.jobs, 1);
    pthread_cond_signal(&pool->work);
out:
    pthread_mutex_unlock(&pool->lock);
    return status;
}

enum dp_status pool_add_metrics(struct pool *pool, struct metric_registry *r, struct dp_error *error)
{
    struct metric *max = metric_gauge(r, "dipper_request_threads_max", "", "Request threads that there may be."),
                  *room = metric_gauge(r, "dipper_request_queue_max", "",
                                       "Requests that may wait for a request thread.");
    pool->metrics.started =
        metric_gauge(r, "dipper_request_threads", "", "Request threads; one is started when none is idle.");
    pool->metrics.busy =
        metric_gauge(r, "dipper_request_threads_busy", "", "Request threads that work on a request.");
    pool->metrics.waiting =
        metric_gauge(r, "dipper_request_queue", "", "Requests that wait for a request thread.");
    pool->metrics.jobs =
        metric_counter(r, "dipper_request_queued_total", "", "Requests that were given to the request threads.");
    pool->metrics.refused = metric_counter(r, "dipper_request_queue_refused_total", "",
                                           "Requests that were refused because too many waited.");
    pool->metrics.wait_seconds =
        metric_histogram(r, "dipper_request_queue_seconds", "", "Time that a request waited for a request thread.",
                         METRIC_LATENCY_BOUNDS, METRIC_LATENCY_BOUND_COUNT);
    if (!max || !room || !pool->metrics.started || !pool->metrics.busy || !pool->metrics.waiting ||
        !pool->metrics.jobs || !pool->metrics.refused || !pool->metrics.wait_seconds)
        return dp_fail_nomem(error, "metrics");
    metric_set(max, pool->threads_max);
    metric_set(room, pool->queue_max);
    return DP_OK;
}

unsigned pool_waiting(const struct pool *pool)
{
    return atomic_load_explicit(&pool->waiting, memory_order_relaxed);
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work);
    unsigned started = pool->started;
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < started; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool->ring);
    mem_free(pool);
}
