/* embed/onnx/onnx_session.h: an ONNX file that is open in ONNX Runtime, with its graph's inputs and output.
 *
 * A session never changes after onnx_session_open. Any number of threads may run it at once.
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
    OrtMemoryInfo *memory;          /* tells ONNX Runtime that our buffers are plain memory */
    bool takes[ONNX_INPUTS];        /* whether the graph has this input */
    bool is_int32[ONNX_INPUTS];     /* whether the input holds int32; else int64 */
    char output[ONNX_NAME_MAX + 1]; /* name of the output */
    bool is_per_token;              /* the output is float [texts][tokens][dim]; else [texts][dim] */
    size_t fixed_texts;             /* number of texts that every run must have; 0: any number */
};

/* The result of a run; onnx_session_release frees it. */
struct onnx_result {
    OrtValue *value;
    const float *vectors; /* [texts][tokens][dim] or [texts][dim] */
    size_t dim;
};

/* Opens `file`. One run uses `threads` threads. `pools`: the caller can pool an output that has a vector for each
 * token. Call onnx_session_close even after a failure. */
enum dp_status onnx_session_open(const struct onnx_library *library, const char *file, unsigned threads,
                                 bool pools, struct onnx_session *s, struct dp_error *error);
void onnx_session_close(struct onnx_session *s);

/* Runs the graph over inputs[kind], each an array [texts][tokens] of int32 or int64, as is_int32[kind] says. */
enum dp_status onnx_session_run(const struct onnx_session *s, void *const inputs[ONNX_INPUTS], size_t texts,
                                size_t tokens, struct onnx_result *out, struct dp_error *error);
void onnx_session_release(const struct onnx_session *s, struct onnx_result *result);

#endif
