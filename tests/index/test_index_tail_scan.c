/* test_index_tail_scan.c: the search of a tail by bounds finds what the search that measures every row finds. */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/splitmix.h"
#include "index/id.h"
#include "index/query/tail_scan.h"
#include "vector/distance.h"

enum { DIM_MAX = 130, WINDOWS_MAX = 3, IDS = 2000, ENTRIES = 30 };

static const struct ulid life = {"01HZZZZZZZZZZZZZZZZZZZZZZZ"}, own = {"01J00000000000000000000001"};

static uint64_t draw(uint64_t *random, uint64_t below)
{
    return splitmix64_next(random) % below;
}

/* The vectors of a history: on a coarse grid, so that some distances are equal; `clustered`: around a few centres. */
static void draw_vectors(uint64_t *random, bool clustered, uint32_t windows, uint32_t dim, float *out)
{
    for (uint32_t w = 0; w < windows; w++) {
        uint64_t centre = draw(random, 5);
        for (uint32_t i = 0; i < dim; i++) {
            float x = (float)draw(random, 9) / 8.0F - 0.5F;
            out[w * dim + i] = clustered ? x / 4.0F + (float)((centre + i) % 5) : x;
        }
        out[w * dim] += 0.01F; /* no vector has length 0 */
    }
}

/* Appends an entry of random rows, some of them without vectors, and deletions. */
static void append_entry(struct tail *tail, struct wal_encoder *e, uint64_t number, uint32_t dim, bool clustered,
                         uint64_t *random)
{
    float vectors[WINDOWS_MAX * DIM_MAX];
    struct wal_head head = {.incarnation = life, .id = own, .number = number, .dim = dim};
    struct wal_entry *entry;
    struct span bytes;
    wal_encode_begin(e, &head);
    for (uint64_t i = draw(random, 120); i-- > 0;) {
        struct id_key key;
        assert_int_equal(id_encode((struct index_id){.number = draw(random, IDS)}, &key, NULL), DP_OK);
        uint32_t windows = (uint32_t)draw(random, WINDOWS_MAX + 1);
        draw_vectors(random, clustered, windows, dim, vectors);
        if (draw(random, 6) == 0)
            wal_encode_deleted(e, id_key_span(&key));
        else
            wal_encode_row(e, id_key_span(&key), vectors, windows, span_str("{}"));
    }
    assert_int_equal(wal_encode_end(e, &bytes, NULL), DP_OK);
    assert_int_equal(wal_entry_parse(bytes, &entry, NULL), DP_OK);
    assert_int_equal(tail_append(tail, entry, NULL), DP_OK);
    wal_entry_release(entry);
}

static int hits_by_distance(const void *a, const void *b)
{
    const struct tail_hit *left = a, *right = b;
    if (left->dist != right->dist)
        return left->dist < right->dist ? -1 : 1;
    return span_compare(left->record->key, right->record->key);
}

static void compare_searches(struct call *call, const struct tail *tail, const struct tail_search *search)
{
    struct tail_hit *fast, *plain;
    size_t fast_count, plain_count;
    arena_reset(call->arena);
    assert_int_equal(tail_scan(call, tail, search, &fast, &fast_count), DP_OK);
    assert_int_equal(tail_scan_plainly(call, tail, search, &plain, &plain_count), DP_OK);
    assert_int_equal(fast_count, plain_count);
    if (fast_count == 0)
        return;
    qsort(fast, fast_count, sizeof *fast, hits_by_distance);
    qsort(plain, plain_count, sizeof *plain, hits_by_distance);
    for (size_t i = 0; i < fast_count; i++) {
        assert_true(fast[i].record == plain[i].record);
        assert_true(fast[i].dist == plain[i].dist);
    }
}

static void test_index_tail_scan_finds_what_measuring_every_row_finds(void **state)
{
    (void)state;
    static const uint32_t dims[] = {3, 64, 100, DIM_MAX};
    struct arena arena;
    struct call call;
    arena_init(&arena, (size_t)1 << 28);
    call_init(&call, &arena);
    for (uint64_t seed = 1; seed <= 24; seed++) {
        uint64_t random = seed;
        uint32_t dim = dims[seed % 4];
        bool clustered = seed / 4 % 2;
        enum index_metric metric = seed / 8 % 2 ? INDEX_COSINE : INDEX_EUCLIDEAN_SQUARED;
        struct wal_encoder e;
        struct tail tail;
        wal_encoder_init(&e);
        tail_init(&tail);
        for (uint64_t number = 1; number <= ENTRIES; number++) {
            float query[DIM_MAX];
            append_entry(&tail, &e, number, dim, clustered, &random);
            draw_vectors(&random, clustered, 1, dim, query);
            if (metric == INDEX_COSINE)
                assert_true(vector_normalize(query, dim));
            struct tail_search search = {.metric = metric, .query = query, .dim = dim, .top_k = IDS};
            compare_searches(&call, &tail, &search);
            search.top_k = 1 + draw(&random, 20);
            compare_searches(&call, &tail, &search);
        }
        tail_deinit(&tail);
        wal_encoder_deinit(&e);
    }
    arena_deinit(&arena);
}

