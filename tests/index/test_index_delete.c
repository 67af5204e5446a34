/* test_index_delete.c: namespaces that are created, altered and deleted, and names that live again. */
#include "index_fixture.h"

#include <stdio.h>

#include "index/lives.h"
#include "index/wal/entry.h"

enum { ROWS = 60, ALL_LISTS = 100000 };

static const struct span name = {(const uint8_t *)"rows", 4};

static void expect(struct world *w, enum dp_status status, enum dp_status wanted, const char *words)
{
    if (status != wanted || !strstr(w->call.error.message, words))
        fail_msg("expected %s with \"%s\", not %s: %s", dp_status_name(wanted), words, dp_status_name(status),
                 w->call.error.message);
    dp_error_clear(&w->call.error);
}

static void must(struct world *w, enum dp_status status)
{
    if (status)
        fail_msg("%s", w->call.error.message);
}

/* The manifest, which may be a tombstone; the caller deinits it. */
static struct manifest manifest_now(struct world *w)
{
    struct manifest m;
    must(w, manifest_load_any(&w->call, w->store, name, &m, NULL));
    return m;
}

static uint64_t sequence_now(struct world *w)
{
    struct manifest m = manifest_now(w);
    uint64_t sequence = m.sequence;
    manifest_deinit(&m);
    return sequence;
}

static struct ulid life_now(struct world *w)
{
    struct manifest m = manifest_now(w);
    struct ulid life = m.incarnation;
    manifest_deinit(&m);
    return life;
}

static size_t objects(struct world *w)
{
    struct store_listing page;
    must(w, store_list(&w->call, w->store, span_str(""), span_str(""), false, 5000, &page));
    return page.count;
}

static size_t listed(struct world *w)
{
    struct index_names names;
    must(w, index_list(&w->call, w->store, span_str(""), span_str(""), 10, &names));
    return names.count;
}

static void fresh_store(struct world *w)
{
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    world_reset(w);
}

static enum dp_status open_now(struct world *w)
{
    struct index_reader *reader;
    enum dp_status status = index_open(&w->call, w->store, name, &reader);
    if (status == DP_OK)
        index_close(reader);
    return status;
}

static enum dp_status create(struct world *w)
{
    struct index_vectors vectors = fixture_vectors(w);
    return index_create(&w->call, w->store, name, &vectors, NULL, NULL);
}

/* ---- deleting ---------------------------------------------------------------------------------------------------- */

static void test_index_a_deleted_namespace_leaves_a_tombstone(void **state)
{
    struct world *w = *state;
    expect(w, index_delete(&w->call, w->store, name), DP_NOT_FOUND, "there is no namespace \"rows\"");
    assert_int_equal(objects(w), 0);
    fixture_must_load(w, "rows", 0, ROWS, 0);
    fixture_must_load(w, "other", 0, ROWS, 0);
    struct index_reader *reader = fixture_open(w, "rows");
    size_t before = objects(w);
    struct ulid life = life_now(w);
    must(w, index_delete(&w->call, w->store, name));
    struct manifest m = manifest_now(w);
    assert_int_equal(m.state, NAMESPACE_DELETED);
    assert_int_equal(m.sequence, 2);
    assert_true(ulid_equal(&m.incarnation, &life));
    assert_int_equal(m.segment_count, 0);
    manifest_deinit(&m);
    assert_int_equal(objects(w), before); /* only a collector removes objects */
    expect(w, open_now(w), DP_NOT_FOUND, "there is no namespace \"rows\"");
    assert_int_equal(listed(w), 1);
    expect(w, index_delete(&w->call, w->store, name), DP_NOT_FOUND, "there is no namespace \"rows\"");
    assert_int_equal(sequence_now(w), 2);
    /* A reader that was open finds out. */
    float query[FIXTURE_DIM];
    struct index_answer answer;
    fixture_query(w, 0, query);
    struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 1};
    expect(w, index_query(&w->call, reader, &q, &answer), DP_NOT_FOUND, "there is no namespace \"rows\"");
    index_close(reader);
}

