/* embed/tokenizer/spec.h: a WordPiece tokenizer as its tokenizer.json describes it, before it is packed. */
#ifndef EMBED_TOKENIZER_SPEC_H
#define EMBED_TOKENIZER_SPEC_H

#include "base/error.h"
#include "base/span.h"

/* The steps of the normalizer, as bits. Packed models store these values: never renumber. */
enum normalizer_flag {
    NORMALIZER_CLEAN_TEXT = 1 << 0,
    NORMALIZER_CHINESE_CHARS = 1 << 1,
    NORMALIZER_STRIP_ACCENTS = 1 << 2,
    NORMALIZER_LOWERCASE = 1 << 3,
    NORMALIZER_FLAGS_ALL = (1 << 4) - 1
};

/* The properties of an added token, as bits. Packed models store these values: never renumber. */
enum added_flag {
    ADDED_SINGLE_WORD = 1 << 0,
    ADDED_LSTRIP = 1 << 1,
    ADDED_RSTRIP = 1 << 2,
    ADDED_NORMALIZED = 1 << 3,
    ADDED_SPECIAL = 1 << 4,
    ADDED_FLAGS_ALL = (1 << 5) - 1
};

struct vocab_entry {
    struct span text;
    uint32_t id;
};

/* Orders entries by id, for qsort. */
static inline int vocab_compare_ids(const void *a, const void *b)
{
    const struct vocab_entry *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Refuses two different tokens with one id. */
static inline enum dp_status vocab_refuse_ids(const struct vocab_entry *a, const struct vocab_entry *b,
                                              struct dp_error *error)
{
    return dp_fail(error, DP_UNSUPPORTED,
                   "tokenizer.json: two tokens with the id %u are not supported: '%.*s' and '%.*s'", a->id,
                   SPAN_FMT(a->text), SPAN_FMT(b->text));
}

struct added_token {
    struct span text;
    uint32_t id;
    uint32_t flags;
};

/* A parsed tokenizer.json. Its arrays lie in the parser's arena; its spans lie there or in the JSON text. */
struct wordpiece_spec {
    uint32_t normalizer; /* bits of enum normalizer_flag */
    uint32_t max_word_chars;
    uint32_t unknown_id;
    struct span continuation;  /* "##" */
    struct vocab_entry *vocab; /* texts and ids are unique; unordered */
    size_t vocab_count;
    struct added_token *added; /* texts are unique */
    size_t added_count;
    uint32_t *before, *after; /* ids of the special tokens before and after a text */
    size_t before_count, after_count;
};

#endif
