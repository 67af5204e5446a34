/* store/s3/credentials_sources.h: asks the sources of keys for S3, in boto3's order, until one has keys:
 *
 *   1. the settings (AWS_ACCESS_KEY_ID …)
 *   2. a role of the profile, which another profile or source_profile's keys take
 *   3. a web identity token, of the environment or the profile
 *   4. the profile's SSO
 *   5. keys in the credentials file
 *   6. the profile's credential_process
 *   7. keys in the config file
 *   8. the container's endpoint
 *   9. the instance's metadata service
 */
#ifndef STORE_S3_CREDENTIALS_SOURCES_H
#define STORE_S3_CREDENTIALS_SOURCES_H

#include "os/call.h"
#include "store/s3/keys.h"
#include "store/s3_settings.h"

/* Blocks. `region` is for STS; `now_ms` is the Unix time in milliseconds. DP_DENIED: no source has keys; the message
 * says what to set. Fails as the source does that should have keys, but gives none. */
enum dp_status credentials_ask_sources(struct call *call, const struct s3_settings *settings, const char *region,
                                       int64_t now_ms, struct aws_keys **out);

#endif
