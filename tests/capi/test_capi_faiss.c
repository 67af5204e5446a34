/* test_capi_faiss.c: FAISS files through the public C API: over a caller's reader and at URLs, against FAISS's own
 * answers (tests/golden/make_faiss_golden.py describes them), what each call costs, and what goes wrong.
 */
#include "capi_calls.h"
#include "test_support.h"

#include <dipper/dipper.h>
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/span.h"
#include "http_server.h"

enum { NAME_BYTES = 128, ANSWERS_MAX = 4096, DIM_MAX = 512 };

/* Files of most supported kinds. */
static const char *const KINDS[] = {"flat-l2-d16",  "flat-ip-d33",   "flat-l2-sparse",    "sq8-ip-d48",
                                    "pq-l2-d12",    "pqfs-l2",       "pqfsr-ip",          "rabitq-l2",
                                    "rabitqfs4-l2", "idmap2-sq8-ip", "idmap-pca-hnsw-pq", "norm-remap-flat"};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

static struct span golden(const char *name, const char *suffix)
{
    char path[NAME_BYTES];
    snprintf(path, sizeof path, "faiss/%s.%s", name, suffix);
    return test_data(path);
}

/* FAISS's answers: queries, then ids and distances for each nprobe. */
struct answers {
    struct cursor rest;
    uint32_t count, d, k, searches;
    float largest; /* largest squared length of a vector in the file */
    float *queries;
};

static float *floats_of(struct span bytes)
{
    float *floats = malloc(bytes.len);
    assert_non_null(floats);
    memcpy(floats, bytes.data, bytes.len);
    return floats;
}

static struct answers answers_of(const char *name)
{
    struct answers a = {.rest = cursor_over(golden(name, "answers"))};
    assert_memory_equal(cursor_bytes(&a.rest, 8).data, "DPFAISS1", 8);
    a.count = cursor_u32(&a.rest);
    a.d = cursor_u32(&a.rest);
    a.k = cursor_u32(&a.rest);
    a.searches = cursor_u32(&a.rest);
    a.largest = cursor_f32(&a.rest);
    a.queries = floats_of(cursor_bytes(&a.rest, (uint64_t)a.count * a.d * sizeof(float)));
    assert_false(a.rest.failed);
    assert_true((size_t)a.count * a.k <= ANSWERS_MAX);
    return a;
}

/* A caller's file in memory, which counts its calls and can fail at one of them. */
struct caller {
    struct span bytes;
    _Atomic size_t calls, ranges, frees;
    size_t act_at; /* the call, from 1, at which the fields below take effect; 0: never */
    enum dp_status status;
    const char *sentence;
    size_t short_by;
    bool slow; /* takes all the time that is left */
    int64_t told_ms;
};

static void wait_ms(int64_t ms)
{
    struct timespec began, now;
    clock_gettime(CLOCK_MONOTONIC, &began);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000 <= ms);
}

static enum dp_status read_ranges(void *ctx, struct dp_range *ranges, size_t count, int64_t timeout_ms,
                                  char *message)
{
    struct caller *caller = ctx;
    bool act = ++caller->calls == caller->act_at;
    assert_true(count > 0);
    if (act)
        caller->told_ms = timeout_ms;
    if (act && caller->slow)
        wait_ms(timeout_ms);
    if (act && caller->status != DP_OK) {
        if (caller->sentence)
            snprintf(message, DP_ERROR_MESSAGE_MAX, "%s", caller->sentence);
        return caller->status;
    }
    for (size_t i = 0; i < count; i++) {
        struct span part = {0};
        assert_true(span_sub(caller->bytes, ranges[i].offset, ranges[i].len, &part));
        assert_int_equal(ranges[i].got, 0);
        assert_true(part.len > 0);
        memcpy(ranges[i].into, part.data, part.len);
        ranges[i].got = part.len;
        caller->ranges++;
    }
    if (act)
        ranges[count - 1].got -= caller->short_by;
    return DP_OK;
}

static void free_caller(void *ctx)
{
    ((struct caller *)ctx)->frees++;
}

