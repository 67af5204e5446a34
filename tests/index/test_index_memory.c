/* test_index_memory.c: every allocation of a load and of a query fails in turn: DP_NOMEM, nothing leaks, nothing
 * changes; and readers share a namespace with a writer.
 */
#include "index_fixture.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "index/query/reader.h"

static enum dp_status load_rows_again(struct world *w)
{
    struct index_load_summary summary;
    return fixture_load(w, "rows", 8, 13, 1, &summary);
}

static void test_index_a_load_survives_failed_allocations(void **state)
{
    struct world *w = *state;
    size_t n = 1, unknown = 0;
    w->windows = true;
    for (;; n = test_alloc_next(n)) {
        world_reset(w);
        arena_deinit(&w->arena); /* so that the call's own memory fails, too */
        fixture_must_load(w, "rows", 0, 10, 0);
        world_reset(w);
        arena_deinit(&w->arena);
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = load_rows_again(w);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        if (status == DP_OK) { /* the failure was in a step that only tidies up */
            store_free(w->store);
            w->store = test_store_wrap(fixture_memory(w));
            continue;
        }
        /* DP_UNKNOWN: the allocation failed inside the store's put of the manifest */
        if (status != DP_NOMEM && status != DP_UNKNOWN)
            fail_msg("allocation %zu: %s: %s", n, dp_status_name(status), w->call.error.message);
        unknown += status == DP_UNKNOWN;
        arena_deinit(&w->arena);
        assert_true(test_alloc_live() <= before + 64); /* the store's own objects are not ours to count */
        struct index_reader *reader = fixture_open(w, "rows");
        struct expected e = {.rows = 10};
        assert_true(fixture_check_answers(w, reader, &e, 1, 20, 0) == 1.0);
        index_close(reader);
        store_free(w->store);
        w->store = test_store_wrap(fixture_memory(w));
    }
    printf("%zu allocations of a load\n", n - 1);
    assert_true(n > 50);
    assert_true(unknown <= 4);
}

static enum dp_status open_and_ask(struct world *w, uint64_t round_bytes, size_t *count)
{
    struct index_reader *reader;
    struct index_answer answer = {0};
    float query[FIXTURE_DIM];
    static const struct span names[] = {{(const uint8_t *)"title", 5}};
    fixture_query(w, 0, query);
    struct index_query q = {
        .vector = query, .dim = FIXTURE_DIM, .top_k = 5, .attributes = names, .attribute_count = 1};
    struct span schema;
    struct index_stats stats;
    struct index_names list;
    enum dp_status status = reader_open(&w->call, w->store, span_str("rows"), round_bytes, NULL, &reader);
    if (status)
        return status;
    status = index_query(&w->call, reader, &q, &answer);
    if (status == DP_OK)
        status = index_stats(&w->call, reader, &stats);
    if (status == DP_OK)
        status = index_schema_json(&w->call, reader, &schema);
    if (status == DP_OK)
        status = index_list(&w->call, w->store, span_str(""), span_str(""), 10, &list);
    *count = answer.count;
    index_close(reader);
    return status;
}

static void ask_with_failed_allocations(struct world *w, uint64_t round_bytes)
{
    size_t n = 1, count;
    for (;; n = test_alloc_next(n)) {
        world_reset(w);
        arena_deinit(&w->arena);
        size_t before = test_alloc_live();
        test_alloc_fail_at(n);
        enum dp_status status = open_and_ask(w, round_bytes, &count);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        arena_deinit(&w->arena);
        if (test_alloc_live() != before)
            fail_msg("allocation %zu: %zu blocks, not %zu: %s", n, test_alloc_live(), before,
                     w->call.error.message);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            assert_int_equal(count, 5);
            break;
        }
        if (status != DP_NOMEM)
            fail_msg("allocation %zu: %s: %s", n, dp_status_name(status), w->call.error.message);
    }
    printf("%zu allocations of opening and asking\n", n - 1);
    assert_true(n > 30);
}

static void test_index_a_query_survives_failed_allocations(void **state)
{
    struct world *w = *state;
    w->windows = true;
    fixture_must_load(w, "rows", 0, 100, 0);
    fixture_must_load(w, "rows", 90, 110, 1);
    ask_with_failed_allocations(w, 0);
    ask_with_failed_allocations(w, 1); /* a round for each range */
}

/* ---- readers beside a writer ----------------------------------------------------------------------------- */

enum { READERS = 3, LOADS = 12, BATCH = 50 };

struct beside {
    struct world *w;
    struct index_reader *reader;
    _Atomic bool done;
    _Atomic uint64_t committed; /* rows that a query that begins now must see */
    _Atomic uint64_t queries;
};

static void *read_along(void *ctx)
{
    struct beside *b = ctx;
    struct arena arena;
    struct call call;
    float query[FIXTURE_DIM];
    uint64_t seen = 0;
    arena_init(&arena, 64 << 20);
    for (uint64_t i = 0; !atomic_load(&b->done) || i < 20; i++) {
        uint64_t least = atomic_load(&b->committed);
        struct index_answer answer;
        arena_reset(&arena);
        call_init(&call, &arena);
        fixture_query(b->w, i, query);
        struct index_query q = {.vector = query, .dim = FIXTURE_DIM, .top_k = 10, .all_attributes = true};
        if (index_query(&call, b->reader, &q, &answer) != DP_OK) {
            fprintf(stderr, "reader: %s\n", call.error.message);
            abort();
        }
        /* A query sees all acknowledged writes, and never goes back in time. */
        if (answer.count != 10 || answer.approx_rows < least || answer.approx_rows < seen)
            abort();
        seen = answer.approx_rows;
        struct expected e = {.rows = BATCH, .newer_from = BATCH, .newer_to = UINT64_MAX / 64};
        for (size_t h = 0; h < answer.count; h++) {
            float dist = fixture_distance(b->w, &e, fixture_row_of(answer.hits[h].id), query);
            if (dist - answer.hits[h].dist > 1e-4F || answer.hits[h].dist - dist > 1e-4F)
                abort();
        }
        atomic_fetch_add(&b->queries, 1);
    }
    arena_deinit(&arena);
    return NULL;
}

static void test_index_readers_see_each_commit_whole(void **state)
{
    struct world *w = *state;
    struct beside b = {.w = w};
    pthread_t threads[READERS];
    fixture_must_load(w, "rows", 0, BATCH, 0);
    atomic_store(&b.committed, BATCH);
    b.reader = fixture_open(w, "rows");
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_along, &b), 0);
    /* Half of each load's rows replace rows of the previous load; the other half are new. */
    for (uint64_t i = 1; i <= LOADS; i++) {
        fixture_must_load(w, "rows", i * BATCH / 2, i * BATCH / 2 + BATCH, 0);
        atomic_store(&b.committed, i * BATCH / 2 + BATCH);
    }
    atomic_store(&b.done, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    printf("%" PRIu64 " queries beside %d loads\n", atomic_load(&b.queries), LOADS);
    index_close(b.reader);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, world_in_folder, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(test_index_a_load_survives_failed_allocations),
        IN_MEMORY(test_index_a_query_survives_failed_allocations),
        IN_MEMORY(test_index_readers_see_each_commit_whole),
        IN_FOLDER(test_index_readers_see_each_commit_whole),
    };
    return test_run(tests);
}
