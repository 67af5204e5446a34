/* store/http/head.h: reads the heads of HTTP answers: header lines, Content-Range, Retry-After, Date, ETags
 * (RFC 9110). */
#ifndef STORE_HTTP_HEAD_H
#define STORE_HTTP_HEAD_H

#include "base/span.h"

/* Returns the trimmed value of the first header line called `name`, in upper or lower case; .data is NULL if there
 * is none. */
struct span http_head_find(struct span head, const char *name);

/* A Content-Range: "bytes 0-99/1000", or "bytes * /1000" (without the blank before the slash). */
struct http_content_range {
    uint64_t first, last; /* first and last byte, both included; valid if has_range */
    uint64_t size;        /* of the whole object, in bytes; valid if has_size ("*" otherwise) */
    bool has_range, has_size;
};
/* Returns false unless `value` has a form of RFC 9110 §14.4, in bytes. */
bool http_content_range_parse(struct span value, struct http_content_range *out);
/* Computes how many seconds from `now` (Unix seconds) on a Retry-After asks the client to wait. Returns false
 * unless `value` is a number or a date. */
bool http_retry_after_parse(struct span value, int64_t now, uint64_t *seconds);
/* Reads a date in one of the three forms of RFC 9110 §5.6.7 as Unix seconds. `now` (Unix seconds) decides the century
 * of a year of two digits. Returns false for other texts. */
bool http_date_parse(struct span value, int64_t now, int64_t *seconds);
enum { HTTP_DATE_LEN = 29 };
/* Writes Unix milliseconds as a date: "Sun, 06 Nov 1994 08:49:37 GMT". */
void http_date_format(int64_t wall_ms, char out[HTTP_DATE_LEN + 1]);
/* Returns whether the ETag is strong: quoted, without W/ and control characters. */
bool http_etag_is_strong(struct span etag);

#endif