/* Acts once, before a wait of the swap that is tested. */
struct meanwhile {
    struct index_clock clock;
    struct world own;
    enum { MAKE_AGAIN, DELETE_TOO, LET_TIME_PASS } kind;
    bool done;
    int64_t now_ns;
};

static int64_t meanwhile_now(void *ctx)
{
    return ((struct meanwhile *)ctx)->now_ns;
}

static enum dp_status meanwhile_wait(void *ctx, struct call *call, int64_t ms)
{
    struct meanwhile *r = ctx;
    (void)ms;
    if (r->done)
        return call_check(call);
    r->done = true;
    if (r->kind == LET_TIME_PASS)
        r->now_ns += (SWAP_LOOK_MAX_MS + 1) * INT64_C(1000000);
    if (r->kind == DELETE_TOO)
        must(&r->own, index_delete(&r->own.call, r->own.store, name));
    if (r->kind == MAKE_AGAIN) {
        enum dp_status gone = index_delete(&r->own.call, r->own.store, name);
        assert_true(gone == DP_OK || gone == DP_NOT_FOUND);
        call_init(&r->own.call, &r->own.arena);
        fixture_must_load(&r->own, "rows", 0, 7, 5);
    }
    return call_check(call);
}

static void meanwhile_init(struct meanwhile *r, struct world *w, int kind)
{
    *r = (struct meanwhile){.own = *w, .kind = kind, .clock = index_system_clock};
    r->clock.now_ns = meanwhile_now;
    r->clock.wait = meanwhile_wait;
    r->clock.ctx = r;
    arena_init(&r->own.arena, 64 << 20);
    call_init(&r->own.call, &r->own.arena);
}

/* A deletion whose answer was lost must not delete the life that somebody has begun since. */
static void test_index_a_deletion_spares_the_next_life(void **state)
{
    struct world *w = *state;
    static const enum test_store_fate fates[] = {TEST_STORE_SWALLOWED, TEST_STORE_LATE};
    for (size_t i = 0; i < 3; i++) {
        struct meanwhile r;
        fresh_store(w);
        fixture_must_load(w, "rows", 0, ROWS, 0);
        struct ulid first = life_now(w);
        meanwhile_init(&r, w, MAKE_AGAIN);
        if (i == 2)
            test_store_fail_at(w->store, TEST_STORE_PUT, 1, DP_UNKNOWN, true); /* it landed */
        else
            test_store_fate_at(w->store, "manifest.json", 1, fates[i], DP_UNKNOWN);
        must(w, lives_delete(&w->call, w->store, name, &r.clock));
        assert_true(r.done);
        if (i == 1) /* the late put comes at last, and changes nothing */
            assert_int_not_equal(test_store_deliver(w->store, &r.own.call), DP_OK);
        struct manifest m = manifest_now(w);
        assert_int_equal(m.state, NAMESPACE_LIVE);
        assert_false(ulid_equal(&m.incarnation, &first));
        manifest_deinit(&m);
        struct index_reader *reader = fixture_open(w, "rows");
        struct expected e = {.rows = 7, .edition = 5};
        assert_true(fixture_check_answers(w, reader, &e, 2, 7, ALL_LISTS) == 1.0);
        index_close(reader);
        arena_deinit(&r.own.arena);
    }
}

