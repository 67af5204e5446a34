/* version.c: the version, from the macro DIPPER_VERSION, which the build sets for src/base. */
#include "base/version.h"

#ifndef DIPPER_VERSION
#error "DIPPER_VERSION is not defined: build with meson"
#endif

const char *version_text(void)
{
    return DIPPER_VERSION;
}
