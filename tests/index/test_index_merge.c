/* test_index_merge.c: merges keep every live row, whatever happens to their inputs meanwhile. */
#include "index_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "index/fold/choose.h"
#include "index/query/reader.h"
#include "index/segment/format.h"
#include "index/segment/key_filter.h"
#include "index/upkeep.h"

enum { ALL_LISTS = 100000 };

static struct index_stats stats_of(struct world *w)
{
    struct index_stats stats;
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    index_close(reader);
    return stats;
}

static struct index_merge_result must_merge(struct world *w, bool everything)
{
    const struct index_merge_options options = {.everything = everything};
    struct index_merge_result result;
    if (index_merge(&w->call, w->store, span_str("rows"), &options, &result) != DP_OK)
        fail_msg("merging: %s", w->call.error.message);
    return result;
}

/* Merges until nothing is due, and returns how often it merged. */
static size_t merge_all(struct world *w, bool everything)
{
    size_t merges = 0;
    while (must_merge(w, everything).inputs)
        merges++;
    return merges;
}

static void check_all(struct world *w, const struct expected *e, uint64_t rows)
{
    assert_int_equal(stats_of(w).rows, rows);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_true(fixture_check_answers(w, reader, e, 10, 20, ALL_LISTS) >= 0.999);
    index_close(reader);
}

/* ---- the result ------------------------------------------------------------------------------------------ */

/* A query of one segment is the cheapest one there is: manifest and log beside the list, then vector and document. */
static void test_index_a_hundred_small_loads_end_as_one_segment(void **state)
{
    enum { LOADS = 100 };
    struct world *w = *state;
    struct expected e = {.rows = LOADS};
    struct index_answer answer;
    float query[FIXTURE_DIM];
    for (uint64_t row = 0; row < LOADS; row++)
        fixture_must_load(w, "rows", row, row + 1, 0);
    assert_int_equal(stats_of(w).segments, LOADS);
    assert_int_equal(merge_all(w, false), 1);
    assert_int_equal(stats_of(w).segments, 1);
    check_all(w, &e, LOADS);
    struct index_reader *reader = fixture_open(w, "rows");
    fixture_query(w, 1, query);
    struct index_query ask = {.vector = query, .dim = w->dim, .top_k = 1};
    test_store_reset(w->store);
    assert_int_equal(index_query(&w->call, reader, &ask, &answer), DP_OK);
    assert_int_equal(test_store_counts(w->store).rounds, 2);
    struct test_store_counts counts = test_store_counts(w->store);
    printf("a query after 100 loads and a merge: %llu requests\n", (unsigned long long)counts.requests);
    assert_true(counts.requests <= 3 + 12 + 1); /* 12 candidates, whose documents lie in one block */
    index_close(reader);
}

/* With a merge after each load, a row is rewritten a few times, and the manifest stays short. */
static void test_index_merging_after_each_load_bounds_the_segments(void **state)
{
    enum { LOADS = 120, EACH = 40 };
    struct world *w = *state;
    struct expected e = {.rows = (uint64_t)LOADS * EACH};
    uint64_t rewritten = 0, most = 0;
    for (uint64_t i = 0; i < LOADS; i++) {
        fixture_must_load(w, "rows", i * EACH, (i + 1) * EACH, 0);
        for (;;) {
            struct index_merge_result result = must_merge(w, false);
            if (!result.inputs)
                break;
            rewritten += result.rows;
        }
        uint64_t segments = stats_of(w).segments;
        most = segments > most ? segments : most;
        arena_reset(&w->arena);
    }
    printf("%d loads of %d rows: at most %llu segments, %llu rows rewritten\n", LOADS, EACH,
           (unsigned long long)most, (unsigned long long)rewritten);
    assert_true(most <= 2 * TIER_WIDTH);
    assert_true(rewritten <= 6 * e.rows);
    check_all(w, &e, e.rows);
}

