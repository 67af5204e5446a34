/* test_capi_faiss.c: FAISS files through the public C API, over a caller's reader and at URLs: FAISS's own answers, the
 * options of searches, and the cost of each call.
 */
#include "test_support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capi_calls.h"
#include "faiss_caller.h"
#include "http_server.h"

/* Files of most supported kinds. */
static const char *const KINDS[] = {"flat-l2-d16",  "flat-ip-d33",   "flat-l2-sparse",    "sq8-ip-d48",
                                    "pq-l2-d12",    "pqfs-l2",       "pqfsr-ip",          "rabitq-l2",
                                    "rabitqfs4-l2", "idmap2-sq8-ip", "idmap-pca-hnsw-pq", "norm-remap-flat"};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

/* ---- answers ---------------------------------------------------------------------------------------- */

static void test_capi_faiss_over_a_callers_reader_answers_as_faiss(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct caller caller = {.bytes = faiss_golden(KINDS[i], "ivf")};
        struct dp_index *index = caller_open(&caller, NULL);
        struct dp_index_info info = index_info(index);
        assert_int_equal(info.open_rounds, caller.calls);
        assert_int_equal(info.file_bytes, caller.bytes.len);
        size_t opened = caller.calls, asked = agree_with_faiss(index, KINDS[i]);
        assert_true(caller.calls - opened <= asked); /* one read for each query, none if all its lists are empty */
        assert_int_equal(caller.frees, 0);
        dp_index_close(index);
        assert_int_equal(caller.frees, 1);
    }
}

static void test_capi_faiss_at_a_path_answers_as_faiss(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        char path[NAME_BYTES], url[4096];
        snprintf(path, sizeof path, "faiss/%s.ivf", KINDS[i]);
        struct dp_index *index = open_faiss_url(test_data_path(path), NULL);
        assert_true(agree_with_faiss(index, KINDS[i]) > 0);
        dp_index_close(index);
        char *real = realpath(test_data_path(path), NULL);
        snprintf(url, sizeof url, "file://%s", real);
        free(real);
        index = open_faiss_url(url, NULL);
        assert_true(agree_with_faiss(index, KINDS[i]) > 0);
        dp_index_close(index);
    }
}

static struct dp_index *open_memory(struct span bytes)
{
    struct dp_index *index;
    struct dp_error error;
    if (open_bytes(bytes.data, bytes.len, NULL, &index, &error) != DP_OK)
        fail_msg("%s", error.message);
    return index;
}

static void test_capi_faiss_in_memory_answers_as_faiss(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct dp_index *index = open_memory(faiss_golden(KINDS[i], "ivf"));
        assert_true(agree_with_faiss(index, KINDS[i]) > 0);
        dp_index_close(index);
    }
}

/* Queries of one call share lists in memory. Each query gets the same bits as in a call for itself, and reads
 * nothing. */
static void test_capi_faiss_in_memory_answers_many_as_one_by_one(void **state)
{
    enum { COUNT = 150, K = 7 }; /* more queries than are searched together */
    static float queries[COUNT * DIM_MAX], each[COUNT * K], together[COUNT * K];
    static int64_t each_ids[COUNT * K], together_ids[COUNT * K];
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct dp_index *index = open_memory(faiss_golden(KINDS[i], "ivf"));
        struct answers a = faiss_answers(KINDS[i]);
        struct dp_cost costs[COUNT];
        for (size_t q = 0; q < COUNT; q++)
            for (size_t d = 0; d < a.d; d++) /* the middle of two queries */
                queries[q * a.d + d] =
                    0.5f * (a.queries[q % a.count * a.d + d] + a.queries[(q / a.count + q) % a.count * a.d + d]);
        const struct dp_index_search_options options = {
            .size = sizeof options, .nprobe = 3, .skip = (const int64_t[]){1, 2, 3}, .skip_count = 3};
        for (size_t q = 0; q < COUNT; q++)
            assert_int_equal(dp_index_search(index, queries + q * a.d, 1, a.d, K, &options, each_ids + q * K,
                                             each + q * K, NULL, NULL),
                             DP_OK);
        assert_int_equal(
            dp_index_search(index, queries, COUNT, a.d, K, &options, together_ids, together, costs, NULL), DP_OK);
        assert_memory_equal(each_ids, together_ids, sizeof each_ids);
        assert_memory_equal(each, together, sizeof each);
        for (size_t q = 0; q < COUNT; q++)
            assert_true(costs[q].rounds == 0 && costs[q].requests == 0 && costs[q].bytes == 0);
        free(a.queries);
        dp_index_close(index);
    }
}

