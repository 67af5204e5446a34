/* key.c: `dipper key create|list|revoke` manages the API keys of a server. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/accounts.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "os/clock.h"

enum { ARENA_MAX = 1 << 30, OUTPUT_MAX = 1 << 30, SHOWN_MAX = KEY_SCHEME_MAX + KEY_PREFIX_LEN + 1 };

struct key_options {
    const char *email, *tier, *name, *expires, *rights, *namespaces;
    bool json;
};

/* One run of the command: its settings, the open database, and its output. */
struct key_run {
    const struct cli_args *args;
    const struct config *config;
    const struct key_options *options;
    struct call call;
    struct database *db;
    struct buffer out;
};

/* ---- create ----------------------------------------------------------------------------------------- */

static enum dp_status read_wish(struct key_run *run, struct key_wish *out)
{
    const struct key_options *wish = run->options;
    *out = (struct key_wish){.email = span_str(wish->email),
                             .name = span_str(wish->name),
                             .namespaces = span_str(wish->namespaces),
                             .rights = RIGHT_USUAL,
                             .scheme = span_str(run->config->key_prefix)};
    if (*wish->tier) {
        out->has_tier = true;
        if (!tier_parse(span_str(wish->tier), &out->tier))
            return call_fail(&run->call, DP_INVALID, "--tier is '%s', but must be free, pro or scale", wish->tier);
    }
    if (*wish->rights && !rights_parse(span_str(wish->rights), &out->rights))
        return call_fail(&run->call, DP_INVALID, "--rights is '%s', but must be some of embed,read,write,admin",
                         wish->rights);
    if (*wish->expires && !date_parse(span_str(wish->expires), &out->expires_ms))
        return call_fail(&run->call, DP_INVALID,
                         "--expires is '%s', but must be a day (2027-01-31) or a time (2027-01-31T12:00:00Z), UTC",
                         wish->expires);
    if (out->expires_ms && out->expires_ms <= os_wall_ms())
        return call_fail(&run->call, DP_INVALID, "--expires is '%s', which is in the past", wish->expires);
    return DP_OK;
}

static void print_new_key(struct key_run *run, const struct new_key *key)
{
    struct json_writer json;
    if (!run->options->json) {
        fprintf(stderr, "This key is shown only now (id %s, tier %s):\n", key->id, tier_name(key->tier));
        buffer_printf(&run->out, "%s\n", key->text);
        return;
    }
    json_writer_init(&json, &run->out);
    json_begin_object(&json);
    json_field_str(&json, "key", key->text);
    json_field_str(&json, "id", key->id);
    json_field_str(&json, "tier", tier_name(key->tier));
    json_end_object(&json);
    buffer_append_str(&run->out, "\n");
}

static enum dp_status create_key(struct key_run *run)
{
    struct key_wish wish;
    struct new_key key;
    enum dp_status status = read_wish(run, &wish);
    if (status == DP_OK)
        status = records_create(&run->call, run->db, &wish, os_wall_ms(), &key);
    if (status == DP_OK)
        print_new_key(run, &key);
    explicit_bzero(&key, sizeof(key));
    return status;
}

/* ---- list, revoke ----------------------------------------------------------------------------------- */

/* Writes the beginning of a key, such as "fe_0123abcd", which stands for the key in lists. */
static void show_key(const struct key_run *run, const struct key_record *key, char out[SHOWN_MAX])
{
    snprintf(out, SHOWN_MAX, "%s%.*s", run->config->key_prefix, SPAN_FMT(key->prefix));
}

static const char *state_of(const struct key_record *key)
{
    if (key->revoked_ms)
        return "revoked";
    return key->expires_ms && key->expires_ms <= os_wall_ms() ? "expired" : "good";
}

static void write_moment(struct json_writer *json, const char *name, int64_t ms)
{
    char utc[25];
    if (ms)
        os_format_utc(ms, utc);
    json_field_str(json, name, ms ? utc : NULL);
}

static void print_key_json(struct key_run *run, struct json_writer *json, const struct key_record *key)
{
    char shown[SHOWN_MAX];
    show_key(run, key, shown);
    const struct {
        const char *name;
        struct span text;
    } texts[] = {{"id", key->id},
                 {"prefix", span_str(shown)},
                 {"email", key->email},
                 {"tier", span_str(tier_name(key->tier))},
                 {"name", key->name},
                 {"state", span_str(state_of(key))},
                 {"rights", span_str(rights_print(key->rights))},
                 {"namespaces", key->namespaces}};
    json_begin_object(json);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        json_field_span(json, texts[i].name, texts[i].text);
    write_moment(json, "created_at", key->created_ms);
    write_moment(json, "expires_at", key->expires_ms);
    write_moment(json, "revoked_at", key->revoked_ms);
    json_end_object(json);
}

static void print_key(struct key_run *run, const struct key_record *key)
{
    char shown[SHOWN_MAX];
    show_key(run, key, shown);
    buffer_printf(&run->out, "%.*s  %s  %-7s  %-5s  %.*s", SPAN_FMT(key->id), shown, state_of(key),
                  tier_name(key->tier), SPAN_FMT(key->email));
    if (key->name.len)
        buffer_printf(&run->out, "  \"%.*s\"", SPAN_FMT(key->name));
    if (key->rights != RIGHT_USUAL)
        buffer_printf(&run->out, "  %s", rights_print(key->rights));
    if (key->namespaces.len)
        buffer_printf(&run->out, "  namespaces %.*s", SPAN_FMT(key->namespaces));
    buffer_append_str(&run->out, "\n");
}

