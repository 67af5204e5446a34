/* test_index_branch.c: branches are independent of their sources, and no collector removes an object that a branch
 * or a source lists. */
#include "branch_fixture.h"

#include <stdio.h>

#include "index/branch.h"
#include "index/copy.h"
#include "index/lives.h"
#include "index/upkeep.h"
#include "index/verify.h"

static const char *const rows_and_twig[] = {"rows", "twig", NULL};

/* ---- independence ---------------------------------------------------------------------------------------- */

/* A branch has what its source had, tail included; then each goes its own way. */
static void test_index_a_branch_goes_its_own_way(void **state)
{
    struct world *w = *state;
    struct branch_space rows, twig;
    branch_begin(&rows, w);
    branch_make(&twig, &rows, "twig");
    branch_check(&twig);
    log_deinit(&rows.log);
    log_init(&rows.log, w, "rows"); /* the branching has folded the log */
    branch_check(&rows);
    for (int i = 0; i < 3; i++) {
        branch_write(&rows, 3);
        branch_write(&twig, 3);
        branch_check(&rows);
        branch_check(&twig);
        branch_fold(w, i % 2 ? "rows" : "twig"); /* its .del objects lie in its own folder */
        branch_check(&rows);
        branch_check(&twig);
    }
    branch_merge(w, "rows");
    branch_check(&twig);
    branch_merge(w, "twig");
    branch_check(&rows);
    branch_check(&twig);
    branch_collect(w, rows_and_twig);
    assert_int_equal(branch_pins(w, "rows"),
                     0); /* the merge of the branch has replaced what it listed of "rows" */
    branch_check(&rows);
    branch_check(&twig);
    branch_end(&twig);
    branch_end(&rows);
}

/* The source and its branch each get a load through their log. Each load stays in its namespace. */
static void test_index_loads_of_a_source_and_its_branch(void **state)
{
    struct world *w = *state;
    struct branch_space rows, twig;
    branch_begin(&rows, w);
    model_load(w, &rows.model, 150, 220, 5);
    branch_make(&twig, &rows, "twig");
    branch_check(&twig);
    fixture_must_load(w, "twig", 100, 130, 6); /* replaces rows of segments of "rows" */
    for (uint64_t row = 100; row < 130; row++) {
        twig.model.live[row] = true;
        twig.model.bare[row] = false;
        twig.model.edition[row] = 6;
    }
    model_load(w, &rows.model, 120, 140, 7);
    branch_check(&twig);
    branch_check(&rows);
    branch_merge(w, "rows");
    branch_collect(w, rows_and_twig);
    branch_check(&twig);
    branch_check(&rows);
    branch_end(&twig);
    branch_end(&rows);
}

/* A read-only source gives a read-only branch; a namespace that was only loaded gives one, too. */
static void test_index_a_branch_inherits_settings(void **state)
{
    struct world *w = *state;
    const struct index_alteration change = {.sets_read_only = true, .read_only = true};
    struct manifest m;
    fixture_must_load(w, "rows", 0, 50, 0);
    assert_int_equal(lives_alter(&w->call, w->store, span_str("rows"), &change, &test_time.clock), DP_OK);
    assert_int_equal(branch_try(w, "rows", "twig"), DP_OK);
    assert_int_equal(manifest_load(&w->call, w->store, span_str("twig"), &m, NULL), DP_OK);
    assert_true(m.read_only);
    assert_int_equal(m.features, 0);
    assert_int_equal(m.vectors.dim, w->dim);
    assert_int_equal(m.wal_floor, 0);
    assert_int_equal(m.owner_count, 1);
    assert_true(m.schema.count > 0);
    manifest_deinit(&m);
    const struct expected e = {.rows = 50};
    struct index_reader *reader = fixture_open(w, "twig");
    assert_true(fixture_check_answers(w, reader, &e, 5, 20, 1000) >= 0.999);
    index_close(reader);
}

static void test_index_a_branch_of_an_empty_namespace(void **state)
{
    struct world *w = *state;
    const struct index_vectors vectors = fixture_vectors(w);
    assert_int_equal(lives_create(&w->call, w->store, span_str("rows"), &vectors, NULL, &test_time.clock, NULL),
                     DP_OK);
    assert_int_equal(branch_try(w, "rows", "twig"), DP_OK);
    assert_int_equal(branch_pins(w, "rows"), 0); /* there is nothing to keep */
    struct index_reader *reader = fixture_open(w, "twig");
    index_close(reader);
}

