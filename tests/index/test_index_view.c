/* test_index_view.c: a namespace with log entries: what queries see, compared with a brute-force model, and what
 * they cost.
 */
#include "model_fixture.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/splitmix.h"
#include "index/id.h"
#include "index/query/lookup.h"
#include "index/query/reader.h"
#include "index/upkeep.h"

/* ---- scans ------------------------------------------------------------------------------------------------- */

/* What a scan of the model matches, and in what order it answers. */
struct scan_case {
    bool filtered; /* only rows with a number as id whose attribute "even" is true */
    bool by_distance, by_id, descending;
    float query[FIXTURE_DIM];
};

static bool is_even(void *ctx, struct span key, struct span document)
{
    (void)ctx;
    char text[300];
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(document));
    return key.data[0] == 1 && strstr(text, "\"even\":true") != NULL;
}

static double price_of(struct span value)
{
    char text[64];
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(value));
    return strtod(text, NULL);
}

static int compare_prices(void *ctx, struct span a, struct span b)
{
    (void)ctx;
    double left = price_of(a), right = price_of(b);
    return left < right ? -1 : left > right;
}

static bool case_matches(const struct scan_case *c, const struct model *m, uint64_t row)
{
    return m->live[row] && !(c->by_distance && m->bare[row]) && (!c->filtered || (row % 3 != 0 && row % 2 == 0));
}

/* The rows of the model that the scan should answer, in order: rows rise with their prices. */
static size_t rank_case(const struct world *w, const struct model *m, const struct scan_case *c,
                        struct model_hit *out)
{
    size_t count = 0;
    for (uint64_t i = 0; i < 2 * MODEL_ROWS; i++) {
        uint64_t row = i % MODEL_ROWS;
        row = c->descending ? MODEL_ROWS - 1 - row : row;
        /* Ids that are numbers come before strings, so one pass takes the numbers and the other the strings. The
         * order among the strings is not checked. */
        bool now = !c->by_id || (row % 3 == 0) == ((i >= MODEL_ROWS) != c->descending);
        if ((c->by_id ? now : i < MODEL_ROWS) && case_matches(c, m, row))
            out[count++] = (struct model_hit){row, c->by_distance ? model_distance(w, m, row, c->query) : 0};
    }
    if (c->by_distance)
        qsort(out, count, sizeof *out, model_hits_by_distance);
    return count;
}

static void check_scanned(struct world *w, const struct model *m, const struct scan_case *c,
                          const struct model_hit *expected, const struct index_hit *hit)
{
    uint64_t row = fixture_row_of(hit->id);
    char text[256];
    float x[FIXTURE_DIM];
    assert_true(row < MODEL_ROWS && case_matches(c, m, row));
    assert_true(span_equal_str(hit->attributes, fixture_attributes(row, m->edition[row], text)));
    fixture_vector(w, row, 0, m->edition[row], x);
    if (m->bare[row])
        assert_null(hit->vector);
    else
        assert_memory_equal(hit->vector, x, sizeof x);
    if (c->by_distance)
        assert_true(fabsf(hit->dist - expected->dist) <= 1e-4F * (1 + expected->dist));
    else if (!c->by_id || row % 3)
        assert_int_equal(row, expected->row);
}

static void scan_model(struct world *w, struct index_reader *reader, const struct model *m, uint64_t *random)
{
    static struct model_hit all[2 * MODEL_ROWS];
    struct scan_case c = {.filtered = model_draw(random, 2),
                          .by_distance = model_draw(random, 2),
                          .descending = model_draw(random, 2)};
    c.by_id = !c.by_distance && model_draw(random, 3) == 0;
    fixture_query(w, model_draw(random, 1000), c.query);
    struct index_scan scan = {
        .query = {.vector = c.by_distance ? c.query : NULL,
                  .dim = FIXTURE_DIM,
                  .top_k = (uint32_t)(1 + model_draw(random, model_draw(random, 4) ? 20 : MODEL_ROWS + 10)),
                  .eventual = model_draw(random, 2),
                  .all_attributes = true,
                  .with_vectors = true},
        .match = c.filtered ? is_even : NULL,
        .order_by = span_str(c.by_id ? "id" : "price"),
        .descending = c.descending,
        .compare = compare_prices};
    struct index_answer answer;
    arena_reset(&w->arena);
    if (index_scan(&w->call, reader, &scan, &answer) != DP_OK)
        fail_msg("%s", w->call.error.message);
    size_t count = rank_case(w, m, &c, all);
    assert_int_equal(answer.count, count < scan.query.top_k ? count : scan.query.top_k);
    assert_int_equal(answer.approx_rows, model_live(m));
    for (size_t i = 0; i < answer.count; i++) {
        check_scanned(w, m, &c, &all[i], &answer.hits[i]);
        for (size_t j = 0; j < i; j++)
            assert_true(fixture_row_of(answer.hits[j].id) != fixture_row_of(answer.hits[i].id));
    }
}

