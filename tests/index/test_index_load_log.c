/* test_index_load_log.c: loads into a namespace that has a log: they take a place in the order of writes, whatever
 * fails or comes late. */
#include "model_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "index/load/decide.h"
#include "index/query/reader.h"
#include "index/upkeep.h"
#include "index/verify.h"

enum { ALL_LISTS = 100000, HOUR_MS = 60 * 60 * 1000 };

/* ---- a clock that the test sets -------------------------------------------------------------------------- */

static struct load_time {
    int64_t ms;
    struct index_process process;
    struct index_clock clock;
} load_time;

static int64_t load_now_ns(void *ctx)
{
    (void)ctx;
    return load_time.ms * 1000000;
}

static int64_t load_now_ms(void *ctx)
{
    (void)ctx;
    return load_time.ms;
}

static enum dp_status load_wait(void *ctx, struct call *call, int64_t ms)
{
    (void)ctx;
    load_time.ms += ms;
    return call_check(call);
}

static int world_in_load_time(void **state)
{
    world_in_memory(state);
    struct world *w = *state;
    load_time = (struct load_time){.ms = INT64_C(1800000000000)};
    pthread_mutex_init(&load_time.process.lock, NULL);
    load_time.clock = (struct index_clock){.now_ns = load_now_ns,
                                           .wall_ms = load_now_ms,
                                           .wait = load_wait,
                                           .random = index_system_clock.random,
                                           .process = &load_time.process};
    w->clock = &load_time.clock;
    test_store_date(w->store, load_now_ms, NULL);
    return 0;
}

/* ---- helpers --------------------------------------------------------------------------------------------- */

static void must(struct world *w, enum dp_status status)
{
    if (status)
        fail_msg("%s", w->call.error.message);
}

static void must_fail(struct world *w, enum dp_status status, enum dp_status wanted, const char *words)
{
    if (status != wanted || !strstr(w->call.error.message, words))
        fail_msg("expected %s with \"%s\", not %s: %s", dp_status_name(wanted), words, dp_status_name(status),
                 w->call.error.message);
    dp_error_clear(&w->call.error);
}

static struct index_reader *open_now(struct world *w)
{
    struct index_reader *reader;
    arena_reset(&w->arena);
    must(w, reader_open(&w->call, w->store, span_str("rows"), 0, w->clock, &reader));
    return reader;
}

static struct manifest manifest_now(struct world *w)
{
    struct manifest m;
    must(w, manifest_load_any(&w->call, w->store, span_str("rows"), &m, NULL));
    return m;
}

static struct index_fold_result must_fold(struct world *w, struct index_reader *reader)
{
    struct index_fold_result result;
    must(w, index_fold(&w->call, reader, NULL, &result));
    return result;
}

static void fold_now(struct world *w)
{
    struct index_reader *reader = open_now(w);
    must_fold(w, reader);
    index_close(reader);
}

static void merge_now(struct world *w)
{
    const struct index_merge_options options = {.everything = true, .clock = w->clock};
    struct index_merge_result result;
    must(w, index_merge(&w->call, w->store, span_str("rows"), &options, &result));
}

static void refuse_fault(void *context, const char *object, const char *fault)
{
    (void)context;
    fail_msg("%s: %s", object, fault);
}

/* Checks that a new reader sees the model, that the namespace is whole, and that all is in segments after a fold. */
static void check_whole(struct world *w, const struct model *m)
{
    struct index_verify_result result;
    uint64_t random = 1;
    struct index_reader *cold = open_now(w);
    model_check_stats(w, cold, m);
    model_ask(w, cold, m, &random);
    model_look_up(w, cold, m, &random);
    must_fold(w, cold);
    model_check_stats(w, cold, m);
    model_ask(w, cold, m, &random);
    index_close(cold);
    must(w, index_verify(&w->call, w->store, span_str("rows"), refuse_fault, NULL, &result));
    assert_int_equal(result.rows, model_live(m));
    assert_int_equal(result.entries, 0);
}