/* Two deletions at once end one life, and both are done. A look that comes too late finds the tombstone all the same. */
static void test_index_a_deletion_is_done_whoever_made_it(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 3; i++) {
        struct meanwhile r;
        fresh_store(w);
        fixture_must_load(w, "rows", 0, ROWS, 0);
        meanwhile_init(&r, w, i == 0 ? DELETE_TOO : LET_TIME_PASS);
        if (i == 1)
            test_store_fail_at(w->store, TEST_STORE_PUT, 1, DP_UNKNOWN, true);
        else
            test_store_fate_at(w->store, "manifest.json", 1, TEST_STORE_SWALLOWED, DP_UNKNOWN);
        enum dp_status status = lives_delete(&w->call, w->store, name, &r.clock);
        assert_int_equal(status, i == 2 ? DP_UNKNOWN : DP_OK);
        dp_error_clear(&w->call.error);
        assert_int_equal(open_now(w), i == 2 ? DP_OK : DP_NOT_FOUND);
        assert_int_equal(sequence_now(w), i == 2 ? 1 : 2);
        arena_deinit(&r.own.arena);
    }
}

/* ---- loads and lives --------------------------------------------------------------------------------------------- */

static struct index_loader *begin_and_add(struct world *w)
{
    struct index_loader *loader = fixture_begin(w, "rows");
    loader->segment_rows = 20;
    assert_int_equal(fixture_add(w, loader, 1000, 1050, 1), DP_OK);
    assert_int_equal(loader->segment_count, 2);
    return loader;
}

/* The load began on a live namespace, and finds a tombstone or the next life. */
static void test_index_a_load_does_not_outlive_its_namespace(void **state)
{
    struct world *w = *state;
    for (int again = 0; again < 2; again++) {
        struct index_load_summary summary;
        fresh_store(w);
        fixture_must_load(w, "rows", 0, ROWS, 0);
        struct index_loader *loader = begin_and_add(w);
        must(w, index_delete(&w->call, w->store, name));
        if (again)
            fixture_must_load(w, "rows", 0, 7, 5);
        uint64_t sequence = sequence_now(w);
        expect(w, index_load_commit(&w->call, loader, &summary), DP_CONFLICT,
               "was removed while rows were loaded");
        assert_int_equal(sequence_now(w), sequence);
        assert_int_equal(open_now(w), again ? DP_OK : DP_NOT_FOUND);
        assert_int_equal(objects(w), 1 + 2 + (again ? 2 : 0)); /* it removed its own */
    }
}

/* The load began when there was no namespace: a life that came and went meanwhile does not matter to it. */
static void test_index_a_load_makes_the_next_life(void **state)
{
    struct world *w = *state;
    for (int when = 0; when < 3; when++) {
        struct index_load_summary summary;
        fresh_store(w);
        struct ulid old = {"00000000000000000000000000"};
        if (when != 1) {
            fixture_must_load(w, "rows", 0, ROWS, 0);
            old = life_now(w);
            must(w, index_delete(&w->call, w->store, name));
        }
        struct index_loader *loader = begin_and_add(w);
        if (when != 0) {
            fixture_must_load(w, "rows", 0, ROWS, 0);
            must(w, index_delete(&w->call, w->store, name));
        }
        uint64_t sequence = sequence_now(w);
        must(w, index_load_commit(&w->call, loader, &summary));
        assert_int_equal(summary.total_rows, 50);
        struct manifest m = manifest_now(w);
        assert_int_equal(m.sequence, sequence + 1);
        assert_int_equal(m.state, NAMESPACE_LIVE);
        assert_true(memcmp(m.incarnation.text, old.text, ULID_LEN) > 0);
        assert_int_equal(m.created_ms, m.updated_ms);
        manifest_deinit(&m);
        struct index_reader *reader = fixture_open(w, "rows");
        struct index_stats stats;
        must(w, index_stats(&w->call, reader, &stats));
        assert_int_equal(stats.rows, 50);
        index_close(reader);
    }
}

static void set_horizon(struct world *w, const char *text)
{
    struct manifest m = manifest_now(w);
    struct buffer bytes;
    assert_true(ulid_parse(span_str(text), &m.horizon));
    buffer_init(&bytes, MANIFEST_BYTES_MAX);
    must(w, manifest_write(&m, &bytes, &w->call.error));
    struct store_put put = {.key = span_str("rows/manifest.json"), .body = buffer_span(&bytes)};
    must(w, store_put(&w->call, w->store, &put));
    buffer_deinit(&bytes);
    manifest_deinit(&m);
}

