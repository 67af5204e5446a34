/* test_ingest.c: loading a stream of rows into a namespace. Either all rows are loaded, or no row is, and the
 * error names the bad line. */
#include "service_fixture.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t rows_of(struct service *s, const char *namespace)
{
    struct namespace_info info;
    struct call *call = fixture_call();
    if (service_namespace_info(call, s, GATE_READ, span_str(namespace), &info) != DP_OK)
        fail_msg("%s", call->error.message);
    return info.stats.rows;
}

static void test_ingest_counts_what_it_did(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct ingest_summary summary;
    char lines[1024] = "\xef\xbb\xbf{\"id\":1,\"text\":\"";
    for (int i = 0; i < 60; i++)
        strcat(lines, "cat ");
    strcat(lines, "\"}\n   \n{\"id\":2,\"text\":\"dog\"}"); /* a byte order mark, a blank line, no last newline */
    struct call *call = fixture_call();
    if (fixture_ingest(call, s, "counted", lines, &summary) != DP_OK)
        fail_msg("%s", call->error.message);
    assert_int_equal(summary.rows, 2);
    assert_int_equal(summary.long_texts, 1);
    assert_true(summary.windows > 3);
    assert_int_equal(summary.load.windows, summary.windows - summary.rows);
    assert_int_equal(summary.load.total_rows, 2);
    assert_true(summary.tokens >= 60 + 3);
    assert_true(summary.bytes >= strlen(lines) && summary.bytes <= strlen(lines) + 1);
    assert_true(summary.total_ns > 0);
    fixture_call_end();
    service_free(s);
}

static void test_ingest_adds_and_replaces(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    struct ingest_summary summary;
    fixture_index(s, "things", FIXTURE_ROWS);
    struct call *call = fixture_call();
    assert_int_equal(fixture_ingest(call, s, "things",
                                    "{\"id\":3,\"text\":\"river boat\"}\n{\"id\":4,\"text\":\"star\"}\n",
                                    &summary),
                     DP_OK);
    assert_int_equal(summary.load.replaced, 1);
    assert_int_equal(summary.load.total_rows, 4);
    assert_int_equal(rows_of(s, "things"), 4);
    fixture_call_end();
    service_free(s);
}

static void test_ingest_takes_vectors_without_a_model(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, false);
    fixture_index(s, "own", "{\"id\":1,\"vector\":[1,0],\"text\":\"kept\"}\n{\"id\":2,\"vector\":[0,1e0]}\n");
    static const float target[2] = {0.1F, 2};
    struct query_request request = {.namespace = span_str("own"),
                                    .rows.vector = target,
                                    .rows.dim = 2,
                                    .rows.top_k = 2,
                                    .rows.all_attributes = true};
    struct query_response answer;
    struct call *call = fixture_call();
    assert_int_equal(service_query(call, s, &request, &answer), DP_OK);
    assert_int_equal(answer.answer.count, 2);
    assert_int_equal(answer.answer.hits[0].id.number, 2);
    assert_true(span_equal_str(answer.answer.hits[1].attributes, "{\"text\":\"kept\"}"));
    request.rows.vector = NULL;
    request.text = span_str("cat");
    assert_int_equal(service_query(call, s, &request, &answer), DP_UNSUPPORTED);
    fixture_call_end();
    service_free(s);
}

