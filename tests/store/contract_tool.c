/* contract_tool.c: runs the contract suite over a store that tests/e2e start, with the settings of the environment.
 *
 *     contract_tool ROOT [holds-both] [not-atomic]
 *
 * Each test gets a new root below ROOT, a bucket. holds-both: the store keeps "a" beside "a/b"; not-atomic: tests with
 * concurrent reads and writes of one name are left out. */
#include "test_support.h"

#include <stdio.h>

#include "contract.h"
#include "os/random.h"
#include "service/store_settings.h"

static const char *above;
static char last_root[1024];

static struct store *open_last(bool create)
{
    struct arena arena;
    struct call call;
    struct store *store;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    call_limit_ms(&call, 60000);
    if (store_open_by_environment(&call, span_str(last_root), create, 0, &store) != DP_OK)
        fail_msg("%s", call.error.message);
    arena_deinit(&arena);
    return store;
}

static struct store *open_fresh(void)
{
    char ulid[ULID_LEN + 1];
    struct dp_error error;
    assert_int_equal(os_ulid(ulid, &error), DP_OK);
    snprintf(last_root, sizeof last_root, "%s/%s", above, ulid);
    return open_last(true);
}

static struct store *reopen(struct store *first)
{
    (void)first;
    return open_last(false);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: contract_tool ROOT [holds-both] [not-atomic]\n");
        return 2;
    }
    above = argv[1];
    struct contract_store store = {.name = above,
                                   .open = open_fresh,
                                   .reopen = reopen,
                                   .remote = true,
                                   .longest_key = STORE_KEY_MAX - ULID_LEN - 1,
                                   .no_size_of_unchanged = true};
    for (int i = 2; i < argc; i++) {
        store.holds_name_and_folder |= strcmp(argv[i], "holds-both") == 0;
        store.not_atomic |= strcmp(argv[i], "not-atomic") == 0;
    }
    return test_finish(contract_run(&store));
}
