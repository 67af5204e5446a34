/* test_index_lives.c: loads into namespaces that are meanwhile removed, made again, collected, full, or written to
 * through a log; and which objects a load may remove.
 */
#include "index_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "os/clock.h"

enum { OLD_ROWS = 300, ALL_LISTS = 100000 };

static void expect(struct world *w, enum dp_status status, enum dp_status wanted, const char *words)
{
    if (status != wanted || !strstr(w->call.error.message, words))
        fail_msg("expected %s with \"%s\", not %s: %s", dp_status_name(wanted), words, dp_status_name(status),
                 w->call.error.message);
}

static struct store_listing list_all(struct world *w)
{
    struct store_listing page;
    assert_int_equal(store_list(&w->call, w->store, span_str(""), span_str(""), false, 5000, &page), DP_OK);
    return page;
}

static void remove_all(struct world *w)
{
    struct store_listing page = list_all(w);
    for (size_t i = 0; i < page.count; i++)
        assert_int_equal(store_remove(&w->call, w->store, page.entries[i].key), DP_OK);
}

static void load_manifest(struct world *w, struct manifest *m, struct store_version *version)
{
    if (manifest_load(&w->call, w->store, span_str("rows"), m, version) != DP_OK)
        fail_msg("%s", w->call.error.message);
}

/* Puts *m in place of the present manifest, and deinits it. */
static void store_manifest(struct world *w, struct manifest *m)
{
    struct buffer bytes;
    buffer_init(&bytes, MANIFEST_BYTES_MAX);
    assert_int_equal(manifest_write(m, &bytes, &w->call.error), DP_OK);
    struct store_put put = {.key = span_str("rows/manifest.json"), .body = buffer_span(&bytes)};
    assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
    buffer_deinit(&bytes);
    manifest_deinit(m);
}

/* ---- what is listed stays -------------------------------------------------------------------------------------- */

struct inventory {
    struct world *w;
    const struct manifest *m;
    size_t count;
};

static enum dp_status take_stock(void *context, const struct manifest_object *object)
{
    struct inventory *in = context;
    struct object_key key;
    struct store_info info;
    key_of_object(&key, span_str("rows"), &in->m->incarnation, object);
    if (store_head(&in->w->call, in->w->store, object_key_span(&key), &info) != DP_OK)
        fail_msg("%s is listed and missing", key.text);
    assert_int_equal(info.size, object->size);
    in->count++;
    return DP_OK;
}

/* Checks that all objects of the manifest are there. Returns their number. */
static size_t stock_of(struct world *w)
{
    struct manifest m;
    load_manifest(w, &m, NULL);
    struct inventory in = {.w = w, .m = &m};
    assert_int_equal(manifest_for_each_object(&m, take_stock, &in), DP_OK);
    manifest_deinit(&m);
    return in.count;
}

/* Fails when a load writes a kind of object that manifest_for_each_object does not know. */
static void test_index_every_object_of_a_load_is_enumerated(void **state)
{
    struct world *w = *state;
    w->windows = true;
    fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
    fixture_must_load(w, "rows", 200, 420, 1);
    assert_int_equal(stock_of(w), 5); /* two .ivf, two .dpr, one .del */
    assert_int_equal(list_all(w).count, 1 + 5);
    size_t count;
    const struct test_store_op *log = test_store_log(w->store, &count);
    for (size_t i = 0; i < count; i++)
        assert_int_not_equal(log[i].kind, TEST_STORE_REMOVE);
}

