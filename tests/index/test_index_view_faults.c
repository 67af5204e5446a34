/* test_index_view_faults.c: views when memory or the store fails, when answers come late, and with many threads. */
#include "log_fixture.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/id.h"
#include "index/query/lookup.h"
#include "index/query/reader.h"

enum { ROWS = 100 };

static void put_rows(struct fixture_log *log, uint64_t from, uint64_t to, unsigned edition)
{
    log_entry(log);
    for (uint64_t row = from; row < to; row++)
        log_row(log, row, edition);
    log_put(log);
}

/* Two segments, and a log that replaces, deletes and adds rows: 0 to 109 without 5 and 6. */
static void make_namespace(struct world *w, struct fixture_log *log)
{
    w->windows = true;
    fixture_must_load(w, "rows", 0, ROWS, 0);
    fixture_must_load(w, "rows", 90, ROWS, 1);
    log_init(log, w, "rows");
    put_rows(log, 0, 12, 2);
    log_entry(log);
    log_deleted(log, 5);
    log_deleted(log, 6);
    log_deleted(log, 500);
    log_put(log);
    put_rows(log, 95, 110, 3);
}

static enum dp_status ask(struct world *w, struct index_reader *reader, uint64_t *rows)
{
    float query[FIXTURE_DIM];
    struct index_answer answer;
    fixture_query(w, 0, query);
    struct index_query q = {
        .vector = query, .dim = FIXTURE_DIM, .top_k = 20, .all_attributes = true, .with_vectors = true};
    enum dp_status status = index_query(&w->call, reader, &q, &answer);
    *rows = answer.approx_rows;
    return status;
}

static int compare_values(void *ctx, struct span a, struct span b)
{
    (void)ctx;
    return span_compare(a, b);
}

static bool has_key(void *ctx, struct span key, struct span document)
{
    (void)ctx;
    return key.len && document.len;
}

static enum dp_status scan_both_ways(struct world *w, struct index_reader *reader)
{
    float query[FIXTURE_DIM];
    struct index_answer answer;
    fixture_query(w, 0, query);
    struct index_scan scan = {.query = {.vector = query, .dim = FIXTURE_DIM, .top_k = 5, .all_attributes = true},
                              .match = has_key,
                              .order_by = span_str("title"),
                              .compare = compare_values};
    enum dp_status status = index_scan(&w->call, reader, &scan, &answer);
    scan.query.vector = NULL;
    scan.query.with_vectors = true;
    if (status == DP_OK)
        status = index_scan(&w->call, reader, &scan, &answer);
    return status;
}

/* Looks up a row of the tail, a row of a segment and a row that is deleted. */
static enum dp_status look_up(struct world *w, struct index_reader *reader)
{
    static const uint64_t numbers[] = {1, 5, 50};
    struct id_key keys[3];
    struct span spans[3];
    struct found_row found[3];
    struct view_position at;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(id_encode((struct index_id){.number = numbers[i]}, &keys[i], NULL), DP_OK);
        spans[i] = id_key_span(&keys[i]);
    }
    struct view *view = reader_view(reader);
    enum dp_status status = index_lookup(&w->call, view, spans, 3, LOOKUP_WHOLE, found, &at);
    view_release(view);
    if (status == DP_OK) {
        assert_int_equal(found[0].where, ROW_TAIL);
        assert_int_equal(found[1].where, ROW_NONE);
        assert_int_equal(found[2].where, ROW_SEGMENT);
    }
    return status;
}

static enum dp_status do_everything(struct world *w, uint64_t round_bytes)
{
    struct index_reader *reader;
    uint64_t rows;
    enum dp_status status = reader_open(&w->call, w->store, span_str("rows"), round_bytes, NULL, &reader);
    if (status)
        return status;
    status = ask(w, reader, &rows);
    if (status == DP_OK)
        status = look_up(w, reader);
    if (status == DP_OK)
        status = scan_both_ways(w, reader);
    if (status == DP_OK)
        assert_int_equal(rows, 108);
    index_close(reader);
    return status;
}

