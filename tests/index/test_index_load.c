/* test_index_load.c: queries find the rows that were loaded: new rows, newer rows, windows, both metrics, several
 * segments.
 */
#include "index_fixture.h"

#include <stdio.h>

/* With all lists probed, only codes and re-ranking can make the answer differ from exhaustive search. */
enum { ALL_LISTS = 100000 };

static void test_index_answers_equal_exhaustive_search(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary = fixture_must_load(w, "rows", 0, 1000, 0);
    assert_int_equal(summary.replaced, 0);
    assert_int_equal(summary.segments, 1);
    assert_int_equal(summary.windows, 0);
    assert_int_equal(summary.total_rows, 1000);
    struct index_reader *reader = fixture_open(w, "rows");
    struct expected e = {.rows = 1000};
    assert_true(fixture_check_answers(w, reader, &e, 30, 10, 0) == 1.0);
    assert_true(fixture_check_answers(w, reader, &e, 3, 100, 0) == 1.0);
    assert_true(fixture_check_answers(w, reader, &e, 1, 2000, 0) == 1.0);
    index_close(reader);
}

static void test_index_euclidean_answers_equal_exhaustive_search(void **state)
{
    struct world *w = *state;
    w->metric = INDEX_EUCLIDEAN_SQUARED;
    fixture_must_load(w, "rows", 0, 1000, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    struct expected e = {.rows = 1000};
    assert_true(fixture_check_answers(w, reader, &e, 30, 10, 0) == 1.0);
    index_close(reader);
}

static void test_index_many_lists_reach_the_recall_bar(void **state)
{
    struct world *w = *state;
    fixture_must_load(w, "rows", 0, 12000, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    struct expected e = {.rows = 12000};
    double recall = fixture_check_answers(w, reader, &e, 50, 10, 0);
    printf("recall@10 by default %.3f, over all lists %.3f\n", recall,
           fixture_check_answers(w, reader, &e, 50, 10, ALL_LISTS));
    assert_true(recall >= 0.95);
    assert_true(fixture_check_answers(w, reader, &e, 50, 10, ALL_LISTS) >= 0.999);
    index_close(reader);
}

/* Real vectors: 4,800 SIFT descriptors, 200 others as queries, against exhaustive search. */
static void test_index_recall_on_sift(void **state)
{
    struct world *w = *state;
    enum { DIM = 128, ROWS = 4800, QUERIES = 200, K = 10 };
    struct span sift = test_data("vectors/sift-5k.u8");
    assert_int_equal(sift.len, (ROWS + QUERIES) * DIM);
    struct index_vectors vectors = {.dim = DIM, .metric = INDEX_EUCLIDEAN_SQUARED};
    struct index_loader *loader;
    struct index_load_summary summary;
    float x[DIM];
    size_t found = 0;
    assert_int_equal(index_load_begin(&w->call, w->store, span_str("sift"), &vectors, NULL, &loader), DP_OK);
    for (uint64_t row = 0; row < ROWS; row++) {
        for (size_t d = 0; d < DIM; d++)
            x[d] = sift.data[row * DIM + d];
        assert_int_equal(index_load_row(&w->call, loader, (struct index_id){.number = row}, x, 1, span_str("")),
                         DP_OK);
    }
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    struct index_reader *reader = fixture_open(w, "sift");
    for (size_t q = 0; q < QUERIES; q++) {
        const uint8_t *query = sift.data + (ROWS + q) * DIM;
        uint32_t best[K];
        memset(best, 0xff, sizeof best);
        for (size_t row = 0; row < ROWS; row++) {
            uint32_t square = 0;
            for (size_t d = 0; d < DIM; d++) {
                int difference = query[d] - sift.data[row * DIM + d];
                square += (uint32_t)(difference * difference);
            }
            for (size_t i = 0; i < K; i++) {
                if (square < best[i]) {
                    uint32_t worse = best[i];
                    best[i] = square;
                    square = worse;
                }
            }
        }
        for (size_t d = 0; d < DIM; d++)
            x[d] = query[d];
        struct index_query ask = {.vector = x, .dim = DIM, .top_k = K};
        struct index_answer answer;
        arena_reset(&w->arena);
        assert_int_equal(index_query(&w->call, reader, &ask, &answer), DP_OK);
        assert_int_equal(answer.count, K);
        for (size_t i = 0; i < K; i++)
            found += (uint32_t)answer.hits[i].dist <= best[K - 1];
    }
    printf("recall@10 on SIFT: %.4f\n", (double)found / (QUERIES * K));
    assert_true(found >= QUERIES * K * 97 / 100);
    index_close(reader);
}

static void test_index_a_row_scores_by_its_best_window(void **state)
{
    struct world *w = *state;
    w->windows = true;
    struct index_load_summary summary = fixture_must_load(w, "rows", 0, 3000, 0);
    uint64_t windows = 0;
    for (uint64_t row = 0; row < 3000; row++)
        windows += fixture_windows(w, row) - 1;
    assert_int_equal(summary.windows, windows);
    struct index_reader *reader = fixture_open(w, "rows");
    struct expected e = {.rows = 3000};
    assert_true(fixture_check_answers(w, reader, &e, 40, 10, ALL_LISTS) >= 0.999);
    assert_true(fixture_check_answers(w, reader, &e, 40, 10, 0) >= 0.95);
    index_close(reader);
}

static void test_index_many_windows_do_not_crowd_out_rows(void **state)
{
    struct world *w = *state;
    struct index_vectors vectors = fixture_vectors(w);
    struct index_loader *loader;
    struct index_answer answer;
    struct index_load_summary summary;
    enum { WINDOWS = 200 };
    static float x[WINDOWS * FIXTURE_DIM];
    assert_int_equal(index_load_begin(&w->call, w->store, span_str("crowd"), &vectors, NULL, &loader), DP_OK);
    for (uint64_t row = 0; row < 20; row++) {
        for (size_t i = 0; i < WINDOWS * FIXTURE_DIM; i++)
            x[i] = i % FIXTURE_DIM == 0 ? 1.0F : (float)(i / FIXTURE_DIM % 7 + row) * 1e-3F;
        assert_int_equal(index_load_row(&w->call, loader, (struct index_id){.number = row}, x,
                                        row == 0 ? WINDOWS : 1, span_str("")),
                         DP_OK);
    }
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    assert_int_equal(summary.windows, WINDOWS - 1);
    struct index_reader *reader = fixture_open(w, "crowd");
    struct index_query ask = {.vector = x, .dim = FIXTURE_DIM, .top_k = 20};
    assert_int_equal(index_query(&w->call, reader, &ask, &answer), DP_OK);
    assert_int_equal(answer.count, 20);
    assert_true(span_equal_str(answer.hits[0].attributes, "{}"));
    index_close(reader);
}

static void test_index_newer_rows_replace_older_ones(void **state)
{
    struct world *w = *state;
    w->windows = true;
    fixture_must_load(w, "rows", 0, 900, 0);
    struct index_load_summary summary = fixture_must_load(w, "rows", 600, 1200, 1);
    assert_int_equal(summary.replaced, 300);
    assert_int_equal(summary.total_rows, 1200);
    struct index_reader *reader = fixture_open(w, "rows");
    struct expected e = {.rows = 900, .newer_from = 600, .newer_to = 1200, .newer_edition = 1};
    assert_true(fixture_check_answers(w, reader, &e, 40, 10, ALL_LISTS) >= 0.999);
    assert_true(fixture_check_answers(w, reader, &e, 2, 2000, ALL_LISTS) == 1.0);
    /* All rows are loaded again: older segments have no row left and are no longer listed. */
    summary = fixture_must_load(w, "rows", 0, 1200, 2);
    assert_int_equal(summary.replaced, 1200);
    assert_int_equal(summary.total_rows, 1200);
    e = (struct expected){.rows = 1200, .edition = 2};
    assert_true(fixture_check_answers(w, reader, &e, 40, 10, ALL_LISTS) >= 0.999);
    struct index_stats stats;
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    assert_int_equal(stats.segments, 1);
    assert_int_equal(stats.rows, 1200);
    assert_int_equal(stats.vectors.dim, FIXTURE_DIM);
    assert_true(span_equal_str(stats.vectors.model, "test-model"));
    assert_true(stats.created_ms > 0 && stats.updated_ms >= stats.created_ms);
    index_close(reader);
}

static void test_index_equal_distances_are_ordered_by_id(void **state)
{
    struct world *w = *state;
    struct index_vectors vectors = fixture_vectors(w);
    struct index_load_summary summary;
    float x[FIXTURE_DIM] = {1, 2, 3};
    for (int load = 0; load < 3; load++) { /* three segments, ids interleaved */
        struct index_loader *loader;
        assert_int_equal(index_load_begin(&w->call, w->store, span_str("ties"), &vectors, NULL, &loader), DP_OK);
        for (uint64_t i = 0; i < 10; i++) {
            struct index_id id = {.number = 30 - (i * 3 + (uint64_t)load)};
            assert_int_equal(index_load_row(&w->call, loader, id, x, 1, span_str("")), DP_OK);
        }
        assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    }
    struct index_reader *reader = fixture_open(w, "ties");
    struct index_query ask = {.vector = x, .dim = FIXTURE_DIM, .top_k = 20};
    struct index_answer answer;
    assert_int_equal(index_query(&w->call, reader, &ask, &answer), DP_OK);
    assert_int_equal(answer.count, 20);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(answer.hits[i].id.number, i + 1);
    index_close(reader);
}

static void test_index_included_attributes_only(void **state)
{
    struct world *w = *state;
    fixture_must_load(w, "rows", 0, 10, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    float query[FIXTURE_DIM];
    struct index_answer answer;
    char text[128];
    const struct span names[] = {span_str("title"), span_str("even"), span_str("unheard-of")};
    fixture_vector(w, 4, 0, 0, query);
    struct index_query ask = {.vector = query, .dim = FIXTURE_DIM, .top_k = 1};
    assert_int_equal(index_query(&w->call, reader, &ask, &answer), DP_OK);
    assert_true(span_equal_str(answer.hits[0].attributes, "{}"));
    ask.attributes = names;
    ask.attribute_count = 3;
    assert_int_equal(index_query(&w->call, reader, &ask, &answer), DP_OK);
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(answer.hits[0].attributes));
    assert_string_equal(text, "{\"title\":\"row 4\",\"even\":true}");
    assert_int_equal(answer.approx_rows, 10);
    struct span schema;
    assert_int_equal(index_schema_json(&w->call, reader, &schema), DP_OK);
    static const char wanted[] =
        "{\"vector\":{\"type\":\"[24]f32\",\"ann\":{\"distance_metric\":\"cosine_distance\"}},"
        "\"title\":{\"type\":\"string\",\"filterable\":true},\"edition\":{\"type\":\"int\",\"filterable\":true},"
        "\"even\":{\"type\":\"bool\",\"filterable\":true},\"tags\":{\"type\":\"[]string\",\"filterable\":true},"
        "\"price\":{\"type\":\"float\",\"filterable\":true}}";
    assert_true(span_equal_str(schema, wanted));
    index_close(reader);
}

static void test_index_long_documents_come_back_whole(void **state)
{
    struct world *w = *state;
    struct index_vectors vectors = fixture_vectors(w);
    struct index_loader *loader;
    struct index_load_summary summary;
    struct buffer text;
    float x[FIXTURE_DIM];
    static const size_t lengths[] = {10, 30000, 65000, 65536, 70000, 5, 200000, 1, 131072, 40000, 3};
    enum { COUNT = sizeof lengths / sizeof *lengths };
    buffer_init(&text, 1 << 20);
    assert_int_equal(index_load_begin(&w->call, w->store, span_str("long"), &vectors, NULL, &loader), DP_OK);
    for (uint64_t i = 0; i < COUNT; i++) {
        fixture_vector(w, i, 0, 0, x);
        buffer_clear(&text);
        buffer_append_str(&text, "{\"text\":\"");
        for (size_t c = 0; c < lengths[i]; c++)
            buffer_u8(&text, (uint8_t)('a' + (c * 7 + c / 13 + i) % 26));
        buffer_append_str(&text, "\"}");
        assert_int_equal(
            index_load_row(&w->call, loader, (struct index_id){.number = i}, x, 1, buffer_span(&text)), DP_OK);
    }
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    struct index_reader *reader = fixture_open(w, "long");
    for (uint64_t i = 0; i < COUNT; i++) {
        struct index_answer answer;
        fixture_vector(w, i, 0, 0, x);
        struct index_query ask = {.vector = x, .dim = FIXTURE_DIM, .top_k = 1, .all_attributes = true};
        assert_int_equal(index_query(&w->call, reader, &ask, &answer), DP_OK);
        assert_int_equal(answer.hits[0].id.number, i);
        struct span json = answer.hits[0].attributes;
        assert_int_equal(json.len, lengths[i] + 11);
        for (size_t c = 0; c < lengths[i]; c++)
            assert_int_equal(json.data[9 + c], (uint8_t)('a' + (c * 7 + c / 13 + i) % 26));
    }
    index_close(reader);
    buffer_deinit(&text);
}

static void test_index_list_names_what_has_a_manifest(void **state)
{
    struct world *w = *state;
    struct index_names names;
    static const char *const loaded[] = {"alpha", "beta", "beta-2", "gamma.x"};
    for (int i = 0; i < 4; i++)
        fixture_must_load(w, loaded[i], 0, 3, 0);
    struct store_put stray = {.key = span_str("delta/readme"), .body = span_str("no manifest here")};
    assert_int_equal(store_put(&w->call, w->store, &stray), DP_OK);
    assert_int_equal(index_list(&w->call, w->store, span_str(""), span_str(""), 100, &names), DP_OK);
    assert_int_equal(names.count, 4);
    assert_false(names.truncated);
    assert_int_equal(index_list(&w->call, w->store, span_str("be"), span_str(""), 100, &names), DP_OK);
    assert_int_equal(names.count, 2);
    /* Page by page. */
    struct span after = span_str("");
    size_t seen = 0;
    do {
        assert_int_equal(index_list(&w->call, w->store, span_str(""), after, 1, &names), DP_OK);
        seen += names.count;
        if (names.count)
            after = names.names[0];
    } while (names.truncated);
    assert_int_equal(seen, 4);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, world_in_folder, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_answers_equal_exhaustive_search),
        IN_FOLDER(test_index_answers_equal_exhaustive_search),
        IN_MEMORY(test_index_euclidean_answers_equal_exhaustive_search),
        IN_MEMORY(test_index_many_lists_reach_the_recall_bar),
        IN_MEMORY(test_index_recall_on_sift),
        IN_MEMORY(test_index_a_row_scores_by_its_best_window),
        IN_MEMORY(test_index_many_windows_do_not_crowd_out_rows),
        IN_MEMORY(test_index_newer_rows_replace_older_ones),
        IN_FOLDER(test_index_newer_rows_replace_older_ones),
        IN_MEMORY(test_index_equal_distances_are_ordered_by_id),
        IN_MEMORY(test_index_included_attributes_only),
        IN_MEMORY(test_index_long_documents_come_back_whole),
        IN_MEMORY(test_index_list_names_what_has_a_manifest),
        IN_FOLDER(test_index_list_names_what_has_a_manifest),
    };
    return test_run(tests);
}
