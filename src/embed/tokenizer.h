/* embed/tokenizer.h: a WordPiece tokenizer: text in, token ids out, exactly as the `tokenizers` package gives
 * them.
 *
 * Reads the BERT family of tokenizer.json (BertNormalizer, BertPreTokenizer, WordPiece, TemplateProcessing,
 * BertProcessing or RobertaProcessing, added tokens); refuses any other component by name. Ignores the sections
 * `truncation` and `padding`: the caller decides how long a text may be. docs/internals/tokenizer.md describes the
 * behaviour and the packed form.
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
    size_t skip; /* number of first tokens that pooling leaves out: a prompt's */
};

/* Opens the text of a tokenizer.json, which may be freed afterwards. DP_INVALID: malformed; DP_UNSUPPORTED names a
 * component that this tokenizer lacks; DP_NOMEM. */
enum dp_status tokenizer_open(struct span json, struct tokenizer **out, struct dp_error *error);

/* Changes that a model's folder makes to its tokenizer.json. Zeros: no change. */
struct tokenizer_changes {
    bool replace_normalizer; /* by a BertNormalizer with clean_text and the next three fields */
    bool chinese_chars, lowercase, strip_accents;
    bool lowercase_first; /* before any normalizer, and without stripping accents */
};

/* tokenizer_open with changes. */
enum dp_status tokenizer_open_changed(struct span json, const struct tokenizer_changes *changes,
                                      struct tokenizer **out, struct dp_error *error);

/* Opens the bytes of tokenizer_serialize in place: `packed` must stay readable until tokenizer_free. Any
 * alignment. DP_CORRUPT when a checksum or a bound fails. */
enum dp_status tokenizer_open_packed(struct span packed, struct tokenizer **out, struct dp_error *error);

/* Appends the packed form, which tokenizer_open_packed searches in place. */
enum dp_status tokenizer_serialize(const struct tokenizer *t, struct buffer *out, struct dp_error *error);

void tokenizer_free(struct tokenizer *t);

/* Encodes one text with its special tokens, at most max_tokens together (0: no limit), cut at the right. Scratch
 * comes from the arena too: three bytes per byte of text, at most 200 KB for ordinary text. DP_INVALID: max_tokens
 * has no room for the special tokens; DP_NOMEM. */
enum dp_status tokenizer_encode(const struct tokenizer *t, struct span text, size_t max_tokens,
                                struct arena *arena, struct tokens *out, struct dp_error *error);

/* Splits a text into the fewest windows of at most max_tokens, special tokens included. Neighbours share at least
 * `overlap` tokens. All windows have one length and are evenly spread; a text that fits is one window. `total` of
 * each is the whole text's, special tokens counted once. *windows is an array in the arena. DP_INVALID unless
 * max_tokens exceeds overlap + special tokens. */
enum dp_status tokenizer_windows(const struct tokenizer *t, struct span text, size_t max_tokens, size_t overlap,
                                 struct arena *arena, struct tokens **windows, size_t *count,
                                 struct dp_error *error);

/* Every id is below this limit: a model needs as many token embeddings. */
uint32_t tokenizer_id_limit(const struct tokenizer *t);

/* The number of special tokens around a text, and of those behind it. */
size_t tokenizer_special_count(const struct tokenizer *t);
size_t tokenizer_special_after(const struct tokenizer *t);

/* The text of a token ("##ing"). False: no such id. Lives as long as the tokenizer. */
bool tokenizer_token(const struct tokenizer *t, int32_t id, struct span *text);

#endif