static void test_index_a_view_survives_failed_allocations(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    make_namespace(w, &log);
    log_deinit(&log);
    bool fired = true;
    size_t n = 1;
    for (; fired; n = test_alloc_next(n)) {
        world_reset(w);
        arena_deinit(&w->arena);
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = do_everything(w, n % 2 ? 0 : 1);
        fired = test_alloc_fired();
        test_alloc_fail_at(0);
        arena_deinit(&w->arena);
        if (test_alloc_live() != before)
            fail_msg("allocation %zu: %zu blocks, not %zu: %s", n, test_alloc_live(), before,
                     w->call.error.message);
        if (status != (fired ? DP_NOMEM : DP_OK))
            fail_msg("allocation %zu: %s: %s", n, dp_status_name(status), w->call.error.message);
    }
    printf("%zu allocations of a view\n", n - 2);
    assert_true(n > 100);
}

static void raise_sequence(void *context, struct manifest *m)
{
    (void)context;
    m->updated_ms++;
}

/* A reader that has the log meets another manifest and keeps the log. Each allocation of that fails in turn. */
static void test_index_a_view_over_another_manifest_survives_failed_allocations(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    make_namespace(w, &log);
    log_deinit(&log);
    bool fired = true;
    for (size_t n = 1; fired; n = test_alloc_next(n)) {
        uint64_t rows;
        world_reset(w);
        struct index_reader *reader = fixture_open(w, "rows");
        log_change_manifest(w, "rows", raise_sequence, NULL);
        world_reset(w);
        arena_deinit(&w->arena);
        test_alloc_fail_at(n);
        enum dp_status status = ask(w, reader, &rows);
        fired = test_alloc_fired();
        test_alloc_fail_at(0);
        if (status != (fired ? DP_NOMEM : DP_OK))
            fail_msg("allocation %zu: %s: %s", n, dp_status_name(status), w->call.error.message);
        arena_deinit(&w->arena);
        world_reset(w);
        assert_int_equal(ask(w, reader, &rows), DP_OK); /* the reader is whole */
        assert_int_equal(rows, 108);
        index_close(reader);
    }
}

/* Each read fails in turn while entries arrive; the next query sees all of them. */
static void test_index_a_view_survives_failed_reads(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    make_namespace(w, &log);
    struct index_reader *reader = fixture_open(w, "rows");
    uint64_t rows, number = 1000;
    size_t failed = 0;
    for (size_t n = 1; n <= 6; n++) {
        for (int i = 0; i < 3; i++, number++) {
            log_entry(&log);
            log_row(&log, number, 4);
            log_row(&log, 20 + (uint64_t)i, (unsigned)number); /* so that ids are looked up */
            log_put(&log);
        }
        world_reset(w);
        test_store_fail_at(w->store, TEST_STORE_READ, n, DP_UNAVAILABLE, false);
        enum dp_status status = ask(w, reader, &rows);
        test_store_fail_at(w->store, TEST_STORE_READ, 0, DP_OK, false);
        assert_true(status == DP_OK || status == DP_UNAVAILABLE);
        failed += status != DP_OK;
        world_reset(w);
        assert_int_equal(ask(w, reader, &rows), DP_OK);
        assert_int_equal(rows, 108 + number - 1000);
    }
    assert_true(failed >= 2); /* reads of lists and entries, and of the ids that they replace */
    index_close(reader);
    log_deinit(&log);
}

/* A reader whose log is empty, and an entry of another node that replaces, deletes and adds rows. */
static struct index_reader *make_news(struct world *w)
{
    struct fixture_log log;
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    fixture_must_load(w, "rows", 0, 30, 0);
    log_init(&log, w, "rows");
    struct index_reader *reader = fixture_open(w, "rows");
    log_entry(&log);
    for (uint64_t row = 25; row < 35; row++)
        log_row(&log, row, 3);
    log_deleted(&log, 5);
    log_put(&log);
    log_deinit(&log);
    world_reset(w);
    return reader;
}

