/* base/utf8.h: well-formed UTF-8 (RFC 3629), one character at a time. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/span.h"

/* Bytes (1 to 4) of the character at `at`; 0: no well-formed character begins there and ends before `end`. */
size_t utf8_length(const uint8_t *at, const uint8_t *end);
/* Bytes (≥ 1) that one U+FFFD replaces where utf8_length() is 0: the longest beginning of a character (Unicode 15,
 * §3.9, "substitution of maximal subparts"). */
size_t utf8_bad_length(const uint8_t *at, const uint8_t *end);
/* Sets *scalar to the character at `at`, which must be well-formed, and returns its bytes. */
static inline size_t utf8_decode(const uint8_t *at, uint32_t *scalar)
{
    if (at[0] < 0x80) {
        *scalar = at[0];
        return 1;
    }
    if (at[0] < 0xe0) {
        *scalar = (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu);
        return 2;
    }
    if (at[0] < 0xf0) {
        *scalar = (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
        return 3;
    }
    *scalar = (at[0] & 0x07u) << 18 | (at[1] & 0x3fu) << 12 | (at[2] & 0x3fu) << 6 | (at[3] & 0x3fu);
    return 4;
}
bool utf8_valid(struct span text);
/* Returns the part of a stranger's text that a message may quote: up to its first control character, and at most
 * `max` bytes, cut between two characters. Empty if the text is not UTF-8. */
struct span utf8_shown(struct span text, size_t max);
/* Length of the run of printable ASCII from `at`, without `"` and `\`: bytes that JSON copies unchanged. */
size_t utf8_plain_length(const uint8_t *at, const uint8_t *end);
/* The scalar value of the well-formed character of `len` bytes at `at` if a terminal or an editor acts on it instead
 * of showing it (C1 controls, marks of direction, zero-width characters, separators of lines and paragraphs; all
 * below U+10000). Otherwise 0. */
uint32_t utf8_hidden(const uint8_t *at, size_t len);
/* Writes a scalar value (no surrogate, ≤ U+10FFFF) and returns its length. */
size_t utf8_encode(uint32_t scalar, uint8_t out[4]);

#endif
