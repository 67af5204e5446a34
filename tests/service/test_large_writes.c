/* test_large_writes.c: two large writes run, some wait for a place, the rest are refused. */
#include "test_support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "os/thread.h"
#include "service/large_writes.h"

/* A write that waits for its place. */
struct waiting_write {
    struct large_writes *places;
    const _Atomic bool *cancelled;
    enum dp_status status;
    pthread_t thread;
};

static void *wait_for_place(void *argument)
{
    struct waiting_write *l = argument;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    call.cancelled = l->cancelled;
    l->status = large_writes_begin(&call, l->places);
    if (l->status == DP_OK)
        large_writes_end(l->places);
    arena_deinit(&arena);
    return NULL;
}

static unsigned count_waiting(struct large_writes *p)
{
    pthread_mutex_lock(&p->lock);
    const unsigned waiting = p->waiting;
    pthread_mutex_unlock(&p->lock);
    return waiting;
}

static void begin_waiting(struct waiting_write *l, struct large_writes *p, unsigned waiting)
{
    assert_int_equal(pthread_create(&l->thread, NULL, wait_for_place, l), 0);
    while (count_waiting(p) < waiting)
        sched_yield();
}

static void test_more_large_writes_wait_and_then_are_refused(void **state)
{
    (void)state;
    struct large_writes places;
    struct waiting_write writes[LARGE_WRITES_WAITING];
    _Atomic bool cancelled = false;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    large_writes_init(&places);
    for (int i = 0; i < LARGE_WRITES; i++)
        assert_int_equal(large_writes_begin(&call, &places), DP_OK);
    for (unsigned i = 0; i < LARGE_WRITES_WAITING; i++) {
        writes[i] = (struct waiting_write){.places = &places, .cancelled = i == 0 ? &cancelled : NULL};
        begin_waiting(&writes[i], &places, i + 1);
    }
    assert_int_equal(large_writes_begin(&call, &places), DP_OVERLOADED);
    assert_non_null(strstr(call.error.message, "again later"));

    /* One that is cancelled makes room for another, which the deadline ends. */
    atomic_store(&cancelled, true);
    pthread_join(writes[0].thread, NULL);
    assert_int_equal(writes[0].status, DP_CANCELLED);
    dp_error_clear(&call.error);
    call_limit_ms(&call, 1);
    assert_int_equal(large_writes_begin(&call, &places), DP_DEADLINE);

    large_writes_end(&places);
    for (int i = 1; i < LARGE_WRITES_WAITING; i++) {
        pthread_join(writes[i].thread, NULL);
        assert_int_equal(writes[i].status, DP_OK);
    }
    for (int i = 1; i < LARGE_WRITES; i++)
        large_writes_end(&places);
    assert_int_equal(places.running, 0);
    large_writes_deinit(&places);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_large_writes_wait_and_then_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
