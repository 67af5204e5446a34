/* capi/call.h: a call of the C API as a struct call: with an arena, and the caller's limits. */
#ifndef CAPI_CALL_H
#define CAPI_CALL_H

#include <dipper/dipper.h>

#include "os/call.h"

/* Owned by the thread that calls; its children see `cancelled`. Must not move between capi_begin and capi_end. */
struct capi_call {
    struct call call;
    struct arena arena;
    struct dp_limits limits;
    _Atomic bool cancelled;
};

/* Begins a call within limits, which are copied. NULL: no limits. */
void capi_begin(struct capi_call *c, const struct dp_limits *limits);

/* Ends a call: frees its arena and, if it failed, copies its error to the caller's (which may be NULL). Returns
 * `status`. */
enum dp_status capi_end(struct capi_call *c, enum dp_status status, struct dp_error *error);

/* Drops the limits of a call whose arena lives on: the caller's function may not be there any more. */
void capi_unlimit(struct capi_call *c);

#endif
