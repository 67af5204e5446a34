/* capi/runtime.h: the runtime behind the handle. */
#ifndef CAPI_RUNTIME_H
#define CAPI_RUNTIME_H

#include <dipper/dipper.h>

#include "os/team.h"

struct dp_runtime {
    struct team *team;
};

#endif
