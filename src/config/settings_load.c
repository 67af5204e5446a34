/* settings_load.c: takes values from the defaults, dipper.toml, the environment and the flags, in that order:
 * the last one wins. */
#include "config/settings.h"

#include <unistd.h>

#include "base/alloc.h"
#include "config/named_list.h"
#include "config/toml.h"
#include "os/file.h"

enum { FILE_MAX_BYTES = 1 << 20, SHOWN_MAX_BYTES = 1 << 20, QUOTED_MAX_BYTES = 100 };

static const char DEFAULT_FILE[] = "dipper.toml";

/* A value that a load refused. It is an error or a warning, unless another value overrides it. */
struct refusal {
    struct refusal *next;
    const struct setting *setting;
    unsigned order; /* number of values stored before it */
    bool is_warning;
    const char *text;
};

/* State of one load. */
struct settings_load {
    const struct settings *settings;
    const char *file;
    unsigned order; /* number of stored values */
    struct refusal *first, **last;
};

/* Returns true if both settings fill a common field. */
static bool shares_place(const struct setting *setting, const struct setting *other)
{
    return other->offset == setting->offset ||
           (setting->type == SETTING_LISTEN && other->offset == setting->port_offset) ||
           (other->type == SETTING_LISTEN && other->port_offset == setting->offset);
}

/* Records the origin of the setting's value, for all settings that share its field. */
static void set_origin(struct settings_load *load, const struct setting *setting, struct setting_origin origin)
{
    const struct settings *s = load->settings;
    origin.order = ++load->order;
    for (size_t i = 0; i < s->count; i++)
        if (shares_place(setting, &s->table[i]))
            s->origins[i] = origin;
}

/* Returns true if later values fill all fields of a refused value. */
static bool is_overridden(const struct settings *s, const struct refusal *r)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct setting *other = &s->table[i];
        bool is_its_place = r->setting->type == SETTING_LISTEN
                                ? other != r->setting && shares_place(r->setting, other)
                                : other == r->setting;
        if (is_its_place && s->origins[i].order <= r->order)
            return false;
    }
    return true;
}

static void print_origin(const struct setting_origin *origin, struct buffer *out)
{
    switch (origin->source) {
    case FROM_DEFAULT: buffer_append_str(out, "default"); break;
    case FROM_FILE: buffer_printf(out, "%s, line %u", origin->name, origin->line); break;
    case FROM_ENVIRONMENT: buffer_printf(out, "environment %s", origin->name); break;
    case FROM_FLAG: buffer_append_str(out, origin->name); break;
    }
}

/* Appends a value without its secrets, cut so that the message has room for the rest of the sentence. */
static void quote_value(const struct setting *setting, struct span text, struct buffer *out)
{
    struct buffer shown;
    buffer_init(&shown, SHOWN_MAX_BYTES);
    setting_mask(setting, text, &shown);
    size_t len = shown.len;
    if (len > QUOTED_MAX_BYTES)
        for (len = QUOTED_MAX_BYTES; len > 0 && (shown.data[len] & 0xc0) == 0x80;)
            len--;
    buffer_printf(out, "\"%.*s%s\"", SPAN_FMT(span_of(shown.data, len)), len < shown.len ? "…" : "");
    if (shown.status != DP_OK)
        out->status = shown.status;
    buffer_deinit(&shown);
}

/* Appends the sentence about a refused value. */
static void describe_refusal(const struct setting *setting, struct span text, const struct setting_origin *origin,
                             bool is_warning, struct buffer *out)
{
    char allowed[SETTING_ALLOWED_MAX];
    setting_allowed(setting, allowed);
    buffer_printf(out, is_warning ? "passed over for setting %s: " : "setting %s: ", setting->name);
    quote_value(setting, text, out);
    buffer_append_str(out, " (");
    print_origin(origin, out);
    if (!is_warning)
        buffer_printf(out, ") is not allowed: it takes %s", allowed);
    else if (setting_variable_is_of_kubernetes(origin->name, text))
        buffer_append_str(out,
                          "), which Kubernetes sets for a Service of this name; enableServiceLinks: false in the "
                          "pod's spec avoids it");
    else
        buffer_printf(out, ") seems to be another program's; Dipper's own variable is %s", setting->variables[0]);
}