static void expect(struct world *w, const char *source, const char *name, enum dp_status wanted, const char *words)
{
    enum dp_status status = branch_try(w, source, name);
    if (status != wanted || !strstr(w->call.error.message, words))
        fail_msg("%s → %s: %s: %s", source, name, dp_status_name(status), w->call.error.message);
}

static void test_index_branches_are_refused(void **state)
{
    struct world *w = *state;
    struct branch_space rows;
    expect(w, "rows", "twig", DP_NOT_FOUND, "no namespace \"rows\"");
    branch_begin(&rows, w);
    expect(w, "rows", "rows", DP_INVALID, "a branch of itself");
    expect(w, "rows", ".twig", DP_INVALID, "name");
    expect(w, "rows/", "twig", DP_INVALID, "name");
    assert_int_equal(branch_try(w, "rows", "twig"), DP_OK);
    expect(w, "rows", "twig", DP_EXISTS, "\"twig\" exists already");
    branch_delete(w, "twig");
    assert_int_equal(branch_try(w, "rows", "twig"), DP_OK); /* over a tombstone */
    branch_delete(w, "rows");
    expect(w, "rows", "other", DP_NOT_FOUND, "no namespace \"rows\"");
    branch_end(&rows);
}

static void test_index_a_namespace_has_64_branches_at_most(void **state)
{
    struct world *w = *state;
    char name[16];
    fixture_must_load(w, "rows", 0, 20, 0);
    for (int i = 0; i < MANIFEST_PINS_MAX; i++) {
        snprintf(name, sizeof name, "twig-%d", i);
        assert_int_equal(branch_try(w, "rows", name), DP_OK);
    }
    expect(w, "rows", "one-more", DP_TOO_LARGE, "collect the garbage of this namespace");
    branch_delete(w, "twig-7");
    branch_collect(w, (const char *const[]){"rows", NULL});
    assert_int_equal(branch_pins(w, "rows"), MANIFEST_PINS_MAX - 1);
    assert_int_equal(branch_try(w, "rows", "one-more"), DP_OK);
    branch_delete(w, "twig-8");
    assert_int_equal(branch_try(w, "rows", "two-more"),
                     DP_OK); /* it lets the pin of the deleted branch go first */
}

/* A chain of branches, each of which has a segment of its own. */
static void test_index_a_branch_lists_objects_of_64_others_at_most(void **state)
{
    struct world *w = *state;
    char name[2][16] = {"rows", ""};
    fixture_must_load(w, "rows", 0, 2, 0);
    for (unsigned i = 1; i <= MANIFEST_OWNERS_MAX; i++) {
        struct fixture_log log;
        snprintf(name[i % 2], sizeof name[0], "twig-%u", i);
        if (branch_try(w, name[(i + 1) % 2], name[i % 2]) != DP_OK)
            fail_msg("branch %u: %s", i, w->call.error.message);
        log_init(&log, w, name[i % 2]);
        log_entry(&log);
        log_row(&log, 10 + i, 0);
        log_put(&log);
        log_deinit(&log);
        branch_fold(w, name[i % 2]);
    }
    const char *last = name[MANIFEST_OWNERS_MAX % 2];
    expect(w, last, "one-more", DP_TOO_LARGE, "has segments of 64 others, the maximum: compact it first");
    branch_merge(w, last);
    assert_int_equal(branch_try(w, last, "one-more"), DP_OK);
}

/* ---- what the collector keeps ---------------------------------------------------------------------------- */

/* Returns when a collector of the name, which has nothing to remove, wants to look again. */
static int64_t due_after_collection(struct world *w, const char *name)
{
    const struct index_collect_options options = {.clock = &test_time.clock, .at_once = true};
    struct index_collect_result result;
    struct index_collector *collector;
    world_reset(w);
    assert_int_equal(index_collector_new(w->store, span_str(name), &collector, NULL), DP_OK);
    assert_int_equal(index_collect(&w->call, collector, &options, &result), DP_OK);
    index_collector_free(collector);
    return result.due_ms;
}

