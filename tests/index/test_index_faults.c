/* test_index_faults.c: writers that die, answers that are lost, and two writers at once. */
#include "index_fixture.h"

#include <stdio.h>
#include <stdlib.h>

enum { ALL_LISTS = 100000, OLD_ROWS = 300, NEW_FROM = 200, NEW_TO = 420 };

/* The state before the load that is killed. */
static void load_old(struct world *w)
{
    fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
    fixture_must_load(w, "rows", 100, 150, 0);
}

static const struct expected before = {.rows = OLD_ROWS};
static const struct expected after = {
    .rows = OLD_ROWS, .newer_from = NEW_FROM, .newer_to = NEW_TO, .newer_edition = 1};

static bool namespace_is(struct world *w, const struct expected *e, uint64_t total)
{
    struct index_reader *reader = fixture_open(w, "rows");
    struct index_stats stats;
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    bool same = stats.rows == total;
    if (same)
        assert_true(fixture_check_answers(w, reader, e, 5, 20, ALL_LISTS) >= 0.999);
    index_close(reader);
    return same;
}

/* Kills the second load at each write in turn. Then it checks the namespace, and repeats the load. */
static void test_index_a_load_killed_at_any_write_leaves_the_old_state(void **state)
{
    struct world *w = *state;
    size_t n = 1, left_old = 0;
    for (;; n++) {
        world_reset(w);
        load_old(w);
        test_store_reset(w->store);
        test_store_kill_at(w->store, n);
        struct index_load_summary summary;
        enum dp_status status = fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary);
        bool died = test_store_killed(w->store);
        test_store_kill_at(w->store, 0); /* the machine is back */
        if (!died) {
            assert_int_equal(status, DP_OK);
            assert_true(namespace_is(w, &after, NEW_TO));
            break;
        }
        assert_int_not_equal(status, DP_OK);
        assert_true(namespace_is(w, &before, OLD_ROWS));
        left_old++;
        fixture_must_load(w, "rows", NEW_FROM, NEW_TO, 1);
        assert_true(namespace_is(w, &after, NEW_TO));
        /* A fresh namespace for the next round. */
        struct store *wrapped = w->store;
        store_free(wrapped);
        w->store = test_store_wrap(fixture_memory(w));
    }
    printf("killed at each of %zu writes: %zu times the old state\n", n - 1, left_old);
    assert_true(n > 4);
}

/* Kills the first load of a namespace: before its commit there is no namespace. */
static void test_index_a_first_load_killed_at_any_write_leaves_nothing(void **state)
{
    struct world *w = *state;
    size_t n = 1;
    for (;; n++) {
        struct index_load_summary summary;
        struct index_names names;
        world_reset(w);
        test_store_kill_at(w->store, n);
        fixture_load(w, "rows", 0, OLD_ROWS, 0, &summary);
        bool died = test_store_killed(w->store);
        test_store_kill_at(w->store, 0);
        call_init(&w->call, &w->arena);
        assert_int_equal(index_list(&w->call, w->store, span_str(""), span_str(""), 10, &names), DP_OK);
        assert_int_equal(names.count, died ? 0 : 1);
        if (!died)
            break;
        struct index_reader *reader;
        assert_int_equal(index_open(&w->call, w->store, span_str("rows"), &reader), DP_NOT_FOUND);
        fixture_must_load(w, "rows", 0, OLD_ROWS, 0);
        assert_true(namespace_is(w, &before, OLD_ROWS));
        store_free(w->store);
        w->store = test_store_wrap(fixture_memory(w));
    }
    printf("killed at each of %zu writes\n", n - 1);
    assert_true(n > 2);
}

