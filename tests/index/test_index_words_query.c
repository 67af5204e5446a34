/* test_index_words_query.c: rankings by words from the text indexes of segments are those of a scan of all rows: the
 * same rows in the same order with the same scores, to the bit. The namespace has several segments, replaced and
 * deleted rows, rows in the log, and many rows that tie.
 */
#include "index_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/splitmix.h"
#include "filter/document.h"
#include "index/query/reader.h"
#include "index/rank.h"
#include "index/schema_declare.h"
#include "index/upkeep.h"

enum { ROWS = 700, NEWER = 200, WORDS = 60, TEXT_MAX = 2000, QUERY_MAX = 4000, QUERIES = 40 };

static const char declaration[] =
    "{\"text\":{\"type\":\"string\",\"full_text_search\":true},"
    "\"tags\":{\"type\":\"[]string\",\"full_text_search\":{\"tokenizer\":\"pre_tokenized_array\"}},"
    "\"title\":{\"type\":\"string\",\"full_text_search\":{\"k1\":0.8,\"b\":0.3,\"stemming\":true}}}";

/* ---- rows ---------------------------------------------------------------------------------------------- */

/* A word; those with small numbers are frequent. */
static char *put_word(char *end, uint64_t *seed)
{
    const unsigned most = 1 + (unsigned)(splitmix64_next(seed) % WORDS);
    return end + sprintf(end, " word%u", (unsigned)(splitmix64_next(seed) % most));
}

/* The attributes of a row: every third text is one of few short ones, so that many rows tie. */
static const char *attributes_of(uint64_t row, unsigned edition, char text[TEXT_MAX])
{
    uint64_t seed = row * 100 + edition;
    char *end = text + sprintf(text, "{\"row\":%" PRIu64, row);
    if (row % 3 == 0)
        end += sprintf(end, ",\"text\":\"common word%u\"", (unsigned)(splitmix64_next(&seed) % 3));
    else if (row % 11 != 4) {
        end += sprintf(end, ",\"text\":\"common");
        for (uint64_t n = splitmix64_next(&seed) % 30; n > 0; n--)
            end = put_word(end, &seed);
        end += sprintf(end, "\"");
    }
    if (row % 7)
        end += sprintf(end, ",\"tags\":[\"tag %u\",\"tag %u\"]", (unsigned)(row % 5), (unsigned)(row % 13));
    if (row % 2) {
        end += sprintf(end, ",\"title\":\"running");
        for (uint64_t n = splitmix64_next(&seed) % 5; n > 0; n--)
            end = put_word(end, &seed);
        end += sprintf(end, "\"");
    }
    sprintf(end, "}");
    return text;
}

static void declare(struct world *w, const char *name)
{
    const struct index_vectors vectors = fixture_vectors(w);
    struct schema schema = {0};
    struct schema_changes changes;
    assert_int_equal(schema_declare(&schema, &vectors, &w->arena, span_str(declaration), &changes, &w->call.error),
                     DP_OK);
    assert_int_equal(index_create(&w->call, w->store, span_str(name), &vectors, &schema, NULL), DP_OK);
    world_reset(w);
}

static void load_rows(struct world *w, const char *name, uint64_t from, uint64_t to, unsigned edition)
{
    struct index_load_summary summary;
    struct index_loader *loader = fixture_begin(w, name);
    char id[32], text[TEXT_MAX];
    float vector[FIXTURE_DIM];
    for (uint64_t row = from; row < to; row++) {
        fixture_vector(w, row, 0, edition, vector);
        assert_int_equal(index_load_row(&w->call, loader, fixture_id(row, id), vector, 1,
                                        span_str(attributes_of(row, edition, text))),
                         DP_OK);
    }
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    world_reset(w);
}