/* Records a refused value. DP_NOMEM. */
static enum dp_status refuse_value(struct settings_load *load, const struct setting *setting, struct span text,
                                   struct setting_origin origin, bool is_warning, struct dp_error *error)
{
    struct arena *arena = load->settings->arena;
    struct refusal *r = arena_calloc(arena, 1, sizeof *r);
    struct buffer sentence;
    buffer_init(&sentence, SHOWN_MAX_BYTES);
    describe_refusal(setting, text, &origin, is_warning, &sentence);
    struct span kept = arena_copy(arena, buffer_span(&sentence));
    enum dp_status status = r && kept.data && sentence.status == DP_OK ? DP_OK : dp_fail_nomem(error, "settings");
    buffer_deinit(&sentence);
    if (status != DP_OK)
        return status;
    *r = (struct refusal){NULL, setting, load->order, is_warning, (const char *)kept.data};
    *load->last = r;
    load->last = &r->next;
    return DP_OK;
}

static enum dp_status apply_setting(struct settings_load *load, const struct setting *setting, struct span text,
                                    struct setting_origin origin, struct dp_error *error)
{
    const struct settings *s = load->settings;
    switch (setting_store(setting, s->target, text, s->arena)) {
    case DP_OK: set_origin(load, setting, origin); return DP_OK;
    case DP_NOMEM: return dp_fail_nomem(error, "settings");
    default: return refuse_value(load, setting, text, origin, false, error);
    }
}

/* Reports the refused values that nothing overrides: the first error, or all warnings. */
static enum dp_status judge_refusals(const struct settings_load *load, struct dp_error *error)
{
    const struct settings *s = load->settings;
    struct setting_warning **last = s->warnings;
    for (const struct refusal *r = load->first; r; r = r->next) {
        if (is_overridden(s, r))
            continue;
        if (!r->is_warning)
            return dp_fail(error, DP_INVALID, "%s", r->text);
        struct setting_warning *w = last ? arena_calloc(s->arena, 1, sizeof *w) : NULL;
        if (last && !w)
            return dp_fail_nomem(error, "settings");
        if (w) {
            w->text = r->text;
            *last = w;
            last = &w->next;
        }
    }
    return DP_OK;
}

/* ---- dipper.toml ------------------------------------------------------------------------------------ */

/* Returns true if the file's value has the right type. A quantity may be a number, or a string with a unit. */
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

static enum dp_status take_file_value(void *ctx, struct span key, const struct toml_value *value,
                                      struct dp_error *error)
{
    struct settings_load *load = ctx;
    const struct settings *s = load->settings;
    const struct setting_origin origin = {FROM_FILE, load->file, value->line, 0};
    for (size_t i = 0; i < s->count; i++) {
        const struct setting *setting = &s->table[i];
        if (setting->not_in_file || !span_equal_str(key, setting->name))
            continue;
        if (!type_fits(setting->type, value->type))
            return refuse_value(load, setting, value->text, origin, false, error);
        return apply_setting(load, setting, value->text, origin, error);
    }
    return dp_fail(error, DP_INVALID, "%s, line %u: there is no setting %.*s", load->file, value->line,
                   SPAN_FMT(key));
}

static enum dp_status load_file(struct settings_load *load, const char *path, struct dp_error *error)
{
    struct buffer text;
    load->file = path;
    buffer_init(&text, FILE_MAX_BYTES);
    enum dp_status status = os_read_file(path, &text, error);
    if (status == DP_OK) {
        const struct toml_sink sink = {take_file_value, load};
        status = toml_read(path, buffer_span(&text), load->settings->arena, &sink, error);
    }
    buffer_deinit(&text);
    return status;
}

/* ---- environment ------------------------------------------------------------------------------------ */

/* Returns the value of a variable, or NULL if it is unset or empty. */
static const char *find_variable(char *const *variables, const char *name)
{
    size_t len = strlen(name);
    for (; variables && *variables; variables++)
        if (strncmp(*variables, name, len) == 0 && (*variables)[len] == '=')
            return (*variables)[len + 1] ? *variables + len + 1 : NULL;
    return NULL;
}

/* Stores the value of the setting's first variable that is set and meant for Dipper. Records a warning for each
 * variable before it that is meant for another program. */
static enum dp_status load_variables(struct settings_load *load, const struct setting *setting,
                                     char *const *variables, struct dp_error *error)
{
    const struct settings *s = load->settings;
    for (size_t v = 0; v < SETTING_VARIABLES_MAX && setting->variables[v]; v++) {
        const char *name = setting->variables[v], *value = find_variable(variables, name);
        if (!value)
            continue;
        const struct setting_origin origin = {FROM_ENVIRONMENT, name, 0, 0};
        const struct span text = span_str(value);
        const bool shared = setting_variable_is_shared(name);
        bool pass_over = setting_variable_is_of_kubernetes(name, text) ||
                         (shared && setting->is_for_us && !setting->is_for_us(text));
        if (!pass_over) {
            switch (setting_store(setting, s->target, text, s->arena)) {
            case DP_OK: set_origin(load, setting, origin); return DP_OK;
            case DP_NOMEM: return dp_fail_nomem(error, "settings");
            default: pass_over = shared;
            }
        }
        enum dp_status status = refuse_value(load, setting, text, origin, pass_over, error);
        if (!pass_over || status != DP_OK)
            return status;
    }
    return DP_OK;
}

