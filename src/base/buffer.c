/* buffer.c: a growing byte buffer with a maximum and a sticky failure.
 *
 * Growth doubles the capacity up to the maximum, so a buffer never holds more than its maximum, and appending n bytes
 * costs O(n) in all.
 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

enum { BUFFER_FIRST = 256 };

void buffer_init(struct buffer *b, size_t max_bytes)
{
    *b = (struct buffer){.max = max_bytes};
}

void buffer_deinit(struct buffer *b)
{
    mem_free(b->data);
    *b = (struct buffer){.max = b->max};
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
    b->status = DP_OK;
}

static uint8_t *buffer_grow(struct buffer *b, size_t extra)
{
    if (extra > b->max - b->len) {
        b->status = DP_TOO_LARGE;
        return NULL;
    }
    size_t need = b->len + extra;
    size_t cap = b->cap > b->max / 2 ? b->max : b->cap * 2;
    if (cap < BUFFER_FIRST)
        cap = b->max < BUFFER_FIRST ? b->max : BUFFER_FIRST;
    if (cap < need)
        cap = need;
    uint8_t *data = mem_realloc(b->data, cap);
    if (!data) {
        b->status = DP_NOMEM;
        return NULL;
    }
    b->data = data;
    b->cap = cap;
    return data + b->len;
}

uint8_t *buffer_reserve(struct buffer *b, size_t extra)
{
    if (b->status != DP_OK)
        return NULL;
    if (b->data && extra <= b->cap - b->len)
        return b->data + b->len;
    return buffer_grow(b, extra);
}

void buffer_append(struct buffer *b, struct span bytes)
{
    if (bytes.len == 0)
        return;
    uint8_t *to = buffer_reserve(b, bytes.len);
    if (!to)
        return;
    memcpy(to, bytes.data, bytes.len);
    b->len += bytes.len;
}

void buffer_append_str(struct buffer *b, const char *text)
{
    buffer_append(b, span_str(text));
}

void buffer_append_zeros(struct buffer *b, size_t count)
{
    if (count == 0)
        return;
    uint8_t *to = buffer_reserve(b, count);
    if (!to)
        return;
    memset(to, 0, count);
    b->len += count;
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    /* vsnprintf also writes a NUL: into a spare byte, if the maximum has room for one. */
    if (len <= 0)
        return;
    size_t size = (size_t)len;
    if (size < b->max - b->len) {
        char *to = (char *)buffer_reserve(b, size + 1);
        if (!to)
            return;
        va_start(args, format);
        vsnprintf(to, size + 1, format, args);
        va_end(args);
        b->len += size;
        return;
    }
    if (!buffer_reserve(b, size))
        return;
    char *text = mem_alloc(size + 1);
    if (!text) {
        b->status = DP_NOMEM;
        return;
    }
    va_start(args, format);
    vsnprintf(text, size + 1, format, args);
    va_end(args);
    buffer_append(b, span_of(text, size));
    mem_free(text);
}

/* Appends the `size` low bytes of `v`, least significant first. */
static void append_number(struct buffer *b, uint64_t v, size_t size)
{
    uint8_t *to = buffer_reserve(b, size);
    if (!to)
        return;
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(v >> (8 * i));
    b->len += size;
}

void buffer_u8(struct buffer *b, uint8_t v)
{
    append_number(b, v, 1);
}

void buffer_u16(struct buffer *b, uint16_t v)
{
    append_number(b, v, 2);
}

void buffer_u32(struct buffer *b, uint32_t v)
{
    append_number(b, v, 4);
}

void buffer_u64(struct buffer *b, uint64_t v)
{
    append_number(b, v, 8);
}

void buffer_f32(struct buffer *b, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    append_number(b, bits, 4);
}

void buffer_f64(struct buffer *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    append_number(b, bits, 8);
}

void buffer_varint(struct buffer *b, uint64_t v)
{
    uint8_t bytes[10];
    size_t len = 0;
    while (v >= 0x80) {
        bytes[len++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    bytes[len++] = (uint8_t)v;
    buffer_append(b, span_of(bytes, len));
}

void buffer_align(struct buffer *b, size_t alignment)
{
    size_t past = b->len % alignment;
    if (past)
        buffer_append_zeros(b, alignment - past);
}

enum dp_status buffer_check(const struct buffer *b, const char *what, struct dp_error *error)
{
    switch (b->status) {
    case DP_OK: return DP_OK;
    case DP_NOMEM: return dp_fail_nomem(error, what);
    default: return dp_fail(error, b->status, "%s is larger than the limit of %zu bytes", what, b->max);
    }
}
