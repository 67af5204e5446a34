/* test_metrics.c: metrics add up, also from many threads. */
#include "test_support.h"

#include <math.h>
#include <pthread.h>

#include "base/metrics.h"
#include "base/utf8.h"

static void test_base_metrics_are_listed_in_order(void **state)
{
    (void)state;
    struct metric_registry r;
    metric_registry_init(&r);
    struct metric *a = metric_counter(&r, "a_total", "kind=\"x\"", "help of a");
    struct metric *b = metric_gauge(&r, "b", "", "help of b");
    struct metric *c =
        metric_histogram(&r, "c_seconds", "", "help of c", METRIC_LATENCY_BOUNDS, METRIC_LATENCY_BOUND_COUNT);
    assert_ptr_equal(r.first, a);
    assert_ptr_equal(a->next, b);
    assert_ptr_equal(b->next, c);
    assert_ptr_equal(r.last, c);
    assert_string_equal(a->labels, "kind=\"x\"");
    metric_add(a, 2);
    metric_add(a, 3);
    metric_set(b, -7);
    metric_add(NULL, 1);
    metric_set(NULL, 1);
    metric_observe(NULL, 1);
    assert_int_equal(a->value, 5);
    assert_int_equal(b->value, -7);
    metric_registry_deinit(&r);
    assert_null(r.first);
}

static void test_base_metrics_observe_fills_buckets(void **state)
{
    (void)state;
    static const double bounds[] = {1, 2, 4};
    struct metric_registry r;
    metric_registry_init(&r);
    struct metric *m = metric_histogram(&r, "m", "", "", bounds, 3);
    static const double values[] = {0, 1, 1.5, 2, 3, 4, 4.5, 100};
    for (size_t i = 0; i < 8; i++)
        metric_observe(m, values[i]);
    metric_observe(m, -1);
    metric_observe(m, NAN);
    assert_int_equal(m->buckets[0], 2); /* a bound belongs to the bucket below it */
    assert_int_equal(m->buckets[1], 2);
    assert_int_equal(m->buckets[2], 2);
    assert_int_equal(m->buckets[3], 2);
    assert_true(m->sum_nano == 116000000000u);
    metric_registry_deinit(&r);
}

static void test_base_metrics_bounds_ascend(void **state)
{
    (void)state;
    assert_in_range(METRIC_LATENCY_BOUND_COUNT, 2, METRIC_BUCKETS_MAX);
    assert_in_range(METRIC_SIZE_BOUND_COUNT, 2, METRIC_BUCKETS_MAX);
    for (size_t i = 1; i < METRIC_LATENCY_BOUND_COUNT; i++)
        assert_true(METRIC_LATENCY_BOUNDS[i - 1] < METRIC_LATENCY_BOUNDS[i]);
    for (size_t i = 1; i < METRIC_SIZE_BOUND_COUNT; i++)
        assert_true(METRIC_SIZE_BOUNDS[i - 1] < METRIC_SIZE_BOUNDS[i]);
}

static void test_base_metrics_may_be_counted_elsewhere(void **state)
{
    (void)state;
    static _Atomic int64_t counted;
    struct metric_registry r;
    metric_registry_init(&r);
    struct metric *own = metric_seconds(&r, "own_seconds_total", "", "");
    struct metric *other = metric_of(&r, METRIC_GAUGE, "other", "", "", &counted);
    metric_add(own, 5);
    counted = 7;
    assert_true(own->nano);
    assert_int_equal(metric_value(own), 5);
    assert_int_equal(metric_value(other), 7);
    metric_registry_deinit(&r);
}

static void test_base_metrics_escape_labels(void **state)
{
    (void)state;
    char labels[METRIC_LABELS_MAX] = "";
    metric_add_label(labels, "a", span_str("plain \xc3\xa9"));
    assert_string_equal(labels, "a=\"plain \xc3\xa9\"");
    metric_add_label(labels, "b", span_str("\"\\\n\xff\xc3"));
    assert_string_equal(labels, "a=\"plain \xc3\xa9\",b=\"\\\"\\\\\\n??\"");
    metric_add_label(labels, "c", span_of(NULL, 0));
    assert_string_equal(labels + strlen(labels) - 5, ",c=\"\"");
}

/* A long value is cut after a whole character, and its quotes are closed. */
static void test_base_metrics_cut_long_labels(void **state)
{
    (void)state;
    static const char *const characters[] = {"x", "\"", "\xc3\xa9", "\xe4\xb8\xad", "\xf0\x9f\x8e\x89", "\xff"};
    char value[2 * METRIC_LABELS_MAX];
    for (size_t c = 0; c < sizeof characters / sizeof *characters; c++) {
        size_t len = strlen(characters[c]);
        for (size_t lead = 0; lead < 5; lead++) {
            char labels[METRIC_LABELS_MAX] = "";
            size_t at = lead;
            memset(value, 'y', lead);
            for (; at + len <= sizeof value; at += len)
                memcpy(value + at, characters[c], len);
            metric_add_label(labels, "n", span_of(value, at));
            size_t used = strlen(labels);
            assert_in_range(used, METRIC_LABELS_MAX - 6, METRIC_LABELS_MAX - 1);
            assert_true(utf8_valid(span_str(labels)));
            assert_true(labels[used - 1] == '"' && (labels[used - 2] != '\\' || labels[used - 3] == '\\'));
        }
    }
}

enum { THREADS = 4, UPDATES = 20000 };

struct shared {
    struct metric *counter, *histogram;
};

static void *update(void *context)
{
    struct shared *s = context;
    for (int i = 0; i < UPDATES; i++) {
        metric_add(s->counter, 1);
        metric_observe(s->histogram, i % 2 ? 0.5 : 8);
    }
    return NULL;
}

static void test_base_metrics_lose_nothing_under_threads(void **state)
{
    (void)state;
    static const double bounds[] = {1};
    struct metric_registry r;
    metric_registry_init(&r);
    struct shared s = {metric_counter(&r, "c", "", ""), metric_histogram(&r, "h", "", "", bounds, 1)};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, update, &s), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(s.counter->value, THREADS * UPDATES);
    assert_int_equal(s.histogram->buckets[0], THREADS * UPDATES / 2);
    assert_int_equal(s.histogram->buckets[1], THREADS * UPDATES / 2);
    assert_true(s.histogram->sum_nano == THREADS * UPDATES / 2 * 8500000000u);
    metric_registry_deinit(&r);
}

static void test_base_metrics_survive_a_failed_allocation(void **state)
{
    (void)state;
    struct metric_registry r;
    metric_registry_init(&r);
    test_alloc_fail_at(1);
    assert_null(metric_counter(&r, "c", "", ""));
    test_alloc_fail_at(1);
    assert_null(metric_histogram(&r, "c", "", "", METRIC_LATENCY_BOUNDS, 2));
    test_alloc_fail_at(0);
    assert_null(r.first);
    metric_registry_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_metrics_are_listed_in_order),
        cmocka_unit_test(test_base_metrics_observe_fills_buckets),
        cmocka_unit_test(test_base_metrics_bounds_ascend),
        cmocka_unit_test(test_base_metrics_may_be_counted_elsewhere),
        cmocka_unit_test(test_base_metrics_escape_labels),
        cmocka_unit_test(test_base_metrics_cut_long_labels),
        cmocka_unit_test(test_base_metrics_lose_nothing_under_threads),
        cmocka_unit_test(test_base_metrics_survive_a_failed_allocation),
    };
    return test_run(tests);
}
