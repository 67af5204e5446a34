/* store/s3/endpoint.h: the addresses of AWS's services, and those that users give instead. Pure: no I/O. */
#ifndef STORE_S3_ENDPOINT_H
#define STORE_S3_ENDPOINT_H

#include "base/error.h"
#include "base/span.h"

/* Returns the domain of a region's services: "amazonaws.com" for most. */
const char *aws_domain(struct span region);
/* Returns whether a host's name is in one of these domains. */
bool aws_owns_host(struct span host);

/* The parts of an endpoint's URL. */
struct s3_endpoint {
    struct span scheme; /* "https://" */
    struct span host;   /* with its port */
    struct span path;   /* without '/' at its end */
};

/* Splits http://host:port/path or https://…, in any case. DP_INVALID for other texts. `from` names the setting. */
enum dp_status s3_endpoint_split(const char *from, struct span url, struct s3_endpoint *out,
                                 struct dp_error *error);

/* Checks a region's name, which becomes a part of a host's name. `from` names the setting. */
enum dp_status s3_region_check(const char *from, struct span region, struct dp_error *error);

#endif
