/* test_index_branch_faults.c: whatever happens to a branching, there is a whole branch or none, and no collector
 * removes an object that a branch lists.
 */
#include "branch_fixture.h"

#include <stdio.h>

#include "index/lives.h"
#include "index/upkeep.h"
#include "index/verify.h"

static const char *const rows_and_twig[] = {"rows", "twig", NULL};

static void begin_anew(struct branch_space *rows, struct world *w)
{
    store_free(w->store);
    w->store = test_store_wrap(fixture_memory(w));
    test_store_date(w->store, time_date_ms, &test_time);
    world_reset(w);
    branch_begin(rows, w);
}

static bool is_live(struct world *w, const char *name)
{
    struct manifest m;
    world_reset(w);
    enum dp_status status = manifest_load(&w->call, w->store, span_str(name), &m, NULL);
    if (status == DP_OK)
        manifest_deinit(&m);
    else
        assert_int_equal(status, DP_NOT_FOUND);
    return status == DP_OK;
}

/* Makes the branch's fixture for a branch that is there. */
static void adopt(struct branch_space *twig, const struct branch_space *rows, const char *name)
{
    *twig = *rows;
    twig->name = name;
    log_init(&twig->log, rows->world, name);
}

/* Checks that collectors leave the namespace and its branch whole. If there is no branch, checks that one can be
 * made. */
static void check_outcome(struct branch_space *rows)
{
    struct world *w = rows->world;
    struct branch_space twig;
    bool live = is_live(w, "twig");
    if (live) {
        adopt(&twig, rows, "twig");
        branch_check(&twig);
    }
    branch_check(rows);
    branch_merge(w, "rows");
    branch_collect(w, rows_and_twig);
    branch_check(rows);
    if (!live) {
        assert_int_equal(branch_pins(w, "rows"), 0);
        branch_make(&twig, rows, "twig");
        branch_merge(w, "rows");
        branch_collect(w, rows_and_twig);
    }
    branch_check(&twig);
    branch_delete(w, "twig");
    branch_collect(w, rows_and_twig);
    assert_int_equal(branch_objects(w, "rows"), 3);
    assert_int_equal(branch_objects(w, "twig"), 1);
    branch_end(&twig);
}

/* ---- each write ------------------------------------------------------------------------------------------ */

static void run_deaths(struct world *w, bool over_tombstone)
{
    struct branch_space rows;
    bool died = true;
    size_t n = 1;
    for (; died; n++) {
        begin_anew(&rows, w);
        if (over_tombstone) {
            assert_int_equal(branch_try(w, "rows", "twig"), DP_OK);
            branch_delete(w, "twig");
        }
        test_store_kill_at(w->store, n);
        enum dp_status status = branch_try(w, "rows", "twig");
        died = test_store_killed(w->store);
        test_store_kill_at(w->store, 0);
        assert_true(died ? status != DP_OK && !is_live(w, "twig") : status == DP_OK);
        check_outcome(&rows);
        branch_end(&rows);
    }
    assert_true(n > 4);
}

static void test_index_a_branching_that_dies_leaves_no_branch(void **state)
{
    run_deaths(*state, false);
}

static void test_index_a_branching_over_a_tombstone_that_dies_leaves_no_branch(void **state)
{
    run_deaths(*state, true);
}

/* The n-th put ends with `answer`. landed: the store carried the put out. */
static void run_lost_answers(struct world *w, enum dp_status answer, bool landed)
{
    struct branch_space rows;
    bool met = true;
    for (size_t n = 1; met; n++) {
        begin_anew(&rows, w);
        test_store_reset(w->store);
        test_store_fail_at(w->store, TEST_STORE_PUT, n, answer, landed);
        enum dp_status status = branch_try(w, "rows", "twig");
        met = test_store_counts(w->store).writes >= n;
        test_store_fail_at(w->store, TEST_STORE_PUT, 0, DP_OK, false);
        if (status == DP_OK)
            assert_true(is_live(w, "twig"));
        if (status == DP_NOT_DURABLE)
            assert_int_equal(answer, DP_NOT_DURABLE);
        check_outcome(&rows);
        branch_end(&rows);
    }
}

