/* test_slots.c: the table of things that stay open between calls. */
#include "test_alloc.h"
#include "test_support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "service/slots.h"

enum { ROOM = 3, THREADS = 4, TURNS = 2000, KEYS = 5 };

struct thing {
    struct slot slot;
    char key[2];
};

static _Atomic int open_things, closed_things;

static void close_thing(struct slot *slot)
{
    atomic_fetch_sub(&open_things, 1);
    atomic_fetch_add(&closed_things, 1);
    free(slot);
}

static struct slot *make_thing(char name)
{
    struct thing *thing = calloc(1, sizeof *thing);
    assert_non_null(thing);
    thing->key[0] = name;
    thing->slot.key = span_str(thing->key);
    atomic_fetch_add(&open_things, 1);
    return &thing->slot;
}

static struct span key_of(char name)
{
    static _Thread_local char key[2];
    key[0] = name;
    return span_str(key);
}

static void begin(struct slots *t)
{
    struct dp_error error;
    atomic_store(&open_things, 0);
    atomic_store(&closed_things, 0);
    assert_int_equal(slots_init(t, ROOM, close_thing, &error), DP_OK);
}

static bool has(struct slots *t, char name)
{
    struct slot *slot = slots_borrow(t, key_of(name), false);
    if (slot)
        slots_give_back(t, slot, false);
    return slot != NULL;
}

static void test_slots_close_the_one_that_waits_longest(void **state)
{
    struct slots t;
    (void)state;
    begin(&t);
    for (int i = 0; i < ROOM; i++)
        slots_give_back(&t, slots_add(&t, make_thing((char)('a' + i))), false);
    slots_give_back(&t, slots_borrow(&t, key_of('a'), true), false);
    assert_true(has(&t, 'b')); /* no use of the thing */
    slots_give_back(&t, slots_add(&t, make_thing('x')), false);
    assert_true(has(&t, 'a') && !has(&t, 'b') && has(&t, 'c') && has(&t, 'x'));
    assert_int_equal(closed_things, 1);
    slots_deinit(&t);
    assert_int_equal(open_things, 0);
}

/* Borrowed slots stay, and a slot without a place in the table lives as long as it is borrowed. */
static void test_slots_keep_what_is_borrowed(void **state)
{
    struct slots t;
    struct slot *held[ROOM];
    (void)state;
    begin(&t);
    for (int i = 0; i < ROOM; i++)
        held[i] = slots_add(&t, make_thing((char)('a' + i)));
    struct slot *more = slots_add(&t, make_thing('x'));
    assert_int_equal(open_things, ROOM + 1);
    assert_false(has(&t, 'x'));
    slots_give_back(&t, more, false);
    assert_int_equal(open_things, ROOM);
    struct slot *again = slots_borrow(&t, key_of('a'), true);
    assert_ptr_equal(again, held[0]);
    slots_give_back(&t, again, true); /* forgotten, but still borrowed once */
    assert_false(has(&t, 'a'));
    assert_int_equal(open_things, ROOM);
    for (int i = 0; i < ROOM; i++)
        slots_give_back(&t, held[i], false);
    assert_int_equal(open_things, ROOM - 1);
    slots_deinit(&t);
}

/* Of two threads that open a thing at once, the second one gets the slot of the first. */
static void test_slots_have_a_key_once(void **state)
{
    struct slots t;
    (void)state;
    begin(&t);
    struct slot *first = slots_add(&t, make_thing('a')), *second = slots_add(&t, make_thing('a'));
    assert_ptr_equal(first, second);
    assert_int_equal(closed_things, 1);
    slots_give_back(&t, first, false);
    slots_give_back(&t, second, false);
    assert_true(has(&t, 'a'));
    slots_deinit(&t);
}

static void test_slots_reserve_a_key(void **state)
{
    struct slots t;
    (void)state;
    begin(&t);
    struct slot *a = make_thing('a'), *other = make_thing('a');
    assert_int_equal(slots_reserve(&t, a), DP_OK);
    assert_int_equal(slots_reserve(&t, other), DP_EXISTS);
    assert_false(has(&t, 'a'));
    slots_ready(&t, a);
    assert_true(has(&t, 'a'));
    slots_give_back(&t, a, false);
    for (int i = 1; i < ROOM; i++) {
        struct slot *slot = make_thing((char)('a' + i));
        assert_int_equal(slots_reserve(&t, slot), DP_OK);
        slots_ready(&t, slot);
        slots_give_back(&t, slot, false);
    }
    ((struct thing *)other)->key[0] = 'x';
    assert_int_equal(slots_reserve(&t, other), DP_FULL); /* no reservation closes another slot */
    close_thing(other);
    slots_deinit(&t);
    assert_int_equal(open_things, 0);
}

static void test_slots_survive_failed_allocations(void **state)
{
    struct slots t;
    struct dp_error error;
    (void)state;
    test_alloc_fail_at(1);
    assert_int_equal(slots_init(&t, ROOM, close_thing, &error), DP_NOMEM);
    test_alloc_fail_at(0);
    slots_deinit(&t);
    slots_deinit(&t); /* also twice */
}

static void *use_slots(void *context)
{
    struct slots *t = context;
    uint64_t seed = (uint64_t)(uintptr_t)&seed;
    for (int i = 0; i < TURNS; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        const char name = (char)('a' + (seed >> 33) % KEYS);
        struct slot *slot = slots_borrow(t, key_of(name), true);
        if (!slot)
            slot = slots_add(t, make_thing(name));
        assert_int_equal(*slot->key.data, name);
        slots_give_back(t, slot, (seed >> 40) % 16 == 0);
    }
    return NULL;
}

static void test_slots_serve_threads(void **state)
{
    struct slots t;
    pthread_t threads[THREADS];
    (void)state;
    begin(&t);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_slots, &t), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(open_things <= ROOM);
    slots_deinit(&t);
    assert_int_equal(open_things, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_close_the_one_that_waits_longest),
        cmocka_unit_test(test_slots_keep_what_is_borrowed),
        cmocka_unit_test(test_slots_have_a_key_once),
        cmocka_unit_test(test_slots_reserve_a_key),
        cmocka_unit_test(test_slots_survive_failed_allocations),
        cmocka_unit_test(test_slots_serve_threads),
    };
    return test_run(tests);
}
