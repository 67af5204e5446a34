/* highlight.c: cuts a text into fragments, scores them, and counts characters for their ranges. */
#include "text/highlight.h"

#include <stdlib.h>

#include "base/array.h"
#include "text/analyzer.h"
#include "text/bm25.h"
#include "text/unicode.h"

/* ---- fragments ----------------------------------------------------------------------------------------- */

static bool is_white(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xa0 || c == 0x2028 || c == 0x2029 ||
           c == 0x3000;
}

/* A full stop that needs white space behind it. */
static bool is_stop(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x61f || c == 0x964;
}

/* A full stop that ends a sentence by itself: those of Chinese and Japanese. */
static bool is_wide_stop(uint32_t c)
{
    return c == 0x3002 || c == 0xff0e || c == 0xff01 || c == 0xff1f || c == 0xff61;
}

/* What may stand between a full stop and the white space. */
static bool is_closing(uint32_t c)
{
    static const uint32_t closing[] = {'"', '\'', ')', ']', '}', 0xbb, 0x2019, 0x201d, 0x300d, 0x300f, 0xff09};
    for (size_t i = 0; i < sizeof closing / sizeof *closing; i++)
        if (c == closing[i])
            return true;
    return false;
}

/* White space from a place on. */
struct gap {
    const uint8_t *end;
    unsigned int lines; /* line breaks in it */
};

static struct gap gap_at(const uint8_t *at, const uint8_t *end)
{
    struct gap gap = {.end = at};
    while (gap.end < end) {
        const struct text_char c = text_char_at(gap.end, end);
        if (!is_white(c.scalar))
            break;
        gap.lines += c.scalar == '\n' || c.scalar == 0x2028 || c.scalar == 0x85;
        gap.lines += c.scalar == 0x2029 ? 2 : 0;
        gap.end += c.len;
    }
    return gap;
}

/* Returns the end of a sentence behind its full stops, if one ends there; else NULL. */
static const uint8_t *sentence_end(struct text_char stop, const uint8_t *behind, const uint8_t *end)
{
    const bool wide = is_wide_stop(stop.scalar);
    while (behind < end) {
        const struct text_char c = text_char_at(behind, end);
        if (!is_closing(c.scalar) && !is_stop(c.scalar) && !is_wide_stop(c.scalar))
            break;
        behind += c.len;
    }
    const struct gap gap = gap_at(behind, end);
    if (wide || gap.end == end)
        return behind;
    const bool small = *gap.end >= 'a' && *gap.end <= 'z' && stop.scalar == '.';
    return gap.end > behind && !small ? behind : NULL;
}

/* Returns the end of the sentence or paragraph that begins at `at`, without white space behind it. */
static const uint8_t *fragment_end(enum highlight_split split, const uint8_t *at, const uint8_t *end)
{
    const uint8_t *last = at; /* behind the last character that is not white */
    while (at < end) {
        const struct text_char c = text_char_at(at, end);
        if (is_white(c.scalar)) {
            const struct gap gap = gap_at(at, end);
            if (gap.lines > 1 && split != HIGHLIGHT_NONE)
                return last;
            at = gap.end;
            continue;
        }
        at += c.len;
        last = at;
        if (split == HIGHLIGHT_SENTENCE && (is_stop(c.scalar) || is_wide_stop(c.scalar))) {
            const uint8_t *found = sentence_end(c, at, end);
            if (found)
                return found;
        }
    }
    return last;
}

/* ---- terms --------------------------------------------------------------------------------------------- */

/* A word that is a term. */
struct found {
    uint32_t term;
    struct highlight_range range; /* bytes */
};

/* A fragment that may be answered. */
struct scored_fragment {
    struct highlight_range range; /* bytes */
    uint32_t length;              /* tokens */
    size_t first, count;          /* in found[] */
    double score;
};

struct highlighting {
    struct arena *arena;
    const struct highlight_request *request;
    struct span text;
    struct found *found; /* [found_count]: of all candidates */
    size_t found_count, found_room;
    struct scored_fragment *list; /* [count] */
    size_t count, room;
    struct scored_fragment now; /* the present fragment */
    uint32_t *df;               /* [terms]: number of fragments with the term */
    uint32_t *tf;               /* [terms]: in one fragment */
    uint64_t lengths;           /* sum of the lengths of all fragments with a token */
    uint32_t fragments;         /* number of fragments with a token */
    bool out_of_memory;
};

