/* test_index_swap.c: swaps of a manifest whose puts are swallowed, come late or twice, or meet other writers. */
#include "index_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "index/segment/format.h"

enum { OLD_ROWS = 300, NEW_FROM = 200, NEW_TO = 420, ALL_LISTS = 100000 };

static const struct expected before = {.rows = OLD_ROWS};
static const struct expected after = {
    .rows = OLD_ROWS, .newer_from = NEW_FROM, .newer_to = NEW_TO, .newer_edition = 1};

static void check_rows(struct world *w, const struct expected *e, uint64_t total)
{
    struct index_stats stats;
    call_init(&w->call, &w->arena);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    assert_int_equal(stats.rows, total);
    assert_true(fixture_check_answers(w, reader, e, 3, 20, ALL_LISTS) >= 0.999);
    index_close(reader);
}

static size_t removals(struct world *w)
{
    size_t count, n = 0;
    const struct test_store_op *log = test_store_log(w->store, &count);
    for (size_t i = 0; i < count; i++)
        n += log[i].kind == TEST_STORE_REMOVE;
    return n;
}

/* ---- a clock of the test's ---------------------------------------------------------------------------------- */

struct fake_clock {
    struct index_clock clock;
    int64_t now_ns, waited_ms, longest_ms;
    size_t waits;
    void (*at_wait)(void *ctx, size_t wait); /* or NULL */
    void *ctx;
};

static int64_t fake_now(void *ctx)
{
    return ((struct fake_clock *)ctx)->now_ns;
}

static enum dp_status fake_wait(void *ctx, struct call *call, int64_t ms)
{
    struct fake_clock *c = ctx;
    c->now_ns += ms * 1000000;
    c->waited_ms += ms;
    c->longest_ms = ms > c->longest_ms ? ms : c->longest_ms;
    c->waits++;
    if (c->at_wait)
        c->at_wait(c->ctx, c->waits);
    return call_check(call);
}

static void fake_clock_init(struct fake_clock *c)
{
    *c = (struct fake_clock){.clock = index_system_clock};
    c->clock.now_ns = fake_now;
    c->clock.wait = fake_wait;
    c->clock.ctx = c;
}

/* The load of the new rows, by that clock. */
static enum dp_status load_new(struct world *w, const struct index_clock *clock,
                               struct index_load_summary *summary)
{
    w->clock = clock;
    enum dp_status status = fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, summary);
    w->clock = NULL;
    return status;
}

/* ---- puts that do not simply arrive ------------------------------------------------------------------------- */

/* The statuses of a put that may still be carried out. */
static const enum dp_status unclear[] = {DP_UNKNOWN, DP_UNAVAILABLE, DP_DEADLINE,   DP_CANCELLED,
                                         DP_IO,      DP_NOMEM,       DP_OVERLOADED, DP_STALE,
                                         DP_CORRUPT, DP_DENIED,      DP_UNSUPPORTED};
enum { UNCLEAR = sizeof unclear / sizeof *unclear };

static void fresh_store(struct world *w)
{
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
    test_store_reset(w->store);
}

static void cancel_at_manifest(void *ctx, const struct test_store_op *op)
{
    if (op->kind == TEST_STORE_PUT && strstr(op->key, "manifest.json"))
        atomic_store((_Atomic bool *)ctx, true);
}

/* The load removes no object of a manifest that was sent, whatever the store answers. So if the manifest comes late,
 * the namespace is whole. */
