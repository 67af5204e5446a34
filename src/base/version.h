/* base/version.h: the version of this build, from meson.build. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

/* "0.1.0" */
const char *version_text(void);

#endif
