/* span.c: compares and trims spans, and reads through the bounds-checked little-endian cursor. */
#include "base/span.h"

#include <stdlib.h>
#include <strings.h>

bool span_one_of(struct span a, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal_str(a, texts[i]))
            return true;
    return false;
}

static bool is_in(uint8_t byte, const char *bytes)
{
    return byte != '\0' && strchr(bytes, byte);
}

struct span span_trim(struct span a, const char *blanks)
{
    while (a.len && is_in(a.data[0], blanks))
        a = span_of(a.data + 1, a.len - 1);
    while (a.len && is_in(a.data[a.len - 1], blanks))
        a.len--;
    return a;
}

int span_compare(struct span a, struct span b)
{
    size_t shared = a.len < b.len ? a.len : b.len;
    int order = shared ? memcmp(a.data, b.data, shared) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

int span_compare_at(const void *a, const void *b)
{
    const struct span *left = a, *right = b;
    return span_compare(*left, *right);
}

size_t span_sort_unique(struct span *spans, size_t count)
{
    size_t kept = 0;
    if (count)
        qsort(spans, count, sizeof *spans, span_compare_at);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !span_equal(spans[kept - 1], spans[i]))
            spans[kept++] = spans[i];
    }
    return kept;
}

/* Takes the next `len` bytes. If fewer are left, returns NULL and marks the cursor as failed. */
static const uint8_t *cursor_take(struct cursor *c, size_t len)
{
    if (c->failed || c->rest.len < len) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *at = c->rest.data;
    c->rest.len -= len;
    c->offset += len;
    if (len)
        c->rest.data += len;
    return at;
}

/* Reads `size` bytes as a little-endian number; 0 if fewer are left. */
static uint64_t cursor_number(struct cursor *c, size_t size)
{
    const uint8_t *at = cursor_take(c, size);
    uint64_t v = 0;
    if (at)
        for (size_t i = 0; i < size; i++)
            v |= (uint64_t)at[i] << (8 * i);
    return v;
}

uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)cursor_number(c, 1);
}

uint16_t cursor_u16(struct cursor *c)
{
    return (uint16_t)cursor_number(c, 2);
}

uint32_t cursor_u32(struct cursor *c)
{
    return (uint32_t)cursor_number(c, 4);
}

uint64_t cursor_u64(struct cursor *c)
{
    return cursor_number(c, 8);
}

int32_t cursor_i32(struct cursor *c)
{
    return (int32_t)cursor_number(c, 4);
}

int64_t cursor_i64(struct cursor *c)
{
    return (int64_t)cursor_number(c, 8);
}

float cursor_f32(struct cursor *c)
{
    uint32_t bits = cursor_u32(c);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

double cursor_f64(struct cursor *c)
{
    uint64_t bits = cursor_u64(c);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

struct span cursor_bytes(struct cursor *c, uint64_t len)
{
    if (len > c->rest.len) {
        c->failed = true;
        return span_of(NULL, 0);
    }
    const uint8_t *at = cursor_take(c, (size_t)len);
    return at ? span_of(at, (size_t)len) : span_of(NULL, 0);
}

uint64_t cursor_long_varint(struct cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = cursor_u8(c);
        uint64_t bits = byte & 0x7f;
        if (shift == 63 && bits > 1)
            break; /* more than 64 bits */
        v |= bits << shift;
        if (c->failed)
            return 0;
        if (byte < 0x80)
            return v;
    }
    c->failed = true;
    return 0;
}

bool span_equal_ignoring_case(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp((const char *)a.data, (const char *)b.data, a.len) == 0);
}
