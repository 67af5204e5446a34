/* embed/model_impl.h: the inside of struct model. Private to the files that open models. */
#ifndef EMBED_MODEL_IMPL_H
#define EMBED_MODEL_IMPL_H

#include "embed/native/fp32_model.h"
#include "embed/model.h"
#include "embed/native/packed_model.h"
#include "os/file.h"

enum { MODEL_ENGINE_MAX = 100 };

struct model {
    struct model_info info;
    struct tokenizer *tokenizer;
    struct engine *engine;
    struct packed_model packed; /* native int8 */
    struct fp32_model fp32;     /* native fp32 */
    struct prompts prompts;
    /* of each kind, with the special tokens before a text; pooling may leave them out */
    size_t prompt_tokens[TEXT_KINDS];
    uint8_t own_fingerprint[32]; /* without prompts */
    struct os_map file;          /* of a packed model that model_open_dir opened */
    void *owned;                 /* packed bytes that we made from a folder, or copied for alignment */
    char name[MODEL_NAME_MAX + 1];
    char fingerprint[65];
    char engine_name[MODEL_ENGINE_MAX]; /* where `ops->name` is not enough */
};

/* Makes an empty model, after the checks that every model needs. */
enum dp_status model_begin(struct model **model, struct dp_error *error);
/* Passes the model to *out, or frees it after a failure. Returns `status`. */
enum dp_status model_end(enum dp_status status, struct model *model, struct model **out);

/* Checks that the model has an embedding for every id of the tokenizer, and room for a text between special
 * tokens. */
enum dp_status model_check_tokenizer(const struct tokenizer *tokenizer, const struct bert_config *config,
                                     const char *name, struct dp_error *error);
/* Copies the prompts, counts their tokens and makes the fingerprint. DP_INVALID: a prompt leaves no room for a
 * text. */
enum dp_status model_take_prompts(struct model *model, const struct prompts *prompts, struct dp_error *error);

/* Fills `info`, except engine and precision, and copies the prompts. The model has its engine and its tokenizer;
 * `fingerprint` is without prompts. */
enum dp_status model_set_info(struct model *model, const struct bert_config *config, const char *name,
                              const uint8_t fingerprint[32], const struct prompts *prompts,
                              struct dp_error *error);

#endif