/* Loads end in every possible way; afterwards all listed objects are there. */
static void test_index_nothing_that_is_listed_is_ever_removed(void **state)
{
    static const enum dp_status statuses[] = {DP_UNKNOWN, DP_CONFLICT, DP_DENIED, DP_IO, DP_FULL, DP_NOT_DURABLE};
    struct world *w = *state;
    for (size_t i = 0; i < 2 * sizeof statuses / sizeof *statuses; i++) {
        for (size_t put = 1; put <= 4; put++) {
            struct index_load_summary summary;
            store_free(w->store);
            w->store = test_store_wrap(fixture_memory(w));
            world_reset(w);
            fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
            size_t stock = stock_of(w);
            test_store_fail_at(w->store, TEST_STORE_PUT, put, statuses[i / 2], i % 2);
            enum dp_status status = fixture_load(w, "rows", 200, 420, 1, &summary);
            call_init(&w->call, &w->arena);
            assert_true(stock_of(w) == (status == DP_OK ? stock + 3 : stock) || put == 4);
            if ((put == 4 && statuses[i / 2] != DP_FULL) || status == DP_OK)
                continue;
            /* No manifest was sent, or the store was full: nothing is unknown, and the load removed its objects. */
            assert_int_not_equal(status, DP_UNKNOWN);
            assert_int_not_equal(status, DP_NOT_DURABLE);
            assert_int_equal(list_all(w).count, 1 + stock);
        }
    }
}

/* ---- the end of a life ------------------------------------------------------------------------------------------ */

/* A load with three segments built and a fourth to come. */
static struct index_loader *long_load(struct world *w)
{
    struct index_loader *loader = fixture_begin(w, "rows");
    loader->segment_rows = 200;
    assert_int_equal(fixture_add(w, loader, 1000, 1700, 1), DP_OK);
    assert_int_equal(loader->segment_count, 3);
    return loader;
}

static void test_index_a_namespace_removed_under_a_load_stays_removed(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    struct index_reader *reader;
    for (int first = 0; first < 2; first++) { /* also a life that this load would have begun */
        if (!first)
            fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
        struct index_loader *loader = long_load(w);
        remove_all(w);
        expect(w, index_load_commit(&w->call, loader, &summary), DP_CONFLICT,
               "was removed while rows were loaded");
        assert_int_equal(list_all(w).count, 0);
        assert_int_equal(index_open(&w->call, w->store, span_str("rows"), &reader), DP_NOT_FOUND);
    }
}

static void test_index_a_load_does_not_enter_another_life(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
    struct index_loader *loader = long_load(w);
    remove_all(w);
    fixture_must_load(w, "rows", 0, 10, 2);
    expect(w, index_load_commit(&w->call, loader, &summary), DP_CONFLICT, "was removed while rows were loaded");
    assert_int_equal(list_all(w).count, 1 + 2);
    struct index_reader *reader = fixture_open(w, "rows");
    struct expected e = {.rows = 10, .edition = 2};
    assert_true(fixture_check_answers(w, reader, &e, 2, 10, ALL_LISTS) == 1.0);
    index_close(reader);
}

/* ---- objects that a collector takes ------------------------------------------------------------------------------- */

struct collector {
    struct world own;
    const char *at; /* acts before the first read of such a key */
    bool busy, done;
};

static enum dp_status remove_object(void *context, const struct manifest_object *object)
{
    struct inventory *in = context;
    struct object_key key;
    key_of_object(&key, span_str("rows"), &in->m->incarnation, object);
    assert_int_equal(store_remove(&in->w->call, in->w->store, object_key_span(&key)), DP_OK);
    return DP_OK;
}

/* Another writer replaces all rows, and a collector removes the objects that were listed before. */
static void collect(void *ctx, const struct test_store_op *op)
{
    struct collector *r = ctx;
    struct manifest m;
    if (r->busy || r->done || op->kind != TEST_STORE_READ || !strstr(op->key, r->at))
        return;
    r->busy = true;
    load_manifest(&r->own, &m, NULL);
    fixture_must_load(&r->own, "rows", 0, OLD_ROWS, 3);
    struct inventory in = {.w = &r->own, .m = &m};
    manifest_for_each_object(&m, remove_object, &in);
    manifest_deinit(&m);
    r->busy = false;
    r->done = true;
}

