/* settings_load.c: gathers values from the defaults, dipper.toml, the environment and the flags, in that order,
 * so that the later wins.
 */
#include "config/settings.h"

#include <unistd.h>

#include "base/alloc.h"
#include "config/toml.h"
#include "os/file.h"

enum { FILE_MAX_BYTES = 1 << 20, SHOWN_MAX_BYTES = 1 << 20, QUOTED_MAX_BYTES = 100 };

static const char DEFAULT_FILE[] = "dipper.toml";

/* One load. */
struct load {
    const struct settings *settings;
    const char *file;
};

/* Records where the values at the setting's place came from; more than one setting may share a place. */
static void set_origin(const struct settings *s, const struct setting *setting, struct setting_origin origin)
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

static enum dp_status fail_value(const struct setting *setting, struct span text, struct setting_origin origin,
                                 struct dp_error *error)
{
    char allowed[SETTING_ALLOWED_MAX], from[SETTING_ALLOWED_MAX];
    setting_allowed(setting, allowed);
    if (origin.source == FROM_FILE)
        snprintf(from, sizeof from, "%s, line %u", origin.name, origin.line);
    else
        snprintf(from, sizeof from, "%s%s", origin.source == FROM_ENVIRONMENT ? "environment " : "", origin.name);
    struct buffer shown;
    buffer_init(&shown, SHOWN_MAX_BYTES);
    setting_mask(setting, text, &shown);
    /* What is allowed must fit into the message too. */
    size_t len = shown.len;
    if (len > QUOTED_MAX_BYTES)
        for (len = QUOTED_MAX_BYTES; len > 0 && (shown.data[len] & 0xc0) == 0x80;)
            len--;
    dp_fail(error, DP_INVALID, "setting %s: \"%.*s%s\" (%s) is not allowed: it takes %s", setting->name,
            SPAN_FMT(span_of(shown.data, len)), len < shown.len ? "…" : "", from, allowed);
    enum dp_status status = shown.status == DP_NOMEM ? dp_fail_nomem(error, "settings") : DP_INVALID;
    buffer_deinit(&shown);
    return status;
}

static enum dp_status apply(const struct settings *s, const struct setting *setting, struct span text,
                            struct setting_origin origin, struct dp_error *error)
{
    switch (setting_store(setting, s->target, text, s->arena)) {
    case DP_OK: set_origin(s, setting, origin); return DP_OK;
    case DP_NOMEM: return dp_fail_nomem(error, "settings");
    default: return fail_value(setting, text, origin, error);
    }
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
    const struct load *load = ctx;
    const struct settings *s = load->settings;
    const struct setting_origin origin = {FROM_FILE, load->file, value->line};
    for (size_t i = 0; i < s->count; i++) {
        const struct setting *setting = &s->table[i];
        if (setting->not_in_file || !span_equal_str(key, setting->name))
            continue;
        if (!type_fits(setting->type, value->type))
            return fail_value(setting, value->text, origin, error);
        return apply(s, setting, value->text, origin, error);
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
        if (sources->groups && !(setting_groups(setting->section) & sources->groups))
            continue;
        for (size_t v = 0; v < SETTING_VARIABLES_MAX && setting->variables[v]; v++) {
            const char *value = variable(sources->environ, setting->variables[v]);
            if (!value)
                continue;
            const struct setting_origin origin = {FROM_ENVIRONMENT, setting->variables[v], 0};
            enum dp_status status = apply(s, setting, span_str(value), origin, error);
            if (status != DP_OK)
                return status;
            break;
        }
    }
    return DP_OK;
}

/* ---- flags ------------------------------------------------------------------------------------------ */

const struct setting *settings_find_flag(const struct settings *s, const char *argument, const char **value)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct setting *setting = &s->table[i];
        bool boolean = setting->type == SETTING_BOOLEAN;
        if (!setting->flag)
            continue;
        size_t len = strlen(setting->flag);
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

/* Fills values[setting] with what the flags say; of a flag that comes twice, the last counts. */
static enum dp_status scan_flags(const struct settings *s, const struct config_sources *sources,
                                 const char **values, struct dp_error *error)
{
    for (int i = 0; i < sources->argc; i++) {
        const char *argument = sources->argv[i], *value = NULL;
        const struct setting *setting = settings_find_flag(s, argument, &value);
        if (!setting)
            return dp_fail(error, DP_INVALID, "there is no option %.*s", (int)strcspn(argument, "="), argument);
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
        if (!s->table[i].flag || strcmp(s->table[i].flag, "--config") != 0)
            continue;
        const char *named = flags[i] ? flags[i] : variable(sources->environ, s->table[i].variables[0]);
        if (named)
            return named;
    }
    return access(DEFAULT_FILE, F_OK) == 0 ? DEFAULT_FILE : NULL;
}

static enum dp_status load_defaults(const struct settings *s, struct dp_error *error)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->count && status == DP_OK; i++) {
        s->origins[i] = (struct setting_origin){FROM_DEFAULT, "", 0};
        if (s->table[i].initial)
            status = apply(s, &s->table[i], span_str(s->table[i].initial), s->origins[i], error);
    }
    return status;
}

static enum dp_status load_flags(const struct settings *s, const char **values, struct dp_error *error)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->count && status == DP_OK; i++) {
        const struct setting_origin origin = {FROM_FLAG, s->table[i].flag, 0};
        if (values[i])
            status = apply(s, &s->table[i], span_str(values[i]), origin, error);
    }
    return status;
}

enum dp_status settings_load(const struct settings *s, const struct config_sources *sources,
                             struct dp_error *error)
{
    const char **flags = mem_calloc(s->count, sizeof *flags);
    if (!flags)
        return dp_fail_nomem(error, "settings");
    enum dp_status status = load_defaults(s, error);
    if (status == DP_OK)
        status = scan_flags(s, sources, flags, error);
    const char *path = status == DP_OK ? choose_file(s, sources, flags) : NULL;
    if (path) {
        struct span kept = arena_copy(s->arena, span_str(path));
        status = kept.data ? load_file(s, (const char *)kept.data, error) : dp_fail_nomem(error, "settings");
    }
    if (status == DP_OK)
        status = load_environment(s, sources, error);
    if (status == DP_OK)
        status = load_flags(s, flags, error);
    mem_free(flags);
    return status;
}

void settings_print_origin(const struct settings *s, size_t i, struct buffer *out)
{
    const struct setting_origin *origin = &s->origins[i];
    switch (origin->source) {
    case FROM_DEFAULT: buffer_append_str(out, "default"); break;
    case FROM_FILE: buffer_printf(out, "%s, line %u", origin->name, origin->line); break;
    case FROM_ENVIRONMENT: buffer_printf(out, "environment %s", origin->name); break;
    case FROM_FLAG: buffer_append_str(out, origin->name); break;
    }
}

void settings_describe(const struct settings *s, size_t i, struct buffer *out)
{
    buffer_printf(out, "%s = ", s->table[i].name);
    setting_print(&s->table[i], s->target, out);
    buffer_append_str(out, " (");
    settings_print_origin(s, i, out);
    buffer_u8(out, ')');
}
