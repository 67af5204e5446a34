/* store/s3/credentials_sso.h: exchanges the token of `aws sso login` for keys (IAM Identity Center). */
#ifndef STORE_S3_CREDENTIALS_SSO_H
#define STORE_S3_CREDENTIALS_SSO_H

#include "os/call.h"
#include "store/s3/keys.h"
#include "store/s3/profile.h"
#include "store/s3_settings.h"

/* What credentials_from_sso needs. */
struct sso_source {
    const struct s3_settings *settings;
    struct aws_sso sso;
    struct span portal_url, oidc_url; /* .data NULL: Amazon's for the region */
    const char *profile;              /* for messages */
    int64_t now_ms;                   /* Unix time */
};

/* Reads the token from ~/.aws/sso/cache and exchanges it for keys. Renews a token of an sso-session that has less than
 * 15 minutes left, and writes it back for the other tools of AWS. DP_DENIED: there is no token, or it has expired and
 * cannot be renewed; the message says to run `aws sso login`. Blocks. */
enum dp_status credentials_from_sso(struct call *call, const struct sso_source *source, struct aws_keys **out);

#endif
