/* test_index_fold.c: folds move the log into segments; no query sees a difference, whatever happens meanwhile. */
#include "model_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "index/id.h"
#include "index/query/lookup.h"
#include "index/query/reader.h"
#include "index/upkeep.h"
#include "index/verify.h"

static struct index_fold_options fold_options;

static struct index_fold_result must_fold(struct world *w, struct index_reader *reader)
{
    struct index_fold_result result;
    if (index_fold(&w->call, reader, &fold_options, &result) != DP_OK)
        fail_msg("folding: %s", w->call.error.message);
    return result;
}

static void merge_all(struct world *w, bool everything)
{
    const struct index_merge_options options = {.everything = everything};
    struct index_merge_result result = {.inputs = 1};
    while (result.inputs) {
        if (index_merge(&w->call, w->store, span_str("rows"), &options, &result) != DP_OK)
            fail_msg("merging: %s", w->call.error.message);
    }
}

static void refuse_fault(void *context, const char *object, const char *fault)
{
    (void)context;
    fail_msg("%s: %s", object, fault);
}

static struct index_verify_result verify(struct world *w)
{
    struct index_verify_result result;
    if (index_verify(&w->call, w->store, span_str("rows"), refuse_fault, NULL, &result) != DP_OK)
        fail_msg("verifying: %s", w->call.error.message);
    return result;
}

static void begin_world(struct world *w, uint64_t seed)
{
    w->metric = seed % 2 ? INDEX_COSINE : INDEX_EUCLIDEAN_SQUARED;
    w->windows = seed % 3 == 0;
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
}

static void check_cold(struct world *w, const struct model *m, uint64_t *random)
{
    struct index_reader *cold = fixture_open(w, "rows");
    model_check_stats(w, cold, m);
    model_ask(w, cold, m, random);
    index_close(cold);
}

/* ---- histories ------------------------------------------------------------------------------------------- */

/* Two nodes fold, a third one merges, a fourth one asks; all of them over one log. */
static void run_history(struct world *w, uint64_t seed)
{
    struct model m = {0};
    struct fixture_log log;
    uint64_t random = seed;
    unsigned edition = 10;
    begin_world(w, seed);
    model_load(w, &m, 0, seed % 5 ? model_draw(&random, 150) : 0, 0);
    model_load(w, &m, 60, 60 + model_draw(&random, 140), 1);
    log_init(&log, w, "rows");
    struct index_reader *warm = fixture_open(w, "rows"), *folders[2];
    folders[0] = fixture_open(w, "rows");
    folders[1] = fixture_open(w, "rows");
    for (int step = 0; step < 40; step++) {
        switch (model_draw(&random, 6)) {
        case 0: must_fold(w, folders[0]); break;
        case 1: must_fold(w, folders[1]); break;
        case 2: merge_all(w, model_draw(&random, 2)); break;
        default: model_put_entry(&log, &m, &random, &edition); break;
        }
        if (model_draw(&random, 2)) {
            model_ask(w, warm, &m, &random);
            model_look_up(w, warm, &m, &random);
        }
        if (step % 8 == 7)
            check_cold(w, &m, &random);
        arena_reset(&w->arena);
    }
    must_fold(w, folders[0]);
    assert_int_equal(must_fold(w, folders[1]).entries, 0);
    merge_all(w, true);
    struct index_verify_result result = verify(w);
    assert_int_equal(result.rows, model_live(&m));
    assert_int_equal(result.entries, 0);
    assert_true(result.segments <= 1);
    check_cold(w, &m, &random);
    model_ask(w, warm, &m, &random);
    for (size_t i = 0; i < 2; i++)
        index_close(folders[i]);
    index_close(warm);
    log_deinit(&log);
}

static void test_index_folds_and_merges_change_no_answer(void **state)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        fold_options.part_rows = seed % 4 < 2 ? 1 + seed % 7 : 0;
        run_history(*state, seed);
    }
    fold_options.part_rows = 0;
}

/* ---- one fold -------------------------------------------------------------------------------------------- */

