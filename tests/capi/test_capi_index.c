/* test_capi_index.c: FAISS files through the public header only: at a path, and over a caller's reader. */
#include <dipper/dipper.h>

#include <float.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capi_calls.h"
#include "test_support.h"

/* A caller's reader: a copy of a file, which own_free frees. */
struct own {
    uint8_t *bytes;
    size_t size;
    atomic_size_t rounds, ranges, frees;
    atomic_bool fail;
};

static enum dp_status own_read(void *ctx, struct dp_range *ranges, size_t count, int64_t timeout_ms, char *message)
{
    struct own *own = ctx;
    assert_int_equal(timeout_ms, -1);
    own->rounds++;
    if (own->fail) {
        snprintf(message, DP_ERROR_MESSAGE_MAX, "the disk is on fire");
        return DP_UNAVAILABLE;
    }
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].offset > own->size || ranges[i].len > own->size - ranges[i].offset)
            return 42; /* no status */
        memcpy(ranges[i].into, own->bytes + ranges[i].offset, ranges[i].len);
        ranges[i].got = ranges[i].len;
        own->ranges++;
    }
    return DP_OK;
}

static void own_free(void *ctx)
{
    struct own *own = ctx;
    own->frees++;
    free(own->bytes);
    own->bytes = NULL;
}

static void own_make(struct own *own, const char *name)
{
    struct span bytes = test_data(name);
    memset(own, 0, sizeof *own);
    own->size = bytes.len;
    own->bytes = malloc(bytes.len);
    assert_non_null(own->bytes);
    memcpy(own->bytes, bytes.data, bytes.len);
}

static const float query[48] = {1.0f, -2.0f, 0.5f};

static void test_capi_index_at_a_path(void **state)
{
    (void)state;
    struct dp_index *index;
    struct dp_error error;
    char path[512];
    int64_t ids[2][4];
    float distances[2][4], queries[2][48];
    struct dp_cost costs[2];
    snprintf(path, sizeof path, "%s", test_data_path("faiss/sq8-ip-d48.ivf"));
    if (dp_index_open(path, NULL, &index, &error) != DP_OK)
        fail_msg("%s", error.message);
    struct dp_index_info info = index_info(index);
    assert_string_equal(info.kind, "IwSq");
    assert_int_equal(info.dim, 48);
    assert_int_equal(info.metric, DP_METRIC_INNER_PRODUCT);
    assert_int_equal(info.vectors, 600);
    assert_int_equal(info.lists, 8);
    assert_int_equal(info.cluster_data_offset + 600 * 56, info.file_bytes);
    memcpy(queries[0], query, sizeof query);
    memcpy(queries[1], query, sizeof query);
    queries[1][7] = 3.0f;
    assert_int_equal(search_lists(index, queries[0], 2, 48, 4, 3, ids[0], distances[0], costs, &error), DP_OK);
    for (size_t q = 0; q < 2; q++) {
        assert_true(ids[q][3] >= 0 && distances[q][0] >= distances[q][3]);
        assert_int_equal(costs[q].rounds, 1);
        assert_int_equal(costs[q].requests, 3);
        assert_true(costs[q].bytes > 0 && costs[q].ms >= 0);
    }
    assert_int_equal(search_lists(index, queries[0], 1, 47, 4, 3, ids[0], distances[0], NULL, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "47 dimensions"));
    assert_int_equal(search_lists(index, queries[0], 1, 48, 0, 3, ids[0], distances[0], NULL, &error), DP_INVALID);
    dp_index_close(index);
    dp_index_close(NULL);
    assert_int_equal(dp_index_open(test_data_path("faiss/hnsw.refused"), NULL, &index, &error), DP_UNSUPPORTED);
    assert_null(index);
    assert_non_null(strstr(error.message, "'IHNf'"));
    assert_int_equal(dp_index_open("/nowhere/at/all.ivf", NULL, &index, NULL), DP_NOT_FOUND);
}

