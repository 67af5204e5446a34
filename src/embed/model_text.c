/* model_text.c: turns a text into tokens, with the prompt for its kind before it. */
#include "embed/model_impl.h"

#include <string.h>

#include "base/hex.h"

enum { PROMPT_ARENA_MAX = 1 << 22 };

/* ---- prompts --------------------------------------------------------------------------------------------- */

/* Counts the tokens of each prompt, together with the special tokens before a text. Like sentence-transformers, it
 * counts the prompt alone, although a text after the prompt may change the tokens of the prompt's last word. */
static enum dp_status count_tokens(const struct model *model, const struct prompts *prompts,
                                   size_t counts[TEXT_KINDS], struct dp_error *error)
{
    struct arena arena;
    struct tokens empty, tokens;
    size_t room = model->info.max_tokens;
    arena_init(&arena, PROMPT_ARENA_MAX);
    enum dp_status status = tokenizer_encode(model->tokenizer, span_str(""), 0, &arena, &empty, error);
    for (size_t i = 0; i < TEXT_KINDS && status == DP_OK; i++) {
        counts[i] = 0;
        if (prompts->of[i].len == 0)
            continue;
        status = tokenizer_encode(model->tokenizer, prompts->of[i], 0, &arena, &tokens, error);
        if (status == DP_OK && tokens.count >= room)
            status =
                dp_fail(error, DP_INVALID, "a prompt of %zu tokens leaves no room for a text: the model takes %zu",
                        tokens.count, room);
        if (status == DP_OK)
            counts[i] = tokens.count - tokenizer_special_after(model->tokenizer);
    }
    arena_deinit(&arena);
    return status;
}

enum dp_status model_take_prompts(struct model *model, const struct prompts *prompts, struct dp_error *error)
{
    struct prompts copy;
    uint8_t fingerprint[32];
    size_t counts[TEXT_KINDS] = {0};
    enum dp_status status = prompts_copy(prompts, &copy, error);
    if (status != DP_OK)
        return status;
    status = count_tokens(model, &copy, counts, error);
    if (status != DP_OK) {
        prompts_free(&copy);
        return status;
    }
    prompts_free(&model->prompts);
    model->prompts = copy;
    memcpy(model->prompt_tokens, counts, sizeof counts);
    prompts_fingerprint(&copy, model->own_fingerprint, fingerprint);
    hex_encode(span_of(fingerprint, 32), model->fingerprint);
    return DP_OK;
}

enum dp_status model_set_prompts(struct model *model, const struct span of[TEXT_KINDS], struct dp_error *error)
{
    struct prompts changed = model->prompts;
    for (size_t i = 0; i < TEXT_KINDS; i++)
        if (of[i].data)
            changed.of[i] = of[i];
    return model_take_prompts(model, &changed, error);
}

const struct prompts *model_prompts(const struct model *model)
{
    return &model->prompts;
}

size_t model_prompt_tokens_max(const struct model *model)
{
    size_t most = 0;
    for (size_t i = 0; i < TEXT_KINDS; i++)
        most = model->prompt_tokens[i] > most ? model->prompt_tokens[i] : most;
    return most > 0 ? most + tokenizer_special_after(model->tokenizer) : 0;
}

/* ---- texts ----------------------------------------------------------------------------------------------- */

/* Returns the prompt and then the text, in the arena. .data is NULL if memory runs out. */
static struct span join_prompt(struct span prompt, struct span text, struct arena *arena)
{
    uint8_t *joined = arena_array(arena, prompt.len + text.len, 1);
    if (!joined)
        return span_of(NULL, 0);
    memcpy(joined, prompt.data, prompt.len);
    if (text.len > 0)
        memcpy(joined + prompt.len, text.data, text.len);
    return span_of(joined, prompt.len + text.len);
}

/* Returns how many of a text's `count` tokens pooling leaves out. At least one token stays. */
static size_t skip_of(const struct model *model, enum text_kind kind, size_t count)
{
    size_t skip = model->prompts.are_skipped ? model->prompt_tokens[kind] : 0;
    return skip < count ? skip : count > 0 ? count - 1 : 0;
}

enum dp_status model_encode(const struct model *model, enum text_kind kind, struct span text, size_t max_tokens,
                            struct arena *arena, struct tokens *out, struct dp_error *error)
{
    struct span prompt = model->prompts.of[kind];
    if (prompt.len == 0)
        return tokenizer_encode(model->tokenizer, text, max_tokens, arena, out, error);
    struct span joined = join_prompt(prompt, text, arena);
    if (!joined.data)
        return dp_fail_nomem(error, "a text");
    enum dp_status status = tokenizer_encode(model->tokenizer, joined, max_tokens, arena, out, error);
    if (status == DP_OK)
        out->skip = skip_of(model, kind, out->count);
    return status;
}

/* Puts a prompt's tokens before the text of a window: [CLS] prompt text [SEP]. Returns false if memory runs out. */
static bool prepend_prompt(const struct tokens *prompt, size_t before, size_t after, struct arena *arena,
                           struct tokens *window)
{
    size_t added = prompt->count - before - after;
    int32_t *ids = arena_array(arena, window->count + added, sizeof *ids);
    if (!ids)
        return false;
    memcpy(ids, prompt->ids, (before + added) * sizeof *ids);
    memcpy(ids + before + added, window->ids + before, (window->count - before) * sizeof *ids);
    window->ids = ids;
    window->count += added;
    window->total += added;
    return true;
}

enum dp_status model_windows(const struct model *model, enum text_kind kind, struct span text, size_t max_tokens,
                             size_t overlap, struct arena *arena, struct tokens **windows, size_t *count,
                             struct dp_error *error)
{
    const struct tokenizer *t = model->tokenizer;
    struct span prompt = model->prompts.of[kind];
    struct tokens whole, prompt_tokens;
    size_t after = tokenizer_special_after(t), before = tokenizer_special_count(t) - after;
    if (prompt.len == 0)
        return tokenizer_windows(t, text, max_tokens, overlap, arena, windows, count, error);
    enum dp_status status = model_encode(model, kind, text, max_tokens, arena, &whole, error);
    if (status == DP_OK && !whole.truncated) {
        *count = 1;
        *windows = arena_array(arena, 1, sizeof **windows);
        if (!*windows)
            return dp_fail_nomem(error, "the windows of a text");
        **windows = whole;
        return DP_OK;
    }
    if (status == DP_OK)
        status = tokenizer_encode(t, prompt, 0, arena, &prompt_tokens, error);
    if (status != DP_OK)
        return status;
    size_t taken = prompt_tokens.count - before - after;
    if (max_tokens <= taken || overlap + before + after >= max_tokens - taken)
        overlap = 0;
    status = tokenizer_windows(t, text, max_tokens - taken, overlap, arena, windows, count, error);
    for (size_t i = 0; i < *count && status == DP_OK; i++) {
        struct tokens *window = &(*windows)[i];
        if (!prepend_prompt(&prompt_tokens, before, after, arena, window))
            status = dp_fail_nomem(error, "the windows of a text");
        else
            window->skip = skip_of(model, kind, window->count);
    }
    return status;
}