static void test_index_an_object_that_is_collected_meanwhile_means_again(void **state)
{
    struct world *w = *state;
    static const char *const at[] = {".dpr", ".del"};
    for (size_t i = 0; i < 2; i++) {
        struct index_load_summary summary;
        store_free(w->store);
        w->store = test_store_wrap(fixture_memory(w));
        world_reset(w);
        fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
        if (i == 1)
            fixture_must_load(w, "rows", 0, 10, 0); /* the first segment has a .del */
        struct collector gc = {.own = *w, .at = at[i]};
        arena_init(&gc.own.arena, 512 << 20);
        call_init(&gc.own.call, &gc.own.arena);
        test_store_hook(w->store, collect, &gc);
        enum dp_status status = fixture_load(w, "rows", 200, 420, 1, &summary);
        test_store_hook(w->store, NULL, NULL);
        if (status != DP_OK)
            fail_msg("%s: %s", at[i], w->call.error.message);
        assert_true(gc.done);
        assert_int_equal(summary.replaced, 100);
        assert_int_equal(stock_of(w), 5);
        struct index_reader *reader = fixture_open(w, "rows");
        struct expected e = {
            .rows = OLD_ROWS, .edition = 3, .newer_from = 200, .newer_to = 420, .newer_edition = 1};
        assert_true(fixture_check_answers(w, reader, &e, 3, 20, ALL_LISTS) >= 0.999);
        index_close(reader);
        arena_deinit(&gc.own.arena);
    }
}

static void test_index_an_object_that_stays_missing_is_named(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
    struct store_listing page = list_all(w);
    for (size_t i = 0; i < page.count; i++) {
        if (memmem(page.entries[i].key.data, page.entries[i].key.len, ".dpr", 4))
            assert_int_equal(store_remove(&w->call, w->store, page.entries[i].key), DP_OK);
    }
    expect(w, fixture_load(w, "rows", 200, 420, 1, &summary), DP_CORRUPT, ".dpr: the manifest lists it, but it");
}

/* Somebody who changes the manifest before each read of it. */
struct busy_writer {
    struct store *store;
    struct arena arena;
    bool changes;    /* a change is under way: its own reads change nothing */
    bool read_only;  /* the change that is made next */
    unsigned counts; /* changes so far */
};

static void change_manifest(void *ctx, const struct test_store_op *op)
{
    struct busy_writer *b = ctx;
    if (b->changes || op->kind != TEST_STORE_READ || !strstr(op->key, "manifest.json"))
        return;
    struct call call;
    b->changes = true;
    b->read_only = !b->read_only;
    call_init(&call, &b->arena);
    const struct index_alteration change = {.sets_read_only = true, .read_only = b->read_only};
    assert_int_equal(index_alter(&call, b->store, span_str("rows"), &change), DP_OK);
    b->counts++;
    b->changes = false;
}

static void test_index_a_manifest_that_never_rests_is_no_damage(void **state)
{
    struct world *w = *state;
    struct busy_writer busy = {.store = w->store};
    struct index_reader *reader;
    fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
    struct store_listing page = list_all(w);
    for (size_t i = 0; i < page.count; i++) {
        if (memmem(page.entries[i].key.data, page.entries[i].key.len, ".dpr", 4))
            assert_int_equal(store_remove(&w->call, w->store, page.entries[i].key), DP_OK);
    }
    arena_init(&busy.arena, 16 << 20);
    test_store_hook(w->store, change_manifest, &busy);
    expect(w, index_open(&w->call, w->store, span_str("rows"), &reader), DP_UNAVAILABLE,
           ".dpr: the manifest lists it");
    assert_int_equal(busy.counts, 16);
    test_store_hook(w->store, NULL, NULL);
    expect(w, index_open(&w->call, w->store, span_str("rows"), &reader), DP_CORRUPT,
           ".dpr: the manifest lists it");
    arena_deinit(&busy.arena);
}

/* ---- logs
 * ----------------------------------------------------------------------------------------------------------- */

static void put_log_entry(struct world *w)
{
    struct manifest m;
    struct object_key key;
    load_manifest(w, &m, NULL);
    key_of_wal(&key, span_str("rows"), &m.incarnation, m.wal_floor + 1);
    manifest_deinit(&m);
    struct store_put put = {.key = object_key_span(&key), .body = span_str("an entry")};
    assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
}

