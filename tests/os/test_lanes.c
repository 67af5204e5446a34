/* test_lanes.c: parts of one call that run side by side. */
#include "test_support.h"

#include "os/lanes.h"

enum { PARTS = 9 };

/* What the parts of a test do. */
struct work {
    atomic_uint done, met;
    unsigned together; /* parts that wait for each other; 0: none does */
    size_t fails;      /* the part that fails; PARTS: none */
    const char *results[PARTS];
};

static enum dp_status do_part(struct call *call, void *ctx, size_t part)
{
    struct work *work = ctx;
    if (part == work->fails)
        return call_fail(call, DP_INVALID, "part %zu fails", part);
    atomic_fetch_add(&work->met, 1);
    while (atomic_load(&work->met) < work->together && call_check(call) == DP_OK)
        ;
    work->results[part] = arena_printf(call->arena, "part %zu", part);
    call->cost.rounds += part + 1;
    call->cost.requests += 10;
    atomic_fetch_add(&work->done, 1);
    return DP_OK;
}

static void test_os_lanes_do_parts_side_by_side(void **state)
{
    (void)state;
    struct work work = {.together = 3, .fails = PARTS};
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    call_limit_ms(&call, 60000);
    call.cost.rounds = 100;
    assert_int_equal(lanes_run(&call, 3, do_part, &work),
                     DP_OK);                 /* it would wait for ever if one thread did them */
    assert_int_equal(call.cost.rounds, 103); /* the longest chain */
    assert_int_equal(call.cost.requests, 30);
    assert_string_equal(work.results[2], "part 2"); /* the arena has it */
    arena_deinit(&arena);
}

static void test_os_lanes_do_more_parts_than_threads(void **state)
{
    (void)state;
    for (size_t count = 0; count <= PARTS; count++) {
        struct work work = {.fails = PARTS};
        struct arena arena;
        struct call call;
        arena_init(&arena, 1 << 20);
        call_init(&call, &arena);
        assert_int_equal(lanes_run(&call, count, do_part, &work), DP_OK);
        assert_int_equal(work.done, count);
        assert_true(call.cost.rounds >= count);
        for (size_t i = 0; i < count; i++)
            assert_non_null(work.results[i]);
        arena_deinit(&arena);
    }
}

static void test_os_lanes_stop_at_a_failure(void **state)
{
    (void)state;
    struct work work = {.fails = 0};
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    assert_int_equal(lanes_run(&call, PARTS, do_part, &work), DP_INVALID);
    assert_string_equal(call.error.message, "part 0 fails");
    assert_true(work.done < PARTS);
    arena_deinit(&arena);
}

static void test_os_lanes_report_results_without_room(void **state)
{
    (void)state;
    struct work work = {.together = 3, .fails = PARTS};
    struct arena arena;
    struct call call;
    arena_init(&arena, 10000); /* each lane takes 4 KiB */
    call_init(&call, &arena);
    call_limit_ms(&call, 60000);
    assert_int_equal(lanes_run(&call, 3, do_part, &work), DP_NOMEM);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_lanes_do_parts_side_by_side),
        cmocka_unit_test(test_os_lanes_do_more_parts_than_threads),
        cmocka_unit_test(test_os_lanes_stop_at_a_failure),
        cmocka_unit_test(test_os_lanes_report_results_without_room),
    };
    return test_run(tests);
}
