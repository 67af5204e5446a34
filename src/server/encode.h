/* server/encode.h: compresses answers with gzip, for clients that ask for it. */
#ifndef SERVER_ENCODE_H
#define SERVER_ENCODE_H

#include <stdbool.h>

#include "base/buffer.h"

enum { ENCODE_LEAST = 1024 }; /* shorter answers stay as they are: a packet has room for them */

/* Returns whether a value of Accept-Encoding allows gzip by name. */
bool encode_is_wanted(struct span accept);
/* Returns the bytes of memory that encode_gzip needs for a body of `len` bytes. */
size_t encode_room(size_t len);
/* Replaces the body by its gzip stream. Returns false, and leaves the body alone, if the stream is no shorter or memory
 * is short. */
bool encode_gzip(struct buffer *body);

#endif
