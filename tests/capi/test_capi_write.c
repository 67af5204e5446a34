/* test_capi_write.c: namespaces that are written through the public C API: dp_namespace_write and its neighbours. */
#include "test_support.h"

#include <dipper/dipper.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tiny_model.h"

enum { PATH_BYTES = 4096, FOLD_ENTRIES = 64, WRITERS = 4, WRITES = 20 };

static const struct dp_namespace_options CREATE = {.size = sizeof CREATE, .create = true};

/* One folder for all tests; each has a namespace of another name. */
static const char *root_path(void)
{
    static char path[PATH_BYTES];
    if (!*path)
        snprintf(path, sizeof path, "%s/bucket", test_tmpdir());
    return path;
}

/* Fails the test with the message if the call failed. */
static void must(enum dp_status status, const struct dp_error *error)
{
    if (status != DP_OK)
        fail_msg("%s: %s", dp_status_name(status), error->message);
}

static struct dp_namespace *create_namespace(const char *name)
{
    struct dp_namespace *ns = NULL;
    struct dp_error error;
    must(dp_namespace_open(root_path(), name, &CREATE, &ns, &error), &error);
    return ns;
}

/* Writes and returns the number in a field of the answer. */
static uint64_t write_and_count(struct dp_namespace *ns, const struct dp_write *write, const char *field)
{
    struct dp_answer *answer = NULL;
    struct dp_error error;
    must(dp_namespace_write(ns, write, &answer, &error), &error);
    uint64_t number = dp_answer_number(answer, field);
    dp_answer_free(answer);
    return number;
}

static void expect_write(struct dp_namespace *ns, const struct dp_write *write, enum dp_status status,
                         const char *says)
{
    struct dp_answer *answer = (struct dp_answer *)ns;
    struct dp_error error = {0};
    assert_int_equal(dp_namespace_write(ns, write, &answer, &error), status);
    assert_int_equal(error.status, status);
    if (!strstr(error.message, says))
        fail_msg("'%s' does not say '%s'", error.message, says);
    assert_null(answer);
    assert_int_equal(dp_namespace_write(ns, write, NULL, NULL), status);
}

static struct dp_write request_of(const char *request)
{
    return (struct dp_write){.size = sizeof(struct dp_write), .request = request};
}

/* Asks a query, and expects that the answer has the text. */
static void expect_answer(struct dp_namespace *ns, const char *request, const char *has)
{
    struct dp_answer *answer = NULL;
    struct dp_error error;
    must(dp_namespace_ask(ns, request, NULL, &answer, &error), &error);
    if (!strstr(dp_answer_json(answer), has))
        fail_msg("'%s' does not have '%s'", dp_answer_json(answer), has);
    dp_answer_free(answer);
}

static uint64_t row_count(struct dp_namespace *ns, const char *field)
{
    struct dp_answer *answer = NULL;
    struct dp_error error;
    must(dp_namespace_info(ns, NULL, &answer, &error), &error);
    uint64_t rows = dp_answer_number(answer, field);
    dp_answer_free(answer);
    return rows;
}

/* ---- rows as arrays ------------------------------------------------------------------------------------ */

static const float VECTORS[3][2] = {{0.25f, 0.5f}, {1, 0}, {-1, 0.1f}};
static const char *const FILMS[] = {"{\"title\": \"Night \\u0074rain\", \"year\": 1959}", "{\"title\":\"Cats\"}",
                                    NULL};

static const uint64_t NUMBERS[] = {7, UINT64_MAX, 9};

static struct dp_write films_write(void)
{
    return (struct dp_write){.size = sizeof(struct dp_write),
                             .count = 3,
                             .ids = NUMBERS,
                             .vectors = VECTORS[0],
                             .dim = 2,
                             .attributes = FILMS,
                             .request = "{\"distance_metric\": \"euclidean_squared\"}"};
}

