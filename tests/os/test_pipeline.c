/* test_pipeline.c: stages over a ring of slots: order, the bound, the end, and stopping from anywhere. */
#include "test_support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "os/pipeline.h"

enum { SLOTS = 3, MANY = 20000 };

/* Three stages: the first numbers the slots, the second doubles the numbers, the third adds them up. */
struct relay {
    struct pipeline pipeline;
    uint64_t slot[SLOTS];
    uint64_t sum, taken;
    _Atomic uint64_t first_passed, last_passed;
    uint64_t stop_at; /* the last stage stops the pipeline here; 0: never */
    bool in_order, within_bound;
};

static void *double_slots(void *context)
{
    struct relay *r = context;
    size_t slot;
    while (pipeline_take(&r->pipeline, 1, &slot)) {
        r->slot[slot] *= 2;
        pipeline_pass(&r->pipeline, 1);
    }
    return NULL;
}

static void *add_slots(void *context)
{
    struct relay *r = context;
    size_t slot;
    while (pipeline_take(&r->pipeline, 2, &slot)) {
        r->in_order = r->in_order && r->slot[slot] == 2 * ++r->taken;
        r->sum += r->slot[slot];
        if (r->taken == r->stop_at) {
            pipeline_stop(&r->pipeline);
            continue;
        }
        atomic_fetch_add(&r->last_passed, 1);
        pipeline_pass(&r->pipeline, 2);
    }
    return NULL;
}

/* Runs the pipeline. Returns how many slots the first stage passed on. */
static uint64_t run_relay(struct relay *r, uint64_t many)
{
    pthread_t second, third;
    size_t slot;
    uint64_t n = 0;
    pipeline_init(&r->pipeline, 3, SLOTS);
    r->in_order = r->within_bound = true;
    assert_int_equal(pthread_create(&second, NULL, double_slots, r), 0);
    assert_int_equal(pthread_create(&third, NULL, add_slots, r), 0);
    while (n < many && pipeline_take(&r->pipeline, 0, &slot)) {
        r->within_bound = r->within_bound && n - atomic_load(&r->last_passed) < SLOTS;
        r->slot[slot] = ++n;
        pipeline_pass(&r->pipeline, 0);
    }
    pipeline_end(&r->pipeline);
    pthread_join(second, NULL);
    pthread_join(third, NULL);
    pipeline_deinit(&r->pipeline);
    return n;
}

static void test_os_pipeline_keeps_order_and_bound(void **state)
{
    (void)state;
    struct relay r = {.sum = 0};
    assert_int_equal(run_relay(&r, MANY), MANY);
    assert_int_equal(r.taken, MANY);
    assert_int_equal(r.sum, (uint64_t)MANY * (MANY + 1));
    assert_true(r.in_order);
    assert_true(r.within_bound);
}

static void test_os_pipeline_without_slots_ends(void **state)
{
    (void)state;
    struct relay r = {.sum = 0};
    assert_int_equal(run_relay(&r, 0), 0);
    assert_int_equal(r.taken, 0);
}

static void test_os_pipeline_stops_all_stages(void **state)
{
    (void)state;
    for (uint64_t at = 1; at < 60; at++) {
        struct relay r = {.stop_at = at};
        uint64_t passed = run_relay(&r, MANY);
        assert_int_equal(r.taken, at);
        assert_in_range(passed, at, at + SLOTS);
    }
}

/* A single stage goes round the ring without waiting. */
static void test_os_pipeline_of_one_stage(void **state)
{
    (void)state;
    struct pipeline p;
    size_t slot;
    pipeline_init(&p, 1, 2);
    for (size_t i = 0; i < 5; i++) {
        assert_true(pipeline_take(&p, 0, &slot));
        assert_int_equal(slot, i % 2);
        pipeline_pass(&p, 0);
    }
    pipeline_end(&p);
    assert_false(pipeline_take(&p, 0, &slot));
    pipeline_deinit(&p);
}

/* pipeline_take_soon() waits only briefly for a slot, so that its thread can do other work. */
static void test_os_pipeline_take_soon_waits_briefly(void **state)
{
    (void)state;
    struct pipeline p;
    size_t slot;
    pipeline_init(&p, 2, 1);
    assert_int_equal(pipeline_take_soon(&p, 0, &slot), PIPELINE_TAKEN);
    pipeline_pass(&p, 0);
    assert_int_equal(pipeline_take_soon(&p, 0, &slot), PIPELINE_NOT_YET);
    assert_int_equal(pipeline_take_soon(&p, 0, &slot), PIPELINE_NOT_YET);
    assert_int_equal(pipeline_take_soon(&p, 1, &slot), PIPELINE_TAKEN);
    pipeline_pass(&p, 1);
    assert_int_equal(pipeline_take_soon(&p, 0, &slot), PIPELINE_TAKEN);
    pipeline_stop(&p);
    assert_int_equal(pipeline_take_soon(&p, 0, &slot), PIPELINE_OVER);
    pipeline_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_pipeline_keeps_order_and_bound),
        cmocka_unit_test(test_os_pipeline_without_slots_ends),
        cmocka_unit_test(test_os_pipeline_stops_all_stages),
        cmocka_unit_test(test_os_pipeline_of_one_stage),
        cmocka_unit_test(test_os_pipeline_take_soon_waits_briefly),
    };
    return test_run(tests);
}
