/* onnx_missing.c: stands in for the ONNX Runtime engine in a build without its C header. */
#include "embed/onnx_engine.h"

bool onnx_engine_built(void)
{
    return false;
}

enum dp_status onnx_engine_new(const struct onnx_engine_options *options, struct engine **out,
                               struct dp_error *error)
{
    (void)options;
    *out = NULL;
    return dp_fail(error, DP_UNSUPPORTED,
                   "this build has no ONNX Runtime engine: its C header was not there. "
                   "`scripts/setup --with-onnxruntime` brings it; then build again");
}

const char *onnx_engine_library(const struct engine *engine)
{
    (void)engine;
    return "";
}

bool onnx_engine_pools(const struct engine *engine)
{
    (void)engine;
    return false;
}
