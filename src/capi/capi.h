/* capi/capi.h: what the files of the public C API share. */
#ifndef CAPI_CAPI_H
#define CAPI_CAPI_H

#include "base/error.h"
#include "os/team.h"

/* DP_INVALID, naming the first, when a pointer that must be there is NULL: pairs of its name and itself, then NULL.
 *
 *     capi_need(error, "dp_model_open", "runtime", runtime, "path", path, NULL) */
enum dp_status capi_need(struct dp_error *error, const char *function, ...) __attribute__((sentinel));

struct dp_runtime {
    struct team *team;
};

#endif
