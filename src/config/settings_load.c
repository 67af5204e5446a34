/* settings_load.c: gathers values from the defaults, dipper.toml, the environment and the flags, in that order,
 * so that the later wins.
 */
#include "config/settings.h"

#include <unistd.h>

#include "base/alloc.h"
#include "config/toml.h"
#include "os/file.h"

enum { FILE_MAX_BYTES = 1 << 20 };

static const char DEFAULT_FILE[] = "dipper.toml";

/* One load. */
struct load {
    const struct settings *settings;
    const char *file;
};

/* Records where the values at the setting's place came from; more than one setting may share a place. */
static void set_origin(const struct settings *s, const struct setting *setting, struct config_origin origin)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct setting *other = &s->table[i];
        bool shares = other->offset == setting->offset ||
                      (setting->type == SETTING_LISTEN && other->offset == setting->port_offset) ||
                      (other->type == SETTING_LISTEN && other->port_offset == setting->offset);
        if (other == setting || shares)
            s->origins[i] = origin;
    }
}

static enum dp_status apply(const struct settings *s, const struct setting *setting, struct span text,
                            struct config_origin origin, struct dp_error *error)
{
    char allowed[200], from[200];
    enum dp_status status = setting_store(setting, s->target, text, s->arena, allowed, sizeof allowed);
    if (status == DP_OK) {
        set_origin(s, setting, origin);
        return DP_OK;
    }
    if (status == DP_NOMEM)
        return dp_fail_nomem(error, "settings");
    if (origin.source == CONFIG_FROM_FILE)
        snprintf(from, sizeof from, "%s, line %u", origin.name, origin.line);
    else
        snprintf(from, sizeof from, "%s%s", origin.source == CONFIG_FROM_ENVIRONMENT ? "environment " : "",
                 origin.name);
    if (setting->secret)
        text = span_str("(hidden)");
    return dp_fail(error, status, "setting %s: \"%.*s\" (%s) is not allowed: it takes %s", setting->name,
                   SPAN_FMT(text), from, allowed);
}

/* ---- dipper.toml ------------------------------------------------------------------------------------ */

/* Whether the file's value is of the right type; a quantity may be a number or a string with its unit. */
static bool type_fits(enum setting_type setting, enum toml_type value)
{
    switch (setting) {
    case SETTING_TEXT:
    case SETTING_CHOICE:
    case SETTING_LISTEN: return value == TOML_STRING;
    case SETTING_INTEGER: return value == TOML_INTEGER;
    case SETTING_BOOLEAN: return value == TOML_BOOLEAN;
    case SETTING_BYTES:
    case SETTING_DURATION: return value == TOML_INTEGER || value == TOML_STRING;
    }
    return false;
}

static enum dp_status take_value(void *ctx, struct span key, const struct toml_value *value,
                                 struct dp_error *error)
{
    static const char *const type_names[] = {"a string", "an integer", "a boolean"};
    const struct load *load = ctx;
    const struct settings *s = load->settings;
    for (size_t i = 0; i < s->count; i++) {
        const struct setting *setting = &s->table[i];
        if (!span_equal_str(key, setting->name))
            continue;
        if (type_fits(setting->type, value->type))
            return apply(s, setting, value->text,
                         (struct config_origin){CONFIG_FROM_FILE, load->file, value->line}, error);
        char allowed[200];
        setting_allowed(setting, allowed, sizeof allowed);
        return dp_fail(error, DP_INVALID, "setting %s: %s (%s, line %u) is not allowed: it takes %s",
                       setting->name, type_names[value->type], load->file, value->line, allowed);
    }
    return dp_fail(error, DP_INVALID, "%s, line %u: there is no setting %.*s", load->file, value->line,
                   SPAN_FMT(key));
}

static enum dp_status load_file(const struct settings *s, const char *path, struct dp_error *error)
{
    struct load load = {s, path};
    struct buffer text;
    buffer_init(&text, FILE_MAX_BYTES);
    enum dp_status status = os_read_file(path, &text, error);
    if (status == DP_OK) {
        const struct toml_sink sink = {take_value, &load};
        status = toml_read(path, buffer_span(&text), s->arena, &sink, error);
    }
    buffer_deinit(&text);
    return status;
}

/* ---- environment ------------------------------------------------------------------------------------ */

/* The variable's value; NULL when it is unset or empty. */
static const char *variable(char *const *variables, const char *name)
{
    size_t len = strlen(name);
    for (; variables && *variables; variables++)
        if (strncmp(*variables, name, len) == 0 && (*variables)[len] == '=')
            return (*variables)[len + 1] ? *variables + len + 1 : NULL;
    return NULL;
}

static enum dp_status load_environment(const struct settings *s, const struct config_sources *sources,
                                       struct dp_error *error)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct setting *setting = &s->table[i];
        for (size_t v = 0; v < SETTING_VARIABLES_MAX && setting->variables[v] && setting->group & sources->groups;
             v++) {
            const char *value = variable(sources->variables, setting->variables[v]);
            if (!value)
                continue;
            enum dp_status status =
                apply(s, setting, span_str(value),
                      (struct config_origin){CONFIG_FROM_ENVIRONMENT, setting->variables[v], 0}, error);
            if (status != DP_OK)
                return status;
            break;
        }
    }
    return DP_OK;
}

