/* test_index_refusals.c: wrong input is refused with a sentence that says why. */
#include "log_fixture.h"

#include <math.h>
#include <stdio.h>

#include "base/checksum.h"

static struct index_loader *begin(struct world *w, const char *name)
{
    struct index_vectors vectors = fixture_vectors(w);
    struct index_loader *loader;
    assert_int_equal(index_load_begin(&w->call, w->store, span_str(name), &vectors, NULL, &loader), DP_OK);
    return loader;
}

static void expect(struct world *w, enum dp_status status, enum dp_status wanted, const char *words)
{
    if (status != wanted || !strstr(w->call.error.message, words))
        fail_msg("expected %s with \"%s\", not %s: %s", dp_status_name(wanted), words, dp_status_name(status),
                 w->call.error.message);
}

static const float ones[FIXTURE_DIM] = {1, 1, 1};

static enum dp_status add(struct world *w, struct index_loader *loader, uint64_t id, const char *attributes)
{
    return index_load_row(&w->call, loader, (struct index_id){.number = id}, ones, 1, span_str(attributes));
}

static void test_index_names_of_namespaces(void **state)
{
    struct dp_error error;
    char long_name[INDEX_NAME_MAX + 2];
    static const char *const good[] = {"a", "A-b_c.9", "0", "-x"};
    static const char *const bad[] = {"", ".a", "_a", "a/b", "a b", "ä", "a\n", "../a"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(index_check_name(span_str(good[i]), &error), DP_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(index_check_name(span_str(bad[i]), &error), DP_INVALID);
    memset(long_name, 'x', sizeof long_name);
    assert_int_equal(index_check_name(span_of(long_name, INDEX_NAME_MAX), &error), DP_OK);
    assert_int_equal(index_check_name(span_of(long_name, INDEX_NAME_MAX + 1), &error), DP_INVALID);
}

static void test_index_ids(void **state)
{
    struct world *w = *state;
    struct index_loader *loader = begin(w, "rows");
    struct index_load_summary summary;
    char long_id[INDEX_ID_MAX + 1];
    memset(long_id, 'x', sizeof long_id);
    struct index_id id = {.is_string = true, .text = span_of(long_id, sizeof long_id)};
    expect(w, index_load_row(&w->call, loader, id, ones, 1, span_str("")), DP_INVALID, "1 to 128 bytes");
    id.text.len = 0;
    expect(w, index_load_row(&w->call, loader, id, ones, 1, span_str("")), DP_INVALID, "1 to 128 bytes");
    id.text = span_str("\xff");
    expect(w, index_load_row(&w->call, loader, id, ones, 1, span_str("")), DP_INVALID, "UTF-8");
    /* 7 and "7" differ; each may come once. */
    id.text = span_str("7");
    assert_int_equal(add(w, loader, 7, ""), DP_OK);
    assert_int_equal(index_load_row(&w->call, loader, id, ones, 1, span_str("")), DP_OK);
    expect(w, add(w, loader, 7, ""), DP_INVALID, "id 7 occurs twice");
    expect(w, index_load_row(&w->call, loader, id, ones, 1, span_str("")), DP_INVALID, "id \"7\" occurs twice");
    /* The load goes on without the refused rows. */
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    assert_int_equal(summary.total_rows, 2);
}

static void test_index_vectors(void **state)
{
    struct world *w = *state;
    struct index_loader *loader = begin(w, "rows");
    float x[FIXTURE_DIM] = {0};
    const struct index_id id = {.number = 5};
    expect(w, index_load_row(&w->call, loader, id, x, 1, span_str("")), DP_INVALID, "no direction");
    expect(w, index_load_row(&w->call, loader, id, x, 0, span_str("")), DP_INVALID, "1 to 4096 vectors");
    x[3] = NAN;
    expect(w, index_load_row(&w->call, loader, id, x, 1, span_str("")), DP_INVALID, "id 5");
    x[3] = INFINITY;
    expect(w, index_load_row(&w->call, loader, id, x, 1, span_str("")), DP_INVALID, "number 3");
    index_load_abort(loader);
    w->metric = INDEX_EUCLIDEAN_SQUARED;
    loader = begin(w, "rows");
    x[3] = 1e30F;
    expect(w, index_load_row(&w->call, loader, id, x, 1, span_str("")), DP_INVALID, "would not fit");
    x[3] = 0;
    assert_int_equal(index_load_row(&w->call, loader, id, x, 1, span_str("")), DP_OK);
    index_load_abort(loader);
    struct index_vectors vectors = fixture_vectors(w);
    vectors.dim = 0;
    expect(w, index_load_begin(&w->call, w->store, span_str("rows"), &vectors, NULL, &loader), DP_INVALID,
           "not 0");
    vectors.dim = INDEX_DIM_MAX + 1;
    expect(w, index_load_begin(&w->call, w->store, span_str("rows"), &vectors, NULL, &loader), DP_INVALID,
           "not 16385");
}

static void test_index_attributes_that_contradict(void **state)
{
    struct world *w = *state;
    struct index_loader *loader = begin(w, "rows");
    struct index_load_summary summary;
    assert_int_equal(add(w, loader, 1, "{\"a\": 1, \"b\": [], \"c\": null, \"d\": \"x\", \"e\": [1]}"), DP_OK);
    expect(w, add(w, loader, 2, "{\"d\": 4}"), DP_INVALID, "id 2: attribute \"d\" has type string");
    expect(w, add(w, loader, 2, "{\"a\": true}"), DP_INVALID, "attribute \"a\" has type int");
    expect(w, add(w, loader, 2, "{\"a\": [1]}"), DP_INVALID, "attribute \"a\"");
    expect(w, add(w, loader, 2, "{\"n\": {\"deep\": 1}}"), DP_INVALID, "attribute \"n\" must be");
    expect(w, add(w, loader, 2, "{\"n\": [1, \"x\"]}"), DP_INVALID, "attribute \"n\" must be");
    expect(w, add(w, loader, 2, "{\"n\": [[1]]}"), DP_INVALID, "attribute \"n\" must be");
    expect(w, add(w, loader, 2, "{\"n\": 1, \"n\": 1}"), DP_INVALID, "\"n\" occurs twice");
    expect(w, add(w, loader, 2, "{\"id\": 1}"), DP_INVALID, "reserved");
    expect(w, add(w, loader, 2, "{\"$dist\": 1}"), DP_INVALID, "reserved");
    expect(w, add(w, loader, 2, "{\"\": 1}"), DP_INVALID, "1 to 128 bytes");
    expect(w, add(w, loader, 2, "[1]"), DP_INVALID, "attributes");
    expect(w, add(w, loader, 2, "{\"a\": 1"), DP_INVALID, "attributes");
    /* A refused row has not changed the schema: n and b are still free, a is still an int. */
    assert_int_equal(add(w, loader, 2, "{\"n\": \"text\", \"b\": [\"x\"], \"c\": 1.5, \"e\": [2.5]}"), DP_OK);
    assert_int_equal(add(w, loader, 3, "{\"a\": 2.25}"), DP_OK); /* int becomes float */
    assert_int_equal(index_load_commit(&w->call, loader, &summary), DP_OK);
    assert_int_equal(summary.total_rows, 3);
    /* A later load knows the schema of the earlier one. */
    loader = begin(w, "rows");
    expect(w, add(w, loader, 4, "{\"n\": 1}"), DP_INVALID, "attribute \"n\" has type string");
    index_load_abort(loader);
    struct index_reader *reader = fixture_open(w, "rows");
    struct span schema;
    assert_int_equal(index_schema_json(&w->call, reader, &schema), DP_OK);
    char text[512];
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(schema));
    assert_non_null(strstr(
        text, "},\"a\":{\"type\":\"float\",\"filterable\":true},\"d\":{\"type\":\"string\",\"filterable\":true},"
              "\"e\":{\"type\":\"[]float\",\"filterable\":true},\"n\":{\"type\":\"string\",\"filterable\":true},"
              "\"b\":{\"type\":\"[]string\",\"filterable\":true},"
              "\"c\":{\"type\":\"float\",\"filterable\":true}}"));
    index_close(reader);
}

static void test_index_another_kind_of_vectors(void **state)
{
    struct world *w = *state;
    struct index_loader *loader;
    fixture_must_load(w, "rows", 0, 5, 0);
    struct index_vectors vectors = fixture_vectors(w);
    vectors.dim = 30;
    expect(w, index_load_begin(&w->call, w->store, span_str("rows"), &vectors, NULL, &loader), DP_INVALID,
           "24 dimensions");
    vectors = fixture_vectors(w);
    vectors.metric = INDEX_EUCLIDEAN_SQUARED;
    expect(w, index_load_begin(&w->call, w->store, span_str("rows"), &vectors, NULL, &loader), DP_INVALID,
           "metric");
    vectors = fixture_vectors(w);
    vectors.fingerprint = span_str("fedcba");
    vectors.model = span_str("other");
    expect(w, index_load_begin(&w->call, w->store, span_str("rows"), &vectors, NULL, &loader), DP_INVALID,
           "embedded by model \"test-model\"");
    assert_null(loader);
}

static void test_index_queries(void **state)
{
    struct world *w = *state;
    struct index_answer answer;
    struct index_reader *reader;
    fixture_must_load(w, "rows", 0, 5, 0);
    expect(w, index_open(&w->call, w->store, span_str("none"), &reader), DP_NOT_FOUND, "no namespace \"none\"");
    expect(w, index_open(&w->call, w->store, span_str("../rows"), &reader), DP_INVALID, "name");
    reader = fixture_open(w, "rows");
    float x[FIXTURE_DIM] = {0};
    struct index_query q = {.vector = x, .dim = FIXTURE_DIM, .top_k = 10};
    expect(w, index_query(&w->call, reader, &q, &answer), DP_INVALID, "no direction");
    x[0] = NAN;
    expect(w, index_query(&w->call, reader, &q, &answer), DP_INVALID, "not finite");
    x[0] = 1;
    q.dim = 7;
    expect(w, index_query(&w->call, reader, &q, &answer), DP_INVALID, "7 dimensions");
    q.dim = FIXTURE_DIM;
    q.top_k = 0;
    expect(w, index_query(&w->call, reader, &q, &answer), DP_INVALID, "top_k");
    q.top_k = INDEX_TOP_K_MAX + 1;
    expect(w, index_query(&w->call, reader, &q, &answer), DP_INVALID, "top_k");
    q.top_k = 3;
    q.fingerprint = span_str("beef");
    expect(w, index_query(&w->call, reader, &q, &answer), DP_INVALID, "\"test-model\"");
    q.fingerprint = fixture_vectors(w).fingerprint;
    assert_int_equal(index_query(&w->call, reader, &q, &answer), DP_OK);
    assert_int_equal(answer.count, 3);
    call_limit_ms(&w->call, -1);
    expect(w, index_query(&w->call, reader, &q, &answer), DP_DEADLINE, "deadline");
    index_close(reader);
}

/* A query and an opening fail at an object of the log that is no entry, and name the object. */
static void test_index_bytes_that_are_no_log_entry_are_refused(void **state)
{
    struct world *w = *state;
    struct fixture_log log;
    struct index_answer answer;
    fixture_must_load(w, "rows", 0, 5, 0);
    log_init(&log, w, "rows");
    struct index_reader *reader = fixture_open(w, "rows");
    log_put_bytes(&log, 1, span_str("an entry"));
    struct index_query q = {.vector = ones, .dim = FIXTURE_DIM, .top_k = 1};
    expect(w, index_query(&w->call, reader, &q, &answer), DP_CORRUPT, "wal/00000000000000000001");
    struct index_reader *second;
    expect(w, index_open(&w->call, w->store, span_str("rows"), &second), DP_CORRUPT, "wal/00000000000000000001");
    index_close(reader);
    log_deinit(&log);
}

#define IN_MEMORY(test) cmocka_unit_test_setup_teardown(test, world_in_memory, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_names_of_namespaces),
        IN_MEMORY(test_index_ids),
        IN_MEMORY(test_index_vectors),
        IN_MEMORY(test_index_attributes_that_contradict),
        IN_MEMORY(test_index_another_kind_of_vectors),
        IN_MEMORY(test_index_queries),
        IN_MEMORY(test_index_bytes_that_are_no_log_entry_are_refused),
    };
    return test_run(tests);
}