static void test_capi_faiss_in_memory_says_what_is_wrong(void **state)
{
    (void)state;
    struct span bytes = faiss_golden("pq-l2-d12", "ivf");
    const struct dp_index_options named = {.size = sizeof named, .name = "mine"};
    struct dp_index *index = NULL;
    struct dp_error error;
    assert_int_equal(open_bytes(bytes.data, bytes.len / 2, &named, &index, &error), DP_CORRUPT);
    assert_null(index);
    assert_non_null(strstr(error.message, "mine"));
    assert_int_equal(open_bytes(bytes.data, 0, NULL, &index, &error), DP_CORRUPT);
    assert_int_equal(open_bytes(NULL, 0, NULL, &index, &error), DP_INVALID);
    struct dp_index_options two = {.size = sizeof two, .bytes = bytes.data, .bytes_len = bytes.len};
    assert_int_equal(dp_index_open("/nowhere", &two, &index, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "more than one of url"));
    index = open_memory(bytes);
    float query[DIM_MAX] = {0}, distances[2];
    int64_t ids[2];
    assert_int_equal(search_lists(index, query, 2, 1, 1, 1, ids, distances, NULL, &error), DP_INVALID);
    dp_index_close(index);
}

static void test_capi_faiss_info_describes_the_file(void **state)
{
    (void)state;
    struct caller caller = {.bytes = faiss_golden("idmap-pca-hnsw-pq", "ivf")};
    struct dp_index *index = caller_open(&caller, NULL);
    struct dp_index_info info = index_info(index);
    struct answers a = faiss_answers("idmap-pca-hnsw-pq");
    assert_string_equal(info.kind, "IwPQ");
    assert_int_equal(info.dim, a.d);
    assert_true(info.vectors > 0 && info.lists > 0 && info.default_nprobe > 0);
    assert_true(info.cluster_data_offset > 0 && info.cluster_data_offset < info.file_bytes);
    assert_true(info.open_bytes > 0);
    free(a.queries);
    dp_index_close(index);
    caller = (struct caller){.bytes = faiss_golden("flat-ip-d33", "ivf")};
    index = caller_open(&caller, NULL);
    assert_string_equal(index_info(index).kind, "IwFl");
    assert_int_equal(index_info(index).metric, DP_METRIC_INNER_PRODUCT);
    dp_index_close(index);
}

static void test_capi_faiss_without_vectors_finds_none(void **state)
{
    (void)state;
    struct caller caller = {.bytes = faiss_golden("flat-l2-empty", "ivf")};
    struct dp_index *index = caller_open(&caller, NULL);
    float query[DIM_MAX] = {0}, distances[2];
    int64_t ids[2];
    struct dp_cost cost;
    size_t dim = index_info(index).dim;
    assert_true(dim <= DIM_MAX);
    assert_int_equal(search_lists(index, query, 1, dim, 2, 0, ids, distances, &cost, NULL), DP_OK);
    assert_true(ids[0] == -1 && ids[1] == -1 && distances[1] == FLT_MAX);
    assert_int_equal(cost.rounds, 0);
    dp_index_close(index);
}

/* ---- options of searches ----------------------------------------------------------------------------- */

