/* store/s3/credentials_sts.h: asks AWS's Security Token Service for the keys of a role. Each function may block. */
#ifndef STORE_S3_CREDENTIALS_STS_H
#define STORE_S3_CREDENTIALS_STS_H

#include "os/call.h"
#include "store/http/request.h"
#include "store/s3/keys.h"
#include "store/s3_settings.h"

/* A role, and how to take it. Empty texts: STS's own choice; a session without a name is "dipper". */
struct sts_role {
    struct span arn, session, external_id;
    unsigned duration_seconds; /* 0: STS's own choice */
};

/* Exchanges the web identity token in `token_file` for keys. */
enum dp_status credentials_from_web_identity(struct call *call, const struct s3_settings *settings,
                                             const char *region, const struct sts_role *role,
                                             const char *token_file, struct aws_keys **out);
/* Takes the role with other keys. */
enum dp_status credentials_from_role(struct call *call, const struct s3_settings *settings, const char *region,
                                     const struct sts_role *role, const struct aws_keys *source,
                                     struct aws_keys **out);

#endif
