/* test_call.c: deadlines, cancelling, and merging the costs of children. */
#include "test_support.h"

#include "os/call.h"
#include "os/clock.h"

static void test_os_call_without_limits_goes_on(void **state)
{
    (void)state;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1000);
    call_init(&call, &arena);
    assert_ptr_equal(call.arena, &arena);
    assert_int_equal(call_check(&call), DP_OK);
    assert_int_equal(call_left_ms(&call), -1);
}

static void test_os_call_deadline_passes(void **state)
{
    (void)state;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1000);
    call_init(&call, &arena);
    call_limit_ms(&call, 3600000);
    assert_in_range(call_left_ms(&call), 3590000, 3600000);
    assert_int_equal(call_check(&call), DP_OK);
    call_limit_ms(&call, 7200000); /* a later deadline has no effect */
    assert_in_range(call_left_ms(&call), 3590000, 3600000);
    call_limit_ms(&call, 0);
    assert_int_equal(call_left_ms(&call), 0);
    assert_int_equal(call_check(&call), DP_DEADLINE);
    assert_int_equal(call.error.status, DP_DEADLINE);

    call_init(&call, &arena);
    call_limit_ms(&call, INT64_MAX); /* too far away to be a deadline */
    assert_int_equal(call_left_ms(&call), -1);
    call_limit_ms(&call, 1LL << 40);
    assert_int_equal(call_left_ms(&call), INT32_MAX);
    call_limit_ms(&call, INT64_MIN);
    assert_int_equal(call_check(&call), DP_DEADLINE);
}

static void test_os_call_is_cancelled(void **state)
{
    (void)state;
    struct arena arena;
    struct call call;
    _Atomic bool flag = false;
    arena_init(&arena, 1000);
    call_init(&call, &arena);
    call.cancelled = &flag;
    assert_int_equal(call_check(&call), DP_OK);
    atomic_store(&flag, true);
    assert_int_equal(call_check(&call), DP_CANCELLED);
    assert_int_equal(call.error.status, DP_CANCELLED);
}

struct asked {
    unsigned times;
    _Atomic bool flag;
};

static void want_the_end(void *ctx)
{
    struct asked *asked = ctx;
    asked->times++;
    atomic_store(&asked->flag, true);
}

static void test_os_call_polls_whether_to_end(void **state)
{
    (void)state;
    struct asked asked = {0};
    struct arena arena;
    struct call call, child;
    arena_init(&arena, 1000);
    call_init(&call, &arena);
    call_poll(&call, want_the_end, &asked, &asked.flag);
    assert_int_equal(call_check(&call), DP_OK); /* too early for a poll */
    assert_int_equal(asked.times, 0);
    call_child(&call, &child, &arena);
    child.poll_ns = call.poll_ns = os_now_ns() - 1;
    assert_int_equal(call_check(&child), DP_OK); /* a child does not poll; it only reads the flag */
    assert_int_equal(asked.times, 0);
    assert_int_equal(call_check(&call), DP_CANCELLED);
    call.poll_ns = os_now_ns() - 1;
    assert_int_equal(call_check(&call), DP_CANCELLED);
    assert_int_equal(asked.times, 1); /* after the flag is set, the call does not poll again */
    assert_int_equal(call_check(&child), DP_CANCELLED);
}

/* A thread that works until the flag of the call is set. */
static void *work_until_told(void *ctx)
{
    while (!atomic_load((_Atomic bool *)ctx))
        sched_yield();
    return NULL;
}

static void set_flag(void *ctx)
{
    atomic_store((_Atomic bool *)ctx, true);
}

static void test_os_call_join_polls_while_it_waits(void **state)
{
    (void)state;
    struct arena arena;
    struct call call;
    _Atomic bool flag = false;
    pthread_t thread;
    arena_init(&arena, 1000);
    call_init(&call, &arena);
    call_poll(&call, set_flag, (void *)&flag, &flag);
    assert_int_equal(pthread_create(&thread, NULL, work_until_told, (void *)&flag), 0);
    call_join(&call, thread); /* without the poll this would wait forever */
    assert_int_equal(call.error.status, DP_CANCELLED);
    arena_deinit(&arena);
}

static void test_os_call_children_add_up(void **state)
{
    (void)state;
    struct arena arena, other;
    struct call parent, a, b;
    _Atomic bool flag = false;
    arena_init(&arena, 1000);
    arena_init(&other, 1000);
    call_init(&parent, &arena);
    parent.cancelled = &flag;
    parent.trace_id[1] = 9;
    parent.cost = (struct call_cost){.rounds = 2, .requests = 5, .bytes = 100};
    call_limit_ms(&parent, 1000);
    call_child(&parent, &a, &other);
    call_child(&parent, &b, &other);
    assert_int_equal(a.deadline_ns, parent.deadline_ns);
    assert_ptr_equal(a.cancelled, &flag);
    assert_int_equal(a.trace_id[1], 9);
    assert_ptr_equal(a.arena, &other);
    assert_int_equal(a.cost.requests, 0);
    a.cost = (struct call_cost){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    b.cost = (struct call_cost){3, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    call_fail(&a, DP_IO, "first %d", 1);
    call_nomem(&b, "x");
    call_merge(&parent, &a);
    call_merge(&parent, &b);
    assert_int_equal(parent.cost.rounds, 3); /* both children in the same rounds */
    assert_int_equal(parent.cost.requests, 9);
    assert_int_equal(parent.cost.bytes, 106);
    assert_int_equal(parent.cost.bytes_written, 8);
    assert_int_equal(parent.cost.cache_hits, 10);
    assert_int_equal(parent.cost.tokens, 12);
    assert_int_equal(parent.cost.texts, 14);
    assert_int_equal(parent.cost.cached_texts, 16);
    assert_int_equal(parent.cost.text_tokens, 18);
    assert_int_equal(parent.cost.store_ns, 20);
    assert_int_equal(parent.cost.tokenize_ns, 22);
    assert_int_equal(parent.cost.cache_ns, 24);
    assert_int_equal(parent.cost.embed_ns, 26);
    assert_int_equal(parent.cost.scan_ns, 28);
    assert_int_equal(parent.error.status, DP_IO);
    assert_string_equal(parent.error.message, "first 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_call_without_limits_goes_on),
        cmocka_unit_test(test_os_call_deadline_passes),
        cmocka_unit_test(test_os_call_is_cancelled),
        cmocka_unit_test(test_os_call_polls_whether_to_end),
        cmocka_unit_test(test_os_call_join_polls_while_it_waits),
        cmocka_unit_test(test_os_call_children_add_up),
    };
    return test_run(tests);
}
