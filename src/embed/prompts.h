/* embed/prompts.h: what a model wants written before a text, by what the text is for.
 *
 * Models are trained with words such as "query: " before a question and "passage: " before what answers it; without them
 * their vectors are worse, and nothing says so. sentence-transformers keeps these in config_sentence_transformers.json.
 * docs/models.md has the rules by which one is chosen.
 */
#ifndef EMBED_PROMPTS_H
#define EMBED_PROMPTS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

/* What a text is for. Stored in packed models: never renumber. */
enum text_kind { TEXT_PLAIN = 0, TEXT_QUERY = 1, TEXT_DOCUMENT = 2, TEXT_KINDS = 3 };

enum { PROMPT_MAX = 8192 }; /* bytes of one */

struct prompts {
    struct span of[TEXT_KINDS]; /* empty: none */
    bool are_skipped;           /* their tokens are left out of the pool */
    void *owned;                /* their bytes, where prompts_copy made them */
};

/* config_sentence_transformers.json: fills of[], in the arena. As the library does: the default prompt for a plain text;
 * "query" for a query; the first of "document", "passage" and "corpus" for a document; and none where there is none.
 * DP_UNSUPPORTED names a kind of model that embeds no texts, or a field that is not supported. */
enum dp_status prompts_parse(struct span json, struct arena *arena, struct prompts *out, struct dp_error *error);

/* A copy that owns its bytes. DP_TOO_LARGE: one has more than PROMPT_MAX. */
enum dp_status prompts_copy(const struct prompts *from, struct prompts *out, struct dp_error *error);
void prompts_free(struct prompts *prompts);

/* The packed form: whether they are skipped (4 bytes, 0 or 1), then of each its length (4) and bytes. */
void prompts_write(const struct prompts *prompts, struct buffer *out);
/* In place. DP_CORRUPT. */
enum dp_status prompts_read(struct span packed, struct prompts *out, struct dp_error *error);

/* The fingerprint of a model with prompts, from that of the model: the same without a plain prompt and a document's. A
 * query's prompt is not in it: vectors that are kept do not depend on it. */
void prompts_fingerprint(const struct prompts *prompts, const uint8_t model[32], uint8_t out[32]);

#endif
