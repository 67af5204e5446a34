/* test_index_collect.c: the collector removes what nobody needs, and only after the grace. */
#include "time_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "index/index.h"
#include "index/upkeep.h"

enum { ALL_LISTS = 100000 };

/* ---- helpers --------------------------------------------------------------------------------------------- */

static struct index_collector *new_collector(struct world *w)
{
    struct index_collector *collector;
    assert_int_equal(index_collector_new(w->store, span_str("rows"), &collector, &w->call.error), DP_OK);
    return collector;
}

static struct index_collect_result collect(struct world *w, struct index_collector *collector)
{
    const struct index_collect_options options = {.clock = &test_time.clock};
    struct index_collect_result result;
    arena_reset(&w->arena);
    if (index_collect(&w->call, collector, &options, &result) != DP_OK)
        fail_msg("collecting: %s", w->call.error.message);
    return result;
}

/* A copy with room for one more character. */
static char *test_copy(const char *text)
{
    char *copy = calloc(strlen(text) + 2, 1);
    assert_non_null(copy);
    memcpy(copy, text, strlen(text));
    return copy;
}

static void merge(struct world *w)
{
    const struct index_merge_options options = {.everything = true, .clock = &test_time.clock};
    struct index_merge_result result;
    assert_int_equal(index_merge(&w->call, w->store, span_str("rows"), &options, &result), DP_OK);
    assert_true(result.inputs > 0);
}

static size_t objects(struct world *w)
{
    struct store_listing page;
    assert_int_equal(
        store_list(&w->call, test_store_inner(w->store), span_str("rows/"), span_str(""), false, 1000, &page),
        DP_OK);
    return page.count;
}

static size_t writes_of(struct world *w, struct index_collector *collector, struct index_collect_result *result)
{
    test_store_reset(w->store);
    *result = collect(w, collector);
    return test_store_counts(w->store).writes;
}

static void check_rows(struct world *w, uint64_t rows)
{
    struct expected e = {.rows = rows};
    struct index_reader *reader = fixture_open(w, "rows");
    assert_true(fixture_check_answers(w, reader, &e, 5, 20, ALL_LISTS) >= 0.999);
    index_close(reader);
}

static void load_three(struct world *w)
{
    fixture_must_load(w, "rows", 0, 100, 0);
    fixture_must_load(w, "rows", 100, 300, 0);
    fixture_must_load(w, "rows", 300, 400, 0);
}

/* A change of the manifest that the test makes by hand. */
struct hand_edit {
    void (*change)(struct manifest *m);
};

static enum dp_status apply_hand(struct call *call, void *context, struct manifest *m, bool exists, bool *needed)
{
    (void)call, (void)needed;
    assert_true(exists);
    ((struct hand_edit *)context)->change(m);
    return DP_OK;
}

static void ignore_sent(void *context)
{
    (void)context;
}

static bool shows_nothing(const void *context, const struct manifest *m)
{
    (void)context, (void)m;
    return false;
}

static void change_manifest(struct world *w, void (*change)(struct manifest *m))
{
    static const struct manifest_edit edit = {apply_hand, ignore_sent, shows_nothing, false};
    struct hand_edit hand = {change};
    struct manifest m;
    assert_int_equal(manifest_swap(&w->call, w->store, span_str("rows"), &edit, &hand, &test_time.clock, &m),
                     DP_OK);
    manifest_deinit(&m);
}

/* Deletes the namespace. */
static void end_life(struct manifest *m)
{
    manifest_end_life(m);
}

static struct ulid incarnation_of(struct world *w)
{
    struct manifest m;
    assert_int_equal(manifest_load_any(&w->call, w->store, span_str("rows"), &m, NULL), DP_OK);
    struct ulid incarnation = m.incarnation;
    manifest_deinit(&m);
    return incarnation;
}

static void put_entry(struct world *w, const struct ulid *incarnation, uint64_t number)
{
    struct object_key key;
    key_of_wal(&key, span_str("rows"), incarnation, number);
    struct store_put put = {.key = object_key_span(&key), .body = span_str("an entry")};
    assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
}

/* ---- objects --------------------------------------------------------------------------------------------- */

/* The collector removes the inputs of a merge once three things hold: they are older than the lag, a swap has let them
 * go, and the grace after that swap has passed. */