static void test_index_a_manifest_that_comes_late_finds_its_objects(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < UNCLEAR; i++) {
        struct index_load_summary summary;
        _Atomic bool cancelled = false;
        fresh_store(w);
        w->call.cancelled = &cancelled;
        test_store_hook(w->store, cancel_at_manifest, &cancelled); /* and the caller gives up */
        test_store_fate_at(w->store, "manifest.json", 1, TEST_STORE_LATE, unclear[i]);
        enum dp_status status = fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary);
        bool refused = unclear[i] == DP_DENIED || unclear[i] == DP_UNSUPPORTED;
        if (status != (refused ? unclear[i] : DP_UNKNOWN))
            fail_msg("%s is told as %s", dp_status_name(unclear[i]), dp_status_name(status));
        assert_int_equal(w->call.error.status, status);
        if (!refused)
            assert_non_null(strstr(w->call.error.message, "load the same rows again"));
        test_store_hook(w->store, NULL, NULL);
        assert_int_equal(removals(w), 0);
        check_rows(w, &before, OLD_ROWS);
        assert_int_equal(test_store_deliver(w->store, &w->call), DP_OK);
        check_rows(w, &after, NEW_TO);
        fixture_must_load(w, "rows", NEW_FROM, NEW_TO, 1); /* the repeat that the message calls safe */
        check_rows(w, &after, NEW_TO);
    }
}

static void test_index_a_swallowed_manifest_is_sent_again(void **state)
{
    struct world *w = *state;
    struct fake_clock c;
    struct index_load_summary summary;
    fake_clock_init(&c);
    fresh_store(w);
    test_store_fate_at(w->store, "manifest.json", 1, TEST_STORE_SWALLOWED, DP_UNKNOWN);
    assert_int_equal(load_new(w, &c.clock, &summary), DP_OK);
    assert_int_equal(summary.replaced, OLD_ROWS - NEW_FROM);
    assert_int_equal(c.waits, 1);
    check_rows(w, &after, NEW_TO);
}

/* The late put comes while the second one is on its way: one of them is carried out. */
struct courier {
    struct world *w;
    struct call call;
    size_t puts;
    enum dp_status delivered;
};

static void deliver_before_second(void *ctx, const struct test_store_op *op)
{
    struct courier *c = ctx;
    if (op->kind == TEST_STORE_PUT && strstr(op->key, "manifest.json") && ++c->puts == 2)
        c->delivered = test_store_deliver(c->w->store, &c->call);
}

static void test_index_a_late_manifest_and_its_repeat_make_one_change(void **state)
{
    struct world *w = *state;
    struct fake_clock c;
    struct index_load_summary summary;
    fake_clock_init(&c);
    fresh_store(w);
    struct courier courier = {.w = w, .delivered = DP_NOT_FOUND};
    call_init(&courier.call, &w->arena);
    test_store_hook(w->store, deliver_before_second, &courier);
    test_store_fate_at(w->store, "manifest.json", 1, TEST_STORE_LATE, DP_UNKNOWN);
    assert_int_equal(load_new(w, &c.clock, &summary), DP_OK);
    test_store_hook(w->store, NULL, NULL);
    assert_int_equal(courier.delivered, DP_OK);
    assert_int_equal(summary.total_rows, NEW_TO);
    check_rows(w, &after, NEW_TO);
}

static void test_index_a_manifest_that_is_sent_twice_is_one_change(void **state)
{
    struct world *w = *state;
    for (int first = 0; first < 2; first++) {
        struct index_load_summary summary;
        fresh_store(w);
        const char *name = first ? "new" : "rows"; /* the second copy is refused: EXISTS or CONFLICT */
        test_store_fate_at(w->store, "manifest.json", 1, TEST_STORE_TWICE, DP_OK);
        assert_int_equal(fixture_load(w, name, NEW_FROM, NEW_TO, 1, &summary), DP_OK);
        assert_int_equal(summary.total_rows, first ? NEW_TO - NEW_FROM : NEW_TO);
        if (!first)
            check_rows(w, &after, NEW_TO);
    }
}

/* Ends the swap between the refusal of the second copy and the look at the first. */
enum interruption { LOOK_FAILS, LOOKS_FAIL, CALL_ENDS, INTERRUPTIONS };

struct interrupter {
    struct world *w;
    enum interruption kind;
    _Atomic bool cancelled;
};

