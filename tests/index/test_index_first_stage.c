/* test_index_first_stage.c: queries find their candidates by codes of one bit: what they find and read, and when they
 * read the codes of the .ivf instead.
 */
#include "index_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/segment/format.h"

enum { DIM = 128, ROWS = 3000, NEWER = 200, QUERIES = 20, K = 10 };

static struct world *wide_world(void **state, enum index_metric metric)
{
    struct world *w = *state;
    w->dim = DIM;
    w->metric = metric;
    return w;
}

/* A segment with codes of one bit, another one without, and replaced rows. */
static struct expected load_rows(struct world *w)
{
    fixture_must_load(w, "rows", 0, ROWS, 0);
    fixture_must_load(w, "rows", ROWS - NEWER, ROWS + NEWER, 1);
    return (struct expected){ROWS, 0, ROWS - NEWER, ROWS + NEWER, 1};
}

static void check_recall(void **state, enum index_metric metric, bool windows)
{
    struct world *w = wide_world(state, metric);
    w->windows = windows;
    const struct expected e = load_rows(w);
    struct index_reader *reader = fixture_open(w, "rows");
    double recall = fixture_check_answers(w, reader, &e, QUERIES, K, 0);
    printf("recall %.3f\n", recall);
    assert_true(recall >= 0.97);
    index_close(reader);
}

static void test_index_first_stage_finds_the_nearest_rows_by_cosine(void **state)
{
    check_recall(state, INDEX_COSINE, false);
}

static void test_index_first_stage_finds_the_nearest_rows_by_distance(void **state)
{
    check_recall(state, INDEX_EUCLIDEAN_SQUARED, false);
}

static void test_index_first_stage_finds_rows_with_windows(void **state)
{
    check_recall(state, INDEX_COSINE, true);
}

/* Runs a query over an open reader. Returns the bytes that it read. */
static uint64_t bytes_of(struct world *w, struct index_reader *reader, uint32_t nprobe)
{
    float query[DIM];
    struct index_answer answer;
    fixture_query(w, 1, query);
    struct index_query q = {.vector = query, .dim = DIM, .top_k = K, .nprobe = nprobe, .eventual = true};
    world_reset(w);
    assert_int_equal(index_query(&w->call, reader, &q, &answer), DP_OK);
    assert_int_equal(answer.count, K);
    assert_int_equal(w->call.cost.rounds, 2);
    return w->call.cost.bytes;
}

