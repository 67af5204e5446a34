/* worker.c: the background worker. Its thread waits for the task that is due next, runs it without the lock, and
 * counts the run. */
#include "os/worker.h"

#include <assert.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/thread.h"

enum { NS_PER_MS = 1000000 };

/* A registered task. */
struct worker_slot {
    struct worker_task task; /* does not change after worker_start() */
    int64_t due_ns;          /* time of os_now_ns() for the next run; INT64_MAX during a run */
    struct worker_counts counts;
};

struct worker {
    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed; /* signals worker_wake() and worker_free() */
        bool closing;
        unsigned count;
        struct worker_slot slots[WORKER_TASKS_MAX];
    } locked;
    pthread_t thread;
    bool started;
};

/* Returns the task that is due first. There is at least one task. The caller holds the lock. */
static struct worker_slot *first_due(struct worker *worker)
{
    struct worker_slot *first = &worker->locked.slots[0];
    for (unsigned i = 1; i < worker->locked.count; i++)
        if (worker->locked.slots[i].due_ns < first->due_ns)
            first = &worker->locked.slots[i];
    return first;
}

static enum dp_status run_task(const struct worker_task *task)
{
    struct arena arena;
    struct call call;
    arena_init(&arena, WORKER_ARENA_MAX);
    call_init(&call, &arena);
    if (task->limit_ms > 0)
        call_limit_ms(&call, task->limit_ms);
    enum dp_status status = task->run(&call, task->ctx);
    arena_deinit(&arena);
    return status;
}

/* Runs a task and counts the run. The caller holds the lock; the function releases it during the run. */
static void run_slot(struct worker *worker, struct worker_slot *slot)
{
    slot->due_ns = INT64_MAX; /* worker_wake() during the run makes the task due again */
    pthread_mutex_unlock(&worker->locked.lock);
    int64_t begin_ns = os_now_ns();
    enum dp_status status = run_task(&slot->task);
    int64_t end_ns = os_now_ns();
    pthread_mutex_lock(&worker->locked.lock);
    slot->counts.runs++;
    slot->counts.failures += status != DP_OK;
    slot->counts.last_ns = end_ns - begin_ns;
    if (slot->due_ns == INT64_MAX)
        slot->due_ns = end_ns + slot->task.period_ms * NS_PER_MS;
}

static void *work_until_closing(void *context)
{
    struct worker *worker = context;
    pthread_mutex_lock(&worker->locked.lock);
    while (!worker->locked.closing) {
        struct worker_slot *slot = first_due(worker);
        if (slot->due_ns <= os_now_ns())
            run_slot(worker, slot);
        else
            os_wait_until(&worker->locked.changed, &worker->locked.lock, slot->due_ns);
    }
    pthread_mutex_unlock(&worker->locked.lock);
    return NULL;
}

enum dp_status worker_new(struct worker **out, struct dp_error *error)
{
    struct worker *worker = mem_calloc(1, sizeof *worker);
    *out = worker;
    if (!worker)
        return dp_fail_nomem(error, "a background thread");
    pthread_mutex_init(&worker->locked.lock, NULL);
    pthread_cond_init(&worker->locked.changed, NULL);
    return DP_OK;
}

unsigned worker_add(struct worker *worker, const struct worker_task *task)
{
    assert(!worker->started && worker->locked.count < WORKER_TASKS_MAX && task->period_ms > 0);
    worker->locked.slots[worker->locked.count].task = *task;
    return worker->locked.count++;
}

enum dp_status worker_start(struct worker *worker, const char *name, struct dp_error *error)
{
    assert(!worker->started && worker->locked.count > 0);
    for (unsigned i = 0; i < worker->locked.count; i++)
        worker->locked.slots[i].due_ns = os_now_ns() + worker->locked.slots[i].task.period_ms * NS_PER_MS;
    int failed = os_thread_start(&worker->thread, name, work_until_closing, worker);
    if (failed)
        return dp_fail(error, DP_UNAVAILABLE, "cannot start a thread: errno %d", failed);
    worker->started = true;
    return DP_OK;
}

void worker_wake(struct worker *worker, unsigned task)
{
    assert(task < worker->locked.count);
    pthread_mutex_lock(&worker->locked.lock);
    worker->locked.slots[task].due_ns = 0;
    pthread_cond_signal(&worker->locked.changed);
    pthread_mutex_unlock(&worker->locked.lock);
}

struct worker_counts worker_counts(struct worker *worker, unsigned task)
{
    assert(task < worker->locked.count);
    pthread_mutex_lock(&worker->locked.lock);
    struct worker_counts counts = worker->locked.slots[task].counts;
    pthread_mutex_unlock(&worker->locked.lock);
    return counts;
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    pthread_mutex_lock(&worker->locked.lock);
    worker->locked.closing = true;
    pthread_cond_signal(&worker->locked.changed);
    pthread_mutex_unlock(&worker->locked.lock);
    if (worker->started)
        pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->locked.changed);
    pthread_mutex_destroy(&worker->locked.lock);
    mem_free(worker);
}
