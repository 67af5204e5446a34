/* test_index_reader.c: an open reader follows the manifest wherever it goes, and queries keep to the bytes of a
 * round.
 */
#include "log_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/query/follow.h"
#include "index/query/reader.h"
#include "index/round.h"

/* ---- which snapshot is newer ------------------------------------------------------------------------------- */

static struct store_bytes read_manifest(struct world *w)
{
    struct store_read_req req = {.key = span_str("rows/manifest.json"), .len = STORE_TO_END};
    assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
    return req.bytes;
}

static void put_manifest(struct world *w, struct span bytes)
{
    struct store_put put = {.key = span_str("rows/manifest.json"), .body = bytes};
    assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
}

static void ask(struct world *w, struct index_reader *reader, bool eventual, struct index_answer *answer)
{
    float query[FIXTURE_DIM];
    fixture_query(w, 1, query);
    struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 3, .eventual = eventual};
    if (index_query(&w->call, reader, &q, answer) != DP_OK)
        fail_msg("%s", w->call.error.message);
}

/* A bucket that was restored from a backup: the sequence goes back, also into an earlier life. */
static void test_index_a_reader_follows_a_manifest_that_goes_back(void **state)
{
    struct world *w = *state;
    for (int another_life = 0; another_life < 2; another_life++) {
        store_free(w->store);
        w->store = test_store_wrap(fixture_memory(w));
        world_reset(w);
        fixture_must_load(w, "rows", 0, 300, 0);
        struct store_bytes old = read_manifest(w);
        if (another_life)
            assert_int_equal(store_remove(&w->call, w->store, span_str("rows/manifest.json")), DP_OK);
        fixture_must_load(w, "rows", 300, 400, 0);
        fixture_must_load(w, "rows", 400, 410, 0);
        struct index_reader *reader = fixture_open(w, "rows");
        struct index_answer answer;
        ask(w, reader, false, &answer);
        assert_int_equal(answer.approx_rows, another_life ? 110 : 410);
        put_manifest(w, old.span);
        ask(w, reader, false, &answer);
        assert_int_equal(answer.approx_rows, 300);
        assert_false(answer.from_cache);
        ask(w, reader, false, &answer);
        assert_int_equal(answer.approx_rows, 300);
        assert_true(answer.from_cache); /* it was installed */
        ask(w, reader, true, &answer);
        assert_int_equal(answer.approx_rows, 300);
        store_bytes_release(&old);
        index_close(reader);
    }
}

/* Opens the manifest in `bytes`, as if it had been read at that time. */
static struct view *open_at(struct world *w, struct index_reader *reader, struct span bytes, int64_t sent,
                            int64_t answered)
{
    struct manifest m;
    struct view *view;
    struct store_version version = {0};
    assert_int_equal(manifest_parse(bytes, &m, &w->call.error), DP_OK);
    struct manifest_read seen = {.sent_ns = sent, .answered_ns = answered};
    assert_int_equal(view_open(&w->call, reader, &m, &version, seen, NULL, &view), DP_OK);
    return view;
}

static uint64_t current_rows(struct index_reader *reader)
{
    struct view *view = reader_view(reader);
    uint64_t rows = view_counts(view).rows;
    view_release(view);
    return rows;
}

