/* column_key.c: values as numbers of 64 bits that keep the order of the values. */
#include "filter/column_key.h"

#include <float.h>

#include "base/checksum.h"
#include "filter/document.h"

#define SIGN (UINT64_C(1) << 63)

bool column_can_hold(enum attribute_type type)
{
    return type != ATTRIBUTE_BYTES && type != ATTRIBUTE_VECTOR;
}

static uint64_t key_of_real(double real)
{
    uint64_t bits;
    real = real == 0 ? 0 : real; /* -0 equals 0 */
    memcpy(&bits, &real, sizeof bits);
    return bits & SIGN ? ~bits : bits | SIGN;
}

static double real_of_key(uint64_t key)
{
    const uint64_t bits = key & SIGN ? key & ~SIGN : ~key;
    double real;
    memcpy(&real, &bits, sizeof real);
    return real;
}

/* Finds the key of a time in normal form. */
static bool key_of_time(struct span value, uint64_t *key)
{
    char normal[DATETIME_TEXT_LEN];
    int64_t ms;
    if (value.len != DATETIME_TEXT_LEN + 2 || value.data[0] != '"')
        return false;
    const struct span text = span_of(value.data + 1, DATETIME_TEXT_LEN);
    if (!datetime_parse(text, &ms))
        return false;
    datetime_format(ms, normal);
    *key = (uint64_t)ms ^ SIGN;
    return memcmp(normal, text.data, DATETIME_TEXT_LEN) == 0;
}

static bool key_of_whole(enum attribute_type item, const struct scalar *s, uint64_t *key)
{
    if (s->kind != SCALAR_NUMBER || !s->whole)
        return false;
    if (item == ATTRIBUTE_UINT) {
        *key = s->magnitude;
        return !s->negative;
    }
    if (s->magnitude > SIGN - !s->negative)
        return false;
    *key = (s->negative ? 0 - s->magnitude : s->magnitude) ^ SIGN;
    return true;
}

bool column_key_of(enum attribute_type item, struct span value, uint64_t *key)
{
    if (item == ATTRIBUTE_DATETIME)
        return key_of_time(value, key);
    const struct scalar s = scalar_of_json(item, value);
    switch (item) {
    case ATTRIBUTE_INT:
    case ATTRIBUTE_UINT: return key_of_whole(item, &s, key);
    case ATTRIBUTE_FLOAT: *key = s.kind == SCALAR_NUMBER ? key_of_real(s.real) : 0; return s.kind == SCALAR_NUMBER;
    case ATTRIBUTE_BOOL: *key = s.flag; return s.kind == SCALAR_BOOL;
    default: return false;
    }
}

struct scalar column_scalar(enum attribute_type item, enum attribute_type shown, uint64_t key,
                            struct column_text *text)
{
    struct scalar s = {.kind = SCALAR_NUMBER, .whole = true};
    switch (item) {
    case ATTRIBUTE_BOOL: return (struct scalar){.kind = SCALAR_BOOL, .flag = key != 0};
    case ATTRIBUTE_UINT: s.magnitude = key; return s;
    case ATTRIBUTE_FLOAT: return (struct scalar){.kind = SCALAR_NUMBER, .real = real_of_key(key)};
    case ATTRIBUTE_DATETIME:
        datetime_format((int64_t)(key ^ SIGN), text->bytes);
        return scalar_of_text(span_of(text->bytes, DATETIME_TEXT_LEN));
    case ATTRIBUTE_INT:
    default:
        if (shown == ATTRIBUTE_FLOAT)
            return (struct scalar){.kind = SCALAR_NUMBER, .real = (double)(int64_t)(key ^ SIGN)};
        s.negative = !(key & SIGN);
        s.magnitude = s.negative ? SIGN - key : key - SIGN;
        return s;
    }
}

void column_key_range(enum attribute_type item, uint64_t *least, uint64_t *greatest)
{
    *least = 0;
    *greatest = UINT64_MAX;
    if (item == ATTRIBUTE_BOOL)
        *greatest = 1;
    if (item == ATTRIBUTE_FLOAT) {
        *least = key_of_real(-DBL_MAX);
        *greatest = key_of_real(DBL_MAX);
    }
    if (item == ATTRIBUTE_DATETIME) {
        int64_t first = 0, last = 0;
        datetime_parse(span_str("0001-01-01"), &first);
        datetime_parse(span_str("9999-12-31T23:59:59.999"), &last);
        *least = (uint64_t)first ^ SIGN;
        *greatest = (uint64_t)last ^ SIGN;
    }
}

uint32_t column_hash(struct span text)
{
    return (uint32_t)checksum64(text);
}

void column_unescape(const struct scalar *text, struct buffer *out)
{
    struct text_bytes t = text_bytes_of(text->text, text->escaped);
    buffer_clear(out);
    for (int byte = text_next_byte(&t); byte >= 0; byte = text_next_byte(&t))
        buffer_u8(out, (uint8_t)byte);
}

bool column_text_of(struct span value, struct buffer *unescaped, struct span *out)
{
    const struct scalar s = scalar_of_json(ATTRIBUTE_STRING, value);
    if (s.kind != SCALAR_TEXT)
        return false;
    *out = s.text;
    if (!s.escaped)
        return true;
    column_unescape(&s, unescaped);
    *out = buffer_span(unescaped);
    return true;
}
