/* pool.c: a bounded pool of threads with one queue of jobs and one mutex.
 *
 * A thread is started only if a job finds none idle, so a quiet process has few threads; a started thread stays until
 * pool_free(). The ring holds the waiting jobs, in the order of their arrival. They may be more than queue_max: one
 * more for each idle or newly started thread that has not taken its job yet.
 *
 * `lock` guards every field but `waiting`, which is written under the lock and read by any thread.
 */
#include "os/pool.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/thread.h"

enum {
    LOOK_AHEAD = 64, /* waiting jobs among which the next one is chosen */
    SMOOTHING = 16,  /* a job counts for 1/16 of the expected time of one */
};

struct waiting_job {
    struct pool_job job;
    int64_t came_ns;
};

/* A thread of the pool, and the client whose job it runs; 0: none. */
struct pool_thread {
    struct pool *pool;
    pthread_t thread;
    uint64_t client;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* signalled when a job waits or the pool closes */
    struct pool_options options;
    struct waiting_job *ring;
    size_t ring_size, first;
    _Atomic unsigned waiting;
    size_t waiting_bytes;
    int64_t job_ns; /* expected time of a job; 0: none has ended */
    unsigned started, idle;
    bool closing;
    struct {
        struct metric *most, *room, *started, *busy, *waiting, *jobs, *refused, *wait_seconds;
    } metrics; /* all NULL without metrics; set before the first job */
    struct pool_thread threads[];
};

static struct waiting_job *job_at(const struct pool *pool, size_t place)
{
    return &pool->ring[(pool->first + place) % pool->ring_size];
}

static unsigned running_of(const struct pool *pool, uint64_t client)
{
    unsigned running = 0;
    for (unsigned i = 0; i < pool->started; i++)
        running += pool->threads[i].client == client;
    return running;
}

/* Returns the place of the next job: the first one whose client has the fewest running. */
static size_t choose_job(const struct pool *pool)
{
    size_t chosen = 0;
    unsigned least = UINT_MAX;
    for (size_t i = 0; i < pool->waiting && i < LOOK_AHEAD && least > 0; i++) {
        const uint64_t client = job_at(pool, i)->job.client;
        const unsigned running = client ? running_of(pool, client) : 0;
        chosen = running < least ? i : chosen;
        least = running < least ? running : least;
    }
    return chosen;
}

/* Takes the next job out of the ring. */
static struct waiting_job take_job(struct pool *pool)
{
    const size_t chosen = choose_job(pool);
    const struct waiting_job taken = *job_at(pool, chosen);
    for (size_t i = chosen; i > 0; i--)
        *job_at(pool, i) = *job_at(pool, i - 1);
    pool->first = (pool->first + 1) % pool->ring_size;
    pool->waiting--;
    pool->waiting_bytes -= taken.job.bytes;
    metric_set(pool->metrics.waiting, pool->waiting);
    return taken;
}

/* Runs a job. The caller holds the lock; this function releases it meanwhile. */
static void run_next(struct pool_thread *self)
{
    struct pool *pool = self->pool;
    const struct waiting_job next = take_job(pool);
    self->client = next.job.client;
    pthread_mutex_unlock(&pool->lock);
    const int64_t began_ns = os_now_ns();
    metric_observe(pool->metrics.wait_seconds, (double)(began_ns - next.came_ns) * 1e-9);
    metric_add(pool->metrics.busy, 1);
    next.job.fn(next.job.ctx);
    metric_add(pool->metrics.busy, -1);
    const int64_t took_ns = os_now_ns() - began_ns;
    pthread_mutex_lock(&pool->lock);
    self->client = 0;
    pool->job_ns = pool->job_ns ? pool->job_ns + (took_ns - pool->job_ns) / SMOOTHING : took_ns;
}

static void *serve_requests(void *context)
{
    struct pool_thread *self = context;
    struct pool *pool = self->pool;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->waiting == 0 && !pool->closing) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle--;
        }
        if (pool->waiting == 0)
            break;
        run_next(self);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