static enum dp_status try_caller(struct caller *caller, const struct dp_index_options *options,
                                 struct dp_index **out, struct dp_error *error)
{
    return open_reader(caller->bytes.len, read_ranges, caller, free_caller, options, out, error);
}

static struct dp_index *open_caller(struct caller *caller, const struct dp_index_options *options)
{
    struct dp_index *index;
    struct dp_error error;
    if (try_caller(caller, options, &index, &error) != DP_OK)
        fail_msg("%s", error.message);
    return index;
}

static struct dp_index *open_url(const char *url, const struct dp_index_options *options)
{
    struct dp_index *index;
    struct dp_error error;
    if (dp_index_open(url, options, &index, &error) != DP_OK)
        fail_msg("%s: %s", url, error.message);
    return index;
}

static enum dp_status search(const struct dp_index *index, const struct answers *a, size_t nprobe, int64_t *ids,
                             float *distances, struct dp_error *error)
{
    return search_lists(index, a->queries, a->count, a->d, a->k, nprobe, ids, distances, NULL, error);
}

/* Compares one query's answer with FAISS's: equal distances rank by rank, equal ids except for ties. */
static void compare_row(const struct answers *a, bool l2, const int64_t *ids, const float *distances,
                        const int32_t *faiss_ids, const float *faiss_distances, float tolerance)
{
    size_t expected = 0;
    while (expected < a->k && faiss_ids[expected] >= 0)
        expected++;
    for (size_t i = 0; i < expected; i++) {
        float allowed = tolerance + 1e-4f * fabsf(faiss_distances[i]);
        assert_true(fabsf(distances[i] - faiss_distances[i]) <= allowed);
        size_t at = 0;
        while (at < expected && faiss_ids[at] != ids[i])
            at++;
        /* An id that FAISS does not have must tie with FAISS's last one. */
        assert_true(fabsf(distances[i] - faiss_distances[at < expected ? at : expected - 1]) <= allowed);
    }
    for (size_t i = expected; i < a->k; i++) {
        assert_int_equal(ids[i], -1);
        assert_true(distances[i] == (l2 ? FLT_MAX : -FLT_MAX));
    }
}

/* Repeats all of FAISS's searches. Returns the number of queries. */
static size_t agree(const struct dp_index *index, const char *name)
{
    static int64_t ids[ANSWERS_MAX];
    static float distances[ANSWERS_MAX];
    struct answers a = answers_of(name);
    struct dp_error error;
    bool l2 = index_info(index).metric == DP_METRIC_L2;
    size_t row = a.k * sizeof(int32_t);
    assert_int_equal(index_info(index).dim, a.d);
    for (uint32_t s = 0; s < a.searches; s++) {
        uint32_t nprobe = cursor_u32(&a.rest);
        const uint8_t *faiss_ids = cursor_bytes(&a.rest, a.count * row).data;
        const uint8_t *faiss_distances = cursor_bytes(&a.rest, a.count * row).data;
        assert_false(a.rest.failed);
        if (search(index, &a, nprobe, ids, distances, &error) != DP_OK)
            fail_msg("%s: %s", name, error.message);
        for (uint32_t q = 0; q < a.count; q++) {
            int32_t row_ids[ANSWERS_MAX];
            float row_distances[ANSWERS_MAX], length = 0;
            memcpy(row_ids, faiss_ids + q * row, row);
            memcpy(row_distances, faiss_distances + q * row, row);
            for (uint32_t i = 0; i < a.d; i++)
                length += a.queries[q * a.d + i] * a.queries[q * a.d + i];
            compare_row(&a, l2, ids + (size_t)q * a.k, distances + (size_t)q * a.k, row_ids, row_distances,
                        1e-5f * (length + a.largest));
        }
    }
    free(a.queries);
    return (size_t)a.searches * a.count;
}

/* ---- answers ---------------------------------------------------------------------------------------- */

