/* filter/uuid.c: parses and prints UUIDs. */
#include "filter/uuid.h"

#include "base/hex.h"

/* Returns whether a hyphen stands before byte i in the text of a UUID. */
static bool hyphen_before(size_t i)
{
    return i == 4 || i == 6 || i == 8 || i == 10;
}

bool uuid_parse(struct span text, uint8_t out[UUID_BYTES])
{
    bool hyphens = text.len == UUID_TEXT_LEN;
    const uint8_t *at = text.data;
    if (!hyphens && text.len != (size_t)2 * UUID_BYTES)
        return false;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (hyphens && hyphen_before(i) && *at++ != '-')
            return false;
        int high = hex_digit(at[0]), low = hex_digit(at[1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return true;
}

void uuid_format(const uint8_t bytes[UUID_BYTES], char out[UUID_TEXT_LEN])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (hyphen_before(i))
            *out++ = '-';
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
}