/* A filtered search over all lists gives the unfiltered answers without the ids that the filter removes. */
static void check_filter(const struct dp_index *index, const struct answers *a,
                         struct dp_index_search_options options)
{
    enum { ALL = 2000, K = 10 };
    static int64_t all[ALL];
    static float all_distances[ALL];
    int64_t ids[K];
    float distances[K];
    struct dp_cost plain, filtered;
    assert_true(index_info(index).vectors <= ALL);
    options.nprobe = SIZE_MAX;
    assert_int_equal(search_lists(index, a->queries, 1, a->d, ALL, SIZE_MAX, all, all_distances, &plain, NULL),
                     DP_OK);
    assert_int_equal(dp_index_search(index, a->queries, 1, a->d, K, &options, ids, distances, &filtered, NULL),
                     DP_OK);
    assert_int_equal(filtered.requests, plain.requests);
    assert_int_equal(filtered.bytes, plain.bytes);
    size_t found = 0;
    for (size_t i = 0; i < ALL && all[i] != -1 && found < K; i++) {
        bool kept = options.keep == NULL, skipped = false;
        for (size_t j = 0; j < options.keep_count; j++)
            kept = kept || options.keep[j] == all[i];
        for (size_t j = 0; j < options.skip_count; j++)
            skipped = skipped || options.skip[j] == all[i];
        if (!kept || skipped)
            continue;
        assert_int_equal(ids[found], all[i]);
        assert_true(distances[found] == all_distances[i]);
        found++;
    }
    for (; found < K; found++)
        assert_int_equal(ids[found], -1);
}

static void test_capi_faiss_search_keeps_and_skips_ids(void **state)
{
    (void)state;
    static const char *const names[] = {"flat-l2-d16", "sq8-ip-d48", "idmap2-sq8-ip", "pq-l2-d12", "rabitq-l2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct caller caller = {.bytes = faiss_golden(names[i], "ivf")};
        struct dp_index *index = caller_open(&caller, NULL);
        struct answers a = faiss_answers(names[i]);
        int64_t ids[40], far[42] = {INT64_MIN, INT64_MAX};
        float distances[40];
        assert_int_equal(search_lists(index, a.queries, 1, a.d, 40, SIZE_MAX, ids, distances, NULL, NULL), DP_OK);
        memcpy(far + 2, ids, sizeof ids);
        check_filter(index, &a,
                     (struct dp_index_search_options){
                         .size = sizeof(struct dp_index_search_options), .keep = ids + 5, .keep_count = 3});
        check_filter(index, &a,
                     (struct dp_index_search_options){
                         .size = sizeof(struct dp_index_search_options), .keep = ids + 5, .keep_count = 0});
        check_filter(index, &a,
                     (struct dp_index_search_options){
                         .size = sizeof(struct dp_index_search_options), .keep = far, .keep_count = 42});
        check_filter(index, &a,
                     (struct dp_index_search_options){
                         .size = sizeof(struct dp_index_search_options), .skip = ids, .skip_count = 20});
        check_filter(index, &a,
                     (struct dp_index_search_options){
                         .size = sizeof(struct dp_index_search_options), .skip = far, .skip_count = 7});
        check_filter(index, &a,
                     (struct dp_index_search_options){.size = sizeof(struct dp_index_search_options),
                                                      .keep = ids,
                                                      .keep_count = 20,
                                                      .skip = far,
                                                      .skip_count = 7});
        free(a.queries);
        dp_index_close(index);
    }
}

static void test_capi_faiss_search_without_options_uses_the_defaults(void **state)
{
    (void)state;
    struct caller caller = {.bytes = faiss_golden("flat-l2-d16", "ivf")};
    struct dp_index *index = caller_open(&caller, NULL);
    struct answers a = faiss_answers("flat-l2-d16");
    int64_t ids[2][3];
    float distances[2][3];
    assert_int_equal(search_lists(index, a.queries, 1, a.d, 3, 0, ids[0], distances[0], NULL, NULL), DP_OK);
    assert_int_equal(dp_index_search(index, a.queries, 1, a.d, 3, NULL, ids[1], distances[1], NULL, NULL), DP_OK);
    assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
    assert_memory_equal(distances[0], distances[1], sizeof distances[0]);
    free(a.queries);
    dp_index_close(index);
}