static void test_index_a_merge_leaves_deleted_rows_behind(void **state)
{
    struct world *w = *state;
    w->windows = true;
    struct expected e = {.rows = 500, .newer_from = 100, .newer_to = 400, .newer_edition = 2};
    fixture_must_load(w, "rows", 0, 500, 0);
    fixture_must_load(w, "rows", 100, 300, 1);
    fixture_must_load(w, "rows", 100, 400, 2);
    struct index_stats before = stats_of(w);
    assert_int_equal(before.segments, 2); /* the second load has no row left */
    struct index_merge_result result = must_merge(w, true);
    assert_int_equal(result.inputs, 2);
    assert_int_equal(result.outputs, 1);
    assert_int_equal(result.rows, 500);
    assert_true(stats_of(w).bytes < before.bytes);
    check_all(w, &e, 500);
    assert_int_equal(must_merge(w, true).inputs, 0);
}

static void test_index_a_segment_of_mostly_deleted_rows_is_rewritten(void **state)
{
    struct world *w = *state;
    w->metric = INDEX_EUCLIDEAN_SQUARED;
    struct expected e = {.rows = 700, .newer_from = 0, .newer_to = 400, .newer_edition = 1};
    fixture_must_load(w, "rows", 0, 700, 0);
    fixture_must_load(w, "rows", 0, 300, 1);
    assert_int_equal(must_merge(w, false).inputs, 0); /* three of seven are no majority */
    fixture_must_load(w, "rows", 300, 400, 1);
    struct index_merge_result result = must_merge(w, false);
    assert_int_equal(result.inputs, 1);
    assert_int_equal(result.rows, 300);
    check_all(w, &e, 700);
}

/* The output has lists of its own: recall does not suffer. */
static void test_index_a_merge_trains_its_lists_anew(void **state)
{
    struct world *w = *state;
    for (uint64_t i = 0; i < 8; i++)
        fixture_must_load(w, "rows", i * 1500, (i + 1) * 1500, 0);
    struct expected e = {.rows = 12000};
    assert_int_equal(must_merge(w, false).inputs, 8);
    struct index_reader *reader = fixture_open(w, "rows");
    double recall = fixture_check_answers(w, reader, &e, 50, 10, 0);
    printf("recall@10 after a merge of 8 x 1500 rows: %.3f\n", recall);
    assert_true(recall >= 0.95);
    assert_true(fixture_check_answers(w, reader, &e, 20, 10, ALL_LISTS) >= 0.999);
    index_close(reader);
}

/* ---- other writers meanwhile ----------------------------------------------------------------------------- */

/* Another writer that acts once, before the merge writes its first .dpr object. */
struct intruder {
    struct world *w;
    void (*act)(struct world *w);
    bool acted;
};

static void intrude(void *ctx, const struct test_store_op *op)
{
    struct intruder *i = ctx;
    if (i->acted || op->kind != TEST_STORE_PUT || !strstr(op->key, ".dpr"))
        return;
    i->acted = true;
    struct call call = i->w->call; /* the intruder has its own call */
    i->act(i->w);
    i->w->call = call;
}

static struct index_merge_result merge_beside(struct world *w, void (*act)(struct world *w))
{
    struct intruder intruder = {w, act, false};
    test_store_hook(w->store, intrude, &intruder);
    struct index_merge_result result = must_merge(w, true);
    test_store_hook(w->store, NULL, NULL);
    assert_true(intruder.acted);
    return result;
}

static void load_three(struct world *w)
{
    fixture_must_load(w, "rows", 0, 100, 0);
    fixture_must_load(w, "rows", 100, 300, 0);
    fixture_must_load(w, "rows", 300, 600, 0);
}

static void replace_some(struct world *w)
{
    fixture_must_load(w, "rows", 250, 420, 1);
}