static void note_rows(struct model *m, uint64_t from, uint64_t to, unsigned edition)
{
    for (uint64_t row = from; row < to; row++) {
        m->live[row] = true;
        m->bare[row] = false;
        m->edition[row] = edition;
    }
}

/* Begins a load of rows [from, to), in segments of 40 rows, which leaves the fold to others. */
static struct index_loader *begin_load(struct world *w, uint64_t from, uint64_t to, unsigned edition)
{
    struct index_loader *loader = fixture_begin(w, "rows");
    loader->segment_rows = 40;
    loader->leaves_fold = true;
    must(w, fixture_add(w, loader, from, to, edition));
    return loader;
}

static enum dp_status load_rows(struct world *w, uint64_t from, uint64_t to, unsigned edition)
{
    struct index_load_summary summary;
    return index_load_commit(&w->call, begin_load(w, from, to, edition), &summary);
}

static void load_model(struct world *w, struct model *m, uint64_t from, uint64_t to, unsigned edition)
{
    must(w, load_rows(w, from, to, edition));
    note_rows(m, from, to, edition);
}

/* Tells the fixture of an entry that somebody else has put. */
static void follow_entry(struct fixture_log *log)
{
    struct world *w = log->world;
    struct object_key key;
    struct wal_entry *entry;
    key_of_wal(&key, span_str(log->name), &log->incarnation, log->next);
    struct store_read_req req = {.key = object_key_span(&key), .len = STORE_TO_END};
    must(w, store_read(&w->call, w->store, &req, 1));
    must(w, wal_entry_parse(req.bytes.span, &entry, &w->call.error));
    log->chain = entry->hash;
    log->next++;
    wal_entry_release(entry);
    store_read_release(&req, 1);
}

/* A namespace of 100 loaded rows with a log of two entries. */
static void begin_world(struct world *w, struct fixture_log *log, struct model *m)
{
    uint64_t random = 5;
    unsigned edition = 20;
    *m = (struct model){0};
    model_load(w, m, 0, 60, 0);
    model_load(w, m, 60, 100, 0);
    log_init(log, w, "rows");
    model_put_entry(log, m, &random, &edition);
    model_put_entry(log, m, &random, &edition);
}

/* Does something before the first put of a log entry. */
struct before_entry {
    struct world *w;
    void (*act)(struct before_entry *b);
    struct index_reader *reader;
    const struct model *model;
    bool acted;
};

static void act_before_entry(void *ctx, const struct test_store_op *op)
{
    struct before_entry *b = ctx;
    if (b->acted || op->kind != TEST_STORE_PUT || !strstr(op->key, "/wal/"))
        return;
    b->acted = true;
    struct call call = b->w->call;
    struct arena arena;
    arena_init(&arena, 64 << 20);
    call_init(&b->w->call, &arena);
    b->act(b);
    b->w->call = call;
    arena_deinit(&arena);
}

/* ---- histories ------------------------------------------------------------------------------------------- */

static void ask_warm(struct before_entry *b)
{
    float query[FIXTURE_DIM];
    struct index_answer answer;
    fixture_query(b->w, 3, query);
    const struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 10, .nprobe = ALL_LISTS};
    struct index_stats stats;
    must(b->w, index_query(&b->w->call, b->reader, &q, &answer));
    must(b->w, index_stats(&b->w->call, b->reader, &stats));
    assert_int_equal(stats.rows, model_live(b->model)); /* the load does not count yet */
}

/* Loads some rows while a warm reader looks between the two steps. */
static void load_beside_reader(struct world *w, struct fixture_log *log, struct model *m,
                               struct index_reader *warm, uint64_t *random, unsigned *edition)
{
    struct before_entry before = {w, ask_warm, warm, m, model_draw(random, 2) == 0};
    uint64_t from = model_draw(random, MODEL_ROWS - 60), to = from + 1 + model_draw(random, 60);
    test_store_hook(w->store, act_before_entry, &before);
    must(w, load_rows(w, from, to, ++*edition));
    test_store_hook(w->store, NULL, NULL);
    note_rows(m, from, to, *edition);
    follow_entry(log);
}