static void test_ingest_names_the_line_that_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *says;
    } cases[] = {
        {"", "no rows"},
        {"\n \n", "no rows"},
        {"{\"id\":1,\"text\":\"cat\"}\n\noops\n", "line 3: expected a JSON object, as {\"id\": 1"},
        {"[1]\n", "line 1: a row must be an object, not an array: write one object in each line"},
        {"{\"text\":\"cat\"}\n", "line 1: \"id\" is missing"},
        {"{\"id\":1}\n", "line 1: \"text\" (or \"vector\") is missing"},
        {"{\"id\":1,\"text\":7}\n", "line 1: \"text\" must be a string, not a number"},
        {"{\"id\":1,\"text\":\"\"}\n", "line 1: \"text\" is empty"},
        {"{\"id\":1,\"text\":\" \\t\\n\"}\n", "line 1: \"text\" is empty"},
        {"{\"id\":-1,\"text\":\"cat\"}\n", "line 1: \"id\" must be an unsigned integer"},
        {"{\"id\":1.5,\"text\":\"cat\"}\n", "line 1: \"id\" must be an unsigned integer"},
        {"{\"id\":99999999999999999999,\"text\":\"cat\"}\n", "line 1: \"id\" must be an unsigned integer"},
        {"{\"id\":true,\"text\":\"cat\"}\n", "line 1: \"id\" must be an unsigned integer or a string, not"},
        {"{\"id\":\"\",\"text\":\"cat\"}\n", "line 1: \"id\" must have 1 to"},
        {"{\"id\":1,\"text\":\"cat\"}\n{\"id\":2,\"text\":\"dog\"}\n{\"id\":1,\"text\":\"star\"}\n", "line 3: "},
        {"{\"id\":1,\"text\":\"cat\",\"a\":1,\"a\":2}\n", "line 1: the field \"a\" is given twice"},
        {"{\"id\":1,\"id\":2,\"text\":\"cat\"}\n", "line 1: the field \"id\" is given twice"},
        {"{\"id\":1,\"text\":\"cat\",\"$a\":1}\n", "line 1: a field's name must not begin with '$'"},
        {"{\"id\":1,\"text\":\"cat\",\"\":1}\n", "line 1: a field's name must have 1 to"},
        {"{\"id\":1,\"text\":\"cat\",\"n\":1}\n{\"id\":2,\"text\":\"cat\",\"n\":\"x\"}\n", "line 2: "},
        {"{\"id\":1,\"text\":\"cat\"}\n{\"id\":2,\"vector\":[1,2]}\n", "line 2: \"vector\" is given"},
        {"{\"id\":1,\"vector\":[1,2]}\n{\"id\":2,\"text\":\"cat\"}\n", "line 2: \"vector\" is missing"},
        {"{\"id\":1,\"vector\":[1,2]}\n{\"id\":2,\"vector\":[1]}\n", "line 2: \"vector\" has 1 numbers"},
        {"{\"id\":1,\"vector\":[]}\n", "line 1: \"vector\" must have 1 to"},
        {"{\"id\":1,\"vector\":[1,\"x\"]}\n", "line 1: expected a number"},
        {"{\"id\":1,\"vector\":[0,0]}\n", "line 1: "},
        {"{\"id\":1,\"vector\":[1,1e999]}\n", "line 1: "},
        {"{\"id\":1,\"text\":\"c\xff\"}\n", "line 1: invalid UTF-8"},
        {"{\"id\":1,\"text\":\"cat\"}{\n", "line 1: "},
    };
    struct service *s = fixture_service(NULL, true);
    struct ingest_summary summary;
    struct index_names names;
    struct call *call;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        call = fixture_call();
        enum dp_status status = fixture_ingest(call, s, "wrong", cases[i].lines, &summary);
        if (status != DP_INVALID || !strstr(call->error.message, cases[i].says))
            fail_msg("%s\nwas answered with %s: %s", cases[i].lines, dp_status_name(status), call->error.message);
    }
    call = fixture_call();
    assert_int_equal(fixture_ingest(call, s, "_bad", FIXTURE_ROWS, &summary), DP_INVALID);
    assert_int_equal(service_namespaces(call, s, span_str(""), span_str(""), 10, &names), DP_OK);
    assert_int_equal(names.count, 0); /* no row stays */
    fixture_call_end();
    service_free(s);
}

static void cancel_after_a_batch(void *ctx, const struct ingest_progress *progress)
{
    assert_true(progress->rows > 0);
    assert_false(progress->committing);
    atomic_store((_Atomic bool *)ctx, true);
}

static void test_ingest_cancelled_leaves_nothing(void **state)
{
    (void)state;
    struct service *s = fixture_service(NULL, true);
    _Atomic bool cancelled = false;
    char lines[4096] = "";
    for (int i = 0; i < 40; i++)
        snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "{\"id\":%d,\"text\":\"cat\"}\n", i);
    struct ingest_options options = {.namespace = span_str("cut"),
                                     .batch_rows = 8,
                                     .progress = cancel_after_a_batch,
                                     .progress_ctx = &cancelled};
    struct ingest_summary summary;
    struct line_reader reader;
    FILE *in = fmemopen(lines, strlen(lines), "r");
    struct call *call = fixture_call();
    call->cancelled = &cancelled;
    line_reader_init(&reader, in, INGEST_LINE_MAX);
    assert_int_equal(service_ingest(call, s, &reader, &options, &summary), DP_CANCELLED);
    assert_int_equal(summary.rows, 8);
    line_reader_deinit(&reader);
    fclose(in);
    struct index_names names;
    call = fixture_call();
    assert_int_equal(service_namespaces(call, s, span_str(""), span_str(""), 10, &names), DP_OK);
    assert_int_equal(names.count, 0);
    fixture_call_end();
    service_free(s);
}

enum { MANY = 200, LINE_BYTES = 128 };

/* Returns the lines of `MANY` rows with ids 0, 1, … and texts of 1 to 40 words. The caller frees them. */
static char *many_lines(void)
{
    static const char *const words[] = {"cat", "dog", "wing", "wind", "sail", "salt", "pepper", "boat", "star"};
    char *lines = malloc((size_t)MANY * 40 * LINE_BYTES), *to = lines;
    assert_non_null(lines);
    for (size_t i = 0; i < MANY; i++) {
        to += sprintf(to, "{\"id\":%zu,\"text\":\"", i);
        for (size_t w = 0; w <= i * 7 % 40; w++)
            to += sprintf(to, "%s ", words[(i + w * w) % 9]);
        to += sprintf(to, "\"}\n");
    }
    return lines;
}