static void test_index_rows_replaced_during_a_merge_stay_replaced(void **state)
{
    struct world *w = *state;
    struct expected e = {.rows = 600, .newer_from = 250, .newer_to = 420, .newer_edition = 1};
    load_three(w);
    struct index_merge_result result = merge_beside(w, replace_some);
    assert_int_equal(result.inputs, 3);
    assert_int_equal(stats_of(w).segments, 2);
    check_all(w, &e, 600);
    merge_all(w, true);
    check_all(w, &e, 600);
}

static void replace_an_input(struct world *w)
{
    fixture_must_load(w, "rows", 0, 100, 1);
}

static void test_index_an_input_without_a_row_left_counts_as_deleted(void **state)
{
    struct world *w = *state;
    struct expected e = {.rows = 600, .newer_from = 0, .newer_to = 100, .newer_edition = 1};
    load_three(w);
    struct index_merge_result result = merge_beside(w, replace_an_input);
    assert_int_equal(result.inputs, 3);
    check_all(w, &e, 600);
}

static void replace_everything(struct world *w)
{
    fixture_must_load(w, "rows", 0, 600, 1);
}

static void test_index_a_merge_of_replaced_inputs_gives_up(void **state)
{
    struct world *w = *state;
    struct expected e = {.rows = 0, .newer_from = 0, .newer_to = 600, .newer_edition = 1};
    load_three(w);
    assert_int_equal(merge_beside(w, replace_everything).inputs, 0);
    check_all(w, &e, 600);
}

static void merge_first(struct world *w)
{
    assert_int_equal(must_merge(w, true).inputs, 3);
}

static void test_index_the_second_of_two_merges_gives_up(void **state)
{
    struct world *w = *state;
    struct expected e = {.rows = 600};
    load_three(w);
    assert_int_equal(merge_beside(w, merge_first).inputs, 0);
    assert_int_equal(stats_of(w).segments, 1);
    check_all(w, &e, 600);
    fixture_must_load(w, "rows", 600, 620, 0);
    assert_int_equal(must_merge(w, true).inputs, 2);
}

/* Some objects of the inputs vanish, as if a merge and a collector had been very fast. */
static void test_index_a_merge_whose_inputs_are_lost_says_so(void **state)
{
    struct world *w = *state;
    struct index_merge_result result;
    struct store_listing page;
    load_three(w);
    assert_int_equal(store_list(&w->call, w->store, span_str("rows/"), span_str(""), false, 100, &page), DP_OK);
    for (size_t i = 0; i < page.count; i++) {
        if (strstr(arena_printf(&w->arena, "%.*s", SPAN_FMT(page.entries[i].key)), ".dpr")) {
            assert_int_equal(store_remove(&w->call, w->store, page.entries[i].key), DP_OK);
            break;
        }
    }
    const struct index_merge_options options = {.everything = true};
    assert_int_equal(index_merge(&w->call, w->store, span_str("rows"), &options, &result), DP_CORRUPT);
    assert_non_null(strstr(w->call.error.message, ".dpr"));
}

/* Kills the merge at each of its writes: the rows are there, and the next merge succeeds. */
static void test_index_a_merge_killed_at_any_write_loses_nothing(void **state)
{
    struct world *w = *state;
    struct expected e = {.rows = 600, .newer_from = 250, .newer_to = 420, .newer_edition = 1};
    size_t n = 1;
    for (;; n++) {
        struct index_merge_result result;
        const struct index_merge_options options = {.everything = true};
        world_reset(w);
        load_three(w);
        replace_some(w);
        test_store_kill_at(w->store, n);
        enum dp_status status = index_merge(&w->call, w->store, span_str("rows"), &options, &result);
        bool died = test_store_killed(w->store);
        test_store_kill_at(w->store, 0);
        assert_true(died || status == DP_OK);
        call_init(&w->call, &w->arena);
        check_all(w, &e, 600);
        merge_all(w, true);
        assert_int_equal(stats_of(w).segments, 1);
        check_all(w, &e, 600);
        store_free(w->store);
        w->store = test_store_wrap(fixture_memory(w));
        if (!died)
            break;
    }
    assert_true(n >= 4); /* .ivf, .dpr, manifest, and the run that lives */
}