static void test_capi_faiss_over_a_callers_reader_answers_as_faiss(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct caller caller = {.bytes = golden(KINDS[i], "ivf")};
        struct dp_index *index = open_caller(&caller, NULL);
        struct dp_index_info info = index_info(index);
        assert_int_equal(info.open_rounds, caller.calls);
        assert_int_equal(info.file_bytes, caller.bytes.len);
        size_t opened = caller.calls, asked = agree(index, KINDS[i]);
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
        struct dp_index *index = open_url(test_data_path(path), NULL);
        assert_true(agree(index, KINDS[i]) > 0);
        dp_index_close(index);
        char *real = realpath(test_data_path(path), NULL);
        snprintf(url, sizeof url, "file://%s", real);
        free(real);
        index = open_url(url, NULL);
        assert_true(agree(index, KINDS[i]) > 0);
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
        struct dp_index *index = open_memory(golden(KINDS[i], "ivf"));
        assert_true(agree(index, KINDS[i]) > 0);
        dp_index_close(index);
    }
}

/* Queries of one call share lists in memory. Each gets the same bits as in a call for itself, and reads nothing. */
static void test_capi_faiss_in_memory_answers_many_as_one_by_one(void **state)
{
    enum { COUNT = 150, K = 7 }; /* more than are searched together */
    static float queries[COUNT * DIM_MAX], each[COUNT * K], together[COUNT * K];
    static int64_t each_ids[COUNT * K], together_ids[COUNT * K];
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct dp_index *index = open_memory(golden(KINDS[i], "ivf"));
        struct answers a = answers_of(KINDS[i]);
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
    struct span bytes = golden("pq-l2-d12", "ivf");
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
    struct caller caller = {.bytes = golden("idmap-pca-hnsw-pq", "ivf")};
    struct dp_index *index = open_caller(&caller, NULL);
    struct dp_index_info info = index_info(index);
    struct answers a = answers_of("idmap-pca-hnsw-pq");
    assert_string_equal(info.kind, "IwPQ");
    assert_int_equal(info.dim, a.d);
    assert_true(info.vectors > 0 && info.lists > 0 && info.default_nprobe > 0);
    assert_true(info.cluster_data_offset > 0 && info.cluster_data_offset < info.file_bytes);
    assert_true(info.open_bytes > 0);
    free(a.queries);
    dp_index_close(index);
    caller = (struct caller){.bytes = golden("flat-ip-d33", "ivf")};
    index = open_caller(&caller, NULL);
    assert_string_equal(index_info(index).kind, "IwFl");
    assert_int_equal(index_info(index).metric, DP_METRIC_INNER_PRODUCT);
    dp_index_close(index);
}

static void test_capi_faiss_without_vectors_finds_none(void **state)
{
    (void)state;
    struct caller caller = {.bytes = golden("flat-l2-empty", "ivf")};
    struct dp_index *index = open_caller(&caller, NULL);
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
        struct caller caller = {.bytes = golden(names[i], "ivf")};
        struct dp_index *index = open_caller(&caller, NULL);
        struct answers a = answers_of(names[i]);
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
    struct caller caller = {.bytes = golden("flat-l2-d16", "ivf")};
    struct dp_index *index = open_caller(&caller, NULL);
    struct answers a = answers_of("flat-l2-d16");
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
    struct caller caller = {.bytes = golden("flat-l2-d16", "ivf")};
    struct dp_index *index = open_caller(&caller, NULL);
    struct answers a = answers_of("flat-l2-d16");
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
    struct caller caller = {.bytes = golden("flat-l2-d16", "ivf")};
    struct dp_index *index = open_caller(&caller, NULL);
    struct answers a = answers_of("flat-l2-d16");
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
    struct span bytes = golden("sq8-l2-d16", "ivf");
    struct caller caller = {.bytes = bytes};
    struct dp_index *index = open_caller(&caller, NULL);
    struct dp_index_info info = index_info(index);
    struct dp_index_options known = {
        .size = sizeof known, .cluster_data_offset = info.cluster_data_offset, .n_clusters = info.lists};
    struct dp_index_options less = {.size = sizeof less, .cluster_data_offset = 100};
    dp_index_close(index);

    caller = (struct caller){.bytes = bytes};
    index = open_caller(&caller, &known);
    assert_int_equal(caller.calls, 1);
    assert_int_equal(index_info(index).open_bytes, info.cluster_data_offset);
    agree(index, "sq8-l2-d16");
    dp_index_close(index);

    struct http_server *server = http_server_start(NULL);
    char range[NAME_BYTES];
    http_server_put(server, "/a.ivf", bytes);
    index = open_url(http_server_url(server, "/a.ivf"), &known);
    assert_int_equal(http_server_count(server), 1);
    struct http_seen seen = http_server_seen(server, 0);
    snprintf(range, sizeof range, "bytes=0-%zu", (size_t)info.cluster_data_offset - 1);
    assert_string_equal(seen.method, "GET");
    assert_non_null(strstr(seen.head, range));
    assert_int_equal(index_info(index).open_bytes, info.cluster_data_offset);
    agree(index, "sq8-l2-d16");
    dp_index_close(index);

    /* A wrong offset costs more requests. */
    http_server_reset(server);
    index = open_url(http_server_url(server, "/a.ivf"), &less);
    assert_true(http_server_count(server) > 1);
    dp_index_close(index);
    http_server_stop(server);
}