static void test_index_nothing_is_removed_before_the_grace(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    struct index_collect_result r;
    load_three(w);
    merge(w);
    assert_int_equal(objects(w), 1 + 8);
    assert_int_equal(writes_of(w, collector, &r), 0);
    assert_int_equal(r.young, 6);
    time_pass(25 * HOUR_MS);
    assert_int_equal(writes_of(w, collector, &r), 1); /* the swap that lets them go */
    assert_int_equal(r.waiting, 6);
    assert_int_equal(r.due_ms, INDEX_GRACE_MS);
    time_pass(INDEX_GRACE_MS - 1);
    assert_int_equal(writes_of(w, collector, &r), 0);
    assert_int_equal(r.waiting, 6);
    assert_int_equal(objects(w), 1 + 8);
    time_pass(1);
    assert_int_equal(writes_of(w, collector, &r), 6);
    assert_int_equal(r.objects, 6);
    assert_int_equal(r.waiting, 0);
    assert_int_equal(objects(w), 1 + 2);
    check_rows(w, 400);
    assert_int_equal(writes_of(w, collector, &r), 0);
    assert_int_equal(r.due_ms, -1);
    index_collector_free(collector);
}

/* A store whose settle fails on command. */
static struct {
    struct store_ops ops;
    const struct store_ops *plain;
    bool fails;
    unsigned count;
} settling;

static enum dp_status settle_or_fail(struct call *call, struct store *store, struct span key)
{
    (void)store;
    settling.count++;
    return settling.fails ? call_fail(call, DP_NOT_DURABLE, "%.*s cannot be synced (test)", SPAN_FMT(key)) : DP_OK;
}

/* While a crash may undo a manifest, the objects that it let go must stay: the manifest before it needs them. */
static void test_index_a_manifest_that_is_not_durable_lets_nothing_go(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    const struct index_collect_options options = {.clock = &test_time.clock};
    struct index_collect_result r;
    struct store *inner = test_store_inner(w->store);
    settling.plain = inner->ops;
    settling.ops = *inner->ops;
    settling.ops.settle = settle_or_fail;
    settling.fails = true;
    inner->ops = &settling.ops;
    load_three(w);
    merge(w);
    time_pass(25 * HOUR_MS);
    assert_int_equal(index_collect(&w->call, collector, &options, &r), DP_NOT_DURABLE);
    time_pass(INDEX_GRACE_MS);
    world_reset(w);
    assert_int_equal(index_collect(&w->call, collector, &options, &r), DP_NOT_DURABLE);
    assert_int_equal(objects(w), 1 + 8);
    settling.fails = false;
    world_reset(w);
    r = collect(w, collector);
    assert_int_equal(r.waiting, 6);
    time_pass(INDEX_GRACE_MS);
    r = collect(w, collector);
    assert_int_equal(r.objects, 6);
    assert_int_equal(settling.count, 3);
    inner->ops = settling.plain;
    check_rows(w, 400);
    index_collector_free(collector);
}

/* A host whose boot clock stood still has not waited, whatever the store says. */
static void test_index_the_grace_is_measured_by_both_clocks(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    load_three(w);
    merge(w);
    time_pass(25 * HOUR_MS);
    assert_int_equal(collect(w, collector).waiting, 6);
    time_pass(HOUR_MS);
    test_time.host_behind = HOUR_MS;
    assert_int_equal(collect(w, collector).objects, 0);
    test_time.host_behind = 0;
    test_time.undated = true;
    assert_int_equal(collect(w, collector).objects, 0);
    test_time.undated = false;
    assert_int_equal(collect(w, collector).objects, 6);
    index_collector_free(collector);
}

static void test_index_a_store_without_dates_lets_nothing_go(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    struct index_collect_result r;
    load_three(w);
    merge(w);
    time_pass(25 * HOUR_MS);
    test_time.undated = true;
    assert_int_equal(writes_of(w, collector, &r), 0);
    assert_int_equal(r.waiting, 0);
    index_collector_free(collector);
}

/* A new process knows nothing of the old one's batch, and waits anew. */
static void test_index_a_new_process_waits_anew(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    load_three(w);
    merge(w);
    time_pass(25 * HOUR_MS);
    assert_int_equal(collect(w, collector).waiting, 6);
    index_collector_free(collector);
    time_pass(HOUR_MS);
    collector = new_collector(w);
    struct index_collect_result r;
    assert_int_equal(writes_of(w, collector, &r), 0); /* the horizon is there already */
    assert_int_equal(r.waiting, 6);
    time_pass(INDEX_GRACE_MS);
    assert_int_equal(collect(w, collector).objects, 6);
    index_collector_free(collector);
}