enum dp_status pool_new(const struct pool_options *options, struct pool **out, struct dp_error *error)
{
    *out = NULL;
    if (options->threads == 0)
        return dp_fail(error, DP_INVALID, "a pool needs at least one thread");
    size_t ring_size = (size_t)options->threads + options->queue_max;
    struct pool *pool = mem_calloc(1, sizeof *pool + options->threads * sizeof pool->threads[0]);
    struct waiting_job *ring = mem_calloc(ring_size, sizeof *ring);
    if (!pool || !ring) {
        mem_free(pool);
        mem_free(ring);
        return dp_fail_nomem(error, "a thread pool");
    }
    pool->options = *options;
    pool->ring = ring;
    pool->ring_size = ring_size;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    *out = pool;
    return DP_OK;
}

/* Starts one more thread. Returns 0 or an errno. */
static int start_thread(struct pool *pool)
{
    struct pool_thread *thread = &pool->threads[pool->started];
    thread->pool = pool;
    int failed = os_thread_start(&thread->thread, "dipper-request", serve_requests, thread);
    if (!failed)
        pool->started++;
    metric_set(pool->metrics.started, pool->started);
    return failed;
}

/* Returns how long a new job is likely to wait. */
static int64_t expected_wait(const struct pool *pool)
{
    return (int64_t)pool->waiting * pool->job_ns / pool->options.threads;
}

static unsigned waiting_of(const struct pool *pool, uint64_t client)
{
    unsigned waiting = 0;
    for (size_t i = 0; i < pool->waiting; i++)
        waiting += job_at(pool, i)->job.client == client;
    return waiting;
}

/* Judges a job that no idle thread takes. */
static enum pool_answer judge_waiting(const struct pool *pool, const struct pool_job *job, struct dp_error *error)
{
    const struct pool_options *o = &pool->options;
    const unsigned waiting = pool->waiting, queued = waiting - pool->idle;
    if (queued >= o->queue_max) {
        dp_fail(error, DP_OVERLOADED, "%u requests are waiting already", waiting);
        return POOL_FULL;
    }
    if (queued > 0 && o->bytes_max && job->bytes && pool->waiting_bytes + job->bytes > o->bytes_max) {
        dp_fail(error, DP_OVERLOADED, "requests with %zu bytes are waiting already", pool->waiting_bytes);
        return POOL_FULL;
    }
    /* The job waits for a thread, and then takes about as long as others did. */
    if (job->patience_ns && expected_wait(pool) + pool->job_ns > job->patience_ns) {
        dp_fail(error, DP_OVERLOADED, "so many requests are waiting that this one would not be done in time");
        return POOL_FULL;
    }
    if (job->client && queued >= o->queue_max / 2 && waiting_of(pool, job->client) >= (o->queue_max + 1) / 2) {
        dp_fail(error, DP_OVERLOADED, "%u requests of this client are waiting already",
                waiting_of(pool, job->client));
        return POOL_CLIENT_FULL;
    }
    return POOL_TAKEN;
}

/* As judge_waiting, and counts a refusal. */
static enum pool_answer judge_job(struct pool *pool, const struct pool_job *job, struct dp_error *error)
{
    const enum pool_answer answer = judge_waiting(pool, job, error);
    if (answer != POOL_TAKEN)
        metric_add(pool->metrics.refused, 1);
    return answer;
}

/* Finds out whether the pool takes a job. Starts a thread if one is needed. */
static enum pool_answer admit_job(struct pool *pool, const struct pool_job *job, struct dp_error *error)
{
    if (pool->waiting < pool->idle)
        return POOL_TAKEN;
    if (pool->started < pool->options.threads) {
        const int failed = start_thread(pool);
        if (!failed)
            return POOL_TAKEN;
        if (pool->started == 0) {
            dp_fail(error, DP_UNAVAILABLE, "cannot start a thread: %s", strerror(failed));
            return POOL_NO_THREAD;
        }
        /* the job waits for the existing threads */
    }
    return judge_job(pool, job, error);
}

