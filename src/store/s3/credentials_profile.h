/* store/s3/credentials_profile.h: finds and reads the profile files of AWS tools (store/s3/profile.h). */
#ifndef STORE_S3_CREDENTIALS_PROFILE_H
#define STORE_S3_CREDENTIALS_PROFILE_H

#include <limits.h>

#include "base/arena.h"
#include "store/s3/profile.h"
#include "store/s3_settings.h"

/* Reads the profile files, and finds the profile that the settings name, or else "default". If the files do not have
 * it: fails with DP_NOT_FOUND if the settings name it, otherwise sets `profile->found` to false. Spans live in the
 * arena. */
enum dp_status credentials_profile(const struct s3_settings *settings, struct arena *arena,
                                   struct aws_files *files, struct aws_profile *profile, struct dp_error *error);

/* Writes the path of ~/.aws/`name`. DP_INVALID: it is too long, or there is no home. */
enum dp_status credentials_home_path(const struct s3_settings *settings, const char *name, char path[PATH_MAX],
                                     struct dp_error *error);

#endif