static void run_history(struct world *w, uint64_t seed)
{
    struct model m = {0};
    struct fixture_log log;
    uint64_t random = seed;
    unsigned edition = 10;
    w->metric = seed % 2 ? INDEX_COSINE : INDEX_EUCLIDEAN_SQUARED;
    w->windows = seed % 3 == 0;
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    model_load(w, &m, 0, 1 + model_draw(&random, 150), 0);
    log_init(&log, w, "rows");
    struct index_reader *warm = open_now(w), *folder = open_now(w);
    for (int step = 0; step < 30; step++) {
        switch (model_draw(&random, 7)) {
        case 0: must_fold(w, folder); break;
        case 1: merge_now(w); break;
        case 2:
        case 3: load_beside_reader(w, &log, &m, warm, &random, &edition); break;
        default: model_put_entry(&log, &m, &random, &edition); break;
        }
        if (model_draw(&random, 2)) {
            model_ask(w, warm, &m, &random);
            model_look_up(w, warm, &m, &random);
            model_check_stats(w, warm, &m);
        }
        arena_reset(&w->arena);
    }
    check_whole(w, &m);
    model_ask(w, warm, &m, &random);
    index_close(folder);
    index_close(warm);
    log_deinit(&log);
}

static void test_index_loads_take_places_in_the_log(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++)
        run_history(*state, seed);
}

/* The loader's own fold leaves nothing to do. The numbers of its summary are right. */
static void test_index_a_load_folds_the_log(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    begin_world(w, &log, &m);
    uint64_t before = model_live(&m), fresh = 0;
    for (uint64_t row = 90; row < 150; row++)
        fresh += !m.live[row];
    struct index_load_summary summary = fixture_must_load(w, "rows", 90, 150, 3);
    note_rows(&m, 90, 150, 3);
    assert_int_equal(summary.rows, 60);
    assert_int_equal(summary.replaced, 60 - fresh);
    assert_int_equal(summary.total_rows, before + fresh);
    struct manifest now = manifest_now(w);
    assert_int_equal(now.wal_floor, 3);
    assert_int_equal(now.pending_count, 0);
    manifest_deinit(&now);
    check_whole(w, &m);
    log_deinit(&log);
}

/* ---- crashes and lost answers ---------------------------------------------------------------------------- */

/* Returns whether the log has attached the load. */
static bool is_loaded(struct world *w)
{
    struct index_reader *reader = open_now(w);
    bool loaded = view_position(reader->current).last > 2;
    index_close(reader);
    return loaded;
}

/* The loader dies at its n-th write. Returns false if it ended before. */
static bool die_at(struct world *w, size_t n)
{
    struct fixture_log log;
    struct model m;
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    begin_world(w, &log, &m);
    struct index_loader *loader = begin_load(w, 90, 190, 3);
    loader->leaves_fold = false;
    struct index_load_summary summary;
    test_store_kill_at(w->store, n);
    enum dp_status status = index_load_commit(&w->call, loader, &summary);
    bool died = test_store_killed(w->store);
    test_store_kill_at(w->store, 0);
    dp_error_clear(&w->call.error);
    bool loaded = is_loaded(w);
    if (status == DP_OK)
        assert_true(loaded);
    if (loaded)
        note_rows(&m, 90, 190, 3);
    check_whole(w, &m);
    struct manifest now = manifest_now(w);
    assert_true(loaded ? now.pending_count == 0 : now.pending_count <= 1);
    manifest_deinit(&now);
    if (!loaded) { /* the same load again is safe, beside the one that is pending */
        load_model(w, &m, 90, 190, 3);
        check_whole(w, &m);
    }
    log_deinit(&log);
    return died;
}

static void test_index_a_loader_dies_at_each_write(void **state)
{
    size_t n = 1;
    while (die_at(*state, n))
        n++;
    assert_true(n > 6); /* three segments, pending, attach, fold */
}