/* Large objects go up in parts; a load killed between them leaves nothing either. */
static void test_index_a_load_killed_between_parts_leaves_nothing(void **state)
{
    struct world *w = *state;
    size_t n = 1, uploads = 0;
    struct index_load_summary summary;
    struct index_reader *reader;
    w->dim = 1536;
    for (;; n++) {
        size_t ops;
        world_reset(w);
        test_store_kill_at(w->store, n);
        fixture_load(w, "rows", 0, 1500, 0, &summary);
        bool died = test_store_killed(w->store);
        test_store_kill_at(w->store, 0);
        const struct test_store_op *log = test_store_log(w->store, &ops);
        for (size_t i = 0; i < ops && !died; i++)
            uploads += log[i].kind == TEST_STORE_UPLOAD_WRITE;
        call_init(&w->call, &w->arena);
        if (!died)
            break;
        assert_int_equal(index_open(&w->call, w->store, span_str("rows"), &reader), DP_NOT_FOUND);
        store_free(w->store);
        w->store = test_store_wrap(fixture_memory(w));
    }
    printf("killed at each of %zu writes, %zu of them parts\n", n - 1, uploads);
    assert_true(uploads >= 2);
    reader = fixture_open(w, "rows");
    struct expected e = {.rows = 1500};
    assert_true(fixture_check_answers(w, reader, &e, 2, 10, 0) == 1.0);
    index_close(reader);
}

static size_t objects_in(struct world *w)
{
    struct store_listing page;
    assert_int_equal(store_list(&w->call, w->store, span_str(""), span_str(""), false, 1000, &page), DP_OK);
    return page.count;
}

static void test_index_an_aborted_load_leaves_no_object(void **state)
{
    struct world *w = *state;
    load_old(w);
    size_t objects = objects_in(w);
    /* The last put before the manifest fails for good. */
    struct index_load_summary summary;
    test_store_fail_at(w->store, TEST_STORE_PUT, 3, DP_DENIED, false);
    enum dp_status status = fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary);
    assert_int_equal(status, DP_DENIED);
    assert_int_equal(objects_in(w), objects);
    assert_true(namespace_is(w, &before, OLD_ROWS));
}

/* A manifest that was sent may list the objects, whatever the store answers: only a collector may remove them. */
static void test_index_a_refused_manifest_leaves_the_objects(void **state)
{
    struct world *w = *state;
    load_old(w);
    size_t objects = objects_in(w);
    struct index_load_summary summary;
    test_store_fail_at(w->store, TEST_STORE_PUT, 4, DP_DENIED, false);
    assert_int_equal(fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary), DP_DENIED);
    assert_int_equal(objects_in(w), objects + 3); /* .ivf, .dpr, .del */
    assert_true(namespace_is(w, &before, OLD_ROWS));
}

/* The answer of a swap's put is lost. landed: the store carried the put out. */
static void lost_answer(struct world *w, bool landed)
{
    struct index_load_summary summary;
    load_old(w);
    size_t puts = 0, ops;
    test_store_reset(w->store);
    fixture_must_load(w, "probe", 0, 1, 0); /* how many puts a load makes */
    const struct test_store_op *log = test_store_log(w->store, &ops);
    for (size_t i = 0; i < ops; i++)
        puts += log[i].kind == TEST_STORE_PUT;
    assert_int_equal(puts, 3);                                           /* .ivf, .dpr, manifest */
    test_store_fail_at(w->store, TEST_STORE_PUT, 4, DP_UNKNOWN, landed); /* and one .del */
    assert_int_equal(fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary), DP_OK);
    assert_int_equal(summary.total_rows, NEW_TO);
    assert_int_equal(summary.replaced, OLD_ROWS - NEW_FROM);
    assert_true(namespace_is(w, &after, NEW_TO));
}

static void test_index_a_lost_answer_that_landed_is_found_out(void **state)
{
    lost_answer(*state, true);
}

static void test_index_a_lost_answer_that_did_not_land_is_tried_again(void **state)
{
    lost_answer(*state, false);
}

