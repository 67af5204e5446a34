/* test_file.c: whole files, mapped files and lines. */
#include "test_support.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/file.h"

/* fsync() below replaces the C library's. It records the folders that were made durable. */
static ino_t synced[64];
static size_t synced_count;

int fsync(int fd)
{
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode) && synced_count < 64)
        synced[synced_count++] = info.st_ino;
    return (int)syscall(SYS_fsync, fd);
}

static bool was_synced(const char *folder)
{
    struct stat info;
    assert_int_equal(stat(folder, &info), 0);
    for (size_t i = 0; i < synced_count; i++)
        if (synced[i] == info.st_ino)
            return true;
    return false;
}

static const char *path_in(const char *folder, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static size_t count_entries(const char *folder)
{
    size_t count = 0;
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    while (readdir(entries))
        count++;
    closedir(entries);
    return count - 2; /* "." and ".." */
}

static void assert_content(const char *path, const char *expected)
{
    struct buffer b;
    buffer_init(&b, 1 << 20);
    assert_int_equal(os_read_file(path, &b, NULL), DP_OK);
    assert_true(span_equal_str(buffer_span(&b), expected));
    buffer_deinit(&b);
}

static void test_os_file_reads_back_what_was_written(void **state)
{
    (void)state;
    const char *folder = test_tmpdir();
    const char *path = path_in(folder, "a");
    struct dp_error error;
    assert_int_equal(os_write_file(path, span_str("first"), &error), DP_OK);
    assert_content(path, "first");
    assert_int_equal(os_write_file(path, span_str("second, longer"), &error), DP_OK);
    assert_content(path, "second, longer");
    assert_int_equal(os_write_file(path, span_of(NULL, 0), &error), DP_OK);
    assert_content(path, "");
    assert_int_equal(count_entries(folder), 1); /* no temporary file is left */
}

static void test_os_file_writes_relative_to_the_working_folder(void **state)
{
    (void)state;
    const char *folder = test_tmpdir();
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(os_write_file("plain", span_str("x"), NULL), DP_OK);
    assert_int_equal(os_make_dirs("a/b", NULL), DP_OK);
    assert_int_equal(chdir(before), 0);
    assert_content(path_in(folder, "plain"), "x");
    assert_int_equal(access(path_in(folder, "a/b"), F_OK), 0);
}

static void test_os_file_appends_to_the_buffer(void **state)
{
    (void)state;
    const char *path = path_in(test_tmpdir(), "a");
    struct buffer b;
    assert_int_equal(os_write_file(path, span_str("file"), NULL), DP_OK);
    buffer_init(&b, 100);
    buffer_append_str(&b, "before-");
    assert_int_equal(os_read_file(path, &b, NULL), DP_OK);
    assert_true(span_equal_str(buffer_span(&b), "before-file"));
    buffer_deinit(&b);
}

static void test_os_file_size_is_bounded(void **state)
{
    (void)state;
    const char *path = path_in(test_tmpdir(), "a");
    struct buffer b;
    struct dp_error error;
    assert_int_equal(os_write_file(path, span_str("0123456789"), NULL), DP_OK);
    buffer_init(&b, 10);
    assert_int_equal(os_read_file(path, &b, &error), DP_OK);
    buffer_deinit(&b);
    buffer_init(&b, 9);
    assert_int_equal(os_read_file(path, &b, &error), DP_TOO_LARGE);
    buffer_deinit(&b);
    /* The size of this file is not known in advance. */
    buffer_init(&b, 4);
    assert_int_equal(os_read_file("/proc/self/status", &b, &error), DP_TOO_LARGE);
    buffer_deinit(&b);
    buffer_init(&b, 1 << 20);
    assert_int_equal(os_read_file("/proc/self/status", &b, &error), DP_OK);
    assert_true(b.len > 100);
    buffer_deinit(&b);
}

static void test_os_file_failures_name_the_path(void **state)
{
    (void)state;
    const char *folder = test_tmpdir();
    const char *missing = path_in(folder, "missing");
    struct buffer b;
    struct os_map map;
    struct dp_error error;
    buffer_init(&b, 100);
    assert_int_equal(os_read_file(missing, &b, &error), DP_NOT_FOUND);
    assert_non_null(strstr(error.message, "/missing: "));
    assert_int_equal(os_map_file(missing, &map, &error), DP_NOT_FOUND);
    os_unmap(&map);
    assert_int_equal(os_read_file(folder, &b, &error), DP_IO);
    assert_int_equal(os_map_file(folder, &map, &error), DP_INVALID);
    assert_int_equal(os_write_file(path_in(folder, "no/folder"), span_str("x"), &error), DP_NOT_FOUND);
    assert_int_equal(os_write_file(folder, span_str("x"), &error), DP_IO); /* a folder has this name */
    char name[5000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(os_write_file(name, span_str("x"), &error), DP_IO);
    assert_int_equal(os_make_dirs(name, &error), DP_IO);
    buffer_deinit(&b);
}

/* A write that fails midway leaves the old file unchanged and no temporary file. The size limit acts as a full disk. */
static void test_os_file_write_is_all_or_nothing(void **state)
{
    (void)state;
    const char *folder = test_tmpdir();
    const char *path = path_in(folder, "a");
    static const uint8_t large[8192];
    struct dp_error error;
    struct rlimit before, small;
    assert_int_equal(os_write_file(path, span_str("old"), NULL), DP_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum dp_status status = os_write_file(path, span_of(large, sizeof large), &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, DP_IO);
    assert_content(path, "old");
    assert_int_equal(count_entries(folder), 1);
}

static void test_os_file_maps(void **state)
{
    (void)state;
    const char *path = path_in(test_tmpdir(), "a");
    struct os_map map;
    assert_int_equal(os_write_file(path, span_str("mapped"), NULL), DP_OK);
    assert_int_equal(os_map_file(path, &map, NULL), DP_OK);
    assert_true(span_equal_str(map.bytes, "mapped"));
    os_unmap(&map);
    os_unmap(&map);
    assert_int_equal(os_write_file(path, span_of(NULL, 0), NULL), DP_OK);
    assert_int_equal(os_map_file(path, &map, NULL), DP_OK);
    assert_int_equal(map.bytes.len, 0);
    os_unmap(&map);
}

static void test_os_file_loads_a_copy_that_stays(void **state)
{
    (void)state;
    const char *path = path_in(test_tmpdir(), "a");
    struct os_map copy;
    assert_int_equal(os_write_file(path, span_str("the first version"), NULL), DP_OK);
    assert_int_equal(os_load_file(path, &copy, NULL), DP_OK);
    FILE *file = fopen(path, "w"); /* the same file, now empty, as cp leaves it for a moment */
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_true(span_equal_str(copy.bytes, "the first version"));
    os_unmap(&copy);
    assert_int_equal(os_load_file(path, &copy, NULL), DP_OK);
    assert_int_equal(copy.bytes.len, 0);
    os_unmap(&copy);
    assert_int_equal(os_load_file(test_tmpdir(), &copy, NULL), DP_INVALID);
    assert_int_equal(os_load_file(path_in(test_tmpdir(), "b"), &copy, NULL), DP_NOT_FOUND);
}

static void test_os_file_makes_folders(void **state)
{
    (void)state;
    const char *folder = test_tmpdir();
    struct dp_error error;
    assert_int_equal(os_make_dirs(path_in(folder, "a/b/c"), &error), DP_OK);
    assert_int_equal(os_make_dirs(path_in(folder, "a/b/c/"), &error), DP_OK);
    assert_int_equal(os_make_dirs(path_in(folder, "a//b/d"), &error), DP_OK);
    assert_int_equal(access(path_in(folder, "a/b/d"), F_OK), 0);
    assert_int_equal(os_make_dirs("/", &error), DP_OK);
    assert_int_equal(os_make_dirs("", &error), DP_INVALID);
    assert_int_equal(os_write_file(path_in(folder, "file"), span_str("x"), &error), DP_OK);
    assert_int_equal(os_make_dirs(path_in(folder, "file/x"), &error), DP_IO);
    assert_int_equal(os_make_dirs(path_in(folder, "file"), &error), DP_IO);
}

/* A new folder counts as made only when its name and those of the folders above it are on the disk. */
static void test_os_file_folders_made_are_durable(void **state)
{
    (void)state;
    const char *folder = test_tmpdir();
    struct dp_error error;
    synced_count = 0;
    assert_int_equal(os_make_dirs(path_in(folder, "a/b/c"), &error), DP_OK);
    assert_int_equal(synced_count, 3);
    assert_true(was_synced(folder));
    assert_true(was_synced(path_in(folder, "a")));
    assert_true(was_synced(path_in(folder, "a/b")));
    assert_int_equal(os_make_dirs(path_in(folder, "a/b/c"), &error), DP_OK);
    assert_int_equal(synced_count, 3); /* all folders were there already */
}

static void test_os_file_read_survives_failed_allocations(void **state)
{
    (void)state;
    struct buffer b;
    struct dp_error error;
    const char *path = path_in(test_tmpdir(), "a");
    assert_int_equal(os_write_file(path, span_str("x"), NULL), DP_OK);
    const char *const paths[] = {path, "/proc/self/status"};
    for (size_t i = 0; i < 2; i++) {
        buffer_init(&b, 1 << 20);
        test_alloc_fail_at(1);
        assert_int_equal(os_read_file(paths[i], &b, &error), DP_NOMEM);
        test_alloc_fail_at(0);
        buffer_deinit(&b);
    }
}

/* Returns a stream that contains `text`. */
static FILE *stream_of(const char *text, size_t len)
{
    FILE *in = tmpfile();
    assert_non_null(in);
    assert_int_equal(fwrite(text, 1, len, in), len);
    rewind(in);
    return in;
}

static void assert_line(struct line_reader *r, const char *expected)
{
    struct span line;
    struct dp_error error;
    assert_true(line_reader_next(r, &line, &error));
    assert_true(span_equal_str(line, expected));
    assert_int_equal(error.status, DP_OK);
}

static void assert_end(struct line_reader *r)
{
    struct span line;
    struct dp_error error = {.status = DP_IO};
    assert_false(line_reader_next(r, &line, &error));
    assert_int_equal(error.status, DP_OK);
}

static void test_os_lines_end_in_newlines_of_either_kind(void **state)
{
    (void)state;
    static const char text[] = "one\ntwo\r\n\n\r\na\rb\r\r\nlast\r";
    struct line_reader r;
    FILE *in = stream_of(text, sizeof text - 1);
    line_reader_init(&r, in, 100);
    assert_line(&r, "one");
    assert_line(&r, "two");
    assert_int_equal(r.number, 2);
    assert_line(&r, "");
    assert_line(&r, "");
    assert_line(&r, "a\rb\r");
    assert_line(&r, "last");
    assert_end(&r);
    assert_end(&r);
    line_reader_deinit(&r);
    fclose(in);

    in = stream_of("", 0);
    line_reader_init(&r, in, 100);
    assert_end(&r);
    line_reader_deinit(&r);
    fclose(in);
}

static void test_os_lines_go_on_after_one_that_is_too_long(void **state)
{
    (void)state;
    static const char text[] = "12345\r\n123456\r\nnext\n";
    struct line_reader r;
    struct span line;
    struct dp_error error;
    FILE *in = stream_of(text, sizeof text - 1);
    line_reader_init(&r, in, 5);
    assert_line(&r, "12345");
    assert_false(line_reader_next(&r, &line, &error));
    assert_int_equal(error.status, DP_TOO_LARGE);
    assert_string_equal(error.message, "line 2 is longer than the limit of 5 bytes");
    assert_line(&r, "next");
    assert_int_equal(r.number, 3);
    assert_end(&r);
    line_reader_deinit(&r);
    fclose(in);
}

static void test_os_lines_report_failures(void **state)
{
    (void)state;
    struct line_reader r;
    struct span line;
    struct dp_error error;
    FILE *in = fopen(test_tmpdir(), "r"); /* a folder opens but cannot be read */
    assert_non_null(in);
    line_reader_init(&r, in, 5);
    assert_false(line_reader_next(&r, &line, &error));
    assert_int_equal(error.status, DP_IO);
    line_reader_deinit(&r);
    fclose(in);

    in = stream_of("x\ny\n", 4);
    line_reader_init(&r, in, 5);
    test_alloc_fail_at(1);
    assert_false(line_reader_next(&r, &line, &error));
    test_alloc_fail_at(0);
    assert_int_equal(error.status, DP_NOMEM);
    line_reader_deinit(&r);
    fclose(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os_file_reads_back_what_was_written),
        cmocka_unit_test(test_os_file_writes_relative_to_the_working_folder),
        cmocka_unit_test(test_os_file_appends_to_the_buffer),
        cmocka_unit_test(test_os_file_size_is_bounded),
        cmocka_unit_test(test_os_file_failures_name_the_path),
        cmocka_unit_test(test_os_file_write_is_all_or_nothing),
        cmocka_unit_test(test_os_file_maps),
        cmocka_unit_test(test_os_file_loads_a_copy_that_stays),
        cmocka_unit_test(test_os_file_makes_folders),
        cmocka_unit_test(test_os_file_folders_made_are_durable),
        cmocka_unit_test(test_os_file_read_survives_failed_allocations),
        cmocka_unit_test(test_os_lines_end_in_newlines_of_either_kind),
        cmocka_unit_test(test_os_lines_go_on_after_one_that_is_too_long),
        cmocka_unit_test(test_os_lines_report_failures),
    };
    return test_run(tests);
}
