/* test_vector_cache.c: keys, the memory tier of the embedding cache, and its flights. */
#include "test_support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "embed/vector_cache.h"
#include "os/clock.h"

enum { DIM = 4 };

static struct vector_cache *cache;
static struct arena arena;
static const struct vector_facts FACTS = {3, 7, true};

static void open_cache(size_t vectors, uint64_t bytes)
{
    struct dp_error error;
    assert_int_equal(vector_cache_new(vectors, bytes, &cache, &error), DP_OK);
    arena_init(&arena, 1 << 20);
}

static void close_cache(void)
{
    vector_cache_free(cache);
    arena_deinit(&arena);
}

static struct cache_key key_of(unsigned n)
{
    struct sha256_state keys;
    struct cache_key key;
    sha256_begin(&keys);
    cache_key_of_text(&keys, span_str(""), false, span_of(&n, sizeof n), &key);
    return key;
}

static void vector_of(unsigned n, float v[DIM])
{
    for (unsigned d = 0; d < DIM; d++)
        v[d] = (float)(n * DIM + d);
}

static bool has(unsigned n)
{
    float v[DIM], expected[DIM];
    struct cache_key key = key_of(n);
    struct vector_read read = {.dim = DIM, .vector = v};
    if (!vector_cache_read(cache, &key, &arena, &read))
        return false;
    vector_of(n, expected);
    assert_memory_equal(v, expected, sizeof v);
    assert_int_equal(read.facts.tokens, FACTS.tokens);
    assert_int_equal(read.facts.total, FACTS.total);
    assert_true(read.facts.truncated);
    return true;
}

static struct vector_entry *lead(unsigned n)
{
    float v[DIM];
    struct vector_entry *entry;
    struct cache_key key = key_of(n);
    struct vector_read read = {.dim = DIM, .vector = v};
    assert_int_equal(vector_cache_ask(cache, &key, &arena, &read, &entry), FLIGHT_LEAD);
    return entry;
}

static void put(unsigned n)
{
    float v[DIM];
    vector_of(n, v);
    vector_cache_land(cache, lead(n), v, &FACTS);
}

/* ---- keys ---- */

struct made {
    struct cache_key key;
    char what[96];
};

static int by_key(const void *a, const void *b)
{
    return memcmp(((const struct made *)a)->key.bytes, ((const struct made *)b)->key.bytes, 32);
}

/* Combinations of close models, engines, limits, outputs and inputs: no two keys are equal. */
static void test_embed_cache_keys_differ_for_different_inputs(void **state)
{
    (void)state;
    static const char *const prints[] = {"a", "b", "ab", ""}, *const engines[] = {"native int8", "native fp32",
                                                                                  "onnx b", "b"};
    static const uint32_t limits[] = {0, 1, 256, 65536}, dims[] = {1, 4, 256, 384};
    static const char *const texts[] = {"",         "a",  "a ", " a",       "A",        "\1",
                                        "\0\0\0\0", "ab", "b",  "\xc3\xa9", "e\xcc\x81"};
    static const char *const prompts[] = {"", "a", "ab"};
    static const int32_t ids[] = {97, 0, 98, 24929};
    struct made *made = calloc(1 << 15, sizeof *made);
    size_t count = 0;
    assert_non_null(made);
    for (size_t i = 0; i < 4 * 4 * 4 * 4 * 2; i++) {
        const struct model_info info = {.fingerprint = prints[i % 4], .engine = engines[i / 4 % 4]};
        struct sha256_state model, keys;
        cache_keys_begin(&model, &info, limits[i / 16 % 4]);
        cache_keys_of_output(&model, i / 256, dims[i / 64 % 4], &keys);
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
            struct span text = span_of(texts[t], t == 6 ? 4 : strlen(texts[t]));
            for (size_t prompt = 0; prompt < 5; prompt++) {
                snprintf(made[count].what, sizeof made[count].what, "%zu, text %zu, prompt %zu", i, t, prompt);
                cache_key_of_text(&keys, span_str(prompts[prompt / 2]), prompt % 2, text, &made[count++].key);
                prompt += prompt == 0; /* an empty prompt is not skipped */
            }
        }
        for (size_t n = 1; n <= 4; n++) {
            snprintf(made[count].what, sizeof made[count].what, "%zu, %zu tokens", i, n);
            cache_key_of_tokens(&keys, ids, n, &made[count++].key);
        }
    }
    qsort(made, count, sizeof *made, by_key);
    for (size_t i = 1; i < count; i++)
        if (by_key(&made[i - 1], &made[i]) == 0)
            fail_msg("%s and %s have the same key", made[i - 1].what, made[i].what);
    free(made);
}

