/* config.c: loads the program's settings, and prints them. */
#include "base/alloc.h"
#include "base/json.h"
#include "base/likely_name.h"
#include "config/settings.h"

enum { ARENA_MAX_BYTES = 16 << 20, JSON_MAX_BYTES = 16 << 20, LINE_MAX_BYTES = 16384 };

/* The private part of a loaded config: the memory of its texts, its warnings, and the origin of each value. */
struct config_state {
    struct arena arena;
    struct setting_warning *warnings;
    struct setting_origin origins[]; /* [SETTING_COUNT] */
};

static struct settings settings_of(struct config *config)
{
    struct config_state *state = config->state;
    return (struct settings){SETTINGS,
                             SETTING_COUNT,
                             config,
                             state ? state->origins : NULL,
                             state ? &state->arena : NULL,
                             state ? &state->warnings : NULL};
}

enum dp_status config_load(const struct config_sources *sources, struct config *out, struct dp_error *error)
{
    *out = (struct config){0};
    out->state = mem_calloc(1, sizeof *out->state + SETTING_COUNT * sizeof *out->state->origins);
    if (!out->state)
        return dp_fail_nomem(error, "settings");
    arena_init(&out->state->arena, ARENA_MAX_BYTES);
    const struct settings settings = settings_of(out);
    return settings_load(&settings, sources, error);
}

void config_each_warning(const struct config *config, void (*tell)(const char *text))
{
    for (const struct setting_warning *w = config->state ? config->state->warnings : NULL; w; w = w->next)
        tell(w->text);
}

void config_deinit(struct config *config)
{
    if (config->state)
        arena_deinit(&config->state->arena);
    mem_free(config->state);
    *config = (struct config){0};
}

const char *config_origin(const struct config *config, const char *setting)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (config->state && strcmp(SETTINGS[i].name, setting) == 0)
            return config->state->origins[i].name;
    return "";
}

bool config_flag_takes_value(const char *flag)
{
    struct config none = {0};
    const char *value = "";
    const struct settings settings = settings_of(&none);
    return settings_find_flag(&settings, flag, &value) && !value;
}

bool config_has_flag(const char *flag, struct likely_name *likely)
{
    struct config none = {0};
    const char *value = "";
    const struct settings settings = settings_of(&none);
    if (settings_find_flag(&settings, flag, &value))
        return true;
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (SETTINGS[i].flag)
            likely_name_offer(likely, SETTINGS[i].flag);
    return false;
}

void config_print_effective(FILE *out, const struct config *config)
{
    struct config shown = *config;
    const struct settings settings = settings_of(&shown);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        struct buffer line;
        buffer_init(&line, LINE_MAX_BYTES);
        settings_describe(&settings, i, &line);
        fprintf(out, "%.*s\n", SPAN_FMT(buffer_span(&line)));
        buffer_deinit(&line);
    }
}

static void write_list(struct json_writer *w, const char *key, const char *const *list, size_t max)
{
    json_field_array(w, key);
    for (size_t i = 0; i < max && list && list[i]; i++)
        json_string_str(w, list[i]);
    json_end_array(w);
}

/* Writes a setting's fields from the table; the caller adds its value and origin. */
static void write_setting(struct json_writer *w, const struct setting *s)
{
    static const char *const types[] = {"text", "integer", "boolean", "bytes", "duration", "choice", "listen"};
    char allowed[SETTING_ALLOWED_MAX];
    setting_allowed(s, allowed);
    json_field_str(w, "name", s->name);
    json_field_str(w, "flag", s->flag);
    write_list(w, "variables", s->variables, SETTING_VARIABLES_MAX);
    json_field_bool(w, "in_file", !s->not_in_file);
    json_field_str(w, "type", types[s->type]);
    json_field_u64(w, "min", s->min);
    json_field_u64(w, "max", s->max);
    write_list(w, "choices", s->choices, SIZE_MAX);
    json_field_str(w, "default", s->initial ? s->initial : s->initial_help);
    json_field_str(w, "allowed", allowed);
    json_field_bool(w, "secret", s->secret);
    json_field_bool(w, "secret_in_url", s->secret_in_url);
}

enum dp_status config_print_json(FILE *out, const struct config *config, struct dp_error *error)
{
    struct config shown = *config;
    const struct settings settings = settings_of(&shown);
    struct buffer all, text;
    struct json_writer w;
    buffer_init(&all, JSON_MAX_BYTES);
    buffer_init(&text, LINE_MAX_BYTES);
    json_writer_init(&w, &all);
    json_begin_array(&w);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        json_begin_object(&w);
        write_setting(&w, &SETTINGS[i]);
        buffer_clear(&text);
        setting_print(&SETTINGS[i], &shown, &text);
        json_field_span(&w, "value", buffer_span(&text));
        buffer_clear(&text);
        settings_print_origin(&settings, i, &text);
        json_field_span(&w, "origin", buffer_span(&text));
        json_end_object(&w);
    }
    json_end_array(&w);
    enum dp_status status = buffer_check(&all, "the settings", error);
    if (status == DP_OK)
        status = buffer_check(&text, "the settings", error);
    if (status == DP_OK)
        fprintf(out, "%.*s\n", SPAN_FMT(buffer_span(&all)));
    buffer_deinit(&text);
    buffer_deinit(&all);
    return status;
}