/* The horizon of one life holds in the next: a load cannot commit objects that a collector may have removed. */
static void test_index_the_horizon_goes_on_through_lives(void **state)
{
    static const char future[] = "0ZZZZZZZZZZZZZZZZZZZZZZZZZ";
    struct world *w = *state;
    struct index_load_summary summary;
    struct index_loader *loader = begin_and_add(w); /* began on no namespace, before the horizon rose */
    fixture_must_load(w, "rows", 0, ROWS, 0);
    set_horizon(w, future);
    must(w, index_delete(&w->call, w->store, name));
    expect(w, index_load_commit(&w->call, loader, &summary), DP_CONFLICT, "may have been collected");
    must(w, create(w));
    struct manifest m = manifest_now(w);
    assert_string_equal(m.horizon.text, future);
    assert_true(memcmp(m.incarnation.text, future, ULID_LEN) > 0);
    manifest_deinit(&m);
    must(w, index_delete(&w->call, w->store, name));
    fixture_must_load(w, "rows", 0, 7, 5);
    m = manifest_now(w);
    assert_true(memcmp(m.segments[0].id.text, future, ULID_LEN) > 0);
    assert_int_equal(m.sequence, 5);
    manifest_deinit(&m);
}

/* ---- creating ---------------------------------------------------------------------------------------------------- */

static void test_index_a_created_namespace_is_empty(void **state)
{
    struct world *w = *state;
    struct index_vectors none = {.dim = 0}, vectors = fixture_vectors(w);
    struct ulid first, last;
    must(w, index_create(&w->call, w->store, name, &none, NULL, NULL));
    first = life_now(w);
    must(w, index_create(&w->call, w->store, name, &vectors, NULL, NULL)); /* the first rows bring vectors */
    must(w, index_create(&w->call, w->store, name, &none, NULL, NULL));
    must(w, create(w));
    struct manifest m = manifest_now(w);
    assert_int_equal(m.sequence, 2); /* the last two had nothing to change */
    assert_int_equal(m.features, MANIFEST_FEATURE_LOG);
    assert_int_equal(m.vectors.dim, FIXTURE_DIM);
    assert_true(ulid_equal(&m.incarnation, &first));
    manifest_deinit(&m);
    assert_int_equal(listed(w), 1);
    assert_int_equal(open_now(w), DP_OK);
    vectors.dim++;
    expect(w, index_create(&w->call, w->store, name, &vectors, NULL, NULL), DP_INVALID, "dimensions");
    vectors.dim--;
    vectors.metric = INDEX_EUCLIDEAN_SQUARED;
    expect(w, index_create(&w->call, w->store, name, &vectors, NULL, NULL), DP_INVALID, "distance metric");
    vectors = fixture_vectors(w);
    vectors.fingerprint = span_str("ffff");
    expect(w, index_create(&w->call, w->store, name, &vectors, NULL, NULL), DP_INVALID, "model");
    /* The next life is another, and has nothing of this one. */
    must(w, index_delete(&w->call, w->store, name));
    must(w, index_create(&w->call, w->store, name, &none, NULL, NULL));
    m = manifest_now(w);
    last = m.incarnation;
    assert_int_equal(m.sequence, 4);
    assert_int_equal(m.vectors.dim, 0);
    assert_int_equal(m.wal_chain, wal_chain_start(&last));
    assert_true(memcmp(last.text, first.text, ULID_LEN) > 0);
    manifest_deinit(&m);
}