/* ---- flags ------------------------------------------------------------------------------------------ */

/* The setting of the flag that `argument` begins with. *value: what follows a '='; "false" for --no-flag, "true"
 * for a bare boolean, NULL when the next argument is the value. */
static const struct setting *find_flag(const struct settings *s, unsigned groups, const char *argument,
                                       const char **value)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct setting *setting = &s->table[i];
        size_t len = strlen(setting->flag);
        if (!(setting->group & groups))
            continue;
        bool boolean = setting->type == SETTING_BOOLEAN;
        if (boolean && strncmp(argument, "--no-", 5) == 0 && strcmp(argument + 5, setting->flag + 2) == 0) {
            *value = "false";
            return setting;
        }
        if (strncmp(argument, setting->flag, len) != 0 || (argument[len] != '\0' && argument[len] != '='))
            continue;
        *value = argument[len] == '=' ? argument + len + 1 : boolean ? "true" : NULL;
        return setting;
    }
    return NULL;
}

/* Fills values[setting] with what the flags say and `rest` with the other arguments. */
static enum dp_status scan_flags(const struct settings *s, const struct config_sources *sources,
                                 const char **values, char **rest, int *rest_count, struct dp_error *error)
{
    *rest_count = 0;
    for (int i = 0; i < sources->argc; i++) {
        char *argument = sources->argv[i];
        const char *value = NULL;
        if (strcmp(argument, "--") == 0) {
            while (i < sources->argc)
                rest[(*rest_count)++] = sources->argv[i++];
            break;
        }
        const struct setting *setting = find_flag(s, sources->groups, argument, &value);
        if (!setting) {
            rest[(*rest_count)++] = argument;
            continue;
        }
        if (!value && ++i == sources->argc)
            return dp_fail(error, DP_INVALID, "%s needs a value: %s", argument, setting->meta);
        values[setting - s->table] = value ? value : sources->argv[i];
    }
    return DP_OK;
}

/* ---- all together ----------------------------------------------------------------------------------- */

/* The file to read, or NULL; one that was asked for must be there. */
static const char *choose_file(const struct settings *s, const struct config_sources *sources, const char **flags)
{
    if (sources->toml_path)
        return sources->toml_path;
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->table[i].flag, "--config") != 0)
            continue;
        const char *named = flags[i] ? flags[i] : variable(sources->variables, s->table[i].variables[0]);
        if (named)
            return named;
    }
    return access(DEFAULT_FILE, F_OK) == 0 ? DEFAULT_FILE : NULL;
}

enum dp_status settings_load(const struct settings *s, const struct config_sources *sources, char ***rest,
                             int *rest_count, struct span *file, struct dp_error *error)
{
    size_t places = (size_t)sources->argc + 1;
    const char **flags = mem_calloc(s->count, sizeof *flags);
    *rest = arena_calloc(s->arena, places, sizeof **rest);
    *rest_count = 0;
    enum dp_status status = DP_OK;
    if (!flags || !*rest) {
        status = dp_fail_nomem(error, "settings");
        goto out;
    }
    for (size_t i = 0; i < s->count && status == DP_OK; i++)
        if (s->table[i].initial)
            status = apply(s, &s->table[i], span_str(s->table[i].initial),
                           (struct config_origin){CONFIG_FROM_DEFAULT, "", 0}, error);
    if (status == DP_OK)
        status = scan_flags(s, sources, flags, *rest, rest_count, error);
    const char *path = status == DP_OK ? choose_file(s, sources, flags) : NULL;
    if (path) {
        *file = arena_copy(s->arena, span_str(path));
        status = file->data ? load_file(s, (const char *)file->data, error) : dp_fail_nomem(error, "settings");
    }
    if (status == DP_OK)
        status = load_environment(s, sources, error);
    for (size_t i = 0; i < s->count && status == DP_OK; i++)
        if (flags[i])
            status = apply(s, &s->table[i], span_str(flags[i]),
                           (struct config_origin){CONFIG_FROM_FLAG, s->table[i].flag, 0}, error);
out:
    mem_free(flags);
    return status;
}

bool settings_describe(const struct settings *s, size_t i, struct buffer *out)
{
    if (i >= s->count)
        return false;
    const struct config_origin *origin = &s->origins[i];
    buffer_printf(out, "%s = ", s->table[i].name);
    setting_print(&s->table[i], s->target, out);
    switch (origin->source) {
    case CONFIG_FROM_DEFAULT: buffer_append_str(out, " (default)"); break;
    case CONFIG_FROM_FILE: buffer_printf(out, " (%s, line %u)", origin->name, origin->line); break;
    case CONFIG_FROM_ENVIRONMENT: buffer_printf(out, " (environment %s)", origin->name); break;
    case CONFIG_FROM_FLAG: buffer_printf(out, " (%s)", origin->name); break;
    }
    return true;
}