static void test_capi_faiss_shorter_than_the_first_read_opens_in_one(void **state)
{
    (void)state;
    struct http_server *server = http_server_start(NULL);
    struct span bytes = golden("flat-l2-d16", "ivf");
    assert_true(bytes.len < 128 << 10);
    http_server_put(server, "/a.ivf", bytes);
    struct dp_index *index = open_url(http_server_url(server, "/a.ivf"), NULL);
    assert_int_equal(http_server_count(server), 1);
    assert_int_equal(index_info(index).open_rounds, 1);
    assert_int_equal(index_info(index).open_bytes, bytes.len);
    agree(index, "flat-l2-d16");
    dp_index_close(index);
    http_server_stop(server);
}

static void test_capi_faiss_without_merging_opens_a_long_head_in_one_read(void **state)
{
    (void)state;
    enum { LONG_HEAD = 9 << 20 }; /* beyond the size that is split; opening ignores bytes behind the lists */
    struct span bytes = golden("flat-l2-d16", "ivf");
    struct http_server *server = http_server_start(NULL);
    struct dp_index_options known = {
        .size = sizeof known, .cluster_data_offset = LONG_HEAD, .n_clusters = 8, .merge_none = true};
    uint8_t *padded = calloc(1, LONG_HEAD + bytes.len);
    assert_non_null(padded);
    memcpy(padded, bytes.data, bytes.len);
    http_server_put(server, "/a.ivf", span_of(padded, LONG_HEAD + bytes.len));
    free(padded);
    dp_index_close(open_url(http_server_url(server, "/a.ivf"), &known));
    assert_int_equal(http_server_count(server), 1);
    known.merge_none = false;
    dp_index_close(open_url(http_server_url(server, "/a.ivf"), &known));
    assert_true(http_server_count(server) > 2);
    http_server_stop(server);
}

static void test_capi_faiss_without_merging_gets_each_list_once(void **state)
{
    (void)state;
    enum { NPROBE = 4 };
    struct http_server *server = http_server_start(NULL);
    struct dp_index_options never = {.size = sizeof never, .merge_none = true};
    struct answers a = answers_of("flat-l2-d16");
    struct dp_cost cost;
    int64_t id;
    float distance;
    http_server_put(server, "/a.ivf", golden("flat-l2-d16", "ivf"));
    struct dp_index *index = open_url(http_server_url(server, "/a.ivf"), &never);
    http_server_reset(server);
    for (int again = 1; again <= 2; again++) {
        assert_int_equal(search_lists(index, a.queries, 1, a.d, 1, NPROBE, &id, &distance, &cost, NULL), DP_OK);
        assert_int_equal(http_server_count(server), NPROBE * again); /* searches keep nothing in memory */
        assert_int_equal(cost.requests, NPROBE);
        assert_int_equal(cost.rounds, 1);
    }
    for (unsigned i = 0; i < 2 * NPROBE; i++)
        assert_string_equal(http_server_seen(server, i).method, "GET");
    agree(index, "flat-l2-d16");
    dp_index_close(index);

    index = open_url(http_server_url(server, "/a.ivf"), NULL);
    http_server_reset(server);
    assert_int_equal(search_lists(index, a.queries, 1, a.d, 1, NPROBE, &id, &distance, &cost, NULL), DP_OK);
    assert_true(http_server_count(server) < NPROBE); /* the file is smaller than the gaps that merging allows */
    assert_int_equal(cost.requests, http_server_count(server));
    dp_index_close(index);
    free(a.queries);
    http_server_stop(server);
}