/* Writes rows through the log; every fourth is deleted. */
static void write_rows(struct world *w, struct index_reader *reader, uint64_t from, uint64_t to, unsigned edition)
{
    enum { MOST = 100 };
    static char ids[MOST][32], texts[MOST][TEXT_MAX];
    static float vectors[MOST][FIXTURE_DIM];
    struct index_write_row rows[MOST];
    struct index_write_result result;
    assert_true(to - from <= MOST);
    for (uint64_t i = 0; i < to - from; i++) {
        fixture_vector(w, from + i, 0, edition, vectors[i]);
        rows[i] = (struct index_write_row){.id = fixture_id(from + i, ids[i]),
                                           .vectors = vectors[i],
                                           .windows = 1,
                                           .attributes = span_str(attributes_of(from + i, edition, texts[i]))};
        if (i % 4 == 3)
            rows[i] = (struct index_write_row){.kind = INDEX_DELETE, .id = rows[i].id};
    }
    const struct index_write write = {.rows = rows, .count = to - from, .dim = w->dim};
    assert_int_equal(index_write(&w->call, reader, &write, &result), DP_OK);
    world_reset(w);
}

/* A namespace with two segments, of which the second replaces rows of the first, and a log. */
static struct index_reader *make_rows(struct world *w, const char *name)
{
    declare(w, name);
    load_rows(w, name, 0, ROWS, 1);
    load_rows(w, name, ROWS - NEWER, ROWS + NEWER, 2);
    struct index_reader *reader = fixture_open(w, name);
    world_reset(w);
    write_rows(w, reader, 100, 150, 3);
    write_rows(w, reader, ROWS + 100, ROWS + 180, 4);
    return reader;
}

/* ---- queries ------------------------------------------------------------------------------------------- */

static char *put_bm25(char *end, uint64_t *seed)
{
    switch (splitmix64_next(seed) % 4) {
    case 0:
        return end + sprintf(end, "[\"tags\",\"BM25\",[\"tag %u\",\"tag %u\",\"nowhere\"]]",
                             (unsigned)(splitmix64_next(seed) % 13), (unsigned)(splitmix64_next(seed) % 5));
    case 1: end += sprintf(end, "[\"title\",\"BM25\",\"runs"); break;
    default: end += sprintf(end, "[\"text\",\"BM25\",\"%s", splitmix64_next(seed) % 2 ? "common" : "absent");
    }
    for (uint64_t n = splitmix64_next(seed) % 5; n > 0; n--)
        end = put_word(end, seed);
    return end + sprintf(end, splitmix64_next(seed) % 3 ? "\"]" : "\",{\"last_as_prefix\":true}]");
}

static char *put_part(char *end, uint64_t *seed)
{
    static const char *const weights[] = {"2", "0.3", "0"};
    if (splitmix64_next(seed) % 2)
        return put_bm25(end, seed);
    end += sprintf(end, "[\"Product\",%s,", weights[splitmix64_next(seed) % 3]);
    return put_bm25(end, seed) + sprintf(strchr(end, 0), "]");
}

static void draw_query(char text[QUERY_MAX], uint64_t *seed)
{
    const bool product = splitmix64_next(seed) % 4 == 0;
    char *end = text + sprintf(text, product ? "[\"Product\",0.7," : "");
    if (splitmix64_next(seed) % 3 == 0) {
        end = put_bm25(end, seed);
    } else {
        end += sprintf(end, splitmix64_next(seed) % 2 ? "[\"Sum\",[" : "[\"Max\",[");
        for (uint64_t n = 1 + splitmix64_next(seed) % 3; n > 0; n--)
            end = put_part(end, seed) + sprintf(strchr(end, 0), n > 1 ? "," : "]]");
    }
    sprintf(end, product ? "]" : "");
}

/* Asks a ranking. */
static enum dp_status ask(struct world *w, struct index_reader *reader, const char *expression,
                          const struct index_scan *like, struct index_answer *out)
{
    struct schema schema;
    struct rank *rank = NULL;
    struct index_scan scan = *like;
    enum dp_status status = index_schema(&w->call, reader, &schema);
    if (status == DP_OK)
        status = rank_parse(&w->arena, span_str(expression), &schema, &rank, &w->call.error);
    scan.rank = rank;
    if (status == DP_OK)
        status = index_scan(&w->call, reader, &scan, out);
    rank_free(rank);
    return status;
}

