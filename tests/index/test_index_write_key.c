/* test_index_write_key.c: writes with a key count once: while their entry is in the log, after folds, and for 24
 * hours. */
#include "index_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "index/manifest/format.h"
#include "index/query/reader.h"
#include "index/upkeep.h"
#include "index/verify.h"
#include "index/wal/write_key.h"
#include "os/clock.h"

static int64_t now_ms;

static int64_t test_now(void *ctx)
{
    (void)ctx;
    return now_ms;
}

static struct index_reader *begin_rows(struct world *w)
{
    now_ms = INT64_C(1900000000000);
    test_store_date(w->store, test_now, NULL);
    const struct index_vectors none = {.dim = 0};
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &none, NULL, NULL), DP_OK);
    return fixture_open(w, "rows");
}

/* Writes the row {"n": n} with a key. */
static enum dp_status write_keyed(struct world *w, struct index_reader *reader, uint64_t id, int n,
                                  const char *key, uint64_t request, struct index_write_result *out)
{
    char document[32];
    snprintf(document, sizeof document, "{\"n\":%d}", n);
    const struct index_write_row row = {.id.number = id, .attributes = span_str(document)};
    const struct index_write write = {.rows = &row, .count = 1, .key = span_str(key), .request = request};
    dp_error_clear(&w->call.error);
    return index_write(&w->call, reader, &write, out);
}

static struct index_write_result must_write(struct world *w, struct index_reader *reader, uint64_t id, int n,
                                            const char *key)
{
    struct index_write_result result;
    if (write_keyed(w, reader, id, n, key, 7, &result) != DP_OK)
        fail_msg("writing: %s", w->call.error.message);
    return result;
}

static void fold(struct world *w, struct index_reader *reader)
{
    struct index_fold_result result;
    if (index_fold(&w->call, reader, NULL, &result) != DP_OK)
        fail_msg("folding: %s", w->call.error.message);
    assert_true(result.entries > 0);
}

static bool take_all(void *ctx, struct span key, struct span document)
{
    (void)key;
    snprintf(ctx, 32, "%.*s", SPAN_FMT(document));
    return true;
}

/* Fails the test unless the namespace has one row, with that document. */
static void expect_row(struct world *w, const char *document)
{
    char text[32] = "";
    struct index_answer answer;
    struct index_reader *reader = fixture_open(w, "rows");
    struct index_scan scan = {.query.top_k = 10, .match = take_all, .match_ctx = text, .order_by = span_str("id")};
    assert_int_equal(index_scan(&w->call, reader, &scan, &answer), DP_OK);
    assert_int_equal(answer.count, 1);
    assert_string_equal(text, document);
    index_close(reader);
}

static void test_index_write_key_counts_once(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    struct index_write_result r = must_write(w, reader, 1, 1, "a");
    assert_true(!r.repeated && r.upserted == 1 && r.applied[0] && r.number == 1);
    must_write(w, reader, 1, 2, "b");
    for (int folds = 0; folds < 3; folds++) { /* in the log, after a fold, and after another one */
        struct index_reader *other = fixture_open(w, "rows");
        r = must_write(w, other, 1, 1, "a");
        assert_true(r.repeated && r.upserted == 1 && !r.applied[0] && r.number == 0);
        expect_row(w, "{\"n\":2}");
        index_close(other);
        r = must_write(w, reader, 1, 2, "b");
        assert_true(r.repeated);
        must_write(w, reader, 1, 2, (const char *[]){"c", "d", "e"}[folds]);
        fold(w, reader);
    }
    struct index_write_result refused;
    assert_int_equal(write_keyed(w, reader, 1, 5, "a", 8, &refused), DP_INVALID);
    assert_non_null(strstr(w->call.error.message, "another write was sent with the same key"));
    expect_row(w, "{\"n\":2}");
    index_close(reader);
}

