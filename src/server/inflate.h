/* server/inflate.h: decompresses request bodies with Content-Encoding: gzip. */
#ifndef SERVER_INFLATE_H
#define SERVER_INFLATE_H

#include "base/buffer.h"

/* The decompressed size that a stream claims (RFC 1952 §2.3.1: ISIZE); 0 when it is too short for a stream. */
size_t inflate_gzip_size(struct span in);

/* Appends the decompressed bytes, at most out->max. DP_INVALID: not a gzip stream, or it is cut off or has bytes behind it;
 * DP_TOO_LARGE; DP_NOMEM. */
enum dp_status inflate_gzip(struct span in, struct buffer *out, struct dp_error *error);

#endif
