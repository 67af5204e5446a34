/* filter/text_condition.c: reads the operands of operators over texts, and gives them the texts. */
#include "filter/text_condition.h"

#include "base/array.h"
#include "filter/filter.h"
#include "filter/fuzzy.h"
#include "filter/pattern.h"
#include "filter/scalar.h"
#include "filter/tokens.h"

struct text_condition {
    enum text_condition_kind kind;
    struct pattern *pattern; /* of globs and regular expressions */
    struct fuzzy *fuzzy;
    struct token_query *tokens;
};

/* ---- reading ------------------------------------------------------------------------------------------- */

/* What the functions share. */
struct condition_reader {
    struct json_reader *r;
    struct arena *arena;
    const struct text_condition_place *place;
    struct text_condition *condition;
    struct span *texts; /* [count]: the operand */
    size_t count, bytes;
    struct dp_error *error;
};

static enum dp_status fail_text(struct condition_reader *c)
{
    enum dp_status status = json_error(c->r, c->error);
    dp_error_prefix(c->error, "a filter");
    return status;
}

static enum dp_status fail_type(struct condition_reader *c, const char *wanted)
{
    return dp_fail(c->error, DP_INVALID, "attribute \"%.*s\": %s takes %s, not %s", SPAN_FMT(c->place->attribute),
                   c->place->operator, wanted, json_type_name(json_peek(c->r)));
}

/* Reads one text of the operand. */
static enum dp_status read_text(struct condition_reader *c, size_t *room)
{
    struct span *texts = arena_reserve(c->arena, c->texts, c->count, room, sizeof *texts, 1);
    if (!texts)
        return dp_fail_nomem(c->error, "a filter");
    c->texts = texts;
    if (!json_read_string(c->r, c->arena, &texts[c->count]))
        return fail_text(c);
    c->bytes += texts[c->count++].len;
    if (c->bytes > FILTER_TEXT_MAX)
        return dp_fail(c->error, DP_INVALID, "attribute \"%.*s\": %s takes at most %d bytes, not %zu",
                       SPAN_FMT(c->place->attribute), c->place->operator, FILTER_TEXT_MAX, c->bytes);
    return DP_OK;
}

/* Reads a string; `array`: or an array of strings; `string`: false if only an array will do. */
static enum dp_status read_texts(struct condition_reader *c, bool string, bool array)
{
    const enum json_type type = json_peek(c->r);
    const char *wanted = !array ? "a string" : string ? "a string or an array of strings" : "an array of strings";
    enum dp_status status = DP_OK;
    size_t room = 0;
    if (type == JSON_NOTHING || (type == JSON_STRING && string))
        return read_text(c, &room);
    if (type != JSON_ARRAY || !array)
        return fail_type(c, wanted);
    if (!json_enter_array(c->r))
        return fail_text(c);
    while (status == DP_OK && json_next_item(c->r)) {
        if (c->count == FILTER_LIST_MAX)
            return dp_fail(c->error, DP_INVALID, "attribute \"%.*s\": a list of a filter has at most %d values",
                           SPAN_FMT(c->place->attribute), FILTER_LIST_MAX);
        status = read_text(c, &room);
    }
    return status == DP_OK && json_failed(c->r) ? fail_text(c) : status;
}

/* Reads {"last_as_prefix": bool}. */
static enum dp_status read_token_options(struct condition_reader *c, bool *prefix)
{
    struct span key;
    if (!json_enter_object(c->r))
        return json_error(c->r, c->error);
    while (json_next_key(c->r, c->arena, &key)) {
        if (!span_equal_str(key, "last_as_prefix"))
            return dp_fail(c->error, DP_INVALID, "there is no option \"%.*s\"", SPAN_FMT(key));
        if (!json_read_bool(c->r, prefix))
            return json_error(c->r, c->error);
    }
    return json_failed(c->r) ? json_error(c->r, c->error) : DP_OK;
}