/* A write that changed nothing is not made later either. */
static void test_index_write_key_of_a_write_without_effect(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    const struct index_write_row patch = {
        .kind = INDEX_PATCH, .id.number = 1, .attributes = span_str("{\"n\":9}")};
    const struct index_write write = {.rows = &patch, .count = 1, .key = span_str("p"), .request = 7};
    struct index_write_result r;
    assert_int_equal(index_write(&w->call, reader, &write, &r), DP_OK);
    assert_true(!r.repeated && r.patched == 0);
    must_write(w, reader, 1, 1, "a");
    fold(w, reader);
    assert_int_equal(index_write(&w->call, reader, &write, &r), DP_OK);
    assert_true(r.repeated && r.patched == 0);
    expect_row(w, "{\"n\":1}");
    index_close(reader);
}

static void test_index_write_key_counts_for_a_day(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    must_write(w, reader, 1, 1, "a");
    fold(w, reader);
    index_close(reader);
    now_ms += WRITE_KEY_MS - 60000;
    reader = fixture_open(w, "rows");
    must_write(w, reader, 1, 2, "b");
    assert_true(must_write(w, reader, 1, 1, "a").repeated);
    fold(w, reader); /* it keeps both */
    index_close(reader);
    now_ms += 60000;
    reader = fixture_open(w, "rows");
    assert_true(must_write(w, reader, 1, 2, "b").repeated);
    assert_false(must_write(w, reader, 1, 1, "a").repeated);
    expect_row(w, "{\"n\":1}");
    fold(w, reader); /* the newer "a" takes the place of the old one */
    assert_true(must_write(w, reader, 1, 1, "a").repeated);
    index_close(reader);
}

/* The entry that another node has put meanwhile has the same key: the write was judged in vain. */
static void test_index_write_key_of_another_node_leaves_no_effects(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w), *other;
    must_write(w, reader, 1, 1, "a");
    other = fixture_open(w, "rows");
    must_write(w, reader, 1, 2, "b");
    struct index_write_result r = must_write(w, other, 1, 2, "b");
    assert_true(r.repeated && r.upserted == 1 && r.number == 0);
    assert_false(r.applied[0]);
    index_close(other);
    index_close(reader);
}

/* Lets the deadline of a write pass while its first put is on its way. */
static void pass_deadline(void *context, const struct test_store_op *op)
{
    const struct call *call = context;
    while (op->kind == TEST_STORE_PUT && os_now_ns() < call->deadline_ns)
        sched_yield();
}

/* The put of the first try arrives before the second try, or after it. */
static void test_index_write_key_after_an_unknown_outcome_counts_once(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w), *other;
    must_write(w, reader, 1, 1, "a");
    for (int late = 0; late < 2; late++) {
        const char *key = late ? "late" : "early";
        struct index_write_result r;
        other = fixture_open(w, "rows");
        test_store_fate_at(w->store, late ? "00000004" : "00000002", 1, TEST_STORE_LATE, DP_UNKNOWN);
        w->call.deadline_ns = os_now_ns() + 50 * 1000000;
        test_store_hook(w->store, pass_deadline, &w->call);
        assert_int_equal(write_keyed(w, reader, 1, 2, key, 7, &r), DP_UNKNOWN);
        test_store_hook(w->store, NULL, NULL);
        w->call.deadline_ns = INT64_MAX;
        dp_error_clear(&w->call.error);
        if (!late)
            assert_int_equal(test_store_deliver(w->store, &w->call), DP_OK);
        assert_true(must_write(w, other, 1, 2, key).repeated == !late);
        if (late)
            assert_int_equal(test_store_deliver(w->store, &w->call), DP_EXISTS);
        dp_error_clear(&w->call.error);
        assert_true(must_write(w, reader, 1, 2, key).repeated);
        must_write(w, reader, 1, 3, "");
        assert_true(must_write(w, other, 1, 2, key).repeated);
        expect_row(w, "{\"n\":3}");
        index_close(other);
    }
    index_close(reader);
}

/* A key belongs to one life of its namespace. */
static void test_index_write_key_ends_with_its_namespace(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    const struct index_vectors none = {.dim = 0};
    must_write(w, reader, 1, 1, "a");
    fold(w, reader);
    must_write(w, reader, 1, 2, "b");
    index_close(reader);
    assert_int_equal(index_delete(&w->call, w->store, span_str("rows")), DP_OK);
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &none, NULL, NULL), DP_OK);
    reader = fixture_open(w, "rows");
    assert_false(must_write(w, reader, 1, 5, "a").repeated);
    fold(w, reader);
    assert_false(must_write(w, reader, 1, 6, "b").repeated);
    assert_true(must_write(w, reader, 1, 5, "a").repeated);
    expect_row(w, "{\"n\":6}");
    index_close(reader);
}

