/* embed/onnx/onnx_library.h: ONNX Runtime's library, opened at run time.
 *
 * The only header that includes ONNX Runtime's header.
 */
#ifndef EMBED_ONNX_LIBRARY_H
#define EMBED_ONNX_LIBRARY_H

#include <onnxruntime_c_api.h>

#include "base/error.h"

struct onnx_library {
    const OrtApi *api; /* its table of functions; functions newer than ONNX_API_MIN may be missing */
    char version[32];  /* "1.31.1" */
};

/* The oldest API version that has all functions we call (ONNX Runtime 1.12 has version 12). */
enum { ONNX_API_MIN = 12 };

/* Opens `path`; NULL or "": the usual places. The library stays in the process: it cannot be unloaded after it has
 * started threads. */
enum dp_status onnx_library_open(const char *path, struct onnx_library *out, struct dp_error *error);

/* Replaces unprintable bytes by '?': names in a damaged file may be any bytes. */
void onnx_make_readable(char *text);

/* Fails with ONNX Runtime's own words, "doing: …", and frees `status`. NULL is success: DP_OK. */
enum dp_status onnx_check(const OrtApi *api, OrtStatus *status, const char *doing, struct dp_error *error);

#endif