static void test_index_a_failure_that_landed_is_found_out(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    load_old(w);
    /* The put lands but its answer is a failure: the load finds that it is committed, and must not remove listed
     * objects. */
    struct index_loader *loader;
    struct index_vectors vectors = fixture_vectors(w);
    float x[FIXTURE_DIM];
    char id[32], attributes[256];
    assert_int_equal(index_load_begin(&w->call, w->store, span_str("rows"), &vectors, NULL, &loader), DP_OK);
    for (uint64_t row = NEW_FROM; row < NEW_TO; row++) {
        fixture_vector(w, row, 0, 1, x);
        assert_int_equal(index_load_row(&w->call, loader, fixture_id(row, id), x, 1,
                                        span_str(fixture_attributes(row, 1, attributes))),
                         DP_OK);
    }
    test_store_fail_at(w->store, TEST_STORE_PUT, 4, DP_IO, true);
    enum dp_status status = index_load_commit(&w->call, loader, &summary);
    assert_int_equal(status, DP_OK);
    assert_int_equal(summary.total_rows, NEW_TO);
    assert_true(namespace_is(w, &after, NEW_TO));
}

/* The answer to the put of one of the segment's objects is lost. If the object is there, the load goes on; if not,
 * the load fails and nothing was committed. */
static void test_index_a_segment_whose_answer_is_lost(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    load_old(w);
    for (size_t n = 1; n <= 2; n++) { /* .ivf and .dpr, in either order */
        test_store_fail_at(w->store, TEST_STORE_PUT, n, DP_UNKNOWN, false);
        assert_int_equal(fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary), DP_UNAVAILABLE);
        test_store_fail_at(w->store, TEST_STORE_PUT, 0, DP_OK, false);
        assert_true(namespace_is(w, &before, OLD_ROWS));
    }
    for (size_t n = 1; n <= 2; n++) {
        test_store_fail_at(w->store, TEST_STORE_PUT, n, DP_UNKNOWN, true);
        assert_int_equal(fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary), DP_OK);
        assert_true(namespace_is(w, &after, NEW_TO));
    }
}

static void cancel_at_manifest(void *ctx, const struct test_store_op *op)
{
    if (op->kind == TEST_STORE_PUT && strstr(op->key, "manifest.json"))
        atomic_store((_Atomic bool *)ctx, true);
}

/* The swap's answer is lost, and the call ends. The put may still be on its way: its objects must stay. */
static void test_index_a_put_that_may_land_later_keeps_the_objects(void **state)
{
    struct world *w = *state;
    struct index_load_summary summary;
    _Atomic bool cancelled = false;
    load_old(w);
    size_t objects = objects_in(w);
    w->call.cancelled = &cancelled;
    test_store_hook(w->store, cancel_at_manifest, &cancelled);
    test_store_fail_at(w->store, TEST_STORE_PUT, 4, DP_UNKNOWN, false);
    assert_int_equal(fixture_load(w, "rows", NEW_FROM, NEW_TO, 1, &summary), DP_UNKNOWN);
    assert_int_equal(w->call.error.status, DP_UNKNOWN);
    test_store_hook(w->store, NULL, NULL);
    w->call.cancelled = NULL;
    assert_int_equal(objects_in(w), objects + 3); /* .ivf, .dpr, .del */
    assert_true(namespace_is(w, &before, OLD_ROWS));
    fixture_must_load(w, "rows", NEW_FROM, NEW_TO, 1); /* a repeat is safe */
    assert_true(namespace_is(w, &after, NEW_TO));
}

/* ---- two writers --------------------------------------------------------------------------------------- */

struct rival {
    struct world *w;
    struct world own;
    size_t loads; /* still to be made */
    bool busy;
    uint64_t next_row;
    const char *name;
    const char *before; /* what the put's key holds */
};

/* Before the first writer's swap, a second one loads into the same namespace. */
static void rival_acts(void *ctx, const struct test_store_op *op)
{
    struct rival *r = ctx;
    if (r->busy || r->loads == 0 || op->kind != TEST_STORE_PUT || !strstr(op->key, r->before))
        return;
    r->busy = true;
    r->loads--;
    fixture_must_load(&r->own, r->name, r->next_row, r->next_row + 20, 2);
    r->next_row += 20;
    r->busy = false;
}