static void interrupt(void *ctx, const struct test_store_op *op)
{
    struct interrupter *r = ctx;
    bool manifest = strstr(op->key, "manifest.json") != NULL;
    bool look = op->kind == TEST_STORE_READ && r->kind == LOOKS_FAIL && r->cancelled;
    if (!manifest || (op->kind != TEST_STORE_PUT && !look))
        return;
    if (op->kind == TEST_STORE_READ || r->kind == LOOK_FAILS)
        test_store_fail_at(r->w->store, TEST_STORE_READ, 1, DP_UNAVAILABLE, false);
    r->cancelled = true;
}

static void test_index_a_change_that_was_made_is_never_told_as_refused(void **state)
{
    struct world *w = *state;
    for (enum interruption kind = 0; kind < INTERRUPTIONS; kind++) {
        struct index_load_summary summary;
        struct interrupter interrupter = {.w = w, .kind = kind};
        fresh_store(w);
        if (kind == CALL_ENDS)
            w->call.cancelled = &interrupter.cancelled;
        test_store_hook(w->store, interrupt, &interrupter);
        test_store_fate_at(w->store, "manifest.json", 1, TEST_STORE_TWICE, DP_OK);
        enum dp_status status = fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary);
        assert_int_equal(status, kind == LOOKS_FAIL ? DP_UNKNOWN : DP_OK);
        test_store_hook(w->store, NULL, NULL);
        test_store_fail_at(w->store, TEST_STORE_READ, 0, DP_OK, false);
        check_rows(w, &after, NEW_TO);
    }
}

/* A store that is full at the second copy of a manifest says nothing about the first. */
static void test_index_a_full_store_has_objects_removed_behind_a_look_alone(void **state)
{
    struct world *w = *state;
    for (int landed = 0; landed < 2; landed++) {
        for (int blind = 0; blind < 2; blind++) {
            struct index_load_summary summary;
            struct interrupter interrupter = {.w = w, .kind = LOOKS_FAIL};
            fresh_store(w);
            if (blind)
                test_store_hook(w->store, interrupt, &interrupter);
            test_store_fail_at(w->store, TEST_STORE_PUT, 4, DP_FULL, landed); /* .ivf, .dpr, .del; the manifest */
            enum dp_status status = fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary);
            test_store_hook(w->store, NULL, NULL);
            test_store_fail_at(w->store, TEST_STORE_READ, 0, DP_OK, false);
            assert_int_equal(status, blind ? DP_UNKNOWN : landed ? DP_OK : DP_FULL);
            assert_int_equal(removals(w), status == DP_FULL ? 3 : 0);
            check_rows(w, landed ? &after : &before, landed ? NEW_TO : OLD_ROWS);
        }
    }
}

/* The manifest is visible, but the store cannot promise to keep it. No look can mend that. */
static void test_index_a_manifest_that_is_not_durable_is_no_success(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    size_t count, looks = 0, put_at = SIZE_MAX;
    fresh_store(w);
    test_store_fail_at(w->store, TEST_STORE_PUT, 4, DP_NOT_DURABLE, true);
    assert_int_equal(fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary), DP_NOT_DURABLE);
    assert_int_equal(w->call.error.status, DP_NOT_DURABLE);
    assert_non_null(strstr(w->call.error.message, "load the same rows again"));
    assert_int_equal(removals(w), 0);
    const struct test_store_op *log = test_store_log(w->store, &count);
    for (size_t i = 0; i < count; i++) {
        if (log[i].kind == TEST_STORE_PUT && strstr(log[i].key, "manifest.json"))
            put_at = i;
        looks += put_at < i && log[i].kind == TEST_STORE_READ;
    }
    assert_int_equal(looks, 0);
    check_rows(w, &after, NEW_TO);
    fixture_must_load(w, "rows", NEW_FROM, NEW_TO, 1);
    check_rows(w, &after, NEW_TO);
}

/* ---- many swaps of others between a lost answer and the look -------------------------------------------------- */