static void test_index_a_slow_thread_puts_nothing_old_back(void **state)
{
    struct world *w = *state;
    fixture_must_load(w, "rows", 0, 300, 0);
    struct store_bytes first = read_manifest(w);
    fixture_must_load(w, "rows", 300, 400, 0);
    struct store_bytes second = read_manifest(w);
    assert_int_equal(store_remove(&w->call, w->store, span_str("rows/manifest.json")), DP_OK);
    fixture_must_load(w, "rows", 0, 10, 0);
    struct store_bytes other = read_manifest(w);
    const int64_t s = INT64_C(1000000000), later = INT64_C(1) << 60;
    struct index_reader *reader = fixture_open(w, "rows");
    reader_install(reader, open_at(w, reader, second.span, later + 10 * s, later + 11 * s));
    assert_int_equal(current_rows(reader), 400);
    /* Sent and answered before: a manifest of an earlier swap, of an earlier life. */
    reader_install(reader, open_at(w, reader, first.span, later + 8 * s, later + 9 * s));
    reader_install(reader, open_at(w, reader, other.span, later + 8 * s, later + 9 * s));
    assert_int_equal(current_rows(reader), 400);
    /* Overlapping reads: within one life sequences decide, whichever was sent first. */
    reader_install(reader, open_at(w, reader, first.span, later + 10 * s + 1, later + 12 * s));
    assert_int_equal(current_rows(reader), 400);
    reader_install(reader, open_at(w, reader, other.span, later + 10 * s - 1, later + 12 * s));
    assert_int_equal(current_rows(reader), 400);
    /* A strong read has found this manifest since: reads that were sent before are old. */
    struct view *now = reader_view(reader);
    reader_confirm(reader, now, (struct manifest_read){.sent_ns = later + 20 * s, .answered_ns = later + 21 * s});
    view_release(now);
    reader_install(reader, open_at(w, reader, other.span, later + 13 * s, later + 14 * s));
    assert_int_equal(current_rows(reader), 400);
    /* Sent after the other's answer: newer, whatever its sequence. */
    reader_install(reader, open_at(w, reader, other.span, later + 21 * s, later + 22 * s));
    assert_int_equal(current_rows(reader), 10);
    reader_install(reader, open_at(w, reader, first.span, later + 23 * s, later + 24 * s));
    assert_int_equal(current_rows(reader), 300);
    index_close(reader);
    store_bytes_release(&first);
    store_bytes_release(&second);
    store_bytes_release(&other);
}

/* Two threads open the same manifest. The slow one installs its view while the other looks for new entries. */
static void test_index_a_refresh_shows_in_the_current_view(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    fixture_must_load(w, "rows", 0, 300, 0);
    log_init(&log, w, "rows");
    struct index_reader *reader = fixture_open(w, "rows");
    struct view *first = reader_view(reader), *found;
    const struct manifest_read seen = first->base->seen;
    struct store_bytes manifest = read_manifest(w);
    struct view *slow = open_at(w, reader, manifest.span, seen.sent_ns, seen.answered_ns);
    slow->base->version = first->base->version;
    log_entry(&log);
    log_row(&log, 1, 1);
    log_put(&log);
    reader_install(reader, view_retain(slow));
    assert_int_equal(view_refresh(&w->call, reader, first, &found), DP_OK);
    struct view *now = reader_view(reader);
    assert_int_equal(view_position(found).last, 1);
    assert_int_equal(view_position(now).last, 1);
    view_release(now);
    /* A third thread has opened the manifest, too, before the entry came, and has confirmed it since. */
    struct view *third = view_retain(slow);
    reader_confirm(reader, third, (struct manifest_read){.sent_ns = INT64_MAX - 1, .answered_ns = INT64_MAX});
    reader_install(reader, third);
    now = reader_view(reader);
    assert_int_equal(view_position(now).last, 1);
    view_release(now);
    view_release(found);
    view_release(first);
    view_release(slow);
    index_close(reader);
    log_deinit(&log);
    store_bytes_release(&manifest);
}

/* ---- bytes of a round ---------------------------------------------------------------------------------------- */

/* Segments with many lists and with one, deleted rows, rows with several vectors. */
static void load_some(struct world *w)
{
    w->windows = true;
    fixture_must_load(w, "rows", 0, 2500, 0);
    fixture_must_load(w, "rows", 2000, 2600, 1);
    fixture_must_load(w, "rows", 2500, 2900, 2);
    fixture_must_load(w, "rows", 2890, 2950, 3);
}