static void lose_put(struct world *w, const char *suffix, enum test_store_fate fate)
{
    struct fixture_log log;
    struct model m;
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    begin_world(w, &log, &m);
    struct index_loader *loader = begin_load(w, 90, 190, 3);
    struct index_load_summary summary;
    test_store_fate_at(w->store, suffix, 1, fate, DP_UNKNOWN);
    must(w, index_load_commit(&w->call, loader, &summary));
    test_store_deliver(w->store, &w->call);
    dp_error_clear(&w->call.error);
    note_rows(&m, 90, 190, 3);
    follow_entry(&log);
    assert_int_equal(log.next, 4);
    check_whole(w, &m);
    log_deinit(&log);
}

/* A put of the manifest or of the entry gets lost, comes late, or comes twice. */
static void test_index_a_load_finds_its_lost_puts(void **state)
{
    static const char *const suffixes[] = {"manifest.json", "00000000000000000003"};
    for (size_t i = 0; i < 2; i++) {
        lose_put(*state, suffixes[i], TEST_STORE_SWALLOWED);
        lose_put(*state, suffixes[i], TEST_STORE_LATE);
        lose_put(*state, suffixes[i], TEST_STORE_TWICE);
    }
}

/* ---- loads that are given up ----------------------------------------------------------------------------- */

/* A load whose entry, number 3, is on its way when its loader dies. */
static void die_with_late_entry(struct world *w, struct fixture_log *log, struct model *m)
{
    struct index_load_summary summary;
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    begin_world(w, log, m);
    struct index_loader *loader = begin_load(w, 90, 190, 3);
    while (loader->segment_count < 3)
        must(w, load_build_segment(&w->call, loader));
    test_store_fate_at(w->store, "00000000000000000003", 1, TEST_STORE_LATE, DP_UNKNOWN);
    test_store_kill_at(w->store, 3); /* the writes are the manifest, the entry, and the entry again */
    must_fail(w, index_load_commit(&w->call, loader, &summary), DP_UNKNOWN, "it is not known whether");
    assert_true(test_store_killed(w->store));
    test_store_kill_at(w->store, 0);
    world_reset(w);
}

static struct load_decision give_up_pending(struct world *w)
{
    struct manifest m = manifest_now(w);
    assert_int_equal(m.pending_count, 1);
    struct index_reader *reader = open_now(w);
    struct load_decision decision = {
        .reader = reader, .incarnation = m.incarnation, .load = m.pending[0].load, .kind = WAL_VOID};
    w->call.deadline_ns = 1; /* has passed */
    must_fail(w, load_decide(&w->call, &decision), DP_DEADLINE, "deadline");
    w->call.deadline_ns = INT64_MAX;
    must(w, load_decide(&w->call, &decision));
    view_release(decision.view);
    index_close(reader);
    manifest_deinit(&m);
    return decision;
}

/* An entry that comes late counts if its number is free: then nobody gives the load up any more. If somebody has
 * given it up before, or another has taken the number, the entry is refused. */
static void test_index_an_entry_of_a_load_comes_late(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    uint64_t random = 8;
    die_with_late_entry(w, &log, &m);
    must(w, test_store_deliver(w->store, &w->call));
    assert_int_equal(give_up_pending(w).fate, LOAD_ATTACHED);
    note_rows(&m, 90, 190, 3);
    check_whole(w, &m);
    log_deinit(&log);

    die_with_late_entry(w, &log, &m);
    assert_int_equal(give_up_pending(w).number, 3);
    must_fail(w, test_store_deliver(w->store, &w->call), DP_EXISTS, "");
    check_whole(w, &m);
    log_deinit(&log);

    die_with_late_entry(w, &log, &m);
    model_put_entry(&log, &m, &random, &(unsigned){40});
    must_fail(w, test_store_deliver(w->store, &w->call), DP_EXISTS, "");
    assert_int_equal(give_up_pending(w).number, 4);
    check_whole(w, &m);
    log_deinit(&log);
}

static size_t objects_of(struct world *w)
{
    struct store_listing page;
    must(w, store_list(&w->call, test_store_inner(w->store), span_str("rows/"), span_str(""), false, 1000, &page));
    return page.count;
}