static void test_capi_writes_rows_and_finds_them(void **state)
{
    (void)state;
    struct dp_namespace *ns = create_namespace("films"), *other = NULL;
    const struct dp_query query = {.size = sizeof query, .vector = VECTORS[0], .dim = 2, .k = 3};
    const struct dp_write write = films_write();
    struct dp_results *found = NULL;
    struct dp_error error;
    assert_int_equal(dp_namespace_query(ns, &query, &found, &error), DP_NOT_FOUND);
    assert_int_equal(write_and_count(ns, &write, "rows_upserted"), 3);
    must(dp_namespace_open(root_path(), "films", NULL, &other, &error), &error);
    must(dp_namespace_query(other, &query, &found, &error), &error);
    assert_int_equal(dp_results_count(found), 3);
    assert_string_equal(dp_results_id(found, 0), "7");
    assert_true(dp_results_dist(found, 0) == 0); /* every bit of the vector is kept */
    assert_string_equal(dp_results_attributes(found, 0), "{\"title\":\"Night train\",\"year\":1959}");
    assert_string_equal(dp_results_id(found, 1), "18446744073709551615");
    assert_string_equal(dp_results_attributes(found, 2), "{}");
    dp_results_free(found);
    assert_int_equal(row_count(other, "approx_row_count"), 3);
    assert_int_equal(row_count(other, "dimensions"), 2);
    dp_namespace_close(ns);
    dp_namespace_close(other);
}

static void test_capi_patches_and_deletes_rows(void **state)
{
    (void)state;
    struct dp_namespace *ns = create_namespace("changed");
    static const char *const changes[] = {"{\"year\": 1960, \"title\": null}", "{\"year\": 2016}",
                                          "{\"year\": 1}"};
    static const uint64_t some[] = {7, UINT64_MAX, 1000};
    struct dp_write write = films_write();
    write_and_count(ns, &write, "rows_affected");
    write =
        (struct dp_write){.size = sizeof write, .kind = DP_PATCH, .count = 3, .ids = some, .attributes = changes};
    assert_int_equal(write_and_count(ns, &write, "rows_patched"), 2); /* there is no row 1000 */
    expect_answer(ns, "{\"rank_by\": [\"id\", \"asc\"], \"include_attributes\": [\"title\", \"year\"]}",
                  "{\"rows\":[{\"id\":7,\"year\":1960},{\"id\":9},{\"id\":18446744073709551615,"
                  "\"title\":\"Cats\",\"year\":2016}]");
    write = (struct dp_write){.size = sizeof write,
                              .kind = DP_DELETE,
                              .count = 2,
                              .ids = some,
                              .request = "{\"delete_condition\": [\"year\", \"Gt\", 2000]}"};
    assert_int_equal(write_and_count(ns, &write, "rows_deleted"), 1);
    assert_int_equal(row_count(ns, "approx_row_count"), 2);
    dp_namespace_close(ns);
}

static void test_capi_writes_string_ids_and_requests(void **state)
{
    (void)state;
    struct dp_namespace *ns = create_namespace("words");
    static const char *const names[] = {"a \"quoted\" id", "b"};
    static const char *const attributes[] = {"{\"n\": 1}", "{\"n\": 2}"};
    struct dp_write write = {.size = sizeof write, .count = 2, .names = names, .attributes = attributes};
    assert_int_equal(write_and_count(ns, &write, "rows_affected"), 2);
    write.request = "{\"upsert_condition\": [\"n\", \"Lt\", {\"$ref_new\": \"n\"}]}";
    assert_int_equal(write_and_count(ns, &write, "rows_affected"), 0);
    write = request_of("{\"upsert_rows\": [{\"id\": \"c\", \"n\": 3}], \"deletes\": [\"b\"],"
                       " \"return_affected_ids\": true}");
    struct dp_answer *answer;
    struct dp_error error;
    must(dp_namespace_write(ns, &write, &answer, &error), &error);
    assert_non_null(strstr(dp_answer_json(answer), "\"upserted_ids\":[\"c\"]"));
    assert_int_equal(dp_answer_number(answer, "rows_deleted"), 1);
    assert_int_equal(dp_answer_number(answer, "upserted_ids"), 0); /* the field is no number */
    assert_int_equal(dp_answer_number(answer, "nothing"), 0);
    dp_answer_free(answer);
    expect_answer(ns, "{\"rank_by\": [\"n\", \"desc\"], \"filters\": [\"n\", \"Gte\", 1]}",
                  "{\"rows\":[{\"id\":\"c\"},{\"id\":\"a \\\"quoted\\\" id\"}]");
    dp_namespace_close(ns);
}