struct storm {
    struct world own;
    bool armed, busy, done;
    size_t loads;
    uint64_t next;
};

/* Before the look that follows our put, others load. The first of them writes row 400 again. */
static void storm_acts(void *ctx, const struct test_store_op *op)
{
    struct storm *r = ctx;
    bool manifest = strstr(op->key, "rows/manifest.json") != NULL;
    if (r->busy || r->done || !manifest)
        return;
    if (op->kind == TEST_STORE_PUT)
        r->armed = true;
    if (!r->armed || op->kind != TEST_STORE_READ)
        return;
    r->busy = true;
    for (size_t i = 0; i < r->loads; i++) {
        uint64_t row = i == 0 ? 400 : r->next++;
        arena_reset(&r->own.arena);
        fixture_must_load(&r->own, "rows", row, row + 1, 2);
    }
    r->busy = false;
    r->done = true;
}

static void weather(struct world *w, size_t loads)
{
    struct storm storm = {.own = *w, .loads = loads, .next = 5000};
    struct index_clock strangers = index_system_clock; /* each load by another process */
    struct index_load_summary summary;
    struct index_answer answer;
    float query[FIXTURE_DIM];
    fresh_store(w);
    strangers.process = NULL;
    storm.own.store = w->store;
    storm.own.clock = &strangers;
    arena_init(&storm.own.arena, 512 << 20);
    call_init(&storm.own.call, &storm.own.arena);
    test_store_hook(w->store, storm_acts, &storm);
    test_store_fail_at(w->store, TEST_STORE_PUT, 4, DP_UNKNOWN, true); /* .ivf, .dpr, .del; the manifest landed */
    assert_int_equal(fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary), DP_OK);
    test_store_hook(w->store, NULL, NULL);
    assert_true(storm.done);
    arena_deinit(&storm.own.arena);
    /* The other writer's row 400 was acknowledged after ours: it must not have gone back. */
    struct index_reader *reader = fixture_open(w, "rows");
    fixture_vector(w, 400, 0, 2, query);
    struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 1, .nprobe = ALL_LISTS};
    assert_int_equal(index_query(&w->call, reader, &q, &answer), DP_OK);
    assert_int_equal(fixture_row_of(answer.hits[0].id), 400);
    assert_true(answer.hits[0].dist < 1e-5F);
    index_close(reader);
}

static void test_index_a_landed_swap_is_found_behind_many_others(void **state)
{
    static const size_t loads[] = {1, 31, 32, 33, 40};
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++)
        weather(*state, loads[i]);
}

/* ---- swaps of nothing, to see the swap alone ------------------------------------------------------------------- */

struct counted {
    size_t applied, sent;
};

static enum dp_status count_apply(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    struct counted *c = context;
    (void)call, (void)m, (void)needed;
    assert_true(exists);
    c->applied++;
    return DP_OK;
}

static void count_sent(void *context)
{
    ((struct counted *)context)->sent++;
}

static bool shows_nothing(const void *context, const struct manifest *m)
{
    (void)context, (void)m;
    return false;
}

static const struct manifest_edit nothing = {count_apply, count_sent, shows_nothing, false};

static enum dp_status swap_nothing(struct call *call, struct store *store, const struct index_clock *clock,
                                   struct counted *c)
{
    struct manifest m;
    enum dp_status status = manifest_swap(call, store, span_str("rows"), &nothing, c, clock, &m);
    if (status == DP_OK)
        manifest_deinit(&m);
    return status;
}

struct crowd {
    struct world *w;
    struct call call;
    size_t swaps;
};

/* Each of these swaps is made by another process. */
static void crowd_acts(void *ctx, size_t wait)
{
    struct crowd *r = ctx;
    struct counted others = {0};
    struct index_clock strangers = index_system_clock;
    strangers.process = NULL;
    (void)wait;
    for (size_t i = 0; i < r->swaps; i++) {
        arena_reset(r->call.arena);
        assert_int_equal(swap_nothing(&r->call, r->w->store, &strangers, &others), DP_OK);
    }
}