/* ---- histories --------------------------------------------------------------------------------------------- */

/* A log without deletions, of which folds take a part: a load does what a fold would do. */
struct folded_log {
    struct fixture_log log;
    struct {
        uint64_t rows[8], hash;
        unsigned editions[8];
        size_t count;
    } entries[256]; /* by number */
    uint64_t floor; /* entries up to it are folded */
};

static void put_upserts(struct folded_log *f, struct model *m, uint64_t *random, unsigned *edition)
{
    uint64_t number = f->log.next;
    size_t count = model_draw(random, 9);
    log_entry(&f->log);
    for (size_t i = 0; i < count; i++) {
        uint64_t row = model_draw(random, MODEL_ROWS);
        log_row(&f->log, row, ++*edition);
        f->entries[number].rows[i] = row;
        f->entries[number].editions[i] = *edition;
        m->live[row] = true;
        m->edition[row] = *edition;
    }
    f->entries[number].count = count;
    log_put(&f->log);
    f->entries[number].hash = f->log.chain;
}

static void hide_log(void *context, struct manifest *m)
{
    (void)context;
    m->features = 0;
}

static void set_floor(void *context, struct manifest *m)
{
    const struct folded_log *f = context;
    m->features = MANIFEST_FEATURE_LOG;
    m->wal_floor = f->floor;
    m->wal_gone = f->floor;
    m->wal_chain = f->entries[f->floor].hash;
}

