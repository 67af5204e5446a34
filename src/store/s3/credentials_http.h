/* store/s3/credentials_http.h: fetches keys over HTTP from a container's endpoint or the metadata service.
 * Each function may block. */
#ifndef STORE_S3_CREDENTIALS_HTTP_H
#define STORE_S3_CREDENTIALS_HTTP_H

#include "os/call.h"
#include "store/http/request.h"
#include "store/s3/keys.h"
#include "store/s3_settings.h"

enum dp_status credentials_from_container(struct call *call, const struct s3_settings *settings,
                                          struct aws_keys **out);
/* Asks the instance's metadata service. Fails with DP_UNAVAILABLE if the machine has no such service or no
 * role. */
enum dp_status credentials_from_metadata(struct call *call, const struct s3_settings *settings,
                                         struct aws_keys **out);
/* Returns whether we may send a request to a container's full URI: it must use https, name this host, or name an
 * address of Amazon's container services. */
bool credentials_container_uri_allowed(struct span url);

/* Fails with AWS's error in an answer's body, or, if there is no such error, with the answer's code. `from` names the
 * source that should have given keys. */
enum dp_status credentials_refusal(struct call *call, const char *from, const struct transport_request *req,
                                   struct span body);

#endif
