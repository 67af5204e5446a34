/* text/term_key.h: a column and a token as the bytes by which a text index sorts its terms.
 *
 * A key is the column as a big-endian u16, then the token. A token of more than 254 bytes is its first 238 bytes and
 * the 16 hexadecimal digits of its checksum.
 */
#ifndef TEXT_TERM_KEY_H
#define TEXT_TERM_KEY_H

#include "base/span.h"

enum { TERM_KEY_MAX = 256, TERM_TOKEN_MAX = 254 };

struct term_key {
    uint32_t len;
    uint8_t bytes[TERM_KEY_MAX];
};

void term_key_set(struct term_key *key, uint32_t column, struct span token);

static inline struct span term_key_span(const struct term_key *key)
{
    return span_of(key->bytes, key->len);
}

/* Returns how many bytes two keys have in common at their beginnings. */
size_t term_key_shared(struct span a, struct span b);

#endif
