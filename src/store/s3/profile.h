/* store/s3/profile.h: parses the files in which AWS tools keep keys and settings, ~/.aws/credentials and
 * ~/.aws/config.
 *
 * "[name]" begins a profile in the credentials file, "[profile name]" (or "[default]") in the config file; lines
 * "key = value" follow. '#' and ';' begin comments, at a line's start or behind white space. The parser skips
 * indented lines, which belong to the key before them. Source: "Configuration and credential file settings", AWS
 * CLI User Guide. Pure: no I/O.
 */
#ifndef STORE_AWS_PROFILE_H
#define STORE_AWS_PROFILE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

/* The values of a profile; missing ones are empty. Spans lie in the files' texts. */
struct aws_profile {
    bool found;
    struct span access_key_id, secret_access_key, session_token;
    struct span region, endpoint_url, ca_bundle;
    struct span role_arn, role_session_name, web_identity_token_file;
    /* Unsupported ways to get keys; a message names them if the profile has no supported one. */
    struct span source_profile, credential_source, credential_process, sso_start_url, sso_session;
};

enum aws_profile_file { AWS_CREDENTIALS_FILE, AWS_CONFIG_FILE };

/* Adds the profile's values from `text`; values that `out` already has stay. DP_INVALID names `path` and the
 * line. */
enum dp_status aws_profile_read(const char *path, struct span text, enum aws_profile_file kind,
                                struct span profile, struct aws_profile *out, struct dp_error *error);

#endif
