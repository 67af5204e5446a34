/* base/json_powers.h: powers of ten to 128 bits, for json_format.c and json_number.c. */
#ifndef BASE_JSON_POWERS_H
#define BASE_JSON_POWERS_H

#include <stdint.h>

enum {
    POWER_OF_TEN_FIRST = -342,   /* for a smaller power, 19 digits times the power round to 0 */
    POWER_OF_TEN_LAST = 324,     /* printing the least subnormal double multiplies by it */
    POWER_OF_TEN_EXACT_LAST = 55 /* 1e0 to 1e55 are exact, the others rounded up */
};

/* The significand of a power of ten, in [2^127, 2^128): 10^e ≤ (high * 2^64 + low) * 2^(floor(log2(10^e)) - 127). */
struct power_of_ten {
    uint64_t high, low;
};

extern const struct power_of_ten POWERS_OF_TEN[POWER_OF_TEN_LAST - POWER_OF_TEN_FIRST + 1];

/* floor(log2(10^e)) for |e| ≤ 1650 (Giulietti, §8). */
static inline int32_t floor_log2_of_power(int32_t e)
{
    return (e * 1741647) >> 19;
}

#endif
