/* test_index_append.c: the protocol of one log number, whose puts are swallowed, come late or twice, or meet other
 * writers, collectors and deletions.
 */
#include "index_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "index/query/follow.h"
#include "index/wal/append.h"

/* The log of the namespace "rows", as a writer that has just read the manifest sees it. */
struct log {
    struct world *w;
    struct ulid incarnation;
    struct store_version version;
    struct index_clock clock;
    int64_t now_ns;
    size_t waits;
};

static const char OURS[] = "our entry", OTHERS[] = "the entry of another writer";

static int64_t log_now(void *ctx)
{
    return ((struct log *)ctx)->now_ns;
}

static enum dp_status log_wait(void *ctx, struct call *call, int64_t ms)
{
    struct log *l = ctx;
    l->now_ns += ms * 1000000;
    l->waits++;
    return call_check(call);
}

static enum dp_status log_random(void *ctx, void *out, size_t len, struct dp_error *error)
{
    (void)ctx, (void)error;
    memset(out, 0x5a, len);
    return DP_OK;
}

static void load_manifest(struct world *w, struct manifest *m, struct store_version *version)
{
    if (manifest_load(&w->call, w->store, span_str("rows"), m, version) != DP_OK)
        fail_msg("%s", w->call.error.message);
}

static void log_open(struct log *l, struct world *w)
{
    struct manifest m;
    *l = (struct log){.w = w, .clock = {.now_ns = log_now, .wait = log_wait, .random = log_random, .ctx = l}};
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
    fixture_must_load(w, "rows", 0, 3, 0);
    load_manifest(w, &m, &l->version);
    l->incarnation = m.incarnation;
    manifest_deinit(&m);
    test_store_reset(w->store);
}

static struct span entry_key(const struct log *l, uint64_t number, struct object_key *key)
{
    key_of_wal(key, span_str("rows"), &l->incarnation, number);
    return object_key_span(key);
}

/* Another writer's entry, put without any condition. */
static void put_entry(struct log *l, uint64_t number, const char *bytes)
{
    struct object_key key;
    struct store_put put = {.key = entry_key(l, number, &key), .body = span_str(bytes)};
    assert_int_equal(store_put(&l->w->call, test_store_inner(l->w->store), &put), DP_OK);
}

static void remove_entry(struct log *l, uint64_t number)
{
    struct object_key key;
    assert_int_equal(store_remove(&l->w->call, test_store_inner(l->w->store), entry_key(l, number, &key)), DP_OK);
}

static bool entry_is(struct log *l, uint64_t number, const char *bytes)
{
    struct object_key key;
    struct store_read_req req = {.key = entry_key(l, number, &key), .len = STORE_TO_END};
    bool same = store_read(&l->w->call, test_store_inner(l->w->store), &req, 1) == DP_OK &&
                span_equal_str(req.bytes.span, bytes);
    store_read_release(&req, 1);
    dp_error_clear(&l->w->call.error);
    return same;
}

static void store_manifest(struct log *l, struct manifest *m)
{
    struct buffer bytes;
    buffer_init(&bytes, MANIFEST_BYTES_MAX);
    m->sequence++;
    assert_int_equal(manifest_write(m, &bytes, &l->w->call.error), DP_OK);
    struct store_put put = {.key = span_str("rows/manifest.json"), .body = buffer_span(&bytes)};
    assert_int_equal(store_put(&l->w->call, test_store_inner(l->w->store), &put), DP_OK);
    buffer_deinit(&bytes);
    manifest_deinit(m);
}

/* A fold and a collector: entries up to `gone` may be deleted. */
static void raise_gone(struct log *l, uint64_t floor, uint64_t gone)
{
    struct manifest m;
    load_manifest(l->w, &m, NULL);
    m.wal_floor = floor;
    m.wal_gone = gone;
    store_manifest(l, &m);
}

