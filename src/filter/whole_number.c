/* filter/whole_number.c: reads integers of 64 bits without going through a double. */
#include "filter/whole_number.h"

enum whole whole_of_number(const struct json_number *n, uint64_t *magnitude)
{
    uint64_t value = 0;
    int64_t exponent = n->exponent;
    *magnitude = 0;
    if (n->integer) {
        for (size_t i = n->negative; i < n->text.len; i++) {
            if (__builtin_mul_overflow(value, 10, &value) ||
                __builtin_add_overflow(value, (uint64_t)(n->text.data[i] - '0'), &value))
                return WHOLE_OUT_OF_RANGE;
        }
        *magnitude = value;
        return WHOLE;
    }
    value = n->digits;
    if (value == 0)
        return WHOLE;
    if (n->truncated)
        return exponent >= 0 ? WHOLE_OUT_OF_RANGE : WHOLE_NOT;
    for (; exponent < 0 && value % 10 == 0; exponent++)
        value /= 10;
    if (exponent < 0)
        return WHOLE_NOT;
    for (; exponent > 0; exponent--) {
        if (__builtin_mul_overflow(value, 10, &value))
            return WHOLE_OUT_OF_RANGE;
    }
    *magnitude = value;
    return WHOLE;
}
