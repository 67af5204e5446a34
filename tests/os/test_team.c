/* test_team.c: the compute team runs every position of a loop once, at any size, also for many callers. */
#include "test_support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "os/cpu.h"
#include "os/team.h"

enum { INDICES = 1000 };

struct loop {
    struct team *team;
    _Atomic unsigned runs[INDICES];
    _Atomic unsigned outside; /* times that a worker number exceeded the team's size */
    _Atomic unsigned busy[64];
    _Atomic unsigned shared; /* times that two threads used one worker number at once */
};

static void count_index(void *ctx, size_t index, unsigned worker)
{
    struct loop *loop = ctx;
    if (worker >= team_size(loop->team)) {
        atomic_fetch_add(&loop->outside, 1);
        return;
    }
    if (atomic_fetch_add(&loop->busy[worker], 1) != 0)
        atomic_fetch_add(&loop->shared, 1);
    atomic_fetch_add(&loop->runs[index], 1);
    atomic_fetch_sub(&loop->busy[worker], 1);
}

static void run_and_check(struct loop *loop, size_t count)
{
    for (size_t i = 0; i < INDICES; i++)
        atomic_store(&loop->runs[i], 0);
    team_run(loop->team, count, count_index, loop);
    for (size_t i = 0; i < INDICES; i++)
        assert_int_equal(atomic_load(&loop->runs[i]), i < count);
    assert_int_equal(atomic_load(&loop->outside), 0);
    assert_int_equal(atomic_load(&loop->shared), 0);
}

static void test_os_team_runs_every_index_once(void **state)
{
    (void)state;
    static struct loop loop;
    for (unsigned workers = 1; workers <= 5; workers++) {
        assert_int_equal(team_new(workers, &loop.team, NULL), DP_OK);
        assert_int_equal(team_size(loop.team), workers);
        for (size_t count = 0; count < 8; count++)
            run_and_check(&loop, count);
        for (int i = 0; i < 200; i++)
            run_and_check(&loop, INDICES);
        team_free(loop.team);
    }
    loop.team = NULL;
    run_and_check(&loop, 100);
}

struct caller {
    struct team *team;
    long sum;
    long expected;
};

static void add_index(void *ctx, size_t index, unsigned worker)
{
    (void)worker;
    atomic_fetch_add((_Atomic long *)ctx, (long)index);
}

static void *call_often(void *context)
{
    struct caller *caller = context;
    for (size_t i = 0; i < 300; i++) {
        _Atomic long sum = 0;
        team_run(caller->team, i % 20, add_index, &sum);
        caller->sum += atomic_load(&sum);
        caller->expected += (long)((i % 20) * (i % 20 ? i % 20 - 1 : 0) / 2);
    }
    return NULL;
}

static void test_os_team_callers_take_turns(void **state)
{
    (void)state;
    struct team *team;
    pthread_t threads[4];
    struct caller callers[4];
    assert_int_equal(team_new(3, &team, NULL), DP_OK);
    for (int i = 0; i < 4; i++) {
        callers[i] = (struct caller){.team = team};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].sum, callers[i].expected);
    }
    team_free(team);
}

/* The members of a gathering write these fields between meetings. */
struct gathering {
    unsigned round[8]; /* not atomic: meetings must order the accesses */
    _Atomic unsigned wrong, runs[8];
    unsigned meetings;
};

static void meet_often(void *ctx, const struct team_member *self)
{
    struct gathering *g = ctx;
    atomic_fetch_add(&g->runs[self->index], 1);
    for (unsigned round = 1; round <= g->meetings; round++) {
        g->round[self->index] = round;
        team_meet(self);
        for (unsigned i = 0; i < self->count; i++)
            if (g->round[i] != round)
                atomic_fetch_add(&g->wrong, 1);
        team_meet(self);
    }
}