/* An answer that is lost, or a manifest that comes late. */
static void test_index_a_merge_with_a_lost_answer_is_resolved(void **state)
{
    struct world *w = *state;
    struct expected e = {.rows = 600};
    struct index_merge_result result;
    const struct index_merge_options options = {.everything = true};
    load_three(w);
    test_store_fail_at(w->store, TEST_STORE_PUT, 3, DP_UNKNOWN, true);
    assert_int_equal(index_merge(&w->call, w->store, span_str("rows"), &options, &result), DP_OK);
    assert_int_equal(result.inputs, 3);
    assert_int_equal(stats_of(w).segments, 1);
    check_all(w, &e, 600);
}

static void test_index_nothing_to_merge_costs_one_read(void **state)
{
    struct world *w = *state;
    load_three(w);
    test_store_reset(w->store);
    assert_int_equal(must_merge(w, false).inputs, 0);
    struct test_store_counts counts = test_store_counts(w->store);
    assert_int_equal(counts.requests, 1);
    assert_int_equal(counts.writes, 0);
    struct index_merge_result result;
    assert_int_equal(index_merge(&w->call, w->store, span_str("none"), NULL, &result), DP_NOT_FOUND);
}

/* ---- the choice ------------------------------------------------------------------------------------------ */

static struct manifest_segment *segments_of(size_t count, uint64_t rows)
{
    struct manifest_segment *s = calloc(count, sizeof *s);
    assert_non_null(s);
    for (size_t i = 0; i < count; i++)
        s[i] = (struct manifest_segment){
            .rows = rows, .vectors = rows, .hot_len = 1000 + rows * 2, .dpr_size = rows * 100};
    return s;
}

static void test_index_the_choice_follows_the_tiers(void **state)
{
    (void)state;
    size_t chosen[40];
    struct manifest m = {.segments = segments_of(40, 100), .vectors.dim = 24};
    m.segment_count = TIER_WIDTH - 1;
    assert_int_equal(merge_choose(&m, MERGE_DUE, chosen), 0);
    m.segment_count = TIER_WIDTH;
    assert_int_equal(merge_choose(&m, MERGE_DUE, chosen), TIER_WIDTH);
    m.segments[3] = (struct manifest_segment){.rows = 5000, .vectors = 5000, .hot_len = 9000, .dpr_size = 500000};
    assert_int_equal(merge_choose(&m, MERGE_DUE, chosen), 0);
    m.segments[3].deleted_rows = 4500; /* 500 live rows */
    assert_int_equal(merge_choose(&m, MERGE_DUE, chosen), TIER_WIDTH);
    m.segment_count = TIER_WIDTH - 1;
    assert_int_equal(merge_choose(&m, MERGE_IDLE, chosen), TIER_WIDTH - 1);
    m.segments[0].rows = 100000; /* the others are a small part of it */
    assert_int_equal(merge_choose(&m, MERGE_IDLE, chosen), TIER_WIDTH - 1 - MERGE_IDLE_LISTED + 1);
    m.segment_count = 3;
    assert_int_equal(merge_choose(&m, MERGE_IDLE, chosen), 0);
    assert_int_equal(merge_choose(&m, MERGE_ALL, chosen), 3);
    m.segment_count = 1;
    assert_int_equal(merge_choose(&m, MERGE_ALL, chosen), 0);
    free(m.segments);
}