static void test_index_lost_answers_of_a_branching(void **state)
{
    run_lost_answers(*state, DP_UNKNOWN, true);
    run_lost_answers(*state, DP_UNKNOWN, false);
    run_lost_answers(*state, DP_NOT_DURABLE, true);
    run_lost_answers(*state, DP_DENIED, false);
}

/* ---- late requests --------------------------------------------------------------------------------------- */

/* The put that makes the branch comes after its maker has given up. Within the lag the branch appears, and is whole. */
static void test_index_a_late_branch_is_whole(void **state)
{
    struct world *w = *state;
    struct branch_space rows;
    begin_anew(&rows, w);
    test_store_fate_at(w->store, "twig/manifest.json", 1, TEST_STORE_LATE, DP_DENIED);
    assert_int_equal(branch_try(w, "rows", "twig"), DP_DENIED);
    branch_merge(w, "rows");
    assert_int_equal(test_store_deliver(w->store, &w->call), DP_OK);
    check_outcome(&rows);
    branch_end(&rows);
}

/* The put that makes the branch comes after the lag. By then a collector has made the branch impossible. */
static void run_too_late(struct world *w, bool over_tombstone)
{
    struct branch_space rows;
    begin_anew(&rows, w);
    if (over_tombstone) {
        assert_int_equal(branch_try(w, "rows", "twig"), DP_OK);
        branch_delete(w, "twig");
    }
    test_store_fate_at(w->store, "twig/manifest.json", 1, TEST_STORE_LATE, DP_DENIED);
    assert_int_equal(branch_try(w, "rows", "twig"), DP_DENIED);
    branch_merge(w, "rows");
    branch_collect(w, (const char *const[]){"rows", NULL});
    assert_int_equal(branch_objects(w, "rows"), 3);
    assert_int_equal(test_store_deliver(w->store, &w->call), over_tombstone ? DP_CONFLICT : DP_EXISTS);
    assert_false(is_live(w, "twig"));
    check_outcome(&rows);
    branch_end(&rows);
}

static void test_index_a_branch_that_is_too_late_does_not_appear(void **state)
{
    run_too_late(*state, false);
    run_too_late(*state, true);
}

/* The put of the pin comes late. By then the branching has repeated the swap, or nobody needs the pin. */
static void test_index_a_late_pin_harms_nobody(void **state)
{
    struct world *w = *state;
    struct branch_space rows;
    begin_anew(&rows, w);
    branch_fold(w, "rows");
    test_store_fate_at(w->store, "rows/manifest.json", 1, TEST_STORE_LATE, DP_UNKNOWN);
    assert_int_equal(branch_try(w, "rows", "twig"), DP_OK);
    assert_int_equal(branch_pins(w, "rows"), 1);
    assert_int_equal(test_store_deliver(w->store, &w->call), DP_CONFLICT);
    check_outcome(&rows);
    branch_end(&rows);

    begin_anew(&rows, w);
    branch_fold(w, "rows");
    test_store_fate_at(w->store, "rows/manifest.json", 1, TEST_STORE_LATE, DP_DENIED);
    assert_int_equal(branch_try(w, "rows", "twig"), DP_DENIED);
    assert_int_equal(test_store_deliver(w->store, &w->call), DP_OK);
    assert_int_equal(branch_pins(w, "rows"), 1);
    check_outcome(&rows);
    branch_end(&rows);
}

static void test_index_puts_of_a_branching_come_twice(void **state)
{
    static const char *const suffixes[] = {".pin", "rows/manifest.json", "twig/manifest.json"};
    struct branch_space rows;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        begin_anew(&rows, *state);
        branch_fold(*state, "rows");
        test_store_fate_at(((struct world *)*state)->store, suffixes[i], 1, TEST_STORE_TWICE, DP_OK);
        branch_try(*state, "rows", "twig"); /* a .pin object that is there already fails the branching */
        check_outcome(&rows);
        branch_end(&rows);
    }
}

