/* time_fixture.c: clocks and a store under one time. */
#include "time_fixture.h"

static int64_t time_now_ns(void *ctx)
{
    struct test_time *t = ctx;
    return (t->ms - t->host_behind) * 1000000;
}

static int64_t time_wall_ms(void *ctx)
{
    return ((struct test_time *)ctx)->ms;
}

int64_t time_date_ms(void *ctx)
{
    struct test_time *t = ctx;
    return t->undated ? 0 : t->ms;
}

static enum dp_status time_wait(void *ctx, struct call *call, int64_t ms)
{
    ((struct test_time *)ctx)->ms += ms;
    return call_check(call);
}

struct test_time test_time;

int time_world(void **state)
{
    world_in_memory(state);
    struct world *w = *state;
    test_time = (struct test_time){.ms = INT64_C(1800000000000)};
    pthread_mutex_init(&test_time.process.lock, NULL);
    test_time.clock = index_system_clock;
    test_time.clock.now_ns = time_now_ns;
    test_time.clock.wall_ms = time_wall_ms;
    test_time.clock.wait = time_wait;
    test_time.clock.random = index_system_clock.random;
    test_time.clock.ctx = &test_time;
    test_time.clock.process = &test_time.process;
    w->clock = &test_time.clock;
    test_store_date(w->store, time_date_ms, &test_time);
    return 0;
}

void time_pass(int64_t ms)
{
    test_time.ms += ms;
}
