/* json_number.c: first version */
#include "base/json_number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

enum { DIGITS_KEPT = 19, EXPONENT_MAX = 100000 };

size_t json_number_scan(struct span text, struct json_number *out)
{
    const uint8_t *at = text.data, *end = at + text.len;
    struct json_number n = {.integer = true};
    int kept = 0;
    if (at < end && *at == '-') {
        n.negative = true;
        at++;
    }
    const uint8_t *first = at;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        if (kept < DIGITS_KEPT) {
            n.digits = n.digits * 10 + (uint64_t)(*at - '0');
            kept += n.digits != 0;
        } else {
            n.truncated |= *at != '0';
            n.exponent++;
        }
    }
    if (at == first || (*first == '0' && at - first > 1))
        return 0;
    if (at < end && *at == '.') {
        n.integer = false;
        first = ++at;
        for (; at < end && *at >= '0' && *at <= '9'; at++) {
            if (kept < DIGITS_KEPT) {
                n.digits = n.digits * 10 + (uint64_t)(*at - '0');
                kept += n.digits != 0;
                n.exponent--;
            } else {
                n.truncated |= *at != '0';
            }
        }
        if (at == first)
            return 0;
    }
    if (at < end && (*at | 0x20) == 'e') {
        n.integer = false;
        at++;
        bool down = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        first = at;
        int32_t exponent = 0;
        for (; at < end && *at >= '0' && *at <= '9'; at++)
            if (exponent < EXPONENT_MAX)
                exponent = exponent * 10 + (*at - '0');
        if (at == first)
            return 0;
        n.exponent += down ? -exponent : exponent;
    }
    n.text = span_of(text.data, (size_t)(at - text.data));
    *out = n;
    return n.text.len;
}

bool json_number_double(const struct json_number *n, double *out)
{
    char text[JSON_NUMBER_MAX + 1];
    memcpy(text, n->text.data, n->text.len);
    text[n->text.len] = '\0';
    *out = strtod(text, NULL);
    return isfinite(*out);
}

bool json_number_float(const struct json_number *n, float *out)
{
    char text[JSON_NUMBER_MAX + 1];
    memcpy(text, n->text.data, n->text.len);
    text[n->text.len] = '\0';
    *out = strtof(text, NULL);
    return isfinite(*out);
}

size_t json_format_float(float v, char out[16])
{
    char text[32];
    int len = 0;
    for (int p = 6; p <= 9; p++) {
        len = snprintf(text, sizeof text, "%.*g", p, (double)v);
        if (strtof(text, NULL) == v)
            break;
    }
    memcpy(out, text, (size_t)len);
    return (size_t)len;
}

size_t json_format_double(double v, char out[25])
{
    char text[32];
    int len = 0;
    for (int p = 15; p <= 17; p++) {
        len = snprintf(text, sizeof text, "%.*g", p, v);
        if (strtod(text, NULL) == v)
            break;
    }
    memcpy(out, text, (size_t)len);
    return (size_t)len;
}