/* ---- others act meanwhile -------------------------------------------------------------------------------- */

/* Another process, which acts once, before an operation on a key. */
struct meddler {
    struct world *world;
    enum test_store_op_kind kind;
    const char *suffix;
    const char *after; /* only after an operation on a key that ends so; NULL: at once */
    bool seen, done;
    void (*act)(struct world *other);
};

static bool ends_with(const char *key, const char *suffix)
{
    size_t len = strlen(key), end = strlen(suffix);
    return len >= end && strcmp(key + len - end, suffix) == 0;
}

static void meddle(void *ctx, const struct test_store_op *op)
{
    struct meddler *m = ctx;
    bool due = !m->done && op->kind == m->kind && ends_with(op->key, m->suffix) && (m->seen || !m->after);
    if (m->after && op->kind == TEST_STORE_PUT && ends_with(op->key, m->after))
        m->seen = true;
    if (!due)
        return;
    struct world other = *m->world;
    m->done = true;
    arena_init(&other.arena, 256 << 20);
    call_init(&other.call, &other.arena);
    m->act(&other);
    arena_deinit(&other.arena);
}

static enum dp_status branch_meddled(struct world *w, const char *source, const char *name, struct meddler *m)
{
    m->world = w;
    test_store_hook(w->store, meddle, m);
    enum dp_status status = branch_try(w, source, name);
    test_store_hook(w->store, NULL, NULL);
    assert_true(m->done);
    return status;
}

static void act_create_twig(struct world *w)
{
    const struct index_vectors vectors = fixture_vectors(w);
    assert_int_equal(lives_create(&w->call, w->store, span_str("twig"), &vectors, NULL, &test_time.clock, NULL),
                     DP_OK);
}

static void act_delete_rows(struct world *w)
{
    branch_delete(w, "rows");
}

static void act_make_rows_anew(struct world *w)
{
    const struct index_vectors vectors = fixture_vectors(w);
    branch_delete(w, "rows");
    assert_int_equal(lives_create(&w->call, w->store, span_str("rows"), &vectors, NULL, &test_time.clock, NULL),
                     DP_OK);
}

static void act_collect_rows(struct world *w)
{
    branch_merge(w, "rows");
    branch_collect(w, (const char *const[]){"rows", NULL});
    assert_int_equal(branch_pins(w, "rows"), 0);
    assert_int_equal(branch_objects(w, "rows"), 3);
}

static void act_free_rows_of_twig(struct world *w)
{
    branch_merge(w, "twig");
    branch_collect(w, (const char *const[]){"rows", NULL});
    assert_int_equal(branch_pins(w, "rows"), 0);
    assert_int_equal(branch_objects(w, "rows"), 3);
}

static void test_index_a_name_that_is_taken_meanwhile_is_left_alone(void **state)
{
    struct world *w = *state;
    struct branch_space rows;
    struct manifest m;
    struct meddler taker = {.kind = TEST_STORE_PUT, .suffix = "twig/manifest.json", .act = act_create_twig};
    begin_anew(&rows, w);
    assert_int_equal(branch_meddled(w, "rows", "twig", &taker), DP_EXISTS);
    assert_int_equal(manifest_load(&w->call, w->store, span_str("twig"), &m, NULL), DP_OK);
    assert_int_equal(m.segment_count, 0);
    manifest_deinit(&m);
    branch_collect(w, rows_and_twig);
    assert_int_equal(branch_pins(w, "rows"), 0); /* at once: the branch cannot appear any more */
    branch_check(&rows);
    branch_end(&rows);
}