/* Entries that a query puts off: each allocation and each read fails in turn, and the next query sees the entries. */
static void test_index_entries_that_wait_survive_failures(void **state)
{
    struct world *w = *state;
    uint64_t rows;
    bool fired = true;
    for (size_t n = 1; fired; n++) {
        struct index_reader *reader = make_news(w);
        arena_deinit(&w->arena);
        const size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = ask(w, reader, &rows);
        fired = test_alloc_fired();
        test_alloc_fail_at(0);
        if (status != (fired ? DP_NOMEM : DP_OK))
            fail_msg("allocation %zu: %s: %s", n, dp_status_name(status), w->call.error.message);
        assert_true(status != DP_OK || rows == 34);
        world_reset(w);
        assert_int_equal(ask(w, reader, &rows), DP_OK);
        assert_int_equal(rows, 34);
        index_close(reader);
        arena_deinit(&w->arena);
        assert_true(test_alloc_live() <= before);
    }
    size_t failed = 0;
    for (size_t n = 1; n <= 4; n++) {
        struct index_reader *reader = make_news(w);
        test_store_fail_at(w->store, TEST_STORE_READ, n, DP_UNAVAILABLE, false);
        enum dp_status status = ask(w, reader, &rows);
        test_store_fail_at(w->store, TEST_STORE_READ, 0, DP_OK, false);
        assert_true(status == DP_UNAVAILABLE || (status == DP_OK && rows == 34));
        failed += status != DP_OK;
        world_reset(w);
        assert_int_equal(ask(w, reader, &rows), DP_OK);
        assert_int_equal(rows, 34);
        index_close(reader);
    }
    assert_true(failed >= 3); /* lists and an entry; the others; ids, vectors and documents */
}

/* ---- refusals ---------------------------------------------------------------------------------------------- */

/* A store that refuses reads of log entries: all from a number on, or those that are missing. */
static struct {
    struct store_ops ops;
    const struct store_ops *plain;
    bool all, everything; /* refuse entries that exist, too; and the manifest */
    bool maybe_missing;
} refuser;

static void read_refused(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    refuser.plain->read(call, store, reqs, n);
    for (size_t i = 0; i < n; i++) {
        bool log = memmem(reqs[i].key.data, reqs[i].key.len, "/wal/", 5) != NULL;
        if (!refuser.everything && !(log && (refuser.all || reqs[i].status == DP_NOT_FOUND)))
            continue;
        store_bytes_release(&reqs[i].bytes);
        reqs[i].unchanged = false;
        reqs[i].status = dp_fail(&reqs[i].error, DP_DENIED, "refused (test)");
        reqs[i].maybe_missing = refuser.maybe_missing;
    }
}

/* Only a refusal that may mean "missing" ends the log, and only if the manifest can be read. */
static void test_index_a_refused_entry_ends_the_log_only_if_it_may_be_missing(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct index_reader *reader;
    uint64_t rows;
    make_namespace(w, &log);
    struct store *inner = test_store_inner(w->store);
    memset(&refuser, 0, sizeof refuser);
    refuser.plain = inner->ops;
    refuser.ops = *inner->ops;
    refuser.ops.read = read_refused;
    inner->ops = &refuser.ops;
    refuser.maybe_missing = true; /* a client without the right to list */
    assert_int_equal(reader_open(&w->call, w->store, span_str("rows"), 0, &index_system_clock, &reader), DP_OK);
    put_rows(&log, 1000, 1001, 1);
    assert_int_equal(ask(w, reader, &rows), DP_OK);
    assert_int_equal(rows, 109);
    put_rows(&log, 1001, 1002, 1);
    refuser.all = true;
    refuser.maybe_missing = false; /* keys that expire between the answers of a round */
    assert_int_equal(ask(w, reader, &rows), DP_DENIED);
    assert_non_null(strstr(w->call.error.message, "refused (test)"));
    struct index_reader *second;
    world_reset(w);
    assert_int_equal(reader_open(&w->call, w->store, span_str("rows"), 0, &index_system_clock, &second),
                     DP_DENIED);
    refuser.everything = refuser.maybe_missing = true; /* a client that may read nothing any more */
    world_reset(w);
    assert_int_equal(ask(w, reader, &rows), DP_DENIED);
    inner->ops = refuser.plain;
    world_reset(w);
    assert_int_equal(ask(w, reader, &rows), DP_OK);
    assert_int_equal(rows, 110);
    index_close(reader);
    log_deinit(&log);
}

/* ---- late answers ------------------------------------------------------------------------------------------ */

/* A clock that a read of the store moves. */
struct slow_clock {
    struct index_clock clock;
    int64_t now_ns, step_ns;
};

static int64_t slow_now(void *ctx)
{
    struct slow_clock *c = ctx;
    return c->now_ns;
}