static void test_capi_a_write_with_a_key_counts_once(void **state)
{
    (void)state;
    struct dp_namespace *ns = create_namespace("once");
    struct dp_write write = request_of("{\"upsert_rows\": [{\"id\": 1, \"n\": 1}]}"), other = write;
    write.idempotency_key = "order 17";
    assert_int_equal(write_and_count(ns, &write, "rows_affected"), 1);
    other.request = "{\"upsert_rows\": [{\"id\": 1, \"n\": 2}]}";
    write_and_count(ns, &other, "rows_affected");
    assert_int_equal(write_and_count(ns, &write, "rows_affected"),
                     1); /* the answer is the same, and nothing changes */
    expect_answer(ns, "{\"rank_by\": [\"id\", \"asc\"], \"include_attributes\": [\"n\"]}", "{\"id\":1,\"n\":2}");
    other.idempotency_key = "order 17";
    assert_int_not_equal(dp_namespace_write(ns, &other, NULL, NULL), DP_OK); /* the key belongs to another write */
    write.idempotency_key = "";
    expect_write(ns, &write, DP_INVALID, "Idempotency-Key");
    dp_namespace_close(ns);
}

static void test_capi_names_what_is_wrong_with_a_write(void **state)
{
    (void)state;
    struct dp_namespace *ns = create_namespace("wrong");
    static const char *const names[] = {"a", NULL, "c"}, *const no_utf8[] = {"\xff", "b", "c"};
    static const char *const open[] = {"{\"n\": 1}", "{\"n\": 1}, {\"id\": 8}", NULL}, *const ids[] = {
                                                                                           "{\"id\":1}"};
    static const float nan[] = {NAN, 0};
    struct dp_write write = films_write();
    const struct dp_write good = write, nothing = {.size = sizeof nothing}, no_size = {.count = 1};
    expect_write(ns, &nothing, DP_INVALID, "nothing to write");
    expect_write(ns, &no_size, DP_INVALID, "struct dp_write");
    write.kind = (enum dp_write_kind)3;
    expect_write(ns, &write, DP_INVALID, "write.kind 3");
    write = good, write.ids = NULL;
    expect_write(ns, &write, DP_INVALID, "write.ids and write.names are NULL");
    write = good, write.names = names;
    expect_write(ns, &write, DP_INVALID, "both set");
    write.ids = NULL;
    expect_write(ns, &write, DP_INVALID, "names[1] is NULL");
    write.names = no_utf8;
    expect_write(ns, &write, DP_INVALID, "names[0] is not UTF-8");
    write = good, write.kind = DP_DELETE, write.attributes = NULL;
    expect_write(ns, &write, DP_INVALID, "write.vectors");
    write = good, write.kind = DP_DELETE, write.vectors = NULL;
    expect_write(ns, &write, DP_INVALID, "write.attributes");
    write = good, write.dim = 0;
    expect_write(ns, &write, DP_INVALID, "write.dim is 0");
    write = good, write.attributes = open;
    expect_write(ns, &write, DP_INVALID, "attributes[1]");
    write = good, write.attributes = ids, write.count = 1;
    expect_write(ns, &write, DP_INVALID, "\"id\"");
    write = good, write.vectors = nan, write.count = 1;
    expect_write(ns, &write, DP_INVALID, "vector");
    write = good, write.request = "{\"upsert_rows\": []";
    expect_write(ns, &write, DP_INVALID, "write.request");
    write = good, write.request = "{\"upsert_rows\": []}";
    expect_write(ns, &write, DP_INVALID, "upsert_rows");
    write = good, write.request = "{}";
    expect_write(ns, &write, DP_INVALID, "distance_metric");
    struct dp_answer *answer;
    struct dp_error error;
    assert_int_equal(dp_namespace_info(ns, NULL, &answer, &error), DP_NOT_FOUND); /* no write was done */
    assert_null(answer);
    assert_int_equal(dp_namespace_ask(ns, "{\"limit\": 1}", NULL, &answer, &error), DP_INVALID);
    assert_int_equal(dp_namespace_delete(ns, NULL, &error), DP_NOT_FOUND);
    dp_namespace_close(ns);
}

/* ---- lives --------------------------------------------------------------------------------------------- */

static void test_capi_deletes_a_namespace_and_writes_it_anew(void **state)
{
    (void)state;
    struct dp_namespace *ns = create_namespace("lives"), *other = NULL;
    const struct dp_write write = films_write();
    struct dp_error error;
    write_and_count(ns, &write, "rows_affected");
    must(dp_namespace_delete(ns, NULL, &error), &error);
    assert_int_equal(dp_namespace_open(root_path(), "lives", NULL, &other, &error), DP_NOT_FOUND);
    assert_int_equal(dp_namespace_delete(ns, NULL, &error), DP_NOT_FOUND);
    assert_int_equal(write_and_count(ns, &write, "rows_affected"), 3);
    assert_int_equal(row_count(ns, "approx_row_count"), 3);
    dp_namespace_close(ns);
}

