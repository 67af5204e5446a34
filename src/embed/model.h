/* embed/model.h: an open model: its tokenizer, its engine and its prompts.
 *
 * After it is open, only model_set_prompts changes a model. Any number of threads may use it. An embedder
 * (embed/embedder.h) makes vectors with it.
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
    const char *name; /* "all-MiniLM-L6-v2" */
    size_t dim;       /* floats of a vector */
    /* Maximum tokens of a text, special tokens included. The caller cuts or splits longer texts. */
    size_t max_tokens;
    /* 64 hexadecimal digits: a hash over weights, tokenizer, the settings that shape a vector, and the prompts of
     * plain texts and documents. A folder has the same fingerprint in both native precisions, because their
     * vectors are comparable. An ONNX file has a different fingerprint. A cache key also contains the engine. */
    const char *fingerprint;
    const char *engine;             /* "native int8" | "native fp32" | "onnx/model.onnx by ONNX Runtime 1.31.1" */
    enum model_precision precision; /* of the native engine; other engines: MODEL_FP32 */
    enum model_pooling pooling;
    bool normalized; /* whether the model's last step normalises */
    uint64_t memory; /* bytes of the packed model, or of the ONNX file; 0: unknown */
    /* Operations; a multiply-add counts as two. 0: unknown. */
    double linear_ops;    /* per token, in the linear layers */
    double attention_ops; /* per ordered pair of tokens of a text, in attention */
};

/* Opens a packed model in place: `packed` must outlive the model. If the bytes are not 64-byte aligned, copies
 * them. DP_CORRUPT when a checksum or a bound does not hold. */
enum dp_status model_open_memory(struct span packed, struct model **out, struct dp_error *error);

/* Opens a model folder, a model by name in the offline hub cache (see model_dir.h), or a packed model's file. For
 * MODEL_INT8 it quantises a folder's weights. DP_UNSUPPORTED: MODEL_FP32 for a packed model, which has only int8
 * weights. */
enum dp_status model_open_dir(const char *path, enum model_precision precision, struct model **out,
                              struct dp_error *error);

struct onnx_options {
    const char *library;     /* libonnxruntime.so; NULL or "": the usual places */
    const char *file;        /* name of the ONNX file; NULL or "": the usual one */
    unsigned threads;        /* threads of the compute team that will call it; 0: one per processor */
    unsigned threads_a_text; /* how many of these threads share a text; 0: half, rounded up */
    unsigned batch;          /* texts of one run; 0: 1, so that no text depends on its neighbours */
};
/* Opens a model folder, or a model by name in the offline hub cache, with ONNX Runtime. The folder has
 * tokenizer.json, config.json of any kind of encoder, and an ONNX file (embed/onnx/onnx_file.h says which one this
 * function takes). Reads pooling and normalisation as model_open_dir does, but a graph with an output
 * sentence_embedding pools by itself. Fails as onnx_engine_new does (embed/onnx_engine.h). */
enum dp_status model_open_onnx(const char *path, const struct onnx_options *options, struct model **out,
                               struct dp_error *error);

void model_free(struct model *model);

/* Packs a model folder and appends the bytes to `out`, whose length must be a multiple of 64. */
enum dp_status model_pack(const char *path, struct buffer *out, struct dp_error *error);

/* Replaces prompts: of[kind].data NULL keeps the model's prompt, an empty span removes it. Call it before any
 * other thread uses the model, because the fingerprint changes. DP_INVALID: a prompt leaves no room for a text. */
enum dp_status model_set_prompts(struct model *model, const struct span of[TEXT_KINDS], struct dp_error *error);
const struct prompts *model_prompts(const struct model *model);

/* Encode a text with the prompt of its kind before it, as tokenizer_encode and tokenizer_windows do. Each window
 * begins with the prompt. */
enum dp_status model_encode(const struct model *model, enum text_kind kind, struct span text, size_t max_tokens,
                            struct arena *arena, struct tokens *out, struct dp_error *error);
enum dp_status model_windows(const struct model *model, enum text_kind kind, struct span text, size_t max_tokens,
                             size_t overlap, struct arena *arena, struct tokens **windows, size_t *count,
                             struct dp_error *error);
/* Returns the number of tokens of the longest prompt, with the special tokens before a text. */
size_t model_prompt_tokens_max(const struct model *model);

const char *model_pooling_name(enum model_pooling pooling); /* "mean", … */

/* The results of these three functions live as long as the model. */
const struct model_info *model_info(const struct model *model);
const struct tokenizer *model_tokenizer(const struct model *model);
const struct engine *model_engine(const struct model *model);

#endif