/* Many rows at each distance: there are three vectors in all. */
static void load_ties(struct world *w)
{
    w->windows = false;
    for (uint64_t from = 0; from < 90; from += 30) {
        struct index_loader *loader = fixture_begin(w, "rows");
        struct index_load_summary summary;
        for (uint64_t row = from; row < from + 30; row++) {
            float x[FIXTURE_DIM];
            char id[32], attributes[256];
            fixture_vector(w, row % 3, 0, 0, x);
            assert_int_equal(index_load_row(&w->call, loader, fixture_id(row, id), x, 1,
                                            span_str(fixture_attributes(row, 0, attributes))),
                             DP_OK);
        }
        assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    }
}

static struct index_reader *open_within(struct world *w, uint64_t bytes)
{
    struct index_reader *reader;
    if (reader_open(&w->call, w->store, span_str("rows"), bytes, NULL, &reader) != DP_OK)
        fail_msg("%s", w->call.error.message);
    return reader;
}

/* Each round keeps to the bytes, unless it reads a single thing: one range, or the three ranges of one segment. */
static size_t check_rounds(struct world *w, uint64_t bytes, size_t least)
{
    size_t count, rounds = 0;
    const struct test_store_op *log = test_store_log(w->store, &count);
    for (size_t i = 0; i < count; i++) {
        if (log[i].kind != TEST_STORE_READ)
            continue;
        rounds++;
        /* The first round also asks for the manifest and the log. */
        size_t ranges = log[i].requests > 2 ? log[i].requests - 2 : 0;
        assert_true(log[i].requests <= 5 || ranges * ROUND_GAP <= bytes);
        assert_true(log[i].requests <= 5 || log[i].bytes <= bytes + MANIFEST_BYTES_MAX);
    }
    if (rounds < least)
        fail_msg("%zu rounds of %" PRIu64 " bytes, not %zu", rounds, bytes, least);
    return rounds;
}

static void assert_same_answer(const struct index_answer *a, const struct index_answer *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_int_equal(fixture_row_of(a->hits[i].id), fixture_row_of(b->hits[i].id));
        assert_memory_equal(&a->hits[i].dist, &b->hits[i].dist, sizeof(float));
        assert_true(span_equal(a->hits[i].attributes, b->hits[i].attributes));
    }
}

static void compare_answers(struct world *w, struct index_reader *whole, struct index_reader *small,
                            uint64_t bytes, uint32_t top_k, uint32_t nprobe)
{
    const struct span names[] = {span_str("title"), span_str("tags")};
    float query[FIXTURE_DIM];
    for (uint64_t number = 0; number < 4; number++) {
        struct index_answer expected, answer;
        fixture_query(w, number, query);
        struct index_query q = {.vector = query,
                                .dim = FIXTURE_DIM,
                                .top_k = top_k,
                                .nprobe = nprobe,
                                .eventual = number == 3,
                                .all_attributes = number == 0,
                                .attributes = names,
                                .attribute_count = number == 1 ? 2 : 0};
        world_reset(w);
        assert_int_equal(index_query(&w->call, whole, &q, &expected), DP_OK);
        assert_int_equal(test_store_counts(w->store).rounds, 2);
        test_store_reset(w->store);
        if (index_query(&w->call, small, &q, &answer) != DP_OK)
            fail_msg("%s", w->call.error.message);
        assert_same_answer(&expected, &answer);
        check_rounds(w, bytes, bytes < 10 * ROUND_GAP ? 4 : 2);
    }
}

static void compare_budgets(struct world *w)
{
    static const uint64_t budgets[] = {1, 3 * ROUND_GAP, 60 * ROUND_GAP, ROUND_BYTES_MAX};
    static const uint32_t top_k[] = {1, 30, 2000};
    struct index_reader *whole = open_within(w, 0);
    for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++) {
        struct index_reader *small = open_within(w, budgets[b]);
        for (size_t k = 0; k < sizeof top_k / sizeof *top_k; k++) {
            compare_answers(w, whole, small, budgets[b], top_k[k], 0);
            compare_answers(w, whole, small, budgets[b], top_k[k], 100000);
        }
        index_close(small);
    }
    index_close(whole);
}