enum pool_answer pool_ask(struct pool *pool, const struct pool_job *job, int64_t *retry_ns, struct dp_error *error)
{
    pthread_mutex_lock(&pool->lock);
    const bool has_thread = pool->waiting < pool->idle || pool->started < pool->options.threads;
    const enum pool_answer answer = has_thread ? POOL_TAKEN : judge_job(pool, job, error);
    *retry_ns = expected_wait(pool);
    pthread_mutex_unlock(&pool->lock);
    return answer;
}

enum pool_answer pool_submit(struct pool *pool, const struct pool_job *job, int64_t *retry_ns,
                             struct dp_error *error)
{
    pthread_mutex_lock(&pool->lock);
    const enum pool_answer answer = admit_job(pool, job, error);
    *retry_ns = expected_wait(pool);
    if (answer == POOL_TAKEN) {
        *job_at(pool, pool->waiting) = (struct waiting_job){*job, os_now_ns()};
        pool->waiting++;
        pool->waiting_bytes += job->bytes;
        metric_set(pool->metrics.waiting, pool->waiting);
        metric_add(pool->metrics.jobs, 1);
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    return answer;
}

/* A metric of every pool. */
struct pool_metric {
    enum { GAUGE, COUNTER, SECONDS } type;
    size_t place; /* of the pointer in struct pool */
    const char *name, *help;
};
#define METRIC_AT(field) offsetof(struct pool, metrics.field)

static const struct pool_metric METRICS[] = {
    {GAUGE, METRIC_AT(most), "dipper_request_threads_max", "Request threads that there may be."},
    {GAUGE, METRIC_AT(room), "dipper_request_queue_max", "Requests that may wait for a request thread."},
    {GAUGE, METRIC_AT(started), "dipper_request_threads", "Request threads; one is started when none is idle."},
    {GAUGE, METRIC_AT(busy), "dipper_request_threads_busy", "Request threads that work on a request."},
    {GAUGE, METRIC_AT(waiting), "dipper_request_queue", "Requests that wait for a request thread."},
    {COUNTER, METRIC_AT(jobs), "dipper_request_queued_total", "Requests that were given to the request threads."},
    {COUNTER, METRIC_AT(refused), "dipper_request_queue_refused_total",
     "Requests that were refused because too many waited."},
    {SECONDS, METRIC_AT(wait_seconds), "dipper_request_queue_seconds",
     "Time that a request waited for a request thread."},
};

static struct metric *add_metric(struct metric_registry *r, const struct pool_metric *m, const char *labels)
{
    if (m->type == GAUGE)
        return metric_gauge(r, m->name, labels, m->help);
    if (m->type == COUNTER)
        return metric_counter(r, m->name, labels, m->help);
    return metric_histogram(r, m->name, labels, m->help, METRIC_LATENCY_BOUNDS, METRIC_LATENCY_BOUND_COUNT);
}

enum dp_status pool_add_metrics(struct pool *const *pools, size_t count, struct metric_registry *r,
                                struct dp_error *error)
{
    for (size_t m = 0; m < sizeof METRICS / sizeof METRICS[0]; m++)
        for (size_t i = 0; i < count; i++) {
            char labels[METRIC_LABELS_MAX] = "";
            if (pools[i]->options.kind)
                metric_add_label(labels, "kind", span_str(pools[i]->options.kind));
            struct metric *added = add_metric(r, &METRICS[m], labels);
            if (!added)
                return dp_fail_nomem(error, "metrics");
            *(struct metric **)((char *)pools[i] + METRICS[m].place) = added;
        }
    for (size_t i = 0; i < count; i++) {
        metric_set(pools[i]->metrics.most, pools[i]->options.threads);
        metric_set(pools[i]->metrics.room, pools[i]->options.queue_max);
    }
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
        pthread_join(pool->threads[i].thread, NULL);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool->ring);
    mem_free(pool);
}
