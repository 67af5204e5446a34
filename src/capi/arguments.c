/* arguments.c: checks the arguments of C API calls, and copies options and answers between struct versions.
 *
 * It copies structs by their size, byte by byte, so that a new struct needs no code here. */
#include "capi/arguments.h"

#include <stdarg.h>
#include <string.h>

#include "base/version.h"

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

static size_t size_in(const void *structure)
{
    size_t size;
    memcpy(&size, structure, sizeof size);
    return size;
}

enum dp_status capi_answer_check(struct dp_error *error, const char *function, const char *type, const void *to)
{
    const size_t size = size_in(to);
    if (size < sizeof size || size > CAPI_STRUCT_MAX)
        return dp_fail(error, DP_INVALID, "%s: the size in %s is %zu; set it to sizeof(%s)", function, type, size,
                       type);
    return DP_OK;
}

enum dp_status capi_options(struct dp_error *error, const char *function, const char *type, const void *from,
                            void *to, size_t size)
{
    enum dp_status status = DP_OK;
    memset(to, 0, size);
    if (!from)
        return DP_OK;
    status = capi_answer_check(error, function, type, from);
    if (status != DP_OK)
        return status;
    const size_t given = size_in(from);
    const unsigned char *bytes = from;
    memcpy(to, from, given < size ? given : size);
    for (size_t i = size; i < given; i++)
        if (bytes[i] != 0)
            return dp_fail(error, DP_INVALID,
                           "%s: %s has %zu bytes, and sets a field that this library does not know (version %s, "
                           "%zu bytes); leave the field zero, or use a newer library",
                           function, type, given, version_text(), size);
    return DP_OK;
}

void capi_answer(void *to, const void *from, size_t size)
{
    const size_t wanted = size_in(to), head = sizeof wanted;
    const size_t shared = wanted < size ? wanted : size;
    memcpy((char *)to + head, (const char *)from + head, shared - head);
    memset((char *)to + shared, 0, wanted - shared);
}
