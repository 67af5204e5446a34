/* api/c_api.h: what the files of the public C API share. */
#ifndef API_C_API_H
#define API_C_API_H

#include "os/team.h"

struct dp_runtime {
    struct team *team;
};

#endif
