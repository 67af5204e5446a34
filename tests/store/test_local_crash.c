/* test_local_crash.c: the local store when its writer is killed at every write, when the disk fills up at every
 * write, when each fsync fails, and when several processes write at once.
 *
 * The program runs itself again as the writer, under support/kill_at_write.c.
 */
#include "test_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file.h"
#include "store/store.h"

enum { LARGE = 300 * 1024, INCREMENTS = 20, PROCESSES = 5 };

/* The steps of a writer, in order. Each step is one commit. */
static const char *const STEPS[] = {"once", "manifest 1", "segment", "manifest 2", "remove once"};
enum { STEP_COUNT = sizeof STEPS / sizeof *STEPS };

static uint8_t large[LARGE];

/* ---- the writer ------------------------------------------------------------------------------------- */

static enum dp_status upload(struct call *call, struct store *store)
{
    struct store_upload *u;
    struct store_version version;
    enum dp_status status = store_upload_begin(call, store, span_str("ns/1/seg/a.ivf"), &u);
    if (status != DP_OK)
        return status;
    status = store_upload_write(call, u, span_of(large, LARGE / 2));
    if (status == DP_OK)
        status = store_upload_write(call, u, span_of(large + LARGE / 2, LARGE - LARGE / 2));
    if (status == DP_OK)
        return store_upload_finish(call, u, &version);
    store_upload_abort(u);
    return status;
}

/* Runs the steps and prints each acknowledged one. */
static enum dp_status run_steps(struct call *call, struct store *store)
{
    struct store_put once = {.key = span_str("ns/1/once"), .body = span_str("once"), .condition = STORE_IF_ABSENT};
    struct store_put first = {.key = span_str("ns/manifest"), .body = span_str("manifest 1")};
    struct store_put second = {
        .key = span_str("ns/manifest"), .body = span_str("manifest 2"), .condition = STORE_IF_VERSION};
    struct store_version version = {0};
    for (int step = 0; step < STEP_COUNT; step++) {
        enum dp_status status = DP_OK;
        switch (step) {
        case 0:
            status = store_put(call, store, &once);
            status = status == DP_EXISTS ? DP_OK : status; /* an earlier run has done this step */
            break;
        case 1:
            status = store_put(call, store, &first);
            version = first.version;
            break;
        case 2: status = upload(call, store); break;
        case 3:
            second.expected = &version;
            status = store_put(call, store, &second);
            break;
        case 4: status = store_remove(call, store, span_str("ns/1/once")); break;
        }
        if (status != DP_OK)
            return status;
        printf("%s\n", STEPS[step]);
        fflush(stdout);
    }
    return DP_OK;
}

static enum dp_status increment(struct call *call, struct store *store)
{
    for (int done = 0; done < INCREMENTS;) {
        struct store_read_req req = {.key = span_str("counter"), .len = STORE_TO_END};
        enum dp_status status = store_read(call, store, &req, 1);
        if (status != DP_OK)
            return status;
        char text[24] = "";
        memcpy(text, req.bytes.span.data, req.bytes.span.len < sizeof text ? req.bytes.span.len : sizeof text - 1);
        snprintf(text, sizeof text, "%ld", strtol(text, NULL, 10) + 1);
        store_read_release(&req, 1);
        struct store_put put = {.key = span_str("counter"),
                                .body = span_str(text),
                                .condition = STORE_IF_VERSION,
                                .expected = &req.version};
        status = store_put(call, store, &put);
        if (status != DP_OK && status != DP_CONFLICT)
            return status;
        done += status == DP_OK;
    }
    return DP_OK;
}

/* `test_local_crash write|increment ROOT`: exits with 0, or with 1 and "status: message" on stdout. */
static int be_writer(const char *what, const char *root)
{
    struct arena arena;
    struct call call;
    struct store *store = NULL;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    enum dp_status status = store_open(&call, span_str(root), true, &store);
    if (status == DP_OK)
        status = strcmp(what, "write") == 0 ? run_steps(&call, store) : increment(&call, store);
    store_free(store);
    arena_deinit(&arena);
    if (status != DP_OK)
        printf("%s: %s\n", dp_status_name(status), call.error.message);
    return status != DP_OK;
}

/* ---- running it ------------------------------------------------------------------------------------- */

/* Starts this program as a writer over `root` that prints into `output`. The preloaded library reads
 * `name`=`n`. */
static pid_t start(const char *what, const char *root, const char *output, const char *name, long n)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    char number[24], count[4200];
    snprintf(number, sizeof number, "%ld", n);
    snprintf(count, sizeof count, "%s.count", output);
    if (name) {
        setenv("LD_PRELOAD", getenv("DIPPER_KILL_SHIM"), 1);
        setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
        setenv("DIPPER_KILL_ROOT", root, 1);
        setenv("DIPPER_KILL_COUNT", count, 1);
        setenv(name, number, 1);
    }
    int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
        _exit(97);
    execl("/proc/self/exe", "test_local_crash", what, root, (char *)NULL);
    _exit(98);
}

