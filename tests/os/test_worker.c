/* test_worker.c: background tasks run when they are due or woken, are counted, and end before the worker ends. */
#include "test_support.h"

#include <pthread.h>

#include "os/clock.h"
#include "os/worker.h"

enum { NEVER_MS = 24 * 3600 * 1000 };

/* A task that counts its runs. It can wait in the middle of a run until the test releases it. */
struct counted_task {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned begun, ended;
    bool held;
    enum dp_status answer;
    int left_ms; /* time to the deadline in the last run */
};

static struct counted_task task_of(enum dp_status answer)
{
    return (struct counted_task){
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .answer = answer};
}

static enum dp_status run_counted(struct call *call, void *ctx)
{
    struct counted_task *t = ctx;
    assert_non_null(arena_alloc(call->arena, 100));
    pthread_mutex_lock(&t->lock);
    t->begun++;
    t->left_ms = call_left_ms(call);
    pthread_cond_broadcast(&t->changed);
    while (t->held)
        pthread_cond_wait(&t->changed, &t->lock);
    t->ended++;
    pthread_mutex_unlock(&t->lock);
    return t->answer;
}

static void await_begun(struct counted_task *t, unsigned count)
{
    pthread_mutex_lock(&t->lock);
    while (t->begun < count)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

static void hold(struct counted_task *t, bool held)
{
    pthread_mutex_lock(&t->lock);
    t->held = held;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static unsigned add(struct worker *worker, struct counted_task *t, int64_t period_ms, int64_t limit_ms)
{
    return worker_add(worker, &(struct worker_task){run_counted, t, period_ms, limit_ms});
}

static void test_os_worker_runs_its_tasks_again_and_again(void **state)
{
    (void)state;
    struct worker *worker;
    struct counted_task often = task_of(DP_OK), seldom = task_of(DP_OK);
    assert_int_equal(worker_new(&worker, NULL), DP_OK);
    add(worker, &seldom, NEVER_MS, 0);
    add(worker, &often, 1, 0);
    assert_int_equal(worker_start(worker, "test-worker", NULL), DP_OK);
    await_begun(&often, 3);
    worker_free(worker);
    assert_int_equal(often.begun, often.ended);
    assert_int_equal(seldom.begun, 0);
    assert_int_equal(often.left_ms, -1); /* the run has no deadline */
}

static void test_os_worker_runs_a_task_that_is_woken(void **state)
{
    (void)state;
    struct worker *worker;
    struct counted_task a = task_of(DP_OK), b = task_of(DP_OK);
    assert_int_equal(worker_new(&worker, NULL), DP_OK);
    add(worker, &a, NEVER_MS, 0);
    unsigned number = add(worker, &b, NEVER_MS, 60000);
    assert_int_equal(worker_start(worker, "test-worker", NULL), DP_OK);
    worker_wake(worker, number);
    await_begun(&b, 1);
    worker_free(worker);
    assert_int_equal(a.begun, 0);
    assert_int_equal(b.begun, 1);
    assert_in_range(b.left_ms, 1, 60000);
}

static void test_os_worker_woken_during_a_run_runs_once_more(void **state)
{
    (void)state;
    struct worker *worker;
    struct counted_task t = task_of(DP_OK);
    assert_int_equal(worker_new(&worker, NULL), DP_OK);
    unsigned number = add(worker, &t, NEVER_MS, 0);
    assert_int_equal(worker_start(worker, "test-worker", NULL), DP_OK);
    hold(&t, true);
    worker_wake(worker, number);
    await_begun(&t, 1);
    worker_wake(worker, number);
    worker_wake(worker, number); /* the second wake-up has no effect */
    hold(&t, false);
    await_begun(&t, 2);
    worker_free(worker);
    assert_int_equal(t.begun, 2);
}

static void test_os_worker_counts_runs_and_failures(void **state)
{
    (void)state;
    struct worker *worker;
    struct counted_task good = task_of(DP_OK), bad = task_of(DP_UNAVAILABLE);
    assert_int_equal(worker_new(&worker, NULL), DP_OK);
    unsigned good_number = add(worker, &good, NEVER_MS, 0), bad_number = add(worker, &bad, NEVER_MS, 0);
    assert_int_equal(worker_start(worker, "test-worker", NULL), DP_OK);
    worker_wake(worker, bad_number);
    await_begun(&bad, 1);
    worker_wake(worker, bad_number);
    await_begun(&bad, 2);
    worker_wake(worker, good_number);
    await_begun(&good, 1); /* then the earlier runs have been counted */
    struct worker_counts counts = worker_counts(worker, bad_number);
    assert_int_equal(counts.runs, 2);
    assert_int_equal(counts.failures, 2);
    assert_true(counts.last_ns >= 0);
    assert_int_equal(worker_counts(worker, good_number).failures, 0);
    worker_free(worker);
}

static void *free_worker(void *context)
{
    worker_free(context);
    return NULL;
}

static void test_os_worker_free_lets_a_run_end(void **state)
{
    (void)state;
    struct worker *worker;
    struct counted_task t = task_of(DP_OK);
    pthread_t thread;
    assert_int_equal(worker_new(&worker, NULL), DP_OK);
    unsigned number = add(worker, &t, NEVER_MS, 0);
    assert_int_equal(worker_start(worker, "test-worker", NULL), DP_OK);
    hold(&t, true);
    worker_wake(worker, number);
    await_begun(&t, 1);
    assert_int_equal(pthread_create(&thread, NULL, free_worker, worker), 0);
    hold(&t, false);
    pthread_join(thread, NULL);
    assert_int_equal(t.ended, 1);
}

static void test_os_worker_may_never_start(void **state)
{
    (void)state;
    struct worker *worker;
    struct counted_task t = task_of(DP_OK);
    struct dp_error error;
    assert_int_equal(worker_new(&worker, NULL), DP_OK);
    add(worker, &t, 1, 0);
    worker_free(worker);
    worker_free(NULL);
    assert_int_equal(t.begun, 0);
    test_alloc_fail_at(1);
    assert_int_equal(worker_new(&worker, &error), DP_NOMEM);
    test_alloc_fail_at(0);
    assert_null(worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_worker_runs_its_tasks_again_and_again),
        cmocka_unit_test(test_os_worker_runs_a_task_that_is_woken),
        cmocka_unit_test(test_os_worker_woken_during_a_run_runs_once_more),
        cmocka_unit_test(test_os_worker_counts_runs_and_failures),
        cmocka_unit_test(test_os_worker_free_lets_a_run_end),
        cmocka_unit_test(test_os_worker_may_never_start),
    };
    return test_run(tests);
}
