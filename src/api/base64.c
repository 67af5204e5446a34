/* base64.c: base 64. */
#include "api/base64.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct span bytes, struct buffer *out)
{
    size_t groups = bytes.len / 3 + (bytes.len % 3 != 0);
    if (groups > SIZE_MAX / 4) {
        out->status = DP_TOO_LARGE;
        return;
    }
    uint8_t *to = buffer_reserve(out, groups * 4);
    if (!to)
        return;
    const uint8_t *from = bytes.data;
    size_t left = bytes.len;
    for (; left >= 3; left -= 3, from += 3, to += 4) {
        uint32_t v = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        to[0] = (uint8_t)ALPHABET[v >> 18];
        to[1] = (uint8_t)ALPHABET[v >> 12 & 63];
        to[2] = (uint8_t)ALPHABET[v >> 6 & 63];
        to[3] = (uint8_t)ALPHABET[v & 63];
    }
    if (left) {
        uint32_t v = (uint32_t)from[0] << 16 | (left == 2 ? (uint32_t)from[1] << 8 : 0);
        to[0] = (uint8_t)ALPHABET[v >> 18];
        to[1] = (uint8_t)ALPHABET[v >> 12 & 63];
        to[2] = left == 2 ? (uint8_t)ALPHABET[v >> 6 & 63] : '=';
        to[3] = '=';
    }
    out->len += groups * 4;
}

static int digit_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct span text, uint8_t *out, size_t *len)
{
    size_t chars = text.len;
    if (chars % 4 == 0 && chars && text.data[chars - 1] == '=')
        chars -= text.data[chars - 2] == '=' ? 2 : 1;
    if (chars % 4 == 1)
        return false;
    uint32_t bits = 0;
    unsigned have = 0;
    size_t written = 0;
    for (size_t i = 0; i < chars; i++) {
        int digit = digit_of(text.data[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[written++] = (uint8_t)(bits >> have);
            bits &= (1U << have) - 1;
        }
    }
    *len = written;
    return bits == 0;
}
