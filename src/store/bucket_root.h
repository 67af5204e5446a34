/* store/bucket_root.h: splits the name of a root in a bucket, "bucket/a/b/", for the stores that have buckets. */
#ifndef STORE_BUCKET_ROOT_H
#define STORE_BUCKET_ROOT_H

#include "os/call.h"

struct bucket_root {
    struct span bucket;
    struct span prefix; /* "a/b/": empty, or ends in '/' */
    const char *url;    /* "s3://bucket/a/b", for messages */
};

/* The rules for the name of a bucket, and what messages call it. */
struct bucket_names {
    const char *scheme;  /* "s3" */
    const char *what;    /* "a bucket's name" */
    size_t least, most;  /* bytes */
    const char *inner;   /* the bytes besides letters and digits that a name may have behind its first one */
    const char *secrets; /* for a name with ':' or '@', which may hold a password: what to set instead */
};

/* Splits `name` into copies in `arena`. DP_INVALID if the bucket's name or a part of the prefix is malformed. */
enum dp_status bucket_root_split(struct call *call, const struct bucket_names *names, struct span name,
                                 struct arena *arena, struct bucket_root *out);

#endif