/* So many swaps that our writer may have been forgotten: the outcome is unknown, and nothing is sent again. */
static void test_index_a_forgotten_swap_is_unknown(void **state)
{
    struct world *w = *state;
    struct arena arena;
    arena_init(&arena, 64 << 20);
    for (int landed = 0; landed < 2; landed++) {
        for (size_t swaps = MANIFEST_WRITERS_MAX - 2; swaps <= MANIFEST_WRITERS_MAX + 1; swaps++) {
            struct fake_clock c;
            struct counted ours = {0};
            struct crowd crowd = {.w = w, .swaps = swaps};
            fresh_store(w);
            fake_clock_init(&c);
            call_init(&crowd.call, &arena);
            c.at_wait = crowd_acts;
            c.ctx = &crowd;
            test_store_fail_at(w->store, TEST_STORE_PUT, 1, DP_UNKNOWN, landed);
            enum dp_status status = swap_nothing(&w->call, w->store, &c.clock, &ours);
            size_t since = swaps + (size_t)landed; /* swaps after the one that we expected to replace */
            if (since <= MANIFEST_WRITERS_MAX)
                assert_int_equal(status, DP_OK);
            else
                assert_int_equal(status, DP_UNKNOWN);
            assert_int_equal(ours.sent, since > MANIFEST_WRITERS_MAX || landed ? 1 : 2);
        }
    }
    arena_deinit(&arena);
}

/* A put that was refused is not sent again either: the refusal may be that of its second copy. */
static void test_index_a_forgotten_swap_that_was_sent_twice_is_not_made_again(void **state)
{
    struct world *w = *state;
    struct arena arena;
    arena_init(&arena, 64 << 20);
    for (size_t swaps = MANIFEST_WRITERS_MAX - 1; swaps <= MANIFEST_WRITERS_MAX; swaps++) {
        struct fake_clock c;
        struct counted ours = {0};
        struct crowd crowd = {.w = w, .swaps = swaps};
        fresh_store(w);
        fake_clock_init(&c);
        call_init(&crowd.call, &arena);
        c.at_wait = crowd_acts;
        c.ctx = &crowd;
        test_store_fate_at(w->store, "manifest.json", 1, TEST_STORE_TWICE, DP_OK);
        assert_int_equal(swap_nothing(&w->call, w->store, &c.clock, &ours),
                         swaps < MANIFEST_WRITERS_MAX ? DP_OK : DP_UNKNOWN);
        assert_int_equal(ours.sent, 1);
    }
    arena_deinit(&arena);
}

static void let_time_pass(void *ctx, size_t wait)
{
    struct fake_clock *c = ctx;
    (void)wait;
    c->now_ns += ((int64_t)SWAP_LOOK_MAX_MS + 1) * 1000000;
}

static void test_index_a_late_look_decides_nothing(void **state)
{
    struct world *w = *state;
    struct fake_clock c;
    struct counted ours = {0};
    fresh_store(w);
    fake_clock_init(&c);
    c.at_wait = let_time_pass;
    c.ctx = &c;
    test_store_fate_at(w->store, "manifest.json", 1, TEST_STORE_SWALLOWED, DP_UNKNOWN);
    assert_int_equal(swap_nothing(&w->call, w->store, &c.clock, &ours), DP_UNKNOWN);
    assert_int_equal(ours.sent, 1);
    /* A late look that finds the change still counts. */
    ours = (struct counted){0};
    test_store_fail_at(w->store, TEST_STORE_PUT, 1, DP_UNKNOWN, true);
    assert_int_equal(swap_nothing(&w->call, w->store, &c.clock, &ours), DP_OK);
    assert_int_equal(ours.sent, 1);
}

static enum dp_status overfill(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    (void)call, (void)context, (void)exists, (void)needed;
    m->segments[0].hot_len = SEGMENT_HOT_MAX + 1;
    return DP_OK;
}