/* ---- errors -------------------------------------------------------------------------------- */

/* Opens a file named "mine" and searches it, expects a failure, and checks that everything is freed. */
static struct dp_error failure(struct caller *caller, struct dp_index_options options)
{
    struct answers a = answers_of("flat-l2-d16");
    struct dp_index *index = NULL;
    struct dp_error error = {0};
    int64_t id;
    float distance;
    size_t live = test_alloc_live();
    options.name = "mine";
    enum dp_status status = try_caller(caller, &options, &index, &error);
    assert_true((status == DP_OK) == (index != NULL));
    assert_int_equal(caller->frees, status == DP_OK ? 0 : 1);
    const struct dp_index_search_options two = {.size = sizeof two, .limits = options.limits, .nprobe = 2};
    if (status == DP_OK)
        status = dp_index_search(index, a.queries, 1, a.d, 1, &two, &id, &distance, NULL, &error);
    dp_index_close(index);
    assert_int_equal(caller->frees, 1);
    assert_int_equal(test_alloc_live(), live);
    assert_int_equal(error.status, status);
    free(a.queries);
    return error;
}

static void test_capi_faiss_errors_quote_the_reader(void **state)
{
    (void)state;
    const struct dp_index_options none = {.size = sizeof none};
    for (size_t at = 1; at <= 2; at++) { /* opening, searching */
        struct caller denied = {.bytes = golden("flat-l2-d16", "ivf"),
                                .act_at = at,
                                .status = DP_DENIED,
                                .sentence = "the tape is locked"};
        struct dp_error error = failure(&denied, none);
        assert_int_equal(error.status, DP_DENIED);
        assert_string_equal(error.message, "mine: the caller's reader failed: the tape is locked");
        struct caller mute = {.bytes = denied.bytes, .act_at = at, .status = DP_UNAVAILABLE};
        error = failure(&mute, none);
        assert_int_equal(error.status, DP_UNAVAILABLE);
        assert_string_equal(error.message, "mine: the caller's reader failed: unavailable");
        for (int odd = -1000; odd <= 1000; odd += 2000) {
            struct caller strange = {.bytes = denied.bytes, .act_at = at, .status = (enum dp_status)odd};
            assert_int_equal(failure(&strange, none).status, DP_IO);
        }
        struct caller brief = {.bytes = denied.bytes, .act_at = at, .short_by = 1};
        error = failure(&brief, none);
        assert_int_equal(error.status, DP_IO);
        assert_non_null(strstr(error.message, "mine: the caller's reader answered "));
    }
}

static void test_capi_faiss_fails_when_a_reader_is_slow(void **state)
{
    (void)state;
    struct caller opening = {.bytes = golden("flat-l2-d16", "ivf"), .act_at = 1, .slow = true};
    struct dp_error error = failure(
        &opening, (struct dp_index_options){.size = sizeof(struct dp_index_options), .limits.timeout_ms = 50});
    assert_int_equal(error.status, DP_DEADLINE);
    assert_true(opening.told_ms <= 50);
    assert_true(error.message[0] != 0);
    struct caller searching = {.bytes = opening.bytes, .act_at = 2, .slow = true};
    error = failure(&searching,
                    (struct dp_index_options){.size = sizeof(struct dp_index_options), .limits.timeout_ms = 50});
    assert_int_equal(error.status, DP_DEADLINE);
    assert_true(searching.told_ms <= 50);
    /* A reader without a limit gets -1. */
    struct caller patient = {.bytes = opening.bytes, .act_at = 1};
    dp_index_close(open_caller(&patient, NULL));
    assert_int_equal(patient.told_ms, -1);
}

