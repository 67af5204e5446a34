/* embed/prompts.h: the words that a model wants before a text, by the text's purpose.
 *
 * Models are trained with words such as "query: " before a question and "passage: " before its answer. Without
 * them the vectors are worse, and no error says so. sentence-transformers keeps these in
 * config_sentence_transformers.json. docs/models.md has the rules of choosing one.
 */
#ifndef EMBED_PROMPTS_H
#define EMBED_PROMPTS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

/* The purpose of a text. Stored in packed models: never renumber. */
enum text_kind { TEXT_PLAIN = 0, TEXT_QUERY = 1, TEXT_DOCUMENT = 2, TEXT_KINDS = 3 };

enum { PROMPT_MAX = 8192 }; /* maximum bytes of a prompt */

struct prompts {
    struct span of[TEXT_KINDS]; /* an empty span: no prompt */
    bool are_skipped;           /* pooling leaves their tokens out */
    void *owned;                /* NULL, or their bytes, which prompts_copy allocated */
};

/* config_sentence_transformers.json: fills of[], in the arena. Chooses as sentence-transformers does: the default
 * prompt for a plain text; "query" for a query; the first of "document", "passage" and "corpus" for a document.
 * DP_UNSUPPORTED: a model that embeds no texts, or a field that we do not support. */
enum dp_status prompts_parse(struct span json, struct arena *arena, struct prompts *out, struct dp_error *error);

/* A copy that owns its bytes. DP_TOO_LARGE: a prompt is longer than PROMPT_MAX. */
enum dp_status prompts_copy(const struct prompts *from, struct prompts *out, struct dp_error *error);
void prompts_free(struct prompts *prompts);

/* The packed form: are_skipped (4 bytes, 0 or 1), then the length (4 bytes) and the bytes of each prompt. */
void prompts_write(const struct prompts *prompts, struct buffer *out);
/* Reads the packed form in place. DP_CORRUPT. */
enum dp_status prompts_read(struct span packed, struct prompts *out, struct dp_error *error);

/* The fingerprint of a model with prompts, from `model`, the fingerprint without them. They are equal if plain
 * texts and documents have no prompt. A query's prompt does not count: stored vectors do not depend on it. */
void prompts_fingerprint(const struct prompts *prompts, const uint8_t model[32], uint8_t out[32]);

#endif
