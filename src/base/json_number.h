/* base/json_number.h: decimal numbers to binary. The JSON reader's; other parsers of numbers may use it too.
 *
 * Conversions are correctly rounded (to nearest, ties to even) for any number of digits, whatever the locale and
 * the processor's rounding mode.
 */
#ifndef BASE_JSON_NUMBER_H
#define BASE_JSON_NUMBER_H

#include "base/span.h"

/* A number by RFC 8259's grammar: ± digits * 10^exponent, where `digits` holds the first 19 significant ones. */
struct json_number {
    struct span text;
    uint64_t digits;
    int64_t exponent;
    bool negative;
    bool integer;   /* no fraction and no exponent is written */
    bool truncated; /* a digit other than 0 after the 19th was dropped */
};

/* Scans the number at the beginning of `text`; answers its length, 0 when there is none. */
size_t json_number_scan(struct span text, struct json_number *out);
/* False when the result is infinite. */
bool json_number_double(const struct json_number *n, double *out);
bool json_number_float(const struct json_number *n, float *out);

#endif
