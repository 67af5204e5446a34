/* test_capi_null.c: calls every function of the public C API with each pointer NULL in turn, and expects an error
 * that names the pointer. The test reads include/dipper/dipper.h for the list of functions. */
#include "test_support.h"

#include <dipper/dipper.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tiny_model.h"

enum { K = 2, IDS_MAX = 64 };

static struct dp_runtime *runtime;
static struct dp_model *model;
static struct dp_namespace *namespace, *written;
static struct dp_results *results;
static struct dp_index *faiss;
static struct span faiss_file;
static char root[4096], rows[4096], built[4096], model_path[4096], vectors_path[4096];
static size_t frees;

/* The pointer, or NULL if it is number `missing` (from 1). */
#define GIVE(number, pointer) (missing == (number) ? NULL : (pointer))

static const char *const texts[] = {"cat", "dog"};
static const float query[2][16];
static float out[2][64];
static int32_t tokens[IDS_MAX];
static size_t ends[2];
static int64_t ids[2][K];
static float distances[2][K];

static enum dp_status call_runtime_new(int missing, struct dp_error *error)
{
    struct dp_runtime *made = NULL;
    enum dp_status status = dp_runtime_new(NULL, GIVE(1, &made), error);
    dp_runtime_free(made);
    return status;
}

static enum dp_status call_model_open(int missing, struct dp_error *error)
{
    struct dp_model *made = NULL;
    enum dp_status status = dp_model_open(GIVE(1, runtime), GIVE(2, model_path), NULL, GIVE(3, &made), error);
    dp_model_close(made);
    return status;
}

static enum dp_status call_model_open_default(int missing, struct dp_error *error)
{
    struct dp_model *made = NULL;
    enum dp_status status = dp_model_open_default(GIVE(1, runtime), NULL, GIVE(2, &made), error);
    dp_model_close(made);
    return status;
}

static enum dp_status call_embed(int missing, struct dp_error *error)
{
    return dp_embed(GIVE(1, model), GIVE(2, texts), 2, NULL, GIVE(3, out[0]), error);
}

static enum dp_status call_embed_null_text(int missing, struct dp_error *error)
{
    const char *const some[] = {"cat", GIVE(1, "dog")};
    return dp_embed(model, some, 2, NULL, out[0], error);
}

static enum dp_status call_tokenize(int missing, struct dp_error *error)
{
    return dp_tokenize(GIVE(1, model), GIVE(2, texts), 2, GIVE(3, tokens), IDS_MAX, GIVE(4, ends), error);
}

static enum dp_status call_tokenize_null_text(int missing, struct dp_error *error)
{
    const char *const some[] = {"cat", GIVE(1, "dog")};
    return dp_tokenize(model, some, 2, tokens, IDS_MAX, ends, error);
}

static enum dp_status call_namespace_load_file(int missing, struct dp_error *error)
{
    return dp_namespace_load_file(GIVE(1, model), GIVE(2, root), GIVE(3, "more"), GIVE(4, rows), NULL, NULL,
                                  error);
}

static enum dp_status call_namespace_open(int missing, struct dp_error *error)
{
    struct dp_namespace *made = NULL;
    enum dp_status status = dp_namespace_open(GIVE(1, root), GIVE(2, "things"), NULL, GIVE(3, &made), error);
    dp_namespace_close(made);
    return status;
}

static enum dp_status call_namespace_search(int missing, struct dp_error *error)
{
    struct dp_results *made = NULL;
    enum dp_status status =
        dp_namespace_search(GIVE(1, namespace), GIVE(2, model), GIVE(3, "cat"), K, GIVE(4, &made), error);
    dp_results_free(made);
    return status;
}

static enum dp_status call_namespace_query(int missing, struct dp_error *error)
{
    const struct dp_query asked = {.size = sizeof asked, .model = model, .text = "cat", .k = K};
    struct dp_results *made = NULL;
    enum dp_status status = dp_namespace_query(GIVE(1, namespace), GIVE(2, &asked), GIVE(3, &made), error);
    dp_results_free(made);
    return status;
}

static enum dp_status call_namespace_write(int missing, struct dp_error *error)
{
    const struct dp_write write = {.size = sizeof write, .request = GIVE(3, "{\"patch_rows\": []}")};
    return dp_namespace_write(GIVE(1, written), GIVE(2, &write), NULL, error);
}

static enum dp_status call_namespace_write_rows(int missing, struct dp_error *error)
{
    static const char *const names[] = {"a"};
    const struct dp_write write = {.size = sizeof write, .kind = DP_PATCH, .count = 1, .names = GIVE(1, names)};
    return dp_namespace_write(written, &write, NULL, error);
}