/* A load that is pending, without an entry. Its loader has died. */
static void leave_pending(struct world *w)
{
    struct index_load_summary summary;
    struct index_loader *loader = begin_load(w, 90, 190, 3);
    size_t n = 1;
    while (loader->segment_count < 3) {
        must(w, load_build_segment(&w->call, loader));
        assert_true(n++ < 4);
    }
    test_store_kill_at(w->store, 2); /* the first write is that of the manifest */
    assert_int_not_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    assert_true(test_store_killed(w->store));
    test_store_kill_at(w->store, 0);
    world_reset(w);
    struct manifest m = manifest_now(w);
    assert_int_equal(m.pending_count, 1);
    assert_int_equal(m.pending[0].segment_count, 3);
    manifest_deinit(&m);
}

static void collect_all(struct world *w)
{
    struct index_collector *collector;
    const struct index_collect_options options = {.clock = w->clock, .at_once = true};
    struct index_collect_result result;
    must(w, index_collector_new(w->store, span_str("rows"), &collector, &w->call.error));
    for (int i = 0; i < 3; i++) {
        arena_reset(&w->arena);
        must(w, index_collect(&w->call, collector, &options, &result));
        load_time.ms += INDEX_GRACE_MS + 1000;
    }
    index_collector_free(collector);
}

static size_t pending_now(struct world *w)
{
    struct manifest m = manifest_now(w);
    size_t count = m.pending_count;
    manifest_deinit(&m);
    return count;
}

/* Other writers, who put an entry before each put of an entry. */
struct busy_writers {
    struct fixture_log *log;
    struct model *model;
    uint64_t random;
    unsigned edition;
    bool inside;
};

static void write_first(void *ctx, const struct test_store_op *op)
{
    struct busy_writers *b = ctx;
    if (b->inside || op->kind != TEST_STORE_PUT || !strstr(op->key, "/wal/"))
        return;
    struct world *w = b->log->world;
    struct call call = w->call;
    struct arena arena;
    b->inside = true;
    arena_init(&arena, 64 << 20);
    call_init(&w->call, &arena);
    model_put_entry(b->log, b->model, &b->random, &b->edition);
    w->call = call;
    arena_deinit(&arena);
    b->inside = false;
}

/* A fold that never gets to the log's end to make a load void folds nevertheless. */
static void test_index_a_fold_needs_no_void(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    struct index_fold_result result;
    begin_world(w, &log, &m);
    leave_pending(w);
    load_time.ms += 25 * (int64_t)HOUR_MS;
    struct busy_writers others = {.log = &log, .model = &m, .random = 3, .edition = 50};
    struct index_reader *reader = open_now(w);
    test_store_hook(w->store, write_first, &others);
    must(w, index_fold(&w->call, reader, NULL, &result));
    test_store_hook(w->store, NULL, NULL);
    index_close(reader);
    assert_true(result.entries > 0);
    assert_int_equal(pending_now(w), 1);
    world_reset(w);
    check_whole(w, &m);
    log_deinit(&log);
}

static bool agree(void *context, const struct index_repair_result *plan)
{
    (void)context, (void)plan;
    return true;
}

static void ignore_fault(void *context, const char *object, const char *fault)
{
    (void)context, (void)object, (void)fault;
}

/* A repair folds the entries before a lost one. It does not take the lost one's place to make a load void. */
static void test_index_a_repair_makes_no_load_void(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m, scratch;
    const struct index_repair_options options = {.fault = ignore_fault, .agree = agree};
    struct index_repair_result result;
    struct object_key key;
    uint64_t random = 9;
    unsigned edition = 50;
    begin_world(w, &log, &m);
    leave_pending(w);
    model_put_entry(&log, &m, &random, &edition);
    key_of_wal(&key, span_str("rows"), &log.incarnation, log.next);
    scratch = m;
    model_put_entry(&log, &scratch, &random, &edition);
    log_entry(&log);
    log_row(&log, 3, 70);
    log_put(&log);
    note_rows(&m, 3, 4, 70);
    must(w, store_remove(&w->call, w->store, object_key_span(&key)));
    load_time.ms += 25 * (int64_t)HOUR_MS;
    must(w, index_repair(&w->call, w->store, span_str("rows"), &options, &result));
    assert_true(result.done);
    assert_int_equal(result.entries, 1);
    world_reset(w);
    check_whole(w, &m);
    log_deinit(&log);
}