/* A loaded namespace gets the log's feature and its rows stay; from then on loads go through the log. */
static void test_index_a_loaded_namespace_gets_a_log(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    fixture_must_load(w, "rows", 0, ROWS, 0);
    struct index_loader *loader = begin_and_add(w);
    must(w, create(w));
    must(w, index_load_commit(&w->call, loader, &summary));
    must(w, fixture_load(w, "rows", 0, 7, 0, &summary));
    struct index_reader *reader = fixture_open(w, "rows");
    struct index_stats stats;
    must(w, index_stats(&w->call, reader, &stats));
    assert_int_equal(stats.last_entry, 2);
    struct expected e = {.rows = ROWS, .newer_from = 1000, .newer_to = 1050, .newer_edition = 1};
    assert_true(fixture_check_answers(w, reader, &e, 2, 10, ALL_LISTS) == 1.0);
    index_close(reader);
}

/* A late writer puts an entry into the log of the first life: the second life never sees it. */
static void test_index_an_entry_of_an_earlier_life_is_not_read(void **state)
{
    struct world *w = *state;
    struct object_key key;
    must(w, create(w));
    struct ulid first = life_now(w);
    must(w, index_delete(&w->call, w->store, name));
    must(w, create(w));
    key_of_wal(&key, name, &first, 1);
    struct store_put put = {
        .key = object_key_span(&key), .body = span_str("an entry"), .condition = STORE_IF_ABSENT};
    must(w, store_put(&w->call, w->store, &put));
    struct index_reader *reader = fixture_open(w, "rows");
    struct index_stats stats;
    must(w, index_stats(&w->call, reader, &stats));
    assert_int_equal(stats.last_entry, 0);
    index_close(reader);
}

/* ---- altering ---------------------------------------------------------------------------------------------------- */

struct renaming {
    struct world *w;
    size_t calls;
    bool meddles;
};

/* Adds an attribute. The first time somebody else swaps meanwhile. */
static enum dp_status add_colour(void *context, struct schema *schema, struct arena *arena, struct dp_error *error)
{
    struct renaming *r = context;
    struct schema more = {0};
    if (r->meddles && r->calls == 0)
        fixture_must_load(r->w, "rows", 0, 7, 0);
    r->calls++;
    enum dp_status status = schema_learn(&more, arena, span_str("{\"colour\": \"red\"}"), arena, error);
    return status ? status : schema_join(schema, arena, &more, error);
}

static bool has_colour(struct world *w)
{
    struct manifest m = manifest_now(w);
    bool has = schema_find(&m.schema, span_str("colour")) != NULL;
    manifest_deinit(&m);
    return has;
}

static void test_index_an_alteration_edits_the_newest_schema(void **state)
{
    struct world *w = *state;
    struct meanwhile r;
    struct renaming renaming = {.w = &r.own, .meddles = true};
    struct index_alteration change = {.edit_schema = add_colour, .context = &renaming};
    meanwhile_init(&r, w, LET_TIME_PASS);
    r.done = true;
    expect(w, index_alter(&w->call, w->store, name, &change), DP_NOT_FOUND, "no namespace");
    fixture_must_load(w, "rows", 0, ROWS, 0);
    must(w, lives_alter(&w->call, w->store, name, &change, &r.clock));
    assert_int_equal(renaming.calls, 2);
    assert_true(has_colour(w));
    assert_int_equal(sequence_now(w), 3);
    must(w, index_alter(&w->call, w->store, name, &change)); /* nothing to change */
    assert_int_equal(sequence_now(w), 3);
    must(w, index_delete(&w->call, w->store, name));
    expect(w, index_alter(&w->call, w->store, name, &change), DP_NOT_FOUND, "no namespace");
    arena_deinit(&r.own.arena);
}

