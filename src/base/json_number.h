/* base/json_number.h: decimal numbers to binary, for the JSON reader and other parsers of numbers.
 *
 * Conversions are correctly rounded (to nearest, ties to even) for any number of digits, in any locale and any
 * rounding mode of the processor.
 */
#ifndef BASE_JSON_NUMBER_H
#define BASE_JSON_NUMBER_H

#include "base/span.h"

/* A number of RFC 8259's grammar: ± digits * 10^exponent; `digits` holds the first 19 significant digits. */
struct json_number {
    struct span text;
    uint64_t digits;
    int64_t exponent;
    bool negative;
    bool integer;   /* written without fraction and exponent */
    bool truncated; /* a non-zero digit after the 19th was dropped */
};

/* Scans the number at the beginning of `text`; returns its length, 0 if there is no number. */
size_t json_number_scan(struct span text, struct json_number *out);
/* False if the result is infinite. */
bool json_number_double(const struct json_number *n, double *out);
bool json_number_float(const struct json_number *n, float *out);

#endif
