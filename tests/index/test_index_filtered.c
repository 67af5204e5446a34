/* test_index_filtered.c: queries by distance with a filter, over segments with and without codes of one bit, replaced
 * and deleted rows, and the log: they answer min(k, matches) rows, all of which match, and the nearest of these.
 */
#include "index_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/splitmix.h"
#include "filter/filter.h"
#include "index/query/reader.h"

enum { DIM = 128, OLD = 3000, NEW_FROM = 2800, NEW_TO = 3200, WRITTEN = 30, ALL = NEW_TO + WRITTEN, DELETED = 20 };
enum { K = 10, QUERIES = 8 };

/* The rows that a filter lets pass. */
struct chosen {
    bool row[ALL];
    size_t count;
};

/* Whether the row's document says that it is one of the chosen ones. */
static bool match_chosen(void *ctx, struct span key, struct span document)
{
    const struct chosen *chosen = ctx;
    char text[512];
    (void)key;
    assert_true(document.len < sizeof text);
    memcpy(text, document.data, document.len);
    text[document.len] = 0;
    unsigned long long row = strtoull(strstr(text, "row ") + 4, NULL, 10);
    assert_true(row < ALL);
    return chosen->row[row];
}

/* Deletes the first rows, and writes those behind the loaded ones. All of it stays in the log. */
static void write_log(struct world *w, struct index_reader *reader)
{
    static struct index_write_row rows[WRITTEN + DELETED];
    static float x[WRITTEN][FIXTURE_WINDOWS_MAX][DIM];
    static char texts[WRITTEN][256], ids[WRITTEN + DELETED][32];
    struct index_write_result result;
    memset(rows, 0, sizeof rows);
    for (size_t i = 0; i < WRITTEN + DELETED; i++) {
        uint64_t row = i < WRITTEN ? NEW_TO + i : i - WRITTEN;
        rows[i].id = fixture_id(row, ids[i]);
        rows[i].kind = i < WRITTEN ? INDEX_UPSERT : INDEX_DELETE;
        if (i >= WRITTEN)
            continue;
        rows[i].windows = (uint32_t)fixture_windows(w, row);
        for (size_t window = 0; window < rows[i].windows; window++)
            fixture_vector(w, row, window, 1, x[i][window]);
        rows[i].vectors = x[i][0];
        rows[i].attributes = span_str(fixture_attributes(row, 1, texts[i]));
    }
    const struct index_write write = {.rows = rows, .count = WRITTEN + DELETED, .dim = DIM};
    assert_int_equal(index_write(&w->call, reader, &write, &result), DP_OK);
}

static struct index_reader *make_rows(struct world *w)
{
    w->dim = DIM;
    fixture_must_load(w, "rows", 0, OLD, 0);
    fixture_must_load(w, "rows", NEW_FROM, NEW_TO, 1);
    struct index_reader *reader = fixture_open(w, "rows");
    write_log(w, reader);
    return reader;
}

/* A query, and the exact distances of all rows. */
struct question {
    float vector[DIM], dist[ALL];
};

static void make_question(struct world *w, uint64_t number, struct question *q)
{
    const struct expected e = {OLD, 0, NEW_FROM, ALL, 1};
    fixture_query(w, number, q->vector);
    for (uint64_t row = 0; row < ALL; row++)
        q->dist[row] = fixture_distance(w, &e, row, q->vector);
}