/* A handle that was opened without `create` needs an existing namespace, and can write to it. */
static void test_capi_opens_for_writing_only_what_exists(void **state)
{
    (void)state;
    struct dp_namespace *ns = create_namespace("exists"), *other = NULL;
    const struct dp_write write = films_write();
    struct dp_error error;
    assert_int_equal(dp_namespace_open(root_path(), "exists", NULL, &other, &error), DP_NOT_FOUND);
    assert_null(other);
    write_and_count(ns, &write, "rows_affected");
    must(dp_namespace_open(root_path(), "exists", NULL, &other, &error), &error);
    assert_int_equal(write_and_count(other, &write, "rows_affected"), 3);
    dp_namespace_close(other);
    dp_namespace_close(ns);
}

/* ---- texts --------------------------------------------------------------------------------------------- */

/* A runtime and the tiny model. */
struct embedding {
    struct dp_runtime *runtime;
    struct dp_model *model;
    char path[PATH_BYTES];
};

static void open_embedding(struct embedding *e)
{
    const struct dp_runtime_options one = {.size = sizeof one, .threads = 1};
    struct dp_error error;
    snprintf(e->path, sizeof e->path, "%s/tiny", test_tmpdir());
    mkdir(e->path, 0777);
    tiny_model_write(e->path);
    must(dp_runtime_new(&one, &e->runtime, &error), &error);
    must(dp_model_open(e->runtime, e->path, NULL, &e->model, &error), &error);
}

static void close_embedding(struct embedding *e)
{
    dp_model_close(e->model);
    dp_runtime_free(e->runtime);
}

static void test_capi_embeds_the_texts_of_a_write(void **state)
{
    (void)state;
    struct embedding e;
    struct dp_error error;
    struct dp_namespace *ns = NULL, *bare = create_namespace("texts");
    struct dp_results *found = NULL;
    char request[PATH_BYTES];
    static const uint64_t ids[] = {1, 2};
    static const char *const texts[] = {"{\"text\": \"cat\"}", "{\"text\": \"boat and sail\"}"};
    open_embedding(&e);
    const struct dp_namespace_options with_model = {.size = sizeof with_model, .model = e.model, .create = true};
    snprintf(request, sizeof request, "{\"schema\": {\"text\": {\"type\": \"string\", \"embed\": \"%s\"}}}",
             dp_model_name(e.model));
    struct dp_write write = {
        .size = sizeof write, .count = 2, .ids = ids, .attributes = texts, .request = request};
    expect_write(bare, &write, DP_UNSUPPORTED, dp_model_name(e.model));
    must(dp_namespace_open(root_path(), "texts", &with_model, &ns, &error), &error);
    assert_int_equal(write_and_count(ns, &write, "rows_affected"), 2);
    must(dp_namespace_search(bare, e.model, "cat", 1, &found, &error), &error);
    assert_string_equal(dp_results_id(found, 0), "1");
    assert_true(dp_results_dist(found, 0) < 1e-5f);
    dp_results_free(found);
    const struct dp_query query = {.size = sizeof query, .text = "boat and sail", .k = 1};
    must(dp_namespace_query(ns, &query, &found, &error), &error); /* by the namespace's model */
    assert_string_equal(dp_results_id(found, 0), "2");
    dp_results_free(found);
    assert_int_equal(dp_namespace_query(bare, &query, &found, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "needs a model"));
    dp_namespace_close(ns);
    dp_namespace_close(bare);
    close_embedding(&e);
}

/* ---- upkeep -------------------------------------------------------------------------------------------- */

static void write_one(struct dp_namespace *ns, uint64_t id)
{
    const float vector[] = {1, (float)id};
    const struct dp_write write = {.size = sizeof write,
                                   .count = 1,
                                   .ids = &id,
                                   .vectors = vector,
                                   .dim = 2,
                                   .request = "{\"distance_metric\": \"euclidean_squared\"}"};
    struct dp_error error;
    must(dp_namespace_write(ns, &write, NULL, &error), &error);
}

static struct dp_compact_summary compact(struct dp_namespace *ns, bool when_due)
{
    const struct dp_compact_options options = {.size = sizeof options, .when_due = when_due};
    struct dp_compact_summary summary = {.size = sizeof summary, .folded = 99};
    struct dp_error error;
    must(dp_namespace_compact(ns, &options, &summary, &error), &error);
    return summary;
}