/* A namespace of 100 loaded rows, with four entries that replace, add and delete. */
static struct index_reader *begin_log(struct world *w, struct fixture_log *log, struct model *m)
{
    begin_world(w, 1);
    *m = (struct model){0};
    model_load(w, m, 0, 60, 0);
    model_load(w, m, 60, 100, 0);
    log_init(log, w, "rows");
    for (uint64_t n = 0; n < 4; n++) {
        log_entry(log);
        for (uint64_t row = 50 + 10 * n; row < 75 + 10 * n; row++) {
            log_row(log, row, (unsigned)n + 1);
            m->live[row] = true;
            m->edition[row] = (unsigned)n + 1;
        }
        log_deleted(log, 10 * n);
        m->live[10 * n] = false;
        log_put(log);
    }
    return fixture_open(w, "rows");
}

static void test_index_a_fold_empties_the_log(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    struct index_stats stats;
    uint64_t random = 1;
    struct index_reader *reader = begin_log(w, &log, &m);
    struct index_fold_result result = must_fold(w, reader);
    assert_int_equal(result.entries, 4);
    assert_int_equal(result.rows, 55);
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    assert_int_equal(stats.unindexed_rows, 0);
    assert_int_equal(stats.segments, 2); /* the second one has no row left */
    assert_int_equal(stats.last_entry, 4);
    model_ask(w, reader, &m, &random);
    check_cold(w, &m, &random);
    test_store_reset(w->store);
    assert_int_equal(must_fold(w, reader).entries, 0);
    assert_int_equal(test_store_counts(w->store).rounds, 1);
    assert_int_equal(test_store_counts(w->store).writes, 0);
    assert_int_equal(verify(w).rows, model_live(&m));
    model_put_entry(&log, &m, &random, &(unsigned){20}); /* the log goes on */
    model_ask(w, reader, &m, &random);
    check_cold(w, &m, &random);
    index_close(reader);
    log_deinit(&log);
}

/* Entries that only delete become no segment. */
static void test_index_a_fold_of_deletions_writes_no_segment(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m = {0};
    uint64_t random = 1;
    begin_world(w, 1);
    model_load(w, &m, 0, 60, 0);
    model_load(w, &m, 60, 100, 0);
    log_init(&log, w, "rows");
    log_entry(&log);
    for (uint64_t row = 50; row < 100; row++) {
        log_deleted(&log, row);
        m.live[row] = false;
    }
    log_put(&log);
    struct index_reader *reader = fixture_open(w, "rows");
    struct index_fold_result result = must_fold(w, reader);
    assert_int_equal(result.entries, 1);
    assert_int_equal(result.rows, 0);
    assert_int_equal(verify(w).segments, 1); /* the second one has no row left */
    check_cold(w, &m, &random);
    index_close(reader);
    log_deinit(&log);
}

/* ---- other writers meanwhile ----------------------------------------------------------------------------- */

/* Another node that acts once, before the fold writes its first .dpr object. */
struct intruder {
    struct world *w;
    struct fixture_log *log;
    struct model *m;
    void (*act)(struct intruder *i);
    bool acted;
};

static void intrude(void *ctx, const struct test_store_op *op)
{
    struct intruder *i = ctx;
    if (i->acted || op->kind != TEST_STORE_PUT || !strstr(op->key, ".dpr"))
        return;
    i->acted = true;
    struct call call = i->w->call;
    i->act(i);
    i->w->call = call;
}

static void fold_beside(struct world *w, void (*act)(struct intruder *i), bool wins)
{
    struct fixture_log log;
    struct model m;
    uint64_t random = 7;
    struct index_reader *reader = begin_log(w, &log, &m);
    struct intruder intruder = {w, &log, &m, act, false};
    test_store_hook(w->store, intrude, &intruder);
    struct index_fold_result result = must_fold(w, reader);
    test_store_hook(w->store, NULL, NULL);
    assert_true(intruder.acted);
    assert_int_equal(result.entries, wins ? 4 : 0);
    model_ask(w, reader, &m, &random);
    check_cold(w, &m, &random);
    must_fold(w, reader);
    assert_int_equal(verify(w).rows, model_live(&m));
    check_cold(w, &m, &random);
    index_close(reader);
    log_deinit(&log);
}

