/* row_text.c: cuts the texts of one attribute in one document into tokens. */
#include "index/row_text.h"

#include "base/checksum.h"
#include "base/json.h"
#include "filter/document.h"
#include "index/schema_options.h"

/* The factor of the name's hash, so that a name and settings with equal hashes do not cancel out. */
#define NAME_FACTOR UINT64_C(0x9e3779b97f4a7c15)

enum dp_status row_text_settings(const struct attribute *attribute, struct text_settings *out, bool *found,
                                 struct dp_error *error)
{
    struct span option;
    *found = !attribute->dropped && schema_option(attribute, "full_text_search", &option);
    return *found ? text_settings_parse(option, out, error) : DP_OK;
}

uint64_t row_text_column(const struct attribute *attribute, const struct text_settings *settings)
{
    return text_settings_hash(settings) ^ checksum64(attribute->name) * NAME_FACTOR;
}

/* The tokens of one value. */
struct row_text {
    struct text_analyzer *analyzer;
    const struct attribute *attribute;
    struct arena *scratch;
    text_token_fn *fn;
    void *ctx;
    bool ended; /* fn has returned false */
};

/* For text_analyze: passes a token on. */
static bool pass_token(void *ctx, const struct text_token *token)
{
    struct row_text *text = ctx;
    text->ended = !text->fn(text->ctx, token);
    return !text->ended;
}

/* Analyses one JSON string. */
static enum dp_status analyze_string(struct row_text *text, struct span json, uint32_t *position,
                                     struct dp_error *error)
{
    struct json_reader r;
    struct span characters;
    json_reader_init(&r, json);
    if (!json_read_string(&r, text->scratch, &characters))
        return json_error(&r, error) == DP_NOMEM
                   ? DP_NOMEM
                   : dp_fail(error, DP_CORRUPT, "the value of attribute \"%.*s\" in a row is no text",
                             SPAN_FMT(text->attribute->name));
    return text_analyze(text->analyzer, characters, position, pass_token, text, error);
}

enum dp_status row_text_tokens(struct text_analyzer *analyzer, const struct attribute *attribute,
                               struct span document, struct arena *scratch, text_token_fn *fn, void *ctx,
                               struct dp_error *error)
{
    struct row_text text = {analyzer, attribute, scratch, fn, ctx, false};
    struct span value, item;
    uint32_t position = 0;
    enum dp_status status = DP_OK;
    if (!document_find(document, attribute->name, &value) || span_equal_str(value, "null"))
        return DP_OK;
    arena_reset(scratch);
    if (!attribute_is_array(attribute->type))
        return analyze_string(&text, value, &position, error);
    struct document_walk walk = document_begin(value);
    while (status == DP_OK && !text.ended && document_next_item(&walk, &item)) {
        status = analyze_string(&text, item, &position, error);
        position++;
    }
    return status;
}
