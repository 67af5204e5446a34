/* server/inflate.h: decompresses request bodies with Content-Encoding: gzip. */
#ifndef SERVER_INFLATE_H
#define SERVER_INFLATE_H

#include "base/buffer.h"

/* Returns the decompressed size that a gzip stream claims (ISIZE of RFC 1952 §2.3.1); 0 when `in` is too short. */
size_t inflate_gzip_size(struct span in);

/* Appends the decompressed bytes. Fails with DP_INVALID when `in` is not one whole gzip stream, with DP_TOO_LARGE
 * when `out` would exceed out->max, or with DP_NOMEM. */
enum dp_status inflate_gzip(struct span in, struct buffer *out, struct dp_error *error);

#endif
