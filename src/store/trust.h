/* store/trust.h: chooses the certificates that https requests trust: those of the settings, else the system's.
 *
 * The order: `file`, `profile_file`, `other_file`, the system's. A named file or folder replaces the system's
 * certificates; `folders` are used in addition. trust_find looks up the system's certificates when the program
 * runs: a libcurl that was built elsewhere (in a Python wheel, say) knows only the paths of the system that built
 * it. Lists folders, and reads files up to their first certificate; does no other I/O.
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

/* Paths of PEM files or, for the first three, of folders; and the setting that named each, for messages
 * ("AWS_CA_BUNDLE"). NULL and "" mean not set. */
struct trust_settings {
    const char *file, *file_from;
    const char *profile_file, *profile_from;
    const char *other_file, *other_from;
    const char *folders, *folders_from; /* folders of certificates by hash, separated by colons */
};

/* The choice that libcurl gets. */
struct trust {
    enum dp_status status; /* unless DP_OK, https requests fail with `error` */
    struct dp_error error;
    bool named; /* `file` and `folders` replace libcurl's own choice; false: libcurl's choice stays */
    char file[PATH_MAX], folders[PATH_MAX]; /* "": none */
};

/* Makes the choice. An error goes into *out: the first request that needs certificates reports it. */
void trust_find(const struct trust_settings *settings, struct trust *out);

/* Searches the places where Linux systems keep certificates, below `root` ("" outside tests). False: no place has
 * certificates. */
bool trust_find_system(const char *root, struct trust *out);

#endif