/* The source merges its segments away; the branch still has them, until it is deleted. */
static void test_index_a_pin_keeps_what_the_source_has_merged(void **state)
{
    struct world *w = *state;
    struct branch_space rows, twig;
    branch_begin(&rows, w);
    branch_make(&twig, &rows, "twig");
    branch_merge(w, "rows");
    branch_collect(w, rows_and_twig);
    assert_true(branch_objects(w, "rows") > 3 + 1);
    branch_check(&twig);
    branch_write(&twig, 3);
    branch_fold(w, "twig");
    branch_collect(w, rows_and_twig);
    branch_check(&twig);
    assert_int_equal(branch_pins(w, "rows"), 1);
    assert_int_equal(due_after_collection(w, "rows"), INDEX_LAG_MS / 24); /* a branch may be deleted any time */
    branch_delete(w, "twig");
    branch_collect(w, rows_and_twig);
    assert_int_equal(branch_pins(w, "rows"), 0);
    assert_int_equal(due_after_collection(w, "rows"), -1);
    assert_int_equal(branch_objects(w, "rows"), 3); /* manifest, .ivf and .dpr */
    assert_int_equal(branch_objects(w, "twig"), 1);
    branch_end(&twig);
    branch_end(&rows);
}

/* The source is deleted, and made again, while its branch lives. */
static void test_index_a_branch_outlives_its_source(void **state)
{
    struct world *w = *state;
    struct branch_space rows, twig;
    branch_begin(&rows, w);
    branch_make(&twig, &rows, "twig");
    branch_delete(w, "rows");
    branch_collect(w, rows_and_twig);
    branch_check(&twig);
    branch_end(&rows);
    fixture_must_load(w, "rows", 0, 30, 5);
    branch_collect(w, rows_and_twig);
    branch_check(&twig);
    branch_write(&twig, 2);
    branch_fold(w, "twig");
    branch_merge(w, "twig");
    branch_collect(w, rows_and_twig);
    assert_int_equal(branch_pins(w, "rows"), 0);
    assert_int_equal(branch_objects(w, "rows"), 3); /* of the new life alone */
    branch_check(&twig);
    branch_end(&twig);
}

/* A branch of a branch needs the objects of both owners, whichever owner is deleted first. */
static void run_chain(struct world *w, const char *first, const char *second)
{
    static const char *const all[] = {"rows", "twig", "leaf", NULL};
    struct branch_space rows, twig, leaf;
    branch_begin(&rows, w);
    branch_make(&twig, &rows, "twig");
    branch_write(&twig, 3);
    branch_fold(w, "twig"); /* .del objects of "twig" over segments of "rows" */
    log_deinit(&twig.log);
    log_init(&twig.log, w, "twig");
    branch_write(&twig, 2);
    branch_make(&leaf, &twig, "leaf");
    assert_int_equal(branch_pins(w, "rows"), 2);
    assert_int_equal(branch_pins(w, "twig"), 1);
    branch_check(&leaf);
    branch_delete(w, first);
    branch_collect(w, all);
    branch_check(&leaf);
    branch_delete(w, second);
    branch_collect(w, all);
    branch_check(&leaf);
    branch_write(&leaf, 3);
    branch_fold(w, "leaf");
    branch_collect(w, all);
    branch_check(&leaf);
    branch_delete(w, "leaf");
    branch_collect(w, all);
    for (size_t i = 0; all[i]; i++)
        assert_int_equal(branch_objects(w, all[i]), 1);
    branch_end(&leaf);
    branch_end(&twig);
    branch_end(&rows);
}

static void test_index_a_branch_of_a_branch_outlives_both(void **state)
{
    run_chain(*state, "rows", "twig");
}

static void test_index_a_branch_of_a_branch_outlives_both_in_any_order(void **state)
{
    run_chain(*state, "twig", "rows");
}