static void test_index_first_stage_reads_few_bytes_in_two_rounds(void **state)
{
    struct world *w = wide_world(state, INDEX_COSINE);
    fixture_must_load(w, "rows", 0, ROWS, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    const uint64_t codes = (uint64_t)ROWS * (DIM / 8 + 8), vectors = UINT64_C(100) * segment_vector_len(DIM);
    const uint64_t first = bytes_of(w, reader, 0), all_lists = bytes_of(w, reader, UINT32_MAX);
    printf("one bit: %" PRIu64 " bytes, .ivf: %" PRIu64 " bytes\n", first, all_lists);
    /* The whole section, the vectors of 100 candidates, and less than 64 KiB of documents and checksums. */
    assert_in_range(first, codes + vectors, codes + vectors + (64 << 10));
    assert_true(all_lists > (uint64_t)ROWS * segment_code_len(DIM));
    index_close(reader);
}

/* One budget of rows holds for all segments: a query reads a part of their codes, and finds the nearest rows. */
static void test_index_first_stage_shares_a_budget_over_segments(void **state)
{
    enum { WIDE = 1024, EACH = 2600, SEGMENTS = 3 };
    struct world *w = wide_world(state, INDEX_COSINE);
    w->dim = WIDE;
    for (unsigned i = 0; i < SEGMENTS; i++)
        fixture_must_load(w, "rows", i * EACH, (i + 1) * EACH, 0);
    const struct expected e = {SEGMENTS * EACH, 0, 0, 0, 0};
    struct index_reader *reader = fixture_open(w, "rows");
    world_reset(w);
    double recall = fixture_check_answers(w, reader, &e, QUERIES, K, 0);
    const uint64_t codes = (uint64_t)SEGMENTS * EACH * (WIDE / 8 + 8);
    const uint64_t vectors = UINT64_C(80) * segment_vector_len(WIDE);
    const uint64_t bytes = w->call.cost.bytes / QUERIES;
    printf("recall %.3f, %" PRIu64 " bytes, all codes have %" PRIu64 "\n", recall, bytes, codes);
    assert_true(recall >= 0.95);
    assert_int_equal(w->call.cost.rounds, 2 * QUERIES);
    /* The budget is 5.4 / sqrt(2 sqrt(7800)) * 3^0.2 = 51 % of the codes; the last list may exceed it. */
    assert_in_range(bytes, codes / 2 + vectors, codes * 55 / 100 + vectors + (32 << 10));
    index_close(reader);
}

static void test_index_first_stage_is_for_segments_with_many_vectors(void **state)
{
    struct world *w = wide_world(state, INDEX_COSINE);
    fixture_must_load(w, "rows", 0, FIRST_CODES_FROM - 100, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_true(bytes_of(w, reader, 0) > (uint64_t)(FIRST_CODES_FROM - 100) * segment_code_len(DIM));
    index_close(reader);
}

/* Finds the .dpr object. The caller frees the key and the bytes. */
static char *take_dpr(struct world *w, uint8_t **bytes, size_t *len)
{
    struct store_listing page;
    char *key = NULL;
    assert_int_equal(store_list(&w->call, w->store, span_str(""), span_str(""), false, 1000, &page), DP_OK);
    for (size_t i = 0; i < page.count; i++) {
        struct store_read_req req = {.key = page.entries[i].key, .len = STORE_TO_END};
        if (req.key.len < 4 || memcmp(req.key.data + req.key.len - 4, ".dpr", 4) != 0)
            continue;
        assert_null(key);
        key = strndup((const char *)req.key.data, req.key.len);
        assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
        *len = req.bytes.span.len;
        *bytes = malloc(*len);
        memcpy(*bytes, req.bytes.span.data, *len);
        store_read_release(&req, 1);
    }
    assert_non_null(key);
    return key;
}

/* Returns the offset of section RBQ1, from the table of the hot part. */
static uint64_t codes_begin(const uint8_t *bytes, size_t len)
{
    for (size_t at = len - SEGMENT_TABLE_ENTRY; at > 0; at--) {
        uint64_t offset;
        memcpy(&offset, bytes + at + 8, sizeof offset);
        if (memcmp(bytes + at, "RBQ1\1\0\0\0", 8) == 0 && offset < at)
            return offset;
    }
    fail_msg("the segment has no codes");
    return 0;
}

/* A query never uses a changed byte of the codes. */
static void test_index_first_stage_notices_changed_codes(void **state)
{
    struct world *w = wide_world(state, INDEX_COSINE);
    uint8_t *bytes = NULL;
    size_t len = 0;
    fixture_must_load(w, "rows", 0, ROWS, 0);
    char *key = take_dpr(w, &bytes, &len);
    uint64_t begin = codes_begin(bytes, len), end = begin + (uint64_t)ROWS * (DIM / 8 + 8);
    for (uint64_t at = begin; at < end; at += (end - begin) / 7) {
        float query[DIM];
        struct index_answer answer;
        bytes[at] ^= 1;
        struct store_put put = {.key = span_str(key), .body = span_of(bytes, len)};
        assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
        struct index_reader *reader = fixture_open(w, "rows");
        fixture_query(w, 1, query);
        struct index_query q = {.vector = query, .dim = DIM, .top_k = K};
        assert_int_equal(index_query(&w->call, reader, &q, &answer), DP_CORRUPT);
        assert_non_null(strstr(w->call.error.message, ".dpr: the checksum of the first-stage codes"));
        index_close(reader);
        world_reset(w);
        bytes[at] ^= 1;
    }
    free(bytes);
    free(key);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_first_stage_finds_the_nearest_rows_by_cosine),
        IN_MEMORY(test_index_first_stage_finds_the_nearest_rows_by_distance),
        IN_MEMORY(test_index_first_stage_finds_rows_with_windows),
        IN_MEMORY(test_index_first_stage_reads_few_bytes_in_two_rounds),
        IN_MEMORY(test_index_first_stage_shares_a_budget_over_segments),
        IN_MEMORY(test_index_first_stage_is_for_segments_with_many_vectors),
        IN_MEMORY(test_index_first_stage_notices_changed_codes),
    };
    return test_run(tests);
}
