/* embed/model_impl.h: the inside of struct model. Private to the files that open models and encode
 * texts with them. */
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
    struct packed_model packed; /* filled for the native engine with int8 weights */
    struct fp32_model fp32;     /* filled for the native engine with fp32 weights */
    struct prompts prompts;
    /* Tokens of each kind's prompt, with the special tokens before a text. Pooling may leave them out. */
    size_t prompt_tokens[TEXT_KINDS];
    uint8_t own_fingerprint[32]; /* the fingerprint without prompts */
    struct os_map file;          /* the file of a packed model that model_open_dir opened */
    void *owned;                 /* packed bytes that we made from a folder, or copied to align them; or NULL */
    char name[MODEL_NAME_MAX + 1];
    char fingerprint[65];
    char engine_name[MODEL_ENGINE_MAX]; /* the name of an ONNX engine, with its file and library */
};

/* Makes an empty model, after the checks that every model needs. */
enum dp_status model_begin(struct model **model, struct dp_error *error);
/* Passes the model to *out. If `status` is a failure, frees the model and sets *out to NULL. Returns `status`. */
enum dp_status model_end(enum dp_status status, struct model *model, struct model **out);

/* Checks that the model has an embedding for every id of the tokenizer, and has room for a text between the
 * special tokens. */
enum dp_status model_check_tokenizer(const struct tokenizer *tokenizer, const struct bert_config *config,
                                     const char *name, struct dp_error *error);
/* Copies the prompts, counts their tokens and makes the fingerprint. DP_INVALID: a prompt leaves no room for a
 * text. */
enum dp_status model_take_prompts(struct model *model, const struct prompts *prompts, struct dp_error *error);

/* Fills `info` and copies the prompts. The caller sets info.precision, and info.engine if it is not the engine's
 * name. The model must have its engine and its tokenizer. `fingerprint` does not cover prompts. */
enum dp_status model_set_info(struct model *model, const struct bert_config *config, const char *name,
                              const uint8_t fingerprint[32], const struct prompts *prompts,
                              struct dp_error *error);

#endif
