/* store/s3/credentials_http.h: sources of keys that are asked over HTTP. Each function sends one request and may
 * block. */
#ifndef STORE_S3_CREDENTIALS_HTTP_H
#define STORE_S3_CREDENTIALS_HTTP_H

#include "os/call.h"
#include "store/s3/keys.h"
#include "store/s3_settings.h"

/* Exchanges the web identity token in `token_file` for keys at STS. `session` may be empty. */
enum dp_status credentials_from_sts(struct call *call, const struct s3_settings *settings, const char *region,
                                    const char *role_arn, const char *token_file, const char *session,
                                    struct aws_keys **out);
enum dp_status credentials_from_container(struct call *call, const struct s3_settings *settings,
                                          struct aws_keys **out);
/* Asks the instance's metadata service. DP_UNAVAILABLE also on a machine that has none. */
enum dp_status credentials_from_metadata(struct call *call, const struct s3_settings *settings,
                                         struct aws_keys **out);
/* Returns whether a container's full URI may be asked: over https, on this host, or at the addresses of Amazon's
 * container services. */
bool credentials_container_uri_allowed(struct span url);

#endif
