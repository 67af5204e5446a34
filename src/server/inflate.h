/* server/inflate.h: request bodies with Content-Encoding: gzip. */
#ifndef SERVER_INFLATE_H
#define SERVER_INFLATE_H

#include "base/buffer.h"

/* How many bytes a whole stream decompresses to, by its own word (RFC 1952 §2.3.1: ISIZE); 0 when it is too short
 * to be one. */
size_t inflate_gzip_size(struct span in);

/* Appends the decompressed bytes; out->max bounds them. DP_INVALID: no gzip stream, or one that is cut off or has
 * something behind it; DP_TOO_LARGE; DP_NOMEM. */
enum dp_status inflate_gzip(struct span in, struct buffer *out, struct dp_error *error);

#endif