/* Vectors whose squares no float holds exactly, or hardly: the tiny ones round to a few bits or to nothing. */
static void test_index_tail_scan_of_tiny_and_huge_vectors_finds_the_same(void **state)
{
    (void)state;
    enum { DIM = 64, ROWS = 200 };
    static const float scales[] = {3e-24F, 1e-22F, 1e-20F, 1e-16F, 1e-10F, 1e10F, 1e17F};
    struct arena arena;
    struct call call;
    arena_init(&arena, (size_t)1 << 28);
    call_init(&call, &arena);
    for (size_t i = 0; i < 2 * sizeof scales / sizeof *scales; i++) {
        enum index_metric metric = i % 2 ? INDEX_COSINE : INDEX_EUCLIDEAN_SQUARED;
        uint64_t random = i + 1;
        float vector[DIM], query[DIM];
        struct wal_head head = {.incarnation = life, .id = own, .number = 1, .dim = DIM};
        struct wal_encoder e;
        struct wal_entry *entry;
        struct tail tail;
        struct span bytes;
        wal_encoder_init(&e);
        tail_init(&tail);
        wal_encode_begin(&e, &head);
        for (uint64_t row = 0; row < ROWS; row++) {
            struct id_key key;
            assert_int_equal(id_encode((struct index_id){.number = row}, &key, NULL), DP_OK);
            draw_vectors(&random, false, 1, DIM, vector);
            for (size_t d = 0; d < DIM; d++)
                vector[d] *= scales[i / 2];
            wal_encode_row(&e, id_key_span(&key), vector, 1, span_str("{}"));
        }
        assert_int_equal(wal_encode_end(&e, &bytes, NULL), DP_OK);
        assert_int_equal(wal_entry_parse(bytes, &entry, NULL), DP_OK);
        assert_int_equal(tail_append(&tail, entry, NULL), DP_OK);
        wal_entry_release(entry);
        for (int queries = 0; queries < 40; queries++) {
            draw_vectors(&random, false, 1, DIM, query);
            for (size_t d = 0; d < DIM && metric != INDEX_COSINE; d++)
                query[d] *= scales[i / 2];
            if (metric == INDEX_COSINE)
                assert_true(vector_normalize(query, DIM));
            const struct tail_search search = {
                .metric = metric, .query = query, .dim = DIM, .top_k = 1 + draw(&random, 10)};
            compare_searches(&call, &tail, &search);
        }
        tail_deinit(&tail);
        wal_encoder_deinit(&e);
    }
    arena_deinit(&arena);
}

/* A tail of several parts, which the threads of a team share. */
static void test_index_tail_scan_by_a_team_finds_the_same(void **state)
{
    (void)state;
    struct arena arena;
    struct call call;
    struct wal_encoder e;
    struct tail tail;
    struct team *team;
    uint64_t random = 4;
    arena_init(&arena, (size_t)1 << 28);
    call_init(&call, &arena);
    wal_encoder_init(&e);
    tail_init(&tail);
    assert_int_equal(team_new(3, &team, NULL), DP_OK);
    for (uint64_t number = 1; number <= 400; number++)
        append_entry(&tail, &e, number, 20, number % 2, &random);
    for (size_t i = 0; i < 20; i++) {
        float query[DIM_MAX];
        draw_vectors(&random, i % 2, 1, 20, query);
        const struct tail_search search = {.query = query,
                                           .metric = INDEX_EUCLIDEAN_SQUARED,
                                           .dim = 20,
                                           .top_k = 1 + draw(&random, 40),
                                           .team = team};
        compare_searches(&call, &tail, &search);
    }
    team_free(team);
    tail_deinit(&tail);
    wal_encoder_deinit(&e);
    arena_deinit(&arena);
}

static void test_index_tail_scan_without_memory_fails(void **state)
{
    (void)state;
    struct arena arena;
    struct call call;
    struct wal_encoder e;
    struct tail tail;
    struct tail_hit *hits;
    uint64_t random = 1;
    float query[DIM_MAX] = {1.0F};
    size_t count, n = 1;
    arena_init(&arena, (size_t)1 << 28);
    call_init(&call, &arena);
    wal_encoder_init(&e);
    tail_init(&tail);
    for (uint64_t number = 1; number <= 4; number++)
        append_entry(&tail, &e, number, DIM_MAX, true, &random);
    const struct tail_search search = {.metric = INDEX_COSINE, .query = query, .dim = DIM_MAX, .top_k = 10};
    enum dp_status status;
    do {
        size_t before = test_alloc_live();
        test_alloc_fail_at(n++);
        status = tail_scan(&call, &tail, &search, &hits, &count);
        test_alloc_fail_at(0);
        if (status != DP_OK) {
            assert_int_equal(status, DP_NOMEM);
            assert_int_equal(test_alloc_live(), before);
            dp_error_clear(&call.error);
        }
    } while (status != DP_OK);
    assert_true(n > 5);
    tail_deinit(&tail);
    wal_encoder_deinit(&e);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_tail_scan_finds_what_measuring_every_row_finds),
        cmocka_unit_test(test_index_tail_scan_of_tiny_and_huge_vectors_finds_the_same),
        cmocka_unit_test(test_index_tail_scan_by_a_team_finds_the_same),
        cmocka_unit_test(test_index_tail_scan_without_memory_fails),
    };
    return test_run(tests);
}
