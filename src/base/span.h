/* base/span.h: bytes by value (pointer + length), and a cursor that reads them within bounds.
 *
 * A span owns nothing. Its data may be NULL only when len is 0. Text in a span is UTF-8 and not
 * NUL-terminated.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t len;
};

/* For printf("%.*s", SPAN_FMT(s)). Lengths past INT_MAX are cut. */
#define SPAN_FMT(s) ((int)((s).len > 0x7fffffff ? 0x7fffffff : (s).len)), (const char *)(s).data

static inline struct span span_of(const void *data, size_t len)
{
    return (struct span){data, len};
}

static inline struct span span_str(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Whether they are equal but for the case of ASCII letters. */
bool span_equal_ignoring_case(struct span a, struct span b);

static inline bool span_equal_str(struct span a, const char *text)
{
    return span_equal(a, span_str(text));
}

static inline bool span_starts_with(struct span a, struct span prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.data, prefix.data, prefix.len) == 0);
}

/* Returns whether the span is one of `count` strings. */
bool span_one_of(struct span a, const char *const *texts, size_t count);

/* Returns the span without the bytes at its two ends that occur in `blanks`. */
struct span span_trim(struct span a, const char *blanks);

/* Compares like memcmp; a prefix sorts before a longer span. */
int span_compare(struct span a, struct span b);
/* span_compare() of two `struct span *`, for qsort. */
int span_compare_at(const void *a, const void *b);
/* Sorts spans and keeps each once. Returns how many are left. */
size_t span_sort_unique(struct span *spans, size_t count);

/* Sets *out to the part [offset, offset + len) of `a`. False: `a` ends before the part does. */
static inline bool span_sub(struct span a, uint64_t offset, uint64_t len, struct span *out)
{
    if (offset > a.len || len > a.len - offset)
        return false;
    *out = span_of(a.data + offset, (size_t)len);
    return true;
}

/* Reads little-endian values in order. The first read past the end sets `failed`, and every later read returns zero,
 * so a parser may read a whole header and check once. */
struct cursor {
    struct span rest;
    size_t offset; /* bytes consumed since cursor_over() */
    bool failed;
};

static inline struct cursor cursor_over(struct span bytes)
{
    return (struct cursor){bytes, 0, false};
}

uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
int32_t cursor_i32(struct cursor *c);
int64_t cursor_i64(struct cursor *c);
float cursor_f32(struct cursor *c);
double cursor_f64(struct cursor *c);
struct span cursor_bytes(struct cursor *c, uint64_t len); /* empty span on failure */
uint64_t cursor_long_varint(struct cursor *c);            /* LEB128, at most 10 bytes */

/* cursor_long_varint(), quick where the number is in one byte. */
static inline uint64_t cursor_varint(struct cursor *c)
{
    if (c->failed || c->rest.len == 0 || c->rest.data[0] >= 0x80)
        return cursor_long_varint(c);
    c->offset++;
    c->rest.len--;
    return *c->rest.data++;
}

#endif