static enum dp_status call_namespace_ask(int missing, struct dp_error *error)
{
    struct dp_answer *made = NULL;
    enum dp_status status = dp_namespace_ask(GIVE(1, written), GIVE(2, "{\"rank_by\": [\"id\", \"asc\"]}"), NULL,
                                             GIVE(3, &made), error);
    dp_answer_free(made);
    return status;
}

static enum dp_status call_namespace_info(int missing, struct dp_error *error)
{
    struct dp_answer *made = NULL;
    enum dp_status status = dp_namespace_info(GIVE(1, written), NULL, GIVE(2, &made), error);
    dp_answer_free(made);
    return status;
}

static enum dp_status call_namespace_compact(int missing, struct dp_error *error)
{
    return dp_namespace_compact(GIVE(1, written), NULL, NULL, error);
}

static enum dp_status call_namespace_delete(int missing, struct dp_error *error)
{
    return dp_namespace_delete(GIVE(1, written), NULL, error);
}

static enum dp_status call_index_open(int missing, struct dp_error *error)
{
    struct dp_index *made = NULL;
    enum dp_status status = dp_index_open(GIVE(1, built), NULL, GIVE(2, &made), error);
    dp_index_close(made);
    return status;
}

static enum dp_status read_ranges(void *ctx, struct dp_range *ranges, size_t count, int64_t timeout_ms,
                                  char *message)
{
    (void)ctx, (void)timeout_ms, (void)message;
    for (size_t i = 0; i < count; i++) {
        memcpy(ranges[i].into, faiss_file.data + ranges[i].offset, ranges[i].len);
        ranges[i].got = ranges[i].len;
    }
    return DP_OK;
}

static void count_free(void *ctx)
{
    (void)ctx;
    frees++;
}

static enum dp_status call_index_open_reader(int missing, struct dp_error *error)
{
    const struct dp_reader reader = {
        .file_bytes = faiss_file.len, .read_ranges = GIVE(1, read_ranges), .free_ctx = count_free};
    const struct dp_index_options options = {.size = sizeof options, .reader = reader};
    struct dp_index *made = NULL;
    const size_t before = frees;
    enum dp_status status = dp_index_open(NULL, &options, GIVE(2, &made), error);
    dp_index_close(made);
    assert_int_equal(frees, before + 1);
    return status;
}

static enum dp_status call_index_open_bytes(int missing, struct dp_error *error)
{
    const struct dp_index_options options = {
        .size = sizeof options, .bytes = GIVE(1, faiss_file.data), .bytes_len = faiss_file.len};
    struct dp_index *made = NULL;
    enum dp_status status = dp_index_open(NULL, &options, GIVE(2, &made), error);
    dp_index_close(made);
    return status;
}

static enum dp_status call_index_info(int missing, struct dp_error *error)
{
    struct dp_index_info info = {.size = sizeof info};
    return dp_index_info(GIVE(1, faiss), GIVE(2, &info), error);
}

static enum dp_status call_index_search(int missing, struct dp_error *error)
{
    return dp_index_search(GIVE(1, faiss), GIVE(2, query[0]), 1, 2, K, NULL, GIVE(3, ids[0]),
                           GIVE(4, distances[0]), NULL, error);
}

static const float vectors[4][2] = {{1, 0}, {0, 1}, {1, 1}, {0, 0}};

static enum dp_status call_index_build(int missing, struct dp_error *error)
{
    const struct dp_index_build_options options = {.size = sizeof options, .nlist = 1, .no_recall = true};
    return dp_index_build(NULL, GIVE(1, vectors[0]), 4, 2, NULL, GIVE(2, built), &options, error);
}

static enum dp_status call_index_build_file(int missing, struct dp_error *error)
{
    const struct dp_index_build_options options = {.size = sizeof options, .nlist = 1, .no_recall = true};
    return dp_index_build_file(NULL, GIVE(1, vectors_path), NULL, GIVE(2, built), &options, error);
}

