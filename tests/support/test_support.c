/* test_support.c: scratch folders, test data, and the checks at the end of a test program. */
#include "test_support.h"

#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDERS_MAX = 256, FILES_MAX = 256 };

static char *folders[FOLDERS_MAX];
static void *files[FILES_MAX];
static size_t folder_count, file_count;
static pid_t owner; /* a forked child must not remove its parent's folders */

/* Runs before main, and makes the tests independent of their caller: default signals, the usual umask, a limit of
 * open files, no proxy for the tests' servers. tests/surroundings.py does this for the Python tests. */
__attribute__((constructor)) static void settle(void)
{
    enum { FILES = 1024 };
    struct rlimit limit;
    struct sigaction action;
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        if (number != SIGPIPE && sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(022);
    static const char *const proxies[] = {"http_proxy", "https_proxy", "all_proxy",
                                          "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"};
    for (size_t i = 0; i < sizeof proxies / sizeof *proxies; i++)
        unsetenv(proxies[i]);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FILES) {
        limit.rlim_cur = limit.rlim_max < FILES ? limit.rlim_max : FILES;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

/* Removes the program's files. This file uses malloc, because the tests' allocator counts only blocks of the code
 * under test. */
static void clean_up(void)
{
    for (size_t i = 0; i < folder_count; i++) {
        if (getpid() == owner)
            nftw(folders[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        free(folders[i]);
    }
    for (size_t i = 0; i < file_count; i++)
        free(files[i]);
    folder_count = file_count = 0;
}

static void clean_up_at_exit(void)
{
    if (owner)
        return;
    owner = getpid();
    atexit(clean_up);
}

const char *test_tmpdir(void)
{
    clean_up_at_exit();
    const char *parent = getenv("TMPDIR");
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/dipper-test-XXXXXX", parent && *parent ? parent : "/tmp");
    if (folder_count == FOLDERS_MAX || !mkdtemp(path))
        fail_msg("cannot make a scratch folder %s", path);
    char *kept = strdup(path);
    assert_non_null(kept);
    folders[folder_count++] = kept;
    return kept;
}

const char *test_data_path(const char *name)
{
    static char path[PATH_MAX];
    const char *root = getenv("DIPPER_TEST_DATA");
    if (!root)
        fail_msg("DIPPER_TEST_DATA is not set: run the tests through meson");
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

struct span test_data(const char *name)
{
    clean_up_at_exit();
    const char *path = test_data_path(name);
    FILE *in = fopen(path, "rbe");
    if (!in)
        fail_msg("cannot open %s", path);
    struct stat info;
    assert_int_equal(fstat(fileno(in), &info), 0);
    size_t size = (size_t)info.st_size;
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, size, in), size);
    bytes[size] = 0;
    fclose(in);
    assert_true(file_count < FILES_MAX);
    files[file_count++] = bytes;
    return span_of(bytes, size);
}

bool test_emulated(void)
{
    return getenv("QEMU_CPU") != NULL; /* scripts/check-arm64 sets it */
}

int test_finish(int failed)
{
    if (failed == 0 && test_alloc_live() != 0) {
        fprintf(stderr, "leaked: %zu blocks are still live\n", test_alloc_live());
        return 1;
    }
    return failed;
}