static void test_index_answers_do_not_depend_on_the_bytes_of_a_round(void **state)
{
    struct world *w = *state;
    for (int metric = 0; metric < 2; metric++) {
        store_free(w->store);
        w->store = test_store_wrap(fixture_memory(w));
        world_reset(w);
        w->metric = metric ? INDEX_EUCLIDEAN_SQUARED : INDEX_COSINE;
        load_some(w);
        compare_budgets(w);
    }
}

/* A large answer needs more lists than a small one: it has as many rows as were asked for, if there are so many. */
static void test_index_large_answers_are_whole(void **state)
{
    enum { ROWS = 3000, NEWER = 900 };
    struct world *w = *state;
    w->windows = false;
    fixture_must_load(w, "rows", 0, ROWS, 0);
    fixture_must_load(w, "rows", 0, NEWER, 1); /* so the first segment has deleted rows */
    const struct expected e = {.rows = ROWS, .newer_to = NEWER, .newer_edition = 1};
    struct index_reader *reader = fixture_open(w, "rows");
    static const uint32_t top_k[] = {500, 1000, ROWS, 2 * ROWS};
    for (size_t i = 0; i < sizeof top_k / sizeof *top_k; i++) {
        double recall = fixture_check_answers(w, reader, &e, 2, top_k[i], 0);
        if (recall < (top_k[i] < 1000 ? 0.95 : 1))
            fail_msg("recall@%" PRIu32 " is %g", top_k[i], recall);
    }
    index_close(reader);
}

static void test_index_ties_do_not_depend_on_the_bytes_of_a_round(void **state)
{
    struct world *w = *state;
    load_ties(w);
    compare_budgets(w);
}

/* Hot parts of many segments are opened a few at a time. */
static void test_index_opening_keeps_to_the_bytes_of_a_round(void **state)
{
    struct world *w = *state;
    for (uint64_t i = 0; i < 20; i++)
        fixture_must_load(w, "rows", i * 10, i * 10 + 12, 0);
    static const struct {
        uint64_t bytes;
        size_t rounds;
    } cases[] = {{0, 2}, {1, 21}, {7 * ROUND_GAP, 11}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world_reset(w);
        struct index_reader *reader = open_within(w, cases[i].bytes);
        assert_int_equal(check_rounds(w, cases[i].bytes ? cases[i].bytes : ROUND_BYTES_MAX, 2), cases[i].rounds);
        struct expected e = {.rows = 202};
        assert_true(fixture_check_answers(w, reader, &e, 2, 10, 100000) == 1.0);
        index_close(reader);
    }
}

static void test_index_a_round_takes_what_fits(void **state)
{
    struct world *w = *state;
    struct round r;
    round_init(&r, &w->call, w->store, 3 * ROUND_GAP);
    const struct store_read_req req = {.key = span_str("a"), .len = 100};
    assert_true(round_takes(&r, UINT64_MAX, SIZE_MAX)); /* an empty round takes anything */
    round_ask(&r, &req);
    assert_true(round_takes(&r, ROUND_GAP - 100, 1));
    assert_false(round_takes(&r, ROUND_GAP - 99, 1));
    assert_false(round_takes(&r, UINT64_MAX, 1));
    assert_false(round_takes(&r, 0, SIZE_MAX));
    round_ask(&r, &req);
    round_ask(&r, &req); /* round_ask adds a range even when it does not fit */
    assert_false(round_takes(&r, 0, 1));
    round_release(&r);
    assert_true(round_takes(&r, UINT64_MAX, 1));
    round_deinit(&r);
}

