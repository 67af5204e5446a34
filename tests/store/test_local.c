/* test_local.c: properties that only the local store has: paths and links, other writers, permissions,
 * leftovers. */
#include "test_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"
#include "store/store.h"

struct fixture {
    struct arena arena;
    struct call call;
    const char *root;
    struct store *store;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    arena_init(&f->arena, 1 << 22);
    call_init(&f->call, &f->arena);
    f->root = test_tmpdir();
    assert_int_equal(store_open(&f->call, span_str(f->root), true, &f->store), DP_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    arena_deinit(&f->arena);
    free(f);
    return 0;
}

/* Returns a path below the root, in one of two static buffers. */
static const char *at(const struct fixture *f, const char *name)
{
    static char paths[2][4096];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", f->root, name);
    return path;
}

static void write_file(const char *path, struct span bytes)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, out), bytes.len);
    assert_int_equal(fclose(out), 0);
}

static enum dp_status read_key(struct fixture *f, const char *key)
{
    struct store_read_req req = {.key = span_str(key), .len = STORE_TO_END};
    enum dp_status status = store_read(&f->call, f->store, &req, 1);
    store_read_release(&req, 1);
    return status;
}

static enum dp_status put_key(struct fixture *f, const char *key, const char *body)
{
    struct store_put put = {.key = span_str(key), .body = span_str(body)};
    return store_put(&f->call, f->store, &put);
}

static size_t count_listed(struct fixture *f)
{
    struct store_listing listing;
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), false, 1000, &listing), DP_OK);
    return listing.count;
}

static enum dp_status open_url(struct fixture *f, const char *url, bool create)
{
    struct store *store = NULL;
    enum dp_status status = store_open(&f->call, span_str(url), create, &store);
    assert_int_equal(status == DP_OK, store != NULL);
    store_free(store);
    return status;
}

/* ---- opening ---------------------------------------------------------------------------------------- */

static void test_store_opens_what_a_url_names(void **state)
{
    struct fixture *f = *state;
    char url[4200];
    assert_int_equal(open_url(f, at(f, "none"), false), DP_NOT_FOUND);
    assert_non_null(strstr(f->call.error.message, "/none"));
    assert_int_equal(open_url(f, at(f, "made/of/parts/"), true), DP_OK);
    assert_int_equal(open_url(f, at(f, "made/of/parts"), false), DP_OK);
    snprintf(url, sizeof url, "file://%s/a%%20b%%2fc", f->root);
    assert_int_equal(open_url(f, url, true), DP_OK);
    assert_int_equal(access(at(f, "a b/c"), F_OK), 0);
    write_file(at(f, "file"), span_str("x"));
    assert_int_equal(open_url(f, at(f, "file"), false), DP_INVALID);
    assert_int_equal(open_url(f, "mem://x", false), DP_OK);
    assert_int_equal(open_url(f, "", true), DP_INVALID);
    assert_int_equal(open_url(f, "file://host/x", true), DP_INVALID);
    assert_int_equal(open_url(f, "file:///x%2", true), DP_INVALID);
    assert_int_equal(open_url(f, "file:///x%zz", true), DP_INVALID);
    assert_int_equal(open_url(f, "file:///x%00", true), DP_INVALID);
    const char *const unknown[] = {"gcs://x", "ftp://host/x", "Mem://x", "a+b.c-1://x"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        assert_int_equal(open_url(f, unknown[i], true), DP_UNSUPPORTED);
        assert_non_null(strstr(f->call.error.message, "file:///"));
    }
}

static void test_store_local_root_may_be_a_link(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir(at(f, "real"), 0777), 0);
    assert_int_equal(symlink("real", at(f, "link")), 0);
    struct store *store;
    struct store_put put = {.key = span_str("a/b"), .body = span_str("x")};
    assert_int_equal(store_open(&f->call, span_str(at(f, "link")), false, &store), DP_OK);
    assert_int_equal(store_put(&f->call, store, &put), DP_OK);
    assert_int_equal(access(at(f, "real/a/b"), F_OK), 0);
    store_free(store);
}

