/* base/hex.h: hexadecimal digits. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include "base/span.h"

/* Lower-case digits and a NUL: 2 * len + 1 characters. */
void hex_encode(struct span bytes, char *out);
/* The value of a digit of either case; -1 for any other byte. */
int hex_digit(uint8_t c);
/* Reads 1 to 16 lower-case digits as a number; false for any other text. */
bool hex_read_u64(struct span digits, uint64_t *out);

#endif
