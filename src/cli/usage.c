/* usage.c: `dipper usage`: how many embeddings users and keys have had in a month. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/accounts.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "os/clock.h"

enum { ARENA_MAX = 1 << 30, OUTPUT_MAX = 1 << 30 };

struct wish {
    const char *email, *key, *month;
    bool by_key, json;
};

static int64_t limit_of(const struct config *config, enum account_tier tier)
{
    uint64_t limit = tier == TIER_FREE  ? config->free_limit
                     : tier == TIER_PRO ? config->pro_limit
                                        : config->scale_limit;
    return (int64_t)limit;
}

static void print_json(const struct config *config, const char *month, const struct usage_rows *rows,
                       struct buffer *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "month");
    json_string_str(&w, month);
    json_key(&w, "usage");
    json_begin_array(&w);
    for (size_t i = 0; i < rows->count; i++) {
        const struct usage_row *row = &rows->rows[i];
        json_begin_object(&w);
        json_key(&w, "email");
        json_string(&w, row->email);
        if (row->key_id.len) {
            json_key(&w, "key_id");
            json_string(&w, row->key_id);
        }
        json_key(&w, "tier");
        json_string_str(&w, tier_name(row->tier));
        json_key(&w, "embeddings");
        json_i64(&w, row->embeddings);
        json_key(&w, "requests");
        json_i64(&w, row->requests);
        json_key(&w, "limit"); /* of the user, whose keys share it */
        json_i64(&w, limit_of(config, row->tier));
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    buffer_append_str(out, "\n");
}

static void print_people(const struct config *config, const char *month, const struct usage_rows *rows,
                         struct buffer *out)
{
    buffer_printf(out, "%s, UTC\n", month);
    for (size_t i = 0; i < rows->count; i++) {
        const struct usage_row *row = &rows->rows[i];
        buffer_printf(out, "%10lld of %lld embeddings  %8lld requests  %-5s  %.*s", (long long)row->embeddings,
                      (long long)limit_of(config, row->tier), (long long)row->requests, tier_name(row->tier),
                      SPAN_FMT(row->email));
        if (row->key_id.len)
            buffer_printf(out, "  %.*s", SPAN_FMT(row->key_id));
        buffer_append_str(out, "\n");
    }
}

static enum dp_status report(struct call *call, const struct config *config, const struct wish *wish,
                             struct database *db, struct buffer *out)
{
    struct usage_rows rows;
    char month[16];
    int64_t number = month_of(os_wall_ms());
    if (*wish->month && !month_parse(span_str(wish->month), &number))
        return call_fail(call, DP_INVALID, "--month is '%s', but must be a month as 2026-11", wish->month);
    enum dp_status status = records_usage(call, db, number, span_str(wish->email), span_str(wish->key),
                                          wish->by_key || *wish->key, &rows);
    if (status != DP_OK)
        return status;
    month_print(number, month);
    if (wish->json)
        print_json(config, month, &rows, out);
    else
        print_people(config, month, &rows, out);
    return buffer_check(out, "the output", &call->error);
}

static enum dp_status usage(const struct config *config, const struct wish *wish, struct dp_error *error)
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
        status = report(&call, config, wish, db, &out);
    if (status == DP_OK)
        printf("%.*s", (int)out.len, (const char *)out.data);
    *error = call.error;
    database_close(db);
    buffer_deinit(&out);
    arena_deinit(&arena);
    return status;
}

static int run_usage(int argc, char **argv)
{
    struct wish wish = {"", "", "", false, false};
    const struct cli_option own[] = {
        {"email", 0, CLI_TEXT, &wish.email, 0, 0, "ADDRESS", "only this user's"},
        {"key", 0, CLI_TEXT, &wish.key, 0, 0, "ID", "only this key's"},
        {"by-key", 0, CLI_FLAG, &wish.by_key, 0, 0, NULL, "a line for each key, not for each user"},
        {"month", 0, CLI_TEXT, &wish.month, 0, 0, "MONTH", "2026-11 (default: this month, UTC)"},
        {"json", 0, CLI_FLAG, &wish.json, 0, 0, NULL, "print JSON"},
    };
    struct cli_args args;
    struct dp_error error = {0};
    int status = cli_parse(&cli_usage_command, argc, argv, own, sizeof(own) / sizeof(*own), &args);

    if (status != CLI_OK)
        return status == CLI_HELPED ? CLI_OK : status;
    if (args.position_count > 0)
        status = cli_unexpected(&cli_usage_command, args.positions[0]);
    else if (usage(&args.config, &wish, &error) != DP_OK)
        status = cli_fail_options(&cli_usage_command, &error);
    cli_args_deinit(&args);
    return status;
}

const struct cli_command cli_usage_command = {"usage",
                                              "[--email ADDRESS] [--key ID] [--by-key] [--month MONTH] [--json]",
                                              "print how many embeddings users and keys have had in a month",
                                              "Servers write what was used at least once a second.\n",
                                              CONFIG_GROUP_ACCOUNTS,
                                              run_usage};
