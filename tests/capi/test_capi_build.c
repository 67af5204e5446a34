/* test_capi_build.c: builds FAISS files through the public header, from memory and from files: the same bytes. */
#include <dipper/dipper.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"
#include "capi_calls.h"
#include "test_support.h"

/* Replaces the C library's fsync, which takes long on a busy disk. These files need not survive a crash. */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

enum { N = 5000, DIM = 128 };

static float *sift; /* float[N][DIM] */
static char folder[256];
static struct dp_error error;

static int set_up(void **state)
{
    (void)state;
    struct span bytes = test_data("vectors/sift-5k.u8");
    snprintf(folder, sizeof folder, "%s", test_tmpdir());
    sift = malloc(bytes.len * sizeof *sift);
    if (!sift || bytes.len != N * DIM)
        return -1;
    for (size_t i = 0; i < bytes.len; i++)
        sift[i] = bytes.data[i];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(sift);
    return 0;
}

static const char *path_of(const char *name)
{
    static char paths[8][512]; /* the last eight results stay valid */
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void expect(enum dp_status status, enum dp_status wanted)
{
    if (status != wanted)
        fail_msg("%d instead of %d: %s", status, wanted, error.message);
}

static void assert_same_file(const char *a, const char *b)
{
    struct os_map left, right;
    assert_int_equal(os_map_file(a, &left, NULL), DP_OK);
    assert_int_equal(os_map_file(b, &right, NULL), DP_OK);
    assert_true(span_equal(left.bytes, right.bytes));
    os_unmap(&left);
    os_unmap(&right);
}

static size_t files_in_folder(void)
{
    size_t count = 0;
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    while (readdir(entries))
        count++;
    closedir(entries);
    return count - 2;
}

static const char *npy_of(const char *name, const char *descr, const void *numbers, size_t size, size_t rows,
                          size_t columns)
{
    struct buffer b;
    char header[128];
    const char *path = path_of(name);
    int len = columns > 0 ? snprintf(header, sizeof header,
                                     "{'descr': '%s', 'fortran_order': False, 'shape': (%zu, %zu), }\n", descr,
                                     rows, columns)
                          : snprintf(header, sizeof header,
                                     "{'descr': '%s', 'fortran_order': False, 'shape': (%zu,), }\n", descr, rows);
    buffer_init(&b, 64 << 20);
    buffer_append(&b, span_of("\x93NUMPY\x01\x00", 8));
    buffer_u16(&b, (uint16_t)len);
    buffer_append_str(&b, header);
    buffer_append(&b, span_of(numbers, size));
    assert_int_equal(os_write_file(path, buffer_span(&b), NULL), DP_OK);
    buffer_deinit(&b);
    return path;
}

/* Returns the share of `queries` vectors that are their own nearest in the file. */
static double found(const char *path, size_t queries, int64_t step)
{
    struct dp_index *index;
    size_t hits = 0;
    expect(dp_index_open(path, NULL, &index, &error), DP_OK);
    for (size_t q = 0; q < queries; q++) {
        int64_t id;
        float distance;
        expect(search_lists(index, sift + q * DIM, 1, DIM, 1, 0, &id, &distance, NULL, &error), DP_OK);
        hits += id == (int64_t)q * step;
    }
    dp_index_close(index);
    return (double)hits / (double)queries;
}

static void test_capi_build_from_memory(void **state)
{
    (void)state;
    struct dp_index *index;
    const char *path = path_of("flat.ivf");
    expect(dp_index_build(NULL, sift, N, DIM, NULL, path, NULL, &error), DP_OK);
    expect(dp_index_open(path, NULL, &index, &error), DP_OK);
    struct dp_index_info info = index_info(index);
    assert_string_equal(info.kind, "IwFl");
    assert_int_equal(info.vectors, N);
    assert_int_equal(info.dim, DIM);
    assert_int_equal(info.metric, DP_METRIC_L2);
    assert_int_equal(info.lists, N / 39); /* fewer than 2 sqrt(N) */
    dp_index_close(index);
    assert_true(found(path, 200, 1) == 1.0);

    int64_t *ids = malloc(N * sizeof *ids);
    assert_non_null(ids);
    for (int64_t i = 0; i < N; i++)
        ids[i] = i * 3;
    struct dp_index_build_options options = {
        .size = sizeof options, .kind = DP_IVF_SQ8, .metric = DP_METRIC_COSINE, .nlist = 32, .no_recall = true};
    expect(dp_index_build(NULL, sift, N, DIM, ids, path, &options, &error), DP_OK); /* replaces the first file */
    expect(dp_index_open(path, NULL, &index, &error), DP_OK);
    info = index_info(index);
    assert_string_equal(info.kind, "IwSq");
    assert_int_equal(info.metric, DP_METRIC_INNER_PRODUCT);
    assert_int_equal(info.lists, 32);
    dp_index_close(index);
    assert_true(found(path, 200, 3) >= 0.97);
    ids[4321] = -7;
    expect(dp_index_build(NULL, sift, N, DIM, ids, path, &options, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "vector 4321 has the id -7"));
    free(ids);
}

static void test_capi_build_from_files_in_little_memory(void **state)
{
    (void)state;
    struct dp_runtime *runtime;
    char reference[512];
    struct dp_index_build_options options = {
        .size = sizeof options, .kind = DP_IVF_SQ8, .nlist = 20, .seed = 3, .no_recall = true};
    double *doubles = malloc(N * DIM * sizeof *doubles);
    struct buffer fvecs;
    assert_non_null(doubles);
    snprintf(reference, sizeof reference, "%s", path_of("reference.ivf"));
    buffer_init(&fvecs, 16 << 20);
    for (size_t r = 0; r < N; r++) {
        buffer_u32(&fvecs, DIM);
        buffer_append(&fvecs, span_of(sift + r * DIM, DIM * sizeof *sift));
        for (size_t i = 0; i < DIM; i++)
            doubles[r * DIM + i] = (double)sift[r * DIM + i];
    }
    expect(dp_index_build(NULL, sift, N, DIM, NULL, reference, &options, &error), DP_OK);
    assert_int_equal(os_write_file(path_of("v.fvecs"), buffer_span(&fvecs), NULL), DP_OK);
    buffer_deinit(&fvecs);
    npy_of("v4.npy", "<f4", sift, N * DIM * sizeof *sift, N, DIM);
    npy_of("v8.npy", "<f8", doubles, N * DIM * sizeof *doubles, N, DIM);
    free(doubles);
    static const char *const files[] = {"v4.npy", "v8.npy", "v.fvecs"};
    for (unsigned i = 0; i < 3; i++) {
        const struct dp_runtime_options threads = {.size = sizeof threads, .threads = i + 1};
        expect(dp_runtime_new(&threads, &runtime, &error), DP_OK);
        options.memory_bytes = 0;
        expect(dp_index_build_file(runtime, path_of(files[i]), NULL, path_of("other.ivf"), &options, &error),
               DP_OK);
        assert_same_file(reference, path_of("other.ivf"));
        dp_runtime_free(runtime);
    }
    /* Just enough for the sample: the build writes the lists in several passes. */
    options.memory_bytes = N * DIM * sizeof(float) / 4;
    options.nlist = 4;
    expect(dp_index_build(NULL, sift, N, DIM, NULL, reference, &options, &error), DP_OK);
    options.memory_bytes += 1;
    expect(dp_index_build_file(NULL, path_of("v.fvecs"), NULL, path_of("other.ivf"), &options, &error), DP_OK);
    assert_same_file(reference, path_of("other.ivf"));
    options.memory_bytes = 1 << 10;
    expect(dp_index_build_file(NULL, path_of("v.fvecs"), NULL, path_of("other.ivf"), &options, &error),
           DP_TOO_LARGE);
    assert_non_null(strstr(error.message, "allow more, or make fewer lists"));
}

static void test_capi_build_takes_ids_from_a_file(void **state)
{
    (void)state;
    static int64_t ids[N];
    for (int64_t i = 0; i < N; i++)
        ids[i] = i * 5;
    npy_of("ids.npy", "<i8", ids, sizeof ids, N, 0);
    npy_of("few.npy", "<i8", ids, sizeof ids - 8, N - 1, 0);
    npy_of("v.npy", "<f4", sift, N * DIM * sizeof *sift, N, DIM);
    struct dp_index_build_options options = {.size = sizeof options, .nlist = 10, .no_recall = true};
    expect(dp_index_build_file(NULL, path_of("v.npy"), path_of("ids.npy"), path_of("x.ivf"), &options, &error),
           DP_OK);
    assert_true(found(path_of("x.ivf"), 50, 5) == 1.0);
    expect(dp_index_build_file(NULL, path_of("v.npy"), path_of("few.npy"), path_of("x.ivf"), &options, &error),
           DP_INVALID);
    assert_non_null(strstr(error.message, "4999 ids for 5000 vectors"));
    expect(dp_index_build_file(NULL, path_of("v.npy"), path_of("v.npy"), path_of("x.ivf"), &options, &error),
           DP_INVALID);
    assert_non_null(strstr(error.message, "ids are whole numbers"));
    expect(dp_index_build_file(NULL, path_of("ids.npy"), NULL, path_of("x.ivf"), &options, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "x.reshape(-1, DIMENSIONS)"));
}

static void test_capi_build_refuses(void **state)
{
    (void)state;
    float x[4][2] = {{0, 1}, {2, 3}, {4, NAN}, {6, 7}};
    struct dp_index_build_options options = {.size = sizeof options, .nlist = 2};
    const char *path = path_of("refused.ivf");
    size_t files = files_in_folder();
    expect(dp_index_build(NULL, x[0], 4, 2, NULL, path, &options, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "vector 2 is not a number in dimension 1"));
    x[2][1] = 5;
    x[3][0] = -INFINITY;
    expect(dp_index_build(NULL, x[0], 4, 2, NULL, path, &options, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "vector 3 is infinite in dimension 0"));
    x[3][0] = 6;
    options.nlist = 5;
    expect(dp_index_build(NULL, x[0], 4, 2, NULL, path, &options, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "5 lists cannot be made of 4 vectors"));
    expect(dp_index_build(NULL, x[0], 0, 2, NULL, path, &options, &error), DP_INVALID);
    expect(dp_index_build(NULL, x[0], 4, 0, NULL, path, &options, &error), DP_INVALID);
    options = (struct dp_index_build_options){.size = sizeof(struct dp_index_build_options),
                                              .kind = (enum dp_ivf_kind)7};
    expect(dp_index_build(NULL, x[0], 4, 2, NULL, path, &options, &error), DP_INVALID);
    options = (struct dp_index_build_options){.size = sizeof(struct dp_index_build_options),
                                              .metric = (enum dp_metric)7};
    expect(dp_index_build(NULL, x[0], 4, 2, NULL, path, &options, &error), DP_INVALID);
    expect(dp_index_build(NULL, x[0], 4, 2, NULL, "/nowhere/at/all.ivf", NULL, &error), DP_NOT_FOUND);
    expect(dp_index_build(NULL, x[0], 4, 2, NULL, "https://example.com/x.ivf", NULL, &error), DP_UNSUPPORTED);
    expect(dp_index_build_file(NULL, "/nowhere/at/all.npy", NULL, path, NULL, &error), DP_NOT_FOUND);
    expect(dp_index_build_file(NULL, folder, NULL, path, NULL, &error), DP_INVALID);
    assert_int_equal(files_in_folder(), files);
    /* The smallest file. */
    expect(dp_index_build(NULL, x[0], 1, 1, NULL, path, NULL, &error), DP_OK);
    assert_int_equal(files_in_folder(), files + 1); /* recall of a single vector is not measured */
}

struct told {
    char stages[256];
    size_t calls, cancel_at;
    double last;
};

static bool tell(void *ctx, const char *stage, double done)
{
    struct told *told = ctx;
    const char *end = strrchr(told->stages, ' ');
    if (strcmp(end ? end + 1 : "", stage) != 0) {
        strcat(told->stages, " ");
        strcat(told->stages, stage);
        told->last = 0;
    }
    assert_true(done >= told->last && done <= 1.0 + 1e-9);
    told->last = done;
    return ++told->calls != told->cancel_at;
}

static void test_capi_build_reports_progress_and_is_cancelled(void **state)
{
    (void)state;
    enum { FEW = 300 };
    struct told told = {0};
    char path[512];
    struct dp_index_build_options options = {
        .size = sizeof options, .nlist = 4, .progress = tell, .progress_ctx = &told};
    size_t files = files_in_folder(), calls;
    snprintf(path, sizeof path, "%s", path_of("told.ivf"));
    expect(dp_index_build(NULL, sift, FEW, DIM, NULL, path, &options, &error), DP_OK);
    assert_string_equal(told.stages, " reading clustering assigning writing measuring");
    assert_true(told.last == 1.0);
    assert_int_equal(files_in_folder(), files + 2);
    calls = told.calls;
    for (size_t at = 1; at <= calls; at++) {
        remove(path);
        remove(path_of("told.ivf.recall.json"));
        told = (struct told){.cancel_at = at};
        expect(dp_index_build(NULL, sift, FEW, DIM, NULL, path, &options, &error), DP_CANCELLED);
        assert_int_equal(told.calls, at);
        /* A file that is being measured is already complete. */
        assert_int_equal(files_in_folder(), files + (strstr(told.stages, "measuring") != NULL));
    }
}

static bool wants_the_end(void *ctx)
{
    (void)ctx;
    return true;
}

static void test_capi_build_keeps_to_its_limits(void **state)
{
    (void)state;
    struct dp_index_build_options options = {.size = sizeof options, .nlist = 1000, .limits = {.timeout_ms = 1}};
    const char *path = path_of("limited.ivf");
    size_t files = files_in_folder();
    expect(dp_index_build(NULL, sift, N, DIM, NULL, path, &options, &error), DP_DEADLINE);
    options.limits = (struct dp_limits){.cancelled = wants_the_end};
    expect(dp_index_build(NULL, sift, N, DIM, NULL, path, &options, &error), DP_CANCELLED);
    assert_int_equal(files_in_folder(), files);
}

static void test_capi_build_survives_failed_allocations(void **state)
{
    (void)state;
    char path[512], from[512], table[512];
    struct dp_index_build_options options = {
        .size = sizeof options, .kind = DP_IVF_SQ8, .metric = DP_METRIC_COSINE, .nlist = 3};
    snprintf(from, sizeof from, "%s", npy_of("small.npy", "<f4", sift, 40 * DIM * sizeof *sift, 40, DIM));
    snprintf(path, sizeof path, "%s", path_of("allocations.ivf"));
    snprintf(table, sizeof table, "%s", path_of("allocations.ivf.recall.json"));
    for (size_t n = 1;; n = test_alloc_next(n)) {
        size_t before = test_alloc_live();
        remove(path);
        test_alloc_fail_at(n);
        enum dp_status status = dp_index_build_file(NULL, from, NULL, path, &options, &error);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(test_alloc_live(), before);
        if (!fired) {
            expect(status, DP_OK);
            break;
        }
        expect(status, DP_NOMEM);
        assert_int_not_equal(access(table, F_OK), 0);
        if (access(path, F_OK) == 0) /* measuring failed: the file is complete */
            assert_true(found(path, 40, 1) >= 0.9);
    }
    assert_int_equal(access(table, F_OK), 0);
}

/* ---- recall -------------------------------------------------------------------------------------------- */

static void search_by(const struct dp_index *index, double recall, size_t nprobe, enum dp_status wanted,
                      const char *says)
{
    int64_t id;
    float distance;
    const struct dp_index_search_options options = {.size = sizeof options, .recall = recall, .nprobe = nprobe};
    expect(dp_index_search(index, sift, 1, DIM, 1, &options, &id, &distance, NULL, &error), wanted);
    if (says && strstr(error.message, says) == NULL)
        fail_msg("%s", error.message);
}

static void test_capi_build_measures_recall(void **state)
{
    (void)state;
    enum { QUERIES = 500, BASE = N - QUERIES, K = 10 };
    struct dp_index *index;
    char path[512], table[512];
    static int64_t truth[QUERIES][K], ids[QUERIES][K];
    static float distances[QUERIES][K];
    struct dp_cost costs[QUERIES];
    snprintf(path, sizeof path, "%s", path_of("measured.ivf"));
    snprintf(table, sizeof table, "%s", path_of("measured.ivf.recall.json"));
    const struct dp_index_build_options flat = {.size = sizeof flat, .nlist = 100};
    expect(dp_index_build(NULL, sift, BASE, DIM, NULL, path, &flat, &error), DP_OK);
    expect(dp_index_open(path, NULL, &index, &error), DP_OK);
    const float *held_out = sift + (size_t)BASE * DIM;
    expect(search_lists(index, held_out, QUERIES, DIM, K, 100, truth[0], distances[0], NULL, &error), DP_OK);
    static const double wanted[] = {0.5, 0.8, 0.9, 0.95, 0.99};
    uint64_t read = 0;
    for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++) {
        const struct dp_index_search_options by = {.size = sizeof by, .recall = wanted[w]};
        size_t hits = 0;
        uint64_t bytes = 0;
        expect(dp_index_search(index, held_out, QUERIES, DIM, K, &by, ids[0], distances[0], costs, &error), DP_OK);
        for (size_t q = 0; q < QUERIES; q++) {
            bytes += costs[q].bytes;
            for (size_t i = 0; i < K; i++)
                for (size_t j = 0; j < K; j++)
                    hits += ids[q][i] == truth[q][j];
        }
        double reached = (double)hits / (QUERIES * K);
        print_message("recall %.2f asked, %.4f reached, %.0f KB a query\n", wanted[w], reached,
                      (double)bytes / QUERIES / 1024);
        assert_true(reached >= wanted[w] - 0.02);
        /* A higher recall reads more, but never the whole file. */
        assert_true(bytes > read && bytes < (uint64_t)QUERIES * BASE * DIM * 4 * 6 / 10);
        read = bytes;
    }
    search_by(index, 0.9, 3, DP_INVALID, "give one of them");
    search_by(index, 1.5, 0, DP_INVALID, "at most 1");
    search_by(index, -0.5, 0, DP_INVALID, "above 0");
    dp_index_close(index);

    /* The table of another file, broken tables, no table. */
    const struct dp_index_build_options without = {
        .size = sizeof without, .nlist = 100, .seed = 5, .no_recall = true};
    expect(dp_index_build(NULL, sift, BASE, DIM, NULL, path, &without, &error), DP_OK);
    expect(dp_index_open(path, NULL, &index, &error), DP_OK);
    search_by(index, 0.9, 0, DP_STALE, "the table of another file");
    assert_int_equal(os_write_file(table, span_str("{\"format\":\"dipper-recall\",\"version\":2}"), NULL), DP_OK);
    search_by(index, 0.9, 0, DP_UNSUPPORTED, "version 2");
    assert_int_equal(os_write_file(table, span_str("nothing"), NULL), DP_OK);
    search_by(index, 0.9, 0, DP_CORRUPT, "measured.ivf.recall.json");
    remove(table);
    search_by(index, 0.9, 0, DP_NOT_FOUND, "dipper faiss calibrate");
    dp_index_close(index);

    /* SQ8 does not reach a recall of 1; the table may lie elsewhere. */
    const struct dp_index_build_options sq8 = {.size = sizeof sq8, .kind = DP_IVF_SQ8, .nlist = 50};
    expect(dp_index_build(NULL, sift, BASE, DIM, NULL, path, &sq8, &error), DP_OK);
    const struct dp_index_options elsewhere = {.size = sizeof elsewhere,
                                               .recall_table = path_of("elsewhere.json")};
    assert_int_equal(rename(table, elsewhere.recall_table), 0);
    expect(dp_index_open(path, &elsewhere, &index, &error), DP_OK);
    search_by(index, 0.9, 0, DP_OK, NULL);
    search_by(index, 1, 0, DP_INVALID, "the highest that was measured is 0.9");
    remove(elsewhere.recall_table); /* the index keeps the table in memory */
    search_by(index, 0.95, 0, DP_OK, NULL);
    dp_index_close(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capi_build_from_memory),
        cmocka_unit_test(test_capi_build_from_files_in_little_memory),
        cmocka_unit_test(test_capi_build_takes_ids_from_a_file),
        cmocka_unit_test(test_capi_build_refuses),
        cmocka_unit_test(test_capi_build_reports_progress_and_is_cancelled),
        cmocka_unit_test(test_capi_build_keeps_to_its_limits),
        cmocka_unit_test(test_capi_build_survives_failed_allocations),
        cmocka_unit_test(test_capi_build_measures_recall),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down));
}
