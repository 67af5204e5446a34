/* store/s3/profile.h: finds the values of a profile in the files in which AWS tools keep keys and settings,
 * ~/.aws/credentials and ~/.aws/config.
 *
 * "[name]" is a profile in the credentials file, "[profile name]" (or "[default]") in the config file, which has other
 * sections too: "[sso-session name]" and "[services name]". The values of both files form one profile; those of the
 * credentials file win. boto3 decides what a file means: tests/golden/make_aws_profiles.py records its outcomes, and
 * test_aws_profiles.c compares them. One difference: we cut a comment behind a value (" # …"), as other tools of AWS
 * do. Pure: no I/O.
 */
#ifndef STORE_AWS_PROFILE_H
#define STORE_AWS_PROFILE_H

#include <stdbool.h>

#include "store/s3/ini.h"

/* Both files; a missing file is empty. */
struct aws_files {
    struct ini_file credentials, config;
};

/* Keys that stand in a file. */
struct aws_file_keys {
    struct span id, secret, token; /* id.data NULL: the file has no keys */
};

/* The values of a profile. .data is NULL for missing ones. Spans live as long as the files. */
struct aws_profile {
    bool found;
    struct aws_file_keys credentials_keys, config_keys;
    struct span secret_access_key; /* of either file */
    struct span region, endpoint_url, ignore_endpoint_urls, ca_bundle, services, s3;
    struct span role_arn, role_session_name, external_id, mfa_serial, duration_seconds;
    struct span source_profile, credential_source;
    struct span web_identity_token_file;
    struct span credential_process, login_session;
    struct span sso_session, sso_start_url, sso_region, sso_account_id, sso_role_name;
};

void aws_profile_find(const struct aws_files *files, struct span name, struct aws_profile *out);

/* The ways in which a profile can get its keys. */
enum aws_profile_source {
    AWS_PROFILE_NOTHING,
    AWS_PROFILE_ROLE,         /* another profile's or source's keys assume role_arn */
    AWS_PROFILE_WEB_IDENTITY, /* a token assumes role_arn */
    AWS_PROFILE_SSO,
    AWS_PROFILE_CREDENTIALS_KEYS, /* keys in the credentials file */
    AWS_PROFILE_LOGIN,            /* `aws login` */
    AWS_PROFILE_PROCESS,          /* a program prints keys */
    AWS_PROFILE_CONFIG_KEYS       /* keys in the config file */
};
/* Returns the first way, in boto3's order, for which the profile has values. */
enum aws_profile_source aws_profile_source(const struct aws_profile *profile);
/* Returns the same without AWS_PROFILE_ROLE. */
enum aws_profile_source aws_profile_source_but_role(const struct aws_profile *profile);
/* Returns whether the profile has keys in a file, complete or not. */
bool aws_profile_has_keys(const struct aws_profile *profile);

/* Sets *url to the endpoint that the profile gives a service ("s3", "sts", "sso", "sso_oidc"); .data is NULL if it
 * gives none. DP_INVALID: the profile names a [services] section that does not exist. */
enum dp_status aws_profile_endpoint(const struct aws_files *files, const struct aws_profile *profile,
                                    const char *service, struct span *url, struct dp_error *error);

/* A profile's settings for SSO, all present but `session`. */
struct aws_sso {
    struct span session; /* .data NULL: the older form, without an sso-session */
    struct span start_url, region, account_id, role_name;
};
/* DP_INVALID: a setting is missing, or the profile and its sso-session differ. `name` is the profile's. */
enum dp_status aws_profile_sso(const struct aws_files *files, const struct aws_profile *profile, struct span name,
                               struct aws_sso *out, struct dp_error *error);

#endif
