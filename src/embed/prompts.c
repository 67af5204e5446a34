/* prompts.c: reads a model's prompts from its folder and its packed form, and mixes them into its fingerprint. */
#include "embed/prompts.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "embed/folder/settings_json.h"

enum { NAMES_MAX = 256 };

struct named_prompt {
    struct span name, text;
};

/* The file's object "prompts". */
struct prompt_names {
    struct named_prompt *items;
    size_t count;
};

static void read_names(struct json_reader *r, struct arena *arena, struct prompt_names *out)
{
    struct span name;
    out->items = arena_array(arena, NAMES_MAX, sizeof *out->items);
    if (!out->items) {
        json_reject(r, DP_NOMEM, "prompts");
        return;
    }
    json_enter_object(r);
    while (json_next_key(r, arena, &name)) {
        struct named_prompt *item = &out->items[out->count];
        if (out->count == NAMES_MAX) {
            json_reject(r, DP_TOO_LARGE, "there are more than %d prompts", NAMES_MAX);
            return;
        }
        *item = (struct named_prompt){.name = name, .text = span_of(NULL, 0)};
        if (json_peek(r) == JSON_NULL ? json_skip(r) : json_read_string(r, arena, &item->text))
            out->count++;
    }
}

/* Returns the prompt with the name `name`, or NULL. If the file gives a name twice, the last one counts. */
static const struct span *find_prompt(const struct prompt_names *names, struct span name)
{
    for (size_t i = names->count; i > 0; i--)
        if (span_equal(names->items[i - 1].name, name))
            return &names->items[i - 1].text;
    return NULL;
}

static void choose_document(const struct prompt_names *names, struct prompts *out)
{
    static const char *const candidates[] = {"document", "passage", "corpus"};
    for (size_t i = 0; i < 3 && out->of[TEXT_DOCUMENT].len == 0; i++) {
        const struct span *found = find_prompt(names, span_str(candidates[i]));
        out->of[TEXT_DOCUMENT] = found ? *found : span_of(NULL, 0);
    }
}

/* Sets the prompt of plain texts to the one that default_prompt_name names. "query" and "document" are valid names
 * even in a model that has no prompt for them. */
static void choose_plain(struct json_reader *r, const struct prompt_names *names, struct span name,
                         struct prompts *out)
{
    const struct span *found = find_prompt(names, name);
    if (found)
        out->of[TEXT_PLAIN] = *found;
    else if (!span_equal_str(name, "query") && !span_equal_str(name, "document"))
        json_reject(r, DP_INVALID, "default_prompt_name \"%.*s\" is not among the prompts", SPAN_FMT(name));
}

enum dp_status prompts_parse(struct span json, struct arena *arena, struct prompts *out, struct dp_error *error)
{
    struct json_reader r;
    struct prompt_names names = {.count = 0};
    struct span key, usual = span_of(NULL, 0), value;
    for (size_t i = 0; i < TEXT_KINDS; i++)
        out->of[i] = span_of(NULL, 0);
    json_reader_init(&r, json);
    json_enter_object(&r);
    while (json_next_key(&r, arena, &key)) {
        bool is_null = json_peek(&r) == JSON_NULL;
        if (span_equal_str(key, "prompts") && !is_null)
            read_names(&r, arena, &names);
        else if (span_equal_str(key, "default_prompt_name") && !is_null)
            json_read_string(&r, arena, &usual);
        else if (span_equal_str(key, "model_type") && !is_null)
            settings_expect(&r, arena, key, "SentenceTransformer");
        else if (span_equal_str(key, "truncate_dim") && !is_null)
            json_reject(&r, DP_UNSUPPORTED, "truncate_dim is not supported: ask for so many dimensions instead");
        else
            json_read_raw(&r, &value);
    }
    if (!json_failed(&r))
        json_end(&r);
    const struct span *query = find_prompt(&names, span_str("query"));
    out->of[TEXT_QUERY] = query ? *query : span_of(NULL, 0);
    choose_document(&names, out);
    if (!json_failed(&r) && usual.len > 0)
        choose_plain(&r, &names, usual, out);
    return json_failed(&r) ? settings_fail(&r, "config_sentence_transformers.json", error) : DP_OK;
}

enum dp_status prompts_copy(const struct prompts *from, struct prompts *out, struct dp_error *error)
{
    size_t bytes = 0;
    struct prompts made = {.are_skipped = from->are_skipped};
    for (size_t i = 0; i < TEXT_KINDS; i++) {
        if (from->of[i].len > PROMPT_MAX)
            return dp_fail(error, DP_TOO_LARGE, "a prompt of %zu bytes is too long; the longest has %d",
                           from->of[i].len, PROMPT_MAX);
        bytes += from->of[i].len;
    }
    uint8_t *to = mem_alloc(bytes > 0 ? bytes : 1);
    if (!to)
        return dp_fail_nomem(error, "a model's prompts");
    made.owned = to;
    for (size_t i = 0; i < TEXT_KINDS; i++) {
        if (from->of[i].len > 0)
            memcpy(to, from->of[i].data, from->of[i].len);
        made.of[i] = span_of(to, from->of[i].len);
        to += from->of[i].len;
    }
    *out = made;
    return DP_OK;
}

void prompts_free(struct prompts *prompts)
{
    mem_free(prompts->owned);
    *prompts = (struct prompts){.owned = NULL};
}

void prompts_write(const struct prompts *prompts, struct buffer *out)
{
    buffer_u32(out, prompts->are_skipped);
    for (size_t i = 0; i < TEXT_KINDS; i++) {
        buffer_u32(out, (uint32_t)prompts->of[i].len);
        buffer_append(out, prompts->of[i]);
    }
}

enum dp_status prompts_read(struct span packed, struct prompts *out, struct dp_error *error)
{
    struct cursor c = cursor_over(packed);
    uint32_t skipped = cursor_u32(&c);
    bool fits = skipped <= 1;
    *out = (struct prompts){.are_skipped = skipped == 1};
    for (size_t i = 0; i < TEXT_KINDS; i++) {
        uint32_t len = cursor_u32(&c);
        fits = fits && len <= PROMPT_MAX;
        out->of[i] = cursor_bytes(&c, len);
    }
    if (c.failed || c.rest.len > 0 || !fits)
        return dp_fail(error, DP_CORRUPT, "the packed model's prompts are damaged");
    return DP_OK;
}

void prompts_fingerprint(const struct prompts *prompts, const uint8_t model[32], uint8_t out[32])
{
    static const enum text_kind kept[] = {TEXT_PLAIN, TEXT_DOCUMENT};
    struct sha256_state s;
    if (prompts->of[TEXT_PLAIN].len == 0 && prompts->of[TEXT_DOCUMENT].len == 0) {
        memcpy(out, model, 32);
        return;
    }
    sha256_begin(&s);
    sha256_update(&s, span_str(prompts->are_skipped ? "prompts, not pooled" : "prompts, pooled"));
    sha256_update(&s, span_of(model, 32));
    for (size_t i = 0; i < 2; i++) {
        struct span text = prompts->of[kept[i]];
        const uint8_t len[2] = {(uint8_t)text.len, (uint8_t)(text.len >> 8)};
        sha256_update(&s, span_of(len, sizeof len));
        sha256_update(&s, text);
    }
    sha256_end(&s, out);
}
