/* unicode.c: looks characters up in the tables. */
#include "text/unicode.h"

#include "base/utf8.h"

uint8_t unicode_word_kind(uint32_t c)
{
    size_t low = 0, high = word_run_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > word_runs[middle].last)
            low = middle + 1;
        else if (c < word_runs[middle].first)
            high = middle;
        else
            return word_runs[middle].kind;
    }
    return WORD_OTHER;
}

uint32_t unicode_lower(uint32_t c)
{
    size_t low = 0, high = lower_case_count;
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c == lower_cases[middle].from)
            return lower_cases[middle].to;
        if (c > lower_cases[middle].from)
            low = middle + 1;
        else
            high = middle;
    }
    return c;
}

const char *unicode_fold(uint32_t c)
{
    size_t low = 0, high = ascii_fold_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c == ascii_folds[middle].from)
            return ascii_folds[middle].to;
        if (c > ascii_folds[middle].from)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

struct text_char text_long_char_at(const uint8_t *at, const uint8_t *end)
{
    size_t len = utf8_length(at, end);
    uint32_t c;
    if (len == 0)
        return (struct text_char){0xfffd, (uint32_t)utf8_bad_length(at, end), WORD_OTHER};
    utf8_decode(at, &c);
    return (struct text_char){c, (uint32_t)len, unicode_word_kind(c)};
}

#define DIGIT  (WORD_NUMERIC | WORD_ALPHANUMERIC)
#define DIGITS DIGIT, DIGIT, DIGIT, DIGIT, DIGIT
#define LETTER (WORD_ALETTER | WORD_ALPHANUMERIC)
#define LETTERS \
    LETTER, LETTER, LETTER, LETTER, LETTER, LETTER, LETTER, LETTER, LETTER, LETTER, LETTER, LETTER, LETTER

/* tests/text/test_analyzer.c compares this table with the generated one. */
const uint8_t ascii_kinds[128] = {
    ['\n'] = WORD_LF,
    ['\v'] = WORD_NEWLINE,
    ['\f'] = WORD_NEWLINE,
    ['\r'] = WORD_CR,
    [' '] = WORD_SEG_SPACE,
    ['"'] = WORD_DOUBLE_QUOTE,
    ['\''] = WORD_SINGLE_QUOTE,
    [','] = WORD_MID_NUM,
    ['.'] = WORD_MID_NUM_LET,
    ['0'] = DIGITS,
    DIGITS,
    [':'] = WORD_MID_LETTER,
    [';'] = WORD_MID_NUM,
    ['A'] = LETTERS,
    LETTERS,
    ['_'] = WORD_EXTEND_NUM_LET,
    ['a'] = LETTERS,
    LETTERS,
};