static const struct {
    const char *function;
    enum dp_status (*call)(int missing, struct dp_error *error);
    const char *needs[4]; /* names of the pointers, in the order of their numbers */
} FUNCTIONS[] = {
    {"dp_runtime_new", call_runtime_new, {"out"}},
    {"dp_model_open", call_model_open, {"runtime", "path", "out"}},
    {"dp_model_open_default", call_model_open_default, {"runtime", "out"}},
    {"dp_embed", call_embed, {"model", "texts", "out"}},
    {"dp_embed", call_embed_null_text, {"texts[1] is NULL"}},
    {"dp_tokenize", call_tokenize, {"model", "texts", "ids", "ends"}},
    {"dp_tokenize", call_tokenize_null_text, {"texts[1] is NULL"}},
    {"dp_namespace_load_file", call_namespace_load_file, {"model", "root", "name", "jsonl_path"}},
    {"dp_namespace_open", call_namespace_open, {"root", "name", "out"}},
    {"dp_namespace_search", call_namespace_search, {"ns", "model", "text", "out"}},
    {"dp_namespace_query", call_namespace_query, {"ns", "query", "out"}},
    {"dp_namespace_write", call_namespace_write, {"ns", "write", "request is NULL"}},
    {"dp_namespace_write", call_namespace_write_rows, {"write.names are NULL"}},
    {"dp_namespace_ask", call_namespace_ask, {"ns", "request", "out"}},
    {"dp_namespace_info", call_namespace_info, {"ns", "out"}},
    {"dp_namespace_compact", call_namespace_compact, {"ns"}},
    {"dp_namespace_delete", call_namespace_delete, {"ns"}},
    {"dp_index_open", call_index_open, {"url", "out"}},
    {"dp_index_open", call_index_open_reader, {"read_ranges is NULL", "out"}},
    {"dp_index_open", call_index_open_bytes, {"options.bytes", "out"}},
    {"dp_index_info", call_index_info, {"index", "info"}},
    {"dp_index_search", call_index_search, {"index", "queries", "ids", "distances"}},
    {"dp_index_build", call_index_build, {"vectors", "path"}},
    {"dp_index_build_file", call_index_build_file, {"vectors_path", "path"}},
};
enum { FUNCTION_COUNT = sizeof FUNCTIONS / sizeof *FUNCTIONS };

/* These functions cannot fail. For NULL they do nothing, or return 0, NULL, NaN or "". */
static const char *const CANNOT_FAIL[] = {
    "dp_version",     "dp_version_number",       "dp_runtime_free",    "dp_model_close",        "dp_model_name",
    "dp_model_dim",   "dp_model_max_tokens",     "dp_namespace_close", "dp_results_free",       "dp_results_count",
    "dp_results_id",  "dp_results_id_is_number", "dp_results_dist",    "dp_results_attributes", "dp_results_cost",
    "dp_index_close", "dp_answer_free",          "dp_answer_json",     "dp_answer_number",
};
enum { CANNOT_FAIL_COUNT = sizeof CANNOT_FAIL / sizeof *CANNOT_FAIL };

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wbe");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void must(enum dp_status status, const struct dp_error *error)
{
    if (status != DP_OK)
        fail_msg("%s", error->message);
}

