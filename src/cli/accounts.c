/* accounts.c: opens the accounts, or only their database, as the settings say. */
#include "cli/accounts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "account/schema.h"
#include "base/buffer.h"
#include "base/url.h"
#include "service/url_rules.h"

enum { ARENA_MAX = 1 << 20, WAITING_SHARE = 2 };

const char *accounts_database_url(struct call *call, const struct config *config)
{
    const char *home = getenv("HOME"), *url = NULL;
    if (*config->database_url)
        return config->database_url;
    if (*config->state_home == '/') {
        url = arena_printf(call->arena, "sqlite://%s/dipper/accounts.db", config->state_home);
    } else if (home && *home == '/') {
        url = arena_printf(call->arena, "sqlite://%s/.local/state/dipper/accounts.db", home);
    } else {
        call_fail(call, DP_INVALID,
                  "there is no place for accounts: set DATABASE_URL to sqlite:///absolute/path or postgresql://…");
        return NULL;
    }
    if (!url)
        call_nomem(call, "the accounts' URL");
    return url;
}

/* Appends the path as a file:// URL. */
static void append_file_url(struct buffer *out, const char *path)
{
    buffer_append_str(out, "file://");
    percent_append(out, span_str(path), true);
}

/* Refuses rules that permit clients to open the accounts' file as a FAISS file: closing it would drop SQLite's
 * locks of this process (account/database_sqlite.c). */
static enum dp_status check_index_rules(struct call *call, const struct config *config, const char *database_url)
{
    struct url_rules *rules = NULL;
    struct buffer url;
    struct dp_error denied = {0};
    struct url_permit permit;
    const char *path = database_sqlite_path(database_url);
    char *resolved = path ? realpath(path, NULL) : NULL;
    if (!resolved || !*config->allow_index_url) {
        free(resolved);
        return DP_OK;
    }
    buffer_init(&url, URL_RULES_URL_MAX);
    append_file_url(&url, resolved);
    enum dp_status status = url_rules_new(span_str(config->allow_index_url), &rules, &call->error);
    if (status == DP_OK)
        status = buffer_check(&url, "a URL", &call->error);
    if (status == DP_OK && url_rules_check(rules, buffer_span(&url), call->arena, &permit, &denied) == DP_OK)
        status =
            call_fail(call, DP_INVALID,
                      "setting server.allow_index_url permits %s, the accounts' database; permit another folder, "
                      "or move the accounts (DATABASE_URL)",
                      resolved);
    url_rules_free(rules);
    buffer_deinit(&url);
    free(resolved);
    return status;
}

static enum dp_status open_with(struct call *call, const struct config *config, struct metric_registry *registry,
                                struct accounts **out)
{
    const unsigned waiting = config->request_threads / WAITING_SHARE;
    struct account_options options = {
        .database_schema = config->database_schema,
        .pool_min = config->database_pool_min,
        .pool_max = config->database_pool_max,
        .database_timeout_ms = (int)config->database_timeout_ms,
        .key_scheme = config->key_prefix,
        .tiers = {[TIER_FREE] = {(int64_t)config->free_limit, config->free_requests},
                  [TIER_PRO] = {(int64_t)config->pro_limit, config->pro_requests},
                  [TIER_SCALE] = {(int64_t)config->scale_limit, config->scale_requests}},
        .batch = config->quota_batch,
        .open = config->accounts_fail_open,
        .waiting_max = waiting ? waiting : 1,
        .registry = registry,
    };
    options.database_url = accounts_database_url(call, config);
    enum dp_status status = options.database_url ? accounts_open(call, &options, out) : call->error.status;
    if (status == DP_OK)
        status = check_index_rules(call, config, options.database_url);
    if (status != DP_OK) {
        accounts_close(*out);
        *out = NULL;
    }
    return status;
}

enum dp_status open_accounts(const struct config *config, struct metric_registry *registry, struct accounts **out,
                             struct dp_error *error)
{
    struct arena arena;
    struct call call;
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    enum dp_status status = open_with(&call, config, registry, out);
    *error = call.error;
    arena_deinit(&arena);
    return status;
}

enum dp_status open_accounts_database(struct call *call, const struct config *config, struct database **out)
{
    const struct database_options options = {.url = accounts_database_url(call, config),
                                             .schema = config->database_schema,
                                             .pool_min = 1,
                                             .pool_max = 1,
                                             .timeout_ms = (int)config->database_timeout_ms};
    *out = NULL;
    enum dp_status status = options.url ? database_open(call, &options, out) : call->error.status;
    if (status == DP_OK)
        status = schema_migrate(call, *out);
    if (status != DP_OK) {
        database_close(*out);
        *out = NULL;
    }
    return status;
}