static void test_embed_cache_keys_do_not_change(void **state)
{
    (void)state;
    const struct model_info info = {.fingerprint = "f", .engine = "native int8"};
    struct sha256_state model, keys;
    struct cache_key a, b;
    cache_keys_begin(&model, &info, 256);
    cache_keys_of_output(&model, true, 384, &keys);
    cache_key_of_text(&keys, span_str(""), false, span_str("hello"), &a);
    cache_key_of_text(&keys, span_str(""), true, span_str("hello"), &b);
    assert_memory_equal(&a, &b, sizeof a);
}

/* ---- what is kept ---- */

static void test_embed_cache_returns_landed_vectors(void **state)
{
    (void)state;
    open_cache(100, 1 << 20);
    assert_false(has(1));
    put(1);
    put(2);
    assert_true(has(1) && has(2) && !has(3));
    close_cache();
}

static void test_embed_cache_holds_so_many_vectors(void **state)
{
    (void)state;
    open_cache(10, 1 << 20);
    unsigned kept = 0;
    for (unsigned n = 0; n < 100; n++)
        put(n);
    for (unsigned n = 0; n < 100; n++)
        kept += has(n);
    assert_int_equal(kept, 10);
    close_cache();
}

static void test_embed_cache_holds_so_many_bytes(void **state)
{
    (void)state;
    struct metric_registry metrics;
    struct dp_error error;
    metric_registry_init(&metrics);
    open_cache(100000, 64 << 10);
    assert_int_equal(vector_cache_add_metrics(cache, &metrics, &error), DP_OK);
    size_t before = test_alloc_bytes();
    for (unsigned n = 0; n < 5000; n++) {
        struct cache_key key = key_of(n);
        put(n);
        vector_cache_attach(cache, &key, VECTOR_JSON, span_str("[0,1,2,3]"));
        assert_true(atomic_load(&metrics.last->value) <= 64 << 10);
    }
    assert_true(atomic_load(&metrics.last->value) > 60 << 10);
    /* The counted bytes are the allocated ones, except the growing table. */
    assert_true(test_alloc_bytes() - before < 80 << 10);
    close_cache();
    metric_registry_deinit(&metrics);
}

/* A text that is asked for again stays while many others pass. */
static void test_embed_cache_keeps_the_hot_in_a_flood(void **state)
{
    (void)state;
    open_cache(100, 1 << 20);
    for (unsigned n = 0; n < 50; n++)
        put(n);
    for (unsigned flood = 1000; flood < 6000; flood++) {
        put(flood);
        assert_true(has(flood % 50));
    }
    close_cache();
}

static void test_embed_cache_without_room_keeps_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        open_cache(i ? 10 : 0, i ? 0 : 1 << 20);
        put(1);
        assert_false(has(1));
        put(1);
        close_cache();
    }
}

