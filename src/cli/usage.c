/* usage.c: `dipper usage`: prints how many embeddings users and keys had in a month. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/accounts.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "os/clock.h"

enum { ARENA_MAX = 1 << 30, OUTPUT_MAX = 1 << 30 };

struct usage_options {
    const char *email, *key, *month;
    bool by_key, json;
};

static int64_t tier_limit(const struct config *config, enum account_tier tier)
{
    uint64_t limit = tier == TIER_FREE  ? config->free_limit
                     : tier == TIER_PRO ? config->pro_limit
                                        : config->scale_limit;
    return (int64_t)limit;
}

static void write_usage_json(const struct config *config, const char *month, const struct usage_rows *rows,
                             struct buffer *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_field_str(&w, "month", month);
    json_field_array(&w, "usage");
    for (size_t i = 0; i < rows->count; i++) {
        const struct usage_row *row = &rows->rows[i];
        json_begin_object(&w);
        json_field_span(&w, "email", row->email);
        if (row->key_id.len)
            json_field_span(&w, "key_id", row->key_id);
        json_field_str(&w, "tier", tier_name(row->tier));
        json_field_i64(&w, "embeddings", row->embeddings);
        json_field_i64(&w, "requests", row->requests);
        json_field_i64(&w, "limit", tier_limit(config, row->tier)); /* the user's limit, which all keys share */
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    buffer_append_str(out, "\n");
}

static void write_usage_text(const struct config *config, const char *month, const struct usage_rows *rows,
                             struct buffer *out)
{
    buffer_printf(out, "%s, UTC\n", month);
    for (size_t i = 0; i < rows->count; i++) {
        const struct usage_row *row = &rows->rows[i];
        buffer_printf(out, "%10" PRId64 " of %" PRId64 " embeddings  %8" PRId64 " requests  %-5s  %.*s",
                      row->embeddings, tier_limit(config, row->tier), row->requests, tier_name(row->tier),
                      SPAN_FMT(row->email));
        if (row->key_id.len)
            buffer_printf(out, "  %.*s", SPAN_FMT(row->key_id));
        buffer_append_str(out, "\n");
    }
}

static enum dp_status write_usage(struct call *call, const struct config *config,
                                  const struct usage_options *options, struct database *db, struct buffer *out)
{
    struct usage_rows rows;
    char month[16];
    int64_t number = month_of(os_wall_ms());
    if (*options->month && !month_parse(span_str(options->month), &number))
        return call_fail(call, DP_INVALID, "--month is '%s', but must be a month such as 2026-11", options->month);
    enum dp_status status = records_usage(call, db, number, span_str(options->email), span_str(options->key),
                                          options->by_key || *options->key, &rows);
    if (status != DP_OK)
        return status;
    month_print(number, month);
    if (options->json)
        write_usage_json(config, month, &rows, out);
    else
        write_usage_text(config, month, &rows, out);
    return buffer_check(out, "the output", &call->error);
}

static enum dp_status print_usage(const struct config *config, const struct usage_options *options,
                                  struct dp_error *error)
{
    struct arena arena;
    struct call call;
    struct buffer out;
    struct database *db = NULL;
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    buffer_init(&out, OUTPUT_MAX);
    enum dp_status status = open_accounts_database(&call, config, &db);
    if (status == DP_OK)
        status = write_usage(&call, config, options, db, &out);
    if (status == DP_OK)
        printf("%.*s", (int)out.len, (const char *)out.data);
    *error = call.error;
    database_close(db);
    buffer_deinit(&out);
    arena_deinit(&arena);
    return status;
}

static int run_usage(const struct cli_args *args)
{
    struct dp_error error = {0};
    if (args->position_count > 0)
        return cli_unexpected(args, args->positions[0]);
    print_usage(&args->config, args->options, &error);
    return cli_end_options(args, &error);
}

static const struct cli_option options[] = {
    {"email", CLI_TEXT, offsetof(struct usage_options, email), "ADDRESS", .help = "this user only"},
    {"key", CLI_TEXT, offsetof(struct usage_options, key), "ID", .help = "this key only"},
    {"by-key", CLI_FLAG, offsetof(struct usage_options, by_key), .help = "a line for each key, not for each user"},
    {"month", CLI_TEXT, offsetof(struct usage_options, month), "MONTH",
     .help = "such as 2026-11 (default: this month, UTC)"},
    {"json", CLI_FLAG, offsetof(struct usage_options, json), .help = "print JSON"},
};
static const struct usage_options defaults = {.email = "", .key = "", .month = ""};

const struct cli_command cli_usage_command = {
    .name = "usage",
    .usage = "[--email ADDRESS] [--key ID] [--by-key] [--month MONTH] [--json]",
    .summary = "print how many embeddings each user or key had in a month",
    .details = "Servers write their usage to the database at least once a second.\n",
    .example = "  DATABASE_URL=sqlite:///srv/keys.db dipper usage --by-key --month 2026-11\n",
    .settings = CONFIG_GROUP_ACCOUNTS,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .run = run_usage,
};
