/* test_contract.c: the contract suite over every store of this build. */
#include "test_support.h"

#include "contract.h"
#include "test_store.h"

static char *last_root; /* root of the local store that was opened last */

static struct store *open_url(const char *url, bool create)
{
    struct arena arena;
    struct call call;
    struct store *store;
    arena_init(&arena, 1 << 16);
    call_init(&call, &arena);
    if (store_open(&call, span_str(url), create, &store) != DP_OK)
        fail_msg("%s", call.error.message);
    arena_deinit(&arena);
    return store;
}

static struct store *open_memory(void)
{
    return open_url("mem://contract", true);
}

static struct store *open_local(void)
{
    last_root = (char *)(uintptr_t)test_tmpdir();
    return open_url(last_root, true);
}

static struct store *reopen_local(struct store *first)
{
    (void)first;
    return open_url(last_root, false);
}

static struct store *open_recorded(void)
{
    return test_store_wrap(open_memory());
}

int main(void)
{
    const struct contract_store stores[] = {
        {.name = "memory", .open = open_memory, .holds_name_and_folder = true},
        {.name = "local folder", .open = open_local, .reopen = reopen_local},
        {.name = "recording store over memory", .open = open_recorded, .holds_name_and_folder = true},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        failed += contract_run(&stores[i]);
    return test_finish(failed);
}
