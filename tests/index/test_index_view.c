/* test_index_view.c: a namespace with log entries: what queries see, compared with a brute-force model, and what
 * they cost.
 */
#include "model_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/query/reader.h"

/* ---- histories ------------------------------------------------------------------------------------------- */

static void run_history(struct world *w, uint64_t seed)
{
    struct model m = {0};
    struct fixture_log log;
    uint64_t random = seed;
    unsigned edition = 10;
    w->metric = seed % 2 ? INDEX_COSINE : INDEX_EUCLIDEAN_SQUARED;
    w->windows = seed % 3 == 0;
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    model_load(w, &m, 0, seed % 5 ? model_draw(&random, 150) : 0, 0);
    model_load(w, &m, 60, 60 + model_draw(&random, 140), 1);
    model_load(w, &m, 100, 100 + model_draw(&random, 10), 2);
    log_init(&log, w, "rows");
    struct index_reader *warm = fixture_open(w, "rows");
    for (int step = 0; step < 25; step++) {
        for (uint64_t n = model_draw(&random, 3); n > 0; n--)
            model_put_entry(&log, &m, &random, &edition);
        model_ask(w, warm, &m, &random);
        model_check_stats(w, warm, &m);
        model_look_up(w, warm, &m, &random);
        if (step % 5 == 4) {
            struct index_reader *cold = fixture_open(w, "rows");
            model_check_stats(w, cold, &m);
            model_ask(w, cold, &m, &random);
            index_close(cold);
        }
    }
    index_close(warm);
    log_deinit(&log);
}

static void test_index_answers_over_a_log_are_those_of_a_model(void **state)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        run_history(*state, seed);
}

/* ---- costs ------------------------------------------------------------------------------------------------- */

static void ask(struct world *w, struct index_reader *reader, struct index_answer *answer)
{
    float query[FIXTURE_DIM];
    fixture_query(w, 1, query);
    struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 10, .all_attributes = true};
    if (index_query(&w->call, reader, &q, answer) != DP_OK)
        fail_msg("%s", w->call.error.message);
}

/* Puts `entries` entries of `rows` rows each, from row `from` on. */
static void put_rows(struct fixture_log *log, size_t entries, uint64_t from, uint64_t rows)
{
    for (size_t i = 0; i < entries; i++) {
        log_entry(log);
        for (uint64_t row = 0; row < rows; row++)
            log_row(log, from + i * rows + row, 9);
        log_put(log);
    }
}

static uint64_t rounds_of(struct world *w)
{
    uint64_t rounds = test_store_counts(w->store).rounds;
    world_reset(w);
    return rounds;
}

static void test_index_a_log_costs_few_rounds(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct index_answer answer;
    fixture_must_load(w, "rows", 0, 2500, 0);
    fixture_must_load(w, "rows", 2000, 3000, 1);
    log_init(&log, w, "rows");
    struct index_reader *warm = fixture_open(w, "rows");
    put_rows(&log, 256, 10000, 40);
    world_reset(w);
    struct index_reader *cold = fixture_open(w, "rows");
    ask(w, cold, &answer);
    uint64_t rounds = rounds_of(w);
    printf("cold with 256 entries of 40 rows: %" PRIu64 " rounds\n", rounds);
    assert_true(rounds <= 9);
    ask(w, cold, &answer);
    assert_int_equal(rounds_of(w), 2); /* with 10,240 rows of the tail in memory */
    ask(w, warm, &answer);
    rounds_of(w);
    put_rows(&log, 8, 30000, 1);
    world_reset(w);
    ask(w, warm, &answer);
    assert_int_equal(rounds_of(w), 3); /* lists and the first entry; the others; vectors and documents */
    put_rows(&log, 8, 100, 10);
    world_reset(w);
    ask(w, warm, &answer);
    assert_int_equal(rounds_of(w), 5); /* the ids of the first entry's rows, and of the others' */
    index_close(warm);
    index_close(cold);
    log_deinit(&log);
}

