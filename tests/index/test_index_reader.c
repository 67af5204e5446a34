/* test_index_reader.c: an open reader follows the manifest wherever it goes, and queries keep to their bytes a round. */
#include "index_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "index/reader.h"

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

/* Opens what the bytes list, as if they had been read in that time. */
static struct snapshot *open_at(struct world *w, struct index_reader *reader, struct span bytes, int64_t sent,
                                int64_t answered)
{
    struct manifest m;
    struct snapshot *s;
    struct store_version version = {0};
    bool gone;
    assert_int_equal(manifest_parse(bytes, &m, &w->call.error), DP_OK);
    struct manifest_read seen = {sent, answered};
    assert_int_equal(snapshot_open(&w->call, w->store, reader->name, &m, &version, seen, NULL, &s, &gone), DP_OK);
    return s;
}

static uint64_t current_rows(struct index_reader *reader)
{
    struct snapshot *s = reader_snapshot(reader);
    uint64_t rows = manifest_rows(&s->manifest);
    snapshot_release(s);
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
    /* Sent and answered before: of an earlier swap, of the life before. */
    reader_install(reader, open_at(w, reader, first.span, later + 8 * s, later + 9 * s));
    reader_install(reader, open_at(w, reader, other.span, later + 8 * s, later + 9 * s));
    assert_int_equal(current_rows(reader), 400);
    /* Overlapping: sequences tell within a life, whichever was sent first. */
    reader_install(reader, open_at(w, reader, first.span, later + 10 * s + 1, later + 12 * s));
    assert_int_equal(current_rows(reader), 400);
    reader_install(reader, open_at(w, reader, other.span, later + 10 * s - 1, later + 12 * s));
    assert_int_equal(current_rows(reader), 400);
    /* A strong read has found it since: what was sent before that is old. */
    struct snapshot *now = reader_snapshot(reader);
    reader_confirm(reader, now, (struct manifest_read){later + 20 * s, later + 21 * s});
    snapshot_release(now);
    reader_install(reader, open_at(w, reader, other.span, later + 13 * s, later + 14 * s));
    assert_int_equal(current_rows(reader), 400);
    /* Sent after the answer: newer, whatever it says. */
    reader_install(reader, open_at(w, reader, other.span, later + 21 * s, later + 22 * s));
    assert_int_equal(current_rows(reader), 10);
    reader_install(reader, open_at(w, reader, first.span, later + 23 * s, later + 24 * s));
    assert_int_equal(current_rows(reader), 300);
    index_close(reader);
    store_bytes_release(&first);
    store_bytes_release(&second);
    store_bytes_release(&other);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_a_reader_follows_a_manifest_that_goes_back),
        IN_MEMORY(test_index_a_slow_thread_puts_nothing_old_back),
    };
    return test_run(tests);
}
