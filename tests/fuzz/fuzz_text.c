/* fuzz_text.c: the settings of a text, up to a NUL, and the text. Checked beyond memory safety: words lie behind each
 * other within the text, and no token is empty or longer than stemming and folding can make it. */
#include <assert.h>
#include <string.h>

#include "text/analyzer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct walk {
    size_t text_len;
    uint32_t end, position;
    bool any;
};

static bool check_token(void *ctx, const struct text_token *token)
{
    struct walk *w = ctx;
    assert(token->text.len > 0 && token->text.len <= 4 * TEXT_TOKEN_MAX + 8);
    assert(token->begin >= w->end && token->end > token->begin && token->end <= w->text_len);
    assert(!w->any || token->position > w->position);
    w->end = token->end;
    w->position = token->position;
    w->any = true;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text_settings settings;
    struct text_analyzer *a;
    struct dp_error error = {0};
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    if (!nul)
        return 0;
    struct span option = span_of(data, (size_t)(nul - data)), text = span_of(nul + 1, size - option.len - 1);
    if (text_settings_parse(option, &settings, &error) != DP_OK) {
        assert(error.message[0]);
        return 0;
    }
    struct walk walk = {.text_len = text.len};
    uint32_t position = 0;
    if (text_analyzer_new(&settings, &a, &error) != DP_OK)
        return 0;
    assert(text_analyze(a, text, &position, check_token, &walk, &error) == DP_OK);
    text_analyzer_free(a);
    return 0;
}
