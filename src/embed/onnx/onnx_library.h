/* embed/onnx/onnx_library.h: opens ONNX Runtime's library at run time.
 *
 * Only this header includes ONNX Runtime's header.
 */
#ifndef EMBED_ONNX_LIBRARY_H
#define EMBED_ONNX_LIBRARY_H

#include <onnxruntime_c_api.h>

#include "base/error.h"

struct onnx_library {
    const OrtApi *api; /* the library's table of functions; functions newer than ONNX_API_MIN may be missing */
    char version[32];  /* "1.31.1" */
};

/* The oldest API version that has all functions we call (ONNX Runtime 1.12 has version 12). */
enum { ONNX_API_MIN = 12 };

/* Opens the library at `path`; NULL or "": in the usual places. The library stays in the process, because it
 * cannot be unloaded after it has started threads. */
enum dp_status onnx_library_open(const char *path, struct onnx_library *out, struct dp_error *error);

/* Replaces unprintable bytes by '?', because a name in a damaged file may contain any bytes. */
void onnx_make_readable(char *text);

/* Returns DP_OK if `status` is NULL. Otherwise fails with `doing` and ONNX Runtime's own message, and frees
 * `status`. */
enum dp_status onnx_check(const OrtApi *api, OrtStatus *status, const char *doing, struct dp_error *error);

#endif