/* A deleted source comes back as a branch of its branch: it lists objects of its own earlier life. */
static void test_index_a_source_returns_as_a_branch_of_its_branch(void **state)
{
    struct world *w = *state;
    struct branch_space rows, twig, again;
    branch_begin(&rows, w);
    branch_make(&twig, &rows, "twig");
    branch_delete(w, "rows");
    branch_make(&again, &twig, "rows");
    branch_check(&again);
    branch_delete(w, "twig");
    branch_collect(w, rows_and_twig);
    assert_int_equal(branch_pins(w, "rows"), 0);
    branch_check(&again);
    branch_write(&again, 2);
    branch_fold(w, "rows");
    branch_merge(w, "rows");
    branch_collect(w, rows_and_twig);
    branch_check(&again);
    assert_int_equal(branch_objects(w, "rows"), 3);
    branch_end(&again);
    branch_end(&twig);
    branch_end(&rows);
}

/* ---- damage ---------------------------------------------------------------------------------------------- */

static void note_fault(void *context, const char *object, const char *fault)
{
    char *text = context;
    snprintf(text, 512, "%s: %s", object, fault);
}

static void remove_pins(struct world *w)
{
    struct store_listing page;
    assert_int_equal(store_list(&w->call, w->store, span_str("rows/"), span_str(""), false, 1000, &page), DP_OK);
    for (size_t i = 0; i < page.count; i++) {
        struct parsed_name name;
        if (object_name_parse(page.entries[i].key, span_str("rows"), &name) && name.kind == OBJECT_PIN)
            assert_int_equal(store_remove(&w->call, w->store, page.entries[i].key), DP_OK);
    }
}

/* Nobody knows which objects a lost .pin object kept, so the collector removes nothing. */
static void test_index_without_a_pin_object_nothing_is_removed(void **state)
{
    struct world *w = *state;
    const struct index_collect_options options = {.clock = &test_time.clock, .at_once = true};
    struct index_collect_result result;
    struct index_verify_result verified;
    struct index_collector *collector;
    struct branch_space rows, twig;
    char fault[512] = "";
    branch_begin(&rows, w);
    branch_make(&twig, &rows, "twig");
    branch_merge(w, "rows");
    remove_pins(w);
    size_t objects = branch_objects(w, "rows");
    time_pass(48 * HOUR_MS);
    assert_int_equal(index_collector_new(w->store, span_str("rows"), &collector, NULL), DP_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(index_collect(&w->call, collector, &options, &result), DP_CORRUPT);
        assert_non_null(
            strstr(w->call.error.message, ".pin: the manifest has this pin, but the object is missing"));
        world_reset(w);
        time_pass(INDEX_GRACE_MS);
    }
    index_collector_free(collector);
    assert_int_equal(branch_objects(w, "rows"), objects);
    assert_int_equal(index_verify(&w->call, w->store, span_str("rows"), note_fault, fault, &verified), DP_OK);
    assert_int_equal(verified.faults, 1);
    assert_non_null(strstr(fault, ".pin"));
    branch_end(&twig);
    branch_end(&rows);
}

static void drop_pin(void *context, struct manifest *m)
{
    (void)context;
    m->pin_count = 0;
}

static void test_index_verify_misses_the_pin_of_a_branch(void **state)
{
    struct world *w = *state;
    struct index_verify_result verified;
    struct branch_space rows, twig;
    char fault[512] = "";
    branch_begin(&rows, w);
    branch_make(&twig, &rows, "twig");
    branch_merge(w, "rows");
    log_change_manifest(w, "rows", drop_pin, NULL);
    world_reset(w);
    assert_int_equal(index_verify(&w->call, w->store, span_str("twig"), note_fault, fault, &verified), DP_OK);
    assert_int_equal(verified.faults, 1);
    assert_non_null(strstr(fault, "twig/manifest.json: namespace \"rows\" has no pin for this branch"));
    branch_end(&twig);
    branch_end(&rows);
}

/* ---- copies ---------------------------------------------------------------------------------------------- */

static void drop_title(void *context, struct manifest *m)
{
    (void)context;
    m->schema.attributes[0].dropped = true;
    m->read_only = true;
}