static void test_index_a_load_beside_a_log_is_refused(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
    struct index_loader *loader = fixture_begin(w, "rows");
    assert_int_equal(fixture_add(w, loader, 200, 420, 1), DP_OK);
    put_log_entry(w); /* after the load has looked */
    size_t objects = list_all(w).count;
    expect(w, index_load_commit(&w->call, loader, &summary), DP_UNSUPPORTED, "write-ahead log");
    assert_int_equal(list_all(w).count, objects);
    expect(w, fixture_load(w, "rows", 200, 420, 1, &summary), DP_UNSUPPORTED, "write-ahead log");
    assert_int_equal(stock_of(w), 2);
}

/* ---- stores that answer otherwise
 * ------------------------------------------------------------------------------------- */

/* The store in memory with some operations replaced. */
static struct {
    struct store_ops ops;
    const struct store_ops *plain;
    bool expired;           /* denials are of expired keys, and tell nothing about the object */
    int64_t deadline_ns[8]; /* deadlines of removals and of reads of the manifest */
    size_t seen;
} spy;

static void replace_ops(struct world *w)
{
    struct store *inner = test_store_inner(w->store);
    memset(&spy, 0, sizeof spy);
    spy.plain = inner->ops;
    spy.ops = *inner->ops;
    inner->ops = &spy.ops;
}

static void restore_ops(struct world *w)
{
    test_store_inner(w->store)->ops = spy.plain;
}

static void deny_absent_logs(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    spy.plain->read(call, store, reqs, n);
    for (size_t i = 0; i < n; i++) {
        if (memmem(reqs[i].key.data, reqs[i].key.len, "/wal/", 5) && reqs[i].status == DP_NOT_FOUND)
            reqs[i].status = dp_fail(&reqs[i].error, DP_DENIED, "403 Access Denied (test)");
        reqs[i].maybe_missing = reqs[i].status == DP_DENIED && !spy.expired;
    }
}

/* S3 answers 403 for a missing object to those who may not list. */
static void test_index_without_the_right_to_list_there_is_no_log(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
    replace_ops(w);
    spy.ops.read = deny_absent_logs;
    struct index_reader *reader = fixture_open(w, "rows");
    struct expected e = {.rows = OLD_ROWS};
    assert_true(fixture_check_answers(w, reader, &e, 2, 10, ALL_LISTS) == 1.0);
    assert_int_equal(fixture_load(w, "rows", 0, 10, 0, &summary), DP_OK);
    spy.expired = true;
    expect(w, fixture_load(w, "rows", 0, 10, 0, &summary), DP_DENIED, "403 Access Denied");
    spy.expired = false;
    put_log_entry(w); /* an entry that exists is found */
    expect(w, fixture_load(w, "rows", 0, 10, 0, &summary), DP_UNSUPPORTED, "write-ahead log");
    restore_ops(w);
    index_close(reader);
}

static enum dp_status spy_remove(struct call *call, struct store *store, struct span key)
{
    (void)store, (void)key;
    if (spy.seen < 8)
        spy.deadline_ns[spy.seen++] = call->deadline_ns;
    return call_fail(call, DP_UNAVAILABLE, "away (test)");
}

static enum dp_status lose_manifest(struct call *call, struct store *store, struct store_put *put);

static void spy_read(struct call *call, struct store *store, struct store_read_req *reqs, size_t n)
{
    if (!call->cancelled && memmem(reqs[0].key.data, reqs[0].key.len, "manifest", 8) && spy.seen < 8)
        spy.deadline_ns[spy.seen++] = call->deadline_ns;
    spy.plain->read(call, store, reqs, n);
}

