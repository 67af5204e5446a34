/* capi/limits.h: the limits that a caller of the C API sets to a call (struct dp_limits). */
#ifndef CAPI_LIMITS_H
#define CAPI_LIMITS_H

#include <dipper/dipper.h>

#include "os/call.h"

/* What a call with limits needs as long as it lasts. */
struct limits {
    const struct dp_limits *asked;
    _Atomic bool cancelled;
};

/* Sets `asked` (NULL: no limits) to the call; `limits` must outlive it. */
void limits_set(struct limits *limits, const struct dp_limits *asked, struct call *call);

#endif