/* A writer that exceeds a limit fails as too large; nothing in the store is damaged. */
static void test_index_a_change_beyond_a_limit_is_too_large(void **state)
{
    struct world *w = *state;
    struct manifest m;
    struct counted ours = {0};
    const struct manifest_edit too_much = {overfill, count_sent, shows_nothing, false};
    fresh_store(w);
    assert_int_equal(manifest_swap(&w->call, w->store, span_str("rows"), &too_much, &ours, NULL, &m),
                     DP_TOO_LARGE);
    assert_int_equal(w->call.error.status, DP_TOO_LARGE);
    assert_int_equal(ours.sent, 0);
}

/* ---- writers of a process ---------------------------------------------------------------------------------------- */

/* The loads of one process have as many places among the writers as the process has swaps at the same time. */
static void test_index_a_process_has_one_place_among_the_writers(void **state)
{
    struct world *w = *state;
    struct manifest m;
    struct storm storm = {.own = *w, .loads = 40, .next = 5000};
    struct index_load_summary summary;
    fresh_store(w);
    storm.own.store = w->store;
    arena_init(&storm.own.arena, 512 << 20);
    call_init(&storm.own.call, &storm.own.arena);
    test_store_hook(w->store, storm_acts, &storm);
    test_store_fail_at(w->store, TEST_STORE_PUT, 4, DP_UNKNOWN, true); /* .ivf, .dpr, .del; the manifest landed */
    assert_int_equal(fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary), DP_OK);
    test_store_hook(w->store, NULL, NULL);
    for (uint64_t i = 0; i < 40; i++)
        fixture_must_load(w, "rows", 7000 + i, 7001 + i, 0);
    assert_int_equal(manifest_load(&w->call, w->store, span_str("rows"), &m, NULL), DP_OK);
    assert_int_equal(m.sequence, 1 + 1 + 40 + 40);
    assert_int_equal(m.writer_count, 2);
    assert_int_equal(m.writers_gone, 0);
    manifest_deinit(&m);
    arena_deinit(&storm.own.arena);
}

/* The put of a swap that ended as unknown comes while the process makes its next swap, on the same version and
 * with the same sequence. The next swap does not take that put for its own. */
static void test_index_a_writer_of_an_unknown_swap_is_not_used_again(void **state)
{
    struct world *w = *state;
    struct fake_clock c;
    struct counted first = {0}, second = {0};
    struct manifest m;
    fresh_store(w);
    fake_clock_init(&c);
    c.at_wait = let_time_pass;
    c.ctx = &c;
    test_store_fate_at(w->store, "manifest.json", 1, TEST_STORE_LATE, DP_UNKNOWN);
    assert_int_equal(swap_nothing(&w->call, w->store, &c.clock, &first), DP_UNKNOWN);
    struct courier courier = {.w = w, .delivered = DP_NOT_FOUND, .puts = 1};
    call_init(&courier.call, &w->arena);
    call_init(&w->call, &w->arena);
    fake_clock_init(&c);
    test_store_hook(w->store, deliver_before_second, &courier);
    assert_int_equal(swap_nothing(&w->call, w->store, &c.clock, &second), DP_OK);
    test_store_hook(w->store, NULL, NULL);
    assert_int_equal(courier.delivered, DP_OK);
    assert_int_equal(second.applied, 2);
    assert_int_equal(manifest_load(&w->call, w->store, span_str("rows"), &m, NULL), DP_OK);
    assert_int_equal(m.sequence, 3); /* the load, the late swap, the next one */
    manifest_deinit(&m);
}

