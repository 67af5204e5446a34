/* embed/tokenizer.h: text in, token ids out, exactly as the `tokenizers` package gives them.
 *
 * Reads the BERT family of tokenizer.json (BertNormalizer, BertPreTokenizer, WordPiece, TemplateProcessing,
 * BertProcessing or RobertaProcessing, added tokens); refuses any other component by name. The `truncation` and `padding` sections
 * are ignored: the caller decides how long a text may be. docs/internals/tokenizer.md describes the behaviour
 * and the packed form.
 *
 * A tokenizer never changes after it is opened; any number of threads may use it at once.
 *
 * Text is UTF-8. Bytes that are not (each maximal subpart, Unicode 15 §3.9) count as U+FFFD, which BERT's
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
    size_t skip; /* of the first tokens, which are a prompt's: the pool leaves them out */
};

/* Opens the text of a tokenizer.json, which may be freed afterwards. DP_INVALID: not a well-formed one;
 * DP_UNSUPPORTED: a component that this tokenizer does not have, named in the message; DP_NOMEM. */
enum dp_status tokenizer_open(struct span json, struct tokenizer **out, struct dp_error *error);

/* What a model's folder changes in its tokenizer.json. Zeros: nothing. */
struct tokenizer_changes {
    bool replace_normalizer; /* by a BertNormalizer that cleans text and has the three fields that follow */
    bool chinese_chars, lowercase, strip_accents;
    bool lowercase_first; /* whatever the normalizer is, and without stripping accents on that account */
};

/* The same with changes. */
enum dp_status tokenizer_open_changed(struct span json, const struct tokenizer_changes *changes,
                                      struct tokenizer **out, struct dp_error *error);

/* Opens what tokenizer_serialize wrote, in place: `packed` must stay readable until tokenizer_free. Any
 * alignment. DP_CORRUPT when a checksum or a bound fails. */
enum dp_status tokenizer_open_packed(struct span packed, struct tokenizer **out, struct dp_error *error);

/* Appends the packed form: everything tokenizer_open made, ready to be searched where it lies. */
enum dp_status tokenizer_serialize(const struct tokenizer *t, struct buffer *out, struct dp_error *error);

void tokenizer_free(struct tokenizer *t);

/* Encodes one text with its special tokens, at most max_tokens of them all (0: no limit), cut at the right.
 * Scratch memory comes from the arena too, about three bytes for a byte of text, up to 200 KB for ordinary
 * text of any length. DP_INVALID when max_tokens has no room for the special tokens; DP_NOMEM. */
enum dp_status tokenizer_encode(const struct tokenizer *t, struct span text, size_t max_tokens,
                                struct arena *arena, struct tokens *out, struct dp_error *error);

/* Splits a text into the fewest windows of at most max_tokens, special tokens included, of which neighbours
 * share at least `overlap` tokens. All have the same length and are evenly spread; a text that fits gives one.
 * Each has `total` = the whole text's, special tokens once.
 * *windows is an array in the arena. DP_INVALID unless max_tokens exceeds overlap + special tokens. */
enum dp_status tokenizer_windows(const struct tokenizer *t, struct span text, size_t max_tokens, size_t overlap,
                                 struct arena *arena, struct tokens **windows, size_t *count,
                                 struct dp_error *error);

/* Every id is below this: a model must have at least as many token embeddings. */
uint32_t tokenizer_id_limit(const struct tokenizer *t);

/* How many special tokens frame a text, and how many of them stand behind it. */
size_t tokenizer_special_count(const struct tokenizer *t);
size_t tokenizer_special_after(const struct tokenizer *t);

/* The text of a token ("##ing"); false when there is none. Lives as long as the tokenizer. */
bool tokenizer_token(const struct tokenizer *t, int32_t id, struct span *text);

#endif