static void pass_time(void *ctx, const struct test_store_op *op)
{
    struct slow_clock *c = ctx;
    if (op->kind == TEST_STORE_READ)
        c->now_ns += c->step_ns;
}

static void raise_gone(void *context, struct manifest *m)
{
    m->wal_gone = m->wal_floor = *(const uint64_t *)context;
    m->wal_chain = 1;
}

static void test_index_late_answers_about_the_log_need_another_look(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    uint64_t rows;
    struct slow_clock slow = {.clock = index_system_clock};
    slow.clock.now_ns = slow_now;
    slow.clock.ctx = &slow;
    make_namespace(w, &log);
    struct index_reader *reader;
    assert_int_equal(reader_open(&w->call, w->store, span_str("rows"), 0, &slow.clock, &reader), DP_OK);
    test_store_hook(w->store, pass_time, &slow);
    world_reset(w);
    assert_int_equal(ask(w, reader, &rows), DP_OK);
    assert_int_equal(test_store_counts(w->store).rounds, 2);
    slow.step_ns = INT64_C(1000000000) * 451; /* more than half of the grace */
    world_reset(w);
    assert_int_equal(ask(w, reader, &rows), DP_OK);
    assert_int_equal(test_store_counts(w->store).rounds, 3);
    assert_int_equal(rows, 108);
    /* Opening late sees a manifest from before the entries were folded and deleted; another look finds that. */
    struct index_reader *second;
    world_reset(w);
    assert_int_equal(reader_open(&w->call, w->store, span_str("rows"), 0, &slow.clock, &second), DP_OK);
    index_close(second);
    uint64_t gone = 3;
    log_change_manifest(w, "rows", raise_gone, &gone);
    world_reset(w);
    assert_int_equal(ask(w, reader, &rows), DP_OK);
    assert_int_equal(rows, ROWS); /* the manifest says that a fold moved the entries, but no segment has them */
    test_store_hook(w->store, NULL, NULL);
    index_close(reader);
    log_deinit(&log);
}

/* The clock of a store that passes step_ms between two answers. */
struct slow_store {
    int64_t ms, step_ms;
};

static int64_t slow_date(void *ctx)
{
    struct slow_store *s = ctx;
    s->ms += s->step_ms;
    return s->ms;
}

/* A hypervisor held the host between two answers of a round: its clock has not moved, but the store's has. */
static void test_index_the_clock_of_the_store_tells_of_late_answers_too(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    uint64_t rows;
    struct slow_clock still = {.clock = index_system_clock};
    struct slow_store store = {.ms = INT64_C(1700000000000)};
    still.clock.now_ns = slow_now;
    still.clock.ctx = &still;
    make_namespace(w, &log);
    struct index_reader *reader;
    assert_int_equal(reader_open(&w->call, w->store, span_str("rows"), 0, &still.clock, &reader), DP_OK);
    test_store_date(w->store, slow_date, &store);
    world_reset(w);
    assert_int_equal(ask(w, reader, &rows), DP_OK);
    assert_int_equal(test_store_counts(w->store).rounds, 2);
    store.step_ms = 451 * 1000;
    world_reset(w);
    assert_int_equal(ask(w, reader, &rows), DP_OK);
    assert_int_equal(test_store_counts(w->store).rounds, 3);
    assert_int_equal(rows, 108);
    struct index_reader *second;
    world_reset(w);
    assert_int_equal(reader_open(&w->call, w->store, span_str("rows"), 0, &still.clock, &second), DP_OK);
    assert_int_equal(test_store_counts(w->store).rounds, 3); /* the third one confirms */
    index_close(second);
    uint64_t gone = 3;
    store.step_ms = 0;
    log_change_manifest(w, "rows", raise_gone, &gone);
    store.step_ms = 451 * 1000;
    world_reset(w);
    assert_int_equal(ask(w, reader, &rows), DP_OK);
    assert_int_equal(rows, ROWS);
    test_store_date(w->store, NULL, NULL);
    index_close(reader);
    log_deinit(&log);
}

/* Folds and deletes an entry before the manifest is read alone: between an answer about the log and its confirmation. */
struct late_fold {
    struct world *w;
    struct slow_clock *slow;
    uint64_t gone;
    bool acted;
};

