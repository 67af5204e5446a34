/* text/settings.h: how the text of an attribute becomes tokens, and how their scores are weighed: the option
 * `full_text_search` of its schema. */
#ifndef TEXT_SETTINGS_H
#define TEXT_SETTINGS_H

#include "base/error.h"
#include "base/span.h"

/* How a text is cut into tokens; analyzer.h says what each does. */
enum text_tokenizer { TEXT_WORD_V0, TEXT_WORD_V1, TEXT_WORD_V2, TEXT_WORD_V3, TEXT_WORD_V4, TEXT_PRE_TOKENIZED };

enum text_language {
    TEXT_ENGLISH,
    TEXT_ARABIC,
    TEXT_DANISH,
    TEXT_DUTCH,
    TEXT_FINNISH,
    TEXT_FRENCH,
    TEXT_GERMAN,
    TEXT_GREEK,
    TEXT_HUNGARIAN,
    TEXT_ITALIAN,
    TEXT_NORWEGIAN,
    TEXT_PORTUGUESE,
    TEXT_ROMANIAN,
    TEXT_RUSSIAN,
    TEXT_SPANISH,
    TEXT_SWEDISH,
    TEXT_TAMIL,
    TEXT_TURKISH,
    TEXT_LANGUAGES
};

enum { TEXT_TOKEN_MAX = 254 }; /* maximum of max_token_length */

struct text_settings {
    enum text_tokenizer tokenizer;
    enum text_language language; /* of the stemmer and of the stop words */
    bool stemming, remove_stopwords, case_sensitive, ascii_folding;
    uint32_t max_token_length; /* bytes; longer tokens are left out */
    double k1, b, k3;          /* of bm25.h */
};

/* Parses the value of `full_text_search`: true, or an object whose missing fields have their defaults. Fails with
 * DP_INVALID, which names the field. */
enum dp_status text_settings_parse(struct span option, struct text_settings *out, struct dp_error *error);
/* Returns a hash of everything that decides which tokens a text gives, the behaviour of the linked stemmer included.
 * Its equality means equal tokens. */
uint64_t text_settings_hash(const struct text_settings *s);

/* Returns the name of a language: "english", … */
const char *text_language_name(enum text_language language);
/* Find the language or the tokenizer with a name. Return false if there is none. */
bool text_language_parse(struct span name, enum text_language *out);
bool text_tokenizer_parse(struct span name, enum text_tokenizer *out);

#endif