/* `more`: options follow. */
static enum dp_status read_tokens(struct condition_reader *c, const struct text_settings *settings, bool more)
{
    const enum text_condition_kind kind = c->place->kind;
    struct tokens_request request = {.settings = settings, .texts = c->texts, .count = c->count};
    request.rule = kind == TEXT_ALL_TOKENS ? TOKENS_ALL : kind == TEXT_ANY_TOKEN ? TOKENS_ANY : TOKENS_SEQUENCE;
    enum dp_status status = more ? read_token_options(c, &request.last_as_prefix) : DP_OK;
    return status == DP_OK ? tokens_parse(c->arena, &request, &c->condition->tokens, c->error) : status;
}

/* Reads what follows the operand. `settings`: for tokens. */
static enum dp_status read_rest(struct condition_reader *c, const struct text_settings *settings)
{
    const enum text_condition_kind kind = c->place->kind;
    struct text_condition *condition = c->condition;
    bool more = json_next_item(c->r);
    enum dp_status status;
    if (json_failed(c->r))
        return json_error(c->r, c->error);
    if (kind == TEXT_FUZZY && !more)
        return dp_fail(c->error, DP_INVALID, "max_edit_distance is missing");
    if (kind >= TEXT_ALL_TOKENS)
        status = read_tokens(c, settings, more);
    else if (kind == TEXT_FUZZY)
        status = fuzzy_parse(c->arena, c->texts[0], c->r, &condition->fuzzy, c->error);
    else if (kind == TEXT_REGEX)
        status = regex_parse(c->arena, c->texts[0], &condition->pattern, c->error);
    else
        status = glob_parse(c->arena, c->texts[0], kind == TEXT_GLOB_WITHOUT_CASE, &condition->pattern, c->error);
    if (status == DP_OK && more && kind >= TEXT_FUZZY)
        more = json_next_item(c->r);
    if (status == DP_OK && json_failed(c->r))
        return json_error(c->r, c->error);
    return status == DP_OK && more ? dp_fail(c->error, DP_INVALID, "too many elements") : status;
}

enum dp_status text_condition_read(struct json_reader *r, struct arena *arena,
                                   const struct text_condition_place *place, struct text_condition **out,
                                   struct dp_error *error)
{
    struct condition_reader c = {.r = r, .arena = arena, .place = place, .error = error};
    const bool of_tokens = place->kind >= TEXT_ALL_TOKENS;
    const struct span option = place->full_text_search.len ? place->full_text_search : span_str("true");
    struct text_settings settings = {.tokenizer = TEXT_WORD_V4};
    *out = c.condition = arena_calloc(arena, 1, sizeof *c.condition);
    if (!c.condition)
        return dp_fail_nomem(error, "a filter");
    c.condition->kind = place->kind;
    enum dp_status status = of_tokens ? text_settings_parse(option, &settings, error) : DP_OK;
    if (status == DP_OK)
        status = read_texts(&c, settings.tokenizer != TEXT_PRE_TOKENIZED, of_tokens);
    if (status)
        return status;
    status = read_rest(&c, &settings);
    if (status == DP_INVALID)
        dp_error_prefix(error, "attribute \"%.*s\": the value of %s", SPAN_FMT(place->attribute), place->operator);
    return status;
}

/* ---- matching ------------------------------------------------------------------------------------------ */

static bool match_one(const struct text_condition *c, struct span value, struct filter_watch *watch)
{
    const struct scalar scalar = scalar_of_json(ATTRIBUTE_STRING, value);
    if (scalar.kind != SCALAR_TEXT)
        return false;
    const struct text_bytes text = text_bytes_of(scalar.text, scalar.escaped);
    return c->kind == TEXT_FUZZY ? fuzzy_match(c->fuzzy, text, watch) : pattern_match(c->pattern, text, watch);
}

bool text_condition_match(const struct text_condition *c, struct span value, struct filter_watch *watch)
{
    struct span element;
    if (c->kind >= TEXT_ALL_TOKENS)
        return tokens_match(c->tokens, value, watch);
    if (value.len == 0 || value.data[0] != '[')
        return match_one(c, value, watch);
    struct document_walk w = document_begin(value);
    while (document_next_item(&w, &element)) {
        if (match_one(c, element, watch))
            return true;
    }
    return false;
}

bool text_condition_is_of_elements(const struct text_condition *c)
{
    return c->kind < TEXT_ALL_TOKENS;
}

const struct token_query *text_condition_tokens(const struct text_condition *c)
{
    return c->kind >= TEXT_ALL_TOKENS ? c->tokens : NULL;
}
