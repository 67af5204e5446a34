/* server/encode.h: compresses answers with gzip or zstd, for clients that ask for it. */
#ifndef SERVER_ENCODE_H
#define SERVER_ENCODE_H

#include "base/buffer.h"
#include "server/decode.h"

enum { ENCODE_LEAST = 1024 }; /* shorter answers stay as they are: a packet has room for them */

/* Returns the best encoding that a value of Accept-Encoding allows by name: zstd, else gzip, else identity. */
enum body_encoding encode_choose(struct span accept);
/* Returns the bytes of memory that encode_body needs for a body of `len` bytes, at most. */
size_t encode_room(enum body_encoding encoding, size_t len);
/* Replaces the body by its gzip or zstd stream. Returns false, and leaves the body alone, if the stream is no shorter
 * or memory is short. */
bool encode_body(enum body_encoding encoding, struct buffer *body);

#endif
