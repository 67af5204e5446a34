/* runtime.c: implements the public C API of the library's version and its compute threads. */
#include "capi/runtime.h"

#include <limits.h>

#include "base/alloc.h"
#include "base/version.h"
#include "capi/arguments.h"

const char *dp_version(void)
{
    return version_text();
}

unsigned dp_version_number(void)
{
    return DP_VERSION_NUMBER;
}

enum dp_status dp_runtime_new(const struct dp_runtime_options *options, struct dp_runtime **out,
                              struct dp_error *error)
{
    struct dp_runtime_options o;
    struct dp_runtime *runtime;
    enum dp_status status = capi_need(error, "dp_runtime_new", "out", out, NULL);

    if (out)
        *out = NULL;
    if (status == DP_OK)
        status = capi_options(error, "dp_runtime_new", "struct dp_runtime_options", options, &o, sizeof o);
    if (status != DP_OK)
        return status;
    runtime = mem_calloc(1, sizeof *runtime);
    if (!runtime)
        return dp_fail_nomem(error, "the runtime");
    status = team_new(o.threads > UINT_MAX ? UINT_MAX : (unsigned)o.threads, &runtime->team, error);
    if (status == DP_OK)
        *out = runtime;
    else
        mem_free(runtime);
    return status;
}

void dp_runtime_free(struct dp_runtime *runtime)
{
    if (!runtime)
        return;
    team_free(runtime->team);
    mem_free(runtime);
}
