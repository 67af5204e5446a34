/* embed/tokenizer.h: a WordPiece tokenizer, which turns a text into exactly the token ids that the `tokenizers`
 * package gives.
 *
 * It reads the BERT family of tokenizer.json (BertNormalizer, BertPreTokenizer, WordPiece, TemplateProcessing,
 * BertProcessing or RobertaProcessing, added tokens) and refuses any other component by name. It ignores the
 * sections `truncation` and `padding`, because the caller decides how long a text may be.
 * docs/internals/tokenizer.md describes the behaviour and the packed form.
 *
 * A tokenizer never changes after it is opened; any number of threads may use it at once.
 *
 * Text is UTF-8. Each maximal subpart of an ill-formed sequence (Unicode 15 §3.9) counts as U+FFFD, which BERT's
 * clean_text removes.
 */
#ifndef EMBED_TOKENIZER_H
#define EMBED_TOKENIZER_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/span.h"

struct tokenizer;

struct tokens {
    int32_t *ids; /* in the caller's arena */
    size_t count;
    size_t total; /* tokens before truncation, special ones included */
    bool truncated;
    size_t skip; /* how many tokens at the beginning pooling leaves out: those of the prompt */
};

/* Opens a tokenizer from the text of a tokenizer.json, which may be freed afterwards. Errors: DP_INVALID
 * (malformed), DP_UNSUPPORTED (names a component that this tokenizer lacks), DP_NOMEM. */
enum dp_status tokenizer_open(struct span json, struct tokenizer **out, struct dp_error *error);

/* Changes that a model's folder makes to its tokenizer.json. Zeros: no change. */
struct tokenizer_changes {
    bool replace_normalizer; /* use a BertNormalizer with clean_text and the next three fields */
    bool chinese_chars, lowercase, strip_accents;
    bool lowercase_first; /* lower-case before any normalizer, without stripping accents */
};

/* Opens a tokenizer like tokenizer_open, and applies `changes`. */
enum dp_status tokenizer_open_changed(struct span json, const struct tokenizer_changes *changes,
                                      struct tokenizer **out, struct dp_error *error);

/* Opens, in place, the bytes that tokenizer_serialize wrote. `packed` must stay readable until tokenizer_free, and
 * may have any alignment. Errors: DP_CORRUPT (a checksum or a bound fails). */
enum dp_status tokenizer_open_packed(struct span packed, struct tokenizer **out, struct dp_error *error);

/* Appends the packed form, which tokenizer_open_packed opens in place. */
enum dp_status tokenizer_serialize(const struct tokenizer *t, struct buffer *out, struct dp_error *error);

void tokenizer_free(struct tokenizer *t);

/* Encodes one text with its special tokens, and cuts it at the end so that it has at most max_tokens (0: no
 * limit). Also takes scratch memory from the arena: three bytes for each byte of text, at most 200 KB for ordinary
 * text. Errors: DP_INVALID (max_tokens has no room for the special tokens), DP_NOMEM. */
enum dp_status tokenizer_encode(const struct tokenizer *t, struct span text, size_t max_tokens,
                                struct arena *arena, struct tokens *out, struct dp_error *error);

/* Splits a text into the fewest windows of at most max_tokens, special tokens included. Neighbouring windows share
 * at least `overlap` tokens. All windows have one length and are evenly spread; a text that fits is one window.
 * The `total` of each window counts the whole text, and the special tokens once. *windows is an array in the
 * arena. Errors: DP_INVALID (max_tokens must exceed overlap + special tokens), DP_NOMEM. */
enum dp_status tokenizer_windows(const struct tokenizer *t, struct span text, size_t max_tokens, size_t overlap,
                                 struct arena *arena, struct tokens **windows, size_t *count,
                                 struct dp_error *error);

/* Returns a limit that every id is below. A model needs that many token embeddings. */
uint32_t tokenizer_id_limit(const struct tokenizer *t);

/* Return the number of special tokens: around a text, and only behind it. */
size_t tokenizer_special_count(const struct tokenizer *t);
size_t tokenizer_special_after(const struct tokenizer *t);

/* Finds the text of a token, such as "##ing". Returns false if the id does not exist. The text lives as long as
 * the tokenizer. */
bool tokenizer_token(const struct tokenizer *t, int32_t id, struct span *text);

#endif