static void rival_begin(struct rival *r, struct world *w, size_t loads)
{
    *r = (struct rival){
        .w = w, .own = *w, .loads = loads, .next_row = 390, .name = "rows", .before = "manifest.json"};
    arena_init(&r->own.arena, 512 << 20);
    call_init(&r->own.call, &r->own.arena);
    test_store_hook(w->store, rival_acts, r);
}

static void rival_end(struct rival *r)
{
    test_store_hook(r->w->store, NULL, NULL);
    assert_int_equal(r->loads, 0);
    arena_deinit(&r->own.arena);
}

static void test_index_the_loser_of_a_race_tries_again_over_the_winner(void **state)
{
    struct world *w = *state;
    struct rival rival;
    load_old(w);
    rival_begin(&rival, w, 5);
    /* Both loads have rows 390 to 420: those of the load that commits last stay. */
    struct index_load_summary summary = fixture_must_load(w, "rows", NEW_FROM, NEW_TO, 1);
    rival_end(&rival);
    assert_int_equal(summary.replaced, OLD_ROWS - NEW_FROM + NEW_TO - 390);
    struct index_reader *reader = fixture_open(w, "rows");
    struct index_stats stats;
    assert_int_equal(index_stats(&w->call, reader, &stats), DP_OK);
    assert_int_equal(stats.rows, 490);
    float query[FIXTURE_DIM];
    struct index_answer answer;
    fixture_vector(w, 400, 0, 1, query);
    struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 500, .nprobe = ALL_LISTS};
    assert_int_equal(index_query(&w->call, reader, &q, &answer), DP_OK);
    assert_int_equal(answer.count, 490);
    assert_int_equal(fixture_row_of(answer.hits[0].id), 400);
    assert_true(answer.hits[0].dist < 1e-5F);
    index_close(reader);
    /* Nothing is left of the failed tries. There are a manifest, six segments of the rival and ours, an old one, and
     * the listed .del objects. */
    size_t objects = objects_in(w);
    struct store_listing page;
    size_t dels = 0;
    assert_int_equal(store_list(&w->call, w->store, span_str(""), span_str(""), false, 1000, &page), DP_OK);
    for (size_t i = 0; i < page.count; i++)
        dels += page.entries[i].key.len > 4 &&
                memcmp(page.entries[i].key.data + page.entries[i].key.len - 4, ".del", 4) == 0;
    printf("%zu objects, %zu of deleted rows\n", objects, dels);
}

static void test_index_two_first_loads_make_one_namespace(void **state)
{
    struct world *w = *state;
    struct rival rival;
    rival_begin(&rival, w, 1);
    fixture_must_load(w, "rows", 0, 100, 2);
    rival_end(&rival);
    struct index_reader *reader = fixture_open(w, "rows");
    struct expected e = {.rows = 100, .edition = 2, .newer_from = 390, .newer_to = 410, .newer_edition = 2};
    assert_true(fixture_check_answers(w, reader, &e, 10, 120, ALL_LISTS) == 1.0);
    index_close(reader);
    assert_int_equal(objects_in(w),
                     1 + 2 * 2 + 2); /* a manifest that was sent lists the moved objects: they stay */
}

/* The other load committed before this one sent a manifest. */
static void test_index_what_was_moved_before_a_swap_is_removed(void **state)
{
    struct world *w = *state;
    struct rival rival;
    rival_begin(&rival, w, 1);
    rival.before = ".dpr";
    fixture_must_load(w, "rows", 0, 100, 2);
    rival_end(&rival);
    struct index_reader *reader = fixture_open(w, "rows");
    struct expected e = {.rows = 100, .edition = 2, .newer_from = 390, .newer_to = 410, .newer_edition = 2};
    assert_true(fixture_check_answers(w, reader, &e, 10, 120, ALL_LISTS) == 1.0);
    index_close(reader);
    assert_int_equal(objects_in(w), 1 + 2 * 2);
}