/* Optional sections are not in the way of a merge: the output gets those for which it has room. Documents are. */
static void test_index_the_choice_counts_required_sections(void **state)
{
    (void)state;
    size_t chosen[3];
    struct manifest m = {.segments = segments_of(3, 100 * 1000), .vectors.dim = 24, .segment_count = 3};
    for (size_t i = 0; i < 3; i++) {
        m.segments[i].hot_len = SEGMENT_HOT_MAX - 100;
        m.segments[i].dpr_size = m.segments[i].vectors * segment_vector_len(24) + (30 << 20);
    }
    assert_int_equal(merge_choose(&m, MERGE_ALL, chosen), 3);
    m.segments[1].rows = m.segments[1].vectors = SEGMENT_ROWS_MAX - 200 * 1000;
    m.segments[1].dpr_size = m.segments[1].vectors * segment_vector_len(24) + (UINT64_C(330) << 20);
    assert_int_equal(merge_choose(&m, MERGE_ALL, chosen), 3);
    m.segments[1].dpr_size += UINT64_C(200) << 20;
    assert_int_equal(merge_choose(&m, MERGE_ALL, chosen), 2);
    free(m.segments);
}

/* Rows that have not one vector are in section WIND, and a loader closes a segment when they would fill the hot part.
 * So a merge of segments full of them would write as many again, and again. */
static void test_index_the_choice_leaves_segments_full_of_rows_without_vectors(void **state)
{
    (void)state;
    const uint64_t rows = 480 * 1000;
    size_t chosen[TIER_WIDTH];
    struct manifest m = {.segments = segments_of(TIER_WIDTH, rows), .segment_count = TIER_WIDTH};
    for (size_t i = 0; i < TIER_WIDTH; i++) {
        m.segments[i].vectors = 0;
        m.segments[i].hot_len = 1100 * 1000;
        m.segments[i].dpr_size = rows * 120;
    }
    assert_int_equal(merge_choose(&m, MERGE_DUE, chosen), 0);
    for (size_t i = 0; i < TIER_WIDTH; i++)
        m.segments[i].deleted_rows = rows - 60 * 1000; /* now several fit into one */
    assert_true(merge_choose(&m, MERGE_DUE, chosen) > 1);
    free(m.segments);
}

/* Full segments stay as they are until half of their rows are deleted, also if the estimates would let them merge. */
static void test_index_the_choice_leaves_full_segments(void **state)
{
    (void)state;
    size_t chosen[40];
    struct manifest m = {.segments = segments_of(40, 100), .vectors.dim = 24, .segment_count = TIER_WIDTH};
    for (size_t i = 0; i < 40; i++)
        m.segments[i].full = true;
    for (enum merge_effort effort = MERGE_DUE; effort <= MERGE_ALL; effort++)
        assert_int_equal(merge_choose(&m, effort, chosen), 0);
    m.segment_count = 40; /* more than MERGE_LISTED_MAX */
    assert_int_equal(merge_choose(&m, MERGE_IDLE, chosen), 0);
    m.segments[7].full = m.segments[9].full = false;
    assert_int_equal(merge_choose(&m, MERGE_DUE, chosen), 0);
    assert_int_equal(merge_choose(&m, MERGE_IDLE, chosen), 2);
    assert_int_equal(merge_choose(&m, MERGE_ALL, chosen), 2);
    assert_int_equal(chosen[0], 7);
    assert_int_equal(chosen[1], 9);
    m.segments[20].deleted_rows = 40;
    assert_int_equal(merge_choose(&m, MERGE_IDLE, chosen), 2);
    assert_int_equal(merge_choose(&m, MERGE_ALL, chosen), 3);
    m.segments[20].deleted_rows = 51;
    assert_int_equal(merge_choose(&m, MERGE_IDLE, chosen), 3);
    free(m.segments);
}

/* A load marks the segments that it ends for want of room, so a compaction of many rows that fill several segments ends.
 */