static int by_value(const void *a, const void *b)
{
    const float *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* Runs one query, and checks that its rows match and are as many as they can be. Returns how many of the nearest ones
 * it found. */
static size_t check_query(struct world *w, struct index_reader *reader, struct chosen *chosen,
                          const struct question *q, bool exact, enum index_rule rule)
{
    static float all[ALL];
    struct index_answer answer;
    size_t count = 0, found = 0;
    const struct index_scan scan = {.query = {.vector = q->vector, .dim = DIM, .top_k = K, .all_attributes = true},
                                    .exact = exact,
                                    .match = match_chosen,
                                    .match_ctx = chosen};
    world_reset(w);
    if (index_scan(&w->call, reader, &scan, &answer) != DP_OK)
        fail_msg("%s", w->call.error.message);
    for (uint64_t row = DELETED; row < ALL; row++) {
        if (chosen->row[row])
            all[count++] = q->dist[row];
    }
    qsort(all, count, sizeof *all, by_value);
    assert_int_equal(answer.plan.matches, count);
    assert_int_equal(answer.plan.rule, rule);
    assert_int_equal(answer.count, count < K ? count : K);
    for (size_t i = 0; i < answer.count; i++) {
        uint64_t row = fixture_row_of(answer.hits[i].id);
        assert_true(row >= DELETED && row < ALL && chosen->row[row]);
        float dist = q->dist[row];
        assert_true(dist <= answer.hits[i].dist * 1.0001F + 1e-4F &&
                    dist >= answer.hits[i].dist * 0.9999F - 1e-4F);
        assert_true(i == 0 || answer.hits[i - 1].dist <= answer.hits[i].dist);
        found += dist <= all[answer.count - 1] * 1.00001F + 1e-5F;
    }
    return found;
}

/* Chooses rows at random, `share` of 1,000; of those that are near to the query (part > 0) or far from it (part < 0),
 * if part is not 0. */
static void choose_rows(struct chosen *chosen, const struct question *q, unsigned share, int part)
{
    static float sorted[ALL];
    uint64_t state = share + 7;
    *chosen = (struct chosen){.count = 0};
    memcpy(sorted, q->dist, sizeof sorted);
    qsort(sorted, ALL, sizeof *sorted, by_value);
    const size_t count = ALL * share / 1000, at = count < ALL ? count : ALL - 1;
    const float edge = part > 0 ? sorted[at] : sorted[ALL - 1 - at];
    for (uint64_t row = 0; row < ALL; row++) {
        bool lucky = splitmix64_next(&state) % 1000 < share;
        chosen->row[row] = part == 0 ? lucky : part > 0 ? q->dist[row] < edge : q->dist[row] > edge;
        chosen->count += chosen->row[row];
    }
}

static void check_shares(void **state, enum index_metric metric, bool windows, uint64_t whole)
{
    static const unsigned shares[] = {0, 2, 300, 500, 1000};
    struct world *w = *state;
    struct chosen *chosen = malloc(sizeof *chosen);
    static struct question questions[QUERIES];
    w->metric = metric;
    w->windows = windows;
    struct index_reader *reader = make_rows(w);
    reader->whole_bytes = whole;
    for (uint64_t q = 0; q < QUERIES; q++)
        make_question(w, q, &questions[q]);
    for (int part = -1; part <= 1; part++) {
        for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
            size_t found = 0, wanted = 0;
            const enum index_rule rule = shares[i] < 300 ? INDEX_RULE_EXACT : INDEX_RULE_LISTS;
            for (uint64_t q = 0; q < QUERIES; q++) {
                choose_rows(chosen, &questions[q], shares[i], part);
                size_t exact = check_query(w, reader, chosen, &questions[q], true, INDEX_RULE_EXACT);
                found += check_query(w, reader, chosen, &questions[q], false, rule);
                wanted += exact;
                assert_true(exact == K || chosen->count < K + DELETED);
            }
            printf("%u in 1,000, part %d: %zu of %zu\n", shares[i], part, found, wanted);
            /* The nearest of the far rows lie in a shell around the query, where all have almost the same distance. */
            assert_true((double)found >= (part < 0 ? 0.85 : 0.95) * (double)wanted);
        }
    }
    index_close(reader);
    free(chosen);
}

static void test_index_filtered_by_cosine(void **state)
{
    check_shares(state, INDEX_COSINE, false, 0);
}

static void test_index_filtered_by_distance_in_windows(void **state)
{
    check_shares(state, INDEX_EUCLIDEAN_SQUARED, true, 0);
}

/* With a budget instead of all lists. */
static void test_index_filtered_within_a_budget(void **state)
{
    check_shares(state, INDEX_COSINE, true, 1);
}

static bool match_filter(void *ctx, struct span key, struct span document)
{
    const struct filter_row row = {.id = key, .document = document};
    struct filter_watch watch = {.call = NULL};
    return filter_match(ctx, &row, NULL, &watch);
}

/* Makes a scan by distance with the filter `text`. */
static struct index_scan filtered_scan(struct world *w, struct index_reader *reader, const char *text,
                                       const float *query, uint32_t k)
{
    struct schema schema;
    struct filter *filter;
    assert_int_equal(index_schema(&w->call, reader, &schema), DP_OK);
    assert_int_equal(filter_parse(w->call.arena, span_str(text), &schema, false, &filter, &w->call.error), DP_OK);
    return (struct index_scan){.query = {.vector = query, .dim = DIM, .top_k = k, .all_attributes = true},
                               .filter = filter,
                               .match = match_filter,
                               .match_ctx = filter};
}

