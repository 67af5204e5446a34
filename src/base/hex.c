/* hex.c: hexadecimal digits. */
#include "base/hex.h"

void hex_encode(struct span bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        *out++ = digits[bytes.data[i] >> 4];
        *out++ = digits[bytes.data[i] & 15];
    }
    *out = '\0';
}

int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_read_u64(struct span digits, uint64_t *out)
{
    *out = 0;
    if (digits.len == 0 || digits.len > 16)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        uint8_t c = digits.data[i];
        if (hex_digit(c) < 0 || (c >= 'A' && c <= 'F'))
            return false;
        *out = *out << 4 | (uint64_t)hex_digit(c);
    }
    return true;
}
