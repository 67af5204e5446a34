/* api/base64.h: base 64 (RFC 4648 §4). The dialects' own. */
#ifndef API_BASE64_H
#define API_BASE64_H

#include "base/buffer.h"

/* Appends the padded encoding. */
void base64_encode(struct span bytes, struct buffer *out);
/* Decodes strictly (padding optional, no other characters, zero trailing bits) into out[3 * (text.len / 4) + 3];
 * false when malformed. */
bool base64_decode(struct span text, uint8_t *out, size_t *len);

#endif
