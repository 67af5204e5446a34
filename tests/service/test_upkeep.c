/* test_upkeep.c: work in the background is done when it is due, waits after failures, and leaves idle namespaces
 * alone. */
#include "model_fixture.h"

#include <stdio.h>

#include "base/metrics.h"
#include "index/upkeep.h"
#include "os/gate.h"
#include "service/upkeep.h"

/* An upkeep without threads, over the world's store. */
struct upkeep_world {
    struct world *w;
    struct readers readers;
    struct metric_registry metrics;
    struct upkeep *upkeep;
};

static void begin_upkeep(struct upkeep_world *u, struct world *w, enum upkeep_scope scope)
{
    *u = (struct upkeep_world){.w = w};
    metric_registry_init(&u->metrics);
    assert_int_equal(readers_init(&u->readers, 16, NULL), DP_OK);
    const struct upkeep_options options = {
        .store = w->store, .readers = &u->readers, .scope = scope, .metrics = &u->metrics, .no_threads = true};
    assert_int_equal(upkeep_new(&options, &u->upkeep, &w->call.error), DP_OK);
}

static void end_upkeep(struct upkeep_world *u)
{
    upkeep_free(u->upkeep);
    readers_deinit(&u->readers);
    metric_registry_deinit(&u->metrics);
}

static int64_t counted(const struct upkeep_world *u, const char *name)
{
    for (const struct metric *m = u->metrics.first; m; m = m->next) {
        if (strcmp(m->name, name) == 0)
            return metric_value(m);
    }
    fail_msg("there is no metric %s", name);
    return 0;
}

/* Opens the namespace as a client's query does, and returns its state. */
static struct index_stats query_stats(struct upkeep_world *u)
{
    struct reader_slot *slot;
    struct index_stats stats;
    assert_int_equal(readers_borrow(&u->w->call, &u->readers, u->w->store, GATE_READ, span_str("rows"), &slot),
                     DP_OK);
    struct index_backlog backlog;
    assert_int_equal(index_backlog(&u->w->call, slot->reader, NULL, true, &backlog), DP_OK);
    assert_int_equal(index_stats(&u->w->call, slot->reader, &stats), DP_OK);
    readers_give_back(&u->readers, slot, false);
    return stats;
}

static void put_entries(struct fixture_log *log, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        log_entry(log);
        log_row(log, n, 1);
        log_put(log);
    }
}

static void test_service_a_long_log_is_folded(void **state)
{
    struct upkeep_world u;
    struct world *w = *state;
    struct fixture_log log;
    fixture_must_load(w, "rows", 0, 100, 0);
    log_init(&log, w, "rows");
    put_entries(&log, UPKEEP_FOLD_ENTRIES - 1);
    begin_upkeep(&u, w, UPKEEP_OPEN);
    assert_int_equal(query_stats(&u).unindexed_rows, UPKEEP_FOLD_ENTRIES - 1);
    assert_int_equal(upkeep_fold(u.upkeep), DP_OK);
    assert_int_equal(counted(&u, "dipper_folds_total"), 0); /* too short and too young */
    put_entries(&log, 1);
    query_stats(&u);
    assert_int_equal(upkeep_fold(u.upkeep), DP_OK);
    assert_int_equal(counted(&u, "dipper_folds_total"), 1);
    assert_int_equal(counted(&u, "dipper_folded_rows_total"), UPKEEP_FOLD_ENTRIES - 1);
    assert_int_equal(query_stats(&u).unindexed_rows, 0);
    end_upkeep(&u);
    log_deinit(&log);
}

static void test_service_small_segments_are_merged(void **state)
{
    struct upkeep_world u;
    struct world *w = *state;
    for (uint64_t row = 0; row < 20; row++)
        fixture_must_load(w, "rows", row, row + 1, 0);
    begin_upkeep(&u, w, UPKEEP_OPEN);
    assert_int_equal(query_stats(&u).segments, 20);
    upkeep_fold(u.upkeep); /* it finds the open namespaces */
    upkeep_tidy(u.upkeep);
    assert_int_equal(counted(&u, "dipper_merges_total"), 1);
    assert_int_equal(counted(&u, "dipper_merged_rows_total"), 20);
    test_store_reset(w->store);
    assert_int_equal(query_stats(&u).segments, 1);
    end_upkeep(&u);
}

/* Upkeep learns from the readers that nothing is due, so an idle open namespace costs no request. */
static void test_service_idle_namespaces_cost_no_request(void **state)
{
    struct upkeep_world u;
    struct world *w = *state;
    fixture_must_load(w, "rows", 0, 100, 0);
    fixture_must_load(w, "rows", 100, 200, 0);
    begin_upkeep(&u, w, UPKEEP_OPEN);
    query_stats(&u);
    test_store_reset(w->store);
    for (int i = 0; i < 100; i++) {
        upkeep_fold(u.upkeep);
        upkeep_tidy(u.upkeep);
    }
    assert_int_equal(test_store_counts(w->store).requests, 0);
    end_upkeep(&u);
}

