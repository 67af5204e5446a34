/* text/stop_words.h: frequent words that say little, by language. stop_word_tables.c is generated. */
#ifndef TEXT_STOP_WORDS_H
#define TEXT_STOP_WORDS_H

#include "base/span.h"
#include "text/settings.h"

struct stop_words {
    const char *const *words; /* [count], ascending by their bytes */
    size_t count;
};

extern const struct stop_words stop_words[]; /* [TEXT_LANGUAGES] */

/* Returns whether a word in lower case is a stop word. */
bool stop_word_is(enum text_language language, struct span word);

#endif