static void test_capi_faiss_search_refuses_options_it_cannot_follow(void **state)
{
    (void)state;
    struct caller caller = {.bytes = faiss_golden("flat-l2-d16", "ivf")};
    struct dp_index *index = caller_open(&caller, NULL);
    struct answers a = faiss_answers("flat-l2-d16");
    struct dp_index_search_options options = {.size = sizeof options, .recall = 0.9};
    struct dp_error error;
    int64_t id;
    float distance;
    size_t calls = caller.calls;
    assert_int_equal(dp_index_search(index, a.queries, 1, a.d, 1, &options, &id, &distance, NULL, &error),
                     DP_INVALID); /* a reader's file has no recall table */
    assert_non_null(strstr(error.message, "recall_table"));
    options = (struct dp_index_search_options){.size = sizeof(struct dp_index_search_options), .skip_count = 2};
    assert_int_equal(dp_index_search(index, a.queries, 1, a.d, 1, &options, &id, &distance, NULL, &error),
                     DP_INVALID);
    assert_non_null(strstr(error.message, "skip_count 2"));
    assert_int_equal(caller.calls, calls);
    free(a.queries);
    dp_index_close(index);
}

/* ---- costs ------------------------------------------------------------------------------------------ */

static void test_capi_faiss_search_over_callbacks_is_one_read(void **state)
{
    (void)state;
    struct caller caller = {.bytes = faiss_golden("flat-l2-d16", "ivf")};
    struct dp_index *index = caller_open(&caller, NULL);
    struct answers a = faiss_answers("flat-l2-d16");
    struct dp_cost cost, costs[2];
    int64_t ids[4];
    float distances[4];
    size_t calls = caller.calls, ranges = caller.ranges;
    assert_int_equal(search_lists(index, a.queries, 1, a.d, 2, 4, ids, distances, &cost, NULL), DP_OK);
    assert_int_equal(caller.calls - calls, 1);
    assert_int_equal(caller.ranges - ranges, 4); /* one range for each list, even for neighbours */
    assert_int_equal(cost.rounds, 1);
    assert_int_equal(cost.requests, 4);
    assert_true(cost.bytes > 0 && cost.ms >= 0);
    calls = caller.calls;
    assert_int_equal(search_lists(index, a.queries, 2, a.d, 2, 4, ids, distances, costs, NULL), DP_OK);
    assert_int_equal(caller.calls - calls, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(costs[i].rounds, 1);
        assert_int_equal(costs[i].requests, 4);
    }
    free(a.queries);
    dp_index_close(index);
}

static void test_capi_faiss_with_a_known_offset_opens_in_one_read(void **state)
{
    (void)state;
    struct span bytes = faiss_golden("sq8-l2-d16", "ivf");
    struct caller caller = {.bytes = bytes};
    struct dp_index *index = caller_open(&caller, NULL);
    struct dp_index_info info = index_info(index);
    struct dp_index_options known = {
        .size = sizeof known, .cluster_data_offset = info.cluster_data_offset, .n_clusters = info.lists};
    struct dp_index_options less = {.size = sizeof less, .cluster_data_offset = 100};
    dp_index_close(index);

    caller = (struct caller){.bytes = bytes};
    index = caller_open(&caller, &known);
    assert_int_equal(caller.calls, 1);
    assert_int_equal(index_info(index).open_bytes, info.cluster_data_offset);
    agree_with_faiss(index, "sq8-l2-d16");
    dp_index_close(index);

    struct http_server *server = http_server_start(NULL);
    char range[NAME_BYTES];
    http_server_put(server, "/a.ivf", bytes);
    index = open_faiss_url(http_server_url(server, "/a.ivf"), &known);
    assert_int_equal(http_server_count(server), 1);
    struct http_seen seen = http_server_seen(server, 0);
    snprintf(range, sizeof range, "bytes=0-%zu", (size_t)info.cluster_data_offset - 1);
    assert_string_equal(seen.method, "GET");
    assert_non_null(strstr(seen.head, range));
    assert_int_equal(index_info(index).open_bytes, info.cluster_data_offset);
    agree_with_faiss(index, "sq8-l2-d16");
    dp_index_close(index);

    /* A wrong offset costs more requests. */
    http_server_reset(server);
    index = open_faiss_url(http_server_url(server, "/a.ivf"), &less);
    assert_true(http_server_count(server) > 1);
    dp_index_close(index);
    http_server_stop(server);
}