static enum dp_status ingest_in_batches(struct call *call, struct service *s, const char *namespace, char *lines,
                                        size_t batch_rows)
{
    struct ingest_options options = {.namespace = span_str(namespace), .batch_rows = batch_rows};
    struct ingest_summary summary;
    struct line_reader reader;
    FILE *in = fmemopen(lines, strlen(lines), "r");
    assert_non_null(in);
    line_reader_init(&reader, in, INGEST_LINE_MAX);
    enum dp_status status = service_ingest(call, s, &reader, &options, &summary);
    line_reader_deinit(&reader);
    fclose(in);
    return status;
}

/* Reads the namespace's only .ivf object. */
static void read_ivf(const char *root, const char *namespace, struct buffer *out)
{
    char pattern[600];
    struct dp_error error;
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/%s/*/seg/*.ivf", root, namespace);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    buffer_init(out, 1 << 24);
    assert_int_equal(os_read_file(found.gl_pathv[0], out, &error), DP_OK);
    globfree(&found);
}

static void test_ingest_writes_the_same_however_it_is_batched(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 7, 64, 0};
    struct buffer first, other;
    const char *root = test_tmpdir();
    char *lines = many_lines(), name[32];
    for (unsigned threads = 1; threads <= 3; threads++) {
        fixture_threads = threads;
        struct service *s = fixture_service(root, true);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct call *call = fixture_call();
            snprintf(name, sizeof name, "same-%u-%zu", threads, sizes[i]);
            if (ingest_in_batches(call, s, name, lines, sizes[i]) != DP_OK)
                fail_msg("%s", call->error.message);
            read_ivf(root, name, threads == 1 && i == 0 ? &first : &other);
            if (threads == 1 && i == 0)
                continue;
            assert_true(span_equal(buffer_span(&first), buffer_span(&other)));
            buffer_deinit(&other);
        }
        fixture_call_end();
        service_free(s);
    }
    buffer_deinit(&first);
    free(lines);
    fixture_threads = 2;
}

/* Two lines are bad: reading finds one, and loading finds the other. The error names the earlier line,
 * whichever stage found it. */
static void test_ingest_names_the_first_bad_line(void **state)
{
    (void)state;
    static const struct {
        size_t unreadable, repeated; /* numbers of the bad lines, from 1 */
        const char *says;
    } cases[] = {{150, 30, "line 30: "}, {30, 150, "line 30: "}, {31, 30, "line 30: "}, {30, 31, "line 30: "},
                 {0, 200, "line 200: "}, {200, 0, "line 200: "}, {1, 2, "line 1: "}};
    static const size_t sizes[] = {1, 5, 0};
    struct service *s = fixture_service(NULL, true);
    char *lines = many_lines();
    struct index_names names;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            char *wrong = malloc(strlen(lines) + LINE_BYTES), *to = wrong, *from = lines;
            for (size_t line = 1; *from; line++) {
                size_t len = strcspn(from, "\n") + 1;
                if (line == cases[c].unreadable)
                    to += sprintf(to, "{oops\n");
                else if (line == cases[c].repeated)
                    to += sprintf(to, "{\"id\":0,\"text\":\"cat\"}\n");
                else
                    to = (char *)memcpy(to, from, len) + len;
                from += len;
            }
            *to = '\0';
            struct call *call = fixture_call();
            assert_int_equal(ingest_in_batches(call, s, "wrong", wrong, sizes[i]), DP_INVALID);
            if (strncmp(call->error.message, cases[c].says, strlen(cases[c].says)) != 0)
                fail_msg("the error is \"%s\" and lacks \"%s\"", call->error.message, cases[c].says);
            free(wrong);
        }
    struct call *call = fixture_call();
    assert_int_equal(service_namespaces(call, s, span_str("wrong"), span_str(""), 10, &names), DP_OK);
    assert_int_equal(names.count, 0);
    fixture_call_end();
    service_free(s);
    free(lines);
}

static void close_writing_end(void *ctx)
{
    int *ends = ctx;
    assert_int_equal(close(ends[1]), 0);
    ends[1] = -1;
}

/* The writing end of the stream stays open until ingest asks for a wake-up. Without the wake-up, the read would
 * wait for ever. */