static void fold_before_confirmation(void *ctx, const struct test_store_op *op)
{
    struct late_fold *f = ctx;
    pass_time(f->slow, op);
    if (f->acted || op->kind != TEST_STORE_READ || op->requests != 1 || !strstr(op->key, "manifest.json"))
        return;
    f->acted = true;
    struct call call = f->w->call;
    log_change_manifest(f->w, "rows", raise_gone, &f->gone);
    f->w->call = call;
}

static void test_index_a_late_entry_is_not_seen_before_it_counts(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    uint64_t rows;
    struct slow_clock slow = {.clock = index_system_clock};
    slow.clock.now_ns = slow_now;
    slow.clock.ctx = &slow;
    make_namespace(w, &log);
    struct index_reader *reader;
    assert_int_equal(reader_open(&w->call, w->store, span_str("rows"), 0, &slow.clock, &reader), DP_OK);
    struct view *view = reader_view(reader);
    assert_int_equal(view_position(view).last, 3);
    put_rows(&log, 1000, 1001, 1);
    struct late_fold fold = {w, &slow, 4, false};
    slow.step_ns = INT64_C(1000000000) * 451;
    test_store_hook(w->store, fold_before_confirmation, &fold);
    world_reset(w);
    assert_int_equal(ask(w, reader, &rows), DP_OK);
    assert_true(fold.acted);
    assert_int_equal(rows, ROWS);
    assert_int_equal(view_position(view).last, 3); /* those who hold this view never saw entry 4 */
    test_store_hook(w->store, NULL, NULL);
    view_release(view);
    index_close(reader);
    log_deinit(&log);
}

/* ---- many threads ------------------------------------------------------------------------------------------ */

enum { THREADS = 3, ENTRIES = 60 };

struct crowd {
    struct world *w;
    struct index_reader *reader;
    _Atomic bool done;
    _Atomic uint64_t put; /* rows that a query that begins now must see */
};

static void *query_along(void *ctx)
{
    struct crowd *crowd = ctx;
    struct world own = {.dim = crowd->w->dim, .store = crowd->w->store, .metric = crowd->w->metric};
    arena_init(&own.arena, 64 << 20);
    for (int i = 0; !atomic_load(&crowd->done) || i < 20; i++) {
        uint64_t least = atomic_load(&crowd->put), rows;
        arena_reset(&own.arena);
        call_init(&own.call, &own.arena);
        if (ask(&own, crowd->reader, &rows) != DP_OK || rows < least ||
            (i % 3 == 0 && scan_both_ways(&own, crowd->reader) != DP_OK)) {
            fprintf(stderr, "%s\n", own.call.error.message);
            abort();
        }
    }
    arena_deinit(&own.arena);
    return NULL;
}

static void test_index_many_threads_follow_one_log(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    pthread_t threads[THREADS];
    fixture_must_load(w, "rows", 0, ROWS, 0);
    log_init(&log, w, "rows");
    struct crowd crowd = {.w = w, .reader = fixture_open(w, "rows"), .put = ROWS};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, query_along, &crowd), 0);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        log_entry(&log);
        log_row(&log, i, 7);
        log_row(&log, ROWS + i, 7);
        log_put(&log);
        atomic_store(&crowd.put, ROWS + i + 1);
        if (i % 10 == 9)
            log_change_manifest(w, "rows", raise_sequence, NULL);
    }
    atomic_store(&crowd.done, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    index_close(crowd.reader);
    log_deinit(&log);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_a_view_survives_failed_allocations),
        IN_MEMORY(test_index_a_view_over_another_manifest_survives_failed_allocations),
        IN_MEMORY(test_index_a_view_survives_failed_reads),
        IN_MEMORY(test_index_entries_that_wait_survive_failures),
        IN_MEMORY(test_index_a_refused_entry_ends_the_log_only_if_it_may_be_missing),
        IN_MEMORY(test_index_late_answers_about_the_log_need_another_look),
        IN_MEMORY(test_index_the_clock_of_the_store_tells_of_late_answers_too),
        IN_MEMORY(test_index_a_late_entry_is_not_seen_before_it_counts),
        IN_MEMORY(test_index_many_threads_follow_one_log),
    };
    return test_run(tests);
}
