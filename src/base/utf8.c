/* utf8.c: table 3-7 of the Unicode standard (well-formed byte sequences), as a decision by lead byte. */
#include "base/utf8.h"

/* The form of a character by its lead byte: its length, and the range of its second byte (later bytes are always
 * 80..BF). Length 0: the byte is not a lead byte. */
struct utf8_shape {
    size_t len;
    uint8_t second_min, second_max;
};

static struct utf8_shape shape_of(uint8_t lead)
{
    if (lead < 0x80)
        return (struct utf8_shape){1, 0, 0};
    if (lead < 0xc2)
        return (struct utf8_shape){0, 0, 0}; /* a continuation, or an overlong form of ASCII */
    if (lead < 0xe0)
        return (struct utf8_shape){2, 0x80, 0xbf};
    if (lead < 0xf0)
        return (struct utf8_shape){3, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf};
    if (lead < 0xf5)
        return (struct utf8_shape){4, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf};
    return (struct utf8_shape){0, 0, 0};
}

/* Counts the bytes from `at` on that fit the shape of the lead byte. The lead byte counts as one. */
static size_t agreeing_bytes(const uint8_t *at, const uint8_t *end, struct utf8_shape shape)
{
    if (shape.len <= 1 || end - at < 2 || at[1] < shape.second_min || at[1] > shape.second_max)
        return 1;
    size_t n = 2;
    while (n < shape.len && n < (size_t)(end - at) && (at[n] & 0xc0) == 0x80)
        n++;
    return n;
}

size_t utf8_length(const uint8_t *at, const uint8_t *end)
{
    if (at >= end)
        return 0;
    struct utf8_shape shape = shape_of(*at);
    return shape.len && agreeing_bytes(at, end, shape) == shape.len ? shape.len : 0;
}

size_t utf8_bad_length(const uint8_t *at, const uint8_t *end)
{
    return agreeing_bytes(at, end, shape_of(*at));
}

/* Non-zero when one of eight bytes is < 0x20, ≥ 0x80, `"` or `\`. "Determine if a word has a byte less than n",
 * "equal to n" (Anderson, Bit Twiddling Hacks); a byte ≥ 0x80 sets the result by its own high bit. A byte borrows
 * from its neighbour only if the test has found a byte, so a borrow cannot make the result wrong. */
static uint64_t not_plain(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
    return ((word - ones * 0x20) | (quote - ones) | (slash - ones) | word) & high;
}

size_t utf8_plain_length(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *from = at;
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        if (not_plain(word))
            break;
        at += 8;
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return (size_t)(at - from);
}

bool utf8_valid(struct span text)
{
    if (text.len == 0)
        return true;
    const uint8_t *at = text.data, *end = at + text.len;
    while (at < end) {
        at += utf8_plain_length(at, end);
        size_t len = utf8_length(at, end);
        if (len == 0 && at < end)
            return false;
        at += len;
    }
    return true;
}

struct span utf8_shown(struct span text, size_t max)
{
    size_t len = 0;
    while (len < text.len && text.data[len] >= 0x20 && text.data[len] != 0x7f)
        len++;
    text.len = len;
    if (!utf8_valid(text))
        return (struct span){0};
    if (text.len > max) {
        text.len = max;
        while (text.len && (text.data[text.len] & 0xc0) == 0x80)
            text.len--;
    }
    return text;
}

size_t utf8_encode(uint32_t scalar, uint8_t out[4])
{
    if (scalar < 0x80) {
        out[0] = (uint8_t)scalar;
        return 1;
    }
    if (scalar < 0x800) {
        out[0] = (uint8_t)(0xc0 | scalar >> 6);
        out[1] = (uint8_t)(0x80 | (scalar & 0x3f));
        return 2;
    }
    if (scalar < 0x10000) {
        out[0] = (uint8_t)(0xe0 | scalar >> 12);
        out[1] = (uint8_t)(0x80 | (scalar >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (scalar & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | scalar >> 18);
    out[1] = (uint8_t)(0x80 | (scalar >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (scalar >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (scalar & 0x3f));
    return 4;
}

uint32_t utf8_hidden(const uint8_t *at, size_t len)
{
    uint32_t c = 0;
    if (len == 2 || len == 3)
        utf8_decode(at, &c);
    const bool hidden = (c >= 0x80 && c <= 0x9f) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
                        (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
    return hidden ? c : 0;
}
