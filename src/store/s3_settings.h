/* store/s3_settings.h: the settings of the S3 store, as plain values. The program fills them from the table of
 * settings (src/config); each comment names the environment variable of AWS's own tools.
 */
#ifndef STORE_S3_SETTINGS_H
#define STORE_S3_SETTINGS_H

#include <stdbool.h>

#include "store/trust.h"

/* The place of the bucket's name in a URL: http://host/bucket/key, or http://bucket.host/key. */
enum s3_addressing {
    S3_ADDRESSING_AUTO, /* by host for Amazon's own endpoints, by path for all others */
    S3_ADDRESSING_PATH,
    S3_ADDRESSING_HOST
};

/* NULL and "" mean not set. The texts must live until the store is open. */
struct s3_settings {
    const char *region;        /* AWS_REGION; else the profile's, else us-east-1 */
    const char *endpoint_url;  /* S3_ENDPOINT_URL; else the profile's, else Amazon's for the region */
    bool ignore_endpoint_urls; /* AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: use no endpoint of the profile */
    enum s3_addressing addressing;
    bool unsigned_requests; /* for public buckets: sends requests without credentials */

    /* Credentials: the first of these sources that is set. */
    const char *access_key_id, *secret_access_key, *session_token;      /* AWS_ACCESS_KEY_ID, … */
    const char *role_arn, *web_identity_token_file, *role_session_name; /* AWS_ROLE_ARN, … */
    const char *profile, *credentials_file, *config_file;               /* AWS_PROFILE, … */
    const char *container_relative_uri, *container_full_uri;            /* AWS_CONTAINER_CREDENTIALS_… */
    const char *container_token, *container_token_file;                 /* AWS_CONTAINER_AUTHORIZATION_… */
    bool metadata_disabled;                                             /* AWS_EC2_METADATA_DISABLED */

    const char *sts_endpoint_url;   /* AWS_ENDPOINT_URL_STS; else Amazon's for the region */
    const char *metadata_endpoint;  /* AWS_EC2_METADATA_SERVICE_ENDPOINT; else http://169.254.169.254 */
    const char *container_endpoint; /* base of the relative URI; else http://169.254.170.2 */
    const char *home; /* HOME: the folder of .aws/credentials and .aws/config, unless these are set */

    struct trust_settings trust; /* set by the store, from its options and the profile's ca_bundle */
};

#endif