static void test_capi_faiss_shorter_than_the_first_read_opens_in_one(void **state)
{
    (void)state;
    struct http_server *server = http_server_start(NULL);
    struct span bytes = faiss_golden("flat-l2-d16", "ivf");
    assert_true(bytes.len < 128 << 10);
    http_server_put(server, "/a.ivf", bytes);
    struct dp_index *index = open_faiss_url(http_server_url(server, "/a.ivf"), NULL);
    assert_int_equal(http_server_count(server), 1);
    assert_int_equal(index_info(index).open_rounds, 1);
    assert_int_equal(index_info(index).open_bytes, bytes.len);
    agree_with_faiss(index, "flat-l2-d16");
    dp_index_close(index);
    http_server_stop(server);
}

static void test_capi_faiss_without_merging_opens_a_long_head_in_one_read(void **state)
{
    (void)state;
    enum { LONG_HEAD = 9 << 20 }; /* beyond the size that is split; opening ignores bytes behind the lists */
    struct span bytes = faiss_golden("flat-l2-d16", "ivf");
    struct http_server *server = http_server_start(NULL);
    struct dp_index_options known = {
        .size = sizeof known, .cluster_data_offset = LONG_HEAD, .n_clusters = 8, .merge_none = true};
    uint8_t *padded = calloc(1, LONG_HEAD + bytes.len);
    assert_non_null(padded);
    memcpy(padded, bytes.data, bytes.len);
    http_server_put(server, "/a.ivf", span_of(padded, LONG_HEAD + bytes.len));
    free(padded);
    dp_index_close(open_faiss_url(http_server_url(server, "/a.ivf"), &known));
    assert_int_equal(http_server_count(server), 1);
    known.merge_none = false;
    dp_index_close(open_faiss_url(http_server_url(server, "/a.ivf"), &known));
    assert_true(http_server_count(server) > 2);
    http_server_stop(server);
}

static void test_capi_faiss_without_merging_gets_each_list_once(void **state)
{
    (void)state;
    enum { NPROBE = 4 };
    struct http_server *server = http_server_start(NULL);
    struct dp_index_options never = {.size = sizeof never, .merge_none = true};
    struct answers a = faiss_answers("flat-l2-d16");
    struct dp_cost cost;
    int64_t id;
    float distance;
    http_server_put(server, "/a.ivf", faiss_golden("flat-l2-d16", "ivf"));
    struct dp_index *index = open_faiss_url(http_server_url(server, "/a.ivf"), &never);
    http_server_reset(server);
    for (int again = 1; again <= 2; again++) {
        assert_int_equal(search_lists(index, a.queries, 1, a.d, 1, NPROBE, &id, &distance, &cost, NULL), DP_OK);
        assert_int_equal(http_server_count(server), NPROBE * again); /* searches keep nothing in memory */
        assert_int_equal(cost.requests, NPROBE);
        assert_int_equal(cost.rounds, 1);
    }
    for (unsigned i = 0; i < 2 * NPROBE; i++)
        assert_string_equal(http_server_seen(server, i).method, "GET");
    agree_with_faiss(index, "flat-l2-d16");
    dp_index_close(index);

    index = open_faiss_url(http_server_url(server, "/a.ivf"), NULL);
    http_server_reset(server);
    assert_int_equal(search_lists(index, a.queries, 1, a.d, 1, NPROBE, &id, &distance, &cost, NULL), DP_OK);
    assert_true(http_server_count(server) < NPROBE); /* the file is smaller than the gaps that merging allows */
    assert_int_equal(cost.requests, http_server_count(server));
    dp_index_close(index);
    free(a.queries);
    http_server_stop(server);
}