static bool is_term(const struct highlight_term *term, struct span token)
{
    return term->prefix ? span_starts_with(token, term->text) : span_equal(token, term->text);
}

static bool note_term(struct highlighting *h, uint32_t term, struct highlight_range range)
{
    struct found *found = arena_reserve(h->arena, h->found, h->found_count, &h->found_room, sizeof *found, 16);
    h->out_of_memory = !found;
    if (!found)
        return false;
    h->found = found;
    found[h->found_count++] = (struct found){term, range};
    h->now.count++;
    return true;
}

/* Adds the present fragment to the candidates, if it has a term or nobody asks for one. */
static bool end_fragment(struct highlighting *h)
{
    const struct scored_fragment *now = &h->now;
    if (now->length) {
        h->lengths += bm25_length_of(bm25_code_of(now->length));
        h->fragments++;
    }
    if (h->request->count && !now->count)
        return true;
    for (size_t i = 0; i < now->count; i++)
        h->tf[h->found[now->first + i].term] = 0;
    for (size_t i = 0; i < now->count; i++)
        h->df[h->found[now->first + i].term] += h->tf[h->found[now->first + i].term]++ == 0;
    struct scored_fragment *list = arena_reserve(h->arena, h->list, h->count, &h->room, sizeof *list, 8);
    h->out_of_memory = !list;
    if (!list)
        return false;
    h->list = list;
    list[h->count++] = *now;
    return true;
}

/* Without terms the first fragments are enough. */
static bool wants_more(const struct highlighting *h)
{
    return !h->out_of_memory && (h->request->count || h->count < h->request->limit);
}

/* For text_analyze: takes a token of the present fragment, or a fragment of one word. */
static bool take_token(void *ctx, const struct text_token *token)
{
    struct highlighting *h = ctx;
    const struct highlight_request *request = h->request;
    const bool words = request->split == HIGHLIGHT_WORD;
    const uint32_t base = words ? 0 : h->now.range.begin;
    const struct highlight_range range = {base + token->begin, base + token->end};
    if (words)
        h->now = (struct scored_fragment){.range = range, .first = h->found_count};
    h->now.length++;
    for (uint32_t i = 0; i < request->count; i++)
        if (is_term(&request->terms[i], token->text) && !note_term(h, i, range))
            return false;
    return words ? end_fragment(h) && wants_more(h) : true;
}

static enum dp_status cut_text(struct highlighting *h, struct text_analyzer *analyzer, struct dp_error *error)
{
    const struct span text = h->text;
    const uint8_t *end = text.data + text.len, *at = gap_at(text.data, end).end;
    uint32_t position = 0;
    enum dp_status status = DP_OK;
    if (h->request->split == HIGHLIGHT_WORD)
        status = text_analyze(analyzer, text, &position, take_token, h, error);
    while (h->request->split != HIGHLIGHT_WORD && at < end && status == DP_OK && wants_more(h)) {
        const uint8_t *last = fragment_end(h->request->split, at, end);
        h->now = (struct scored_fragment){.range = {(uint32_t)(at - text.data), (uint32_t)(last - text.data)},
                                          .first = h->found_count};
        position = 0;
        status = text_analyze(analyzer, span_of(at, (size_t)(last - at)), &position, take_token, h, error);
        if (status == DP_OK && !h->out_of_memory)
            end_fragment(h);
        at = gap_at(last, end).end;
    }
    return status == DP_OK && h->out_of_memory ? dp_fail_nomem(error, "highlights") : status;
}

/* ---- the answer ---------------------------------------------------------------------------------------- */

static void score_candidates(struct highlighting *h)
{
    const struct text_settings *s = h->request->settings;
    const double average = h->fragments ? (double)h->lengths / (double)h->fragments : 1;
    for (size_t i = 0; i < h->count; i++) {
        struct scored_fragment *c = &h->list[i];
        const uint32_t length = bm25_length_of(bm25_code_of(c->length));
        for (size_t t = 0; t < c->count; t++)
            h->tf[h->found[c->first + t].term] = 0;
        for (size_t t = 0; t < c->count; t++)
            h->tf[h->found[c->first + t].term]++;
        for (size_t t = 0; t < c->count; t++) {
            const uint32_t term = h->found[c->first + t].term, tf = h->tf[term];
            h->tf[term] = 0;
            if (tf && h->request->terms[term].prefix)
                c->score += 1;
            else if (tf)
                c->score += bm25_term(bm25_idf(h->fragments, h->df[term]), tf, length, average, s->k1, s->b);
        }
    }
}