/* Deletes the namespace; with `anew`, makes it again. */
static void end_life(struct log *l, bool anew)
{
    struct manifest m;
    struct ulid incarnation;
    load_manifest(l->w, &m, NULL);
    manifest_end_life(&m);
    assert_int_equal(os_ulid(incarnation.text, NULL), DP_OK);
    if (anew) {
        manifest_begin_life(&m, &incarnation);
        m.features = MANIFEST_FEATURE_LOG;
    }
    store_manifest(l, &m);
}

static enum dp_status append_ours(struct log *l, uint64_t number, struct wal_appended *out)
{
    const struct wal_put put = {.name = span_str("rows"),
                                .incarnation = &l->incarnation,
                                .number = number,
                                .bytes = span_str(OURS),
                                .known = &l->version,
                                .clock = &l->clock};
    enum dp_status status = wal_append(&l->w->call, l->w->store, &put, out);
    assert_int_equal(l->w->call.error.status, status);
    return status;
}

static size_t puts_of(struct log *l)
{
    size_t count, puts = 0;
    const struct test_store_op *ops = test_store_log(l->w->store, &count);
    for (size_t i = 0; i < count; i++)
        puts += ops[i].kind == TEST_STORE_PUT;
    return puts;
}

/* Returns whether the last operation was a read of the manifest: rule L2 wants a read that begins after the put
 * returned. */
static bool ends_with_manifest(struct log *l)
{
    size_t count;
    const struct test_store_op *ops = test_store_log(l->w->store, &count);
    return count >= 2 && ops[count - 1].kind == TEST_STORE_READ && strstr(ops[count - 1].key, "manifest.json");
}

/* ---- clear answers ------------------------------------------------------------------------------------------ */

static void test_index_append_costs_a_put_and_a_manifest(void **state)
{
    struct log l;
    struct wal_appended out;
    log_open(&l, *state);
    l.w->call.cost = (struct call_cost){0};
    assert_int_equal(append_ours(&l, 1, &out), DP_OK);
    assert_true(!out.lost && out.unchanged);
    assert_int_equal(l.w->call.cost.rounds, 2);
    assert_int_equal(l.w->call.cost.requests, 2);
    assert_true(ends_with_manifest(&l));
    assert_true(entry_is(&l, 1, OURS));
}

static void test_index_append_says_whether_the_manifest_changed(void **state)
{
    struct log l;
    struct wal_appended out;
    log_open(&l, *state);
    raise_gone(&l, 0, 0); /* another swap */
    assert_int_equal(append_ours(&l, 1, &out), DP_OK);
    assert_true(!out.lost && !out.unchanged);
    /* An entry is acknowledged though a fold has passed it, as long as nobody may have deleted it. */
    raise_gone(&l, 2, 1);
    assert_int_equal(append_ours(&l, 2, &out), DP_OK);
    assert_false(out.lost);
}

static void test_index_append_a_taken_number_is_a_lost_race(void **state)
{
    struct log l;
    struct wal_appended out;
    log_open(&l, *state);
    put_entry(&l, 1, OTHERS);
    assert_int_equal(append_ours(&l, 1, &out), DP_OK);
    assert_true(out.lost);
    assert_true(entry_is(&l, 1, OTHERS));
    assert_int_equal(puts_of(&l), 1);
    /* Our manifest was old: entry 1 is folded, but not deleted yet. The race is lost all the same. */
    raise_gone(&l, 1, 1);
    assert_int_equal(append_ours(&l, 1, &out), DP_OK);
    assert_true(out.lost);
}

static void test_index_append_a_clear_refusal_is_told_as_it_is(void **state)
{
    static const enum dp_status refusals[] = {DP_DENIED, DP_INVALID, DP_TOO_LARGE, DP_UNSUPPORTED, DP_FULL};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct log l;
        struct wal_appended out;
        log_open(&l, *state);
        test_store_fail_at(l.w->store, TEST_STORE_PUT, 1, refusals[i], false);
        assert_int_equal(append_ours(&l, 1, &out), refusals[i]);
        assert_int_equal(puts_of(&l), 1);
    }
}