/* Nobody removes the objects of a pending load, however old they are. After a day a fold makes the load void, and
 * then the collector removes its objects. */
static void test_index_an_abandoned_load_becomes_void(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    struct index_backlog backlog;
    begin_world(w, &log, &m);
    leave_pending(w);
    fold_now(w);
    merge_now(w);
    check_whole(w, &m);
    assert_int_equal(pending_now(w), 1);
    load_time.ms += 23 * HOUR_MS;
    fold_now(w);
    assert_int_equal(pending_now(w), 1);
    load_time.ms += 2 * HOUR_MS;
    collect_all(w);
    size_t before = objects_of(w);
    struct index_reader *reader = open_now(w);
    must(w, index_backlog(&w->call, reader, NULL, false, &backlog));
    assert_int_equal(backlog.entries, 0);
    assert_int_equal(backlog.abandoned, 1);
    assert_int_equal(must_fold(w, reader).entries, 1); /* the void */
    must(w, index_backlog(&w->call, reader, NULL, false, &backlog));
    assert_int_equal(backlog.abandoned, 0);
    index_close(reader);
    assert_int_equal(pending_now(w), 0);
    check_whole(w, &m);
    collect_all(w);
    assert_int_equal(objects_of(w), before - 6); /* .dpr and .ivf of three segments; the void entry went, too */
    check_whole(w, &m);
    log_deinit(&log);
}

static void count_fault(void *context, const char *object, const char *fault)
{
    (void)object, (void)fault;
    ++*(size_t *)context;
}

/* A verification reads the segments of a pending load, but does not count their rows. */
static void test_index_a_pending_load_is_verified(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    struct index_verify_result result;
    struct object_key key;
    size_t faults = 0;
    begin_world(w, &log, &m);
    leave_pending(w);
    check_whole(w, &m);
    struct manifest now = manifest_now(w);
    key_of_dpr(&key, span_str("rows"), &now.incarnation, &now.pending[0].segments[1].id);
    manifest_deinit(&now);
    must(w, store_remove(&w->call, w->store, object_key_span(&key)));
    must(w, index_verify(&w->call, w->store, span_str("rows"), count_fault, &faults, &result));
    assert_int_equal(faults, 1);
    assert_int_equal(result.rows, model_live(&m));
    log_deinit(&log);
}

static void void_first(struct before_entry *b)
{
    assert_int_equal(give_up_pending(b->w).fate, LOAD_VOID);
}

/* Somebody puts the void before the loader's entry. The loader sees it, and its rows never count. */
static void test_index_a_loader_that_was_given_up_stops(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    struct index_load_summary summary;
    begin_world(w, &log, &m);
    struct before_entry before = {w, void_first, NULL, &m, false};
    struct index_loader *loader = begin_load(w, 90, 190, 3);
    test_store_hook(w->store, act_before_entry, &before);
    must_fail(w, index_load_commit(&w->call, loader, &summary), DP_CONFLICT, "was given up");
    test_store_hook(w->store, NULL, NULL);
    check_whole(w, &m);
    assert_int_equal(pending_now(w), 0);
    log_deinit(&log);
}

static void delete_first(struct before_entry *b)
{
    must(b->w, index_delete(&b->w->call, b->w->store, span_str("rows")));
}

static void delete_and_make_first(struct before_entry *b)
{
    delete_first(b);
    const struct index_vectors vectors = fixture_vectors(b->w);
    must(b->w, index_create(&b->w->call, b->w->store, span_str("rows"), &vectors, NULL, NULL));
}

