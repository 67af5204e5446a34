/* test_log.c: log lines are whole, escaped and of the right level. The tests redirect stderr to a file. */
#include "test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/utf8.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"
#include "os/log_writer.h"

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

/* Makes stderr a pipe. Returns the end to read. */
static int pipe_as_stderr(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    return ends[0];
}

/* Reads from a pipe until it has no byte for 300 ms, or until its end. Returns the number of lines. */
static size_t read_lines(int fd, struct buffer *all)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    size_t lines = 0;
    while (poll(&wait, 1, 300) > 0) {
        uint8_t *to = buffer_reserve(all, 65536);
        const ssize_t got = read(fd, to, 65536);
        if (got <= 0)
            break;
        all->len += (size_t)got;
    }
    for (size_t i = 0; i < all->len; i++)
        lines += all->data[i] == '\n';
    return lines;
}

enum { FLOOD = 12000, LINE_BYTES = 100 };

/* Nobody reads: the flood does not block. Then the reader goes on, and gets what there was room for, in order, and
 * the number of dropped lines. */
static void test_os_log_never_waits_for_a_stalled_reader(void **state)
{
    (void)state;
    char line[LINE_BYTES], report[128];
    struct buffer all;
    const int64_t before = atomic_load(log_writer_dropped());
    int fd = pipe_as_stderr();
    log_writer_start(false);
    for (int i = 0; i < FLOOD; i++) {
        snprintf(line, sizeof line, "%08d %0*d", i, LINE_BYTES - 10, 0); /* 99 bytes and a newline */
        log_line(line);
    }
    const int64_t dropped = atomic_load(log_writer_dropped()) - before;
    assert_in_range(dropped, 1, FLOOD - LOG_WAITING_MAX / LINE_BYTES);
    buffer_init(&all, 1 << 24);
    assert_int_equal(read_lines(fd, &all), FLOOD - dropped + 1);
    long last = -1;
    for (int i = 0; i < FLOOD - (int)dropped; i++) {
        const long number = strtol((const char *)all.data + i * LINE_BYTES, NULL, 10);
        assert_in_range(number, last + 1, FLOOD - 1);
        last = number;
    }
    snprintf(report, sizeof report, " warn %d log lines were dropped here: nobody read the log in time\n",
             (int)dropped);
    assert_non_null(memmem(all.data, all.len, report, strlen(report)));
    log_line("later");
    buffer_clear(&all);
    assert_int_equal(read_lines(fd, &all), 1);
    log_writer_stop(1000);
    buffer_deinit(&all);
    close(fd);
}

/* The end waits for a stalled reader as long as it is told to, and no longer. */
static void test_os_log_ends_beside_a_stalled_reader(void **state)
{
    (void)state;
    char line[LINE_BYTES];
    int fd = pipe_as_stderr();
    log_writer_start(true);
    memset(line, 'x', sizeof line);
    line[LINE_BYTES - 1] = '\0';
    for (int i = 0; i < FLOOD; i++)
        log_line(line);
    const int64_t began_ns = os_now_ns();
    log_writer_stop(100);
    assert_in_range(os_now_ns() - began_ns, 50 * 1000000, INT64_C(20000) * 1000000);
    close(fd);
}

/* A file has no slow reader. */
static void test_os_log_writer_leaves_files_alone(void **state)
{
    (void)state;
    log_writer_start(false);
    assert_false(log_writer_send("x", 1));
    log_line("to the file");
    assert_tail("to the file\n");
    log_writer_stop(1000);
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
        cmocka_unit_test_setup_teardown(test_os_log_never_waits_for_a_stalled_reader, catch_stderr,
                                        release_stderr),
        cmocka_unit_test_setup_teardown(test_os_log_ends_beside_a_stalled_reader, catch_stderr, release_stderr),
        cmocka_unit_test_setup_teardown(test_os_log_writer_leaves_files_alone, catch_stderr, release_stderr),
    };
    return test_run(tests);
}
