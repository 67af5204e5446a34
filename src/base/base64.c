/* base64.c: encodes and decodes base64 with the standard alphabet. */
#include "base/base64.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(struct span bytes, uint8_t *to)
{
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
}

void base64_encode(struct span bytes, struct buffer *out)
{
    if (bytes.len / 3 >= SIZE_MAX / 4) {
        out->status = DP_TOO_LARGE;
        return;
    }
    size_t chars = base64_length(bytes.len);
    uint8_t *to = buffer_reserve(out, chars);
    if (!to)
        return;
    base64_write(bytes, to);
    out->len += chars;
}

/* Returns the value of a character, or more than 63 for a character outside the alphabet. */
static inline uint32_t value_of(uint8_t c)
{
    static const uint8_t values[256] = {
        ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,  ['I'] = 9,
        ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18,
        ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27,
        ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,
        ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45,
        ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54,
        ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63,
        ['/'] = 64}; /* each value plus 1; 0: not in the alphabet */
    return values[c] - 1U;
}

bool base64_decode(struct span text, uint8_t *out, size_t *len)
{
    size_t chars = text.len;
    if (chars % 4 == 0 && chars && text.data[chars - 1] == '=')
        chars -= text.data[chars - 2] == '=' ? 2 : 1;
    size_t left = chars % 4;
    if (left == 1)
        return false;
    const uint8_t *from = text.data;
    uint8_t *to = out;
    uint32_t bad = 0;
    for (size_t groups = chars / 4; groups > 0; groups--, from += 4, to += 3) {
        uint32_t a = value_of(from[0]), b = value_of(from[1]), c = value_of(from[2]), d = value_of(from[3]);
        uint32_t v = a << 18 | b << 12 | c << 6 | d;
        bad |= a | b | c | d;
        to[0] = (uint8_t)(v >> 16);
        to[1] = (uint8_t)(v >> 8);
        to[2] = (uint8_t)v;
    }
    if (left) {
        uint32_t a = value_of(from[0]), b = value_of(from[1]), c = left == 3 ? value_of(from[2]) : 0;
        uint32_t v = a << 10 | b << 4 | c >> 2; /* 16 bits; after two characters the low 8 are padding */
        bad |= a | b | c;
        if (left == 3 ? c & 3 : v & 0xff)
            return false;
        *to++ = (uint8_t)(v >> 8);
        if (left == 3)
            *to++ = (uint8_t)v;
    }
    *len = (size_t)(to - out);
    return bad <= 63;
}
