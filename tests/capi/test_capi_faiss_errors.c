/* test_capi_faiss_errors.c: failures of FAISS files through the public C API: readers, files, settings, allocations. */
#include "test_support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capi_calls.h"
#include "faiss_caller.h"
#include "http_server.h"

/* ---- errors -------------------------------------------------------------------------------- */

/* Opens a file named "mine" and searches it, expects a failure, and checks that everything is freed. */
static struct dp_error failure(struct caller *caller, struct dp_index_options options)
{
    struct answers a = faiss_answers("flat-l2-d16");
    struct dp_index *index = NULL;
    struct dp_error error = {0};
    int64_t id;
    float distance;
    size_t live = test_alloc_live();
    options.name = "mine";
    enum dp_status status = caller_try(caller, &options, &index, &error);
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
        struct caller denied = {.bytes = faiss_golden("flat-l2-d16", "ivf"),
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
    struct caller opening = {.bytes = faiss_golden("flat-l2-d16", "ivf"), .act_at = 1, .slow = true};
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
    dp_index_close(caller_open(&patient, NULL));
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
    struct caller opening = {.bytes = faiss_golden("flat-l2-d16", "ivf"), .act_at = 1, .slow = true};
    const struct dp_index_options cancelled = {.size = sizeof cancelled,
                                               .limits = {.timeout_ms = 100, .cancelled = always}};
    assert_int_equal(failure(&opening, cancelled).status, DP_CANCELLED);
}

static void test_capi_faiss_says_what_is_wrong_with_a_file(void **state)
{
    (void)state;
    const struct dp_index_options none = {.size = sizeof none};
    struct span bytes = faiss_golden("flat-l2-d16", "ivf");
    struct caller other = {.bytes = bytes};
    struct dp_error error =
        failure(&other, (struct dp_index_options){.size = sizeof(struct dp_index_options), .n_clusters = 999});
    assert_int_equal(error.status, DP_INVALID);
    assert_non_null(strstr(error.message, "not 999"));
    struct caller empty = {.bytes = span_of(bytes.data, 0)};
    assert_int_equal(failure(&empty, none).status, DP_CORRUPT);
    struct caller half = {.bytes = span_of(bytes.data, bytes.len / 2)};
    assert_int_equal(failure(&half, none).status, DP_CORRUPT);
    struct caller graph = {.bytes = faiss_golden("hnsw", "refused")};
    error = failure(&graph, none);
    assert_int_equal(error.status, DP_UNSUPPORTED);
    assert_non_null(strstr(error.message, "mine: it is an HNSW graph"));

    struct caller unread = {.bytes = bytes};
    struct dp_index *index;
    assert_int_equal(open_reader(bytes.len, NULL, &unread, caller_free, NULL, &index, &error), DP_INVALID);
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
    struct caller caller = {.bytes = faiss_golden("flat-l2-d16", "ivf")};
    struct dp_index *index = caller_open(&caller, NULL);
    struct answers a = faiss_answers("flat-l2-d16");
    size_t k = (size_t)index_info(index).vectors + 1;
    int64_t *ids = calloc(k, sizeof *ids);
    float *distances = calloc(k, sizeof *distances);
    assert_true(ids && distances);
    /* A search of all lists finds all vectors. The place after them stays empty. */
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
    http_server_put(server, "/bucket/a.ivf", faiss_golden("flat-l2-d16", "ivf"));
    index = open_faiss_url("s3://bucket/a.ivf", NULL);
    assert_true(http_server_count(server) > 0);
    assert_non_null(strstr(http_server_seen(server, 0).head, "Credential=id/"));
    agree_with_faiss(index, "flat-l2-d16");
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
    return caller_try(caller, &options, index, error);
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
        status = search_answers(index, a, 2, ids, distances, &error);
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
        struct answers a = faiss_answers(name);
        struct span bytes = faiss_golden(name, "ivf");
        snprintf(path, sizeof path, "faiss/%s.ivf", name);
        size_t live = test_alloc_live();
        bool fired = true;
        for (size_t n = 1; fired; n = test_alloc_next(n)) {
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