/* The collector removes the objects of a load that takes longer than the lag, so the load's commit fails. */
static void test_index_a_load_slower_than_the_lag_is_refused(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    struct index_load_summary summary;
    fixture_must_load(w, "rows", 0, 100, 0);
    struct index_loader *slow = fixture_begin(w, "rows");
    slow->segment_rows = 50;
    assert_int_equal(fixture_add(w, slow, 100, 180, 0), DP_OK);
    assert_int_equal(objects(w), 1 + 2 + 2);
    time_pass(25 * HOUR_MS);
    assert_int_equal(collect(w, collector).waiting, 2);
    time_pass(INDEX_GRACE_MS);
    assert_int_equal(collect(w, collector).objects, 2);
    assert_int_equal(index_load_commit(&w->call, slow, &summary), DP_CONFLICT);
    world_reset(w);
    fixture_must_load(w, "rows", 100, 180, 0);
    check_rows(w, 180);
    index_collector_free(collector);
}

static void make_first_pending(struct manifest *m)
{
    m->features |= MANIFEST_FEATURE_LOG;
    m->pending = arena_calloc(&m->arena, 1, sizeof *m->pending);
    assert_non_null(m->pending);
    m->pending_count = 1;
    m->pending[0] = (struct manifest_pending){
        .load = m->segments[0].id, .at_ms = 1, .segments = m->segments, .segment_count = 1};
    m->segments++;
    m->segment_count--;
}

static void make_pending_listed(struct manifest *m)
{
    m->segments--;
    m->segment_count++;
    *m->segments = m->pending[0].segments[0];
    m->pending_count = 0;
}

static void test_index_pending_segments_stay(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    struct index_collect_result r;
    load_three(w);
    change_manifest(w, make_first_pending);
    time_pass(48 * HOUR_MS);
    assert_int_equal(writes_of(w, collector, &r), 0);
    assert_int_equal(r.waiting, 0);
    assert_int_equal(objects(w), 1 + 6);
    (void)make_pending_listed;
    index_collector_free(collector);
}

static void test_index_files_that_are_not_ours_stay(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    load_three(w);
    struct store_put put = {.key = span_str("rows/notes.txt"), .body = span_str("mine")};
    assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
    time_pass(48 * HOUR_MS);
    assert_int_equal(collect(w, collector).waiting, 0);
    index_collector_free(collector);
}

/* ---- names ----------------------------------------------------------------------------------------------- */

/* The parser accepts only names that Dipper makes, whatever the store lists. */
static void test_index_names_of_objects_are_parsed_strictly(void **state)
{
    (void)state;
    static const char *const ours[] = {
        "rows/01ARZ3NDEKTSV4RRFFQ69G5FAV/wal/00000000000000000042",
        "rows/01ARZ3NDEKTSV4RRFFQ69G5FAV/wal/18446744073709551615",
        "rows/01ARZ3NDEKTSV4RRFFQ69G5FAV/seg/01BX5ZZKBKACTAV9WEVGEMMVRZ.1.ivf",
        "rows/01ARZ3NDEKTSV4RRFFQ69G5FAV/seg/01BX5ZZKBKACTAV9WEVGEMMVRZ.dpr",
        "rows/01ARZ3NDEKTSV4RRFFQ69G5FAV/seg/01BX5ZZKBKACTAV9WEVGEMMVRZ.01BX5ZZKBKACTAV9WEVGEMMVS0.del",
        "rows/01ARZ3NDEKTSV4RRFFQ69G5FAV/pin/01BX5ZZKBKACTAV9WEVGEMMVRZ.pin"};
    static const enum object_kind kinds[] = {OBJECT_WAL, OBJECT_WAL, OBJECT_IVF,
                                             OBJECT_DPR, OBJECT_DEL, OBJECT_PIN};
    struct parsed_name name;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        struct span whole = span_str(ours[i]);
        assert_true(object_name_parse(whole, span_str("rows"), &name));
        assert_int_equal(name.kind, kinds[i]);
        assert_true(span_equal(object_key_span(&name.key), whole));
        assert_false(object_name_parse(whole, span_str("row"), &name));
        assert_false(object_name_parse(whole, span_str("rows/"), &name));
        for (size_t len = 0; len < whole.len; len++)
            assert_false(object_name_parse(span_of(whole.data, len), span_str("rows"), &name));
        for (size_t at = 0; at < whole.len; at++) {
            char *changed = test_copy(ours[i]);
            changed[at] = '~';
            assert_false(object_name_parse(span_str(changed), span_str("rows"), &name));
            free(changed);
        }
        char *longer = test_copy(ours[i]);
        longer[whole.len] = 'x';
        assert_false(object_name_parse(span_of(longer, whole.len + 1), span_str("rows"), &name));
        free(longer);
    }
    assert_false(object_name_parse(span_str("rows/manifest.json"), span_str("rows"), &name));
    assert_false(object_name_parse(span_str("rows/01ARZ3NDEKTSV4RRFFQ69G5FAV/wal/99999999999999999999"),
                                   span_str("rows"), &name));
}

