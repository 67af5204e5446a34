/* need.c: pointers that a caller of the C API may not leave out. */
#include <stdarg.h>

#include "capi/capi.h"

enum dp_status capi_need(struct dp_error *error, const char *function, ...)
{
    enum dp_status status = DP_OK;
    va_list args;
    va_start(args, function);
    for (const char *name = va_arg(args, const char *); name && status == DP_OK; name = va_arg(args, const char *))
        if (!va_arg(args, const void *))
            status = dp_fail(error, DP_INVALID, "%s: %s is NULL", function, name);
    va_end(args);
    return status;
}
