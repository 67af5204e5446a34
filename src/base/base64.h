/* base/base64.h: base 64 (RFC 4648 §4). */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buffer.h"

/* Length of the padded encoding of `bytes` bytes; `bytes` must be below SIZE_MAX / 4 * 3. */
static inline size_t base64_length(size_t bytes)
{
    return (bytes / 3 + (bytes % 3 != 0)) * 4;
}
/* Writes the padded encoding into out[base64_length(bytes.len)]. */
void base64_write(struct span bytes, uint8_t *out);
/* Appends the padded encoding. */
void base64_encode(struct span bytes, struct buffer *out);
/* Decodes strictly (padding optional, no other characters, zero trailing bits) into out[3 * (text.len / 4) + 3];
 * false when malformed. */
bool base64_decode(struct span text, uint8_t *out, size_t *len);

#endif
