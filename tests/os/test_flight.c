/* test_flight.c: one thread leads a flight, the others follow, and each learns the result. */
#include "test_support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "os/flight.h"

/* The wanted value. When it is no longer in the table, its last user frees it. */
struct wanted {
    struct flight flight;
    bool in_table;
    int value;
};

/* A table with one place, as an example of an owner of flights. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t landings;
    struct wanted *entry;
} owner = {.lock = PTHREAD_MUTEX_INITIALIZER, .landings = PTHREAD_COND_INITIALIZER};

static enum flight_answer ask_owner(struct wanted **out)
{
    enum flight_answer answer = FLIGHT_HIT;
    pthread_mutex_lock(&owner.lock);
    if (!owner.entry) {
        owner.entry = mem_calloc(1, sizeof *owner.entry);
        assert_non_null(owner.entry);
        owner.entry->in_table = true;
        flight_begin(&owner.entry->flight);
        answer = FLIGHT_LEAD;
    } else if (!owner.entry->flight.landed) {
        flight_join(&owner.entry->flight);
        answer = FLIGHT_WAIT;
    }
    *out = owner.entry;
    pthread_mutex_unlock(&owner.lock);
    return answer;
}

static void drop_if_unused(struct wanted *entry)
{
    if (!entry->in_table && entry->flight.users == 0)
        mem_free(entry);
}

static void land_at_owner(struct wanted *entry, bool ok)
{
    pthread_mutex_lock(&owner.lock);
    entry->value = ok ? 42 : 0;
    entry->in_table = ok;
    if (!ok)
        owner.entry = NULL;
    flight_land(&entry->flight, &owner.landings, ok);
    drop_if_unused(entry);
    pthread_mutex_unlock(&owner.lock);
}

static enum flight_end wait_at_owner(struct call *call, struct wanted *entry)
{
    pthread_mutex_lock(&owner.lock);
    enum flight_end end = flight_wait(call, &entry->flight, &owner.landings, &owner.lock);
    if (end == FLIGHT_LANDED)
        assert_int_equal(entry->value, 42);
    flight_leave(&entry->flight);
    drop_if_unused(entry);
    pthread_mutex_unlock(&owner.lock);
    return end;
}

static int forget_all(void **state)
{
    (void)state;
    if (owner.entry)
        assert_int_equal(owner.entry->flight.users, 0);
    mem_free(owner.entry);
    owner.entry = NULL;
    return 0;
}

static void test_os_flight_has_one_leader(void **state)
{
    (void)state;
    struct wanted *entry;
    struct call call;
    struct arena arena;
    arena_init(&arena, 1 << 12);
    call_init(&call, &arena);
    assert_int_equal(ask_owner(&entry), FLIGHT_LEAD);
    assert_int_equal(ask_owner(&entry), FLIGHT_WAIT);
    assert_int_equal(ask_owner(&entry), FLIGHT_WAIT);
    assert_int_equal(entry->flight.users, 3);
    land_at_owner(entry, true);
    assert_int_equal(entry->flight.users, 2);
    assert_int_equal(ask_owner(&entry), FLIGHT_HIT);
    assert_int_equal(wait_at_owner(&call, entry), FLIGHT_LANDED);
    assert_int_equal(wait_at_owner(&call, entry), FLIGHT_LANDED);
    assert_int_equal(call.error.status, DP_OK);
    arena_deinit(&arena);
}

static void test_os_flight_that_failed_may_begin_anew(void **state)
{
    (void)state;
    struct wanted *entry;
    struct call call;
    struct arena arena;
    arena_init(&arena, 1 << 12);
    call_init(&call, &arena);
    assert_int_equal(ask_owner(&entry), FLIGHT_LEAD);
    assert_int_equal(ask_owner(&entry), FLIGHT_WAIT);
    land_at_owner(entry, false);
    assert_int_equal(wait_at_owner(&call, entry), FLIGHT_FAILED);
    assert_int_equal(call.error.status, DP_OK); /* the follower's call does not get the leader's error */
    assert_int_equal(ask_owner(&entry), FLIGHT_LEAD);
    land_at_owner(entry, true);
    assert_int_equal(ask_owner(&entry), FLIGHT_HIT);
    arena_deinit(&arena);
}