/* A load that is interrupted while the store is away does not wait for it object by object. */
static void test_index_cleaning_up_takes_seconds_at_most(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    _Atomic bool cancelled = false;
    replace_ops(w);
    spy.ops.remove = spy_remove;
    struct index_loader *loader = long_load(w);
    int64_t now = os_now_ns();
    index_load_abort(loader);
    assert_int_equal(spy.seen, 6);
    for (size_t i = 0; i < spy.seen; i++) { /* one deadline for all */
        assert_int_equal(spy.deadline_ns[i], spy.deadline_ns[0]);
        assert_true(spy.deadline_ns[i] <= os_now_ns() + OBJECT_LOG_REMOVE_MS * INT64_C(1000000));
        assert_true(spy.deadline_ns[i] > now);
    }
    /* The look after a manifest whose answer was lost has a deadline, too. */
    spy.seen = 0;
    spy.ops.read = spy_read;
    spy.ops.put = lose_manifest;
    w->call.cancelled = &cancelled;
    w->call.poll_ctx = &cancelled;
    assert_int_equal(fixture_load(w, "rows", 0, 10, 0, &summary), DP_UNKNOWN);
    assert_int_equal(spy.seen, 1);
    assert_true(spy.deadline_ns[0] <= os_now_ns() + SWAP_SETTLE_MS * INT64_C(1000000));
    restore_ops(w);
}

static enum dp_status lose_manifest(struct call *call, struct store *store, struct store_put *put)
{
    if (!memmem(put->key.data, put->key.len, "manifest", 8))
        return spy.plain->put(call, store, put);
    atomic_store((_Atomic bool *)call->poll_ctx, true); /* the caller gives up */
    return call_fail(call, DP_UNKNOWN, "no answer (test)");
}

static enum dp_status fail_in_silence(struct call *call, struct store *store, struct store_put *put)
{
    bool ivf = memmem(put->key.data, put->key.len, ".ivf", 4) != NULL;
    return ivf ? DP_IO : spy.plain->put(call, store, put);
}

/* The status of the thread that writes the .ivf counts, not the error beside it. */
static void test_index_a_segment_without_its_lists_is_never_committed(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    replace_ops(w);
    spy.ops.put = fail_in_silence;
    assert_int_equal(fixture_load(w, "rows", 0, OLD_ROWS, 0, &summary), DP_IO);
    restore_ops(w);
    assert_int_equal(list_all(w).count, 0);
}

/* ---- limits
 * ------------------------------------------------------------------------------------------------------------- */

/* A load into a full manifest is refused when it begins, not when all its rows are embedded. */
static void test_index_a_full_manifest_is_refused_at_once(void **state)
{
    struct world *w = *state;
    struct index_vectors vectors = fixture_vectors(w);
    struct index_loader *loader;
    struct manifest m;
    fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
    load_manifest(w, &m, NULL);
    enum { MANY = 1800 };
    struct manifest_segment *many = arena_array(&m.arena, MANY, sizeof *many);
    size_t count = 0;
    while (count < MANY) { /* ULIDs in order */
        many[count] = m.segments[0];
        snprintf(many[count].id.text, sizeof many->id.text, "01ARZ3NDEKTSV4RRFFQ6%06zu", count);
        count++;
    }
    m.segments = many;
    struct buffer bytes;
    buffer_init(&bytes, 1 << 20);
    for (m.segment_count = MANY; manifest_write(&m, &bytes, NULL) != DP_OK; m.segment_count--)
        buffer_clear(&bytes);
    buffer_deinit(&bytes);
    printf("%zu segments fit\n", m.segment_count);
    store_manifest(w, &m);
    expect(w, index_load_begin(&w->call, w->store, span_str("rows"), &vectors, NULL, &loader), DP_TOO_LARGE,
           "load into another namespace");
    assert_null(loader);
    /* With room for two segments, a third is refused before it is built. */
    load_manifest(w, &m, NULL);
    m.segment_count -= 4;
    store_manifest(w, &m);
    loader = fixture_begin(w, "rows");
    assert_true(loader->target.segments_max >= 1 && loader->target.segments_max <= 4);
    loader->segment_rows = 10;
    size_t room = loader->target.segments_max;
    expect(w, fixture_add(w, loader, 1000, 1100, 1), DP_TOO_LARGE, "has no room for another one");
    assert_int_equal(loader->segment_count, room);
    index_load_abort(loader);
}