/* The name is deleted, or made anew, between the two steps. The load does not count in the new life. */
static void test_index_a_load_ends_with_its_life(void **state)
{
    struct world *w = *state;
    for (int again = 0; again < 2; again++) {
        struct fixture_log log;
        struct model m;
        struct index_load_summary summary;
        store_free(w->store);
        w->store = test_store_wrap(fixture_memory(w));
        world_reset(w);
        begin_world(w, &log, &m);
        struct before_entry before = {w, again ? delete_and_make_first : delete_first, NULL, &m, false};
        struct index_loader *loader = begin_load(w, 90, 190, 3);
        test_store_hook(w->store, act_before_entry, &before);
        must_fail(w, index_load_commit(&w->call, loader, &summary), DP_CONFLICT, "");
        test_store_hook(w->store, NULL, NULL);
        struct index_reader *reader = NULL;
        enum dp_status status = index_open(&w->call, w->store, span_str("rows"), &reader);
        assert_int_equal(status, again ? DP_OK : DP_NOT_FOUND);
        if (reader)
            model_check_stats(w, reader, &(struct model){0});
        index_close(reader);
        log_deinit(&log);
    }
}

/* A call that ends between the two steps gives its load up. */
static void test_index_a_cancelled_load_becomes_void(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    struct index_load_summary summary;
    begin_world(w, &log, &m);
    struct index_loader *loader = begin_load(w, 90, 190, 3);
    test_store_fate_at(w->store, "00000000000000000003", 1, TEST_STORE_SWALLOWED, DP_DENIED);
    must_fail(w, index_load_commit(&w->call, loader, &summary), DP_DENIED, "");
    follow_entry(&log); /* the void */
    check_whole(w, &m);
    assert_int_equal(pending_now(w), 0);
    log_deinit(&log);
}

/* ---- others meanwhile ------------------------------------------------------------------------------------ */

/* Acts before a fold writes its first .dpr object, or its manifest. */
struct before_fold {
    struct world *w;
    void (*act)(struct world *w);
    const char *key;
    bool acted;
};

static void act_before_fold(void *ctx, const struct test_store_op *op)
{
    struct before_fold *b = ctx;
    if (b->acted || op->kind != TEST_STORE_PUT || !strstr(op->key, b->key))
        return;
    b->acted = true;
    struct call call = b->w->call;
    struct arena arena;
    arena_init(&arena, 64 << 20);
    call_init(&b->w->call, &arena);
    b->act(b->w);
    b->w->call = call;
    arena_deinit(&arena);
}

static void fold_first(struct world *w)
{
    struct index_reader *reader;
    must(w, reader_open(&w->call, w->store, span_str("rows"), 0, w->clock, &reader));
    must_fold(w, reader);
    index_close(reader);
}

/* A fold that passes a load meets another fold, or a merge. */
static void fold_beside(struct world *w, void (*act)(struct world *w), const char *key)
{
    struct fixture_log log;
    struct model m;
    uint64_t random = 9;
    unsigned edition = 50;
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    begin_world(w, &log, &m);
    load_model(w, &m, 70, 170, 3);
    follow_entry(&log);
    model_put_entry(&log, &m, &random, &edition);
    load_model(w, &m, 150, 200, 4);
    follow_entry(&log);
    model_put_entry(&log, &m, &random, &edition);
    struct index_reader *reader = open_now(w);
    struct before_fold before = {w, act, key, false};
    test_store_hook(w->store, act_before_fold, &before);
    must_fold(w, reader);
    test_store_hook(w->store, NULL, NULL);
    assert_true(before.acted);
    model_ask(w, reader, &m, &random);
    index_close(reader);
    check_whole(w, &m);
    assert_int_equal(pending_now(w), 0);
    log_deinit(&log);
}

static void test_index_folds_of_loads_meet_others(void **state)
{
    static const char *const keys[] = {".dpr", ".del", "manifest.json"};
    for (size_t i = 0; i < 3; i++) {
        fold_beside(*state, fold_first, keys[i]);
        fold_beside(*state, merge_now, keys[i]);
    }
}

/* Lets a load become pending and void between a fold's read of the manifest, with some entries, and that of later
 * entries. */