/* Searches for the first query until the costs are those of lists in memory, at most `tries` times. */
static bool search_costs_nothing(struct dp_index *index, const struct answers *a, long tries)
{
    enum { NPROBE = 4 };
    struct dp_cost cost = {.requests = 1};
    int64_t id;
    float distance;
    for (long i = 0; i < tries && cost.requests > 0; i++)
        assert_int_equal(search_lists(index, a->queries, 1, a->d, 1, NPROBE, &id, &distance, &cost, NULL), DP_OK);
    return cost.rounds == 0 && cost.requests == 0 && cost.bytes == 0;
}

static void test_capi_faiss_with_a_cache_keeps_lists_in_memory(void **state)
{
    (void)state;
    enum { LONG = 1 << 20, MANY = 10000000 }; /* a small file is read for its version; its end is ignored */
    struct span golden = faiss_golden("flat-l2-d16", "ivf");
    struct answers a = faiss_answers("flat-l2-d16");
    const struct dp_index_options kept = {.size = sizeof kept, .cache_bytes = 1 << 20};
    struct dp_error error;
    char path[4096];
    int64_t id;
    float distance;
    uint8_t *padded = calloc(1, LONG);
    assert_non_null(padded);
    memcpy(padded, golden.data, golden.len);

    struct http_server *server = http_server_start(NULL);
    http_server_put(server, "/a.ivf", span_of(padded, LONG));
    struct dp_index *index = open_faiss_url(http_server_url(server, "/a.ivf"), &kept);
    assert_true(search_costs_nothing(index, &a, 2));
    agree_with_faiss(index, "flat-l2-d16");
    dp_index_close(index);
    http_server_stop(server);

    snprintf(path, sizeof path, "%s/a.ivf", test_tmpdir());
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(padded, 1, LONG, file), LONG);
    assert_int_equal(fclose(file), 0);
    index = open_faiss_url(path, &kept);
    assert_true(search_costs_nothing(index, &a, MANY)); /* at once after the tick of the file's time */
    agree_with_faiss(index, "flat-l2-d16");
    assert_int_equal(truncate(path, LONG / 2), 0);
    assert_int_equal(search_lists(index, a.queries, 1, a.d, 1, 1, &id, &distance, NULL, &error), DP_STALE);
    dp_index_close(index);

    free(padded);
    free(a.queries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capi_faiss_over_a_callers_reader_answers_as_faiss),
        cmocka_unit_test(test_capi_faiss_at_a_path_answers_as_faiss),
        cmocka_unit_test(test_capi_faiss_in_memory_answers_as_faiss),
        cmocka_unit_test(test_capi_faiss_in_memory_answers_many_as_one_by_one),
        cmocka_unit_test(test_capi_faiss_in_memory_says_what_is_wrong),
        cmocka_unit_test(test_capi_faiss_info_describes_the_file),
        cmocka_unit_test(test_capi_faiss_without_vectors_finds_none),
        cmocka_unit_test(test_capi_faiss_search_keeps_and_skips_ids),
        cmocka_unit_test(test_capi_faiss_search_without_options_uses_the_defaults),
        cmocka_unit_test(test_capi_faiss_search_refuses_options_it_cannot_follow),
        cmocka_unit_test(test_capi_faiss_search_over_callbacks_is_one_read),
        cmocka_unit_test(test_capi_faiss_with_a_known_offset_opens_in_one_read),
        cmocka_unit_test(test_capi_faiss_shorter_than_the_first_read_opens_in_one),
        cmocka_unit_test(test_capi_faiss_without_merging_opens_a_long_head_in_one_read),
        cmocka_unit_test(test_capi_faiss_without_merging_gets_each_list_once),
        cmocka_unit_test(test_capi_faiss_with_a_cache_keeps_lists_in_memory),
    };
    return test_run(tests);
}