static void test_index_a_missing_object_is_looked_for_once_more(void **state)
{
    struct world *w = *state;
    struct index_answer answer;
    struct store_listing page;
    float query[FIXTURE_DIM];
    load_old(w);
    struct index_reader *reader = fixture_open(w, "rows");
    /* All rows again: the old segments are no longer listed. Then they are collected. */
    assert_int_equal(store_list(&w->call, w->store, span_str(""), span_str(""), false, 1000, &page), DP_OK);
    fixture_must_load(w, "rows", 0, OLD_ROWS, 3);
    for (size_t i = 0; i < page.count; i++) {
        if (!strstr((const char *)page.entries[i].key.data, "manifest.json"))
            assert_int_equal(store_remove(&w->call, w->store, page.entries[i].key), DP_OK);
    }
    fixture_query(w, 0, query);
    struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 10, .eventual = true};
    if (index_query(&w->call, reader, &q, &answer) != DP_OK)
        fail_msg("%s", w->call.error.message);
    assert_int_equal(answer.count, 10);
    struct expected e = {.rows = OLD_ROWS, .edition = 3};
    assert_true(fixture_check_answers(w, reader, &e, 5, 10, ALL_LISTS) >= 0.999);
    /* An object that is really lost is reported. */
    assert_int_equal(store_list(&w->call, w->store, span_str(""), span_str(""), false, 1000, &page), DP_OK);
    for (size_t i = 0; i < page.count; i++) {
        if (strstr((const char *)page.entries[i].key.data, ".ivf"))
            assert_int_equal(store_remove(&w->call, w->store, page.entries[i].key), DP_OK);
    }
    assert_int_equal(index_query(&w->call, reader, &q, &answer), DP_CORRUPT);
    assert_non_null(strstr(w->call.error.message, ".ivf"));
    index_close(reader);
}

/* A folder that was copied or restored: the same bytes under other versions, without a commit. */
static void test_index_objects_with_new_versions_are_opened_once(void **state)
{
    struct world *w = *state;
    struct index_answer answer;
    struct store_listing page;
    float query[FIXTURE_DIM];
    load_old(w);
    struct index_reader *reader = fixture_open(w, "rows");
    assert_int_equal(store_list(&w->call, w->store, span_str(""), span_str(""), false, 1000, &page), DP_OK);
    for (size_t i = 0; i < page.count; i++) {
        struct store_read_req req = {.key = page.entries[i].key, .len = STORE_TO_END};
        assert_int_equal(store_read(&w->call, w->store, &req, 1), DP_OK);
        struct store_put put = {.key = req.key, .body = req.bytes.span};
        if (!strstr((const char *)req.key.data, "manifest.json"))
            assert_int_equal(store_put(&w->call, w->store, &put), DP_OK);
        store_read_release(&req, 1);
    }
    fixture_query(w, 0, query);
    struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 10};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(index_query(&w->call, reader, &q, &answer), DP_OK);
        assert_int_equal(answer.count, 10);
        assert_int_equal(answer.from_cache, i > 0);
    }
    index_close(reader);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_a_load_killed_at_any_write_leaves_the_old_state),
        IN_MEMORY(test_index_a_first_load_killed_at_any_write_leaves_nothing),
        IN_MEMORY(test_index_a_load_killed_between_parts_leaves_nothing),
        IN_MEMORY(test_index_an_aborted_load_leaves_no_object),
        IN_MEMORY(test_index_a_refused_manifest_leaves_the_objects),
        IN_MEMORY(test_index_a_lost_answer_that_landed_is_found_out),
        IN_MEMORY(test_index_a_lost_answer_that_did_not_land_is_tried_again),
        IN_MEMORY(test_index_a_failure_that_landed_is_found_out),
        IN_MEMORY(test_index_a_put_that_may_land_later_keeps_the_objects),
        IN_MEMORY(test_index_a_segment_whose_answer_is_lost),
        IN_MEMORY(test_index_the_loser_of_a_race_tries_again_over_the_winner),
        IN_MEMORY(test_index_two_first_loads_make_one_namespace),
        IN_MEMORY(test_index_what_was_moved_before_a_swap_is_removed),
        IN_MEMORY(test_index_a_missing_object_is_looked_for_once_more),
        IN_MEMORY(test_index_objects_with_new_versions_are_opened_once),
    };
    return test_run(tests);
}
