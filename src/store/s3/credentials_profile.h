/* store/s3/credentials_profile.h: finds and reads the profile files of AWS tools (store/s3/profile.h). */
#ifndef STORE_S3_CREDENTIALS_PROFILE_H
#define STORE_S3_CREDENTIALS_PROFILE_H

#include "base/arena.h"
#include "store/s3/profile.h"
#include "store/s3_settings.h"

/* Reads the profile that the settings name, or else "default", from the profile files. If the files do not have
 * it: fails with DP_NOT_FOUND if the settings name it, otherwise sets `profile->found` to false. Spans live in the
 * arena. */
enum dp_status credentials_profile(const struct s3_settings *settings, struct arena *arena,
                                   struct aws_profile *profile, struct dp_error *error);

#endif
