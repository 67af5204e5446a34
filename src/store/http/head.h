/* store/http/head.h: reads the heads of HTTP answers: header lines, Content-Range, Retry-After, ETags (RFC
 * 9110). */
#ifndef STORE_HTTP_HEAD_H
#define STORE_HTTP_HEAD_H

#include "base/span.h"

/* The value of the first header line of that name (in any case), trimmed; .data is NULL when there is none. */
struct span http_head_find(struct span head, const char *name);

/* "bytes 0-99/1000", or "bytes * /1000" (without the blank). */
struct http_content_range {
    uint64_t first, last; /* inclusive; only with has_range */
    uint64_t size;        /* only with has_size ("*" otherwise) */
    bool has_range, has_size;
};
/* Returns false unless `value` has a form of RFC 9110 §14.4, in bytes. */
bool http_content_range_parse(struct span value, struct http_content_range *out);
/* The seconds from `now` (Unix seconds) that a Retry-After asks to wait. Returns false unless `value` is a number
 * or an IMF-fixdate. */
bool http_retry_after_parse(struct span value, int64_t now, uint64_t *seconds);
/* Returns whether the ETag is strong: quoted, without W/ and control characters. */
bool http_etag_is_strong(struct span etag);

#endif
