/* capi/call.h: makes a struct call for a call of the C API, with an arena and the caller's limits. */
#ifndef CAPI_CALL_H
#define CAPI_CALL_H

#include <dipper/dipper.h>

#include "os/call.h"

/* One call of the C API. The calling thread owns it; child calls see `cancelled`. It must not move between
 * capi_begin and capi_end. */
struct capi_call {
    struct call call;
    struct arena arena;
    struct dp_limits limits;
    _Atomic bool cancelled;
};

/* Maximum bytes of a call's arena. */
enum {
    CAPI_INDEX_ARENA_MAX = 64 << 20, /* FAISS files: opening, searching, building */
    CAPI_ROWS_ARENA_MAX = 1 << 30    /* texts, rows and their answers */
};

/* Begins a call with a copy of `limits`. NULL: no limits. */
void capi_begin(struct capi_call *c, const struct dp_limits *limits, size_t arena_max);

/* Ends a call: frees its arena and, if it failed, copies its error to the caller's (which may be NULL). Returns
 * `status`. */
enum dp_status capi_end(struct capi_call *c, enum dp_status status, struct dp_error *error);

/* Drops the limits of a call whose arena lives on, because the caller's `cancelled` may no longer exist. */
void capi_unlimit(struct capi_call *c);

#endif