/* A store that is full at the second copy of a put says nothing about the first. */
static void test_index_append_a_full_store_may_hold_the_entry(void **state)
{
    struct log l;
    struct wal_appended out;
    log_open(&l, *state);
    test_store_fail_at(l.w->store, TEST_STORE_PUT, 1, DP_FULL, true);
    assert_int_equal(append_ours(&l, 1, &out), DP_OK);
    assert_false(out.lost);
}

/* A store that refuses the first read of a log entry. */
static struct {
    struct store_ops ops;
    const struct store_ops *plain;
    bool refused;
} refuser;

static void read_refused(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    refuser.plain->read(call, store, reqs, n);
    if (refuser.refused || !memmem(reqs[0].key.data, reqs[0].key.len, "/wal/", 5))
        return;
    refuser.refused = true;
    store_bytes_release(&reqs[0].bytes);
    reqs[0].status = dp_fail(&reqs[0].error, DP_DENIED, "the keys have expired (test)");
}

/* A look that the store refuses does not show whether the number is free. */
static void test_index_append_a_refused_look_finds_nothing_out(void **state)
{
    struct log l;
    struct wal_appended out;
    log_open(&l, *state);
    struct store *inner = test_store_inner(l.w->store);
    memset(&refuser, 0, sizeof refuser);
    refuser.plain = inner->ops;
    refuser.ops = *inner->ops;
    refuser.ops.read = read_refused;
    inner->ops = &refuser.ops;
    test_store_fail_at(l.w->store, TEST_STORE_PUT, 1, DP_EXISTS, true);
    assert_int_equal(append_ours(&l, 1, &out), DP_OK);
    inner->ops = refuser.plain;
    assert_true(refuser.refused);
    assert_false(out.lost);
}

static void test_index_append_not_durable_is_no_success(void **state)
{
    struct log l;
    struct wal_appended out;
    log_open(&l, *state);
    test_store_fail_at(l.w->store, TEST_STORE_PUT, 1, DP_NOT_DURABLE, true);
    assert_int_equal(append_ours(&l, 1, &out), DP_NOT_DURABLE);
    assert_int_equal(puts_of(&l), 1);
}

/* ---- acknowledgement: L2 ------------------------------------------------------------------------------------- */

/* What happens between the put and the read of the manifest. */
struct meddler {
    struct log *l;
    void (*act)(struct log *l);
    bool done;
};

static void meddle(void *ctx, const struct test_store_op *op)
{
    struct meddler *m = ctx;
    if (m->done || op->kind != TEST_STORE_READ || !strstr(op->key, "manifest.json"))
        return;
    m->done = true;
    m->act(m->l);
}

static enum dp_status append_meddled(struct log *l, void (*act)(struct log *l), struct wal_appended *out)
{
    struct meddler m = {.l = l, .act = act};
    test_store_hook(l->w->store, meddle, &m);
    enum dp_status status = append_ours(l, 1, out);
    test_store_hook(l->w->store, NULL, NULL);
    assert_true(m.done);
    return status;
}

static void fold_and_collect(struct log *l)
{
    raise_gone(l, 1, 1);
}

static void fold_alone(struct log *l)
{
    raise_gone(l, 1, 0);
}

static void delete_namespace(struct log *l)
{
    end_life(l, false);
}

static void make_anew(struct log *l)
{
    end_life(l, true);
}

static void remove_manifest(struct log *l)
{
    assert_int_equal(store_remove(&l->w->call, test_store_inner(l->w->store), span_str("rows/manifest.json")),
                     DP_OK);
}