static void test_store_local_reading_writes_nothing(void **state)
{
    struct fixture *f = *state;
    const char *root = test_tmpdir();
    struct store *store;
    struct store_listing listing;
    assert_int_equal(store_open(&f->call, span_str(root), false, &store), DP_OK);
    struct store_read_req req = {.key = span_str("a/b"), .len = STORE_TO_END};
    assert_int_equal(store_read(&f->call, store, &req, 1), DP_NOT_FOUND);
    assert_int_equal(store_remove(&f->call, store, span_str("a/b")), DP_OK);
    assert_int_equal(store_list(&f->call, store, span_str(""), span_str(""), false, 9, &listing), DP_OK);
    store_free(store);
    assert_int_equal(rmdir(root), 0); /* the folder is still empty */
    assert_int_equal(mkdir(root, 0777), 0);
}

/* ---- links and other files that are not objects -------------------------------------------------------- */

static void test_store_local_never_leaves_the_root(void **state)
{
    struct fixture *f = *state;
    const char *outside = test_tmpdir();
    char secret[4096];
    snprintf(secret, sizeof secret, "%s/secret", outside);
    write_file(secret, span_str("secret"));
    assert_int_equal(symlink(secret, at(f, "file")), 0);
    assert_int_equal(symlink(outside, at(f, "folder")), 0);
    assert_int_equal(symlink("..", at(f, "up")), 0);
    assert_int_equal(symlink("nowhere", at(f, "dangling")), 0);
    assert_int_equal(read_key(f, "file"), DP_DENIED);
    assert_non_null(strstr(f->call.error.message, "symbolic links"));
    assert_int_equal(read_key(f, "folder/secret"), DP_NOT_FOUND);
    assert_int_equal(read_key(f, "up/anything"), DP_NOT_FOUND);
    assert_int_equal(count_listed(f), 0);
    assert_int_equal(put_key(f, "folder/new", "x"), DP_INVALID);
    assert_int_equal(put_key(f, "up/new", "x"), DP_INVALID);
    assert_int_equal(store_remove(&f->call, f->store, span_str("folder/secret")), DP_OK);
    assert_int_equal(store_remove(&f->call, f->store, span_str("file")), DP_OK);
    assert_int_equal(access(secret, F_OK), 0);
    /* A put replaces the link itself. */
    assert_int_equal(put_key(f, "file", "mine"), DP_OK);
    assert_int_equal(put_key(f, "dangling", "mine"), DP_OK);
    assert_int_equal(count_listed(f), 2);
    struct buffer kept;
    struct dp_error error;
    buffer_init(&kept, 100);
    assert_int_equal(os_read_file(secret, &kept, &error), DP_OK);
    assert_true(span_equal_str(buffer_span(&kept), "secret"));
    buffer_deinit(&kept);
}

static void test_store_local_ignores_files_that_are_not_objects(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkfifo(at(f, "pipe"), 0600), 0);
    assert_int_equal(mkdir(at(f, "empty"), 0777), 0);
    write_file(at(f, "not\xff"
                     "utf8"),
               span_str("x"));
    write_file(at(f, "line\nbreak"), span_str("x"));
    assert_int_equal(put_key(f, "object", "x"), DP_OK);
    assert_int_equal(read_key(f, "pipe"), DP_NOT_FOUND);
    assert_int_equal(read_key(f, "empty"), DP_NOT_FOUND);
    assert_int_equal(count_listed(f), 1);
    struct store_listing listing;
    assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), true, 9, &listing), DP_OK);
    assert_int_equal(listing.count, 1);
}

/* ---- versions and other writers ---------------------------------------------------------------------- */

static void test_store_local_small_versions_are_of_the_content(void **state)
{
    struct fixture *f = *state;
    struct store_put one = {.key = span_str("k"), .body = span_str("same")};
    struct store_put other = {.key = span_str("k"), .body = span_str("else")};
    struct store_put again = {.key = span_str("k"), .body = span_str("same")};
    assert_int_equal(store_put(&f->call, f->store, &one), DP_OK);
    assert_int_equal(store_put(&f->call, f->store, &other), DP_OK);
    assert_int_equal(store_put(&f->call, f->store, &again), DP_OK);
    assert_true(store_version_equal(&one.version, &again.version));
    assert_false(store_version_equal(&one.version, &other.version));
}

