/* text/unicode.h: the kinds of characters, their lower case, and the ASCII that stands for them.
 *
 * scripts/gen-text-tables makes the tables (unicode_tables.c) from the Unicode character database.
 */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The property Word_Break of a character (UAX #29, table 3). */
enum word_break_class {
    WORD_OTHER,
    WORD_CR,
    WORD_LF,
    WORD_NEWLINE,
    WORD_EXTEND,
    WORD_ZWJ,
    WORD_FORMAT,
    WORD_REGIONAL_INDICATOR,
    WORD_KATAKANA,
    WORD_HEBREW_LETTER,
    WORD_ALETTER,
    WORD_SINGLE_QUOTE,
    WORD_DOUBLE_QUOTE,
    WORD_MID_NUM_LET,
    WORD_MID_LETTER,
    WORD_MID_NUM,
    WORD_NUMERIC,
    WORD_EXTEND_NUM_LET,
    WORD_SEG_SPACE
};

/* A kind: a word_break_class, and these bits. */
enum { WORD_CLASS = 31, WORD_PICTOGRAPH = 32, WORD_ALPHANUMERIC = 64, WORD_IDEOGRAPH = 128 };

/* Characters of one kind, with their neighbours. Characters between two runs have kind 0. */
struct word_run {
    uint32_t first, last;
    uint8_t kind;
};

struct lower_case {
    uint32_t from, to;
};

struct ascii_fold {
    uint32_t from;
    char to[5];
};

/* Each table ascends. */
extern const struct word_run word_runs[];
extern const size_t word_run_count;
extern const struct lower_case lower_cases[];
extern const size_t lower_case_count;
extern const struct ascii_fold ascii_folds[];
extern const size_t ascii_fold_count;

uint8_t unicode_word_kind(uint32_t c);
/* Returns the lower case of a character: one character, without regard to its neighbours. */
uint32_t unicode_lower(uint32_t c);
/* Returns ASCII that stands for a character outside ASCII, or NULL. */
const char *unicode_fold(uint32_t c);

/* A character of a text, with its bytes. */
struct text_char {
    uint32_t scalar; /* U+FFFD for bytes that are not UTF-8 */
    uint32_t len;
    uint8_t kind;
};
extern const uint8_t ascii_kinds[128]; /* unicode_word_kind() of each character of ASCII */
/* Reads the character at `at`, which lies before `end` and is not of ASCII. */
struct text_char text_long_char_at(const uint8_t *at, const uint8_t *end);
/* Reads the character at `at`, which lies before `end`. */
static inline struct text_char text_char_at(const uint8_t *at, const uint8_t *end)
{
    if (*at < 0x80)
        return (struct text_char){*at, 1, ascii_kinds[*at]};
    return text_long_char_at(at, end);
}

#endif
