/* analyzer.c: cuts a text into words and makes tokens of them. */
#include "text/analyzer.h"

#include <libstemmer.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/stop_words.h"
#include "text/unicode.h"
#include "text/word_break.h"

enum {
    TEXT_MAX = 1 << 30,
    TOKEN_ROOM = 4 * TEXT_TOKEN_MAX + 8 /* of a token whose characters grow to four bytes each */
};

struct text_analyzer {
    struct text_settings settings;
    struct sb_stemmer *stemmer; /* NULL: no stemming */
    uint8_t lowered[TOKEN_ROOM], folded[TOKEN_ROOM];
};

enum dp_status text_analyzer_new(const struct text_settings *settings, struct text_analyzer **out,
                                 struct dp_error *error)
{
    struct text_analyzer *a = mem_calloc(1, sizeof *a);
    *out = NULL;
    if (!a)
        return dp_fail_nomem(error, "the analysis of a text");
    a->settings = *settings;
    if (settings->stemming) {
        a->stemmer = sb_stemmer_new(text_language_name(settings->language), NULL);
        if (!a->stemmer) {
            mem_free(a);
            return dp_fail_nomem(error, "a stemmer");
        }
    }
    *out = a;
    return DP_OK;
}

void text_analyzer_free(struct text_analyzer *a)
{
    if (!a)
        return;
    sb_stemmer_delete(a->stemmer);
    mem_free(a);
}

/* ---- words -------------------------------------------------------------------------------------------- */

/* A word, or the text between two words. */
struct piece {
    const uint8_t *end;
    bool is_word;
};

static bool is_attached(uint8_t kind)
{
    unsigned int class = kind & WORD_CLASS;
    return class == WORD_EXTEND || class == WORD_ZWJ;
}

/* Returns the end of an emoji that begins at `at`: pictographs that U+200D joins, or two letters of a flag. */
static const uint8_t *emoji_end(const uint8_t *at, const uint8_t *end)
{
    struct text_char c = text_char_at(at, end);
    bool flag = (c.kind & WORD_CLASS) == WORD_REGIONAL_INDICATOR, joined = false;
    for (at += c.len; at < end; at += c.len) {
        c = text_char_at(at, end);
        if (is_attached(c.kind))
            joined = (c.kind & WORD_CLASS) == WORD_ZWJ;
        else if (flag && (c.kind & WORD_CLASS) == WORD_REGIONAL_INDICATOR)
            flag = false;
        else if (joined && (c.kind & WORD_PICTOGRAPH))
            joined = false;
        else
            break;
    }
    return at;
}

/* Returns the end of a run of letters and digits that begins at `at`. `alone`: without ideographs. */
static const uint8_t *run_end(const uint8_t *at, const uint8_t *end, bool alone)
{
    while (at < end) {
        struct text_char c = text_char_at(at, end);
        bool ideograph = c.kind & WORD_IDEOGRAPH;
        if (!is_attached(c.kind) && (!(c.kind & WORD_ALPHANUMERIC) || (alone && ideograph)))
            break;
        at += c.len;
    }
    return at;
}

/* The pieces of word_v0 to word_v2. */
static struct piece old_piece_at(enum text_tokenizer tokenizer, const uint8_t *at, const uint8_t *end)
{
    struct text_char c = text_char_at(at, end);
    bool emoji = (c.kind & WORD_PICTOGRAPH) || (c.kind & WORD_CLASS) == WORD_REGIONAL_INDICATOR;
    if (tokenizer == TEXT_WORD_V2 && (c.kind & WORD_IDEOGRAPH)) {
        for (at += c.len; at < end; at += c.len) {
            c = text_char_at(at, end);
            if (!is_attached(c.kind))
                break;
        }
        return (struct piece){at, true};
    }
    if (c.kind & WORD_ALPHANUMERIC)
        return (struct piece){run_end(at, end, tokenizer == TEXT_WORD_V2), true};
    if (emoji)
        return (struct piece){emoji_end(at, end), tokenizer != TEXT_WORD_V0};
    return (struct piece){at + c.len, false};
}

