/* embed/onnx_engine.h: the engine that runs an ONNX file with ONNX Runtime.
 *
 * onnx_engine_new opens the library; nothing links it, so everything else works without it. A build without its C
 * header has these functions too; they say what is missing.
 */
#ifndef EMBED_ONNX_ENGINE_H
#define EMBED_ONNX_ENGINE_H

#include "embed/engine.h"

struct onnx_engine_options {
    const char *library;        /* the path of libonnxruntime.so; NULL or "": the usual places */
    const char *file;           /* the ONNX file's path */
    unsigned threads;           /* threads that compute, ours and ONNX Runtime's together; ≥ 1 */
    unsigned threads_a_text;    /* of them that share one text; 0: half, rounded up */
    unsigned batch;             /* texts of one run, padded to the longest; 0: 1 */
    size_t max_tokens, vocab;   /* of the model, from its folder */
    bool pools;                 /* whether `pooling` is known, so that the engine can pool vectors of tokens */
    enum model_pooling pooling; /* valid if `pools` */
};

enum { ONNX_BATCH_MAX = 64 };

/* Whether this build has the engine. */
bool onnx_engine_built(void);

/* Opens library and file, checks what the graph takes and gives, and runs it once.
 *
 * Inputs: input_ids, attention_mask and token_type_ids (the latter two when the graph has them), int64 or int32
 * [texts][tokens] of any size. Output, the first of these that the graph has: last_hidden_state or
 * token_embeddings, float [texts][tokens][dim], which is pooled here; sentence_embedding, float [texts][dim]; the
 * only output, if it has one of these shapes.
 *
 * DP_NOT_FOUND: no library (the message says where we looked), no file; DP_UNSUPPORTED: a graph with other inputs
 * or outputs, a library older than API version 12, a build without the engine; DP_CORRUPT: a file that ONNX
 * Runtime cannot load or run; DP_DENIED: ORT_DISABLE_TELEMETRY is not 1 in the environment, see onnx_library.c. */
enum dp_status onnx_engine_new(const struct onnx_engine_options *options, struct engine **out,
                               struct dp_error *error);

/* "ONNX Runtime 1.31.1"; lives as long as the engine. */
const char *onnx_engine_library(const struct engine *engine);
/* Whether the engine pools vectors of tokens; false: the graph pools by itself. */
bool onnx_engine_pools(const struct engine *engine);

#endif