static void must_ask(struct world *w, struct index_reader *reader, const char *expression,
                     const struct index_scan *like, struct index_answer *out)
{
    if (ask(w, reader, expression, like, out) != DP_OK)
        fail_msg("%s: %s", expression, w->call.error.message);
}

/* Asks the same of the indexes and of a scan: an expression with a number among its parts is none for an index. */
static void compare(struct world *w, struct index_reader *reader, const char *expression,
                    const struct index_scan *like)
{
    char scanned[QUERY_MAX + 20];
    struct index_answer found, expected;
    snprintf(scanned, sizeof scanned, "[\"Sum\",[%s,0]]", expression);
    must_ask(w, reader, expression, like, &found);
    must_ask(w, reader, scanned, like, &expected);
    if (found.exhaustive_rows >= expected.exhaustive_rows)
        fail_msg("%s: no index answered", expression);
    if (found.count != expected.count)
        fail_msg("%s: %zu rows, not %zu", expression, found.count, expected.count);
    for (size_t i = 0; i < found.count; i++) {
        const struct index_hit *hit = &found.hits[i], *other = &expected.hits[i];
        if (fixture_row_of(hit->id) != fixture_row_of(other->id) || hit->dist != other->dist ||
            !span_equal(hit->attributes, other->attributes))
            fail_msg("%s: row %zu of %zu is %" PRIu64 " (%.9g), not %" PRIu64 " (%.9g)", expression, i,
                     found.count, fixture_row_of(hit->id), (double)hit->dist, fixture_row_of(other->id),
                     (double)other->dist);
    }
}

/* A filter: rows with an odd number. */
static bool is_odd(void *ctx, struct span key, struct span document)
{
    struct span value;
    (void)ctx, (void)key;
    return document_find(document, span_str("row"), &value) && (value.data[value.len - 1] - '0') % 2;
}

/* A filter: no row. */
static bool is_none(void *ctx, struct span key, struct span document)
{
    (void)ctx, (void)key, (void)document;
    return false;
}

