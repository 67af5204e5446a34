/* embed/onnx_engine.h: the engine that runs an ONNX file with ONNX Runtime.
 *
 * onnx_engine_new opens the library. The program does not link it, so everything else works without it. A build
 * without ONNX Runtime's C header has these functions too; they fail and say what is missing.
 */
#ifndef EMBED_ONNX_ENGINE_H
#define EMBED_ONNX_ENGINE_H

#include "embed/engine.h"

struct onnx_engine_options {
    const char *library;        /* the path of libonnxruntime.so; NULL or "": the usual places */
    const char *file;           /* the ONNX file's path */
    unsigned threads;           /* threads that compute, ours and ONNX Runtime's together; ≥ 1 */
    unsigned threads_a_text;    /* how many of `threads` share one text; 0: half, rounded up */
    unsigned batch;             /* texts in one run, padded to the longest of them; 0: 1 */
    size_t max_tokens, vocab;   /* limits of the model, from its folder */
    bool pools;                 /* true: `pooling` is known, so the engine can pool the tokens' vectors */
    enum model_pooling pooling; /* valid if `pools` */
};

enum { ONNX_BATCH_MAX = 64 };

/* Returns whether this build has the engine. */
bool onnx_engine_built(void);

/* Opens the library and the file, checks the graph's inputs and outputs, and runs the graph once.
 *
 * The graph's inputs are input_ids, and attention_mask and token_type_ids if it has them: int64 or int32
 * [texts][tokens], of any size. We use the first of these outputs that the graph has: last_hidden_state or
 * token_embeddings, float [texts][tokens][dim], which the engine pools; sentence_embedding, float [texts][dim];
 * the only output, if it has one of these shapes.
 *
 * Errors: DP_NOT_FOUND (no library, and the message says where we looked; or no file), DP_UNSUPPORTED (a graph
 * with other inputs or outputs, a library older than API version 12, a build without the engine), DP_CORRUPT (ONNX
 * Runtime cannot load or run the file), DP_DENIED (ORT_DISABLE_TELEMETRY is not 1 in the environment, see
 * onnx_library.c). */
enum dp_status onnx_engine_new(const struct onnx_engine_options *options, struct engine **out,
                               struct dp_error *error);

/* Returns the library's name and version, such as "ONNX Runtime 1.31.1". The text lives as long as the engine. */
const char *onnx_engine_library(const struct engine *engine);
/* Returns true if the engine pools the tokens' vectors, false if the graph pools them. */
bool onnx_engine_pools(const struct engine *engine);

#endif
