/* embed/prompts.h: prompts: the words that a model wants before a text, chosen by the text's kind.
 *
 * Models are trained with words such as "query: " before a question and "passage: " before its answer. Without
 * them the vectors are worse, and no error says so. sentence-transformers keeps prompts in
 * config_sentence_transformers.json. docs/models.md says which prompt a text gets.
 */
#ifndef EMBED_PROMPTS_H
#define EMBED_PROMPTS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

/* The kind of a text. Never change the numbers: packed models contain the prompts in this order. */
enum text_kind { TEXT_PLAIN = 0, TEXT_QUERY = 1, TEXT_DOCUMENT = 2, TEXT_KINDS = 3 };

enum { PROMPT_MAX = 8192 }; /* maximum bytes of a prompt */

struct prompts {
    struct span of[TEXT_KINDS]; /* an empty span: no prompt */
    bool are_skipped;           /* pooling leaves out the prompts' tokens */
    void *owned;                /* the prompts' bytes, which prompts_copy allocated, or NULL */
};

/* Reads config_sentence_transformers.json and fills out->of, in the arena. Chooses like sentence-transformers: for
 * a plain text the default prompt, for a query "query", for a document the first of "document", "passage" and
 * "corpus". Errors: DP_UNSUPPORTED (a model that embeds no texts, or a field that we do not support). */
enum dp_status prompts_parse(struct span json, struct arena *arena, struct prompts *out, struct dp_error *error);

/* Makes a copy that owns its bytes. Errors: DP_TOO_LARGE (a prompt is longer than PROMPT_MAX). */
enum dp_status prompts_copy(const struct prompts *from, struct prompts *out, struct dp_error *error);
void prompts_free(struct prompts *prompts);

/* Appends the packed form: are_skipped (4 bytes, 0 or 1), then the length (4 bytes) and the bytes of each
 * prompt. */
void prompts_write(const struct prompts *prompts, struct buffer *out);
/* Reads the packed form in place: the prompts point into `packed`. Errors: DP_CORRUPT. */
enum dp_status prompts_read(struct span packed, struct prompts *out, struct dp_error *error);

/* Computes a model's fingerprint with these prompts. `model` is its fingerprint without prompts. The two are equal
 * if plain texts and documents have no prompt. The prompt of queries does not count, because stored vectors do not
 * depend on it. */
void prompts_fingerprint(const struct prompts *prompts, const uint8_t model[32], uint8_t out[32]);

#endif
