/* test_pool.c: the request pool runs every accepted job once and refuses what its queue cannot hold. */
#include "test_support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "os/pool.h"

/* Jobs wait at a gate, so that a test decides when they end. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    unsigned inside, done;
};

static void gate_init(struct gate *g)
{
    *g = (struct gate){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
}

static void pass_gate(void *context)
{
    struct gate *g = context;
    pthread_mutex_lock(&g->lock);
    g->inside++;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    g->inside--;
    g->done++;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static void await_inside(struct gate *g, unsigned count)
{
    pthread_mutex_lock(&g->lock);
    while (g->inside != count)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void await_done(struct gate *g, unsigned count)
{
    pthread_mutex_lock(&g->lock);
    while (g->done != count)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void open_gate(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static enum dp_status make_pool(unsigned threads, unsigned queue_max, struct pool **out, struct dp_error *error)
{
    const struct pool_options options = {.threads = threads, .queue_max = queue_max};
    return pool_new(&options, out, error);
}

static enum pool_answer submit(struct pool *pool, void (*fn)(void *ctx), void *ctx, struct dp_error *error)
{
    int64_t retry_ns;
    return pool_submit(pool, &(struct pool_job){.fn = fn, .ctx = ctx}, &retry_ns, error);
}

static void test_os_pool_refuses_when_its_queue_is_full(void **state)
{
    (void)state;
    struct pool *pool;
    struct gate g;
    struct dp_error error;
    gate_init(&g);
    assert_int_equal(make_pool(2, 3, &pool, &error), DP_OK);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(submit(pool, pass_gate, &g, &error), POOL_TAKEN);
    await_inside(&g, 2);
    assert_int_equal(pool_waiting(pool), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(submit(pool, pass_gate, &g, &error), POOL_TAKEN);
    assert_int_equal(pool_waiting(pool), 3);
    assert_int_equal(submit(pool, pass_gate, &g, &error), POOL_FULL);
    assert_string_equal(error.message, "3 requests are waiting already");
    open_gate(&g);
    await_done(&g, 5);
    assert_int_equal(submit(pool, pass_gate, &g, &error), POOL_TAKEN); /* the queue has room again */
    pool_free(pool);
    assert_int_equal(g.done, 6);
}

/* Returns the value of the metric of this name. */
static int64_t value_of(const struct metric_registry *r, const char *name)
{
    const struct metric *m = r->first;
    while (m && strcmp(m->name, name) != 0)
        m = m->next;
    assert_non_null(m);
    return metric_value(m);
}