/* ---- horizons
 * ------------------------------------------------------------------------------------------------------------- */

/* A collector whose clock was ahead has put the horizon into the future: new objects come after it all the same. */
static void test_index_objects_are_made_after_the_horizon(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    struct manifest m;
    fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
    load_manifest(w, &m, NULL);
    assert_true(ulid_parse(span_str("0ZZZZZZZZZZZZZZZZZZZZZZZZZ"), &m.horizon));
    store_manifest(w, &m);
    if (fixture_load(w, "rows", 200, 420, 1, &summary) != DP_OK)
        fail_msg("%s", w->call.error.message);
    load_manifest(w, &m, NULL);
    assert_int_equal(m.segment_count, 2);
    assert_true(memcmp(m.segments[0].deletion.text, m.horizon.text, ULID_LEN) > 0);
    assert_true(memcmp(m.segments[1].id.text, m.horizon.text, ULID_LEN) > 0);
    manifest_deinit(&m);
    assert_int_equal(stock_of(w), 5);
}

static int64_t first_of_january_1970(void *ctx)
{
    (void)ctx;
    return 1;
}

/* A host whose clock is wrong names its objects by the store's clock. Else a collector would take them for old
 * ones. */
static void test_index_objects_are_made_at_the_time_of_the_store(void **state)
{
    struct world *w = *state;
    struct index_clock wrong = index_system_clock;
    struct index_process process = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct manifest m;
    wrong.wall_ms = first_of_january_1970;
    wrong.process = &process;
    w->clock = &wrong;
    int64_t before = os_wall_ms() - 1000; /* a store may tell whole seconds */
    fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
    fixture_must_load(w, "rows", 200, 420, 1);
    load_manifest(w, &m, NULL);
    assert_true(ulid_ms(&m.incarnation) >= before);
    assert_true(ulid_ms(&m.segments[0].id) >= before);
    assert_true(ulid_ms(&m.segments[0].deletion) >= before);
    assert_true(ulid_ms(&m.segments[1].id) >= before);
    assert_true(m.created_ms >= before && m.writers[0].at_ms >= before);
    manifest_deinit(&m);
    w->clock = NULL;
}

/* A horizon that passes the segments of a running load ends the load. */
static void test_index_a_load_that_the_horizon_passes_is_refused(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    struct manifest m;
    fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
    struct index_loader *loader = long_load(w);
    load_manifest(w, &m, NULL);
    assert_true(ulid_parse(span_str("0ZZZZZZZZZZZZZZZZZZZZZZZZZ"), &m.horizon));
    store_manifest(w, &m);
    expect(w, index_load_commit(&w->call, loader, &summary), DP_CONFLICT, "may have been collected");
    assert_int_equal(list_all(w).count, 1 + 2);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_every_object_of_a_load_is_enumerated),
        IN_MEMORY(test_index_nothing_that_is_listed_is_ever_removed),
        IN_MEMORY(test_index_a_namespace_removed_under_a_load_stays_removed),
        IN_MEMORY(test_index_a_load_does_not_enter_another_life),
        IN_MEMORY(test_index_an_object_that_is_collected_meanwhile_means_again),
        IN_MEMORY(test_index_an_object_that_stays_missing_is_named),
        IN_MEMORY(test_index_a_manifest_that_never_rests_is_no_damage),
        IN_MEMORY(test_index_a_load_beside_a_log_is_refused),
        IN_MEMORY(test_index_without_the_right_to_list_there_is_no_log),
        IN_MEMORY(test_index_cleaning_up_takes_seconds_at_most),
        IN_MEMORY(test_index_a_segment_without_its_lists_is_never_committed),
        IN_MEMORY(test_index_a_full_manifest_is_refused_at_once),
        IN_MEMORY(test_index_objects_are_made_after_the_horizon),
        IN_MEMORY(test_index_objects_are_made_at_the_time_of_the_store),
        IN_MEMORY(test_index_a_load_that_the_horizon_passes_is_refused),
    };
    return test_run(tests);
}