/* Copies "rows" to "copy" in another store, and gives the copy's attributes of row 0. */
static const char *copy_elsewhere(struct world *w, struct store *to)
{
    static char text[256];
    struct index_load_summary summary;
    struct index_reader *reader;
    struct index_answer answer;
    float query[FIXTURE_DIM];
    world_reset(w);
    if (index_copy(&w->call, w->store, span_str("rows"), to, span_str("copy"), NULL, &summary) != DP_OK)
        fail_msg("copying: %s", w->call.error.message);
    assert_int_equal(index_open(&w->call, to, span_str("copy"), &reader), DP_OK);
    fixture_vector(w, 0, 0, 0, query);
    const struct index_query ask = {
        .vector = query, .dim = w->dim, .top_k = 1, .nprobe = 1000, .all_attributes = true};
    assert_int_equal(index_query(&w->call, reader, &ask, &answer), DP_OK);
    assert_int_equal(answer.count, 1);
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(answer.hits[0].attributes));
    index_close(reader);
    return text;
}

/* A copy in another store has the rows of the segments and of the log, and needs nothing of its source. */
static void test_index_a_copy_has_nothing_in_common(void **state)
{
    struct world *w = *state;
    struct store *other = test_store_wrap(fixture_memory(w)), *mine = w->store;
    struct index_load_summary summary;
    struct branch_space rows, copy;
    branch_begin(&rows, w);
    size_t objects = branch_objects(w, "rows");
    assert_int_equal(index_copy(&w->call, mine, span_str("rows"), other, span_str("copy"), NULL, &summary), DP_OK);
    assert_int_equal(summary.total_rows, model_live(&rows.model));
    assert_int_equal(index_copy(&w->call, mine, span_str("rows"), other, span_str("copy"), NULL, &summary),
                     DP_EXISTS);
    assert_int_equal(branch_objects(w, "rows"), objects);
    assert_int_equal(branch_pins(w, "rows"), 0);
    w->store = other;
    copy = rows;
    copy.name = "copy";
    log_init(&copy.log, w, "copy");
    branch_check(&copy);
    branch_write(&copy, 2);
    branch_check(&copy);
    branch_end(&copy);
    branch_end(&rows);
    w->store = mine;
    store_free(other);
}

/* Values of dropped attributes stay behind; a read-only source gives a read-only copy. */
static void test_index_a_copy_lacks_what_was_dropped(void **state)
{
    struct world *w = *state;
    struct store *other = fixture_memory(w);
    struct manifest m;
    char dropped[64];
    fixture_must_load(w, "rows", 0, 40, 0);
    assert_int_equal(manifest_load(&w->call, w->store, span_str("rows"), &m, NULL), DP_OK);
    snprintf(dropped, sizeof dropped, "\"%.*s\":", SPAN_FMT(m.schema.attributes[0].name));
    manifest_deinit(&m);
    log_change_manifest(w, "rows", drop_title, NULL);
    assert_null(strstr(copy_elsewhere(w, other), dropped));
    assert_int_equal(manifest_load(&w->call, other, span_str("copy"), &m, NULL), DP_OK);
    assert_true(m.read_only);
    assert_true(m.schema.attributes[0].dropped);
    manifest_deinit(&m);
    store_free(other);
}

static void test_index_copies_are_refused(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    assert_int_equal(index_copy(&w->call, w->store, span_str("rows"), w->store, span_str("c"), NULL, &summary),
                     DP_NOT_FOUND);
    fixture_must_load(w, "rows", 0, 10, 0);
    assert_int_equal(index_copy(&w->call, w->store, span_str("rows"), w->store, span_str("rows"), NULL, &summary),
                     DP_EXISTS);
    assert_int_equal(index_copy(&w->call, w->store, span_str("rows"), w->store, span_str(".c"), NULL, &summary),
                     DP_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_index_a_branch_goes_its_own_way, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_loads_of_a_source_and_its_branch, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_branch_inherits_settings, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_branch_of_an_empty_namespace, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_branches_are_refused, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_namespace_has_64_branches_at_most, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_pin_keeps_what_the_source_has_merged, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_branch_lists_objects_of_64_others_at_most, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_branch_outlives_its_source, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_branch_of_a_branch_outlives_both, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_branch_of_a_branch_outlives_both_in_any_order, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_source_returns_as_a_branch_of_its_branch, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_without_a_pin_object_nothing_is_removed, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_verify_misses_the_pin_of_a_branch, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_copy_has_nothing_in_common, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_copy_lacks_what_was_dropped, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_copies_are_refused, time_world, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