static void count_fault(void *context, const char *object, const char *why)
{
    (void)why;
    assert_non_null(strstr(object, ".keys"));
    ++*(size_t *)context;
}

static bool agree(void *context, const struct index_repair_result *result)
{
    (void)context, (void)result;
    return true;
}

static void remove_folded_keys(struct world *w)
{
    struct store_listing list;
    assert_int_equal(store_list(&w->call, w->store, span_str("rows/"), (struct span){0}, false, 100, &list),
                     DP_OK);
    for (size_t i = 0; i < list.count; i++) {
        struct span key = list.entries[i].key;
        if (key.len > 5 && memcmp(key.data + key.len - 5, ".keys", 5) == 0)
            assert_int_equal(store_remove(&w->call, w->store, key), DP_OK);
    }
}

/* A write of one row, on a separate thread. */
struct keyed_thread {
    struct index_reader *reader;
    uint64_t id;
    const char *key;
    pthread_t thread;
    enum dp_status status;
    struct dp_error error;
};

static void *write_by_thread(void *context)
{
    struct keyed_thread *t = context;
    struct arena arena;
    struct call call;
    struct index_write_result result;
    const struct index_write_row row = {.id.number = t->id, .attributes = span_str("{\"n\":4}")};
    const struct index_write write = {.rows = &row, .count = 1, .key = span_str(t->key), .request = 7};
    arena_init(&arena, 16 << 20);
    call_init(&call, &arena);
    t->status = index_write(&call, t->reader, &write, &result);
    t->error = call.error;
    arena_deinit(&arena);
    return NULL;
}

/* Holds the first put until two writes wait behind it, which are the next group. */
struct two_waiting {
    struct index_reader *reader;
    atomic_bool done;
};

static void hold_put(void *context, const struct test_store_op *op)
{
    struct two_waiting *hold = context;
    bool enough = op->kind != TEST_STORE_PUT || atomic_exchange(&hold->done, true);
    while (!enough) {
        pthread_mutex_lock(&hold->reader->group.lock);
        enough = hold->reader->group.locked.waiting == 2;
        pthread_mutex_unlock(&hold->reader->group.lock);
        sched_yield();
    }
}

static void test_index_write_without_a_key_survives_beside_damaged_keys(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    must_write(w, reader, 1, 1, "a");
    fold(w, reader);
    index_close(reader);
    remove_folded_keys(w);
    reader = fixture_open(w, "rows");
    struct two_waiting hold = {.reader = reader};
    struct keyed_thread threads[] = {{.id = 2, .key = ""}, {.id = 3, .key = "c"}, {.id = 4, .key = ""}};
    test_store_hook(w->store, hold_put, &hold);
    for (size_t i = 0; i < 3; i++) {
        threads[i].reader = reader;
        assert_int_equal(pthread_create(&threads[i].thread, NULL, write_by_thread, &threads[i]), 0);
        while (!atomic_load(&hold.done))
            sched_yield();
    }
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i].thread, NULL);
    test_store_hook(w->store, NULL, NULL);
    assert_int_equal(threads[0].status, DP_OK);
    assert_int_equal(threads[1].status, DP_CORRUPT);
    assert_non_null(strstr(threads[1].error.message, ".keys"));
    assert_int_equal(threads[2].status, DP_OK);
    index_close(reader);
}

static void test_index_write_keys_that_are_damaged_stop_writes_with_keys_only(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = begin_rows(w);
    must_write(w, reader, 1, 1, "a");
    fold(w, reader);
    index_close(reader);
    remove_folded_keys(w);
    struct index_write_result r;
    reader = fixture_open(w, "rows");
    assert_int_not_equal(write_keyed(w, reader, 1, 1, "a", 7, &r), DP_OK);
    assert_non_null(strstr(w->call.error.message, ".keys"));
    assert_false(must_write(w, reader, 1, 3, "").repeated);
    expect_row(w, "{\"n\":3}");
    index_close(reader);
    size_t faults = 0;
    struct index_verify_result verified;
    assert_int_equal(index_verify(&w->call, w->store, span_str("rows"), count_fault, &faults, &verified), DP_OK);
    assert_int_equal(faults, 1);
    const struct index_repair_options options = {.fault = count_fault, .agree = agree, .context = &faults};
    struct index_repair_result repaired;
    assert_int_equal(index_repair(&w->call, w->store, span_str("rows"), &options, &repaired), DP_OK);
    assert_true(repaired.done);
    reader = fixture_open(w, "rows");
    assert_false(must_write(w, reader, 1, 1, "a").repeated);
    fold(w, reader);
    assert_true(must_write(w, reader, 1, 1, "a").repeated);
    index_close(reader);
}

