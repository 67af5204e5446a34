/* test_log.c: log lines are whole, escaped and of the right level. The tests redirect stderr to a file. */
#include "test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/utf8.h"
#include "os/file.h"
#include "os/log.h"

static int real_stderr;
static const char *log_path;

static int catch_stderr(void **state)
{
    static char path[4096];
    (void)state;
    snprintf(path, sizeof path, "%s/log", test_tmpdir());
    log_path = path;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    close(fd);
    return 0;
}

static int release_stderr(void **state)
{
    (void)state;
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    log_setup(LOG_INFO, false);
    return 0;
}

/* Returns the logged lines, in a buffer that the caller frees. */
static struct span logged(struct buffer *b)
{
    buffer_init(b, 1 << 24);
    assert_int_equal(os_read_file(log_path, b, NULL), DP_OK);
    return buffer_span(b);
}

static void assert_tail(const char *expected)
{
    struct buffer b;
    struct span all = logged(&b), tail = {0}, wanted = span_str(expected);
    assert_true(all.len >= wanted.len && span_sub(all, all.len - wanted.len, wanted.len, &tail));
    if (!span_equal(tail, wanted))
        fail_msg("logged %.*s", SPAN_FMT(all));
    buffer_deinit(&b);
}

static void test_os_log_text_line(void **state)
{
    (void)state;
    log_setup(LOG_INFO, false);
    log_write(LOG_DEBUG, "not this");
    struct buffer b;
    assert_int_equal(logged(&b).len, 0);
    buffer_deinit(&b);
    errno = 5;
    log_write(LOG_WARN, "disk at %d%%", 95);
    assert_int_equal(errno, 5);
    struct span line = logged(&b);
    assert_int_equal(line.data[24], ' '); /* after the time */
    assert_int_equal(line.data[23], 'Z');
    buffer_deinit(&b);
    assert_tail("Z warn disk at 95%\n");
    log_setup(LOG_DEBUG, false);
    log_write(LOG_DEBUG, "this");
    assert_tail("Z debug this\n");
    log_setup(LOG_ERROR, false);
    log_write(LOG_WARN, "not this");
    log_write(LOG_ERROR, "that");
    assert_tail("Z error that\n");
}

/* Text from clients may reach the log. It must not forge lines or control a terminal. */
static void test_os_log_escapes_control_bytes_and_bad_utf8(void **state)
{
    (void)state;
    log_setup(LOG_INFO, false);
    log_write(LOG_INFO, "a\nb\x1b[31m\x7f\xff \"\\ \xe2\x82\xac");
    assert_tail(" info a\\x0ab\\x1b[31m\\x7f\xef\xbf\xbd \"\\ \xe2\x82\xac\n");
    log_setup(LOG_INFO, true);
    log_write(LOG_INFO, "a\nb\x1b[31m\x7f\xff \"\\ \xe2\x82\xac");
    assert_tail(
        "Z\",\"level\":\"info\",\"message\":\"a\\u000ab\\u001b[31m\\u007f\xef\xbf\xbd \\\"\\\\ \xe2\x82\xac\"}\n");
}

/* C1 controls and direction marks steer terminals and editors, as C0 controls do. */
static void test_os_log_escapes_invisible_characters(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        log_setup(LOG_INFO, json);
        log_write(LOG_INFO, "a\xc2\x9b"
                            "31m \xe2\x80\xae\xe2\x80\xa8\xef\xbb\xbf \xc3\xa9");
        assert_tail(json ? "\"message\":\"a\\u009b31m \\u202e\\u2028\\ufeff \xc3\xa9\"}\n"
                         : " info a\\u009b31m \\u202e\\u2028\\ufeff \xc3\xa9\n");
    }
}

static void test_os_log_lines_stay_whole_when_cut(void **state)
{
    (void)state;
    char text[6000];
    for (int json = 0; json < 2; json++) {
        for (size_t fill = 0; fill < 2; fill++) {
            struct buffer b;
            assert_int_equal(truncate(log_path, 0), 0);
            memset(text, fill ? '\x01' : 'x', sizeof text - 1);
            text[sizeof text - 1] = '\0';
            log_setup(LOG_INFO, json);
            log_write(LOG_INFO, "%s", text);
            struct span line = logged(&b);
            assert_in_range(line.len, 1000, 4096);
            assert_int_equal(line.data[line.len - 1], '\n');
            struct json_reader r;
            json_reader_init(&r, line);
            if (json)
                assert_true(json_skip(&r) && json_end(&r));
            buffer_deinit(&b);
        }
    }
}

static void test_os_log_line_adds_only_a_newline(void **state)
{
    (void)state;
    char text[6000];
    log_line("{\"a\":1}");
    assert_tail("{\"a\":1}\n");
    memset(text, 'y', sizeof text);
    memcpy(text, "begin", 5);
    memcpy(text + sizeof text - 5, "-end", 5);
    log_line(text);
    assert_tail("yyy-end\n");
}

enum { THREADS = 4, LINES = 200 };

static void *write_lines(void *context)
{
    for (int i = 0; i < LINES; i++)
        log_write(LOG_INFO, "thread %d line %d", *(int *)context, i);
    return NULL;
}

static void test_os_log_lines_of_threads_never_mix(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    int numbers[THREADS];
    struct buffer b;
    assert_int_equal(truncate(log_path, 0), 0);
    log_setup(LOG_INFO, true);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct span rest = logged(&b);
    size_t lines = 0;
    while (rest.len) {
        const uint8_t *newline = memchr(rest.data, '\n', rest.len);
        assert_non_null(newline);
        size_t len = (size_t)(newline - rest.data);
        struct json_reader r;
        json_reader_init(&r, span_of(rest.data, len));
        assert_true(json_skip(&r) && json_end(&r));
        lines++;
        span_sub(rest, len + 1, rest.len - len - 1, &rest);
    }
    assert_int_equal(lines, THREADS * LINES);
    buffer_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_os_log_text_line, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(test_os_log_escapes_control_bytes_and_bad_utf8, catch_stderr,
                                        release_stderr),
        cmocka_unit_test_setup_teardown(test_os_log_escapes_invisible_characters, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(test_os_log_lines_stay_whole_when_cut, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(test_os_log_line_adds_only_a_newline, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(test_os_log_lines_of_threads_never_mix, catch_stderr, release_stderr),
    };
    return test_run(tests);
}
