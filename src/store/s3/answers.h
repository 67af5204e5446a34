/* store/s3/answers.h: parses the answers of S3 in XML. Pure, for the fuzzer. */
#ifndef STORE_S3_ANSWERS_H
#define STORE_S3_ANSWERS_H

#include "base/arena.h"
#include "store/store.h"

/* A page of ListObjectsV2. */
struct s3_page {
    struct store_entry *entries; /* objects and folders, ascending; names in the bucket, unescaped */
    size_t count;
    bool truncated;
    struct span next; /* the token of the next page */
};
enum dp_status s3_parse_page(struct span body, struct arena *arena, struct s3_page *out, struct dp_error *error);
/* The upload id in <InitiateMultipartUploadResult>. */
enum dp_status s3_parse_upload_id(struct span body, struct arena *arena, struct span *id, struct dp_error *error);
/* The object's ETag in <CompleteMultipartUploadResult>. */
enum dp_status s3_parse_completed(struct span body, struct arena *arena, struct span *etag,
                                  struct dp_error *error);

#endif