/* A worker of the whole root finds namespaces by itself, and writes nothing to those that rest. */
static void test_service_a_worker_finds_all_namespaces(void **state)
{
    struct upkeep_world u;
    struct world *w = *state;
    struct fixture_log log;
    fixture_must_load(w, "other", 0, 10, 0);
    fixture_must_load(w, "rows", 0, 100, 0);
    log_init(&log, w, "rows");
    put_entries(&log, UPKEEP_FOLD_ENTRIES);
    begin_upkeep(&u, w, UPKEEP_ROOT);
    assert_int_equal(upkeep_fold(u.upkeep), DP_OK);
    assert_int_equal(counted(&u, "dipper_folds_total"), 1);
    upkeep_tidy(u.upkeep);
    assert_int_equal(counted(&u, "dipper_merges_total"), 1); /* the fold replaced most rows of the load */
    test_store_reset(w->store);
    for (int i = 0; i < 20; i++) {
        upkeep_fold(u.upkeep);
        upkeep_tidy(u.upkeep);
    }
    assert_int_equal(test_store_counts(w->store).writes, 0);
    assert_int_equal(query_stats(&u).unindexed_rows, 0);
    end_upkeep(&u);
    log_deinit(&log);
}

/* A node that folds claims the next folds. Another node leaves them to it, unless eight times as much waits. */
static void test_service_another_node_respects_a_claim(void **state)
{
    struct upkeep_world a, b;
    struct world *w = *state;
    struct fixture_log log;
    fixture_must_load(w, "rows", 0, 100, 0);
    log_init(&log, w, "rows");
    begin_upkeep(&a, w, UPKEEP_OPEN);
    begin_upkeep(&b, w, UPKEEP_OPEN);
    put_entries(&log, UPKEEP_FOLD_ENTRIES);
    query_stats(&a);
    upkeep_fold(a.upkeep);
    assert_int_equal(counted(&a, "dipper_folds_total"), 1);
    put_entries(&log, UPKEEP_FOLD_ENTRIES);
    query_stats(&b);
    upkeep_fold(b.upkeep);
    assert_int_equal(counted(&b, "dipper_folds_total"), 0);
    put_entries(&log, 7 * UPKEEP_FOLD_ENTRIES);
    query_stats(&b);
    upkeep_fold(b.upkeep);
    assert_int_equal(counted(&b, "dipper_folds_total"), 1);
    end_upkeep(&a);
    end_upkeep(&b);
    log_deinit(&log);
}

static void test_service_a_failure_is_counted_and_followed_by_a_pause(void **state)
{
    struct upkeep_world u;
    struct world *w = *state;
    struct fixture_log log;
    fixture_must_load(w, "rows", 0, 100, 0);
    log_init(&log, w, "rows");
    put_entries(&log, UPKEEP_FOLD_ENTRIES);
    begin_upkeep(&u, w, UPKEEP_OPEN);
    query_stats(&u);
    test_store_kill_at(w->store, 1);
    upkeep_fold(u.upkeep);
    test_store_kill_at(w->store, 0);
    assert_int_equal(counted(&u, "dipper_upkeep_failures_total"), 1);
    test_store_reset(w->store);
    upkeep_fold(u.upkeep);
    assert_int_equal(test_store_counts(w->store).requests, 0);
    assert_int_equal(query_stats(&u).rows, 100);
    end_upkeep(&u);
    log_deinit(&log);
}

/* An upkeep with threads starts and ends. */
static void test_service_threads_of_the_upkeep_end(void **state)
{
    struct world *w = *state;
    struct metric_registry metrics;
    struct readers readers;
    struct upkeep *upkeep;
    metric_registry_init(&metrics);
    assert_int_equal(readers_init(&readers, 4, NULL), DP_OK);
    const struct upkeep_options options = {
        .store = w->store, .readers = &readers, .scope = UPKEEP_ROOT, .metrics = &metrics};
    assert_int_equal(upkeep_new(&options, &upkeep, &w->call.error), DP_OK);
    upkeep_free(upkeep);
    upkeep_free(NULL);
    readers_deinit(&readers);
    metric_registry_deinit(&metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_service_a_long_log_is_folded, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_service_small_segments_are_merged, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_service_idle_namespaces_cost_no_request, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_service_a_worker_finds_all_namespaces, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_service_another_node_respects_a_claim, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_service_a_failure_is_counted_and_followed_by_a_pause, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_service_threads_of_the_upkeep_end, world_in_memory, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
