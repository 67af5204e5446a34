/* test_load_places.c: few loads run, a few wait for a place, the rest are refused. */
#include "test_support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "os/thread.h"
#include "service/load_places.h"

/* A load that waits for its place. */
struct waiting_load {
    struct load_places *places;
    const _Atomic bool *cancelled;
    enum dp_status status;
    pthread_t thread;
};

static void *wait_for_place(void *argument)
{
    struct waiting_load *l = argument;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    call.cancelled = l->cancelled;
    l->status = load_places_take(&call, l->places);
    if (l->status == DP_OK)
        load_places_give(l->places);
    arena_deinit(&arena);
    return NULL;
}

static unsigned count_waiting(struct load_places *p)
{
    pthread_mutex_lock(&p->lock);
    const unsigned waiting = p->waiting;
    pthread_mutex_unlock(&p->lock);
    return waiting;
}

static void begin_waiting(struct waiting_load *l, struct load_places *p, unsigned waiting)
{
    assert_int_equal(pthread_create(&l->thread, NULL, wait_for_place, l), 0);
    while (count_waiting(p) < waiting)
        sched_yield();
}

static void test_more_loads_than_places_wait_and_then_are_refused(void **state)
{
    (void)state;
    struct load_places places;
    struct waiting_load loads[LOAD_WAITERS];
    _Atomic bool cancelled = false;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    load_places_init(&places);
    for (int i = 0; i < LOAD_PLACES; i++)
        assert_int_equal(load_places_take(&call, &places), DP_OK);
    for (unsigned i = 0; i < LOAD_WAITERS; i++) {
        loads[i] = (struct waiting_load){.places = &places, .cancelled = i == 0 ? &cancelled : NULL};
        begin_waiting(&loads[i], &places, i + 1);
    }
    assert_int_equal(load_places_take(&call, &places), DP_OVERLOADED);
    assert_non_null(strstr(call.error.message, "again later"));

    /* A cancelled load makes room for another one, which its deadline ends. */
    atomic_store(&cancelled, true);
    pthread_join(loads[0].thread, NULL);
    assert_int_equal(loads[0].status, DP_CANCELLED);
    dp_error_clear(&call.error);
    call_limit_ms(&call, 1);
    assert_int_equal(load_places_take(&call, &places), DP_DEADLINE);

    load_places_give(&places);
    for (int i = 1; i < LOAD_WAITERS; i++) {
        pthread_join(loads[i].thread, NULL);
        assert_int_equal(loads[i].status, DP_OK);
    }
    for (int i = 1; i < LOAD_PLACES; i++)
        load_places_give(&places);
    assert_int_equal(places.running, 0);
    load_places_deinit(&places);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_loads_than_places_wait_and_then_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
