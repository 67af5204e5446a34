/* filter/tokens.c: looks for the tokens of a query while a text is cut into tokens.
 *
 * A sequence is found by the method Shift-And: bit i of a state says that the words up to here end with the first i + 1
 * words of the query. */
#include "filter/tokens.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/array.h"
#include "filter/document.h"
#include "filter/scalar.h"
#include "text/analyzer.h"

enum { BITS = 64, STATE_WORDS = TOKENS_MAX / BITS, TOKEN_STEPS = 16 /* what a token costs beside its search */ };

/* A token of the query, and the places of the query where it may stand. */
struct token {
    struct span text;
    uint64_t *places; /* [words], of a sequence */
};

struct token_query {
    enum tokens_rule rule;
    struct text_settings settings;
    struct token *list; /* [count], ascending, no two equal; without the prefix */
    size_t count;
    bool has_prefix;
    struct span prefix;
    uint32_t length, words; /* of a sequence: its words, and the elements of a state */
    uint64_t *gaps;         /* [words]: the places where any word may stand */
};

/* ---- the query ----------------------------------------------------------------------------------------- */

struct word {
    struct span text;
    uint32_t position;
};

/* The words of a query. */
struct words {
    struct arena *arena;
    struct word *list; /* [count] */
    size_t count, room;
    bool out_of_memory;
};

/* For text_analyze: keeps the word. */
static bool keep_word(void *ctx, const struct text_token *token)
{
    struct words *w = ctx;
    struct word *list = arena_reserve(w->arena, w->list, w->count, &w->room, sizeof *list, 16);
    struct span copy = arena_copy(w->arena, token->text);
    w->out_of_memory = !list || !copy.data;
    if (w->out_of_memory)
        return false;
    w->list = list;
    list[w->count++] = (struct word){copy, token->position};
    return w->count <= TOKENS_MAX;
}

static enum dp_status cut_query(const struct tokens_request *request, struct words *w, struct dp_error *error)
{
    struct text_analyzer *analyzer;
    uint32_t position = 0;
    enum dp_status status = text_analyzer_new(request->settings, &analyzer, error);
    for (size_t i = 0; i < request->count && status == DP_OK && w->count <= TOKENS_MAX; i++) {
        status = text_analyze(analyzer, request->texts[i], &position, keep_word, w, error);
        if (w->out_of_memory)
            status = dp_fail_nomem(error, "a filter");
    }
    text_analyzer_free(analyzer);
    if (status == DP_OK && (w->count > TOKENS_MAX ||
                            (w->count && w->list[w->count - 1].position - w->list[0].position >= TOKENS_MAX)))
        status = dp_fail(error, DP_INVALID, "more than %d words", TOKENS_MAX);
    return status;
}

static int compare_tokens(const void *a, const void *b)
{
    return span_compare(((const struct token *)a)->text, ((const struct token *)b)->text);
}

static const struct token *find_token(const struct token_query *t, struct span text)
{
    const struct token wanted = {.text = text};
    return t->count ? bsearch(&wanted, t->list, t->count, sizeof wanted, compare_tokens) : NULL;
}

/* Sorts the words into the list of tokens, each once, without a last one that is a prefix. */
static bool make_list(struct arena *arena, const struct words *w, struct token_query *t)
{
    const size_t count = w->count - t->has_prefix;
    t->list = arena_calloc(arena, count + 1, sizeof *t->list);
    if (!t->list)
        return false;
    for (size_t i = 0; i < count; i++)
        t->list[i].text = w->list[i].text;
    if (count)
        qsort(t->list, count, sizeof *t->list, compare_tokens);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !span_equal(t->list[i].text, t->list[t->count - 1].text))
            t->list[t->count++] = t->list[i];
    return true;
}

static void set_bit(uint64_t *bits, uint32_t i)
{
    bits[i / BITS] |= (uint64_t)1 << i % BITS;
}

/* Notes where in the sequence each token may stand. */
static bool make_places(struct arena *arena, const struct words *w, struct token_query *t)
{
    const uint32_t first = w->list[0].position;
    t->length = w->list[w->count - 1].position - first + 1;
    t->words = (t->length + BITS - 1) / BITS;
    t->gaps = arena_calloc(arena, t->words, sizeof *t->gaps);
    if (!t->gaps)
        return false;
    for (uint32_t i = 0; i < t->length; i++)
        set_bit(t->gaps, i);
    for (size_t i = 0; i < w->count; i++) {
        const uint32_t place = w->list[i].position - first;
        t->gaps[place / BITS] &= ~((uint64_t)1 << place % BITS);
    }
    for (size_t i = 0; i < t->count; i++) {
        t->list[i].places = arena_calloc(arena, t->words, sizeof *t->gaps);
        if (!t->list[i].places)
            return false;
        memcpy(t->list[i].places, t->gaps, t->words * sizeof *t->gaps);
    }
    for (size_t i = 0; i < w->count - t->has_prefix; i++)
        set_bit(find_token(t, w->list[i].text)->places, w->list[i].position - first);
    return true;
}

enum dp_status tokens_parse(struct arena *arena, const struct tokens_request *request, struct token_query **out,
                            struct dp_error *error)
{
    struct words w = {.arena = arena};
    struct token_query *t = arena_calloc(arena, 1, sizeof *t);
    *out = t;
    if (!t)
        return dp_fail_nomem(error, "a filter");
    t->rule = request->rule;
    t->settings = *request->settings;
    enum dp_status status = cut_query(request, &w, error);
    if (status || w.count == 0)
        return status;
    t->has_prefix = request->last_as_prefix;
    t->prefix = w.list[w.count - 1].text;
    if (!make_list(arena, &w, t) || (t->rule == TOKENS_SEQUENCE && !make_places(arena, &w, t)))
        return dp_fail_nomem(error, "a filter");
    return DP_OK;
}

