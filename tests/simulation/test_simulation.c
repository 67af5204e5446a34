/* test_simulation.c: random histories of namespaces in a simulated world; and the world itself. */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

/* ---- the world --------------------------------------------------------------------------------------- */

struct sleeper {
    struct sim *sim;
    char letter;
    int64_t ns;
    char *out;
};

static void run_sleeper(void *context)
{
    struct sleeper *s = context;
    for (int i = 0; i < 3; i++) {
        sim_sleep(s->sim, s->ns);
        strncat(s->out, &s->letter, 1);
    }
}

static void test_simulation_tasks_take_turns_by_time(void **state)
{
    (void)state;
    struct sim sim;
    char out[16] = "";
    sim_init(&sim, 1);
    struct sleeper a = {&sim, 'a', 20, out}, b = {&sim, 'b', 30, out};
    sim_spawn(&sim, "a", run_sleeper, &a);
    sim_spawn(&sim, "b", run_sleeper, &b);
    sim_run(&sim, 100);
    assert_string_equal(out, "ababab"); /* both turns at 60 come in the order in which they were planned */
    assert_int_equal(sim.now_ns, 90);
    sim_deinit(&sim);
}

static void test_simulation_stops_a_history_without_end(void **state)
{
    (void)state;
    struct sim sim;
    char out[16] = "";
    sim_init(&sim, 1);
    struct sleeper a = {&sim, 'a', 20, out};
    sim_spawn(&sim, "a", run_sleeper, &a);
    sim_run(&sim, 2);
    assert_true(sim.failed);
    sim_deinit(&sim);
}

static void test_simulation_replays_a_seed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct history_result first, second;
        history_run(seed, false, &first);
        history_run(seed, false, &second);
        assert_int_equal(first.steps, second.steps);
        assert_memory_equal(&first.store, &second.store, sizeof first.store);
        assert_memory_equal(&first.truth.counts, &second.truth.counts, sizeof first.truth.counts);
    }
}

/* Histories that failed once, far from the first ones. */
static void test_simulation_remembers_failures(void **state)
{
    (void)state;
    static const uint64_t seeds[] = {
        104848, /* two writes of a process delete the same row at once: the oracle took one for the other */
        135775, /* a fold reads the void of a load that its manifest lacks */
    };
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        struct history_result result;
        history_run(seeds[i], false, &result);
        if (result.failed)
            print_error("%s\n", result.failure);
        assert_false(result.failed);
    }
}

/* ---- histories --------------------------------------------------------------------------------------- */

static void test_simulation_histories(void **state)
{
    (void)state;
    struct report report = {0};
    uint64_t failed = report_run(&report, 1, REPORT_HISTORIES, stdout);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simulation_tasks_take_turns_by_time),
        cmocka_unit_test(test_simulation_stops_a_history_without_end),
        cmocka_unit_test(test_simulation_replays_a_seed),
        cmocka_unit_test(test_simulation_remembers_failures),
        cmocka_unit_test(test_simulation_histories),
    };
    return test_run(tests);
}
