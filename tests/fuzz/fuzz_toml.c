/* fuzz_toml.c: any bytes as a settings file. The result is an error or values, never a crash. Values are texts
 * without a NUL. Every setting accepts or refuses each of them, and shows it with masked secrets. */
#include "config/settings.h"
#include "config/toml.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum dp_status take(void *ctx, struct span key, const struct toml_value *value, struct dp_error *error)
{
    struct config config = {0};
    (void)error;
    if (key.len == 0 || key.len > TOML_KEY_MAX_BYTES || memchr(value->text.data, '\0', value->text.len))
        abort();
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        enum dp_status status = setting_store(&SETTINGS[i], &config, value->text, ctx);
        if (status != DP_OK && status != DP_INVALID && status != DP_NOMEM)
            abort();
        struct buffer shown;
        buffer_init(&shown, 1 << 20);
        setting_mask(&SETTINGS[i], value->text, &shown);
        buffer_deinit(&shown);
    }
    return DP_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct dp_error error = {0};
    arena_init(&arena, 16 << 20);
    const struct toml_sink sink = {take, &arena};
    enum dp_status status = toml_read("fuzz.toml", span_of(data, size), &arena, &sink, &error);
    if (status != DP_OK && error.message[0] == '\0')
        abort();
    arena_deinit(&arena);
    return 0;
}