static void test_embed_cache_keeps_printed_forms(void **state)
{
    (void)state;
    open_cache(100, 1 << 20);
    struct cache_key key = key_of(1), other = key_of(2);
    float v[DIM];
    struct vector_read read = {.form = VECTOR_JSON, .dim = DIM, .vector = v};
    vector_cache_attach(cache, &other, VECTOR_JSON, span_str("[9]")); /* ignored: `other` is not kept */
    put(1);
    assert_true(vector_cache_read(cache, &key, &arena, &read));
    assert_null(read.text.data);
    vector_cache_attach(cache, &key, VECTOR_JSON, span_str("[0]"));
    vector_cache_attach(cache, &key, VECTOR_JSON, span_str("[1]")); /* ignored: it has a JSON form already */
    vector_cache_attach(cache, &key, VECTOR_BASE64, span_str("\"AAAA\""));
    assert_non_null(arena_alloc(&arena, 1)); /* from now on there is room */
    size_t before = test_alloc_count();
    for (int i = 0; i < 20; i++) {
        assert_true(vector_cache_read(cache, &key, &arena, &read));
        assert_true(span_equal_str(read.text, "[0]"));
        assert_int_equal(read.facts.tokens, FACTS.tokens);
    }
    assert_int_equal(test_alloc_count(), before);
    read.form = VECTOR_BASE64;
    assert_true(vector_cache_read(cache, &key, &arena, &read));
    assert_true(span_equal_str(read.text, "\"AAAA\""));
    assert_true(has(1));
    close_cache();
}

/* ---- flights ---- */

struct seeker {
    pthread_t thread;
    unsigned n;
    bool fails; /* if this seeker leads, its flight fails */
};

static _Atomic unsigned computed, asked;
static _Atomic bool may_land;

static void spin_until(const _Atomic unsigned *value, unsigned least)
{
    while (atomic_load(value) < least)
        sched_yield();
}

/* Asks for a vector as a request does. */
static void *seek(void *context)
{
    struct seeker *seeker = context;
    struct arena own;
    struct call call;
    struct cache_key key = key_of(seeker->n);
    float v[DIM], expected[DIM];
    struct vector_read read = {.dim = DIM, .vector = v};
    vector_of(seeker->n, expected);
    arena_init(&own, 1 << 16);
    call_init(&call, &own);
    for (bool done = false; !done;) {
        struct vector_entry *entry;
        enum flight_answer answer = vector_cache_ask(cache, &key, &own, &read, &entry);
        atomic_fetch_add(&asked, 1);
        done = answer == FLIGHT_HIT;
        if (answer == FLIGHT_LEAD) {
            while (!atomic_load(&may_land))
                sched_yield();
            done = !seeker->fails;
            seeker->fails = false;
            memcpy(v, expected, sizeof v);
            atomic_fetch_add(&computed, done);
            vector_cache_land(cache, entry, done ? v : NULL, &FACTS);
        } else if (answer == FLIGHT_WAIT) {
            done = vector_cache_wait(&call, cache, entry, &read) == FLIGHT_LANDED;
        }
    }
    assert_memory_equal(v, expected, sizeof v);
    arena_deinit(&own);
    return NULL;
}

static void fly(size_t vectors, unsigned fails)
{
    enum { SEEKERS = 8 };
    struct seeker seekers[SEEKERS];
    open_cache(vectors, 1 << 20);
    atomic_store(&computed, 0);
    atomic_store(&asked, 0);
    atomic_store(&may_land, false);
    for (unsigned i = 0; i < SEEKERS; i++) {
        seekers[i] = (struct seeker){.n = 5, .fails = i < fails};
        assert_int_equal(pthread_create(&seekers[i].thread, NULL, seek, &seekers[i]), 0);
    }
    spin_until(&asked, SEEKERS);
    atomic_store(&may_land, true);
    for (unsigned i = 0; i < SEEKERS; i++)
        pthread_join(seekers[i].thread, NULL);
    if (fails == 0)
        assert_int_equal(atomic_load(&computed), 1);
    assert_true(atomic_load(&computed) >= 1);
    assert_int_equal(has(5), vectors > 0);
    close_cache();
}

static void test_embed_cache_computes_once_for_all_who_ask(void **state)
{
    (void)state;
    fly(100, 0);
    fly(0, 0); /* also in a cache that keeps no vector */
}