static struct piece piece_at(enum text_tokenizer tokenizer, const uint8_t *at, const uint8_t *end)
{
    if (tokenizer == TEXT_PRE_TOKENIZED)
        return (struct piece){end, true};
    if (tokenizer <= TEXT_WORD_V2)
        return old_piece_at(tokenizer, at, end);
    struct word_segment segment = word_segment_at(at, end);
    return (struct piece){segment.end, segment.holds != 0};
}

/* ---- tokens ------------------------------------------------------------------------------------------- */

/* Sets *out to the word in lower case. Returns false for a word that is far too long. */
static bool lower_word(struct text_analyzer *a, struct span word, struct span *out)
{
    const uint8_t *at = word.data, *end = word.data + word.len;
    size_t len = 0;
    if (word.len > TEXT_TOKEN_MAX * 3)
        return false;
    while (at < end) {
        if (len + 4 > sizeof a->lowered)
            return false;
        if (*at < 0x80) {
            a->lowered[len++] = (uint8_t)unicode_lower(*at++);
            continue;
        }
        struct text_char c = text_char_at(at, end);
        len += utf8_encode(unicode_lower(c.scalar), a->lowered + len);
        at += c.len;
    }
    *out = span_of(a->lowered, len);
    return true;
}

/* Replaces each character that has an ASCII spelling by this spelling, drops combining marks, keeps all others. */
static struct span fold_word(struct text_analyzer *a, struct span word)
{
    const uint8_t *at = word.data, *end = word.data + word.len;
    size_t len = 0;
    while (at < end && len + 4 <= sizeof a->folded) {
        struct text_char c = text_char_at(at, end);
        const char *ascii = c.scalar < 0x80 ? NULL : unicode_fold(c.scalar);
        bool mark =
            c.scalar >= 0x300 && c.scalar < 0x370; /* combining marks of Latin, Greek and Cyrillic letters */
        if (ascii) {
            size_t n = strlen(ascii);
            memcpy(a->folded + len, ascii, n);
            len += n;
        } else if (!mark) {
            memcpy(a->folded + len, at, c.len);
            len += c.len;
        }
        at += c.len;
    }
    return span_of(a->folded, len);
}

/* Makes the token of a word. Returns DP_NOT_FOUND if the settings leave it out. */
static enum dp_status make_token(struct text_analyzer *a, struct span word, struct span *out)
{
    const struct text_settings *s = &a->settings;
    if (!s->case_sensitive && !lower_word(a, word, &word))
        return DP_NOT_FOUND;
    if (word.len == 0 || word.len > s->max_token_length)
        return DP_NOT_FOUND;
    if (s->remove_stopwords && stop_word_is(s->language, word))
        return DP_NOT_FOUND;
    if (a->stemmer) {
        const sb_symbol *stem = sb_stemmer_stem(a->stemmer, word.data, (int)word.len);
        if (!stem)
            return DP_NOMEM;
        word = span_of(stem, (size_t)sb_stemmer_length(a->stemmer));
    }
    *out = s->ascii_folding ? fold_word(a, word) : word;
    return out->len ? DP_OK : DP_NOT_FOUND;
}

enum dp_status text_analyze(struct text_analyzer *a, struct span text, uint32_t *position, text_token_fn *fn,
                            void *ctx, struct dp_error *error)
{
    if (text.len == 0)
        return DP_OK;
    if (text.len > TEXT_MAX)
        return dp_fail(error, DP_TOO_LARGE, "a text of %zu bytes is too long to be analysed", text.len);
    const uint8_t *at = text.data, *end = text.data + text.len;
    while (at < end) {
        struct piece piece = piece_at(a->settings.tokenizer, at, end);
        struct text_token token = {
            .position = *position, .begin = (uint32_t)(at - text.data), .end = (uint32_t)(piece.end - text.data)};
        enum dp_status made = DP_NOT_FOUND;
        if (piece.is_word) {
            made = make_token(a, span_of(at, (size_t)(piece.end - at)), &token.text);
            (*position)++;
        }
        if (made == DP_NOMEM)
            return dp_fail_nomem(error, "a stemmer");
        if (made == DP_OK && !fn(ctx, &token))
            return DP_OK;
        at = piece.end;
    }
    return DP_OK;
}