static void test_index_a_source_that_goes_meanwhile_gives_no_branch(void **state)
{
    struct world *w = *state;
    struct branch_space rows;
    struct meddler deleter = {.kind = TEST_STORE_PUT, .suffix = ".pin", .act = act_delete_rows};
    begin_anew(&rows, w);
    assert_int_equal(branch_meddled(w, "rows", "twig", &deleter), DP_NOT_FOUND);
    assert_false(is_live(w, "twig"));
    branch_end(&rows);
    struct meddler maker = {.kind = TEST_STORE_PUT, .suffix = ".pin", .act = act_make_rows_anew};
    begin_anew(&rows, w);
    assert_int_equal(branch_meddled(w, "rows", "twig", &maker), DP_CONFLICT);
    assert_false(is_live(w, "twig"));
    branch_end(&rows);
}

/* The source is deleted after it got the pin. The branch has the rows that the source had then. */
static void test_index_a_source_that_goes_after_the_pin_gives_a_branch(void **state)
{
    struct world *w = *state;
    struct branch_space rows, twig;
    struct meddler deleter = {.kind = TEST_STORE_PUT, .suffix = "twig/manifest.json", .act = act_delete_rows};
    begin_anew(&rows, w);
    assert_int_equal(branch_meddled(w, "rows", "twig", &deleter), DP_OK);
    branch_collect(w, rows_and_twig);
    adopt(&twig, &rows, "twig");
    branch_check(&twig);
    branch_end(&twig);
    branch_end(&rows);
}

/* The branching sleeps for days before its last step. A collector removes the pin and the objects that it kept.
 * The last step fails, and the next try adds another pin. */
static void run_sleeper(struct world *w, bool over_tombstone)
{
    struct branch_space rows;
    struct meddler collector = {.kind = TEST_STORE_PUT, .suffix = "twig/manifest.json", .act = act_collect_rows};
    begin_anew(&rows, w);
    if (over_tombstone) {
        assert_int_equal(branch_try(w, "rows", "twig"), DP_OK);
        branch_delete(w, "twig");
    }
    assert_int_equal(branch_meddled(w, "rows", "twig", &collector), DP_OK);
    assert_int_equal(branch_pins(w, "rows"), 1);
    check_outcome(&rows);
    branch_end(&rows);
}

static void test_index_a_branching_that_sleeps_for_days_begins_again(void **state)
{
    run_sleeper(*state, false);
    run_sleeper(*state, true);
}

/* A branch of a branch. Between its two pins, its source merges away all objects of the first namespace, whose
 * collector removes them. */
static void test_index_a_branch_of_a_branch_begins_again_over_a_merged_source(void **state)
{
    static const char *const all[] = {"rows", "twig", "leaf", NULL};
    struct world *w = *state;
    struct branch_space rows, twig, leaf;
    struct meddler merger = {.kind = TEST_STORE_READ,
                             .suffix = "rows/manifest.json",
                             .after = "twig/manifest.json",
                             .act = act_free_rows_of_twig};
    begin_anew(&rows, w);
    branch_make(&twig, &rows, "twig");
    branch_write(&twig, 2);
    branch_fold(w, "twig"); /* now it owns a segment, too, which needs a pin first */
    branch_merge(w, "rows");
    assert_int_equal(branch_meddled(w, "twig", "leaf", &merger), DP_OK);
    assert_int_equal(branch_pins(w, "rows"), 0);
    branch_collect(w, all);
    adopt(&leaf, &twig, "leaf");
    branch_check(&leaf);
    branch_check(&twig);
    branch_check(&rows);
    branch_end(&leaf);
    branch_end(&twig);
    branch_end(&rows);
}

static void act_take_bud(struct world *w)
{
    branch_delete(w, "bud");
    branch_collect(w, (const char *const[]){"rows", NULL});
    assert_int_equal(branch_pins(w, "rows"), 1);
}

static void refuse_fault(void *context, const char *object, const char *fault)
{
    (void)context;
    fail_msg("%s: %s", object, fault);
}