static void test_index_a_round_answers_by_handle(void **state)
{
    struct world *w = *state;
    struct round r;
    size_t there[40];
    struct store_put put = {.key = span_str("a"), .body = span_str("0123456789012345678901234567890123456789")};
    assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
    round_init(&r, &w->call, w->store, 0);
    const struct store_read_req missing = {.key = span_str("b"), .len = 1};
    size_t gone = round_ask(&r, &missing);
    for (uint64_t i = 0; i < 40; i++) { /* more than the first capacity */
        const struct store_read_req req = {.key = span_str("a"), .offset = i, .len = 1};
        there[i] = round_ask(&r, &req);
    }
    assert_int_equal(round_read(&r), DP_OK);
    assert_int_equal(w->call.error.status, DP_OK);
    assert_int_equal(round_check(&r, there[0]), DP_OK);
    assert_int_equal(round_check(&r, gone), DP_NOT_FOUND);
    assert_int_equal(w->call.error.status, DP_NOT_FOUND);
    for (uint64_t i = 0; i < 40; i++)
        assert_int_equal(round_answer(&r, there[i])->bytes.span.data[0], '0' + i % 10);
    struct store_read_req taken = round_take(&r, there[7]);
    assert_int_equal(round_answer(&r, there[7])->bytes.span.len, 0);
    round_release(&r);
    assert_int_equal(taken.bytes.span.data[0], '7'); /* the round no longer owns it */
    store_read_release(&taken, 1);
    round_deinit(&r);
}

static void test_index_a_round_without_memory_is_not_read(void **state)
{
    struct world *w = *state;
    struct round r;
    const struct store_read_req req = {.key = span_str("a"), .len = 1};
    round_init(&r, &w->call, w->store, 0);
    test_alloc_fail_at(1);
    round_ask(&r, &req);
    test_alloc_fail_at(0);
    test_store_reset(w->store);
    assert_int_equal(round_read(&r), DP_NOMEM);
    assert_int_equal(test_store_counts(w->store).rounds, 0);
    round_release(&r);
    assert_int_equal(round_read(&r), DP_OK); /* an empty round */
    round_deinit(&r);
}

static void test_index_a_refreshed_reader_has_the_newest_schema(void **state)
{
    struct world *w = *state;
    struct schema schema;
    struct index_stats stats;
    fixture_must_load(w, "rows", 0, 30, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(index_schema(&w->call, reader, &schema), DP_OK);
    assert_null(schema_find(&schema, span_str("later")));
    size_t known = schema.count;
    struct index_loader *loader = fixture_begin(w, "rows");
    float vector[FIXTURE_DIM] = {1};
    struct index_load_summary summary;
    assert_int_equal(
        index_load_row(&w->call, loader, (struct index_id){.number = 99}, vector, 1, span_str("{\"later\":true}")),
        DP_OK);
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    assert_int_equal(index_refresh(&w->call, reader), DP_OK);
    assert_int_equal(index_schema(&w->call, reader, &schema), DP_OK);
    assert_int_equal(schema.count, known + 1);
    assert_int_equal(schema_find(&schema, span_str("later"))->type, ATTRIBUTE_BOOL);
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    assert_int_equal(stats.rows, 31);
    assert_false(stats.has_log);
    assert_int_equal(store_remove(&w->call, w->store, span_str("rows/manifest.json")), DP_OK);
    assert_int_equal(index_refresh(&w->call, reader), DP_NOT_FOUND);
    index_close(reader);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_a_reader_follows_a_manifest_that_goes_back),
        IN_MEMORY(test_index_a_slow_thread_puts_nothing_old_back),
        IN_MEMORY(test_index_a_refresh_shows_in_the_current_view),
        IN_MEMORY(test_index_answers_do_not_depend_on_the_bytes_of_a_round),
        IN_MEMORY(test_index_ties_do_not_depend_on_the_bytes_of_a_round),
        IN_MEMORY(test_index_large_answers_are_whole),
        IN_MEMORY(test_index_opening_keeps_to_the_bytes_of_a_round),
        IN_MEMORY(test_index_a_round_takes_what_fits),
        IN_MEMORY(test_index_a_round_answers_by_handle),
        IN_MEMORY(test_index_a_round_without_memory_is_not_read),
        IN_MEMORY(test_index_a_refreshed_reader_has_the_newest_schema),
    };
    return test_run(tests);
}
