/* key.c: `dipper key create|list|revoke`: the API keys of a server. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/accounts.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "os/clock.h"

enum { ARENA_MAX = 1 << 30, OUTPUT_MAX = 1 << 30, SHOWN_MAX = KEY_SCHEME_MAX + KEY_PREFIX_LEN + 1 };

/* What was asked for on the command line. */
struct wish {
    const char *email, *tier, *name, *expires, *rights, *namespaces;
    bool json;
};

/* The command at work: its settings, the open database, and what it prints. */
struct work {
    const struct config *config;
    const struct wish *wish;
    struct call call;
    struct database *db;
    struct buffer out;
};

/* ---- create ----------------------------------------------------------------------------------------- */

static enum dp_status read_wish(struct work *w, struct key_wish *out)
{
    const struct wish *wish = w->wish;
    *out = (struct key_wish){.email = span_str(wish->email),
                             .name = span_str(wish->name),
                             .namespaces = span_str(wish->namespaces),
                             .rights = RIGHT_ALL,
                             .scheme = span_str(w->config->key_prefix)};
    if (*wish->tier) {
        out->has_tier = true;
        if (!tier_parse(span_str(wish->tier), &out->tier))
            return call_fail(&w->call, DP_INVALID, "--tier is '%s', but must be free, pro or scale", wish->tier);
    }
    if (*wish->rights && !rights_parse(span_str(wish->rights), &out->rights))
        return call_fail(&w->call, DP_INVALID, "--rights is '%s', but must be some of embed,read,write",
                         wish->rights);
    if (*wish->expires && !date_parse(span_str(wish->expires), &out->expires_ms))
        return call_fail(
            &w->call, DP_INVALID,
            "--expires is '%s', but must be a day (2027-01-31) or a moment (2027-01-31T12:00:00Z), UTC",
            wish->expires);
    if (out->expires_ms && out->expires_ms <= os_wall_ms())
        return call_fail(&w->call, DP_INVALID, "--expires is '%s', which is past", wish->expires);
    return DP_OK;
}

static void print_new_key(struct work *w, const struct new_key *key)
{
    struct json_writer json;
    if (!w->wish->json) {
        fprintf(stderr, "This is the only time that the key is shown (id %s, tier %s):\n", key->id,
                tier_name(key->tier));
        buffer_printf(&w->out, "%s\n", key->text);
        return;
    }
    json_writer_init(&json, &w->out);
    json_begin_object(&json);
    json_key(&json, "key");
    json_string_str(&json, key->text);
    json_key(&json, "id");
    json_string_str(&json, key->id);
    json_key(&json, "tier");
    json_string_str(&json, tier_name(key->tier));
    json_end_object(&json);
    buffer_append_str(&w->out, "\n");
}

static enum dp_status create(struct work *w)
{
    struct key_wish wish;
    struct new_key key;
    enum dp_status status = read_wish(w, &wish);
    if (status == DP_OK)
        status = records_create(&w->call, w->db, &wish, os_wall_ms(), &key);
    if (status == DP_OK)
        print_new_key(w, &key);
    explicit_bzero(&key, sizeof(key));
    return status;
}

/* ---- list, revoke ----------------------------------------------------------------------------------- */

/* How a key is shown where it is not shown whole: "fe_0123abcd". */
static void show(const struct work *w, const struct key_record *key, char out[SHOWN_MAX])
{
    snprintf(out, SHOWN_MAX, "%s%.*s", w->config->key_prefix, SPAN_FMT(key->prefix));
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
    json_key(json, name);
    if (!ms) {
        json_null(json);
        return;
    }
    os_format_utc(ms, utc);
    json_string_str(json, utc);
}

static void print_key_json(struct work *w, struct json_writer *json, const struct key_record *key)
{
    char shown[SHOWN_MAX];
    show(w, key, shown);
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
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        json_key(json, texts[i].name);
        json_string(json, texts[i].text);
    }
    write_moment(json, "created_at", key->created_ms);
    write_moment(json, "expires_at", key->expires_ms);
    write_moment(json, "revoked_at", key->revoked_ms);
    json_end_object(json);
}

static void print_key(struct work *w, const struct key_record *key)
{
    char shown[SHOWN_MAX];
    show(w, key, shown);
    buffer_printf(&w->out, "%.*s  %s  %-7s  %-5s  %.*s", SPAN_FMT(key->id), shown, state_of(key),
                  tier_name(key->tier), SPAN_FMT(key->email));
    if (key->name.len)
        buffer_printf(&w->out, "  \"%.*s\"", SPAN_FMT(key->name));
    if (key->rights != RIGHT_ALL)
        buffer_printf(&w->out, "  %s", rights_print(key->rights));
    if (key->namespaces.len)
        buffer_printf(&w->out, "  namespaces %.*s", SPAN_FMT(key->namespaces));
    buffer_append_str(&w->out, "\n");
}