static void test_os_flight_wait_ends_with_its_call(void **state)
{
    (void)state;
    struct wanted *entry;
    struct call late, cancelled;
    struct arena arena;
    _Atomic bool flag = true;
    arena_init(&arena, 1 << 12);
    call_init(&late, &arena);
    call_limit_ms(&late, 0);
    call_init(&cancelled, &arena);
    cancelled.cancelled = &flag;
    assert_int_equal(ask_owner(&entry), FLIGHT_LEAD);
    assert_int_equal(ask_owner(&entry), FLIGHT_WAIT);
    assert_int_equal(wait_at_owner(&late, entry), FLIGHT_LEFT);
    assert_int_equal(late.error.status, DP_DEADLINE);
    assert_int_equal(ask_owner(&entry), FLIGHT_WAIT);
    assert_int_equal(wait_at_owner(&cancelled, entry), FLIGHT_LEFT);
    assert_int_equal(cancelled.error.status, DP_CANCELLED);
    assert_int_equal(entry->flight.users, 1); /* only the leader is left */
    land_at_owner(entry, true);
    arena_deinit(&arena);
}

/* If a flight has landed, its result counts even after the call's deadline. */
static void test_os_flight_that_landed_counts_after_the_deadline(void **state)
{
    (void)state;
    struct wanted *entry;
    struct call late;
    struct arena arena;
    arena_init(&arena, 1 << 12);
    call_init(&late, &arena);
    call_limit_ms(&late, 0);
    assert_int_equal(ask_owner(&entry), FLIGHT_LEAD);
    assert_int_equal(ask_owner(&entry), FLIGHT_WAIT);
    land_at_owner(entry, true);
    assert_int_equal(wait_at_owner(&late, entry), FLIGHT_LANDED);
    arena_deinit(&arena);
}

static void *cancel_later(void *context)
{
    _Atomic bool *flag = context;
    bool waits = false;
    while (!waits) {
        pthread_mutex_lock(&owner.lock);
        waits = owner.entry->flight.users == 2;
        pthread_mutex_unlock(&owner.lock);
    }
    atomic_store(flag, true);
    return NULL;
}

static void test_os_flight_wait_sees_a_flag_that_is_set_later(void **state)
{
    (void)state;
    struct wanted *entry;
    struct call call;
    struct arena arena;
    pthread_t thread;
    _Atomic bool flag = false;
    arena_init(&arena, 1 << 12);
    call_init(&call, &arena);
    call.cancelled = &flag;
    assert_int_equal(ask_owner(&entry), FLIGHT_LEAD);
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, &flag), 0);
    assert_int_equal(ask_owner(&entry), FLIGHT_WAIT);
    assert_int_equal(wait_at_owner(&call, entry), FLIGHT_LEFT);
    assert_int_equal(call.error.status, DP_CANCELLED);
    pthread_join(thread, NULL);
    land_at_owner(entry, true);
    arena_deinit(&arena);
}

enum { ASKERS = 8, LEADERS_THAT_FAIL = 5 };

static _Atomic unsigned leaders, served;

/* Asks until it gets the value. The first leaders fail. */
static void *ask_until_served(void *context)
{
    struct wanted *entry;
    struct call call;
    struct arena arena;
    bool done = false;
    (void)context;
    arena_init(&arena, 1 << 12);
    call_init(&call, &arena);
    while (!done) {
        enum flight_answer answer = ask_owner(&entry);
        if (answer == FLIGHT_LEAD) {
            done = atomic_fetch_add(&leaders, 1) >= LEADERS_THAT_FAIL;
            land_at_owner(entry, done);
        } else if (answer == FLIGHT_WAIT) {
            done = wait_at_owner(&call, entry) == FLIGHT_LANDED;
        } else {
            done = true;
        }
    }
    atomic_fetch_add(&served, 1);
    arena_deinit(&arena);
    return NULL;
}

static void test_os_flight_hands_over_from_leader_to_leader(void **state)
{
    (void)state;
    pthread_t threads[ASKERS];
    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_until_served, NULL), 0);
    for (int i = 0; i < ASKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&served), ASKERS);
    assert_int_equal(atomic_load(&leaders), LEADERS_THAT_FAIL + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_os_flight_has_one_leader, forget_all),
        cmocka_unit_test_teardown(test_os_flight_that_failed_may_begin_anew, forget_all),
        cmocka_unit_test_teardown(test_os_flight_wait_ends_with_its_call, forget_all),
        cmocka_unit_test_teardown(test_os_flight_that_landed_counts_after_the_deadline, forget_all),
        cmocka_unit_test_teardown(test_os_flight_wait_sees_a_flag_that_is_set_later, forget_all),
        cmocka_unit_test_teardown(test_os_flight_hands_over_from_leader_to_leader, forget_all),
    };
    return test_run(tests);
}
