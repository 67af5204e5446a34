/* text/analyzer.h: turns a text into tokens.
 *
 *   word_v3, word_v4      the words of UAX #29 (word_break.h) that hold a letter, a digit, an ideograph or an emoji
 *   word_v2               single ideographs, runs of letters and digits, emoji
 *   word_v1               runs of letters, digits and ideographs; emoji
 *   word_v0               as word_v1, without emoji
 *   pre_tokenized_array   each element of the array is one token as it is
 *
 * Marks, joiners and variation selectors stay with the character before them. A token becomes lower case unless
 * case_sensitive; then a token longer than max_token_length bytes is dropped, then a stop word; the rest is stemmed
 * (Snowball, by libstemmer) and reduced to ASCII, each if the settings say so.
 */
#ifndef TEXT_ANALYZER_H
#define TEXT_ANALYZER_H

#include "text/settings.h"

/* Not for several threads at a time. */
struct text_analyzer;

struct text_token {
    struct span text;    /* until the next token */
    uint32_t position;   /* of the word in the text; dropped words have positions too */
    uint32_t begin, end; /* the bytes of the word in the text */
};
/* Takes a token. Returns false to end the analysis. */
typedef bool text_token_fn(void *ctx, const struct text_token *token);

/* Fails with DP_NOMEM. */
enum dp_status text_analyzer_new(const struct text_settings *settings, struct text_analyzer **out,
                                 struct dp_error *error);
void text_analyzer_free(struct text_analyzer *a); /* NULL is fine */

/* Gives the tokens of a text in order, with positions from *position on; then *position is that behind the last one.
 * The elements of an array are analysed one after another, with 1 added to *position between two, so that they are
 * never neighbours. Bytes that are not UTF-8 end a word. Fails with DP_TOO_LARGE for a text over 1 GiB, and DP_NOMEM. */
enum dp_status text_analyze(struct text_analyzer *a, struct span text, uint32_t *position, text_token_fn *fn,
                            void *ctx, struct dp_error *error);

#endif
