/* order_key.c: a kind, then the value: numbers big endian with their sign first, texts with an end that sorts before
 * every byte. */
#include "filter/order_key.h"

#include <string.h>

#include "base/json.h"

static void put_u64(uint64_t v, struct buffer *out)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buffer_u8(out, (uint8_t)(v >> shift));
}

static void put_number(const struct scalar *value, struct buffer *out)
{
    uint64_t bits;
    if (value->whole) {
        buffer_u8(out, !value->negative);
        put_u64(value->negative ? ~value->magnitude : value->magnitude, out);
        return;
    }
    double real = value->real == 0 ? 0 : value->real; /* -0 equals 0 */
    memcpy(&bits, &real, sizeof bits);
    put_u64(bits >> 63 ? ~bits : bits | UINT64_C(1) << 63, out);
}

/* Writes a zero byte as 0 255, and the end as 0 0. */
static void put_text(struct span text, struct buffer *out)
{
    for (size_t i = 0; i < text.len; i++) {
        buffer_u8(out, text.data[i]);
        if (text.data[i] == 0)
            buffer_u8(out, 255);
    }
    buffer_append_zeros(out, 2);
}

/* Gives the characters of a text as UTF-8. */
static enum dp_status unescape(const struct scalar *value, struct arena *scratch, struct span *out,
                               struct dp_error *error)
{
    struct json_reader r;
    *out = value->text;
    if (!value->escaped)
        return DP_OK;
    json_reader_init(&r, span_of(value->text.data - 1, value->text.len + 2)); /* with its quotes */
    return json_read_string(&r, scratch, out) ? DP_OK : json_error(&r, error);
}

enum dp_status order_key_put(const struct scalar *value, bool descending, struct arena *scratch,
                             struct buffer *out, struct dp_error *error)
{
    const size_t begin = out->len;
    struct span text;
    enum dp_status status = DP_OK;
    buffer_u8(out, (uint8_t)value->kind);
    switch (value->kind) {
    case SCALAR_BOOL: buffer_u8(out, value->flag); break;
    case SCALAR_NUMBER: put_number(value, out); break;
    case SCALAR_TEXT:
        status = unescape(value, scratch, &text, error);
        if (status == DP_OK)
            put_text(text, out);
        break;
    case SCALAR_NULL:
    default: break;
    }
    for (size_t i = begin; descending && i < out->len; i++)
        out->data[i] = (uint8_t)~out->data[i];
    return status == DP_OK ? buffer_check(out, "the order of rows", error) : status;
}
