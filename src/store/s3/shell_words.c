/* shell_words.c: splits a text into words as a POSIX shell does (see shell_words.h). */
#include "store/s3/shell_words.h"

static bool is_word_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Reads the word that begins at *at into `to`, which has room for the rest of the text and a NUL. Returns NULL, or
 * what is wrong. */
static const char *read_word(struct span text, size_t *at, uint8_t *to, size_t *len)
{
    uint8_t quote = 0;
    *len = 0;
    for (; *at < text.len && (quote || !is_word_blank(text.data[*at])); ++*at) {
        uint8_t c = text.data[*at];
        if (quote && c == quote) {
            quote = 0;
        } else if (!quote && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == '\\' && quote != '\'') {
            if (++*at == text.len)
                return "nothing follows its last backslash";
            uint8_t next = text.data[*at];
            if (quote && next != '\\' && next != '"') /* inside of quotes, other backslashes stay */
                to[(*len)++] = c;
            to[(*len)++] = next;
        } else {
            to[(*len)++] = c;
        }
    }
    to[*len] = '\0';
    return quote ? "a quote does not end" : NULL;
}

enum dp_status shell_words_split(struct span text, struct arena *arena, struct shell_words *out,
                                 struct dp_error *error)
{
    /* Words are shorter than the text, and between two of them stands a blank, where the NUL goes. */
    uint8_t *to = arena_alloc(arena, text.len + 1);
    *out = (struct shell_words){.words = arena_array(arena, SHELL_WORDS_MAX, sizeof *out->words)};
    if (!to || !out->words)
        return dp_fail_nomem(error, "words");
    for (size_t at = 0;;) {
        while (at < text.len && is_word_blank(text.data[at]))
            at++;
        if (at == text.len)
            return DP_OK;
        if (out->count == SHELL_WORDS_MAX)
            return dp_fail(error, DP_INVALID, "it has more than %d words", SHELL_WORDS_MAX);
        size_t len;
        const char *wrong = read_word(text, &at, to, &len);
        if (wrong)
            return dp_fail(error, DP_INVALID, "%s", wrong);
        out->words[out->count++] = span_of(to, len);
        to += len + 1;
    }
}