/* Loads the newest rows of the entries up to `floor`, deletes these entries, and raises wal_floor. */
static void fold_until(struct world *w, struct folded_log *f, uint64_t floor)
{
    static unsigned newest[MODEL_ROWS];
    struct index_load_summary summary;
    if (floor == f->floor)
        return;
    memset(newest, 0, sizeof newest);
    for (uint64_t number = f->floor + 1; number <= floor; number++) {
        struct object_key key;
        for (size_t i = 0; i < f->entries[number].count; i++)
            newest[f->entries[number].rows[i]] = f->entries[number].editions[i];
        key_of_wal(&key, span_str("rows"), &f->log.incarnation, number);
        assert_int_equal(store_remove(&w->call, w->store, object_key_span(&key)), DP_OK);
    }
    log_change_manifest(w, "rows", hide_log, NULL);
    struct index_loader *loader = fixture_begin(w, "rows");
    for (uint64_t row = 0; row < MODEL_ROWS; row++) {
        if (newest[row])
            assert_int_equal(fixture_add(w, loader, row, row + 1, newest[row]), DP_OK);
    }
    if (index_load_commit(&w->call, loader, &summary) != DP_OK)
        fail_msg("%s", w->call.error.message);
    f->floor = floor;
    log_change_manifest(w, "rows", set_floor, f);
}

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
        scan_model(w, warm, &m, &random);
        if (step % 5 == 4) {
            struct index_reader *cold;
            uint64_t bytes = step % 2 ? 0 : 1 + model_draw(&random, 3) * 100000; /* of a round */
            if (reader_open(&w->call, w->store, span_str("rows"), bytes, NULL, &cold) != DP_OK)
                fail_msg("%s", w->call.error.message);
            model_check_stats(w, cold, &m);
            model_ask(w, cold, &m, &random);
            model_look_up(w, cold, &m, &random);
            scan_model(w, cold, &m, &random);
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

static void run_folded_history(struct world *w, uint64_t seed)
{
    static struct folded_log f;
    struct model m = {0};
    uint64_t random = seed;
    unsigned edition = 10;
    f = (struct folded_log){0};
    w->metric = seed % 2 ? INDEX_COSINE : INDEX_EUCLIDEAN_SQUARED;
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    model_load(w, &m, 0, model_draw(&random, 150), 0);
    log_init(&f.log, w, "rows");
    struct index_reader *warm = fixture_open(w, "rows"), *slow = fixture_open(w, "rows");
    for (int step = 0; step < 25; step++) {
        for (uint64_t n = model_draw(&random, 4); n > 0; n--)
            put_upserts(&f, &m, &random, &edition);
        if (model_draw(&random, 2))
            model_ask(w, warm, &m, &random);
        if (model_draw(&random, 3) == 0)
            fold_until(w, &f, f.floor + model_draw(&random, f.log.next - f.floor));
        model_ask(w, warm, &m, &random);
        model_look_up(w, warm, &m, &random);
        scan_model(w, warm, &m, &random);
        model_check_stats(w, warm, &m);
        if (model_draw(&random, 4) == 0)
            model_ask(w, slow, &m, &random); /* several folds may have passed by */
    }
    index_close(warm);
    index_close(slow);
    log_deinit(&f.log);
}

/* Folds and merges of the product, by the warm reader or by another node, between the entries. */
static void run_kept_history(struct world *w, uint64_t seed)
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
    model_load(w, &m, 0, model_draw(&random, 150), 0);
    model_load(w, &m, 100, 100 + model_draw(&random, 80), 1);
    log_init(&log, w, "rows");
    struct index_reader *warm = fixture_open(w, "rows"), *other = fixture_open(w, "rows");
    for (int step = 0; step < 20; step++) {
        struct index_fold_result folded;
        struct index_merge_result merged;
        for (uint64_t n = model_draw(&random, 4); n > 0; n--)
            model_put_entry(&log, &m, &random, &edition);
        if (model_draw(&random, 2))
            model_ask(w, warm, &m, &random);
        if (model_draw(&random, 3) == 0 &&
            index_fold(&w->call, model_draw(&random, 2) ? warm : other, NULL, &folded) != DP_OK)
            fail_msg("%s", w->call.error.message);
        if (model_draw(&random, 5) == 0) {
            const struct index_merge_options all = {.everything = true};
            if (index_merge(&w->call, w->store, span_str("rows"), &all, &merged) != DP_OK)
                fail_msg("%s", w->call.error.message);
        }
        model_ask(w, warm, &m, &random);
        model_look_up(w, warm, &m, &random);
        scan_model(w, warm, &m, &random);
        model_check_stats(w, warm, &m);
    }
    model_ask(w, other, &m, &random);
    index_close(warm);
    index_close(other);
    log_deinit(&log);
}

static void test_index_answers_beside_folds_and_merges_are_those_of_a_model(void **state)
{
    for (uint64_t seed = 1; seed <= 25; seed++)
        run_kept_history(*state, seed);
}

static void test_index_answers_over_a_folded_log_are_those_of_a_model(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++)
        run_folded_history(*state, seed);
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
    assert_true(rounds <= 5);
    ask(w, cold, &answer);
    assert_int_equal(rounds_of(w), 2); /* with 10,240 rows of the tail in memory */
    ask(w, warm, &answer);
    rounds_of(w);
    ask(w, warm, &answer);
    rounds_of(w);
    put_rows(&log, 8, 30000, 1);
    world_reset(w);
    ask(w, warm, &answer);
    assert_int_equal(rounds_of(w), 2); /* lists and the entries, whose ids are new; vectors and documents */
    put_rows(&log, 8, 100, 10);
    world_reset(w);
    ask(w, warm, &answer); /* it expects entries now, and asks for several at once */
    assert_int_equal(rounds_of(w),
                     3); /* lists and all entries; the ids that they replace; vectors and documents */
    ask(w, warm, &answer);
    assert_int_equal(rounds_of(w), 2);
    ask(w, warm,
        &answer); /* its next query asks for LOG_READ_SOME entries: it has entries, and found no new one */
    put_rows(&log, 8, 300, 10);
    world_reset(w);
    ask(w, warm, &answer);
    assert_int_equal(rounds_of(w),
                     3); /* LOG_READ_SOME holds the eight new entries, so they cost no fourth round */
    ask(w, warm, &answer);
    rounds_of(w);
    size_t ops;
    ask(w, warm, &answer);
    uint64_t requests = test_store_log(w->store, &ops)[0].requests;
    put_rows(&log, 1, 100, 1);
    ask(w, warm, &answer);
    world_reset(w);
    ask(w, warm, &answer);
    assert_int_equal(test_store_log(w->store, &ops)[0].requests, requests + LOG_READ_BUSY - LOG_READ_SOME);
    index_close(warm);
    index_close(cold);
    log_deinit(&log);
}