static void test_index_a_read_only_namespace_changes_in_that_alone(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    struct renaming renaming = {.w = w};
    struct index_alteration schema = {.edit_schema = add_colour, .context = &renaming};
    struct index_alteration lock = {.sets_read_only = true, .read_only = true}, unlock = {.sets_read_only = true};
    fixture_must_load(w, "rows", 0, ROWS, 0);
    struct index_loader *loader = begin_and_add(w);
    must(w, index_alter(&w->call, w->store, name, &lock));
    must(w, index_alter(&w->call, w->store, name, &lock));
    assert_int_equal(sequence_now(w), 2);
    expect(w, index_load_commit(&w->call, loader, &summary), DP_DENIED, "is read-only");
    expect(w, fixture_load(w, "rows", 0, 7, 0, &summary), DP_DENIED, "is read-only");
    expect(w, create(w), DP_DENIED, "is read-only");
    expect(w, index_alter(&w->call, w->store, name, &schema), DP_DENIED, "is read-only");
    struct index_reader *reader = fixture_open(w, "rows");
    struct index_stats stats;
    must(w, index_stats(&w->call, reader, &stats));
    assert_true(stats.read_only);
    index_close(reader);
    must(w, index_alter(&w->call, w->store, name, &unlock));
    must(w, index_alter(&w->call, w->store, name, &schema));
    must(w, index_alter(&w->call, w->store, name, &lock));
    must(w, index_delete(&w->call, w->store, name)); /* read-only guards rows and schema, not the name */
}

/* ---- failed allocations ------------------------------------------------------------------------------------------ */

static enum dp_status live_and_die(struct world *w, const struct index_clock *clock)
{
    struct index_vectors vectors = fixture_vectors(w);
    struct renaming renaming = {.w = w};
    struct index_alteration schema = {.edit_schema = add_colour, .context = &renaming};
    enum dp_status status = lives_create(&w->call, w->store, name, &vectors, NULL, clock, NULL);
    if (status == DP_OK)
        status = lives_alter(&w->call, w->store, name, &schema, clock);
    return status == DP_OK ? lives_delete(&w->call, w->store, name, clock) : status;
}

static void test_index_lives_survive_failed_allocations(void **state)
{
    struct world *w = *state;
    struct meanwhile r;
    size_t n = 1, unknown = 0;
    for (bool fired = true; fired; n = test_alloc_next(n)) {
        fresh_store(w);
        meanwhile_init(&r, w, LET_TIME_PASS);
        r.done = true; /* its waits take no time, and nobody acts in them */
        arena_deinit(&r.own.arena);
        arena_deinit(&w->arena);
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = live_and_die(w, &r.clock);
        fired = test_alloc_fired();
        test_alloc_fail_at(0);
        arena_deinit(&w->arena);
        assert_true(test_alloc_live() <= before + 16); /* the store keeps the manifest */
        if (status != DP_OK && status != DP_NOMEM && status != DP_UNKNOWN)
            fail_msg("allocation %zu: %s: %s", n, dp_status_name(status), w->call.error.message);
        unknown += status == DP_UNKNOWN;
        if (!fired)
            assert_int_equal(status, DP_OK);
        call_init(&w->call, &w->arena);
        size_t live = listed(w);
        assert_true(live == 0 || (live == 1 && status != DP_OK));
    }
    printf("%zu allocations, %zu with an unknown outcome\n", n - 2, unknown);
    assert_true(n > 20);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, world_in_folder, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_a_deleted_namespace_leaves_a_tombstone),
        IN_FOLDER(test_index_a_deleted_namespace_leaves_a_tombstone),
        IN_MEMORY(test_index_a_deletion_spares_the_next_life),
        IN_MEMORY(test_index_a_deletion_is_done_whoever_made_it),
        IN_MEMORY(test_index_a_load_does_not_outlive_its_namespace),
        IN_MEMORY(test_index_a_load_makes_the_next_life),
        IN_MEMORY(test_index_the_horizon_goes_on_through_lives),
        IN_MEMORY(test_index_a_created_namespace_is_empty),
        IN_MEMORY(test_index_a_loaded_namespace_gets_a_log),
        IN_MEMORY(test_index_an_entry_of_an_earlier_life_is_not_read),
        IN_MEMORY(test_index_an_alteration_edits_the_newest_schema),
        IN_MEMORY(test_index_a_read_only_namespace_changes_in_that_alone),
        IN_MEMORY(test_index_lives_survive_failed_allocations),
    };
    return test_run(tests);
}