static enum dp_status load_environment(struct settings_load *load, const struct config_sources *sources,
                                       struct dp_error *error)
{
    const struct settings *s = load->settings;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->count && status == DP_OK; i++)
        if (!sources->groups || (setting_groups(s->table[i].section) & sources->groups))
            status = load_variables(load, &s->table[i], sources->environ, error);
    return status;
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

/* Appends the value of a repeated flag to the values before it. */
static enum dp_status add_value(const struct settings *s, const struct setting *setting, const char **values,
                                const char *value, struct dp_error *error)
{
    if (!named_list_has_name(span_str(value)) && named_list_has_name(span_str(*values)))
        return dp_fail(error, DP_INVALID, "%s %s follows %s %s, so it needs a name, too: %s NAME=%s",
                       setting->flag, value, setting->flag, *values, setting->flag, value);
    if (named_list_has_name(span_str(value)))
        value = arena_printf(s->arena, "%s,%s", *values, value);
    *values = value;
    return value ? DP_OK : dp_fail_nomem(error, "settings");
}

/* Fills values[i] with the value that the flags give setting i; of a repeated flag the last one counts, unless the
 * setting `adds`. */
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
        value = value ? value : sources->argv[i];
        const char **stored = &values[setting - s->table];
        if (!setting->adds || !*stored)
            *stored = value;
        else if (add_value(s, setting, stored, value, error) != DP_OK)
            return error->status;
    }
    return DP_OK;
}

/* ---- loading --------------------------------------------------------------------------------------- */

/* Returns the file to read, or NULL. A file that the user names must exist; the default one may be missing. */
static const char *choose_file(const struct settings *s, const struct config_sources *sources, const char **flags)
{
    if (sources->toml_path)
        return sources->toml_path;
    for (size_t i = 0; i < s->count; i++) {
        if (!s->table[i].flag || strcmp(s->table[i].flag, "--config") != 0)
            continue;
        const char *named = flags[i] ? flags[i] : find_variable(sources->environ, s->table[i].variables[0]);
        if (named)
            return named;
    }
    return access(DEFAULT_FILE, F_OK) == 0 ? DEFAULT_FILE : NULL;
}

static enum dp_status load_defaults(struct settings_load *load, struct dp_error *error)
{
    const struct settings *s = load->settings;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->count && status == DP_OK; i++) {
        s->origins[i] = (struct setting_origin){FROM_DEFAULT, "", 0, 0};
        if (s->table[i].initial)
            status = apply_setting(load, &s->table[i], span_str(s->table[i].initial), s->origins[i], error);
    }
    return status;
}

static enum dp_status load_flags(struct settings_load *load, const char **values, struct dp_error *error)
{
    const struct settings *s = load->settings;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < s->count && status == DP_OK; i++) {
        const struct setting_origin origin = {FROM_FLAG, s->table[i].flag, 0, 0};
        if (values[i])
            status = apply_setting(load, &s->table[i], span_str(values[i]), origin, error);
    }
    return status;
}

enum dp_status settings_load(const struct settings *s, const struct config_sources *sources,
                             struct dp_error *error)
{
    const char **flags = mem_calloc(s->count, sizeof *flags);
    if (!flags)
        return dp_fail_nomem(error, "settings");
    struct settings_load load = {.settings = s};
    load.last = &load.first;
    enum dp_status status = load_defaults(&load, error);
    if (status == DP_OK)
        status = scan_flags(s, sources, flags, error);
    const char *path = status == DP_OK ? choose_file(s, sources, flags) : NULL;
    if (path) {
        struct span kept = arena_copy(s->arena, span_str(path));
        status = kept.data ? load_file(&load, (const char *)kept.data, error) : dp_fail_nomem(error, "settings");
    }
    if (status == DP_OK)
        status = load_environment(&load, sources, error);
    if (status == DP_OK)
        status = load_flags(&load, flags, error);
    if (status == DP_OK)
        status = judge_refusals(&load, error);
    mem_free(flags);
    return status;
}

void settings_print_origin(const struct settings *s, size_t i, struct buffer *out)
{
    print_origin(&s->origins[i], out);
}

void settings_describe(const struct settings *s, size_t i, struct buffer *out)
{
    buffer_printf(out, "%s = ", s->table[i].name);
    setting_print(&s->table[i], s->target, out);
    buffer_append_str(out, " (");
    settings_print_origin(s, i, out);
    buffer_u8(out, ')');
}