static void fold_first(struct intruder *i)
{
    struct index_reader *other = fixture_open(i->w, "rows");
    assert_int_equal(must_fold(i->w, other).entries, 4);
    index_close(other);
}

static void write_more(struct intruder *i)
{
    uint64_t random = 3;
    for (unsigned n = 0; n < 5; n++)
        model_put_entry(i->log, i->m, &random, &(unsigned){30 + 20 * n});
}

static void write_and_fold(struct intruder *i)
{
    write_more(i);
    struct index_reader *other = fixture_open(i->w, "rows");
    assert_int_equal(must_fold(i->w, other).entries, 9);
    index_close(other);
}

static void merge_meanwhile(struct intruder *i)
{
    merge_all(i->w, true);
}

/* Returns the hash of a log entry. */
static uint64_t hash_of(struct world *w, const struct fixture_log *log, uint64_t number)
{
    struct object_key key;
    struct wal_entry *entry;
    key_of_wal(&key, span_str(log->name), &log->incarnation, number);
    struct store_read_req req = {.key = object_key_span(&key), .len = STORE_TO_END};
    assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
    assert_int_equal(wal_entry_parse(req.bytes.span, &entry, &w->call.error), DP_OK);
    uint64_t hash = entry->hash;
    wal_entry_release(entry);
    store_read_release(&req, 1);
    return hash;
}

static void set_position(void *context, struct manifest *m)
{
    const struct view_position *at = context;
    m->wal_floor = at->last;
    m->wal_chain = at->chain;
}

/* Sets the manifest's floor to entry 6, with its hash or with another one. */
static void move_floor(struct intruder *i)
{
    struct view_position at = {6, hash_of(i->w, i->log, 6)};
    log_change_manifest(i->w, "rows", set_position, &at);
}

static void move_floor_of_another_log(struct intruder *i)
{
    struct view_position at = {6, hash_of(i->w, i->log, 6) ^ 1};
    log_change_manifest(i->w, "rows", set_position, &at);
}

/* The floor stays, but its hash changes. */
static void keep_floor_of_another_log(struct intruder *i)
{
    struct view_position at = {4, hash_of(i->w, i->log, 4) ^ 1};
    log_change_manifest(i->w, "rows", set_position, &at);
}

/* Folds entries 5 to 9 while the manifest's floor changes. */
static void fold_over_floor(struct world *w, void (*act)(struct intruder *i), uint64_t entries, uint64_t floor)
{
    struct fixture_log log;
    struct model model;
    struct manifest m;
    struct store_version version;
    struct index_reader *reader = begin_log(w, &log, &model);
    assert_int_equal(must_fold(w, reader).entries, 4);
    struct intruder intruder = {w, &log, &model, act, false};
    write_more(&intruder);
    test_store_hook(w->store, intrude, &intruder);
    struct index_fold_result result = must_fold(w, reader);
    test_store_hook(w->store, NULL, NULL);
    assert_true(intruder.acted);
    assert_int_equal(result.entries, entries);
    assert_int_equal(manifest_load(&w->call, w->store, span_str("rows"), &m, &version), DP_OK);
    assert_int_equal(m.wal_floor, floor);
    manifest_deinit(&m);
    index_close(reader);
    log_deinit(&log);
}

static void test_index_a_fold_gives_up_over_another_log(void **state)
{
    fold_over_floor(*state, move_floor, 5, 9);
    fold_over_floor(*state, move_floor_of_another_log, 0, 6);
    fold_over_floor(*state, keep_floor_of_another_log, 0, 4);
}

static void test_index_the_second_of_two_folds_gives_up(void **state)
{
    fold_beside(*state, fold_first, false);
    fold_beside(*state, write_and_fold, false);
}

