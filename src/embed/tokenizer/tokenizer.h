/* embed/tokenizer/tokenizer.h: the inside of the tokenizer. Private to its files and their tests.
 *
 *   spec.h       struct wordpiece_spec
 *   json.c       tokenizer.json → struct wordpiece_spec
 *   pack.c       struct wordpiece_spec → packed form → struct tokenizer
 *   added.c      finds added tokens ("[MASK]") inside text
 *   normalize.c  the BERT normalizer
 *   wordpiece.c  the BERT pre-tokenizer and the WordPiece model
 *   tokenizer.c  the public functions, which call the others in order
 */
#ifndef EMBED_TOKENIZER_TOKENIZER_H
#define EMBED_TOKENIZER_TOKENIZER_H

#include "embed/tokenizer.h"
#include "embed/tokenizer/spec.h"
#include "embed/tokenizer/trie.h"

/* The added tokens that one search looks for. */
struct added_set {
    struct trie trie;      /* values are positions in `tokens` */
    bool begins[256];      /* whether a member begins with this byte */
    const uint8_t *tokens; /* {id, flags}, four little-endian bytes each */
};

/* A WordPiece tokenizer, the only kind so far. */
struct tokenizer {
    struct span packed;
    void *owned;         /* the packed bytes, if tokenizer_open made them; else NULL */
    uint32_t normalizer; /* bits of enum normalizer_flag */
    uint32_t max_word_chars;
    uint32_t id_limit; /* every id is smaller */
    uint32_t unknown_id;
    uint32_t continuation; /* node of `words` at which the pieces inside a word begin */
    struct trie words;
    struct added_set literal;      /* tokens to find in the raw text */
    struct added_set normalized;   /* tokens to find in normalized text */
    const uint8_t *before, *after; /* ids of the special tokens around a text, four little-endian bytes each */
    size_t before_count, after_count;
    const uint8_t *token_index; /* {id, end of its text in token_texts}, ascending by id */
    size_t token_count;
    const uint8_t *token_texts;
    uint8_t ascii_normal[128]; /* the normalized form of each character; ASCII_DROP: none */
    uint8_t ascii_class[128];  /* enum word_class of each character */
};

enum { ASCII_DROP = 0xff };
enum word_class { CLASS_WORD, CLASS_SPACE, CLASS_PUNCT };

/* A sink for token ids. It keeps the first `limit` ids and counts all. */
struct id_sink {
    struct arena *arena;
    int32_t *ids;
    size_t kept, capacity, limit;
    size_t total;
    bool failed; /* out of memory */
};

void sink_grow(struct id_sink *sink);

static inline void sink_put(struct id_sink *sink, uint32_t id)
{
    sink->total++;
    if (sink->kept == sink->limit)
        return;
    if (sink->kept == sink->capacity)
        sink_grow(sink);
    if (!sink->failed)
        sink->ids[sink->kept++] = (int32_t)id;
}

enum dp_status tokenizer_parse(struct span json, const struct tokenizer_changes *changes, struct arena *arena,
                               struct wordpiece_spec *spec, struct dp_error *error);
enum dp_status tokenizer_pack(const struct wordpiece_spec *spec, struct arena *arena, struct buffer *out,
                              struct dp_error *error);

/* Sets table[c] to the normalized form of the ASCII character c, or to ASCII_DROP. */
void normalize_ascii(uint32_t flags, uint8_t table[128]);
/* Normalizes valid UTF-8 into out[UNICODE_EXPANSION_MAX * text.len] and returns the part that it filled. Only long
 * runs of combining characters need the arena. Returns .data NULL if the arena has no room. */
struct span normalize(uint32_t flags, const uint8_t ascii[128], struct span text, uint8_t *out,
                      struct arena *arena);

/* Splits normalized text (valid UTF-8) into words, and puts the ids of their pieces into `sink`. */
void words_encode(const struct tokenizer *t, struct span text, struct id_sink *sink);

/* A walk over text that cuts it at added tokens. */
struct added_scan {
    const struct added_set *set;
    struct span text;
    size_t searched; /* the next match begins here or later */
    size_t covered;  /* end of the last part */
    bool has_token;  /* the next part is the token `token` */
    uint32_t token;
    bool ended;
};

/* One part of a cut text: text without added tokens, or one added token. */
struct text_part {
    struct span text;
    bool is_token;
    uint32_t id; /* the token's, if is_token */
};

struct added_scan added_begin(const struct added_set *set, struct span text);
/* Gives the next part, which is never an empty text. False at the end. */
bool added_next(struct added_scan *scan, struct text_part *part);

static inline uint32_t load_u32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

#endif