/* Overwrites the object in place, as no writer of Dipper does. */
static void check_foreign_write(struct fixture *f, size_t size)
{
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    struct store_put put = {.key = span_str("k"), .body = span_of(bytes, size)};
    assert_int_equal(store_put(&f->call, f->store, &put), DP_OK);
    int fd = open(at(f, "k"), O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "!", 1, (off_t)size / 2), 1);
    close(fd);
    struct store_read_req req = {.key = span_str("k"), .len = 5, .pinned = &put.version};
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_STALE);
    req.pinned = NULL;
    assert_int_equal(store_read(&f->call, f->store, &req, 1), DP_OK);
    store_read_release(&req, 1);
    put.condition = STORE_IF_VERSION;
    put.expected = &(struct store_version){0};
    struct store_version old = put.version;
    put.expected = &old;
    assert_int_equal(store_put(&f->call, f->store, &put), DP_CONFLICT);
    free(bytes);
}

static void test_store_local_notices_foreign_writes(void **state)
{
    check_foreign_write(*state, 100);
    check_foreign_write(*state, 1 << 20);
}

static void test_store_local_large_versions_differ_within_a_tick(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 300 * 1024, COUNT = 20 };
    char *bytes = calloc(1, SIZE);
    assert_non_null(bytes);
    struct store_version versions[COUNT];
    for (int i = 0; i < COUNT; i++) {
        struct store_put put = {.key = span_str("k"), .body = span_of(bytes, SIZE)};
        assert_int_equal(store_put(&f->call, f->store, &put), DP_OK);
        versions[i] = put.version;
        for (int j = 0; j < i; j++)
            assert_false(store_version_equal(&versions[j], &versions[i]));
    }
    free(bytes);
}

/* ---- locks, leftovers, permissions ------------------------------------------------------------------- */

static void test_store_local_waits_for_the_lock_until_the_deadline(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put_key(f, "k", "old"), DP_OK);
    int lock = open(at(f, ".dipper/lock"), O_RDWR);
    assert_true(lock >= 0);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    call_limit_ms(&f->call, 30);
    assert_int_equal(put_key(f, "k", "new"), DP_DEADLINE);
    call_init(&f->call, &f->arena);
    call_limit_ms(&f->call, 30);
    assert_int_equal(store_remove(&f->call, f->store, span_str("k")), DP_DEADLINE);
    call_init(&f->call, &f->arena);
    /* Reads and puts "if absent" need no lock. */
    struct store_put fresh = {.key = span_str("fresh"), .body = span_str("x"), .condition = STORE_IF_ABSENT};
    assert_int_equal(store_put(&f->call, f->store, &fresh), DP_OK);
    assert_int_equal(read_key(f, "k"), DP_OK);
    close(lock);
    assert_int_equal(put_key(f, "k", "new"), DP_OK);
}

static size_t count_temporary(const struct fixture *f)
{
    size_t count = 0;
    DIR *folder = opendir(at(f, ".dipper/tmp"));
    assert_non_null(folder);
    for (const struct dirent *e = readdir(folder); e; e = readdir(folder))
        count += e->d_name[0] != '.';
    closedir(folder);
    return count;
}

static void test_store_local_leftovers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put_key(f, "k", "x"), DP_OK);
    assert_int_equal(count_temporary(f), 0);
    write_file(at(f, ".dipper/tmp/new"), span_str("unfinished"));
    write_file(at(f, ".dipper/tmp/old"), span_str("unfinished"));
    const struct timespec long_ago[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    assert_int_equal(utimensat(AT_FDCWD, at(f, ".dipper/tmp/old"), long_ago, 0), 0);
    assert_int_equal(count_listed(f), 1);
    assert_int_equal(open_url(f, f->root, false), DP_OK);
    assert_int_equal(count_temporary(f), 2);
    assert_int_equal(open_url(f, f->root, true), DP_OK);
    assert_int_equal(count_temporary(f), 1);
    assert_int_equal(access(at(f, ".dipper/tmp/new"), F_OK), 0);
}

static void test_store_local_failed_puts_leave_nothing(void **state)
{
    struct fixture *f = *state;
    struct store_version none = {.len = 1, .token = "x"};
    assert_int_equal(put_key(f, "k", "x"), DP_OK);
    struct store_put absent = {.key = span_str("k"), .body = span_str("y"), .condition = STORE_IF_ABSENT};
    struct store_put version = {
        .key = span_str("k"), .body = span_str("y"), .condition = STORE_IF_VERSION, .expected = &none};
    assert_int_equal(store_put(&f->call, f->store, &absent), DP_EXISTS);
    assert_int_equal(store_put(&f->call, f->store, &version), DP_CONFLICT);
    assert_int_equal(put_key(f, "k/below", "y"), DP_INVALID);
    struct store_upload *upload;
    assert_int_equal(store_upload_begin(&f->call, f->store, span_str("k/below"), &upload), DP_OK);
    struct store_version made;
    assert_int_equal(store_upload_finish(&f->call, upload, &made), DP_INVALID);
    assert_int_equal(count_temporary(f), 0);
}