/* ---- sets ----------------------------------------------------------------------------------------------------- */

static void test_index_write_keys_are_settled(void **state)
{
    (void)state;
    struct write_key keys[] = {{.id = {3}, .at_ms = 30},
                               {.id = {1}, .at_ms = 10},
                               {.id = {3}, .at_ms = 40},
                               {.id = {2}, .at_ms = 20},
                               {.id = {9}, .at_ms = 5}};
    assert_int_equal(key_set_settle(keys, 5, 5 + WRITE_KEY_MS, 10), 3); /* 9 is a day old */
    assert_true(keys[0].id[0] == 1 && keys[1].id[0] == 2 && keys[2].id[0] == 3 && keys[2].at_ms == 40);
    assert_int_equal(key_set_settle(keys, 3, 100, 2), 2); /* the oldest is dropped */
    assert_true(keys[0].id[0] == 2 && keys[1].id[0] == 3);
    assert_int_equal(key_set_settle(keys, 0, 100, 2), 0);
}

static void test_index_write_keys_are_parsed_strictly(void **state)
{
    struct world *w = *state;
    struct write_key keys[] = {{.id = {1}, .at_ms = 10, .upserted = 3, .remaining = true},
                               {.id = {2}, .at_ms = 20}};
    struct key_set set = {keys, 2}, got;
    struct manifest m;
    struct buffer bytes;
    manifest_init(&m);
    assert_true(ulid_parse(span_str("01J00000000000000000000000"), &m.incarnation));
    assert_true(ulid_parse(span_str("01J00000000000000000000001"), &m.keys.id));
    m.keys.count = 2;
    buffer_init(&bytes, 1 << 20);
    key_set_write(&set, &m.keys.id, &m.incarnation, &bytes);
    assert_int_equal(key_set_parse(buffer_span(&bytes), &m, &got, &w->call.error), DP_OK);
    assert_true(got.count == 2 && got.keys[0].upserted == 3 && got.keys[0].remaining && got.keys[1].at_ms == 20);
    assert_ptr_equal(key_set_find(&got, keys[1].id), &got.keys[1]);
    key_set_deinit(&got);
    for (size_t i = 0; i < bytes.len; i++) {
        bytes.data[i] ^= 1;
        assert_int_equal(key_set_parse(buffer_span(&bytes), &m, &got, &w->call.error), DP_CORRUPT);
        bytes.data[i] ^= 1;
        assert_int_equal(key_set_parse(span_of(bytes.data, i), &m, &got, &w->call.error), DP_CORRUPT);
    }
    m.keys.count = 3;
    assert_int_equal(key_set_parse(buffer_span(&bytes), &m, &got, &w->call.error), DP_CORRUPT);
    buffer_deinit(&bytes);
    manifest_deinit(&m);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_write_key_counts_once),
        IN_MEMORY(test_index_write_key_of_a_write_without_effect),
        IN_MEMORY(test_index_write_key_counts_for_a_day),
        IN_MEMORY(test_index_write_key_after_an_unknown_outcome_counts_once),
        IN_MEMORY(test_index_write_key_ends_with_its_namespace),
        IN_MEMORY(test_index_write_key_of_another_node_leaves_no_effects),
        IN_MEMORY(test_index_write_without_a_key_survives_beside_damaged_keys),
        IN_MEMORY(test_index_write_keys_that_are_damaged_stop_writes_with_keys_only),
        cmocka_unit_test(test_index_write_keys_are_settled),
        IN_MEMORY(test_index_write_keys_are_parsed_strictly),
    };
    return test_run(tests);
}
