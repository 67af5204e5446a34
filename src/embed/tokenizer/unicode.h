/* embed/tokenizer/unicode.h: properties of characters that BERT tokenizers need.
 *
 * scripts/gen-tokenizer-tables makes the tables (unicode_tables.c): it records the behaviour of the `tokenizers`
 * package. The package mixes several Unicode versions, so use the tables only to tokenize. They do not depend on
 * the C library or the host.
 */
#ifndef EMBED_UNICODE_H
#define EMBED_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum unicode_flag {
    UNICODE_DROP = 1 << 0,       /* clean_text removes the character: control, format, private use, NUL, U+FFFD */
    UNICODE_BLANK = 1 << 1,      /* clean_text turns it into a space */
    UNICODE_CHINESE = 1 << 2,    /* handle_chinese_chars puts spaces around it */
    UNICODE_MARK = 1 << 3,       /* strip_accents removes it (after NFD) */
    UNICODE_SPACE = 1 << 4,      /* separates words; \s of the added tokens' lstrip and rstrip */
    UNICODE_PUNCT = 1 << 5,      /* punctuation: a word by itself */
    UNICODE_WORD = 1 << 6,       /* \w of the added tokens' single_word */
    UNICODE_DECOMPOSES = 1 << 7, /* NFD changes it */
    UNICODE_LOWERS = 1 << 8,     /* lower-casing changes it */
};

/* Normalizing makes a text at most this many times as long, in bytes. The generator checks it. */
enum { UNICODE_EXPANSION_MAX = 3 };

/* Maximum code points of a character's canonical decomposition, and of its lower case. */
enum { UNICODE_MAPPED_MAX = 4 };

struct unicode_kind {
    uint16_t flags;
    uint8_t combining_class; /* canonical combining class; 0 for a starter */
};

/* A character and its mapping: `count` code points from position `at` of the table's pool. */
struct unicode_mapping {
    uint32_t from;
    uint16_t at;
    uint8_t count;
};

enum { UNICODE_BLOCK = 128 };

extern const struct unicode_kind unicode_kinds[];
extern const uint8_t unicode_block_of[0x110000 / UNICODE_BLOCK];
extern const uint8_t unicode_blocks[]; /* [distinct blocks][UNICODE_BLOCK] */
extern const struct unicode_mapping unicode_decompositions[];
extern const size_t unicode_decompositions_count;
extern const uint32_t unicode_decompositions_pool[];
extern const struct unicode_mapping unicode_lowercases[];
extern const size_t unicode_lowercases_count;
extern const uint32_t unicode_lowercases_pool[];

/* Returns the properties of c, a code point below 0x110000. */
static inline struct unicode_kind unicode_kind_of(uint32_t c)
{
    size_t block = unicode_block_of[c / UNICODE_BLOCK];
    return unicode_kinds[unicode_blocks[block * UNICODE_BLOCK + c % UNICODE_BLOCK]];
}

/* Write the full canonical decomposition of a character with UNICODE_DECOMPOSES, or the lower case of one with
 * UNICODE_LOWERS. Both return the number of code points. */
size_t unicode_decompose(uint32_t c, uint32_t out[UNICODE_MAPPED_MAX]);
size_t unicode_lowercase(uint32_t c, uint32_t out[UNICODE_MAPPED_MAX]);

#endif