/* Runs in a child process as a user without rights to the folder, because root has all rights. The child's exit
 * status reports the result. */
static void be_nobody(struct fixture *f)
{
    if (geteuid() == 0 && (setegid(65534) != 0 || seteuid(65534) != 0))
        _exit(90);
    const char *path = at(f, "k");
    if (put_key(f, "new", "x") != DP_DENIED || !strstr(f->call.error.message, f->root))
        _exit(1);
    if (put_key(f, "k", "x") != DP_DENIED || !strstr(f->call.error.message, path))
        _exit(2);
    if (read_key(f, "unreadable") != DP_DENIED || !strstr(f->call.error.message, "unreadable"))
        _exit(3);
    if (read_key(f, "k") != DP_OK)
        _exit(4);
    if (store_remove(&f->call, f->store, span_str("k")) != DP_DENIED)
        _exit(5);
    struct store_upload *upload;
    if (store_upload_begin(&f->call, f->store, span_str("u"), &upload) != DP_DENIED)
        _exit(6);
    if (open_url(f, at(f, "below"), true) != DP_DENIED || !strstr(f->call.error.message, "below"))
        _exit(7);
    _exit(0);
}

static void test_store_local_names_denied_paths(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put_key(f, "k", "x"), DP_OK);
    assert_int_equal(put_key(f, "unreadable", "x"), DP_OK);
    assert_int_equal(chmod(at(f, "unreadable"), 0), 0);
    assert_int_equal(chmod(at(f, ".dipper/tmp"), 0555), 0);
    assert_int_equal(chmod(at(f, ".dipper/lock"), 0444), 0);
    assert_int_equal(chmod(f->root, 0555), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        be_nobody(f);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    chmod(f->root, 0777);
    chmod(at(f, ".dipper/tmp"), 0777);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* An object that must lie below a folder. The folder itself may be a link; the path below it follows none. */
static void test_store_local_objects_below_a_folder(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *below, *path;
        enum dp_status status;
    } cases[] = {
        {"ok", "ok/a", DP_OK},
        {"ok/", "ok/sub/a", DP_OK},
        {"link", "link/a", DP_OK}, /* the caller named the link */
        {"ok", "ok/up/secret", DP_NOT_FOUND},
        {"ok", "ok/up/ok/a", DP_NOT_FOUND},
        {"ok", "ok/file", DP_DENIED},
        {"ok", "okay/a", DP_DENIED},
        {"ok", "secret", DP_DENIED},
        {"ok", "ok/../secret", DP_INVALID},
        {"ok", "ok", DP_DENIED},
    };
    char top[2048], below[4096], url[4096];
    snprintf(top, sizeof top, "%s/top", test_tmpdir());
    static const char *const folders[] = {"ok/sub", "okay"}, *const files[] = {"ok/a", "ok/sub/a", "okay/a",
                                                                               "secret"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(url, sizeof url, "%s/%s", top, folders[i]);
        assert_int_equal(os_make_dirs(url, &f->call.error), DP_OK);
    }
    for (size_t i = 0; i < 4; i++) {
        snprintf(url, sizeof url, "%s/%s", top, files[i]);
        write_file(url, span_str("x"));
    }
    snprintf(url, sizeof url, "%s/ok/up", top);
    assert_int_equal(symlink("..", url), 0);
    snprintf(url, sizeof url, "%s/ok/file", top);
    assert_int_equal(symlink("../secret", url), 0);
    snprintf(url, sizeof url, "%s/link", top);
    assert_int_equal(symlink("ok", url), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct store *store;
        struct span key;
        snprintf(below, sizeof below, "%s/%s", top, cases[i].below);
        snprintf(url, sizeof url, "file://%s/%s", top, cases[i].path);
        const struct store_options options = {.below = below};
        dp_error_clear(&f->call.error);
        enum dp_status status = store_open_object(&f->call, span_str(url), &options, &store, &key);
        if (status == DP_OK) {
            struct store_read_req req = {.key = key, .len = STORE_TO_END};
            status = store_read(&f->call, store, &req, 1);
            store_read_release(&req, 1);
            store_free(store);
        }
        if (status != cases[i].status)
            fail_msg("%s below %s: %s: %s", cases[i].path, cases[i].below, dp_status_name(status),
                     f->call.error.message);
    }
}