/* ---- entries --------------------------------------------------------------------------------------------- */

static void set_floor_5(struct manifest *m)
{
    m->features |= MANIFEST_FEATURE_LOG;
    m->wal_floor = 5;
    m->wal_chain = 77;
}

/* The collector removes folded entries. It also removes an entry that a slow writer puts later, which changes
 * nothing. */
static void test_index_folded_entries_go_and_zombies_too(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    struct index_collect_result r;
    load_three(w);
    struct ulid life = incarnation_of(w);
    for (uint64_t n = 1; n <= 7; n++)
        put_entry(w, &life, n);
    change_manifest(w, set_floor_5);
    assert_int_equal(writes_of(w, collector, &r), 0); /* their writers may still look */
    assert_true(r.due_ms > 0);
    time_pass(r.due_ms);
    assert_int_equal(writes_of(w, collector, &r), 1);
    assert_int_equal(r.waiting, 5);
    time_pass(INDEX_GRACE_MS - 1);
    assert_int_equal(collect(w, collector).entries, 0);
    time_pass(1);
    assert_int_equal(collect(w, collector).entries, 5);
    assert_int_equal(objects(w), 1 + 6 + 2);
    put_entry(w, &life, 3);
    assert_int_equal(writes_of(w, collector, &r), 0); /* wal_gone covers it already */
    assert_int_equal(r.waiting, 1);
    time_pass(INDEX_GRACE_MS);
    assert_int_equal(collect(w, collector).entries, 1);
    index_collector_free(collector);
}

static void set_floor_2500(struct manifest *m)
{
    m->features |= MANIFEST_FEATURE_LOG;
    m->wal_floor = 2500;
    m->wal_chain = 77;
}

/* One collection removes a long log, however many pages the listing has; the live tail stays. */
static void test_index_long_logs_go_in_runs(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    const struct index_collect_options at_once = {.clock = &test_time.clock, .at_once = true};
    struct index_collect_result r;
    load_three(w);
    struct ulid life = incarnation_of(w);
    for (uint64_t n = 1; n <= 2600; n++) {
        if (n != 700)
            put_entry(w, &life, n);
    }
    change_manifest(w, set_floor_2500);
    assert_int_equal(index_collect(&w->call, collector, &at_once, &r), DP_OK);
    assert_int_equal(r.waiting, 2499);
    time_pass(INDEX_GRACE_MS);
    r = collect(w, collector);
    assert_int_equal(r.entries, 2499);
    assert_int_equal(objects(w), 1 + 6 + 100);
    index_collector_free(collector);
}

/* ---- lives ----------------------------------------------------------------------------------------------- */

static void test_index_a_deleted_namespace_leaves_its_tombstone(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    load_three(w);
    struct ulid life = incarnation_of(w);
    put_entry(w, &life, 1);
    change_manifest(w, end_life);
    time_pass(25 * HOUR_MS);
    assert_int_equal(collect(w, collector).waiting, 7);
    time_pass(INDEX_GRACE_MS);
    struct index_collect_result r = collect(w, collector);
    assert_int_equal(r.objects, 6);
    assert_int_equal(r.entries, 1);
    assert_int_equal(objects(w), 1);
    struct index_reader *reader;
    assert_int_equal(index_open(&w->call, w->store, span_str("rows"), &reader), DP_NOT_FOUND);
    index_collector_free(collector);
}