static void test_index_a_fold_leaves_later_entries(void **state)
{
    fold_beside(*state, write_more, true);
}

static void test_index_a_merge_during_a_fold_loses_nothing(void **state)
{
    fold_beside(*state, merge_meanwhile, true);
}

/* A merge that a fold overtakes: rows that the fold replaced are deleted in the merge's output. */
static void test_index_a_fold_during_a_merge_loses_nothing(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    uint64_t random = 7;
    struct index_reader *reader = begin_log(w, &log, &m);
    struct intruder intruder = {w, &log, &m, fold_first, false};
    test_store_hook(w->store, intrude, &intruder);
    merge_all(w, true);
    test_store_hook(w->store, NULL, NULL);
    assert_true(intruder.acted);
    assert_int_equal(verify(w).rows, model_live(&m));
    model_ask(w, reader, &m, &random);
    check_cold(w, &m, &random);
    index_close(reader);
    log_deinit(&log);
}

/* ---- failures -------------------------------------------------------------------------------------------- */

static void kill_fold(struct world *w)
{
    bool died = true;
    size_t n = 1;
    for (; died; n++) {
        struct fixture_log log;
        struct model m;
        uint64_t random = n;
        struct index_fold_result result;
        struct index_reader *reader = begin_log(w, &log, &m);
        test_store_kill_at(w->store, n);
        enum dp_status status = index_fold(&w->call, reader, &fold_options, &result);
        died = test_store_killed(w->store);
        test_store_kill_at(w->store, 0);
        assert_true(died || status == DP_OK);
        world_reset(w);
        check_cold(w, &m, &random);
        model_ask(w, reader, &m, &random);
        must_fold(w, reader);
        assert_int_equal(verify(w).rows, model_live(&m));
        check_cold(w, &m, &random);
        index_close(reader);
        log_deinit(&log);
    }
    assert_true(n >= 6); /* .ivf, .dpr, two .del objects, the manifest */
}

static void test_index_a_fold_killed_at_any_write_loses_nothing(void **state)
{
    kill_fold(*state);
    fold_options.part_rows = 30;
    kill_fold(*state);
    fold_options.part_rows = 0;
}

/* Each entry of the log has 26 records, and replaces rows of the one before. */
static void test_index_a_long_log_is_folded_in_parts(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    uint64_t random = 1;
    struct index_stats stats;
    struct index_reader *reader = begin_log(w, &log, &m);
    fold_options.part_rows = 30;
    assert_int_equal(must_fold(w, reader).entries, 4);
    fold_options.part_rows = 0;
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    assert_int_equal(stats.unindexed_rows, 0);
    assert_int_equal(stats.segments, 1 + 4); /* the entries replace all rows of the second load */
    assert_int_equal(verify(w).rows, model_live(&m));
    check_cold(w, &m, &random);
    index_close(reader);
    log_deinit(&log);
}

static void test_index_a_fold_with_a_lost_answer_is_resolved(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    uint64_t random = 1;
    struct index_reader *reader = begin_log(w, &log, &m);
    test_store_fail_at(w->store, TEST_STORE_PUT, 5, DP_UNKNOWN, true);
    assert_int_equal(must_fold(w, reader).entries, 4);
    check_cold(w, &m, &random);
    index_close(reader);
    log_deinit(&log);
}

/* ---- many small writes ----------------------------------------------------------------------------------- */

static uint64_t requests_of_query(struct world *w, const char *name)
{
    float query[FIXTURE_DIM];
    struct index_answer answer;
    struct index_reader *reader = fixture_open(w, name);
    fixture_query(w, 3, query);
    struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 10};
    for (int i = 0; i < 2; i++) { /* the second one is warm */
        test_store_reset(w->store);
        assert_int_equal(index_query(&w->call, reader, &q, &answer), DP_OK);
    }
    index_close(reader);
    return test_store_counts(w->store).requests;
}

