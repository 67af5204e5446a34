/* banner.c: tells an operator what a server that has just begun offers.
 *
 * The server answers already while this runs, so nothing here may fail: a line whose facts are not at hand says less, or
 * is left out. Rows are counted only in a folder, because the log of a remote namespace takes requests to read. */
#include "cli/banner.h"

#include <inttypes.h>
#include <string.h>

#include "base/version.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "os/log.h"
#include "simd/simd.h"

enum { ARENA_MAX = 64 << 20, NAMES_SHOWN = 8, LOOK_MS = 1000 };

static void log_models(struct call *call, struct service *service)
{
    struct service_model model;
    for (size_t i = 0; service_model_at(service, i, call->arena, &model); i++) {
        if (model.loaded_s)
            log_write(LOG_INFO, "model %.*s: %u dimensions, texts of up to %u tokens, %s", SPAN_FMT(model.name),
                      (unsigned)model.dim, (unsigned)model.max_tokens, model.engine);
        else
            log_write(LOG_INFO, "model %.*s: the first request that names it opens it", SPAN_FMT(model.name));
    }
}

/* Counts the rows of a namespace with a reader of our own, so that the server's stay as they are. */
static bool count_rows(struct call *call, struct service *service, struct span name, uint64_t *rows)
{
    struct index_reader *reader = NULL;
    struct index_stats stats = {.rows = 0};
    enum dp_status status = index_open(call, service_store(service), name, &reader);
    if (status == DP_OK)
        status = index_stats(call, reader, &stats);
    index_close(reader);
    dp_error_clear(&call->error);
    *rows = stats.rows;
    return status == DP_OK;
}

static void log_namespaces(struct call *call, const struct config *config, struct service *service)
{
    const bool is_folder = !strstr(config->root, "://") || strncmp(config->root, "file:", 5) == 0;
    struct index_names names;
    const char *list = "";
    if (index_list(call, service_store(service), span_of(NULL, 0), span_of(NULL, 0), NAMES_SHOWN, &names) !=
        DP_OK) {
        log_write(LOG_WARN, "the namespaces cannot be listed: %s", call->error.message);
        return;
    }
    for (size_t i = 0; i < names.count && list; i++) {
        uint64_t rows;
        const char *comma = i ? ", " : "";
        if (is_folder && count_rows(call, service, names.names[i], &rows))
            list = arena_printf(call->arena, "%s%s%.*s (%" PRIu64 " rows)", list, comma, SPAN_FMT(names.names[i]),
                                rows);
        else
            list = arena_printf(call->arena, "%s%s%.*s", list, comma, SPAN_FMT(names.names[i]));
    }
    if (names.count == 0)
        log_write(LOG_INFO, "there are no namespaces yet: dipper index NAME FILE.jsonl --root ROOT makes one");
    else if (list)
        log_write(LOG_INFO, "namespaces: %s%s", list, names.truncated ? ", and more" : "");
}

static void log_keys(struct call *call, const struct config *config, struct accounts *accounts)
{
    struct key_records keys;
    if (accounts) {
        if (records_usable(call, accounts_database(accounts), os_wall_ms(), &keys) == DP_OK && keys.count == 0)
            log_write(LOG_WARN, "every client needs an API key, but there is no key yet: dipper key create");
        return;
    }
    if (config->insecure)
        log_write(LOG_WARN, "whoever reaches this address may read, write and delete: --auth asks for API keys");
}

void banner_log(const struct config *config, struct service *service, struct accounts *accounts, const char *url)
{
    struct arena arena;
    struct call call;
    const unsigned cores = os_cpu_count();
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    call_limit_ms(&call, LOOK_MS);
    log_write(LOG_INFO, "dipper %s on %u core%s (%s)", version_text(), cores, cores == 1 ? "" : "s",
              simd_ops()->name);
    log_models(&call, service);
    log_keys(&call, config, accounts);
    dp_error_clear(&call.error);
    if (service_store(service)) {
        log_write(LOG_INFO, "search page: %s/", url);
        log_namespaces(&call, config, service);
    }
    arena_deinit(&arena);
}
