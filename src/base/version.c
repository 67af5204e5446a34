/* version.c: the build passes the version as a macro to this file's room. */
#include "base/version.h"

#ifndef DIPPER_VERSION
#error "the build defines DIPPER_VERSION"
#endif

const char *version_text(void)
{
    return DIPPER_VERSION;
}