static bool always(void *ctx)
{
    (void)ctx;
    return true;
}

static void test_capi_faiss_is_cancelled_while_a_reader_reads(void **state)
{
    (void)state;
    struct caller opening = {.bytes = golden("flat-l2-d16", "ivf"), .act_at = 1, .slow = true};
    const struct dp_index_options cancelled = {.size = sizeof cancelled,
                                               .limits = {.timeout_ms = 100, .cancelled = always}};
    assert_int_equal(failure(&opening, cancelled).status, DP_CANCELLED);
}

static void test_capi_faiss_says_what_is_wrong_with_a_file(void **state)
{
    (void)state;
    const struct dp_index_options none = {.size = sizeof none};
    struct span bytes = golden("flat-l2-d16", "ivf");
    struct caller other = {.bytes = bytes};
    struct dp_error error =
        failure(&other, (struct dp_index_options){.size = sizeof(struct dp_index_options), .n_clusters = 999});
    assert_int_equal(error.status, DP_INVALID);
    assert_non_null(strstr(error.message, "not 999"));
    struct caller empty = {.bytes = span_of(bytes.data, 0)};
    assert_int_equal(failure(&empty, none).status, DP_CORRUPT);
    struct caller half = {.bytes = span_of(bytes.data, bytes.len / 2)};
    assert_int_equal(failure(&half, none).status, DP_CORRUPT);
    struct caller graph = {.bytes = golden("hnsw", "refused")};
    error = failure(&graph, none);
    assert_int_equal(error.status, DP_UNSUPPORTED);
    assert_non_null(strstr(error.message, "mine: it is an HNSW graph"));

    struct caller unread = {.bytes = bytes};
    struct dp_index *index;
    assert_int_equal(open_reader(bytes.len, NULL, &unread, free_caller, NULL, &index, &error), DP_INVALID);
    assert_null(index);
    assert_int_equal(unread.frees, 1);
    assert_int_equal(open_reader(bytes.len, NULL, &unread, NULL, NULL, &index, NULL), DP_INVALID);

    assert_int_equal(dp_index_open("/nowhere/at/all.ivf", NULL, &index, &error), DP_NOT_FOUND);
    assert_null(index);
    assert_true(error.message[0] != 0);
    assert_int_equal(dp_index_open("gopher://x/y.ivf", NULL, &index, &error), DP_UNSUPPORTED);
}

static void test_capi_faiss_k_and_nprobe_may_exceed_the_file(void **state)
{
    (void)state;
    struct caller caller = {.bytes = golden("flat-l2-d16", "ivf")};
    struct dp_index *index = open_caller(&caller, NULL);
    struct answers a = answers_of("flat-l2-d16");
    size_t k = (size_t)index_info(index).vectors + 1;
    int64_t *ids = calloc(k, sizeof *ids);
    float *distances = calloc(k, sizeof *distances);
    assert_true(ids && distances);
    /* All lists: all vectors, and then none. */
    assert_int_equal(search_lists(index, a.queries, 1, a.d, k, SIZE_MAX, ids, distances, NULL, NULL), DP_OK);
    assert_true(ids[k - 2] >= 0 && distances[0] <= distances[k - 2]);
    assert_int_equal(ids[k - 1], -1);
    free(ids);
    free(distances);
    free(a.queries);
    dp_index_close(index);
}

