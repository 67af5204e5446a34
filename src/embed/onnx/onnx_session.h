/* embed/onnx/onnx_session.h: an ONNX file that is open in ONNX Runtime, with its graph's inputs and output.
 *
 * Never changes after it is opened; any number of threads may run it.
 */
#ifndef EMBED_ONNX_SESSION_H
#define EMBED_ONNX_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "embed/onnx/onnx_library.h"

enum onnx_input { ONNX_IDS, ONNX_MASK, ONNX_TYPES, ONNX_INPUTS };
enum { ONNX_NAME_MAX = 255 };

struct onnx_session {
    const OrtApi *api;
    OrtEnv *env;
    OrtSession *session;
    OrtMemoryInfo *memory; /* the kind of our buffers: plain memory */
    bool takes[ONNX_INPUTS];
    bool is_int32[ONNX_INPUTS]; /* else int64 */
    char output[ONNX_NAME_MAX + 1];
    bool is_per_token;  /* float [texts][tokens][dim], else [texts][dim] */
    size_t fixed_texts; /* number of texts that every run must have; 0: any number */
};

/* The result of a run; onnx_session_release frees it. */
struct onnx_result {
    OrtValue *value;
    const float *vectors; /* [texts][tokens][dim] or [texts][dim] */
    size_t dim;
};

/* `threads` share one run. `pools`: the caller can pool an output per token. Call onnx_session_close even after a
 * failure. */
enum dp_status onnx_session_open(const struct onnx_library *library, const char *file, unsigned threads,
                                 bool pools, struct onnx_session *s, struct dp_error *error);
void onnx_session_close(struct onnx_session *s);

/* Runs the graph over inputs[kind]: int64 or int32, as the session says, [texts][tokens]. */
enum dp_status onnx_session_run(const struct onnx_session *s, void *const inputs[ONNX_INPUTS], size_t texts,
                                size_t tokens, struct onnx_result *out, struct dp_error *error);
void onnx_session_release(const struct onnx_session *s, struct onnx_result *result);

#endif