static void test_index_append_acknowledges_by_a_later_manifest_alone(void **state)
{
    static const struct {
        void (*act)(struct log *l);
        enum dp_status status;
    } cases[] = {
        {fold_alone, DP_OK},      {fold_and_collect, DP_UNKNOWN}, {delete_namespace, DP_CONFLICT},
        {make_anew, DP_CONFLICT}, {remove_manifest, DP_CONFLICT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log l;
        struct wal_appended out;
        log_open(&l, *state);
        if (append_meddled(&l, cases[i].act, &out) != cases[i].status)
            fail_msg("case %zu: %s", i, l.w->call.error.message);
        assert_int_equal(puts_of(&l), 1);
        assert_int_equal(out.ended, cases[i].status == DP_CONFLICT);
    }
}

/* The put landed; the manifest cannot be read at once. The entry is not put again. */
static void test_index_append_reads_the_manifest_again(void **state)
{
    struct log l;
    struct wal_appended out;
    log_open(&l, *state);
    test_store_fail_at(l.w->store, TEST_STORE_READ, 1, DP_UNAVAILABLE, false);
    assert_int_equal(append_ours(&l, 1, &out), DP_OK);
    assert_int_equal(puts_of(&l), 1);
    assert_int_equal(l.waits, 1);
}

/* Everything after the put fails: the outcome is unknown. */
static void kill_reads(void *ctx, const struct test_store_op *op)
{
    if (op->kind == TEST_STORE_READ)
        test_store_fail_at(ctx, TEST_STORE_READ, 1, DP_UNAVAILABLE, false);
}

static void test_index_append_without_a_manifest_is_unknown(void **state)
{
    struct log l;
    struct wal_appended out;
    log_open(&l, *state);
    test_store_hook(l.w->store, kill_reads, l.w->store);
    assert_int_equal(append_ours(&l, 1, &out), DP_UNKNOWN);
    test_store_hook(l.w->store, NULL, NULL);
    assert_int_equal(puts_of(&l), 1);
    assert_int_equal(l.waits, APPEND_TRIES - 1);
    assert_true(entry_is(&l, 1, OURS));
}

/* ---- unclear answers: L2, L11 -------------------------------------------------------------------------------- */

static const enum dp_status unclear[] = {DP_UNKNOWN, DP_UNAVAILABLE, DP_DEADLINE, DP_CANCELLED, DP_IO,
                                         DP_NOMEM,   DP_OVERLOADED,  DP_STALE,    DP_CORRUPT};
enum { UNCLEAR = sizeof unclear / sizeof *unclear };

static void test_index_append_a_lost_answer_is_found(void **state)
{
    for (size_t i = 0; i < UNCLEAR; i++) {
        struct log l;
        struct wal_appended out;
        log_open(&l, *state);
        test_store_fail_at(l.w->store, TEST_STORE_PUT, 1, unclear[i], true);
        assert_int_equal(append_ours(&l, 1, &out), DP_OK);
        assert_false(out.lost);
        assert_int_equal(puts_of(&l), 1);
        assert_true(ends_with_manifest(&l));
    }
}

static void test_index_append_a_swallowed_put_is_sent_again_under_its_number(void **state)
{
    for (size_t i = 0; i < UNCLEAR; i++) {
        struct log l;
        struct wal_appended out;
        log_open(&l, *state);
        test_store_fate_at(l.w->store, "0001", 1, TEST_STORE_SWALLOWED, unclear[i]);
        assert_int_equal(append_ours(&l, 1, &out), DP_OK);
        assert_false(out.lost);
        assert_int_equal(puts_of(&l), 2);
        assert_int_equal(l.waits, 1);
        assert_true(entry_is(&l, 1, OURS));
        assert_false(entry_is(&l, 2, OURS));
    }
}

static void test_index_append_a_put_that_is_sent_twice_is_one_entry(void **state)
{
    struct log l;
    struct wal_appended out;
    log_open(&l, *state);
    test_store_fate_at(l.w->store, "0001", 1, TEST_STORE_TWICE, DP_OK);
    assert_int_equal(append_ours(&l, 1, &out), DP_OK);
    assert_false(out.lost);
    assert_int_equal(puts_of(&l), 1);
}

/* The first put comes while the second one is on its way. */
static void deliver_before_second(void *ctx, const struct test_store_op *op)
{
    struct log *l = ctx;
    if (op->kind == TEST_STORE_PUT && puts_of(l) == 1) {
        struct call call;
        call_init(&call, &l->w->arena);
        assert_int_equal(test_store_deliver(l->w->store, &call), DP_OK);
    }
}

static void test_index_append_a_late_put_and_its_repeat_are_one_entry(void **state)
{
    struct log l;
    struct wal_appended out;
    log_open(&l, *state);
    test_store_fate_at(l.w->store, "0001", 1, TEST_STORE_LATE, DP_UNKNOWN);
    test_store_hook(l.w->store, deliver_before_second, &l);
    assert_int_equal(append_ours(&l, 1, &out), DP_OK);
    test_store_hook(l.w->store, NULL, NULL);
    assert_false(out.lost);
    assert_int_equal(puts_of(&l), 2);
}

/* Nobody knows the outcome as long as the put may still come; the writer repeats it and then stops. */
static void swallow_all(void *ctx, const struct test_store_op *op)
{
    struct log *l = ctx;
    if (op->kind == TEST_STORE_PUT)
        test_store_fate_at(l->w->store, "", 1, puts_of(l) ? TEST_STORE_SWALLOWED : TEST_STORE_LATE, DP_UNKNOWN);
}

static void test_index_append_a_put_that_may_still_come_is_unknown(void **state)
{
    struct log l;
    struct wal_appended out;
    log_open(&l, *state);
    test_store_hook(l.w->store, swallow_all, &l);
    assert_int_equal(append_ours(&l, 1, &out), DP_UNKNOWN);
    test_store_hook(l.w->store, NULL, NULL);
    assert_int_equal(puts_of(&l), APPEND_TRIES);
    assert_int_equal(test_store_deliver(l.w->store, &l.w->call), DP_OK);
    assert_true(entry_is(&l, 1, OURS));
}

/* The caller gives up after the put. A last look decides, if it can. */
static void cancel_at_put(void *ctx, const struct test_store_op *op)
{
    if (op->kind == TEST_STORE_PUT)
        atomic_store((_Atomic bool *)ctx, true);
}

static void test_index_append_a_cancelled_write_is_looked_for_once(void **state)
{
    for (int landed = 0; landed < 2; landed++) {
        struct log l;
        struct wal_appended out;
        _Atomic bool cancelled = false;
        log_open(&l, *state);
        test_store_hook(l.w->store, cancel_at_put, &cancelled);
        test_store_fail_at(l.w->store, TEST_STORE_PUT, 1, DP_CANCELLED, landed);
        l.w->call.cancelled = &cancelled;
        assert_int_equal(append_ours(&l, 1, &out), landed ? DP_OK : DP_UNKNOWN);
        test_store_hook(l.w->store, NULL, NULL);
        l.w->call.cancelled = NULL;
        assert_int_equal(puts_of(&l), 1);
    }
}

static void test_index_append_nothing_is_sent_for_a_cancelled_call(void **state)
{
    struct log l;
    struct wal_appended out;
    _Atomic bool cancelled = true;
    log_open(&l, *state);
    l.w->call.cancelled = &cancelled;
    assert_int_equal(append_ours(&l, 1, &out), DP_CANCELLED);
    assert_int_equal(puts_of(&l), 0);
}

/* ---- an unclear put, and another's entry: T3 ------------------------------------------------------------------- */

/* Before the second try the others act. */
static void others_act(void *ctx, const struct test_store_op *op)
{
    struct meddler *m = ctx;
    if (m->done || op->kind != TEST_STORE_PUT || puts_of(m->l) != 1)
        return;
    m->done = true;
    m->act(m->l);
}

static void others_win(struct log *l)
{
    put_entry(l, 1, OTHERS);
}

/* Our first put landed late, was folded and deleted; then a put of a slow writer took the number. */
static void zombie_takes_number(struct log *l)
{
    struct call call;
    call_init(&call, &l->w->arena);
    assert_int_equal(test_store_deliver(l->w->store, &call), DP_OK);
    raise_gone(l, 1, 1);
    remove_entry(l, 1);
    put_entry(l, 1, OTHERS);
}

static void test_index_append_another_entry_after_an_unclear_put(void **state)
{
    static const struct {
        void (*act)(struct log *l);
        enum dp_status status;
    } cases[] = {{others_win, DP_OK}, {zombie_takes_number, DP_UNKNOWN}};
    for (size_t i = 0; i < 2; i++) {
        struct log l;
        struct wal_appended out;
        log_open(&l, *state);
        struct meddler m = {.l = &l, .act = cases[i].act};
        test_store_fate_at(l.w->store, "0001", 1, TEST_STORE_LATE, DP_UNKNOWN);
        test_store_hook(l.w->store, others_act, &m);
        assert_int_equal(append_ours(&l, 1, &out), cases[i].status);
        test_store_hook(l.w->store, NULL, NULL);
        assert_true(m.done);
        assert_int_equal(out.lost, cases[i].status == DP_OK);
        assert_true(ends_with_manifest(&l));
    }
}

/* A put that stalled for hours, whose first copy may have been collected meanwhile. */
static void stall(void *ctx, const struct test_store_op *op)
{
    struct log *l = ctx;
    if (op->kind == TEST_STORE_PUT)
        l->now_ns += 2 * FOLLOW_GRACE_NS;
}

static void test_index_append_a_stalled_put_and_another_entry(void **state)
{
    for (uint64_t gone = 0; gone < 2; gone++) {
        struct log l;
        struct wal_appended out;
        log_open(&l, *state);
        put_entry(&l, 1, OTHERS);
        raise_gone(&l, 1, gone);
        test_store_hook(l.w->store, stall, &l);
        assert_int_equal(append_ours(&l, 1, &out), gone ? DP_UNKNOWN : DP_OK);
        test_store_hook(l.w->store, NULL, NULL);
        assert_int_equal(out.lost, !gone);
        assert_true(ends_with_manifest(&l));
    }
}

/* The number was taken when the put came, and is free when we look. */
static void free_number(void *ctx, const struct test_store_op *op)
{
    struct log *l = ctx;
    if (op->kind == TEST_STORE_READ && strstr(op->key, "0001"))
        remove_entry(l, 1);
}

static void test_index_append_a_number_that_is_free_again_is_unknown(void **state)
{
    struct log l;
    struct wal_appended out;
    log_open(&l, *state);
    put_entry(&l, 1, OTHERS);
    test_store_hook(l.w->store, free_number, &l);
    assert_int_equal(append_ours(&l, 1, &out), DP_UNKNOWN);
    test_store_hook(l.w->store, NULL, NULL);
    assert_int_equal(puts_of(&l), 1);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_append_costs_a_put_and_a_manifest),
        IN_MEMORY(test_index_append_says_whether_the_manifest_changed),
        IN_MEMORY(test_index_append_a_taken_number_is_a_lost_race),
        IN_MEMORY(test_index_append_a_clear_refusal_is_told_as_it_is),
        IN_MEMORY(test_index_append_a_refused_look_finds_nothing_out),
        IN_MEMORY(test_index_append_a_full_store_may_hold_the_entry),
        IN_MEMORY(test_index_append_not_durable_is_no_success),
        IN_MEMORY(test_index_append_acknowledges_by_a_later_manifest_alone),
        IN_MEMORY(test_index_append_reads_the_manifest_again),
        IN_MEMORY(test_index_append_without_a_manifest_is_unknown),
        IN_MEMORY(test_index_append_a_lost_answer_is_found),
        IN_MEMORY(test_index_append_a_swallowed_put_is_sent_again_under_its_number),
        IN_MEMORY(test_index_append_a_put_that_is_sent_twice_is_one_entry),
        IN_MEMORY(test_index_append_a_late_put_and_its_repeat_are_one_entry),
        IN_MEMORY(test_index_append_a_put_that_may_still_come_is_unknown),
        IN_MEMORY(test_index_append_a_cancelled_write_is_looked_for_once),
        IN_MEMORY(test_index_append_nothing_is_sent_for_a_cancelled_call),
        IN_MEMORY(test_index_append_another_entry_after_an_unclear_put),
        IN_MEMORY(test_index_append_a_stalled_put_and_another_entry),
        IN_MEMORY(test_index_append_a_number_that_is_free_again_is_unknown),
    };
    return test_run(tests);
}
