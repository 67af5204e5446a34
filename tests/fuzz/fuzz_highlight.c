/* fuzz_highlight.c: three parts up to a NUL each: a byte of options with the settings, a query, and the text. Checked
 * beyond memory safety: fragments and matches lie within the text, matches within their fragment and behind each
 * other, and ranges in bytes are those of the fragment's text. */
#include <assert.h>
#include <string.h>

#include "text/analyzer.h"
#include "text/highlight.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TERMS = 16 };

struct query_terms {
    struct arena *arena;
    struct highlight_term list[TERMS];
    size_t count;
};

static bool keep_term(void *ctx, const struct text_token *token)
{
    struct query_terms *t = ctx;
    t->list[t->count] = (struct highlight_term){arena_copy(t->arena, token->text), t->count % 3 == 2};
    return ++t->count < TERMS;
}

/* Takes the next part up to a NUL. */
static struct span take(struct span *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->data, 0, rest->len) : NULL;
    struct span part = end ? span_of(rest->data, (size_t)(end - rest->data)) : *rest;
    *rest = end ? span_of(end + 1, rest->len - part.len - 1) : (struct span){0};
    return part;
}

static void check_fragments(const struct highlight_request *request, struct span text,
                            const struct highlight_fragment *found, size_t count)
{
    assert(count <= request->limit);
    for (size_t i = 0; i < count; i++) {
        const struct highlight_fragment *f = &found[i];
        uint32_t at = f->range.begin;
        assert(f->text.len && f->text.data >= text.data && f->text.data + f->text.len <= text.data + text.len);
        assert(f->range.begin < f->range.end && f->range.end <= text.len);
        assert(request->count == 0 || f->match_count > 0);
        if (request->unit == HIGHLIGHT_UTF_8)
            assert(f->text.data == text.data + f->range.begin && f->text.len == f->range.end - f->range.begin);
        for (size_t m = 0; m < f->match_count; m++) {
            assert(f->matches[m].begin >= at && f->matches[m].end > f->matches[m].begin);
            at = f->matches[m].end;
        }
        assert(at <= f->range.end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size), option = take(&rest), words = take(&rest);
    const uint8_t how = option.len ? option.data[0] : 0;
    struct text_settings settings;
    struct text_analyzer *analyzer;
    struct dp_error error = {0};
    struct arena arena;
    uint32_t position = 0;
    if (option.len < 2 ||
        text_settings_parse(span_of(option.data + 1, option.len - 1), &settings, &error) != DP_OK)
        return 0;
    arena_init(&arena, 1 << 26);
    struct query_terms terms = {.arena = &arena};
    if (text_analyzer_new(&settings, &analyzer, &error) == DP_OK)
        text_analyze(analyzer, words, &position, keep_term, &terms, &error);
    text_analyzer_free(analyzer);
    const struct highlight_request request = {.settings = &settings,
                                              .terms = terms.list,
                                              .count = terms.count,
                                              .split = (enum highlight_split)(how & 3),
                                              .unit = (enum highlight_unit)((how >> 2) % 3),
                                              .limit = 1 + (how >> 4)};
    struct highlight_fragment *found;
    size_t count;
    if (highlight_text(&arena, &request, rest, &found, &count, &error) == DP_OK)
        check_fragments(&request, rest, found, count);
    arena_deinit(&arena);
    return 0;
}
