/* term_key.c: makes the key of a column and a token. */
#include "text/term_key.h"

#include "base/checksum.h"

enum { DIGITS = 16, COLUMN_LEN = 2 };

void term_key_set(struct term_key *key, uint32_t column, struct span token)
{
    size_t kept = token.len <= TERM_TOKEN_MAX ? token.len : TERM_TOKEN_MAX - DIGITS;
    key->bytes[0] = (uint8_t)(column >> 8);
    key->bytes[1] = (uint8_t)column;
    if (kept)
        memcpy(key->bytes + COLUMN_LEN, token.data, kept);
    key->len = (uint32_t)(COLUMN_LEN + kept);
    if (kept < token.len) {
        uint64_t sum = checksum64(token);
        for (int digit = 0; digit < DIGITS; digit++)
            key->bytes[key->len++] = (uint8_t) "0123456789abcdef"[sum >> (60 - 4 * digit) & 15];
    }
}

size_t term_key_shared(struct span a, struct span b)
{
    size_t n = 0, most = a.len < b.len ? a.len : b.len;
    while (n < most && a.data[n] == b.data[n])
        n++;
    return n;
}
