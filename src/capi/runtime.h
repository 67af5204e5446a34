/* capi/runtime.h: the struct behind the public handle of a runtime, which holds the compute threads. */
#ifndef CAPI_RUNTIME_H
#define CAPI_RUNTIME_H

#include <dipper/dipper.h>

#include "os/team.h"

struct dp_runtime {
    struct team *team;
};

#endif