static void test_index_a_compaction_leaves_full_segments(void **state)
{
    struct world *w = *state;
    struct index_loader *loader = fixture_begin(w, "rows");
    const struct index_merge_options options = {.everything = true};
    struct index_load_summary summary;
    struct index_merge_result result;
    loader->hot_bytes = 12 * 4096 + 60; /* the fixed part, and some frames */
    assert_int_equal(fixture_add(w, loader, 0, 500, 0), DP_OK);
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    assert_true(summary.segments > 2);
    struct index_reader *reader = fixture_open(w, "rows");
    const struct manifest *m = &reader->current->base->manifest;
    for (size_t i = 0; i < m->segment_count; i++)
        assert_int_equal(m->segments[i].full, i + 1 < m->segment_count);
    index_close(reader);
    assert_int_equal(index_merge(&w->call, w->store, span_str("rows"), &options, &result), DP_OK);
    assert_int_equal(result.inputs, 0);
    fixture_must_load(w, "rows", 500, 510, 0);
    assert_int_equal(index_merge(&w->call, w->store, span_str("rows"), &options, &result), DP_OK);
    assert_int_equal(result.inputs, 2);
    assert_int_equal(result.outputs, 1);
    assert_int_equal(index_merge(&w->call, w->store, span_str("rows"), &options, &result), DP_OK);
    assert_int_equal(result.inputs, 0);
}

/* No choice exceeds one segment, and repeated choices come to an end. */
static void test_index_the_choice_fits_one_segment_and_ends(void **state)
{
    (void)state;
    size_t chosen[64];
    for (uint64_t rows = 1; rows <= SEGMENT_ROWS_MAX; rows = rows * 3 + 1) {
        struct manifest m = {.segments = segments_of(64, rows), .vectors.dim = 384, .segment_count = 64};
        size_t merges = 0, count;
        for (;;) {
            count = merge_choose(&m, merges % 2 ? MERGE_IDLE : MERGE_DUE, chosen);
            if (!count)
                count = merge_choose(&m, MERGE_ALL, chosen);
            if (!count)
                break;
            struct manifest_segment sum = {0};
            for (size_t i = 0; i < count; i++) {
                const struct manifest_segment *s = &m.segments[chosen[i]];
                assert_true(i == 0 || chosen[i] > chosen[i - 1]);
                sum.rows += s->rows;
                sum.vectors += s->vectors;
                sum.hot_len += s->hot_len;
                sum.dpr_size += s->dpr_size;
            }
            assert_true(count > 1);
            assert_true(sum.rows <= SEGMENT_ROWS_MAX);
            /* The filter of ids is all that a hot part must have of 2 bytes a row. */
            assert_true(key_filter_len(sum.rows) <= SEGMENT_HOT_MAX);
            sum.hot_len = sum.hot_len < SEGMENT_HOT_MAX ? sum.hot_len : SEGMENT_HOT_MAX;
            size_t kept = 0, at = 0;
            for (size_t i = 0; i < m.segment_count; i++) {
                if (at < count && chosen[at] == i)
                    at++;
                else
                    m.segments[kept++] = m.segments[i];
            }
            m.segments[kept++] = sum;
            m.segment_count = kept;
            assert_true(++merges < 64);
        }
        free(m.segments);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_index_a_hundred_small_loads_end_as_one_segment, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_merging_after_each_load_bounds_the_segments, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_merge_leaves_deleted_rows_behind, world_in_folder,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_segment_of_mostly_deleted_rows_is_rewritten, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_merge_trains_its_lists_anew, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_rows_replaced_during_a_merge_stay_replaced, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_an_input_without_a_row_left_counts_as_deleted, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_merge_of_replaced_inputs_gives_up, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_the_second_of_two_merges_gives_up, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_merge_whose_inputs_are_lost_says_so, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_merge_killed_at_any_write_loses_nothing, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_merge_with_a_lost_answer_is_resolved, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_nothing_to_merge_costs_one_read, world_in_memory, world_close),
        cmocka_unit_test(test_index_the_choice_follows_the_tiers),
        cmocka_unit_test(test_index_the_choice_counts_required_sections),
        cmocka_unit_test(test_index_the_choice_leaves_segments_full_of_rows_without_vectors),
        cmocka_unit_test(test_index_the_choice_leaves_full_segments),
        cmocka_unit_test_setup_teardown(test_index_a_compaction_leaves_full_segments, world_in_memory,
                                        world_close),
        cmocka_unit_test(test_index_the_choice_fits_one_segment_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