static void test_index_long_entries_take_a_second_read(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct index_answer answer;
    fixture_must_load(w, "rows", 0, 100, 0);
    log_init(&log, w, "rows");
    put_rows(&log, 3, 1000, 5000);
    put_rows(&log, 1, 90000, 1);
    put_rows(&log, 1, 100000, 5000);
    struct index_reader *reader = fixture_open(w, "rows");
    struct index_stats stats;
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    assert_int_equal(stats.rows, 20101);
    assert_int_equal(stats.unindexed_rows, 20001);
    assert_int_equal(stats.last_entry, 5);
    assert_true(stats.unindexed_bytes > 4 * LOG_READ_LEN);
    ask(w, reader, &answer);
    assert_int_equal(answer.approx_rows, 20101);
    index_close(reader);
    log_deinit(&log);
}

/* ---- damage ------------------------------------------------------------------------------------------------ */

static void expect_corrupt(struct world *w, struct index_reader *warm, const char *part)
{
    float query[FIXTURE_DIM];
    struct index_answer answer;
    struct index_reader *cold;
    fixture_query(w, 1, query);
    struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 10};
    assert_int_equal(index_query(&w->call, warm, &q, &answer), DP_CORRUPT);
    if (!strstr(w->call.error.message, part))
        fail_msg("%s", w->call.error.message);
    assert_int_equal(index_open(&w->call, w->store, span_str("rows"), &cold), DP_CORRUPT);
    if (!strstr(w->call.error.message, part))
        fail_msg("%s", w->call.error.message);
}

/* Begins a namespace with a log of two entries. */
static struct index_reader *open_with_log(struct world *w, struct fixture_log *log)
{
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    fixture_must_load(w, "rows", 0, 100, 0);
    log_init(log, w, "rows");
    put_rows(log, 2, 50, 10);
    return fixture_open(w, "rows");
}

static void test_index_a_damaged_log_is_named(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct index_reader *warm = open_with_log(w, &log);
    log.next = 4; /* a hole */
    put_rows(&log, 1, 70, 1);
    ask(w, warm, &(struct index_answer){0}); /* nobody sees what is behind a hole, unless it is read too */
    struct index_reader *cold;
    log.next = 3;
    log.chain ^= 1; /* another log */
    put_rows(&log, 1, 70, 1);
    expect_corrupt(w, warm, "wal/00000000000000000003");
    index_close(warm);
    log_deinit(&log);

    warm = open_with_log(w, &log);
    log_entry(&log);
    log_row(&log, 1, 1);
    struct span bytes = log_end(&log);
    log_put_bytes(&log, 3, span_of(bytes.data, bytes.len - 1));
    expect_corrupt(w, warm, "wal/00000000000000000003");
    index_close(warm);
    log_deinit(&log);

    warm = open_with_log(w, &log); /* an entry under the name of another */
    log_entry(&log);
    bytes = log_end(&log);
    log_put_bytes(&log, 3, bytes);
    log_put_bytes(&log, 4, bytes);
    expect_corrupt(w, warm, "wal/00000000000000000004");
    index_close(warm);
    log_deinit(&log);

    warm = open_with_log(w, &log); /* a hole before the entries that opening reads */
    struct object_key first;
    key_of_wal(&first, span_str("rows"), &log.incarnation, 1);
    assert_int_equal(store_remove(&w->call, w->store, object_key_span(&first)), DP_OK);
    ask(w, warm, &(struct index_answer){0}); /* it has the entry */
    index_close(warm);
    assert_int_equal(index_open(&w->call, w->store, span_str("rows"), &cold), DP_OK);
    index_close(cold);
    log_deinit(&log);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_answers_over_a_log_are_those_of_a_model),
        IN_MEMORY(test_index_a_log_costs_few_rounds),
        IN_MEMORY(test_index_long_entries_take_a_second_read),
        IN_MEMORY(test_index_a_damaged_log_is_named),
    };
    return test_run(tests);
}
