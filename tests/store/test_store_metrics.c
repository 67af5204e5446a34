/* test_store_metrics.c: the metrics of a store's operations. */
#include "test_support.h"

#include "store/store_metrics.h"

struct fixture {
    struct arena arena;
    struct call call;
    struct metric_registry metrics;
    struct store *store;
};

static int set_up(void **state)
{
    static struct fixture f;
    arena_init(&f.arena, 1 << 20);
    call_init(&f.call, &f.arena);
    metric_registry_init(&f.metrics);
    assert_int_equal(store_open(&f.call, span_str("mem://metrics"), true, &f.store), DP_OK);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    metric_registry_deinit(&f->metrics);
    arena_deinit(&f->arena);
    return 0;
}

static const struct metric *metric(struct fixture *f, const char *name, const char *labels)
{
    const struct metric *m = f->metrics.first;
    while (m && (strcmp(m->name, name) != 0 || strcmp(m->labels, labels) != 0))
        m = m->next;
    if (!m)
        fail_msg("there is no %s{%s}", name, labels);
    return m;
}

static void expect_done(struct fixture *f, const char *labels, int64_t count)
{
    assert_int_equal(metric_value(metric(f, "dipper_store_operations_total", labels)), count);
}

static void expect_timed(struct fixture *f, const char *labels, uint64_t count)
{
    const struct metric *m = metric(f, "dipper_store_operation_seconds", labels);
    uint64_t sum = 0;
    for (size_t i = 0; i <= m->bound_count; i++)
        sum += m->buckets[i];
    assert_int_equal(sum, count);
}

static void expect_bytes(struct fixture *f, const char *labels, int64_t bytes)
{
    assert_int_equal(metric_value(metric(f, "dipper_store_operation_bytes_total", labels)), bytes);
}

static void upload(struct fixture *f)
{
    struct store_upload *u;
    struct store_version version;
    assert_int_equal(store_upload_begin(&f->call, f->store, span_str("b"), &u), DP_OK);
    assert_int_equal(store_upload_write(&f->call, u, span_str("0123")), DP_OK);
    assert_int_equal(store_upload_write(&f->call, u, span_str("456")), DP_OK);
    assert_int_equal(store_upload_finish(&f->call, u, &version), DP_OK);
}

static void test_store_metrics_count_operations(void **state)
{
    struct fixture *f = *state;
    struct store_put put = {.key = span_str("a"), .body = span_str("hello"), .condition = STORE_IF_ABSENT};
    struct store_info info;
    struct store_listing listing;
    assert_int_equal(store_add_metrics(f->store, &f->metrics, &f->call.error), DP_OK);
    assert_int_equal(store_put(&f->call, f->store, &put), DP_OK);
    assert_int_equal(store_put(&f->call, f->store, &put), DP_EXISTS);
    upload(f);
    struct store_read_req reqs[] = {{.key = span_str("a"), .offset = 1, .len = 3},
                                    {.key = span_str("b"), .len = STORE_TO_END},
                                    {.key = span_str("c"), .len = STORE_TO_END}};
    assert_int_equal(store_read(&f->call, f->store, reqs, 2), DP_OK);
    store_read_release(reqs, 2);
    assert_int_equal(store_read(&f->call, f->store, reqs, 3), DP_NOT_FOUND);
    store_read_release(reqs, 3);
    assert_int_equal(store_head(&f->call, f->store, span_str("a"), &info), DP_OK);
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), false, 10, &listing), DP_OK);
    assert_int_equal(store_remove(&f->call, f->store, span_str("a")), DP_OK);
    expect_done(f, "operation=\"put\",status=\"ok\"", 1);
    expect_done(f, "operation=\"put\",status=\"refused\"", 1);
    expect_done(f, "operation=\"put\",status=\"error\"", 0);
    expect_done(f, "operation=\"upload\",status=\"ok\"", 1);
    expect_done(f, "operation=\"read\",status=\"ok\"", 1);
    expect_done(f, "operation=\"read\",status=\"refused\"", 1);
    expect_done(f, "operation=\"head\",status=\"ok\"", 1);
    expect_done(f, "operation=\"list\",status=\"ok\"", 1);
    expect_done(f, "operation=\"remove\",status=\"ok\"", 1);
    expect_timed(f, "operation=\"put\"", 2);
    expect_timed(f, "operation=\"read\"", 2);
    expect_bytes(f, "operation=\"put\"", 5); /* the refused put sent nothing */
    expect_bytes(f, "operation=\"upload\"", 7);
    expect_bytes(f, "operation=\"read\"", 20); /* includes the bytes of a batch that failed in part */
}

static void test_store_metrics_survive_failed_allocations(void **state)
{
    struct fixture *f = *state;
    for (size_t n = 1;; n = test_alloc_next(n)) {
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = store_add_metrics(f->store, &f->metrics, &f->call.error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
        metric_registry_deinit(&f->metrics);
        assert_int_equal(test_alloc_live(), before);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_store_metrics_count_operations),
        CASE(test_store_metrics_survive_failed_allocations),
    };
    return test_run(tests);
}