static void test_capi_index_over_callbacks(void **state)
{
    (void)state;
    struct own own;
    struct dp_index *index;
    struct dp_error error;
    int64_t ids[4];
    float distances[4];
    struct dp_cost cost;
    size_t before = test_alloc_live();
    own_make(&own, "faiss/sq8-ip-d48.ivf");
    /* Known offset and number of lists: opening reads one range. */
    const struct dp_index_options known = {
        .size = sizeof known, .cluster_data_offset = own.size - 600 * 56, .n_clusters = 8};
    assert_int_equal(open_reader(own.size, own_read, &own, own_free, &known, &index, &error), DP_OK);
    assert_int_equal(own.ranges, 1);
    assert_int_equal(index_info(index).open_rounds, 1);
    assert_int_equal(index_info(index).open_bytes, known.cluster_data_offset);
    own.rounds = own.ranges = 0;
    assert_int_equal(search_lists(index, query, 1, 48, 4, 5, ids, distances, &cost, &error), DP_OK);
    assert_int_equal(own.rounds, 1);
    assert_int_equal(own.ranges, 5);
    assert_int_equal(cost.requests, 5);
    own.fail = true;
    assert_int_equal(search_lists(index, query, 1, 48, 4, 5, ids, distances, &cost, &error), DP_UNAVAILABLE);
    assert_non_null(strstr(error.message, "the disk is on fire"));
    assert_int_equal(own.frees, 0);
    dp_index_close(index);
    assert_int_equal(own.frees, 1);
    assert_int_equal(test_alloc_live(), before);

    /* A failed opening frees the reader, too. */
    own_make(&own, "faiss/sq8-ip-d48.ivf");
    own.fail = true;
    assert_int_equal(open_reader(own.size, own_read, &own, own_free, NULL, &index, &error), DP_UNAVAILABLE);
    assert_null(index);
    assert_int_equal(own.frees, 1);
    own_make(&own, "faiss/sq8-ip-d48.ivf");
    assert_int_equal(open_reader(own.size + 200000, own_read, &own, own_free, NULL, &index, &error), DP_IO);
    assert_int_equal(own.frees, 1);
    const struct dp_index_options wrong = {.size = sizeof wrong, .n_clusters = 9};
    own_make(&own, "faiss/sq8-ip-d48.ivf");
    assert_int_equal(open_reader(own.size, own_read, &own, own_free, &wrong, &index, &error), DP_INVALID);
    assert_int_equal(own.frees, 1);
    assert_int_equal(test_alloc_live(), before);
}

static void test_capi_index_frees_when_memory_fails(void **state)
{
    (void)state;
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct own own;
        struct dp_index *index;
        struct dp_error error;
        int64_t ids[4];
        float distances[4];
        size_t before = test_alloc_live();
        own_make(&own, "faiss/sq8-ip-d48.ivf");
        test_alloc_fail_at(n);
        enum dp_status status = open_reader(own.size, own_read, &own, own_free, NULL, &index, &error);
        if (status == DP_OK)
            status = search_lists(index, query, 1, 48, 4, 5, ids, distances, NULL, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        dp_index_close(index);
        assert_int_equal(own.frees, 1);
        assert_int_equal(test_alloc_live(), before);
        assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
        if (!fired)
            break;
    }
}

struct searcher {
    struct dp_index *index;
    int64_t ids[4];
    enum dp_status status;
};

static void *search_often(void *ctx)
{
    struct searcher *s = ctx;
    float distances[4];
    for (size_t i = 0; i < 50 && s->status == DP_OK; i++)
        s->status = search_lists(s->index, query, 1, 48, 4, 8, s->ids, distances, NULL, NULL);
    return NULL;
}

static void test_capi_index_is_searched_by_many_threads(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    struct own own;
    struct dp_index *index;
    struct searcher searchers[THREADS];
    pthread_t threads[THREADS];
    own_make(&own, "faiss/sq8-ip-d48.ivf");
    assert_int_equal(open_reader(own.size, own_read, &own, own_free, NULL, &index, NULL), DP_OK);
    for (size_t i = 0; i < THREADS; i++) {
        searchers[i] = (struct searcher){.index = index};
        assert_int_equal(pthread_create(&threads[i], NULL, search_often, &searchers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(searchers[i].status, DP_OK);
        assert_memory_equal(searchers[i].ids, searchers[0].ids, sizeof searchers[0].ids);
    }
    dp_index_close(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capi_index_at_a_path),
        cmocka_unit_test(test_capi_index_over_callbacks),
        cmocka_unit_test(test_capi_index_frees_when_memory_fails),
        cmocka_unit_test(test_capi_index_is_searched_by_many_threads),
    };
    return test_run(tests);
}