static int by_score(const void *a, const void *b)
{
    const struct scored_fragment *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->range.begin < y->range.begin ? -1 : 1;
}

/* Counts characters of a text from its beginning on. */
struct counter {
    struct span text;
    enum highlight_unit unit;
    uint32_t at, count; /* bytes, and the units in them */
};

static uint32_t count_to(struct counter *c, uint32_t to)
{
    if (c->unit == HIGHLIGHT_UTF_8)
        return to;
    if (to < c->at)
        c->at = c->count = 0;
    while (c->at < to) {
        const struct text_char one = text_char_at(c->text.data + c->at, c->text.data + c->text.len);
        c->count += c->unit == HIGHLIGHT_UTF_16 && one.scalar > 0xffff ? 2 : 1;
        c->at += one.len;
    }
    return c->count;
}

static struct highlight_range convert(struct counter *c, struct highlight_range bytes)
{
    struct highlight_range range;
    range.begin = count_to(c, bytes.begin);
    range.end = count_to(c, bytes.end);
    return range;
}

static enum dp_status make_fragment(struct highlighting *h, const struct scored_fragment *c,
                                    struct counter *counter, struct highlight_fragment *out)
{
    struct highlight_range *matches = arena_array(h->arena, c->count ? c->count : 1, sizeof *matches);
    size_t count = 0;
    if (!matches)
        return DP_NOMEM;
    out->text = span_of(h->text.data + c->range.begin, c->range.end - c->range.begin);
    out->range.begin = count_to(counter, c->range.begin);
    for (size_t i = 0; i < c->count; i++) {
        const struct highlight_range bytes = h->found[c->first + i].range;
        if (i && bytes.begin == h->found[c->first + i - 1].range.begin)
            continue; /* two terms take this word */
        matches[count++] = convert(counter, bytes);
    }
    out->range.end = count_to(counter, c->range.end);
    out->matches = matches;
    out->match_count = count;
    return DP_OK;
}

/* The order of the answered fragments in the text: their numbers. */
struct place {
    uint32_t begin, number;
};

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* Makes the first `count` candidates fragments, in the order of the text, so that characters are counted once. */
static enum dp_status make_fragments(struct highlighting *h, size_t count, struct highlight_fragment *out)
{
    struct place *places = arena_array(h->arena, count, sizeof *places);
    struct counter counter = {.text = h->text, .unit = h->request->unit};
    enum dp_status status = places ? DP_OK : DP_NOMEM;
    for (size_t i = 0; i < count && status == DP_OK; i++)
        places[i] = (struct place){h->list[i].range.begin, (uint32_t)i};
    if (status == DP_OK)
        qsort(places, count, sizeof *places, by_place);
    for (size_t i = 0; i < count && status == DP_OK; i++)
        status = make_fragment(h, &h->list[places[i].number], &counter, &out[places[i].number]);
    return status;
}

enum dp_status highlight_text(struct arena *arena, const struct highlight_request *request, struct span text,
                              struct highlight_fragment **out, size_t *count, struct dp_error *error)
{
    struct highlighting h = {.arena = arena, .request = request, .text = text};
    struct text_analyzer *analyzer;
    *out = NULL;
    *count = 0;
    if (text.len == 0)
        return DP_OK;
    if (text.len > INT32_MAX)
        return dp_fail(error, DP_TOO_LARGE, "a text of %zu bytes is too long to be highlighted", text.len);
    h.df = arena_calloc(arena, request->count + 1, sizeof *h.df);
    h.tf = arena_calloc(arena, request->count + 1, sizeof *h.tf);
    if (!h.df || !h.tf)
        return dp_fail_nomem(error, "highlights");
    enum dp_status status = text_analyzer_new(request->settings, &analyzer, error);
    if (status == DP_OK)
        status = cut_text(&h, analyzer, error);
    text_analyzer_free(analyzer);
    if (status || h.count == 0)
        return status;
    score_candidates(&h);
    qsort(h.list, h.count, sizeof *h.list, by_score);
    const size_t wanted = h.count < request->limit ? h.count : request->limit;
    *out = arena_array(arena, wanted, sizeof **out);
    if (!*out || make_fragments(&h, wanted, *out) != DP_OK)
        return dp_fail_nomem(error, "highlights");
    *count = wanted;
    return DP_OK;
}