static int wait_for(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static const char *read_text(const char *path)
{
    static char text[4096];
    struct buffer bytes;
    struct dp_error error = {0};
    buffer_init(&bytes, sizeof text - 1);
    if (os_read_file(path, &bytes, &error) != DP_OK)
        fail_msg("%s", error.message);
    memcpy(text, bytes.data ? (const void *)bytes.data : "", bytes.len);
    text[bytes.len] = '\0';
    buffer_deinit(&bytes);
    return text;
}

/* ---- checks of the folder ---------------------------------------------------------------------------- */

struct view {
    struct arena arena;
    struct call call;
    struct store *store;
};

static void view_open(struct view *v, const char *root)
{
    arena_init(&v->arena, 1 << 20);
    call_init(&v->call, &v->arena);
    if (store_open(&v->call, span_str(root), false, &v->store) != DP_OK)
        fail_msg("%s", v->call.error.message);
}

static void view_close(struct view *v)
{
    store_free(v->store);
    arena_deinit(&v->arena);
}

/* Returns whether the object is there. If it is, it must have exactly this content. */
static bool holds(struct view *v, const char *key, struct span content)
{
    struct store_read_req req = {.key = span_str(key), .len = STORE_TO_END};
    enum dp_status status = store_read(&v->call, v->store, &req, 1);
    bool same = status == DP_OK && span_equal(req.bytes.span, content);
    store_read_release(&req, 1);
    assert_true(status == DP_OK || status == DP_NOT_FOUND);
    return same;
}

/* The number of steps that the folder shows. */
static int state_of(const char *root)
{
    struct view v;
    view_open(&v, root);
    bool once = holds(&v, "ns/1/once", span_str("once"));
    bool first = holds(&v, "ns/manifest", span_str("manifest 1"));
    bool segment = holds(&v, "ns/1/seg/a.ivf", span_of(large, LARGE));
    bool second = holds(&v, "ns/manifest", span_str("manifest 2"));
    struct store_listing listing;
    assert_int_equal(store_list(&v.call, v.store, span_str(""), span_str(""), false, 100, &listing), DP_OK);
    assert_int_equal(listing.count, once + (first || second) + segment);
    int state = !first && !second ? once : first && !segment ? 2 : first ? 3 : once ? 4 : 5;
    if (state < 5)
        assert_true(once || state == 0);
    if (second)
        assert_true(segment);
    view_close(&v);
    return state;
}

/* The folder must show the acknowledged steps, and at most one more: the step that was cut short. */
static void check_state(const char *root, int acknowledged)
{
    int state = state_of(root);
    if (state != acknowledged && state != acknowledged + 1)
        fail_msg("%d steps were acknowledged, but the folder shows %d", acknowledged, state);
}

static int count_lines(const char *text)
{
    int lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

/* The number of counted calls in a whole run. */
static long count_calls(void)
{
    char root[4096], output[4096], path[4200];
    snprintf(root, sizeof root, "%s/root", test_tmpdir());
    snprintf(output, sizeof output, "%s/output", test_tmpdir());
    assert_int_equal(wait_for(start("write", root, output, "DIPPER_KILL_AT", 0)), 0);
    check_state(root, STEP_COUNT);
    snprintf(path, sizeof path, "%s.count", output);
    return strtol(read_text(path), NULL, 10);
}

static void test_store_local_killed_at_every_write(void **state)
{
    (void)state;
    assert_non_null(getenv("DIPPER_KILL_SHIM"));
    long calls = count_calls();
    assert_true(calls > 30);
    char output[4096];
    snprintf(output, sizeof output, "%s/output", test_tmpdir());
    const char *base = test_tmpdir();
    for (long n = 1; n <= calls; n++) {
        char root[4096];
        snprintf(root, sizeof root, "%s/%ld", base, n);
        int status = wait_for(start("write", root, output, "DIPPER_KILL_AT", n));
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        int acknowledged = count_lines(read_text(output));
        if (access(root, F_OK) != 0) {
            assert_int_equal(acknowledged, 0);
            continue; /* the writer was killed before it made the root */
        }
        check_state(root, acknowledged);
        /* The next writer can do all steps. */
        assert_int_equal(wait_for(start("write", root, output, NULL, 0)), 0);
        check_state(root, STEP_COUNT);
    }
    print_message("killed at each of %ld writes\n", calls);
}

static void test_store_local_full_at_every_write(void **state)
{
    (void)state;
    long calls = count_calls();
    char output[4096];
    snprintf(output, sizeof output, "%s/output", test_tmpdir());
    const char *base = test_tmpdir();
    for (long n = 1; n <= calls; n++) {
        char root[4096];
        snprintf(root, sizeof root, "%s/%ld", base, n);
        int status = wait_for(start("write", root, output, "DIPPER_FULL_AT", n));
        assert_true(WIFEXITED(status));
        const char *text = read_text(output);
        if (WEXITSTATUS(status) == 0)
            continue; /* only removals were left, which need no room */
        const char *last = strstr(text, "full: ");
        if (!last || !strstr(last, root))
            fail_msg("a full disk at write %ld: \"%s\" does not name the full disk and %s", n, text, root);
        if (access(root, F_OK) != 0)
            continue;
        check_state(root, count_lines(text) - 1);
        assert_int_equal(wait_for(start("write", root, output, NULL, 0)), 0);
        check_state(root, STEP_COUNT);
    }
}

/* A step whose sync failed ends as DP_IO while its object is invisible, and as DP_NOT_DURABLE once it is
 * visible. */
static void test_store_local_unsynced_at_every_write(void **state)
{
    (void)state;
    long calls = count_calls(), not_durable = 0;
    char output[4096];
    snprintf(output, sizeof output, "%s/output", test_tmpdir());
    const char *base = test_tmpdir();
    for (long n = 1; n <= calls; n++) {
        char root[4096];
        snprintf(root, sizeof root, "%s/%ld", base, n);
        int status = wait_for(start("write", root, output, "DIPPER_UNSYNCED_AT", n));
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 0)
            continue; /* the n-th call was not a sync */
        const char *text = read_text(output);
        bool visible = strstr(text, "not_durable: ") != NULL;
        if (!visible && !strstr(text, "io: "))
            fail_msg("a failed sync at write %ld is reported as \"%s\"", n, text);
        int acknowledged = count_lines(text) - 1;
        if (access(root, F_OK) == 0)
            assert_int_equal(state_of(root), acknowledged + visible);
        not_durable += visible;
    }
    assert_int_equal(not_durable, STEP_COUNT); /* each step ends with a sync of its folder */
}

/* Fails each sync in turn, and returns how many of them precede the first step's visible object. */
static int syncs_of_first_step(const char *base, const char *folder)
{
    char output[4096];
    int failed = 0;
    snprintf(output, sizeof output, "%s/output", base);
    for (long n = 1;; n++) {
        char root[4096], path[4200];
        struct dp_error error;
        snprintf(root, sizeof root, "%s/root%ld", base, n);
        snprintf(path, sizeof path, "%s/%s", root, folder);
        if (os_make_dirs(path, &error) != DP_OK)
            fail_msg("%s", error.message);
        wait_for(start("write", root, output, "DIPPER_UNSYNCED_AT", n));
        const char *text = read_text(output);
        if (strncmp(text, "io: ", 4) == 0)
            failed++;
        else if (strncmp(text, "not_durable: ", 13) == 0)
            return failed; /* the sync of the folder, the step's last */
    }
}

/* Another writer's new folders may not be synced yet, so the store syncs them like its own. */
static void test_store_local_folders_of_others_are_durable(void **state)
{
    (void)state;
    int own = syncs_of_first_step(test_tmpdir(), "");
    assert_true(own > 2);
    assert_int_equal(syncs_of_first_step(test_tmpdir(), "ns/1"), own);
}

static void test_store_local_swaps_of_many_processes_lose_no_count(void **state)
{
    (void)state;
    struct view v;
    const char *root = test_tmpdir();
    view_open(&v, root);
    struct store_put put = {.key = span_str("counter"), .body = span_str("0")};
    assert_int_equal(store_put(&v.call, v.store, &put), DP_OK);
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        children[i] = start("increment", root, "/dev/null", NULL, 0);
    for (int i = 0; i < PROCESSES; i++)
        assert_int_equal(wait_for(children[i]), 0);
    char expected[24];
    snprintf(expected, sizeof expected, "%d", PROCESSES * INCREMENTS);
    assert_true(holds(&v, "counter", span_str(expected)));
    view_close(&v);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_local_killed_at_every_write),
        cmocka_unit_test(test_store_local_full_at_every_write),
        cmocka_unit_test(test_store_local_unsynced_at_every_write),
        cmocka_unit_test(test_store_local_folders_of_others_are_durable),
        cmocka_unit_test(test_store_local_swaps_of_many_processes_lose_no_count),
    };
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 31 + i / 256);
    if (argc == 3)
        return be_writer(argv[1], argv[2]);
    return test_run(tests);
}