/* Rows that come one by one end in as few segments as a load of all of them, give or take two. */
static void test_index_single_row_writes_end_in_few_segments(void **state)
{
    enum { ENTRIES = 2000, EACH_FOLD = 64 };
    struct world *w = *state;
    struct fixture_log log;
    struct index_merge_result result = {.inputs = 1};
    const struct index_merge_options idle = {.idle = true};
    begin_world(w, 1);
    fixture_must_load(w, "rows", 0, 1, 0);
    log_init(&log, w, "rows");
    struct index_reader *reader = fixture_open(w, "rows");
    uint64_t most = 0;
    for (uint64_t row = 1; row < ENTRIES; row++) {
        log_entry(&log);
        log_row(&log, row, 0);
        log_put(&log);
        if (row % EACH_FOLD)
            continue;
        must_fold(w, reader);
        merge_all(w, false);
        struct index_stats stats;
        assert_int_equal(index_refresh(&w->call, reader), DP_OK);
        assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
        most = stats.segments > most ? stats.segments : most;
        arena_reset(&w->arena);
    }
    must_fold(w, reader);
    while (result.inputs)
        assert_int_equal(index_merge(&w->call, w->store, span_str("rows"), &idle, &result), DP_OK);
    struct index_verify_result verified = verify(w);
    assert_int_equal(verified.rows, ENTRIES);
    fixture_must_load(w, "whole", 0, ENTRIES, 0);
    uint64_t requests = requests_of_query(w, "rows"), least = requests_of_query(w, "whole");
    printf("%d single-row writes: at most %llu segments, %llu at rest; a warm query sends %llu requests, %llu "
           "after a load\n",
           ENTRIES, (unsigned long long)most, (unsigned long long)verified.segments, (unsigned long long)requests,
           (unsigned long long)least);
    assert_true(most <= 16);
    assert_true(verified.segments <= 3);
    assert_true(requests * 10 <= least * 11);
    index_close(reader);
    log_deinit(&log);
}

/* ---- rows without a vector ------------------------------------------------------------------------------- */

/* Returns whether a lookup finds the row, and in how many windows. */
static bool find_row(struct world *w, struct index_reader *reader, uint64_t row, uint32_t *windows)
{
    char text[32];
    struct id_key key;
    struct found_row found;
    struct view_position at;
    assert_int_equal(id_encode(fixture_id(row, text), &key, NULL), DP_OK);
    const struct span span = id_key_span(&key);
    struct view *view = reader_view(reader);
    assert_int_equal(index_lookup(&w->call, view, &span, 1, LOOKUP_WHOLE, &found, &at), DP_OK);
    view_release(view);
    *windows = found.windows;
    return found.where != ROW_NONE;
}

static void log_bare_row(struct fixture_log *log, uint64_t row)
{
    char text[32];
    struct id_key key;
    assert_int_equal(id_encode(fixture_id(row, text), &key, NULL), DP_OK);
    wal_encode_row(&log->encoder, id_key_span(&key), NULL, 0, span_str("{\"bare\":true}"));
}

/* Rows without a vector are kept beside others and alone, and no query by vector finds them. */
static void test_index_rows_without_a_vector_are_kept(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    uint64_t random = 1;
    uint32_t windows;
    struct index_reader *reader = begin_log(w, &log, &m);
    must_fold(w, reader);
    for (unsigned n = 0; n < 3; n++) {
        log_entry(&log);
        for (uint64_t row = 1000 + 10 * n; row < 1010 + 10 * n; row++)
            log_bare_row(&log, row);
        if (n == 1)
            log_row(&log, 7, 33);
        log_put(&log);
        struct index_fold_result result = must_fold(w, reader);
        assert_int_equal(result.rows, n == 1 ? 11 : 10);
    }
    m.edition[7] = 33;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(verify(w).rows, model_live(&m) + 30);
        struct index_reader *cold = fixture_open(w, "rows");
        for (uint64_t row = 1000; row < 1030; row++) {
            assert_true(find_row(w, cold, row, &windows));
            assert_int_equal(windows, 0);
        }
        assert_true(find_row(w, cold, 7, &windows));
        assert_int_equal(windows, 1);
        float query[FIXTURE_DIM];
        struct index_answer answer;
        fixture_query(w, model_draw(&random, 100), query);
        struct index_query q = {.vector = query,
                                .dim = FIXTURE_DIM,
                                .top_k = MODEL_ROWS + 40,
                                .nprobe = 1000000,
                                .all_attributes = true};
        assert_int_equal(index_query(&w->call, cold, &q, &answer), DP_OK);
        assert_int_equal(answer.count, model_live(&m));
        index_close(cold);
        merge_all(w, true);
    }
    assert_int_equal(verify(w).segments, 1);
    index_close(reader);
    log_deinit(&log);
}