static void give_up_before_read(void *ctx, const struct test_store_op *op)
{
    struct before_fold *b = ctx;
    if (b->acted || op->kind != TEST_STORE_READ || !strstr(op->key, b->key))
        return;
    b->acted = true;
    struct call call = b->w->call;
    struct arena arena;
    arena_init(&arena, 64 << 20);
    call_init(&b->w->call, &arena);
    leave_pending(b->w);
    assert_int_equal(give_up_pending(b->w).fate, LOAD_VOID);
    b->w->call = call;
    arena_deinit(&arena);
}

/* A fold whose manifest is older than the void of a load takes the load from the pending ones all the same. Else the
 * load would be open again, and a slow loader could still attach it. */
static void test_index_a_fold_meets_the_void_of_a_younger_load(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    uint64_t random = 7;
    unsigned edition = 30;
    begin_world(w, &log, &m);
    struct index_reader *reader = open_now(w);
    for (int i = 0; i < LOG_READ_SOME; i++) /* the round with the manifest does not find the log's end */
        model_put_entry(&log, &m, &random, &edition);
    struct before_fold before = {w, NULL, "/wal/", false};
    test_store_hook(w->store, give_up_before_read, &before);
    must_fold(w, reader);
    test_store_hook(w->store, NULL, NULL);
    assert_true(before.acted);
    assert_int_equal(pending_now(w), 0);
    index_close(reader);
    check_whole(w, &m);
    log_deinit(&log);
}

/* Two loads are pending at the same time; the one that is attached later wins. */
static void load_other(struct before_entry *b)
{
    struct index_load_summary summary;
    struct index_loader *loader;
    struct world *w = b->w;
    const struct index_vectors vectors = fixture_vectors(w);
    must(w, load_begin(&w->call, w->store, span_str("rows"), &vectors, NULL, w->clock, &loader));
    loader->leaves_fold = true;
    must(w, fixture_add(w, loader, 120, 220, 7));
    must(w, index_load_commit(&w->call, loader, &summary));
}

static void test_index_the_later_load_wins(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct model m;
    uint64_t random = 3;
    begin_world(w, &log, &m);
    struct index_reader *warm = open_now(w);
    struct before_entry before = {w, load_other, NULL, &m, false};
    struct index_loader *loader = begin_load(w, 90, 190, 3);
    struct index_load_summary summary;
    test_store_hook(w->store, act_before_entry, &before);
    must(w, index_load_commit(&w->call, loader, &summary));
    test_store_hook(w->store, NULL, NULL);
    note_rows(&m, 120, 220, 7);
    note_rows(&m, 90, 190, 3);
    model_ask(w, warm, &m, &random);
    index_close(warm);
    check_whole(w, &m);
    log_deinit(&log);
}

/* A namespace without vectors gets their kind from a load. One with another kind refuses the load. */
static void test_index_a_load_brings_the_kind_of_vectors(void **state)
{
    struct world *w = *state;
    struct model m = {0};
    const struct index_vectors none = {.dim = 0, .metric = w->metric};
    must(w, index_create(&w->call, w->store, span_str("rows"), &none, NULL, NULL));
    load_model(w, &m, 0, 50, 1);
    check_whole(w, &m);
    struct index_loader *loader;
    struct index_vectors other = fixture_vectors(w);
    other.dim++;
    must_fail(w, index_load_begin(&w->call, w->store, span_str("rows"), &other, NULL, &loader), DP_INVALID,
              "dimensions");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_index_loads_take_places_in_the_log, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_load_folds_the_log, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_loader_dies_at_each_write, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_load_finds_its_lost_puts, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_an_entry_of_a_load_comes_late, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_fold_needs_no_void, world_in_load_time, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_repair_makes_no_load_void, world_in_load_time, world_close),
        cmocka_unit_test_setup_teardown(test_index_an_abandoned_load_becomes_void, world_in_load_time,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_pending_load_is_verified, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_loader_that_was_given_up_stops, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_load_ends_with_its_life, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_cancelled_load_becomes_void, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_folds_of_loads_meet_others, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_fold_meets_the_void_of_a_younger_load, world_in_memory,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_the_later_load_wins, world_in_memory, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_load_brings_the_kind_of_vectors, world_in_memory,
                                        world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
