/* store/s3/answers.h: parses S3's answers in XML. The functions do no I/O, so the fuzzer can call them. */
#ifndef STORE_S3_ANSWERS_H
#define STORE_S3_ANSWERS_H

#include "base/arena.h"
#include "store/store.h"

/* A page of ListObjectsV2. */
struct s3_page {
    struct store_entry *entries; /* objects and folders, ascending by their unescaped names in the bucket */
    size_t count;
    bool truncated;
    struct span next; /* the token of the next page */
};
enum dp_status s3_parse_page(struct span body, struct arena *arena, struct s3_page *out, struct dp_error *error);
/* Reads the upload id in <InitiateMultipartUploadResult>. */
enum dp_status s3_parse_upload_id(struct span body, struct arena *arena, struct span *id, struct dp_error *error);
/* Reads the object's ETag in <CompleteMultipartUploadResult>. */
enum dp_status s3_parse_completed(struct span body, struct arena *arena, struct span *etag,
                                  struct dp_error *error);

#endif
