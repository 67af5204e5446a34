/* store/s3/answers.h: parses S3's answers in XML. The functions do no I/O, so the fuzzer can call them. */
#ifndef STORE_S3_ANSWERS_H
#define STORE_S3_ANSWERS_H

#include "base/arena.h"
#include "store/bucket_list.h"

/* Parses a page of ListObjectsV2 into the zeroed *out; leaves out->bytes alone. */
enum dp_status s3_parse_page(struct span body, struct arena *arena, struct bucket_page *out,
                             struct dp_error *error);
/* Reads the upload id in <InitiateMultipartUploadResult>. */
enum dp_status s3_parse_upload_id(struct span body, struct arena *arena, struct span *id, struct dp_error *error);
/* Reads the object's ETag in <CompleteMultipartUploadResult>. */
enum dp_status s3_parse_completed(struct span body, struct arena *arena, struct span *etag,
                                  struct dp_error *error);

#endif
