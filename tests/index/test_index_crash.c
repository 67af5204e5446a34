/* test_index_crash.c: kills a load into a local folder, or fills the disk, at every call that changes the folder. The
 * namespace is then the old one or the new one, whole, and a repeat succeeds. The program runs itself again as the
 * loader, under support/kill_at_write.c.
 */
#include "index_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"

enum { OLD_ROWS = 60, NEW_FROM = 40, NEW_TO = 90, ALL_LISTS = 1000 };

static enum dp_status open_world(struct world *w, const char *root)
{
    *w = (struct world){.dim = FIXTURE_DIM, .windows = true};
    arena_init(&w->arena, 64 << 20);
    call_init(&w->call, &w->arena);
    struct store *inner;
    enum dp_status status = store_open(&w->call, span_str(root), true, &inner);
    if (status == DP_OK)
        w->store = test_store_wrap(inner);
    return status;
}

static void world_over(struct world *w, const char *root)
{
    if (open_world(w, root) != DP_OK)
        fail_msg("%s", w->call.error.message);
}

static void world_end(struct world *w)
{
    store_free(w->store);
    arena_deinit(&w->arena);
}

/* `test_index_crash load ROOT`: ends with 0 when the load was committed. */
static int be_loader(const char *root)
{
    struct world w;
    struct index_load_summary summary;
    enum dp_status status = open_world(&w, root);
    if (status == DP_OK) {
        status = fixture_load(&w, "rows", NEW_FROM, NEW_TO, 1, &summary);
        store_free(w.store);
    }
    arena_deinit(&w.arena);
    return status != DP_OK;
}

/* Runs the loader with `name`=`n` for the preloaded library; returns waitpid's status. */
static int run_loader(const char *root, const char *name, long n, const char *count)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char number[24];
        snprintf(number, sizeof number, "%ld", n);
        setenv("LD_PRELOAD", getenv("DIPPER_KILL_SHIM"), 1);
        setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
        setenv("DIPPER_KILL_ROOT", root, 1);
        setenv("DIPPER_KILL_COUNT", count, 1);
        setenv(name, number, 1);
        execl("/proc/self/exe", "test_index_crash", "load", root, (char *)NULL);
        _exit(98);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static const struct expected before = {.rows = OLD_ROWS};
static const struct expected after = {
    .rows = OLD_ROWS, .newer_from = NEW_FROM, .newer_to = NEW_TO, .newer_edition = 1};

/* Returns whether the new rows are there. Fails the test if any row is wrong. */
static bool is_new(const char *root)
{
    struct world w;
    struct index_stats stats;
    world_over(&w, root);
    struct index_reader *reader = fixture_open(&w, "rows");
    assert_int_equal(index_stats(&w.call, reader, &stats), DP_OK);
    assert_true(stats.rows == OLD_ROWS || stats.rows == NEW_TO);
    bool new = stats.rows == NEW_TO;
    assert_true(fixture_check_answers(&w, reader, new ? &after : &before, 2, 200, ALL_LISTS) == 1.0);
    index_close(reader);
    world_end(&w);
    return new;
}

static const char *fresh_root(void)
{
    struct world w;
    const char *root = test_tmpdir();
    world_over(&w, root);
    fixture_must_load(&w, "rows", 0, OLD_ROWS, 0);
    world_end(&w);
    return root;
}

/* Returns the number of counted calls that a whole load makes. */
static long count_calls(const char *count)
{
    char text[32] = "";
    const char *root = fresh_root();
    assert_int_equal(run_loader(root, "DIPPER_KILL_AT", 0, count), 0);
    assert_true(is_new(root));
    FILE *in = fopen(count, "re");
    assert_non_null(in);
    assert_non_null(fgets(text, sizeof text, in));
    fclose(in);
    return strtol(text, NULL, 10);
}

/* Returns how often the new rows were there although the load reported a failure. */
static size_t at_every_call(const char *name)
{
    char count[4200];
    size_t old = 0, new = 0, unsure = 0;
    snprintf(count, sizeof count, "%s/count", test_tmpdir());
    long calls = count_calls(count);
    bool kill = strcmp(name, "DIPPER_KILL_AT") == 0;
    for (long n = 1; n <= calls; n++) {
        const char *root = fresh_root();
        int status = run_loader(root, name, n, count);
        if (kill)
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        else
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
        bool landed = is_new(root);
        assert_true(landed || status != 0); /* an acknowledged load is there */
        old += !landed;
        new += landed;
        unsure += landed && status != 0;
        struct world w;
        world_over(&w, root);
        fixture_must_load(&w, "rows", NEW_FROM, NEW_TO, 1);
        world_end(&w);
        assert_true(is_new(root));
    }
    printf("%s: each of %ld calls that change the folder: %zu times the old state, %zu times the new (%zu times "
           "without "
           "success)\n",
           name, calls, old, new, unsure);
    assert_true(calls > 20 && old > 5);
    return unsure;
}

static void test_index_a_loader_killed_at_any_call_leaves_a_whole_namespace(void **state)
{
    (void)state;
    at_every_call("DIPPER_KILL_AT");
}

static void test_index_a_full_disk_at_any_call_leaves_a_whole_namespace(void **state)
{
    (void)state;
    at_every_call("DIPPER_FULL_AT");
}

/* In a folder that cannot be synced the rows can be read, but the load does not succeed. */
static void test_index_a_commit_that_is_not_durable_is_no_success(void **state)
{
    (void)state;
    assert_int_equal(at_every_call("DIPPER_UNSYNCED_AT"), 1);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "load") == 0)
        return be_loader(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_a_loader_killed_at_any_call_leaves_a_whole_namespace),
        cmocka_unit_test(test_index_a_full_disk_at_any_call_leaves_a_whole_namespace),
        cmocka_unit_test(test_index_a_commit_that_is_not_durable_is_no_success),
    };
    return test_run(tests);
}