static enum dp_status list_keys(struct key_run *run)
{
    struct key_records keys;
    struct json_writer json;
    enum dp_status status = records_list(&run->call, run->db, span_str(run->options->email), &keys);
    if (status != DP_OK)
        return status;
    json_writer_init(&json, &run->out);
    if (run->options->json) {
        json_begin_object(&json);
        json_field_array(&json, "keys");
    }
    for (size_t i = 0; i < keys.count; i++) {
        if (run->options->json)
            print_key_json(run, &json, &keys.keys[i]);
        else
            print_key(run, &keys.keys[i]);
    }
    if (run->options->json) {
        json_end_array(&json);
        json_end_object(&json);
        buffer_append_str(&run->out, "\n");
    }
    return DP_OK;
}

static enum dp_status revoke_key(struct key_run *run)
{
    struct key_record key;
    struct json_writer json;
    enum dp_status status = records_revoke(&run->call, run->db, span_str(run->args->positions[0]),
                                           span_str(run->config->key_prefix), os_wall_ms(), &key);
    if (status != DP_OK)
        return status;
    json_writer_init(&json, &run->out);
    if (run->options->json)
        print_key_json(run, &json, &key);
    else
        buffer_printf(&run->out, "revoked %.*s of %.*s; servers that remember it refuse it within a minute",
                      SPAN_FMT(key.id), SPAN_FMT(key.email));
    buffer_append_str(&run->out, "\n");
    return DP_OK;
}

/* ---- the command ------------------------------------------------------------------------------------ */

/* Opens the accounts database, runs one verb, and prints the verb's output. */
static int run_key(const struct cli_args *args, enum dp_status (*verb)(struct key_run *run))
{
    struct arena arena;
    struct key_run run = {.args = args, .config = &args->config, .options = args->options};
    arena_init(&arena, ARENA_MAX);
    call_init(&run.call, &arena);
    buffer_init(&run.out, OUTPUT_MAX);
    enum dp_status status = open_accounts_database(&run.call, &args->config, &run.db);
    if (status == DP_OK)
        status = verb(&run);
    if (status == DP_OK)
        status = buffer_check(&run.out, "the output", &run.call.error);
    if (status == DP_OK)
        printf("%.*s", (int)run.out.len, (const char *)run.out.data);
    struct dp_error error = run.call.error;
    database_close(run.db);
    buffer_deinit(&run.out);
    arena_deinit(&arena);
    return cli_end_options(args, &error);
}

static int run_key_create(const struct cli_args *args)
{
    const struct key_options *given = args->options;
    if (!*given->email)
        return cli_usage(args, "say whose key it is: --email ADDRESS");
    return run_key(args, create_key);
}

static int run_key_list(const struct cli_args *args)
{
    return run_key(args, list_keys);
}

static int run_key_revoke(const struct cli_args *args)
{
    return run_key(args, revoke_key);
}

static const struct cli_option options[] = {
    {"email", CLI_TEXT, offsetof(struct key_options, email), "ADDRESS", .verbs = "create list",
     .help = "the key's user; list: this user only"},
    {"tier", CLI_TEXT, offsetof(struct key_options, tier), "TIER", .verbs = "create",
     .help = "the user's tier from now on: free, pro or scale"},
    {"name", CLI_TEXT, offsetof(struct key_options, name), "NAME", .verbs = "create",
     .help = "a note on what the key is for"},
    {"expires", CLI_TEXT, offsetof(struct key_options, expires), "DATE", .verbs = "create",
     .help = "the end of the key, such as 2027-01-31 (UTC)"},
    {"rights", CLI_TEXT, offsetof(struct key_options, rights), "LIST", .verbs = "create",
     .help = "some of embed,read,write,admin (default: embed,read,write)"},
    {"namespaces", CLI_TEXT, offsetof(struct key_options, namespaces), "LIST", .verbs = "create",
     .help = "only namespaces with these prefixes, separated by commas (default: all)"},
    {"json", CLI_FLAG, offsetof(struct key_options, json), .help = "print JSON"},
};
static const struct key_options defaults = {"", "", "", "", "", "", false};

static const struct cli_verb verbs[] = {
    {"create", "--email ADDRESS [OPTIONS]", "make a key and print it, this once: only its hash is kept", 0, 0,
     run_key_create},
    {"list", "[--email ADDRESS] [--json]", "list keys by their first characters", 0, 0, run_key_list},
    {"revoke", "ID|PREFIX", "end a key; servers may accept it for up to a minute more", 1, 1, run_key_revoke},
};

const struct cli_command cli_key_command = {
    .name = "key",
    .summary = "make, list and revoke API keys",
    .details = "A new address makes a new user, of the tier free unless --tier names another.\n",
    .example =
        "  DATABASE_URL=sqlite:///srv/keys.db dipper key create --email ann@example.org --rights embed,read\n",
    .settings = CONFIG_GROUP_ACCOUNTS,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .verbs = verbs,
    .verb_count = sizeof verbs / sizeof *verbs,
};