/* A fork must not swap under the name of its parent. */
static void test_index_a_fork_has_its_own_writers(void **state)
{
    (void)state;
    struct index_process process = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct index_clock clock = index_system_clock;
    char writer[ULID_LEN + 1];
    clock.process = &process;
    assert_false(index_take_writer(&clock, writer));
    index_give_writer(&clock, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_true(index_take_writer(&clock, writer));
    assert_string_equal(writer, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    index_give_writer(&clock, writer);
    process.locked.owner++; /* as if a parent had put it there */
    assert_false(index_take_writer(&clock, writer));
    for (int i = 0; i < 2 * INDEX_WRITERS_MAX; i++)
        index_give_writer(&clock, writer);
    assert_int_equal(process.locked.writer_count, INDEX_WRITERS_MAX);
}

/* ---- contention ------------------------------------------------------------------------------------------------ */

struct rude {
    struct crowd crowd;
    bool busy;
};

static void rude_acts(void *ctx, const struct test_store_op *op)
{
    struct rude *r = ctx;
    if (r->busy || op->kind != TEST_STORE_PUT)
        return;
    r->busy = true;
    crowd_acts(&r->crowd, 0);
    r->busy = false;
}

static void test_index_swaps_wait_longer_each_time(void **state)
{
    struct world *w = *state;
    struct arena arena;
    struct fake_clock c;
    struct counted ours = {0};
    fresh_store(w);
    fake_clock_init(&c);
    arena_init(&arena, 64 << 20);
    struct rude rude = {.crowd = {.w = w, .swaps = 1}};
    call_init(&rude.crowd.call, &arena);
    test_store_hook(w->store, rude_acts, &rude);
    assert_int_equal(swap_nothing(&w->call, w->store, &c.clock, &ours), DP_CONFLICT);
    assert_non_null(strstr(w->call.error.message, "other writers were first 32 times"));
    assert_int_equal(ours.applied, SWAP_TRIES);
    assert_int_equal(c.waits, SWAP_TRIES - 1);
    printf("%zu waits, %lld ms in all, %lld ms the longest\n", c.waits, (long long)c.waited_ms,
           (long long)c.longest_ms);
    assert_true(c.longest_ms <= SWAP_WAIT_CAP_MS && c.longest_ms > SWAP_WAIT_CAP_MS / 4);
    assert_true(c.waited_ms > 10 * SWAP_WAIT_BASE_MS);
    /* No wait is longer than the call may last. */
    fake_clock_init(&c);
    call_init(&w->call, &w->arena);
    call_limit_ms(&w->call, 3000);
    assert_int_equal(swap_nothing(&w->call, w->store, &c.clock, &ours), DP_CONFLICT);
    assert_true(c.longest_ms <= 3000);
    test_store_hook(w->store, NULL, NULL);
    arena_deinit(&arena);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_a_manifest_that_comes_late_finds_its_objects),
        IN_MEMORY(test_index_a_swallowed_manifest_is_sent_again),
        IN_MEMORY(test_index_a_late_manifest_and_its_repeat_make_one_change),
        IN_MEMORY(test_index_a_manifest_that_is_sent_twice_is_one_change),
        IN_MEMORY(test_index_a_change_that_was_made_is_never_told_as_refused),
        IN_MEMORY(test_index_a_full_store_has_objects_removed_behind_a_look_alone),
        IN_MEMORY(test_index_a_manifest_that_is_not_durable_is_no_success),
        IN_MEMORY(test_index_a_landed_swap_is_found_behind_many_others),
        IN_MEMORY(test_index_a_forgotten_swap_is_unknown),
        IN_MEMORY(test_index_a_forgotten_swap_that_was_sent_twice_is_not_made_again),
        IN_MEMORY(test_index_a_late_look_decides_nothing),
        IN_MEMORY(test_index_a_change_beyond_a_limit_is_too_large),
        IN_MEMORY(test_index_a_process_has_one_place_among_the_writers),
        IN_MEMORY(test_index_a_writer_of_an_unknown_swap_is_not_used_again),
        IN_MEMORY(test_index_a_fork_has_its_own_writers),
        IN_MEMORY(test_index_swaps_wait_longer_each_time),
    };
    return test_run(tests);
}