static void test_index_a_new_life_keeps_its_own_objects(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    load_three(w);
    struct ulid life = incarnation_of(w);
    put_entry(w, &life, 1);
    change_manifest(w, end_life);
    fixture_must_load(w, "rows", 0, 150, 0);
    struct ulid next = incarnation_of(w);
    put_entry(w, &next, 1);
    time_pass(25 * HOUR_MS);
    assert_int_equal(collect(w, collector).waiting, 7);
    time_pass(INDEX_GRACE_MS);
    struct index_collect_result r = collect(w, collector);
    assert_int_equal(r.objects, 6);
    assert_int_equal(r.entries, 1);
    assert_int_equal(objects(w), 1 + 2 + 1);
    index_collector_free(collector);
}

/* A first load that died leaves objects and no manifest. The name gets a tombstone before the collector removes
 * them. */
static void test_index_a_name_without_a_manifest_gets_a_tombstone(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    struct index_load_summary summary;
    struct index_collect_result r;
    struct index_loader *load = fixture_begin(w, "rows");
    load->segment_rows = 50;
    assert_int_equal(fixture_add(w, load, 0, 80, 0), DP_OK);
    assert_int_equal(objects(w), 2);
    time_pass(25 * HOUR_MS);
    assert_int_equal(writes_of(w, collector, &r), 2); /* tombstone and horizon */
    assert_int_equal(r.waiting, 2);
    time_pass(INDEX_GRACE_MS);
    assert_int_equal(collect(w, collector).objects, 2);
    assert_int_equal(objects(w), 1);
    assert_int_equal(index_load_commit(&w->call, load, &summary), DP_CONFLICT);
    world_reset(w);
    fixture_must_load(w, "rows", 0, 80, 0);
    check_rows(w, 80);
    index_collector_free(collector);
}

static void test_index_an_empty_name_is_left_alone(void **state)
{
    struct world *w = *state;
    struct index_collector *collector = new_collector(w);
    struct index_collect_result r;
    assert_int_equal(writes_of(w, collector, &r), 0);
    assert_int_equal(r.sequence, 0);
    assert_int_equal(r.due_ms, -1);
    index_collector_free(collector);
}

/* ---- failures -------------------------------------------------------------------------------------------- */

static void test_index_a_collector_that_dies_harms_nobody(void **state)
{
    struct world *w = *state;
    for (size_t n = 1;; n++) {
        struct index_collector *collector = new_collector(w);
        const struct index_collect_options options = {.clock = &test_time.clock};
        struct index_collect_result r;
        load_three(w);
        merge(w);
        time_pass(25 * HOUR_MS);
        test_store_kill_at(w->store, n);
        index_collect(&w->call, collector, &options, &r);
        time_pass(INDEX_GRACE_MS);
        if (!test_store_killed(w->store))
            index_collect(&w->call, collector, &options, &r);
        bool died = test_store_killed(w->store);
        test_store_kill_at(w->store, 0);
        index_collector_free(collector);
        world_reset(w);
        check_rows(w, 400);
        collector = new_collector(w);
        collect(w, collector);
        time_pass(INDEX_GRACE_MS);
        collect(w, collector);
        assert_int_equal(objects(w), 1 + 2);
        index_collector_free(collector);
        store_free(w->store);
        w->store = test_store_wrap(fixture_memory(w));
        test_store_date(w->store, time_date_ms, &test_time);
        if (!died)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_index_nothing_is_removed_before_the_grace, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_manifest_that_is_not_durable_lets_nothing_go, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_the_grace_is_measured_by_both_clocks, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_store_without_dates_lets_nothing_go, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_new_process_waits_anew, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_load_slower_than_the_lag_is_refused, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_pending_segments_stay, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_files_that_are_not_ours_stay, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_folded_entries_go_and_zombies_too, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_long_logs_go_in_runs, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_deleted_namespace_leaves_its_tombstone, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_new_life_keeps_its_own_objects, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_name_without_a_manifest_gets_a_tombstone, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_an_empty_name_is_left_alone, time_world, world_close),
        cmocka_unit_test(test_index_names_of_objects_are_parsed_strictly),
        cmocka_unit_test_setup_teardown(test_index_a_collector_that_dies_harms_nobody, time_world, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