/* Runs a query with a filter, which takes three rounds. */
static struct index_answer ask_in_three_rounds(struct world *w, struct index_reader *reader, const char *text,
                                               const float *query)
{
    struct index_answer answer;
    world_reset(w);
    const struct index_scan scan = filtered_scan(w, reader, text, query, K);
    if (index_scan(&w->call, reader, &scan, &answer) != DP_OK)
        fail_msg("%s", w->call.error.message);
    printf("%s: %" PRIu64 " requests, %" PRIu64 " bytes\n", text, w->call.cost.requests, w->call.cost.bytes);
    assert_int_equal(w->call.cost.rounds, 3);
    return answer;
}

/* A strong query asks whether its view is current in the round that reads columns. The second round reads codes or
 * vectors, the third one vectors and documents. */
static void test_index_filtered_takes_three_rounds(void **state)
{
    struct world *w = *state;
    float query[DIM];
    char id[32];
    struct index_write_result result;
    struct index_reader *reader = make_rows(w);
    fixture_query(w, 1, query);
    struct index_answer answer = ask_in_three_rounds(w, reader, "[\"price\",\"Lt\",25]", query);
    assert_int_equal(answer.plan.rule, INDEX_RULE_EXACT);
    assert_int_equal(answer.count, 25 - DELETED);
    answer = ask_in_three_rounds(w, reader, "[\"even\",\"Eq\",true]", query);
    assert_int_equal(answer.plan.rule, INDEX_RULE_LISTS);
    assert_int_equal(answer.count, K);
    /* All codes, the vectors of candidates, and columns and documents of less than 128 KiB. */
    const uint64_t codes = (uint64_t)OLD * (DIM / 8 + 8) + (NEW_TO - NEW_FROM) * segment_code_len(DIM);
    assert_in_range(w->call.cost.bytes, codes + 100 * segment_vector_len(DIM),
                    codes + 640 * segment_vector_len(DIM) + (128 << 10));

    /* Another program writes a row that is nearer than all others. */
    struct index_reader *other = fixture_open(w, "rows");
    const struct index_write_row row = {.kind = INDEX_UPSERT,
                                        .id = fixture_id(ALL, id),
                                        .vectors = query,
                                        .windows = 1,
                                        .attributes = span_str("{\"even\":true}")};
    const struct index_write write = {.rows = &row, .count = 1, .dim = DIM};
    assert_int_equal(index_write(&w->call, other, &write, &result), DP_OK);
    index_close(other);
    world_reset(w);
    const struct index_scan scan = filtered_scan(w, reader, "[\"even\",\"Eq\",true]", query, 1);
    assert_int_equal(index_scan(&w->call, reader, &scan, &answer), DP_OK);
    assert_int_equal(answer.count, 1);
    assert_int_equal(fixture_row_of(answer.hits[0].id), ALL);
    index_close(reader);
}

static void test_index_filtered_survives_failed_allocations(void **state)
{
    struct world *w = *state;
    struct chosen *chosen = malloc(sizeof *chosen);
    struct index_answer answer;
    static struct question question;
    struct index_reader *reader = make_rows(w);
    make_question(w, 1, &question);
    choose_rows(chosen, &question, 400, 0);
    const struct index_scan scan = {.query = {.vector = question.vector, .dim = DIM, .top_k = K, .eventual = true},
                                    .match = match_chosen,
                                    .match_ctx = chosen};
    bool fired = true;
    for (size_t n = 1; fired; n += 1 + n / 8) {
        world_reset(w);
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = index_scan(&w->call, reader, &scan, &answer);
        fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (fired) {
            arena_reset(&w->arena);
            assert_true(test_alloc_live() <= before + 1);
        }
    }
    index_close(reader);
    free(chosen);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_filtered_by_cosine),
        IN_MEMORY(test_index_filtered_by_distance_in_windows),
        IN_MEMORY(test_index_filtered_within_a_budget),
        IN_MEMORY(test_index_filtered_takes_three_rounds),
        IN_MEMORY(test_index_filtered_survives_failed_allocations),
    };
    return test_run(tests);
}