static void compare_many(struct world *w, struct index_reader *reader, uint64_t seed)
{
    static const uint32_t tops[] = {1, 3, 10, 100, 3000};
    for (size_t i = 0; i < QUERIES; i++) {
        char text[QUERY_MAX];
        draw_query(text, &seed);
        const struct index_scan like = {
            .query = {.top_k = tops[i % 5], .all_attributes = i % 2, .eventual = i % 3 == 0},
            .match = i % 7 == 1         ? is_odd
                     : i == QUERIES - 1 ? is_none
                                        : NULL};
        compare(w, reader, text, &like);
        world_reset(w);
    }
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void test_index_words_query_finds_what_a_scan_finds(void **state)
{
    struct world *w = *state;
    struct index_fold_result folded;
    struct index_merge_result merged;
    struct index_reader *reader = make_rows(w, "rows");
    compare_many(w, reader, 1);
    assert_int_equal(index_fold(&w->call, reader, NULL, &folded), DP_OK);
    assert_true(folded.rows > 0);
    write_rows(w, reader, 130, 170, 5);
    compare_many(w, reader, 2);
    assert_int_equal(index_merge(&w->call, w->store, span_str("rows"),
                                 &(struct index_merge_options){.everything = true}, &merged),
                     DP_OK);
    assert_int_equal(merged.outputs, 1);
    compare_many(w, reader, 3);
    index_close(reader);
}

static void test_index_words_query_in_small_rounds(void **state)
{
    struct world *w = *state;
    struct index_reader *reader;
    index_close(make_rows(w, "rows"));
    assert_int_equal(reader_open(&w->call, w->store, span_str("rows"), 1, NULL, &reader), DP_OK);
    for (uint64_t seed = 1; seed < 4; seed++) {
        char text[QUERY_MAX];
        uint64_t random = seed;
        draw_query(text, &random);
        compare(w, reader, text, &(struct index_scan){.query = {.top_k = 10}});
    }
    index_close(reader);
}

static void test_index_words_query_costs_two_rounds(void **state)
{
    static const char *const query = "[\"text\",\"BM25\",\"word1 word7 word33\"]";
    const struct index_scan like = {.query = {.top_k = 10, .all_attributes = true}};
    struct world *w = *state;
    struct index_answer answer;
    index_close(make_rows(w, "rows"));
    struct index_reader *reader = fixture_open(w, "rows");
    must_ask(w, reader, query, &like, &answer);
    assert_int_equal(answer.count, 10);
    assert_int_equal(w->call.cost.rounds, 4); /* two of them opened the namespace */
    world_reset(w);
    must_ask(w, reader, query, &like, &answer);
    printf("%" PRIu64 " bytes in %" PRIu64 " requests\n", (uint64_t)w->call.cost.bytes,
           (uint64_t)w->call.cost.requests);
    assert_int_equal(w->call.cost.rounds, 2);
    /* Blocks of terms and postings of two segments, at most ten frames of documents, and the question whether the view is
     * current. */
    assert_in_range(w->call.cost.requests, 4, 3 * 2 + 10 + 10);
    assert_true(w->call.cost.bytes < 120000);
    world_reset(w);
    must_ask(w, reader, "[\"text\",\"BM25\",\"nowhere\"]", &like, &answer);
    assert_int_equal(answer.count, 0);
    assert_int_equal(w->call.cost.rounds, 1);
    index_close(reader);
}

/* Rows with equal scores come by their ids, however many tie. */
static void test_index_words_query_orders_ties_by_id(void **state)
{
    struct world *w = *state;
    struct index_reader *reader = make_rows(w, "rows");
    for (uint32_t k = 1; k < 400; k = k * 2 + 1)
        compare(w, reader, "[\"tags\",\"BM25\",[\"tag 1\"]]",
                &(struct index_scan){.query = {.top_k = k, .with_vectors = true}});
    index_close(reader);
}

static void test_index_words_query_survives_failed_allocations(void **state)
{
    static const char *const query =
        "[\"Sum\",[[\"text\",\"BM25\",\"common word1 wor\",{\"last_as_prefix\":true}],"
        "[\"Product\",2,[\"title\",\"BM25\",\"running\"]]]]";
    const struct index_scan like = {.query = {.top_k = 2, .all_attributes = true}};
    struct world *w = *state;
    struct index_reader *reader = make_rows(w, "rows");
    struct index_answer answer;
    size_t n = 1;
    float best[2];
    must_ask(w, reader, query, &like, &answer);
    for (size_t i = 0; i < 2; i++)
        best[i] = answer.hits[i].dist;
    for (;; n = test_alloc_next(n)) {
        world_reset(w);
        arena_deinit(&w->arena);
        const size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        const enum dp_status status = ask(w, reader, query, &like, &answer);
        const bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        if (status != DP_NOMEM && status != DP_OK)
            fail_msg("allocation %zu: %s: %s", n, dp_status_name(status), w->call.error.message);
        for (size_t i = 0; i < 2 && status == DP_OK; i++) /* a scan answered */
            assert_true(answer.hits[i].dist == best[i]);
        arena_deinit(&w->arena);
        assert_true(test_alloc_live() <= before);
    }
    printf("%zu allocations of a query\n", n - 1);
    index_close(reader);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_words_query_finds_what_a_scan_finds),
        IN_MEMORY(test_index_words_query_in_small_rounds),
        IN_MEMORY(test_index_words_query_costs_two_rounds),
        IN_MEMORY(test_index_words_query_orders_ties_by_id),
        IN_MEMORY(test_index_words_query_survives_failed_allocations),
    };
    return test_run(tests);
}