static void test_os_pool_counts_its_jobs(void **state)
{
    (void)state;
    struct metric_registry r;
    struct pool *pool;
    struct gate g;
    struct dp_error error;
    metric_registry_init(&r);
    gate_init(&g);
    assert_int_equal(make_pool(2, 1, &pool, &error), DP_OK);
    assert_int_equal(pool_add_metrics(&pool, 1, &r, &error), DP_OK);
    assert_int_equal(value_of(&r, "dipper_request_threads_max"), 2);
    assert_int_equal(value_of(&r, "dipper_request_queue_max"), 1);
    assert_int_equal(value_of(&r, "dipper_request_threads"), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(submit(pool, pass_gate, &g, &error), POOL_TAKEN);
    await_inside(&g, 2);
    assert_int_equal(value_of(&r, "dipper_request_threads"), 2);
    assert_int_equal(value_of(&r, "dipper_request_threads_busy"), 2);
    assert_int_equal(value_of(&r, "dipper_request_queue"), 0);
    assert_int_equal(submit(pool, pass_gate, &g, &error), POOL_TAKEN);
    assert_int_equal(submit(pool, pass_gate, &g, &error), POOL_FULL);
    assert_int_equal(value_of(&r, "dipper_request_queue"), 1);
    assert_int_equal(value_of(&r, "dipper_request_queued_total"), 3);
    assert_int_equal(value_of(&r, "dipper_request_queue_refused_total"), 1);
    open_gate(&g);
    pool_free(pool); /* waits until all jobs have ended */
    assert_int_equal(value_of(&r, "dipper_request_threads_busy"), 0);
    assert_int_equal(value_of(&r, "dipper_request_queue"), 0);
    metric_registry_deinit(&r);
}

static void test_os_pool_metrics_survive_failed_allocations(void **state)
{
    (void)state;
    struct pool *pool;
    assert_int_equal(make_pool(1, 1, &pool, NULL), DP_OK);
    for (size_t n = 1;; n++) {
        struct metric_registry r;
        struct dp_error error;
        metric_registry_init(&r);
        test_alloc_fail_at(n);
        enum dp_status status = pool_add_metrics(&pool, 1, &r, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        metric_registry_deinit(&r);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
    }
    pool_free(pool);
}

/* Without a queue, the pool accepts as many jobs as it has threads, even if the threads have not woken yet. */
static void test_os_pool_without_a_queue_still_fills_its_threads(void **state)
{
    (void)state;
    struct pool *pool;
    struct gate g;
    gate_init(&g);
    assert_int_equal(make_pool(3, 0, &pool, NULL), DP_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(submit(pool, pass_gate, &g, NULL), POOL_TAKEN);
    assert_int_equal(submit(pool, pass_gate, &g, NULL), POOL_FULL);
    open_gate(&g);
    pool_free(pool);
    assert_int_equal(g.done, 3);
}

/* If the system gives no more threads, the bound of the queue still holds for the existing threads. */
static void test_os_pool_keeps_its_bound_when_no_thread_can_be_started(void **state)
{
    (void)state;
    struct pool *pool;
    struct gate g;
    struct dp_error error;
    pthread_attr_t before, huge;
    gate_init(&g);
    assert_int_equal(pthread_getattr_default_np(&before), 0);
    assert_int_equal(pthread_attr_init(&huge), 0);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 46), 0); /* larger than the address space */
    assert_int_equal(make_pool(3, 2, &pool, &error), DP_OK);
    assert_int_equal(submit(pool, pass_gate, &g, &error), POOL_TAKEN);
    await_inside(&g, 1);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(submit(pool, pass_gate, &g, &error), POOL_TAKEN);
    for (int i = 0; i < 10; i++)
        assert_int_equal(submit(pool, pass_gate, &g, &error), POOL_FULL);
    assert_int_equal(pthread_setattr_default_np(&before), 0);
    open_gate(&g);
    pool_free(pool);
    assert_int_equal(g.done, 3);
    pthread_attr_destroy(&huge);
    pthread_attr_destroy(&before);
}

static void test_os_pool_free_ends_waiting_jobs_first(void **state)
{
    (void)state;
    struct pool *pool;
    struct gate g;
    gate_init(&g);
    assert_int_equal(make_pool(1, 100, &pool, NULL), DP_OK);
    for (int i = 0; i < 50; i++)
        assert_int_equal(submit(pool, pass_gate, &g, NULL), POOL_TAKEN);
    open_gate(&g);
    pool_free(pool);
    assert_int_equal(g.done, 50);
    pool_free(NULL);
}

static void count_job(void *context)
{
    atomic_fetch_add((_Atomic unsigned *)context, 1);
}

struct submitter {
    struct pool *pool;
    _Atomic unsigned *done;
    unsigned accepted;
};

static void *submit_many(void *context)
{
    struct submitter *s = context;
    for (int i = 0; i < 3000; i++)
        s->accepted += submit(s->pool, count_job, s->done, NULL) == POOL_TAKEN;
    return NULL;
}

static void test_os_pool_loses_no_job_under_stress(void **state)
{
    (void)state;
    struct pool *pool;
    struct submitter submitters[4];
    pthread_t threads[4];
    _Atomic unsigned done = 0;
    unsigned accepted = 0;
    assert_int_equal(make_pool(4, 16, &pool, NULL), DP_OK);
    for (int i = 0; i < 4; i++) {
        submitters[i] = (struct submitter){pool, &done, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &submitters[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        accepted += submitters[i].accepted;
    }
    pool_free(pool);
    assert_int_equal(atomic_load(&done), accepted);
    assert_true(accepted > 0);
}

static void test_os_pool_new_checks_and_survives_failed_allocations(void **state)
{
    (void)state;
    struct pool *pool;
    struct dp_error error;
    assert_int_equal(make_pool(0, 1, &pool, &error), DP_INVALID);
    pool_free(pool);
    for (size_t n = 1; n <= 2; n++) {
        test_alloc_fail_at(n);
        assert_int_equal(make_pool(2, 2, &pool, &error), DP_NOMEM);
        test_alloc_fail_at(0);
        assert_null(pool);
    }
}

/* Jobs of several clients note the order in which they run. */
struct order {
    pthread_mutex_t lock;
    char names[32];
};

struct named_job {
    struct order *order;
    char name;
};

static void note_name(void *context)
{
    struct named_job *job = context;
    pthread_mutex_lock(&job->order->lock);
    job->order->names[strlen(job->order->names)] = job->name;
    pthread_mutex_unlock(&job->order->lock);
}

static void await_names(struct order *o, size_t count)
{
    size_t noted;
    do {
        sched_yield();
        pthread_mutex_lock(&o->lock);
        noted = strlen(o->names);
        pthread_mutex_unlock(&o->lock);
    } while (noted < count);
}

/* A client with many jobs does not delay one with few, and takes half of the queue at most. */
static void test_os_pool_shares_its_threads_between_clients(void **state)
{
    (void)state;
    struct order o = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct gate first, second;
    struct pool *pool;
    struct dp_error error;
    int64_t retry_ns;
    struct named_job a = {&o, 'a'}, b = {&o, 'b'};
    const struct pool_job of_a = {.fn = note_name, .ctx = &a, .client = 1},
                          of_b = {.fn = note_name, .ctx = &b, .client = 2};
    gate_init(&first);
    gate_init(&second);
    assert_int_equal(make_pool(2, 8, &pool, &error), DP_OK);
    const struct pool_job held[2] = {{.fn = pass_gate, .ctx = &first, .client = 1},
                                     {.fn = pass_gate, .ctx = &second, .client = 1}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pool_submit(pool, &held[i], &retry_ns, &error), POOL_TAKEN);
    await_inside(&first, 1);
    await_inside(&second, 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pool_submit(pool, &of_a, &retry_ns, &error), POOL_TAKEN);
    assert_int_equal(pool_submit(pool, &of_a, &retry_ns, &error), POOL_CLIENT_FULL);
    assert_string_equal(error.message, "4 requests of this client are waiting already");
    assert_int_equal(pool_submit(pool, &of_b, &retry_ns, &error), POOL_TAKEN);
    open_gate(&second); /* one thread runs a job of the first client, the other one works */
    await_names(&o, 5);
    assert_string_equal(o.names, "baaaa");
    open_gate(&first);
    pool_free(pool);
}

/* Bytes and expected waits have bounds too, and a refusal says how long the wait is. */
static void test_os_pool_refuses_many_bytes_and_long_waits(void **state)
{
    (void)state;
    struct gate g, again;
    struct pool *pool;
    struct dp_error error;
    int64_t retry_ns;
    const struct pool_options options = {.threads = 1, .queue_max = 8, .bytes_max = 100};
    const struct pool_job large = {.fn = pass_gate, .ctx = &g, .bytes = 150},
                          small = {.fn = pass_gate, .ctx = &g, .bytes = 60},
                          hasty = {.fn = pass_gate, .ctx = &g, .patience_ns = 1},
                          held = {.fn = pass_gate, .ctx = &again};
    gate_init(&g);
    assert_int_equal(pool_new(&options, &pool, &error), DP_OK);
    assert_int_equal(pool_submit(pool, &small, &retry_ns, &error), POOL_TAKEN);
    await_inside(&g, 1);
    assert_int_equal(pool_submit(pool, &hasty, &retry_ns, &error),
                     POOL_TAKEN); /* no job has ended: nobody knows */
    assert_int_equal(pool_submit(pool, &large, &retry_ns, &error), POOL_FULL);
    assert_int_equal(pool_submit(pool, &small, &retry_ns, &error), POOL_TAKEN);
    assert_int_equal(pool_submit(pool, &small, &retry_ns, &error), POOL_FULL);
    assert_string_equal(error.message, "requests with 60 bytes are waiting already");
    const struct timespec moment = {.tv_nsec = 2000000};
    nanosleep(&moment, NULL);
    open_gate(&g);
    await_done(&g, 3);
    gate_init(&again);
    assert_int_equal(pool_submit(pool, &held, &retry_ns, &error), POOL_TAKEN);
    await_inside(&again, 1);
    assert_int_equal(pool_submit(pool, &large, &retry_ns, &error), POOL_TAKEN); /* alone it may wait */
    assert_int_equal(pool_submit(pool, &small, &retry_ns, &error), POOL_FULL);  /* and nothing beside it */
    assert_string_equal(error.message, "requests with 150 bytes are waiting already");
    assert_int_equal(pool_submit(pool, &hasty, &retry_ns, &error), POOL_FULL);
    assert_non_null(strstr(error.message, "would not be done in time"));
    assert_true(retry_ns > 0);
    /* One job waits, so this one would begin after the time of one job, and be done after that of two. */
    const struct pool_job late = {.fn = pass_gate, .ctx = &g, .patience_ns = retry_ns + retry_ns / 2};
    assert_int_equal(pool_submit(pool, &late, &retry_ns, &error), POOL_FULL);
    assert_non_null(strstr(error.message, "would not be done in time"));
    open_gate(&again);
    pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_pool_refuses_when_its_queue_is_full),
        cmocka_unit_test(test_os_pool_counts_its_jobs),
        cmocka_unit_test(test_os_pool_metrics_survive_failed_allocations),
        cmocka_unit_test(test_os_pool_without_a_queue_still_fills_its_threads),
        cmocka_unit_test(test_os_pool_keeps_its_bound_when_no_thread_can_be_started),
        cmocka_unit_test(test_os_pool_shares_its_threads_between_clients),
        cmocka_unit_test(test_os_pool_refuses_many_bytes_and_long_waits),
        cmocka_unit_test(test_os_pool_free_ends_waiting_jobs_first),
        cmocka_unit_test(test_os_pool_loses_no_job_under_stress),
        cmocka_unit_test(test_os_pool_new_checks_and_survives_failed_allocations),
    };
    return test_run(tests);
}
