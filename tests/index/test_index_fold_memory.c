/* test_index_fold_memory.c: every allocation of a fold, a merge, a verification and a collection fails in turn: nothing
 * leaks, no row is lost, and the next one succeeds.
 */
#include "model_fixture.h"

#include <stdio.h>

#include "index/upkeep.h"
#include "index/verify.h"
#include "test_alloc.h"

static const struct index_merge_options everything = {.everything = true};

/* A namespace of three segments with deleted rows, and a log. */
static struct index_reader *begin_rows(struct world *w, struct model *m)
{
    struct fixture_log log;
    uint64_t random = 5;
    unsigned edition = 3;
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    *m = (struct model){0};
    model_load(w, m, 0, 30, 0);
    model_load(w, m, 20, 50, 1);
    model_load(w, m, 60, 70, 2);
    log_init(&log, w, "rows");
    for (int i = 0; i < 3; i++)
        model_put_entry(&log, m, &random, &edition);
    log_deinit(&log);
    return fixture_open(w, "rows");
}

static void ignore_fault(void *context, const char *object, const char *fault)
{
    (void)context;
    fail_msg("%s: %s", object, fault);
}

static enum dp_status fold(struct world *w, struct index_reader *reader)
{
    struct index_fold_result result;
    return index_fold(&w->call, reader, NULL, &result);
}

static enum dp_status merge(struct world *w, struct index_reader *reader)
{
    struct index_merge_result result;
    (void)reader;
    return index_merge(&w->call, w->store, span_str("rows"), &everything, &result);
}

static enum dp_status verify(struct world *w, struct index_reader *reader)
{
    struct index_verify_result result;
    (void)reader;
    return index_verify(&w->call, w->store, span_str("rows"), ignore_fault, NULL, &result);
}

static enum dp_status collect(struct world *w, struct index_reader *reader)
{
    const struct index_collect_options options = {.at_once = true, .lag_ms = 1, .grace_ms = 1};
    struct index_collector *collector;
    struct index_collect_result result;
    (void)reader;
    enum dp_status status = index_collector_new(w->store, span_str("rows"), &collector, &w->call.error);
    if (status)
        return status;
    for (int i = 0; i < 3 && status == DP_OK; i++)
        status = index_collect(&w->call, collector, &options, &result);
    index_collector_free(collector);
    return status;
}

static void fail_each_allocation(struct world *w, const char *name,
                                 enum dp_status (*work)(struct world *w, struct index_reader *reader))
{
    size_t n = 1;
    bool fired = true;
    for (; fired; n = test_alloc_next(n)) {
        struct model m;
        uint64_t random = n;
        struct index_reader *reader = begin_rows(w, &m);
        world_reset(w);
        arena_deinit(&w->arena);
        test_alloc_fail_at(n);
        enum dp_status status = work(w, reader);
        fired = test_alloc_fired();
        test_alloc_fail_at(0);
        if (status != DP_OK && (!fired || (status != DP_NOMEM && status != DP_UNKNOWN)))
            fail_msg("%s, allocation %zu: %s: %s", name, n, dp_status_name(status), w->call.error.message);
        world_reset(w);
        model_ask(w, reader, &m, &random);
        index_close(reader);
        reader = fixture_open(w, "rows");
        model_check_stats(w, reader, &m);
        model_ask(w, reader, &m, &random);
        if (work(w, reader) != DP_OK)
            fail_msg("%s after allocation %zu: %s", name, n, w->call.error.message);
        assert_int_equal(verify(w, reader), DP_OK);
        index_close(reader);
    }
    printf("%zu allocations of a %s\n", n - 2, name);
    assert_true(n > 10);
}

static void test_index_a_fold_survives_failed_allocations(void **state)
{
    fail_each_allocation(*state, "fold", fold);
}

static void test_index_a_merge_survives_failed_allocations(void **state)
{
    fail_each_allocation(*state, "merge", merge);
}

static void test_index_a_verification_survives_failed_allocations(void **state)
{
    fail_each_allocation(*state, "verification", verify);
}

static void test_index_a_collection_survives_failed_allocations(void **state)
{
    fail_each_allocation(*state, "collection", collect);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_index_a_fold_survives_failed_allocations, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_merge_survives_failed_allocations, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_verification_survives_failed_allocations, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_collection_survives_failed_allocations, world_in_memory,
                                        world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
