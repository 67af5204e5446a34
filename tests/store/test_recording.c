/* test_recording.c: the recording store, which other tests use to count requests and to inject failures. */
#include "test_support.h"

#include "test_store.h"

struct fixture {
    struct arena arena;
    struct call call;
    struct store *store;
    unsigned hooked;
};

static int set_up(void **state)
{
    static struct fixture f;
    arena_init(&f.arena, 1 << 20);
    call_init(&f.call, &f.arena);
    f.hooked = 0;
    assert_int_equal(store_open(&f.call, span_str("mem://recorded"), true, &f.store), DP_OK);
    f.store = test_store_wrap(f.store);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    arena_deinit(&f->arena);
    return 0;
}

static enum dp_status put(struct fixture *f, const char *key)
{
    struct store_put put = {.key = span_str(key), .body = span_str("body"), .condition = STORE_IF_ABSENT};
    return store_put(&f->call, f->store, &put);
}

static enum dp_status head(struct fixture *f, const char *key)
{
    struct store_info info;
    return store_head(&f->call, f->store, span_str(key), &info);
}

static void test_store_recording_counts_and_logs(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, "a"), DP_OK);
    assert_int_equal(put(f, "a"), DP_EXISTS);
    struct store_read_req reqs[2] = {{.key = span_str("a"), .len = 3}, {.key = span_str("none"), .len = 1}};
    assert_int_equal(store_read(&f->call, f->store, reqs, 2), DP_NOT_FOUND);
    store_read_release(reqs, 2);
    struct test_store_counts counts = test_store_counts(f->store);
    assert_int_equal(counts.rounds, 3);
    assert_int_equal(counts.requests, 4);
    assert_int_equal(counts.bytes_read, 3);
    assert_int_equal(counts.reads, 1);
    assert_int_equal(counts.writes, 2);
    size_t count;
    const struct test_store_op *log = test_store_log(f->store, &count);
    assert_int_equal(count, 3);
    assert_int_equal(log[1].kind, TEST_STORE_PUT);
    assert_int_equal(log[1].status, DP_EXISTS);
    assert_int_equal(log[1].condition, STORE_IF_ABSENT);
    assert_int_equal(log[2].requests, 2);
    assert_string_equal(log[2].key, "a");
    test_store_reset(f->store);
    assert_int_equal(test_store_counts(f->store).rounds, 0);
}

static void test_store_recording_dies(void **state)
{
    struct fixture *f = *state;
    test_store_kill_at(f->store, 2);
    assert_int_equal(put(f, "a"), DP_OK);
    assert_false(test_store_killed(f->store));
    assert_int_equal(head(f, "a"), DP_OK);
    assert_int_equal(put(f, "b"), DP_UNAVAILABLE);
    assert_true(test_store_killed(f->store));
    assert_int_equal(head(f, "a"), DP_UNAVAILABLE);
    assert_int_equal(put(f, "c"), DP_UNAVAILABLE);
    test_store_kill_at(f->store, 0);
    assert_int_equal(head(f, "a"), DP_OK);
    assert_int_equal(head(f, "b"), DP_NOT_FOUND);
    assert_int_equal(head(f, "c"), DP_NOT_FOUND);
}

static void test_store_recording_can_be_killed_within_an_upload(void **state)
{
    struct fixture *f = *state;
    for (size_t n = 1; n <= 3; n++) {
        struct store_upload *upload = NULL;
        struct store_version version;
        test_store_kill_at(f->store, n);
        enum dp_status begun = store_upload_begin(&f->call, f->store, span_str("u"), &upload);
        assert_int_equal(begun, n == 1 ? DP_UNAVAILABLE : DP_OK);
        if (begun == DP_OK)
            assert_int_equal(store_upload_write(&f->call, upload, span_str("x")), n == 2 ? DP_UNAVAILABLE : DP_OK);
        if (n == 3)
            assert_int_equal(store_upload_finish(&f->call, upload, &version), DP_UNAVAILABLE);
        else
            store_upload_abort(upload);
        test_store_kill_at(f->store, 0);
        assert_int_equal(head(f, "u"), DP_NOT_FOUND);
    }
}

static void test_store_recording_fails_on_command(void **state)
{
    struct fixture *f = *state;
    test_store_fail_at(f->store, TEST_STORE_PUT, 2, DP_UNKNOWN, true);
    assert_int_equal(put(f, "a"), DP_OK);
    assert_int_equal(put(f, "landed"), DP_UNKNOWN);
    assert_int_equal(put(f, "b"), DP_OK);
    assert_int_equal(head(f, "landed"), DP_OK);
    test_store_fail_at(f->store, TEST_STORE_ANY_WRITE, 1, DP_FULL, false);
    assert_int_equal(head(f, "a"), DP_OK);
    assert_int_equal(put(f, "lost"), DP_FULL);
    assert_int_equal(head(f, "lost"), DP_NOT_FOUND);
    test_store_fail_at(f->store, TEST_STORE_READ, 1, DP_IO, true);
    struct store_read_req req = {.key = span_str("a"), .len = 1};
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_IO);
    assert_null(req.bytes.block);
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
    store_read_release(&req, 1);
}

static void test_store_recording_loses_delays_and_repeats_puts(void **state)
{
    struct fixture *f = *state;
    test_store_fate_at(f->store, "b", 1, TEST_STORE_SWALLOWED, DP_UNKNOWN);
    assert_int_equal(put(f, "a"), DP_OK);
    assert_int_equal(put(f, "b"), DP_UNKNOWN);
    assert_int_equal(head(f, "b"), DP_NOT_FOUND);
    assert_int_equal(test_store_deliver(f->store, &f->call), DP_NOT_FOUND);
    for (int first = 0; first < 2; first++) { /* a late put still obeys its condition */
        const char *key = first ? "c" : "d";
        test_store_fate_at(f->store, key, 1, TEST_STORE_LATE, DP_DENIED);
        assert_int_equal(put(f, key), DP_DENIED);
        assert_int_equal(head(f, key), DP_NOT_FOUND);
        if (first)
            assert_int_equal(put(f, key), DP_OK);
        assert_int_equal(test_store_deliver(f->store, &f->call), first ? DP_EXISTS : DP_OK);
        assert_int_equal(head(f, key), DP_OK);
    }
    test_store_fate_at(f->store, "e", 1, TEST_STORE_TWICE, DP_OK);
    assert_int_equal(put(f, "e"), DP_EXISTS);
    assert_int_equal(head(f, "e"), DP_OK);
}

/* Acts as another writer, which takes the name just before the put. */
static void put_first(void *ctx, const struct test_store_op *op)
{
    struct fixture *f = ctx;
    struct call call;
    call_init(&call, &f->arena);
    struct store_put other = {.key = span_str(op->key), .body = span_str("other")};
    if (op->kind == TEST_STORE_PUT && f->hooked++ == 0)
        assert_int_equal(store_put(&call, test_store_inner(f->store), &other), DP_OK);
}

static void test_store_recording_runs_a_hook_before_a_put(void **state)
{
    struct fixture *f = *state;
    test_store_hook(f->store, put_first, f);
    assert_int_equal(put(f, "contended"), DP_EXISTS);
    assert_int_equal(f->hooked, 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_store_recording_counts_and_logs),
        CASE(test_store_recording_dies),
        CASE(test_store_recording_can_be_killed_within_an_upload),
        CASE(test_store_recording_fails_on_command),
        CASE(test_store_recording_runs_a_hook_before_a_put),
        CASE(test_store_recording_loses_delays_and_repeats_puts),
    };
    return test_run(tests);
}
