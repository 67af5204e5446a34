/* store/trust.h: whose certificates https requests trust: those that the settings name, else the system's.
 *
 * The order: `file`, `profile_file`, `other_file`, the system's. A named file or folder takes the place of the
 * system's certificates; `folders` come beside the file, whichever it is. The system's are looked for when the
 * program runs: a libcurl that was built elsewhere (in a Python wheel, say) knows only the place that its own system
 * had. Pure but for reading the files' beginnings.
 */
#ifndef STORE_TRUST_H
#define STORE_TRUST_H

#include <limits.h>
#include <stdbool.h>

#include "base/error.h"

/* Whether a text of the settings is set: NULL and "" are not. */
static inline bool setting_is_set(const char *text)
{
    return text && *text;
}

/* Paths of PEM files (`file` and the next two may be folders too), and what named each, for messages: "AWS_CA_BUNDLE".
 * NULL and "" are the same: not set. */
struct trust_settings {
    const char *file, *file_from;
    const char *profile_file, *profile_from;
    const char *other_file, *other_from;
    const char *folders, *folders_from; /* of certificates by hash, with colons between */
};

/* What libcurl is told. */
struct trust {
    enum dp_status status; /* not DP_OK: https requests fail with `error` */
    struct dp_error error;
    bool named; /* `file` and `folders` take the place of libcurl's own choice; false: that is right here */
    char file[PATH_MAX], folders[PATH_MAX]; /* "": none */
};

/* Finds out. Never fails itself: what is wrong is told by the first request that needs it. */
void trust_find(const struct trust_settings *settings, struct trust *out);

/* Where Linux systems keep the certificates that they trust, below `root` ("" but in tests). False: nowhere known. */
bool trust_find_system(const char *root, struct trust *out);

#endif