void tokens_show(const struct token_query *tokens, struct tokens_shown *out)
{
    *out = (struct tokens_shown){.rule = tokens->rule,
                                 .settings = &tokens->settings,
                                 .count = tokens->count,
                                 .has_prefix = tokens->has_prefix,
                                 .prefix = tokens->prefix};
}

struct span tokens_text(const struct token_query *tokens, size_t i)
{
    return tokens->list[i].text;
}

/* ---- a text -------------------------------------------------------------------------------------------- */

/* What was found so far. */
struct tokens_run {
    const struct token_query *tokens;
    struct filter_watch *watch;
    uint64_t bits[STATE_WORDS]; /* of a sequence the state, else the tokens that were found */
    size_t found;               /* number of different tokens, and of the prefix */
    bool found_prefix, matched;
    uint32_t position; /* behind the last token; of a sequence */
};

/* Moves the state of a sequence on by a word, which may stand at `places`, and at the last place if `last`. */
static void shift(struct tokens_run *run, const uint64_t *places, bool last)
{
    const struct token_query *t = run->tokens;
    const uint64_t end = (uint64_t)1 << (t->length - 1) % BITS;
    uint64_t carry = 1;
    for (uint32_t i = 0; i < t->words; i++) {
        const uint64_t before = run->bits[i], at_end = i + 1 == t->words && last ? end : 0;
        run->bits[i] = (before << 1 | carry) & (places[i] | at_end);
        carry = before >> (BITS - 1);
    }
    run->matched = run->bits[t->words - 1] & end;
}

/* Takes the next token of a text, behind `skipped` words without one. */
static void take_next(struct tokens_run *run, const struct token *token, bool is_prefix, uint32_t skipped)
{
    const struct token_query *t = run->tokens;
    if (skipped >= t->length)
        memset(run->bits, 0, t->words * sizeof *run->bits);
    else
        for (uint32_t i = 0; i < skipped; i++)
            shift(run, t->gaps, false);
    shift(run, token ? token->places : t->gaps, is_prefix);
}

static void take_any_order(struct tokens_run *run, const struct token *token, bool is_prefix)
{
    const struct token_query *t = run->tokens;
    if (token) {
        const uint32_t number = (uint32_t)(token - t->list);
        run->found += !(run->bits[number / BITS] >> number % BITS & 1);
        set_bit(run->bits, number);
    }
    run->found += is_prefix && !run->found_prefix;
    run->found_prefix |= is_prefix;
    run->matched = run->found >= (t->rule == TOKENS_ANY ? 1 : t->count + t->has_prefix);
}

/* For text_analyze: takes a token of a text. */
static bool take_token(void *ctx, const struct text_token *token)
{
    struct tokens_run *run = ctx;
    const struct token_query *t = run->tokens;
    const struct token *known = find_token(t, token->text);
    const bool is_prefix = t->has_prefix && span_starts_with(token->text, t->prefix);
    if (t->rule == TOKENS_SEQUENCE)
        take_next(run, known, is_prefix, token->position - run->position);
    else if (known || is_prefix)
        take_any_order(run, known, is_prefix);
    run->position = token->position + 1;
    return filter_watch_steps(run->watch, TOKEN_STEPS + t->words) && !run->matched;
}

/* Returns the text of a JSON string. *made: it is in memory that the caller frees. Its data is NULL if there was
 * none. */
static struct span characters_of(const struct scalar *scalar, bool *made)
{
    *made = scalar->escaped;
    if (!scalar->escaped)
        return scalar->text;
    uint8_t *bytes = mem_alloc(scalar->text.len); /* an escape is longer than what it stands for */
    struct text_bytes text = text_bytes_of(scalar->text, true);
    size_t len = 0;
    for (int byte = bytes ? text_next_byte(&text) : -1; byte >= 0; byte = text_next_byte(&text))
        bytes[len++] = (uint8_t)byte;
    return span_of(bytes, len);
}

static void look_into(struct tokens_run *run, struct text_analyzer *analyzer, struct span json)
{
    const struct scalar scalar = scalar_of_json(ATTRIBUTE_STRING, json);
    struct dp_error error;
    uint32_t position = 0;
    bool made;
    if (scalar.kind != SCALAR_TEXT || scalar.text.len == 0)
        return;
    const struct span text = characters_of(&scalar, &made);
    if (run->tokens->rule == TOKENS_SEQUENCE)
        memset(run->bits, 0, run->tokens->words * sizeof *run->bits);
    run->position = 0;
    if (!text.data || text_analyze(analyzer, text, &position, take_token, run, &error) != DP_OK)
        filter_watch_nomem(run->watch);
    if (made)
        mem_free((void *)(uintptr_t)text.data);
}

bool tokens_match(const struct token_query *tokens, struct span value, struct filter_watch *watch)
{
    struct tokens_run run = {.tokens = tokens, .watch = watch};
    struct text_analyzer *analyzer;
    struct dp_error error;
    struct span element;
    if (value.len == 0 || tokens->count + tokens->has_prefix == 0)
        return false;
    if (text_analyzer_new(&tokens->settings, &analyzer, &error) != DP_OK) {
        filter_watch_nomem(watch);
        return false;
    }
    if (value.data[0] == '[') {
        struct document_walk w = document_begin(value);
        while (!run.matched && watch->status == DP_OK && document_next_item(&w, &element))
            look_into(&run, analyzer, element);
    } else {
        look_into(&run, analyzer, value);
    }
    text_analyzer_free(analyzer);
    return run.matched && watch->status == DP_OK;
}
