/* contract_race.c: tests the promises of src/store/store.h about threads that use one store at once. */
#include "contract_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8, ROUNDS = 25 };

struct racer {
    pthread_t thread;
    struct store *store;
    unsigned number;
    unsigned won;
};

static void *race_if_absent(void *context)
{
    struct racer *r = context;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char key[32], body[32];
        snprintf(key, sizeof key, "race/%u/entry", i);
        snprintf(body, sizeof body, "writer %u", r->number);
        struct store_put put = {.key = span_str(key), .body = span_str(body), .condition = STORE_IF_ABSENT};
        enum dp_status status = store_put(&call, r->store, &put);
        if (status == DP_OK)
            r->won++;
        else if (status != DP_EXISTS)
            r->won += 1000000;
    }
    arena_deinit(&arena);
    return NULL;
}

/* Increments the number in "counter" ROUNDS times, by compare and swap. */
static void *race_if_version(void *context)
{
    struct racer *r = context;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    while (r->won < ROUNDS) {
        struct store_read_req req = {.key = span_str("counter"), .len = STORE_TO_END};
        if (store_read(&call, r->store, &req, 1) != DP_OK)
            break;
        char text[16] = "", next[24];
        memcpy(text, req.bytes.span.data, req.bytes.span.len < 15 ? req.bytes.span.len : 15);
        snprintf(next, sizeof next, "%ld", strtol(text, NULL, 10) + 1);
        store_read_release(&req, 1);
        struct store_put put = {.key = span_str("counter"),
                                .body = span_str(next),
                                .condition = STORE_IF_VERSION,
                                .expected = &req.version};
        enum dp_status status = store_put(&call, r->store, &put);
        if (status == DP_OK)
            r->won++;
        else if (status != DP_CONFLICT)
            break;
    }
    arena_deinit(&arena);
    return NULL;
}

/* Runs `body` on THREADS threads. Half of them use another handle, if the store can open one. */
static unsigned race(struct fixture *f, void *(*body)(void *))
{
    struct racer racers[THREADS] = {0};
    struct store *other = contract_subject->reopen ? contract_subject->reopen(f->store) : NULL;
    unsigned won = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.store = other && i % 2 ? other : f->store, .number = i};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, body, &racers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(racers[i].thread, NULL);
        won += racers[i].won;
    }
    store_free(other);
    return won;
}

static void test_store_one_of_many_wins_if_absent(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(race(f, race_if_absent), ROUNDS);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char key[32];
        snprintf(key, sizeof key, "race/%u/entry", i);
        assert_int_equal(contract_read_status(f, key), DP_OK);
    }
}

static void test_store_swaps_lose_no_count(void **state)
{
    struct fixture *f = *state;
    contract_must_put(f, "counter", "0");
    assert_int_equal(race(f, race_if_version), THREADS * ROUNDS);
    char expected[16];
    snprintf(expected, sizeof expected, "%d", THREADS * ROUNDS);
    contract_expect_content(f, "counter", expected);
}

struct mixer {
    struct store *store;
    size_t size;
    uint8_t *bodies[2];
    _Atomic bool done;
    _Atomic unsigned wrong, seen, stale;
};

/* Reads two distant parts of "mixed" again and again. Both must come from one content. */
static void *read_both_ends(void *context)
{
    struct mixer *m = context;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    while (!m->done) {
        arena_reset(&arena); /* else the heads of many answers would fill it */
        struct store_version pinned = {0};
        struct store_read_req head = {.key = span_str("mixed"), .len = 64};
        if (store_read(&call, m->store, &head, 1) != DP_OK) {
            m->wrong++;
            continue;
        }
        pinned = head.version;
        struct store_read_req tail = {
            .key = span_str("mixed"), .offset = m->size - 64, .len = 64, .pinned = &pinned};
        enum dp_status status = store_read(&call, m->store, &tail, 1);
        if (status == DP_STALE) {
            m->stale++;
        } else if (status != DP_OK) {
            m->wrong++;
        } else {
            int first = memcmp(head.bytes.span.data, m->bodies[0], 64) == 0 ? 0 : 1;
            bool same = memcmp(head.bytes.span.data, m->bodies[first], 64) == 0 &&
                        memcmp(tail.bytes.span.data, m->bodies[first] + m->size - 64, 64) == 0;
            *(same ? &m->seen : &m->wrong) += 1;
        }
        store_read_release(&head, 1);
        store_read_release(&tail, 1);
    }
    arena_deinit(&arena);
    return NULL;
}

static void check_never_a_mix(struct fixture *f, size_t size)
{
    struct mixer m = {
        .store = f->store, .size = size, .bodies = {contract_pattern(size, 11), contract_pattern(size, 12)}};
    struct store_put put = {.key = span_str("mixed"), .body = span_of(m.bodies[0], size)};
    assert_int_equal(store_put(&f->call, f->store, &put), DP_OK);
    pthread_t readers[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_both_ends, &m), 0);
    /* Replaces the object until the readers, which run meanwhile, have seen enough of it. */
    for (unsigned i = 0; i < 50 || (m.seen < 50 && m.wrong == 0); i++) {
        put.body = span_of(m.bodies[i % 2], size);
        assert_int_equal(store_put(&f->call, f->store, &put), DP_OK);
    }
    m.done = true;
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(m.wrong, 0);
    free(m.bodies[0]);
    free(m.bodies[1]);
}

static void test_store_never_a_mix(void **state)
{
    check_never_a_mix(*state, 4096);
    check_never_a_mix(*state, 600 * 1024);
}

static void *put_and_remove(void *context)
{
    struct racer *r = context;
    struct arena arena;
    struct call call;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    char key[64];
    snprintf(key, sizeof key, "deep/er/folder/%u", r->number);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct store_put put = {
            .key = span_str(key), .body = span_str("x"), .condition = i % 2 ? STORE_ANY : STORE_IF_ABSENT};
        struct store_read_req req = {.key = span_str(key), .len = STORE_TO_END};
        enum dp_status status = store_put(&call, r->store, &put);
        /* A remote store may answer DP_UNKNOWN. The read then shows the outcome, because no other thread writes
         * this key. */
        bool landed = status == DP_OK || (status == DP_UNKNOWN && contract_subject->remote);
        bool ok = landed && store_read(&call, r->store, &req, 1) == DP_OK;
        store_read_release(&req, 1);
        ok = ok && store_remove(&call, r->store, span_str(key)) == DP_OK;
        r->won += ok;
        if (!ok)
            print_error("%s\n", call.error.message);
    }
    arena_deinit(&arena);
    return NULL;
}

static void test_store_puts_and_removals_in_one_folder(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(race(f, put_and_remove), THREADS * ROUNDS);
    assert_string_equal(contract_list(f, "", "", false, 10, NULL), "");
}

int contract_run_races(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_CASE(test_store_one_of_many_wins_if_absent),
        CONTRACT_CASE(test_store_swaps_lose_no_count),
        CONTRACT_CASE(test_store_never_a_mix),
        CONTRACT_CASE(test_store_puts_and_removals_in_one_folder),
    };
    if (contract_subject->not_atomic)
        return 0;
    return cmocka_run_group_tests_name(contract_subject->name, tests, NULL, NULL);
}