static void test_capi_compacts_what_is_due(void **state)
{
    (void)state;
    struct dp_namespace *ns = create_namespace("compact");
    for (uint64_t i = 1; i < FOLD_ENTRIES; i++)
        write_one(ns, i);
    assert_int_equal(compact(ns, true).folded, 0);
    assert_int_equal(row_count(ns, "segments"), 0);
    write_one(ns, FOLD_ENTRIES);
    assert_int_equal(compact(ns, true).folded, FOLD_ENTRIES);
    assert_int_equal(row_count(ns, "segments"), 1);
    write_one(ns, FOLD_ENTRIES + 1);
    assert_int_equal(compact(ns, true).folded, 0);
    const struct dp_compact_summary all = compact(ns, false);
    assert_int_equal(all.folded, 1);
    assert_int_equal(all.merged, 2);
    assert_true(all.removed + all.waiting > 0);
    assert_int_equal(row_count(ns, "segments"), 1);
    assert_int_equal(row_count(ns, "approx_row_count"), FOLD_ENTRIES + 1);
    assert_int_equal(compact(ns, false).merged, 0);
    must(dp_namespace_compact(ns, NULL, NULL, NULL), NULL);
    dp_namespace_close(ns);
}

/* Writes one row without vectors. */
static struct dp_write plain_row(const uint64_t *id)
{
    return (struct dp_write){.size = sizeof(struct dp_write), .count = 1, .ids = id};
}

/* If no other process folds, the write that makes the log long folds it. */
static void test_capi_a_write_folds_a_long_log(void **state)
{
    (void)state;
    enum { LONG = 4 * FOLD_ENTRIES };
    struct dp_namespace *ns = create_namespace("long");
    struct dp_error error;
    for (uint64_t id = 1; id <= LONG; id++) {
        struct dp_write write = plain_row(&id);
        write.no_fold = id == LONG;
        must(dp_namespace_write(ns, &write, NULL, &error), &error);
    }
    assert_int_equal(row_count(ns, "segments"), 0);
    const uint64_t id = LONG + 1;
    const struct dp_write write = plain_row(&id);
    must(dp_namespace_write(ns, &write, NULL, &error), &error);
    assert_int_equal(row_count(ns, "segments"), 1);
    assert_int_equal(row_count(ns, "approx_row_count"), LONG + 1);
    dp_namespace_close(ns);
}

/* Other writers have filled the log. A write is refused, so the call folds the log and makes the write again. */
static void test_capi_a_refused_write_makes_room(void **state)
{
    (void)state;
    enum { LOG_ENTRIES = 1024 };
    struct dp_namespace *ns = create_namespace("full");
    struct dp_error error;
    for (uint64_t id = 1; id <= LOG_ENTRIES; id++) {
        struct dp_write others = plain_row(&id);
        others.request = "{\"disable_backpressure\": true}"; /* these writes are neither refused nor slowed down */
        others.no_fold = true;
        must(dp_namespace_write(ns, &others, NULL, &error), &error);
    }
    const uint64_t id = LOG_ENTRIES + 1;
    struct dp_write write = plain_row(&id);
    write.no_fold = true;
    expect_write(ns, &write, DP_OVERLOADED, "");
    write.no_fold = false;
    must(dp_namespace_write(ns, &write, NULL, &error), &error);
    assert_int_equal(row_count(ns, "segments"), 1);
    assert_int_equal(row_count(ns, "approx_row_count"), LOG_ENTRIES + 1);
    dp_namespace_close(ns);
}

/* ---- threads and failures ------------------------------------------------------------------------------ */

/* One of several threads that write and compact with one handle. */
struct writer {
    struct dp_namespace *ns;
    uint64_t first;
    bool failed;
};

static void *write_many(void *context)
{
    struct writer *w = context;
    const struct dp_compact_options due = {.size = sizeof due};
    for (uint64_t i = 0; i < WRITES && !w->failed; i++) {
        const uint64_t id = w->first + i;
        const struct dp_write write = {.size = sizeof write, .count = 1, .ids = &id};
        w->failed = dp_namespace_write(w->ns, &write, NULL, NULL) != DP_OK;
        if (i % 8 == 7 && !w->failed) {
            enum dp_status status = dp_namespace_compact(w->ns, &due, NULL, NULL);
            w->failed = status != DP_OK && status != DP_CONFLICT; /* other threads were first each time */
        }
    }
    return NULL;
}