static enum dp_status list(struct work *w)
{
    struct key_records keys;
    struct json_writer json;
    enum dp_status status = records_list(&w->call, w->db, span_str(w->wish->email), &keys);
    if (status != DP_OK)
        return status;
    json_writer_init(&json, &w->out);
    if (w->wish->json) {
        json_begin_object(&json);
        json_key(&json, "keys");
        json_begin_array(&json);
    }
    for (size_t i = 0; i < keys.count; i++) {
        if (w->wish->json)
            print_key_json(w, &json, &keys.keys[i]);
        else
            print_key(w, &keys.keys[i]);
    }
    if (w->wish->json) {
        json_end_array(&json);
        json_end_object(&json);
        buffer_append_str(&w->out, "\n");
    }
    return DP_OK;
}

static enum dp_status revoke(struct work *w, const char *which)
{
    struct key_record key;
    struct json_writer json;
    enum dp_status status =
        records_revoke(&w->call, w->db, span_str(which), span_str(w->config->key_prefix), os_wall_ms(), &key);
    if (status != DP_OK)
        return status;
    json_writer_init(&json, &w->out);
    if (w->wish->json)
        print_key_json(w, &json, &key);
    else
        buffer_printf(&w->out, "revoked %.*s of %.*s: servers that remember it refuse it within a minute",
                      SPAN_FMT(key.id), SPAN_FMT(key.email));
    buffer_append_str(&w->out, "\n");
    return DP_OK;
}

/* ---- the command ------------------------------------------------------------------------------------ */

static enum dp_status work(const struct config *config, const struct wish *wish, const char *verb,
                           const char *which, struct dp_error *error)
{
    struct arena arena;
    struct work w = {.config = config, .wish = wish};
    arena_init(&arena, ARENA_MAX);
    call_init(&w.call, &arena);
    buffer_init(&w.out, OUTPUT_MAX);
    enum dp_status status = open_accounts_database(&w.call, config, &w.db);
    if (status == DP_OK)
        status = strcmp(verb, "create") == 0 ? create(&w)
                 : strcmp(verb, "list") == 0 ? list(&w)
                                             : revoke(&w, which);
    if (status == DP_OK)
        status = buffer_check(&w.out, "the output", &w.call.error);
    if (status == DP_OK)
        printf("%.*s", (int)w.out.len, (const char *)w.out.data);
    *error = w.call.error;
    database_close(w.db);
    buffer_deinit(&w.out);
    arena_deinit(&arena);
    return status;
}

static int run_key(int argc, char **argv)
{
    struct wish wish = {"", "", "", "", "", "", false};
    const struct cli_option own[] = {
        {"email", 0, CLI_TEXT, &wish.email, 0, 0, "ADDRESS", "create: whose key it is; list: only this user's"},
        {"tier", 0, CLI_TEXT, &wish.tier, 0, 0, "TIER", "create: the user's tier from now on: free, pro or scale"},
        {"name", 0, CLI_TEXT, &wish.name, 0, 0, "NAME", "create: what the key is for"},
        {"expires", 0, CLI_TEXT, &wish.expires, 0, 0, "DATE", "create: until when it is good (2027-01-31, UTC)"},
        {"rights", 0, CLI_TEXT, &wish.rights, 0, 0, "LIST", "create: some of embed,read,write (default: all)"},
        {"namespaces", 0, CLI_TEXT, &wish.namespaces, 0, 0, "LIST",
         "create: only namespaces whose names begin so (default: all)"},
        {"json", 0, CLI_FLAG, &wish.json, 0, 0, NULL, "print JSON"},
    };
    struct cli_args args;
    struct dp_error error = {0};
    int status = cli_parse(&cli_key_command, argc, argv, own, sizeof(own) / sizeof(*own), &args);

    if (status != CLI_OK)
        return status == CLI_HELPED ? CLI_OK : status;
    const char *verb = args.position_count > 0 ? args.positions[0] : "";
    const char *which = args.position_count > 1 ? args.positions[1] : NULL;
    if (strcmp(verb, "create") == 0 && args.position_count == 1 && !*wish.email)
        status = cli_usage(&cli_key_command, "say whose key it is: --email ADDRESS");
    else if (args.position_count == 1 && (strcmp(verb, "create") == 0 || strcmp(verb, "list") == 0))
        work(&args.config, &wish, verb, NULL, &error);
    else if (args.position_count == 2 && strcmp(verb, "revoke") == 0)
        work(&args.config, &wish, verb, which, &error);
    else
        status = cli_usage(&cli_key_command, "say what to do: `key create --email ADDRESS`, `key list` or "
                                             "`key revoke ID|PREFIX`");
    if (error.status != DP_OK)
        status = cli_fail_options(&cli_key_command, &error);
    cli_args_deinit(&args);
    return status;
}

const struct cli_command cli_key_command = {
    "key",
    "create --email ADDRESS [OPTIONS] | list | revoke ID|PREFIX",
    "make, list and revoke the API keys of a server",
    "`create` makes a key and shows it, once: what is kept is its hash. The user of that address is made when "
    "there is\n"
    "none, of the tier free unless --tier says otherwise. `list` shows how keys begin, never a whole one. "
    "`revoke` ends a\n"
    "key; servers that have just seen it go on taking it for at most a minute.\n",
    CONFIG_GROUP_ACCOUNTS,
    run_key};