static void test_os_team_gathering_meets(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 5; workers++) {
        struct team *team;
        assert_int_equal(team_new(workers, &team, NULL), DP_OK);
        for (unsigned i = 0; i < 100; i++) {
            struct gathering g = {.meetings = i % 7};
            team_gather(team, 1000000000, meet_often, &g);
            /* The patience is so long that every worker becomes a member. Each index runs once. */
            for (unsigned w = 0; w < 8; w++)
                assert_int_equal(atomic_load(&g.runs[w]), w < workers);
            assert_int_equal(atomic_load(&g.wrong), 0);
            _Atomic long sum = 0;
            team_run(team, 3, add_index, &sum);
            assert_int_equal(atomic_load(&sum), 3);
        }
        team_free(team);
    }
    struct gathering alone = {.meetings = 3};
    team_gather(NULL, 0, meet_often, &alone);
    assert_int_equal(atomic_load(&alone.runs[0]), 1);
}

static void test_os_team_gathering_skips_sleeping_workers(void **state)
{
    (void)state;
    struct team *team;
    assert_int_equal(team_new(4, &team, NULL), DP_OK);
    for (unsigned i = 0; i < 500; i++) {
        struct gathering g = {.meetings = 2};
        team_gather(team, 0, meet_often, &g);
        unsigned members = 0;
        for (unsigned w = 0; w < 8; w++)
            members += atomic_load(&g.runs[w]);
        assert_in_range(members, 1, 4);
        assert_int_equal(atomic_load(&g.wrong), 0);
        if (i % 50 == 0)
            team_wake(team);
    }
    team_free(team);
}

static void test_os_team_gathers_only_on_free_processors(void **state)
{
    (void)state;
    struct team *team;
    assert_false(team_can_gather(NULL));
    assert_int_equal(team_new(1, &team, NULL), DP_OK);
    assert_false(team_can_gather(team));
    team_free(team);
    assert_int_equal(team_new(os_cpu_count() + 1, &team, NULL), DP_OK);
    assert_false(team_can_gather(team));
    team_free(team);
}

static void test_os_team_new_survives_failed_allocations(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        struct dp_error error = {0};
        struct team *team;
        test_alloc_fail_at(n);
        enum dp_status status = team_new(3, &team, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        team_free(team);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        assert_int_equal(status, DP_NOMEM);
        assert_int_equal(error.status, DP_NOMEM);
    }
}

static void test_os_team_size_follows_the_processors(void **state)
{
    (void)state;
    struct team *team;
    struct dp_error error;
    assert_int_equal(team_new(0, &team, &error), DP_OK);
    assert_int_equal(team_size(team), os_cpu_count());
    team_free(team);
    assert_int_equal(team_new(1u << 15, &team, &error), DP_INVALID);
    assert_null(team);
    team_free(team);
    assert_int_equal(team_size(NULL), 1);
}

static void try_inside(void *context, size_t index, unsigned worker)
{
    struct loop *loop = context;
    (void)worker;
    if (team_try_run(loop->team, 2, count_index, loop))
        atomic_fetch_add(&loop->outside, 1);
    atomic_fetch_add(&loop->runs[index], 1);
}

static void test_os_team_that_is_busy_can_be_left_alone(void **state)
{
    (void)state;
    static struct loop loop;
    assert_int_equal(team_new(3, &loop.team, NULL), DP_OK);
    assert_true(team_try_run(loop.team, 10, try_inside, &loop));
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(atomic_load(&loop.runs[i]), 1);
    assert_int_equal(atomic_load(&loop.outside), 0); /* no loop ran inside the loop */
    team_free(loop.team);
    loop.team = NULL;
    assert_true(team_try_run(NULL, 10, count_index, &loop));
    assert_int_equal(atomic_load(&loop.runs[9]), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_team_runs_every_index_once),
        cmocka_unit_test(test_os_team_callers_take_turns),
        cmocka_unit_test(test_os_team_that_is_busy_can_be_left_alone),
        cmocka_unit_test(test_os_team_gathering_meets),
        cmocka_unit_test(test_os_team_gathering_skips_sleeping_workers),
        cmocka_unit_test(test_os_team_gathers_only_on_free_processors),
        cmocka_unit_test(test_os_team_new_survives_failed_allocations),
        cmocka_unit_test(test_os_team_size_follows_the_processors),
    };
    return test_run(tests);
}
