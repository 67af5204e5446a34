/* config.c: the program's settings as one plain struct. */
#include "config/settings.h"

enum { ARENA_MAX_BYTES = 16 << 20 };

static struct settings settings_of(struct config *config)
{
    return (struct settings){SETTINGS, SETTING_COUNT, config, config->origins, &config->arena};
}

enum dp_status config_load(const struct config_sources *sources, struct config *out, struct dp_error *error)
{
    *out = (struct config){0};
    arena_init(&out->arena, ARENA_MAX_BYTES);
    const struct settings settings = settings_of(out);
    return settings_load(&settings, sources, &out->rest, &out->rest_count, &out->config_file, error);
}

void config_deinit(struct config *config)
{
    arena_deinit(&config->arena);
    *config = (struct config){0};
}

size_t config_setting_count(void)
{
    return SETTING_COUNT;
}

bool config_describe(const struct config *config, size_t i, unsigned groups, struct buffer *out)
{
    if (i >= SETTING_COUNT || !(SETTINGS[i].group & groups))
        return false;
    const struct settings settings = settings_of((struct config *)(uintptr_t)config);
    return settings_describe(&settings, i, out);
}

void config_print_effective(FILE *out, const struct config *config, unsigned groups)
{
    enum { LINE_MAX_BYTES = 16384 };
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        struct buffer line;
        buffer_init(&line, LINE_MAX_BYTES);
        if (config_describe(config, i, groups, &line))
            fprintf(out, "%.*s\n", SPAN_FMT(buffer_span(&line)));
        buffer_deinit(&line);
    }
}