/* Asks a reader, and a reader that opens the namespace now. Both must answer the same. Returns the rounds of the first. */
static uint64_t ask_both(struct world *w, struct index_reader *reader)
{
    struct index_answer warm, cold;
    struct index_stats first, second;
    world_reset(w);
    ask(w, reader, &warm);
    const uint64_t rounds = test_store_counts(w->store).rounds;
    struct index_reader *other = fixture_open(w, "rows");
    ask(w, other, &cold);
    assert_int_equal(warm.count, cold.count);
    for (size_t i = 0; i < warm.count; i++) {
        assert_int_equal(fixture_row_of(warm.hits[i].id), fixture_row_of(cold.hits[i].id));
        assert_true(warm.hits[i].dist == cold.hits[i].dist);
        assert_true(span_equal(warm.hits[i].attributes, cold.hits[i].attributes));
    }
    assert_int_equal(warm.approx_rows, cold.approx_rows);
    assert_int_equal(index_stats(&w->call, reader, &first), DP_OK);
    assert_int_equal(index_stats(&w->call, other, &second), DP_OK);
    assert_int_equal(first.rows, second.rows);
    index_close(other);
    return rounds;
}

/* A reader whose log is empty finds entries of others: it reads the ids that they replace with the documents. */
static void test_index_entries_over_an_empty_log_cost_three_rounds(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct index_answer answer;
    enum { READERS = 5, NEAREST = 10 };
    struct index_reader *readers[READERS];
    uint64_t nearest[NEAREST];
    fixture_must_load(w, "rows", 0, 2500, 0);
    fixture_must_load(w, "rows", 2000, 3000, 1);
    log_init(&log, w, "rows");
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = fixture_open(w, "rows");
        ask(w, readers[i], &answer);
    }
    assert_int_equal(answer.count, NEAREST);
    for (size_t i = 0; i < NEAREST; i++)
        nearest[i] = fixture_row_of(answer.hits[i].id);
    put_rows(&log, 8, 100, 10);
    assert_int_equal(ask_both(w, readers[0]),
                     3); /* lists and one entry; all entries; ids, vectors and documents */
    assert_int_equal(ask_both(w, readers[0]), 2); /* the view has them now */
    log_entry(&log);
    for (size_t i = 0; i < NEAREST; i++) /* the nearest rows go away */
        log_deleted(&log, nearest[i]);
    log_put(&log);
    assert_int_equal(ask_both(w, readers[1]), 3);
    put_rows(&log, 1, 0, 2990); /* hardly a candidate is left: the query begins again */
    ask_both(w, readers[2]);
    assert_int_equal(ask_both(w, readers[2]), 2);
    put_rows(&log, 80, 40000, 1); /* more entries than may wait */
    ask_both(w, readers[3]);
    readers[4]->round_bytes = 4096; /* neither the ids nor the documents fit a round */
    ask_both(w, readers[4]);
    for (size_t i = 0; i < READERS; i++)
        index_close(readers[i]);
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
    expect_corrupt(w, warm, "wal/00000000000000000003");
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
    assert_int_equal(index_open(&w->call, w->store, span_str("rows"), &cold), DP_CORRUPT);
    assert_non_null(strstr(w->call.error.message, "wal/00000000000000000001"));
    log_deinit(&log);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_answers_over_a_log_are_those_of_a_model),
        IN_MEMORY(test_index_answers_over_a_folded_log_are_those_of_a_model),
        IN_MEMORY(test_index_answers_beside_folds_and_merges_are_those_of_a_model),
        IN_MEMORY(test_index_a_log_costs_few_rounds),
        IN_MEMORY(test_index_entries_over_an_empty_log_cost_three_rounds),
        IN_MEMORY(test_index_long_entries_take_a_second_read),
        IN_MEMORY(test_index_a_damaged_log_is_named),
    };
    return test_run(tests);
}