static void test_capi_faiss_reads_the_settings_of_s3_from_the_environment(void **state)
{
    (void)state;
    struct dp_index *index;
    struct dp_error error;
    setenv("S3_ENDPOINT_URL", "nonsense", 1);
    assert_int_equal(dp_index_open("s3://bucket/a.ivf", NULL, &index, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "S3_ENDPOINT_URL: write http://host:port"));
    assert_null(index);

    struct http_server *server = http_server_start(NULL);
    setenv("S3_ENDPOINT_URL", http_server_url(server, ""), 1);
    setenv("AWS_ACCESS_KEY_ID", "id", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("AWS_REGION", "eu-central-1", 1);
    http_server_put(server, "/bucket/a.ivf", golden("flat-l2-d16", "ivf"));
    index = open_url("s3://bucket/a.ivf", NULL);
    assert_true(http_server_count(server) > 0);
    assert_non_null(strstr(http_server_seen(server, 0).head, "Credential=id/"));
    agree(index, "flat-l2-d16");
    dp_index_close(index);
    http_server_stop(server);
    unsetenv("S3_ENDPOINT_URL");
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    unsetenv("AWS_REGION");
}

/* ---- failed allocations ----------------------------------------------------------------------------- */

enum way { BY_CALLBACKS, AT_A_PATH, IN_MEMORY, WAYS };

static enum dp_status open_by(enum way way, const char *path, struct caller *caller, struct dp_index **index,
                              struct dp_error *error)
{
    const struct dp_index_options options = {.size = sizeof options, .name = "mine"};
    if (way == AT_A_PATH)
        return dp_index_open(path, &options, index, error);
    if (way == IN_MEMORY)
        return open_bytes(caller->bytes.data, caller->bytes.len, &options, index, error);
    return try_caller(caller, &options, index, error);
}

static enum dp_status walk(enum way way, const char *path, struct caller *caller, const struct answers *a)
{
    static int64_t ids[ANSWERS_MAX];
    static float distances[ANSWERS_MAX];
    struct dp_index *index = NULL;
    struct dp_cost costs[ANSWERS_MAX];
    struct dp_error error;
    enum dp_status status = open_by(way, path, caller, &index, &error);
    const int64_t keep[] = {1, INT64_MAX}, skip[] = {2};
    const struct dp_index_search_options filtered = {
        .size = sizeof filtered, .nprobe = 2, .keep = keep, .keep_count = 2, .skip = skip, .skip_count = 1};
    if (status == DP_OK)
        status = search(index, a, 2, ids, distances, &error);
    if (status == DP_OK)
        status =
            dp_index_search(index, a->queries, a->count, a->d, a->k, &filtered, ids, distances, costs, &error);
    dp_index_close(index);
    return status;
}

static void test_capi_faiss_survives_every_failed_allocation(void **state)
{
    (void)state;
    static const char *const names[] = {"flat-l2-d16", "idmap-pca-hnsw-pq", "pq-l2-d12"};
    size_t failed = 0;
    for (size_t i = 0; i < WAYS * sizeof names / sizeof *names; i++) {
        char path[NAME_BYTES];
        const char *name = names[i / WAYS];
        enum way way = (enum way)(i % WAYS);
        struct answers a = answers_of(name);
        struct span bytes = golden(name, "ivf");
        snprintf(path, sizeof path, "faiss/%s.ivf", name);
        size_t live = test_alloc_live();
        bool fired = true;
        for (size_t n = 1; fired; n++) {
            struct caller caller = {.bytes = bytes};
            test_alloc_fail_at(n);
            enum dp_status status = walk(way, test_data_path(path), &caller, &a);
            fired = test_alloc_fired();
            test_alloc_fail_at(0);
            assert_int_equal(caller.frees, way == BY_CALLBACKS);
            assert_int_equal(test_alloc_live(), live);
            assert_int_equal(status, fired ? DP_NOMEM : DP_OK);
            failed += fired;
        }
        free(a.queries);
    }
    assert_true(failed > 0);
    print_message("%zu allocations failed in turn\n", failed);
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
        cmocka_unit_test(test_capi_faiss_errors_quote_the_reader),
        cmocka_unit_test(test_capi_faiss_fails_when_a_reader_is_slow),
        cmocka_unit_test(test_capi_faiss_is_cancelled_while_a_reader_reads),
        cmocka_unit_test(test_capi_faiss_says_what_is_wrong_with_a_file),
        cmocka_unit_test(test_capi_faiss_k_and_nprobe_may_exceed_the_file),
        cmocka_unit_test(test_capi_faiss_reads_the_settings_of_s3_from_the_environment),
        cmocka_unit_test(test_capi_faiss_survives_every_failed_allocation),
    };
    return test_run(tests);
}
