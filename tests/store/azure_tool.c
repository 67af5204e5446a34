/* azure_tool.c: runs the Azure store against the emulator that tests/e2e/test_azure.py starts.
 *
 *     AZURE_STORAGE_CONNECTION_STRING=… azure_tool COMMAND
 *
 *     contract NAME           the contract suite, each test in a new container
 *     make-container NAME
 */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "contract.h"
#include "os/random.h"
#include "store/azure/azure.h"

static struct azure_settings settings;
static char last_url[64];

static struct store *open_container(bool create)
{
    struct arena arena;
    struct call call;
    struct store *store;
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    call_limit_ms(&call, 60000);
    if (store_open_with(&call, span_str(last_url), &(struct store_options){.settings = {{"az", &settings}}},
                        &store) != DP_OK)
        fail_msg("%s", call.error.message);
    if (create) {
        const struct azure_parameter query[] = {{span_str("restype"), span_str("container")}};
        struct transport_request req = {.method = HTTP_PUT};
        assert_int_equal(azure_request(&call, azure_of(store), (struct span){0}, query, 1, &req), DP_OK);
        if (azure_send(&call, azure_of(store), &req) != DP_OK || req.code != 201)
            fail_msg("cannot make the container %s: %d %s", last_url, req.code, call.error.message);
        store_bytes_release(&req.bytes);
    }
    arena_deinit(&arena);
    return store;
}

static struct store *open_fresh(void)
{
    char ulid[ULID_LEN + 1];
    struct dp_error error;
    assert_int_equal(os_ulid(ulid, &error), DP_OK);
    for (char *c = ulid; *c; c++) /* names of containers have no capital letters */
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
    snprintf(last_url, sizeof last_url, "az://contract-%s", ulid);
    return open_container(true);
}

static struct store *reopen(struct store *first)
{
    (void)first;
    return open_container(false);
}

int main(int argc, char **argv)
{
    settings.connection_string = getenv("AZURE_STORAGE_CONNECTION_STRING");
    bool contract = argc == 3 && strcmp(argv[1], "contract") == 0;
    if (argc != 3 || !settings.connection_string || (!contract && strcmp(argv[1], "make-container") != 0)) {
        fprintf(stderr, "usage: azure_tool contract NAME | make-container NAME\n");
        return 2;
    }
    if (!contract) {
        snprintf(last_url, sizeof last_url, "az://%s", argv[2]);
        store_free(open_container(true));
        return test_finish(0);
    }
    const struct contract_store store = {.name = argv[2],
                                         .open = open_fresh,
                                         .reopen = reopen,
                                         .holds_name_and_folder = true,
                                         .remote = true,
                                         .wrong_at_end = true,
                                         .stale_when_missing = true,
                                         .no_size_of_unchanged = true};
    return test_finish(contract_run(&store));
}
