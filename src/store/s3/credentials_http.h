/* store/s3/credentials_http.h: fetches keys over HTTP, from STS, a container's endpoint or the metadata service.
 * Each function may block. */
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
/* Asks the instance's metadata service. Fails with DP_UNAVAILABLE if the machine has no such service or no
 * role. */
enum dp_status credentials_from_metadata(struct call *call, const struct s3_settings *settings,
                                         struct aws_keys **out);
/* Returns whether we may send a request to a container's full URI: it must use https, name this host, or name an
 * address of Amazon's container services. */
bool credentials_container_uri_allowed(struct span url);

#endif