/* While the root is missing, every operation says so instead of showing an empty store. A folder put in its
 * place is used at once. */
static void test_store_local_root_that_is_replaced(void **state)
{
    struct fixture *f = *state;
    char away[4200];
    struct store_listing listing;
    struct store_info info;
    struct store_upload *upload;
    snprintf(away, sizeof away, "%s.away", f->root);
    assert_int_equal(put_key(f, "a/b", "one"), DP_OK);
    for (int turn = 0; turn < 2; turn++) { /* 0: the root is renamed; 1: a file is in its place */
        if (turn == 0)
            assert_int_equal(rename(f->root, away), 0);
        else
            write_file(f->root, span_str("no folder"));
        assert_int_equal(read_key(f, "a/b"), DP_UNAVAILABLE);
        assert_non_null(strstr(f->call.error.message, f->root));
        assert_non_null(strstr(f->call.error.message, "not there any more"));
        assert_int_equal(store_head(&f->call, f->store, span_str("a/b"), &info), DP_UNAVAILABLE);
        assert_int_equal(store_list(&f->call, f->store, span_str(""), span_str(""), true, 10, &listing),
                         DP_UNAVAILABLE);
        assert_int_equal(store_list(&f->call, f->store, span_str("a/"), span_str(""), false, 10, &listing),
                         DP_UNAVAILABLE);
        assert_int_equal(put_key(f, "a/b", "two"), DP_UNAVAILABLE);
        assert_int_equal(store_remove(&f->call, f->store, span_str("a/b")), DP_UNAVAILABLE);
        assert_int_equal(store_upload_begin(&f->call, f->store, span_str("u"), &upload), DP_UNAVAILABLE);
    }
    assert_int_equal(unlink(f->root), 0);
    /* A restored backup: new folders with the old names. */
    assert_int_equal(mkdir(f->root, 0755), 0);
    assert_int_equal(read_key(f, "a/b"), DP_NOT_FOUND);
    assert_int_equal(put_key(f, "a/b", "three"), DP_OK);
    assert_int_equal(count_listed(f), 1);
    /* The first root comes back. */
    char copy[4200];
    snprintf(copy, sizeof copy, "%s.copy", f->root);
    assert_int_equal(rename(f->root, copy), 0);
    assert_int_equal(rename(away, f->root), 0);
    assert_int_equal(read_key(f, "a/b"), DP_OK);
    assert_int_equal(rename(copy, at(f, "copy")), 0); /* inside the root, so that it is removed at the end */
}

/* A root given by a relative path stays the same folder when the current folder changes. */
static void test_store_local_root_by_a_relative_path(void **state)
{
    struct fixture *f = *state;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(f->root), 0);
    struct store *store;
    assert_int_equal(store_open(&f->call, span_str("below"), true, &store), DP_OK);
    assert_int_equal(chdir(before), 0);
    struct store_put put = {.key = span_str("k"), .body = span_str("x")};
    assert_int_equal(store_put(&f->call, store, &put), DP_OK);
    assert_int_equal(access(at(f, "below/k"), F_OK), 0);
    store_free(store);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_store_opens_what_a_url_names),
        CASE(test_store_local_root_may_be_a_link),
        CASE(test_store_local_reading_writes_nothing),
        CASE(test_store_local_never_leaves_the_root),
        CASE(test_store_local_ignores_files_that_are_not_objects),
        CASE(test_store_local_small_versions_are_of_the_content),
        CASE(test_store_local_notices_foreign_writes),
        CASE(test_store_local_large_versions_differ_within_a_tick),
        CASE(test_store_local_waits_for_the_lock_until_the_deadline),
        CASE(test_store_local_leftovers),
        CASE(test_store_local_failed_puts_leave_nothing),
        CASE(test_store_local_names_denied_paths),
        CASE(test_store_local_objects_below_a_folder),
        CASE(test_store_local_root_that_is_replaced),
        CASE(test_store_local_root_by_a_relative_path),
    };
    return test_run(tests);
}
