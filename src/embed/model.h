/* embed/model.h: a loaded model: its tokenizer and its engine.
 *
 * Never changes after it is opened; any number of threads may use it. An embedder (embed/embedder.h) makes vectors
 * with it.
 */
#ifndef EMBED_MODEL_H
#define EMBED_MODEL_H

#include "base/buffer.h"
#include "base/error.h"
#include "embed/engine.h"
#include "embed/prompts.h"
#include "embed/tokenizer.h"

enum model_precision { MODEL_INT8, MODEL_FP32 };

struct model;

struct model_info {
    const char *name;  /* "all-MiniLM-L6-v2" */
    size_t dim;        /* floats of a vector */
    size_t max_tokens; /* of a text, special tokens included; the caller cuts or splits longer texts */
    /* 64 hexadecimal digits of a hash over weights, tokenizer, the settings that shape a vector, and the
     * prompts of plain texts and documents. Both native precisions share one, as their vectors may be
     * compared; a cache adds the engine. An ONNX file has a different one. */
    const char *fingerprint;
    const char *engine;             /* "native int8" | "native fp32" | "onnx/model.onnx by ONNX Runtime 1.31.1" */
    enum model_precision precision; /* of the native engine; MODEL_FP32 of others */
    enum model_pooling pooling;
    bool normalized; /* whether the model's last step normalises */
    /* Operations per token, a multiply-add counted as two; 0: not known. */
    double linear_ops;    /* in the linear layers */
    double attention_ops; /* in attention, per token of its text */
};

/* Opens a packed model in place: `packed` must outlive the model. Copies bytes that are not 64-byte aligned.
 * DP_CORRUPT when a checksum or bound fails. */
enum dp_status model_open_memory(struct span packed, struct model **out, struct dp_error *error);

/* Opens a model folder, a model by name in the offline hub cache (see model_dir.h), or a packed model's file.
 * MODEL_INT8 quantises the weights while opening. DP_UNSUPPORTED: fp32 of a packed model, which has int8 weights
 * alone. */
enum dp_status model_open_dir(const char *path, enum model_precision precision, struct model **out,
                              struct dp_error *error);

/* Opens a model folder, or a model by name in the offline hub cache, with ONNX Runtime. The folder has an ONNX
 * file (embed/onnx/onnx_file.h says which one we take), tokenizer.json and config.json, of any kind of encoder.
 * Pooling and normalisation are read as by model_open_dir, but a graph that gives sentence_embedding pools by
 * itself. Fails as onnx_engine_new does (embed/onnx_engine.h). */
struct onnx_options {
    const char *library;     /* libonnxruntime.so; NULL or "": the usual places */
    const char *file;        /* which ONNX file; NULL or "": the usual one */
    unsigned threads;        /* of the compute team that will call it; 0: one per processor */
    unsigned threads_a_text; /* of them that share a text; 0: half, rounded up */
    unsigned batch;          /* texts of one run; 0: 1, so that no text depends on its neighbours */
};
enum dp_status model_open_onnx(const char *path, const struct onnx_options *options, struct model **out,
                               struct dp_error *error);

void model_free(struct model *model);

/* Packs a model folder; appends to `out`, whose length must be a multiple of 64. */
enum dp_status model_pack(const char *path, struct buffer *out, struct dp_error *error);

/* Replaces prompts: of[kind].data NULL keeps the model's prompt, an empty span removes it. Call it before any
 * thread uses the model: its fingerprint changes. DP_INVALID: a prompt leaves no room for a text. */
enum dp_status model_set_prompts(struct model *model, const struct span of[TEXT_KINDS], struct dp_error *error);
const struct prompts *model_prompts(const struct model *model);

/* The tokens of a text with the prompt of its kind before it, as tokenizer_encode and tokenizer_windows give them.
 * Each window begins with the prompt. */
enum dp_status model_encode(const struct model *model, enum text_kind kind, struct span text, size_t max_tokens,
                            struct arena *arena, struct tokens *out, struct dp_error *error);
enum dp_status model_windows(const struct model *model, enum text_kind kind, struct span text, size_t max_tokens,
                             size_t overlap, struct arena *arena, struct tokens **windows, size_t *count,
                             struct dp_error *error);
/* The tokens of the longest prompt, special tokens included. */
size_t model_prompt_tokens_max(const struct model *model);

const char *model_pooling_name(enum model_pooling pooling); /* "mean", … */

/* These live as long as the model. */
const struct model_info *model_info(const struct model *model);
const struct tokenizer *model_tokenizer(const struct model *model);
const struct engine *model_engine(const struct model *model);

#endif