static void write_rows(struct world *w, struct index_reader *reader, uint64_t from, uint64_t to, bool vectors)
{
    struct index_write_row rows[20];
    float x[20][FIXTURE_DIM];
    struct index_write_result result;
    assert_true(to - from <= 20);
    for (uint64_t row = from; row < to; row++) {
        fixture_vector(w, row, 0, 0, x[row - from]);
        rows[row - from] = (struct index_write_row){.kind = INDEX_UPSERT,
                                                    .id = {.number = row},
                                                    .vectors = vectors ? x[row - from] : NULL,
                                                    .windows = vectors};
    }
    struct index_write write = {.rows = rows, .count = to - from, .dim = vectors ? FIXTURE_DIM : 0};
    if (index_write(&w->call, reader, &write, &result) != DP_OK)
        fail_msg("writing: %s", w->call.error.message);
}

/* A namespace begins without vectors, is folded and merged, and gets vectors later. */
static void test_index_a_namespace_without_vectors_is_folded(void **state)
{
    struct world *w = *state;
    struct index_vectors none = {.metric = INDEX_COSINE}, some = {.dim = FIXTURE_DIM, .metric = INDEX_COSINE};
    struct index_stats stats;
    begin_world(w, 1);
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &none, NULL, NULL), DP_OK);
    struct index_reader *reader = fixture_open(w, "rows");
    for (uint64_t i = 0; i < 3; i++) {
        write_rows(w, reader, 20 * i, 20 * i + 20, false);
        assert_int_equal(must_fold(w, reader).rows, 20);
    }
    assert_int_equal(verify(w).objects, 3); /* segments without an .ivf */
    merge_all(w, true);
    assert_int_equal(verify(w).rows, 60);
    assert_int_equal(index_create(&w->call, w->store, span_str("rows"), &some, NULL, NULL), DP_OK);
    assert_int_equal(index_refresh(&w->call, reader), DP_OK);
    write_rows(w, reader, 50, 70, true);
    assert_int_equal(must_fold(w, reader).rows, 20);
    assert_int_equal(verify(w).rows, 70);
    for (int round = 0; round < 2; round++) {
        struct index_reader *cold = fixture_open(w, "rows");
        float query[FIXTURE_DIM];
        struct index_answer answer;
        fixture_query(w, 1, query);
        struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 100, .nprobe = 1000};
        assert_int_equal(index_query(&w->call, cold, &q, &answer), DP_OK);
        assert_int_equal(answer.count, 20);
        assert_int_equal(index_stats(&w->call, cold, &stats), DP_OK);
        assert_int_equal(stats.rows, 70);
        index_close(cold);
        merge_all(w, true);
    }
    assert_int_equal(verify(w).segments, 1);
    index_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_index_a_fold_empties_the_log, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_fold_of_deletions_writes_no_segment, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_the_second_of_two_folds_gives_up, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_fold_gives_up_over_another_log, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_fold_leaves_later_entries, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_merge_during_a_fold_loses_nothing, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_fold_during_a_merge_loses_nothing, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_fold_killed_at_any_write_loses_nothing, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_long_log_is_folded_in_parts, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_fold_with_a_lost_answer_is_resolved, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_single_row_writes_end_in_few_segments, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_rows_without_a_vector_are_kept, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_namespace_without_vectors_is_folded, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_folds_and_merges_change_no_answer, world_in_memory,
                                        world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
