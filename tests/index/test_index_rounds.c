/* test_index_rounds.c: how many rounds of reads a query or an opening costs, counted by the store. */
#include "index_fixture.h"

#include <inttypes.h>
#include <stdio.h>

static void ask(struct world *w, struct index_reader *reader, bool eventual, struct index_answer *answer)
{
    float query[FIXTURE_DIM];
    fixture_query(w, 1, query);
    struct index_query q = {
        .vector = query, .dim = FIXTURE_DIM, .top_k = 10, .eventual = eventual, .all_attributes = true};
    if (index_query(&w->call, reader, &q, answer) != DP_OK)
        fail_msg("%s", w->call.error.message);
    assert_int_equal(answer->count, 10);
}

/* Three segments, two of them with deleted rows; all have rows with windows. */
static void load_three(struct world *w)
{
    w->windows = true;
    fixture_must_load(w, "rows", 0, 2500, 0);
    fixture_must_load(w, "rows", 2000, 3000, 1);
    fixture_must_load(w, "rows", 2900, 3500, 2);
}

static void test_index_open_takes_two_rounds_and_a_cold_query_two_more(void **state)
{
    struct world *w = *state;
    struct index_answer answer;
    load_three(w);
    world_reset(w);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(test_store_counts(w->store).rounds, 2);
    ask(w, reader, false, &answer);
    struct test_store_counts counts = test_store_counts(w->store);
    printf("open and cold query: %" PRIu64 " rounds, %" PRIu64 " requests, %" PRIu64 " bytes\n", counts.rounds,
           counts.requests, counts.bytes_read);
    assert_int_equal(counts.rounds, 4);
    assert_int_equal(counts.writes, 0);
    assert_int_equal(w->call.cost.rounds, counts.rounds);
    assert_int_equal(w->call.cost.requests, counts.requests);
    assert_int_equal(w->call.cost.bytes, counts.bytes_read);
    assert_true(answer.from_cache);
    index_close(reader);
}

static void test_index_a_warm_strong_query_takes_two_rounds(void **state)
{
    struct world *w = *state;
    struct index_answer answer;
    size_t ops;
    load_three(w);
    struct index_reader *reader = fixture_open(w, "rows");
    ask(w, reader, false, &answer);
    world_reset(w);
    ask(w, reader, false, &answer);
    assert_int_equal(test_store_counts(w->store).rounds, 2);
    /* The first round carries the lists, the manifest if it changed and the next log entry. */
    const struct test_store_op *log = test_store_log(w->store, &ops);
    assert_int_equal(ops, 2);
    assert_int_equal(log[0].kind, TEST_STORE_READ);
    assert_true(log[0].requests >= 3 + 2);
    assert_int_equal(log[1].kind, TEST_STORE_READ);
    index_close(reader);
}

static void test_index_an_eventual_query_does_not_ask_for_the_manifest(void **state)
{
    struct world *w = *state;
    struct index_answer answer;
    load_three(w);
    struct index_reader *reader = fixture_open(w, "rows");
    fixture_must_load(w, "rows", 0, 10, 5);
    world_reset(w);
    ask(w, reader, true, &answer);
    assert_int_equal(test_store_counts(w->store).rounds, 2);
    assert_int_equal(answer.approx_rows, 3500);
    index_close(reader);
}

static void test_index_a_changed_manifest_costs_two_rounds_more(void **state)
{
    struct world *w = *state;
    struct index_answer answer;
    load_three(w);
    struct index_reader *reader = fixture_open(w, "rows");
    fixture_must_load(w, "rows", 3500, 3600, 0);
    world_reset(w);
    ask(w, reader, false, &answer);
    /* lists and the changed manifest; the new segment's hot part; lists; vectors and documents */
    assert_int_equal(test_store_counts(w->store).rounds, 4);
    assert_false(answer.from_cache);
    assert_int_equal(answer.approx_rows, 3600);
    world_reset(w);
    ask(w, reader, false, &answer);
    assert_int_equal(test_store_counts(w->store).rounds, 2);
    assert_true(answer.from_cache);
    index_close(reader);
}

static void test_index_an_empty_namespace_answers_nothing(void **state)
{
    struct world *w = *state;
    struct index_answer answer;
    float query[FIXTURE_DIM] = {1};
    fixture_must_load(w, "empty", 0, 0, 0);
    world_reset(w);
    struct index_reader *reader = fixture_open(w, "empty");
    struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 10};
    assert_int_equal(index_query(&w->call, reader, &q, &answer), DP_OK);
    assert_int_equal(answer.count, 0);
    assert_int_equal(answer.approx_rows, 0);
    assert_true(test_store_counts(w->store).rounds <= 4);
    index_close(reader);
}

static void test_index_only_probed_lists_and_candidates_are_read(void **state)
{
    struct world *w = *state;
    struct index_answer answer;
    fixture_must_load(w, "rows", 0, 20000, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    struct index_stats stats;
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    world_reset(w);
    ask(w, reader, false, &answer);
    printf("a query reads %" PRIu64 " of %" PRIu64 " bytes\n", w->call.cost.bytes, stats.bytes);
    assert_true(w->call.cost.bytes < stats.bytes / 6);
    index_close(reader);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, world_in_folder, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_open_takes_two_rounds_and_a_cold_query_two_more),
        IN_FOLDER(test_index_open_takes_two_rounds_and_a_cold_query_two_more),
        IN_MEMORY(test_index_a_warm_strong_query_takes_two_rounds),
        IN_FOLDER(test_index_a_warm_strong_query_takes_two_rounds),
        IN_MEMORY(test_index_an_eventual_query_does_not_ask_for_the_manifest),
        IN_MEMORY(test_index_a_changed_manifest_costs_two_rounds_more),
        IN_MEMORY(test_index_an_empty_namespace_answers_nothing),
        IN_MEMORY(test_index_only_probed_lists_and_candidates_are_read),
    };
    return test_run(tests);
}