/* Between the read of the manifest and the reads of its .pin objects, a collector removes the pin of a deleted
 * branch. A branching of another branch, and a verification, go on with the newer manifest. */
static void test_index_a_pin_that_goes_meanwhile_is_no_damage(void **state)
{
    static const char *const verified[] = {NULL, "rows", "twig"};
    struct world *w = *state;
    for (size_t i = 0; i < sizeof verified / sizeof *verified; i++) {
        struct branch_space rows, twig, bud, leaf;
        struct index_verify_result result;
        struct meddler taker = {.world = w, .kind = TEST_STORE_READ, .suffix = ".pin", .act = act_take_bud};
        begin_anew(&rows, w);
        branch_make(&twig, &rows, "twig");
        branch_make(&bud, &rows, "bud");
        branch_merge(w, "rows");
        if (!verified[i]) {
            if (branch_meddled(w, "twig", "leaf", &taker) != DP_OK)
                fail_msg("%s", w->call.error.message);
            adopt(&leaf, &twig, "leaf");
            branch_check(&leaf);
            branch_end(&leaf);
        } else {
            world_reset(w);
            test_store_hook(w->store, meddle, &taker);
            assert_int_equal(index_verify(&w->call, w->store, span_str(verified[i]), refuse_fault, NULL, &result),
                             DP_OK);
            test_store_hook(w->store, NULL, NULL);
            assert_true(taker.done);
        }
        branch_check(&twig);
        branch_check(&rows);
        branch_end(&bud);
        branch_end(&twig);
        branch_end(&rows);
    }
}

/* The collector of the source dies at each of its writes. */
static void test_index_collectors_of_branches_die(void **state)
{
    struct world *w = *state;
    struct branch_space rows, twig;
    const struct index_collect_options options = {.clock = &test_time.clock, .at_once = true};
    bool died = true;
    for (size_t n = 1; died; n++) {
        struct index_collector *collector;
        struct index_collect_result result;
        begin_anew(&rows, w);
        branch_make(&twig, &rows, "twig");
        test_store_fate_at(w->store, "gone/manifest.json", 1, TEST_STORE_SWALLOWED, DP_DENIED);
        assert_int_equal(branch_try(w, "rows", "gone"), DP_DENIED);
        branch_merge(w, "rows");
        assert_int_equal(index_collector_new(w->store, span_str("rows"), &collector, NULL), DP_OK);
        test_store_kill_at(w->store, n);
        for (int step = 0; step < 6; step++) {
            time_pass(step % 2 ? INDEX_GRACE_MS : 25 * HOUR_MS);
            index_collect(&w->call, collector, &options, &result);
            dp_error_clear(&w->call.error);
        }
        index_collector_free(collector);
        died = test_store_killed(w->store);
        test_store_kill_at(w->store, 0);
        branch_check(&twig);
        branch_collect(w, rows_and_twig);
        assert_int_equal(branch_pins(w, "rows"), 1);
        branch_check(&twig);
        branch_check(&rows);
        branch_end(&twig);
        branch_end(&rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_index_a_branching_that_dies_leaves_no_branch, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_branching_over_a_tombstone_that_dies_leaves_no_branch,
                                        time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_lost_answers_of_a_branching, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_late_branch_is_whole, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_branch_that_is_too_late_does_not_appear, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_late_pin_harms_nobody, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_puts_of_a_branching_come_twice, time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_name_that_is_taken_meanwhile_is_left_alone, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_source_that_goes_meanwhile_gives_no_branch, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_source_that_goes_after_the_pin_gives_a_branch, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_branching_that_sleeps_for_days_begins_again, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_a_branch_of_a_branch_begins_again_over_a_merged_source,
                                        time_world, world_close),
        cmocka_unit_test_setup_teardown(test_index_a_pin_that_goes_meanwhile_is_no_damage, time_world,
                                        world_close),
        cmocka_unit_test_setup_teardown(test_index_collectors_of_branches_die, time_world, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
