/* embed/model_impl.h: what a model is made of; private to model.c and model_onnx.c, which open them. */
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
    size_t prompt_tokens[TEXT_KINDS]; /* of each, with the special tokens before a text: left out of the pool */
    uint8_t own_fingerprint[32];      /* without prompts */
    struct os_map file;               /* of a packed model that was opened by path */
    void *owned;                      /* packed bytes that are ours: of a folder, or copied for alignment */
    char name[MODEL_NAME_MAX + 1];
    char fingerprint[65];
    char engine_name[MODEL_ENGINE_MAX]; /* where the engine has more to say than its own name */
};

/* A new model, and the checks that come before any. */
enum dp_status model_begin(struct model **model, struct dp_error *error);
/* The model, or nothing after a failure: then it is freed. Answers `status`. */
enum dp_status model_end(enum dp_status status, struct model *model, struct model **out);

/* That the tokenizer's ids, and a text with its special tokens, fit the model. */
enum dp_status model_check_tokenizer(const struct tokenizer *tokenizer, const struct bert_config *config,
                                     const char *name, struct dp_error *error);
/* Takes a copy of the prompts, learns how many tokens they have, and makes the fingerprint. DP_INVALID: one leaves no room
 * for a text. */
enum dp_status model_take_prompts(struct model *model, const struct prompts *prompts, struct dp_error *error);

/* Fills info, but for engine and precision, from what the engine and the folder say, and takes a copy of the prompts. The
 * engine and the tokenizer are there; `fingerprint` is without prompts. */
enum dp_status model_set_info(struct model *model, const struct bert_config *config, const char *name,
                              const uint8_t fingerprint[32], const struct prompts *prompts,
                              struct dp_error *error);

#endif