static void test_ingest_that_fails_does_not_wait_for_more_input(void **state)
{
    (void)state;
    static const char text[] = "{\"id\":1,\"text\":\"cat\"}\n{\"id\":1,\"text\":\"dog\"}\n";
    struct service *s = fixture_service(NULL, true);
    struct ingest_summary summary;
    struct line_reader reader;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, sizeof text - 1), sizeof text - 1);
    FILE *in = fdopen(ends[0], "r");
    struct ingest_options options = {
        .namespace = span_str("woken"), .batch_rows = 2, .wake = close_writing_end, .wake_ctx = ends};
    struct call *call = fixture_call();
    line_reader_init(&reader, in, INGEST_LINE_MAX);
    assert_int_equal(service_ingest(call, s, &reader, &options, &summary), DP_INVALID);
    assert_true(strncmp(call->error.message, "line 2: ", 8) == 0);
    assert_int_equal(ends[1], -1);
    line_reader_deinit(&reader);
    fclose(in);
    fixture_call_end();
    service_free(s);
}

/* A load that waits, and a caller who cancels after ingest has asked it three times. */
struct standstill {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stands, let_go, gave_up;
    unsigned asked;
    _Atomic bool cancelled;
};

/* Runs on the loading thread: waits until the caller cancels. */
static void stand_still(void *ctx, const struct ingest_progress *progress)
{
    struct standstill *s = ctx;
    struct timespec until;
    (void)progress;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&s->lock);
    s->stands = true;
    while (!s->let_go && !s->gave_up)
        s->gave_up = pthread_cond_clockwait(&s->changed, &s->lock, CLOCK_MONOTONIC, &until) != 0;
    pthread_mutex_unlock(&s->lock);
}

/* Runs on the calling thread. By the third question the ring is full. */
static void want_the_end(void *ctx)
{
    struct standstill *s = ctx;
    pthread_mutex_lock(&s->lock);
    s->asked += s->stands;
    s->let_go = s->asked == 3;
    if (s->let_go)
        atomic_store(&s->cancelled, true);
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Python's caller must look for Ctrl-C itself, so ingest must ask it even while all batches are in use. */
static void test_ingest_asks_its_caller_while_the_ring_is_full(void **state)
{
    (void)state;
    struct standstill standstill = {.stands = false};
    struct service *s = fixture_service(NULL, true);
    struct ingest_options options = {.namespace = span_str("full"),
                                     .batch_rows = 2, /* MANY rows are far more than a ring of batches */
                                     .progress = stand_still,
                                     .progress_ctx = &standstill};
    struct ingest_summary summary;
    struct line_reader reader;
    char *lines = many_lines();
    FILE *in = fmemopen(lines, strlen(lines), "r");
    struct call *call = fixture_call();
    pthread_mutex_init(&standstill.lock, NULL);
    pthread_cond_init(&standstill.changed, NULL);
    call_poll(call, want_the_end, &standstill, &standstill.cancelled);
    line_reader_init(&reader, in, INGEST_LINE_MAX);
    assert_int_equal(service_ingest(call, s, &reader, &options, &summary), DP_CANCELLED);
    assert_false(standstill.gave_up);
    assert_int_equal(standstill.asked, 3);
    pthread_cond_destroy(&standstill.changed);
    pthread_mutex_destroy(&standstill.lock);
    line_reader_deinit(&reader);
    fclose(in);
    free(lines);
    fixture_call_end();
    service_free(s);
}

static void test_ingest_survives_every_failed_allocation(void **state)
{
    (void)state;
    fixture_threads = 1;
    struct service *s = fixture_service(NULL, true);
    size_t before = test_alloc_live();
    for (size_t n = 1;; n = test_alloc_next(n)) {
        struct ingest_summary summary;
        struct call *call = fixture_call();
        test_alloc_fail_at(n);
        enum dp_status status = fixture_ingest(call, s, "things", FIXTURE_ROWS, &summary);
        bool fired = test_alloc_fired();
        test_alloc_fail_at(0);
        fixture_call_end();
        assert_int_equal(test_alloc_live(), before);
        if (!fired) {
            assert_int_equal(status, DP_OK);
            break;
        }
        assert_int_equal(status, DP_NOMEM);
    }
    assert_int_equal(rows_of(s, "things"), 3);
    fixture_call_end();
    service_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ingest_counts_what_it_did),
        cmocka_unit_test(test_ingest_adds_and_replaces),
        cmocka_unit_test(test_ingest_takes_vectors_without_a_model),
        cmocka_unit_test(test_ingest_names_the_line_that_is_wrong),
        cmocka_unit_test(test_ingest_cancelled_leaves_nothing),
        cmocka_unit_test(test_ingest_writes_the_same_however_it_is_batched),
        cmocka_unit_test(test_ingest_names_the_first_bad_line),
        cmocka_unit_test(test_ingest_that_fails_does_not_wait_for_more_input),
        cmocka_unit_test(test_ingest_asks_its_caller_while_the_ring_is_full),
        cmocka_unit_test(test_ingest_survives_every_failed_allocation),
    };
    return test_run(tests);
}
