/* config.c: the program's settings as one plain struct. */
#include "base/alloc.h"
#include "config/settings.h"

enum { ARENA_MAX_BYTES = 16 << 20, LINE_MAX_BYTES = 16384 };

/* What config.h hides: the memory of texts, and where each value came from. */
struct config_state {
    struct arena arena;
    struct setting_origin origins[]; /* one a setting */
};

static struct settings settings_of(struct config *config)
{
    struct config_state *state = config->state;
    return (struct settings){SETTINGS, SETTING_COUNT, config, state ? state->origins : NULL,
                             state ? &state->arena : NULL};
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

void config_deinit(struct config *config)
{
    if (config->state)
        arena_deinit(&config->state->arena);
    mem_free(config->state);
    *config = (struct config){0};
}

bool config_flag_takes_value(const char *flag)
{
    struct config none = {0};
    const char *value = "";
    const struct settings settings = settings_of(&none);
    return settings_find_flag(&settings, flag, &value) && !value;
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