static int set_up(void **state)
{
    (void)state;
    static const char lines[] = "{\"id\":1,\"text\":\"cat\"}\n{\"id\":2,\"text\":\"dog\"}\n";
    const struct dp_runtime_options one = {.size = sizeof one, .threads = 1};
    struct dp_error error;
    snprintf(root, sizeof root, "%s/bucket", test_tmpdir());
    snprintf(rows, sizeof rows, "%s/rows.jsonl", test_tmpdir());
    snprintf(built, sizeof built, "%s/built.ivf", test_tmpdir());
    snprintf(vectors_path, sizeof vectors_path, "%s/vectors.fvecs", test_tmpdir());
    snprintf(model_path, sizeof model_path, "%s/tiny", test_tmpdir());
    write_file(rows, lines, sizeof lines - 1);
    static const struct {
        int32_t dim;
        float values[2];
    } fvecs[2] = {{2, {1, 0}}, {2, {0, 1}}};
    write_file(vectors_path, fvecs, sizeof fvecs);
    assert_int_equal(mkdir(model_path, 0777), 0);
    tiny_model_write(model_path);
    must(dp_runtime_new(&one, &runtime, &error), &error);
    must(dp_model_open(runtime, model_path, NULL, &model, &error), &error);
    must(dp_namespace_load_file(model, root, "things", rows, NULL, NULL, &error), &error);
    must(dp_namespace_open(root, "things", NULL, &namespace, &error), &error);
    const struct dp_namespace_options create = {.size = sizeof create, .create = true};
    const struct dp_write row = {.size = sizeof row, .request = "{\"upsert_rows\": [{\"id\": \"a\"}]}"};
    must(dp_namespace_open(root, "written", &create, &written, &error), &error);
    must(dp_namespace_write(written, &row, NULL, &error), &error);
    must(dp_namespace_search(namespace, model, "cat", K, &results, &error), &error);
    must(call_index_build(0, &error), &error);
    must(dp_index_open(built, NULL, &faiss, &error), &error);
    FILE *file = fopen(built, "rbe");
    static uint8_t bytes[1 << 16];
    assert_non_null(file);
    faiss_file = span_of(bytes, fread(bytes, 1, sizeof bytes, file));
    fclose(file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dp_index_close(faiss);
    dp_results_free(results);
    dp_namespace_close(namespace);
    dp_namespace_close(written);
    dp_model_close(model);
    dp_runtime_free(runtime);
    return 0;
}

static void test_capi_refuses_null_for_each_pointer(void **state)
{
    (void)state;
    for (size_t f = 0; f < FUNCTION_COUNT; f++)
        for (int i = 0; i < 4 && FUNCTIONS[f].needs[i]; i++) {
            struct dp_error error = {.status = DP_OK};
            enum dp_status status = FUNCTIONS[f].call(i + 1, &error);
            if (status != DP_INVALID || error.status != DP_INVALID ||
                !strstr(error.message, FUNCTIONS[f].needs[i]))
                fail_msg("%s without %s: %s, \"%s\"", FUNCTIONS[f].function, FUNCTIONS[f].needs[i],
                         dp_status_name(status), error.message);
            assert_int_equal(FUNCTIONS[f].call(i + 1, NULL), DP_INVALID);
        }
}

/* Each function succeeds with all its pointers, so the failures above come from the NULL. */
static void test_capi_with_each_pointer_works(void **state)
{
    (void)state;
    for (size_t f = 0; f < FUNCTION_COUNT; f++) {
        struct dp_error error = {.status = DP_OK};
        enum dp_status status = FUNCTIONS[f].call(0, &error);
        if (FUNCTIONS[f].call == call_model_open_default && status == DP_NOT_FOUND)
            continue; /* no model in this program, none on this machine */
        if (status != DP_OK)
            fail_msg("%s: %s, \"%s\"", FUNCTIONS[f].function, dp_status_name(status), error.message);
    }
}

static void test_capi_without_a_path_says_what_to_do(void **state)
{
    (void)state;
    struct dp_error error;
    struct dp_model *made = (struct dp_model *)1;
    assert_int_equal(dp_model_open(runtime, NULL, NULL, &made, &error), DP_INVALID);
    assert_null(made);
    assert_non_null(strstr(error.message, "dp_model_open_default"));
}

static void test_capi_answers_nothing_for_null(void **state)
{
    (void)state;
    dp_runtime_free(NULL);
    dp_model_close(NULL);
    dp_namespace_close(NULL);
    dp_results_free(NULL);
    dp_index_close(NULL);
    dp_answer_free(NULL);
    assert_string_equal(dp_answer_json(NULL), "");
    assert_int_equal(dp_answer_number(NULL, "rows"), 0);
    assert_string_equal(dp_model_name(NULL), "");
    assert_int_equal(dp_model_dim(NULL), 0);
    assert_int_equal(dp_model_max_tokens(NULL), 0);
    assert_int_equal(dp_results_count(NULL), 0);
    assert_int_equal(dp_results_cost(NULL).requests, 0);
    const struct dp_results *const none[] = {NULL, results}; /* behind the last row */
    for (size_t i = 0; i < 2; i++) {
        assert_null(dp_results_id(none[i], 2));
        assert_null(dp_results_attributes(none[i], 2));
        assert_false(dp_results_id_is_number(none[i], 2));
        assert_true(isnan(dp_results_dist(none[i], 2)));
    }
    assert_int_equal(dp_index_search(faiss, NULL, 0, 2, K, NULL, NULL, NULL, NULL, NULL), DP_OK);
}

static bool is_known(const char *name, size_t len)
{
    for (size_t i = 0; i < FUNCTION_COUNT; i++)
        if (strlen(FUNCTIONS[i].function) == len && memcmp(FUNCTIONS[i].function, name, len) == 0)
            return true;
    for (size_t i = 0; i < CANNOT_FAIL_COUNT; i++)
        if (strlen(CANNOT_FAIL[i]) == len && memcmp(CANNOT_FAIL[i], name, len) == 0)
            return true;
    return false;
}

/* The tables hold every function of the header. */
static void test_capi_tables_have_every_function(void **state)
{
    (void)state;
    char path[4096];
    static char text[1 << 16];
    const char *source = getenv("DIPPER_SOURCE");
    assert_non_null(source);
    snprintf(path, sizeof path, "%s/include/dipper/dipper.h", source);
    FILE *file = fopen(path, "rbe");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    assert_true(feof(file));
    fclose(file);
    size_t found = 0;
    for (const char *at = text; (at = strstr(at, "\nDP_API ")) != NULL; at++) {
        const char *open = strchr(at, '('), *name = open;
        while (name[-1] == '_' || (name[-1] >= 'a' && name[-1] <= 'z'))
            name--;
        if (!is_known(name, (size_t)(open - name)))
            fail_msg("%.*s is not in the tables of this test", (int)(open - name), name);
        found++;
    }
    assert_true(found >= 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capi_refuses_null_for_each_pointer),
        cmocka_unit_test(test_capi_with_each_pointer_works),
        cmocka_unit_test(test_capi_without_a_path_says_what_to_do),
        cmocka_unit_test(test_capi_answers_nothing_for_null),
        cmocka_unit_test(test_capi_tables_have_every_function),
    };
    return test_finish(cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down));
}
