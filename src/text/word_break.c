/* word_break.c: the rules of UAX #29 as a walk that remembers two characters. The names WB… are the standard's. */
#include "text/word_break.h"

#include <stdbool.h>

#include "text/unicode.h"

/* The facts about the characters so far that the rules need. Extend, Format and ZWJ are left out of `before`
 * and `earlier` (WB4). */
struct word_walk {
    const uint8_t *at, *end;
    enum word_break_class before, earlier;
    enum word_break_class raw; /* the last character, whatever it is */
    unsigned int indicators;   /* regional indicators up to `before` */
};

static enum word_break_class class_of(struct text_char c)
{
    return (enum word_break_class)(c.kind & WORD_CLASS);
}

static bool is_letter(enum word_break_class c)
{
    return c == WORD_ALETTER || c == WORD_HEBREW_LETTER;
}

static bool is_break(enum word_break_class c)
{
    return c == WORD_CR || c == WORD_LF || c == WORD_NEWLINE;
}

static bool is_attached(enum word_break_class c)
{
    return c == WORD_EXTEND || c == WORD_FORMAT || c == WORD_ZWJ;
}

static bool joins_letters(enum word_break_class c)
{
    return c == WORD_MID_LETTER || c == WORD_MID_NUM_LET || c == WORD_SINGLE_QUOTE;
}

static bool joins_digits(enum word_break_class c)
{
    return c == WORD_MID_NUM || c == WORD_MID_NUM_LET || c == WORD_SINGLE_QUOTE;
}

static bool takes_connector(enum word_break_class c)
{
    return is_letter(c) || c == WORD_NUMERIC || c == WORD_KATAKANA;
}

/* Returns the class of the first character from `at` on that is not attached to the one before it. */
static enum word_break_class class_behind(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        struct text_char c = text_char_at(at, end);
        if (!is_attached(class_of(c)))
            return class_of(c);
        at += c.len;
    }
    return WORD_OTHER;
}

/* WB5 to WB7c: letters. `behind`: the first byte behind the next character. */
static bool joined_as_letters(const struct word_walk *w, enum word_break_class next, const uint8_t *behind)
{
    if (is_letter(w->before)) {
        if (is_letter(next))
            return true;
        if (w->before == WORD_HEBREW_LETTER && next == WORD_SINGLE_QUOTE)
            return true;
        if (joins_letters(next) && is_letter(class_behind(behind, w->end)))
            return true;
        if (w->before == WORD_HEBREW_LETTER && next == WORD_DOUBLE_QUOTE)
            return class_behind(behind, w->end) == WORD_HEBREW_LETTER;
    }
    if (is_letter(w->earlier) && joins_letters(w->before) && is_letter(next))
        return true;
    return w->earlier == WORD_HEBREW_LETTER && w->before == WORD_DOUBLE_QUOTE && next == WORD_HEBREW_LETTER;
}

/* WB8 to WB12: digits. */
static bool joined_as_digits(const struct word_walk *w, enum word_break_class next, const uint8_t *behind)
{
    if (next == WORD_NUMERIC)
        return w->before == WORD_NUMERIC || is_letter(w->before) ||
               (w->earlier == WORD_NUMERIC && joins_digits(w->before));
    if (w->before != WORD_NUMERIC)
        return false;
    return is_letter(next) || (joins_digits(next) && class_behind(behind, w->end) == WORD_NUMERIC);
}

/* WB13 to WB16: Katakana, connectors, flags. */
static bool joined_otherwise(const struct word_walk *w, enum word_break_class next)
{
    if (next == WORD_KATAKANA && w->before == WORD_KATAKANA)
        return true;
    if (next == WORD_EXTEND_NUM_LET)
        return takes_connector(w->before) || w->before == WORD_EXTEND_NUM_LET;
    if (w->before == WORD_EXTEND_NUM_LET)
        return takes_connector(next);
    return next == WORD_REGIONAL_INDICATOR && w->before == WORD_REGIONAL_INDICATOR && w->indicators % 2 == 1;
}

/* Returns whether no boundary is before `c`. */
static bool is_joined(const struct word_walk *w, struct text_char c)
{
    enum word_break_class next = class_of(c);
    const uint8_t *behind = w->at + c.len;
    if (is_break(next))
        return false;
    if ((w->raw == WORD_ZWJ && (c.kind & WORD_PICTOGRAPH)) || (w->raw == WORD_SEG_SPACE && next == WORD_SEG_SPACE))
        return true; /* WB3c, WB3d */
    return is_attached(next) || joined_as_letters(w, next, behind) || joined_as_digits(w, next, behind) ||
           joined_otherwise(w, next);
}

/* Returns the end of a segment that begins with a character of ASCII, where the next few characters alone tell; else
 * NULL. */
static const uint8_t *plain_end(const uint8_t *at, const uint8_t *end)
{
    const uint8_t first = *at < 0x80 ? ascii_kinds[*at] : WORD_CR;
    const bool word = first & WORD_ALPHANUMERIC;
    if (!word && first != WORD_OTHER && first != WORD_SEG_SPACE)
        return NULL;
    for (at++; word && at < end && *at < 0x80 && (ascii_kinds[*at] & WORD_ALPHANUMERIC);)
        at++;
    if (at == end)
        return at;
    if (*at >= 0x80)
        return NULL;
    switch (ascii_kinds[*at] & WORD_CLASS) {
    case WORD_OTHER:
    case WORD_CR:
    case WORD_LF:
    case WORD_NEWLINE:
    case WORD_DOUBLE_QUOTE: return at;
    case WORD_SEG_SPACE: return first == WORD_SEG_SPACE ? NULL : at;
    case WORD_EXTEND_NUM_LET: return word ? NULL : at;
    default: break;
    }
    /* A letter or a digit, or a character that joins two of them. */
    return !word || at + 1 == end || (at[1] < 0x80 && !(ascii_kinds[at[1]] & WORD_ALPHANUMERIC)) ? at : NULL;
}

struct word_segment word_segment_at(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *plain = plain_end(at, end);
    if (plain) /* digits and letters hold the same */
        return (struct word_segment){plain, ascii_kinds[*at] & WORD_ALPHANUMERIC};
    struct text_char c = text_char_at(at, end);
    enum word_break_class first = class_of(c);
    struct word_walk w = {.at = at + c.len,
                          .end = end,
                          .before = is_attached(first) ? WORD_OTHER : first,
                          .raw = first,
                          .indicators = first == WORD_REGIONAL_INDICATOR};
    uint8_t holds = c.kind;
    if (first == WORD_CR && w.at < end && *w.at == '\n')
        w.at++;
    while (w.at < end && !is_break(first)) {
        c = text_char_at(w.at, end);
        enum word_break_class next = class_of(c);
        if (!is_joined(&w, c))
            break;
        w.at += c.len;
        w.raw = next;
        holds |= c.kind;
        if (is_attached(next))
            continue;
        w.earlier = w.before;
        w.before = next;
        w.indicators = next == WORD_REGIONAL_INDICATOR ? w.indicators + 1 : 0;
        if (next == WORD_REGIONAL_INDICATOR)
            holds |= WORD_PICTOGRAPH;
    }
    return (struct word_segment){w.at, holds & (WORD_PICTOGRAPH | WORD_ALPHANUMERIC | WORD_IDEOGRAPH)};
}