static void test_capi_handles_write_from_several_threads(void **state)
{
    (void)state;
    struct dp_namespace *ns = create_namespace("threads");
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    for (uint64_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ns, i * WRITES, false};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(writers[i].failed);
    }
    assert_int_equal(row_count(ns, "approx_row_count"), WRITERS * WRITES);
    dp_namespace_close(ns);
}

static bool always(void *ctx)
{
    (void)ctx;
    return true;
}

static void test_capi_writes_keep_to_their_limits(void **state)
{
    (void)state;
    struct dp_namespace *ns = create_namespace("limits");
    struct dp_write write = films_write();
    write_and_count(ns, &write, "rows_affected");
    write.limits = (struct dp_limits){.timeout_ms = 60000, .cancelled = always};
    assert_int_equal(write_and_count(ns, &write, "rows_affected"), 3); /* too short a call to ask `cancelled` */
    const struct dp_call_options options = {.size = sizeof options, .limits = {.timeout_ms = 60000}},
                                 no_size = {0};
    struct dp_answer *answer;
    struct dp_error error;
    must(dp_namespace_info(ns, &options, &answer, &error), &error);
    dp_answer_free(answer);
    assert_int_equal(dp_namespace_info(ns, &no_size, &answer, &error), DP_INVALID);
    assert_non_null(strstr(error.message, "struct dp_call_options"));
    assert_int_equal(dp_namespace_delete(ns, &no_size, &error), DP_INVALID);
    dp_namespace_close(ns);
}

/* Creates, writes, asks, compacts, deletes. */
static enum dp_status walk(const char *name)
{
    const struct dp_write write = films_write();
    struct dp_namespace *ns = NULL;
    struct dp_answer *answer = NULL, *found = NULL;
    enum dp_status status = dp_namespace_open(root_path(), name, &CREATE, &ns, NULL);
    if (status == DP_OK)
        status = dp_namespace_write(ns, &write, &answer, NULL);
    if (status == DP_OK)
        status = dp_namespace_ask(ns, "{\"rank_by\": [\"id\", \"asc\"]}", NULL, &found, NULL);
    if (status == DP_OK)
        status = dp_namespace_compact(ns, NULL, NULL, NULL);
    if (status == DP_OK)
        status = dp_namespace_delete(ns, NULL, NULL);
    dp_answer_free(answer);
    dp_answer_free(found);
    dp_namespace_close(ns);
    return status;
}

static void test_capi_writing_survives_failed_allocations(void **state)
{
    (void)state;
    size_t before = test_alloc_live(), tried = 0;
    /* Each try writes to the disk, so later ones take larger steps. */
    for (size_t n = 1;; n += 1 + n / 12, tried++) {
        char name[32];
        snprintf(name, sizeof name, "walk-%zu", n);
        test_alloc_fail_at(n);
        enum dp_status status = walk(name);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        assert_int_equal(test_alloc_live(), before);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            assert_true(tried > 40);
            print_message("%zu allocations of %zu failed in turn\n", tried, n);
            return;
        }
        /* UNKNOWN: the write or the manifest was on its way. OK: what failed was not needed. */
        if (status != DP_NOMEM && status != DP_UNKNOWN && status != DP_OK)
            fail_msg("allocation %zu: %s", n, dp_status_name(status));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capi_writes_rows_and_finds_them),
        cmocka_unit_test(test_capi_patches_and_deletes_rows),
        cmocka_unit_test(test_capi_writes_string_ids_and_requests),
        cmocka_unit_test(test_capi_a_write_with_a_key_counts_once),
        cmocka_unit_test(test_capi_names_what_is_wrong_with_a_write),
        cmocka_unit_test(test_capi_deletes_a_namespace_and_writes_it_anew),
        cmocka_unit_test(test_capi_opens_for_writing_only_what_exists),
        cmocka_unit_test(test_capi_embeds_the_texts_of_a_write),
        cmocka_unit_test(test_capi_compacts_what_is_due),
        cmocka_unit_test(test_capi_a_write_folds_a_long_log),
        cmocka_unit_test(test_capi_a_refused_write_makes_room),
        cmocka_unit_test(test_capi_handles_write_from_several_threads),
        cmocka_unit_test(test_capi_writes_keep_to_their_limits),
        cmocka_unit_test(test_capi_writing_survives_failed_allocations),
    };
    /* The tests make two thousand writes, each with an fsync. So the files are in memory if the system has
     * /dev/shm. */
    if (access("/dev/shm", W_OK | X_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    return test_run(tests);
}
