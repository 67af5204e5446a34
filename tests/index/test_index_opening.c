/* test_index_opening.c: what opening a segment reads: its hot part, which has the head of the .ivf; and the filter of
 * ids, if the namespace has a log.
 */
#include "log_fixture.h"

#include <stdlib.h>

#include "index/id.h"
#include "index/query/lookup.h"
#include "index/query/reader.h"
#include "index/segment/ivf_head.h"
#include "index/segment/key_filter.h"

enum { DIM = 64, ROWS = 3000, SMALL = 40 };

static const struct segment *first_segment(struct index_reader *reader)
{
    return reader->current->base->segments[0].segment;
}

/* Loads rows, and opens the namespace with reads that are counted. */
static struct index_reader *load_and_open(struct world *w, uint64_t rows)
{
    w->dim = DIM;
    fixture_must_load(w, "rows", 0, rows, 0);
    test_store_reset(w->store);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(reader->current->base->manifest.segment_count, 1);
    assert_true(reader->current->base->manifest.segments[0].centroids);
    return reader;
}

/* Checks that the hot part gives the head of the .ivf, byte by byte. */
static void check_head(struct world *w, struct index_reader *reader)
{
    const struct segment *segment = first_segment(reader);
    struct store_read_req req = {.key = object_key_span(&segment->ivf_key), .len = (int64_t)segment->hot.ivf_head};
    struct buffer head;
    buffer_init(&head, 1 << 20);
    assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
    assert_int_equal(ivf_head_unpack(&w->call, &segment->hot, VECTOR_L2, &head), DP_OK);
    assert_true(span_equal(buffer_span(&head), req.bytes.span));
    buffer_clear(&head);
    assert_int_equal(ivf_head_unpack(&w->call, &segment->hot, VECTOR_INNER_PRODUCT, &head),
                     segment->hot.nlist == 1 ? DP_OK : DP_CORRUPT);
    store_read_release(&req, 1);
    buffer_deinit(&head);
}

static void check_namespace(struct world *w, uint64_t rows)
{
    struct index_reader *reader = load_and_open(w, rows);
    const struct segment *segment = first_segment(reader);
    struct test_store_counts counts = test_store_counts(w->store);
    uint64_t section = segment_section(&segment->hot, SECTION_CENTROIDS)->len;
    assert_int_equal(counts.requests, 2); /* the manifest and the hot part */
    assert_in_range(section, 1, segment->hot.nlist == 1 ? 1 + segment->hot.ivf_head : segment->hot.ivf_head / 2);
    check_head(w, reader);
    index_close(reader);
}

static void test_index_opens_a_segment_without_its_ivf(void **state)
{
    struct world *w = *state;
    w->metric = INDEX_EUCLIDEAN_SQUARED;
    check_namespace(w, ROWS);
}

static void test_index_opens_a_segment_of_one_list_without_its_ivf(void **state)
{
    struct world *w = *state;
    w->metric = INDEX_EUCLIDEAN_SQUARED;
    check_namespace(w, SMALL);
}

/* A section that a broken program wrote: the checksums fit, the content does not. */
static void test_index_refuses_centroids_that_do_not_fit(void **state)
{
    struct world *w = *state;
    w->metric = INDEX_EUCLIDEAN_SQUARED;
    struct index_reader *reader = load_and_open(w, ROWS);
    struct segment_hot hot = first_segment(reader)->hot;
    const struct span good = hot.sections[SECTION_CENTROIDS].bytes;
    uint8_t *changed = malloc(good.len);
    struct buffer head;
    assert_non_null(changed);
    buffer_init(&head, (size_t)hot.ivf_head);
    for (size_t cut = 0; cut < good.len; cut += good.len / 50) {
        hot.sections[SECTION_CENTROIDS].bytes = span_of(good.data, cut);
        buffer_clear(&head);
        assert_int_equal(ivf_head_unpack(&w->call, &hot, VECTOR_L2, &head), DP_CORRUPT);
    }
    for (size_t at = 0; at < good.len; at += 1 + good.len / 50) {
        memcpy(changed, good.data, good.len);
        changed[at] ^= 0x41;
        hot.sections[SECTION_CENTROIDS].bytes = span_of(changed, good.len);
        buffer_clear(&head);
        assert_int_equal(ivf_head_unpack(&w->call, &hot, VECTOR_L2, &head), DP_CORRUPT);
    }
    hot.sections[SECTION_CENTROIDS].there = false;
    buffer_clear(&head);
    assert_int_equal(ivf_head_unpack(&w->call, &hot, VECTOR_L2, &head), DP_CORRUPT);
    buffer_deinit(&head);
    free(changed);
    index_close(reader);
}

/* Looks up row 7 of the fixture, and an id that no row has. */
static void check_lookup(struct world *w, struct index_reader *reader)
{
    struct id_key keys[2];
    struct found_row found[2];
    struct view_position at;
    char text[32];
    assert_int_equal(id_encode(fixture_id(7, text), &keys[0], &w->call.error), DP_OK);
    assert_int_equal(id_encode((struct index_id){.text = span_str("zzz")}, &keys[1], &w->call.error), DP_OK);
    const struct span sorted[2] = {id_key_span(&keys[0]), id_key_span(&keys[1])};
    struct view *view = reader_view(reader);
    assert_int_equal(index_lookup(&w->call, view, sorted, 2, LOOKUP_DOCUMENTS, found, &at), DP_OK);
    assert_int_equal(found[0].where, ROW_SEGMENT);
    assert_int_equal(found[1].where, ROW_NONE);
    view_release(view);
}

static void test_index_opens_the_filter_of_ids_once_there_is_a_log(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    w->metric = INDEX_EUCLIDEAN_SQUARED;
    struct index_reader *reader = load_and_open(w, ROWS);
    const struct manifest_segment *listed = &reader->current->base->manifest.segments[0];
    assert_int_equal(first_segment(reader)->hot.filter.len, 0);
    assert_true(w->call.cost.bytes >= listed->hot_len);
    assert_true(w->call.cost.bytes < listed->hot_len + key_filter_len(ROWS));
    check_lookup(w, reader);
    struct expected e = {ROWS, 0, 0, 0, 0};
    fixture_check_answers(w, reader, &e, 5, 10, 0);
    log_init(&log, w, "rows");
    log_entry(&log);
    for (uint64_t row = 20; row < 60; row++)
        log_row(&log, row, 1);
    log_put(&log);
    e = (struct expected){ROWS, 0, 20, 60, 1};
    fixture_check_answers(w, reader, &e, 5, 10, 0);
    assert_int_equal(first_segment(reader)->hot.filter.len, key_filter_len(ROWS));
    check_lookup(w, reader);
    log_deinit(&log);
    index_close(reader);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_opens_a_segment_without_its_ivf),
        IN_MEMORY(test_index_opens_a_segment_of_one_list_without_its_ivf),
        IN_MEMORY(test_index_refuses_centroids_that_do_not_fit),
        IN_MEMORY(test_index_opens_the_filter_of_ids_once_there_is_a_log),
    };
    return test_run(tests);
}
