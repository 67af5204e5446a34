/* test_contract.c: the contract suite over every store of this build. Remote stores run against the scripted server, whose
 * dialects keep every condition; the suite runs against other people's servers in tests/e2e. */
#include "test_support.h"

#include <stdio.h>

#include "azure_dialect.h"
#include "contract.h"
#include "remote_fixture.h"
#include "store/azure_settings.h"
#include "gcs_dialect.h"
#include "s3_dialect.h"
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

/* ---- remote stores, over the scripted server ---- */

static struct {
    struct http_server *server;
    unsigned roots; /* opened until now; each is fresh */
    struct s3_settings s3;
    struct gcs_settings gcs;
    struct azure_settings azure;
    char root[64];
} remote;

static struct store *open_remote(void)
{
    struct arena arena;
    struct call call;
    struct store *store;
    const struct store_options options = {
        .settings = {{"s3", &remote.s3}, {"gs", &remote.gcs}, {"az", &remote.azure}}};
    arena_init(&arena, 1 << 20);
    call_init(&call, &arena);
    if (store_open_with(&call, span_str(remote.root), &options, &store) != DP_OK)
        fail_msg("%s", call.error.message);
    arena_deinit(&arena);
    return store;
}

static struct store *reopen_remote(struct store *first)
{
    (void)first;
    return open_remote();
}

static struct store *open_s3(void)
{
    snprintf(remote.root, sizeof remote.root, "s3://bucket-%u", ++remote.roots);
    return open_remote();
}

static int run_scripted_s3(void)
{
    const struct contract_store s3 = {.name = "scripted S3",
                                      .open = open_s3,
                                      .reopen = reopen_remote,
                                      .holds_name_and_folder = true,
                                      .remote = true,
                                      .no_size_of_unchanged = true};
    remote.server = http_server_start(&(struct http_server_options){.dialect = &S3_DIALECT});
    remote.s3 = (struct s3_settings){.access_key_id = "AKID",
                                     .secret_access_key = "hush",
                                     .metadata_disabled = true,
                                     .endpoint_url = http_server_url(remote.server, "")};
    int failed = contract_run(&s3);
    http_server_stop(remote.server);
    return failed;
}

static struct store *open_gcs(void)
{
    snprintf(remote.root, sizeof remote.root, "gs://bucket-%u", ++remote.roots);
    return open_remote();
}

static int run_scripted_gcs(void)
{
    const struct contract_store gcs = {.name = "scripted Google Cloud Storage",
                                       .open = open_gcs,
                                       .reopen = reopen_remote,
                                       .holds_name_and_folder = true,
                                       .remote = true,
                                       .no_size_of_unchanged = true};
    remote.server = http_server_start(&(struct http_server_options){.dialect = &GCS_DIALECT});
    remote.gcs = (struct gcs_settings){.emulator_host = http_server_url(remote.server, "")};
    int failed = contract_run(&gcs);
    http_server_stop(remote.server);
    return failed;
}

static struct store *open_azure(void)
{
    snprintf(remote.root, sizeof remote.root, "az://container-%u", ++remote.roots);
    return open_remote();
}

static int run_scripted_azure(void)
{
    const struct contract_store azure = {.name = "scripted Azure",
                                         .open = open_azure,
                                         .reopen = reopen_remote,
                                         .holds_name_and_folder = true,
                                         .remote = true,
                                         .no_size_of_unchanged = true};
    remote.server = http_server_start(&(struct http_server_options){.dialect = &AZURE_DIALECT});
    remote.azure = (struct azure_settings){.account_key = "aHVzaA==", /* "hush" */
                                           .endpoint = http_server_url(remote.server, "/account")};
    int failed = contract_run(&azure);
    http_server_stop(remote.server);
    return failed;
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
    failed += run_scripted_s3();
    failed += run_scripted_gcs();
    failed += run_scripted_azure();
    return test_finish(failed);
}