static void test_embed_cache_lets_another_lead_after_a_failure(void **state)
{
    (void)state;
    fly(100, 3);
    fly(100, 8);
}

static void test_embed_cache_waits_no_longer_than_its_call(void **state)
{
    (void)state;
    open_cache(100, 1 << 20);
    struct call call;
    _Atomic bool cancelled = true;
    float v[DIM];
    struct vector_entry *leader = lead(1), *waiter;
    struct cache_key key = key_of(1);
    struct vector_read read = {.dim = DIM, .vector = v};
    call_init(&call, &arena);
    assert_int_equal(vector_cache_ask(cache, &key, &arena, &read, &waiter), FLIGHT_WAIT);
    call.deadline_ns = os_now_ns() - 1;
    assert_int_equal(vector_cache_wait(&call, cache, waiter, &read), FLIGHT_LEFT);
    assert_int_equal(call.error.status, DP_DEADLINE);
    call_init(&call, &arena);
    call.cancelled = &cancelled;
    assert_int_equal(vector_cache_ask(cache, &key, &arena, &read, &waiter), FLIGHT_WAIT);
    assert_int_equal(vector_cache_wait(&call, cache, waiter, &read), FLIGHT_LEFT);
    assert_int_equal(call.error.status, DP_CANCELLED);
    assert_int_equal(vector_cache_ask(cache, &key, &arena, &read, &waiter), FLIGHT_WAIT);
    vector_cache_land(cache, leader, NULL, NULL);
    vector_cache_leave(cache, waiter); /* the last user frees it */
    assert_false(has(1));
    put(1);
    close_cache();
}

static void test_embed_cache_survives_every_failed_allocation(void **state)
{
    (void)state;
    struct dp_error error;
    for (size_t n = 1;; n = test_alloc_next(n)) {
        test_alloc_fail_at(n);
        enum dp_status status = vector_cache_new(10000, 1 << 30, &cache, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        if (status == DP_OK)
            vector_cache_free(cache);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
    }
    open_cache(1000, 1 << 20);
    for (unsigned n = 0; n < 500; n++) { /* the table grows meanwhile */
        float v[DIM];
        struct cache_key key = key_of(n);
        struct vector_entry *entry;
        struct vector_read read = {.dim = DIM, .vector = v};
        test_alloc_fail_at(1);
        assert_int_equal(vector_cache_ask(cache, &key, &arena, &read, &entry), FLIGHT_NOMEM);
        test_alloc_fail_at(2);
        entry = lead(n);
        test_alloc_fail_at(0);
        vector_of(n, v);
        vector_cache_land(cache, entry, v, &FACTS);
        test_alloc_fail_at(1);
        vector_cache_attach(cache, &key, VECTOR_JSON, span_str("[]"));
        test_alloc_fail_at(0);
        assert_true(has(n));
    }
    close_cache();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed_cache_keys_differ_for_different_inputs),
        cmocka_unit_test(test_embed_cache_keys_do_not_change),
        cmocka_unit_test(test_embed_cache_returns_landed_vectors),
        cmocka_unit_test(test_embed_cache_holds_so_many_vectors),
        cmocka_unit_test(test_embed_cache_holds_so_many_bytes),
        cmocka_unit_test(test_embed_cache_keeps_the_hot_in_a_flood),
        cmocka_unit_test(test_embed_cache_without_room_keeps_nothing),
        cmocka_unit_test(test_embed_cache_keeps_printed_forms),
        cmocka_unit_test(test_embed_cache_computes_once_for_all_who_ask),
        cmocka_unit_test(test_embed_cache_lets_another_lead_after_a_failure),
        cmocka_unit_test(test_embed_cache_waits_no_longer_than_its_call),
        cmocka_unit_test(test_embed_cache_survives_every_failed_allocation),
    };
    return test_run(tests);
}
