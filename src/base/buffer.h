/* base/buffer.h: bytes that grow up to a maximum.
 *
 * Functions that append return no error. The buffer remembers its first failure (over the maximum, or out of
 * memory) and ignores later appends; the caller calls buffer_check() once at the end. One owner thread.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/error.h"
#include "base/span.h"

struct buffer {
    uint8_t *data;
    size_t len, cap, max;
    enum dp_status status; /* DP_OK, DP_NOMEM or DP_TOO_LARGE */
};

void buffer_init(struct buffer *b, size_t max_bytes);
void buffer_deinit(struct buffer *b);
void buffer_clear(struct buffer *b); /* empties the buffer and forgets its failure; keeps the memory */

/* Makes room for `extra` more bytes and returns a pointer to it; NULL on failure. The caller writes and adds to
 * b->len. */
uint8_t *buffer_reserve(struct buffer *b, size_t extra);
void buffer_append(struct buffer *b, struct span bytes);
void buffer_append_str(struct buffer *b, const char *text);
void buffer_append_zeros(struct buffer *b, size_t count);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Append a value in little-endian order. */
void buffer_u8(struct buffer *b, uint8_t v);
void buffer_u16(struct buffer *b, uint16_t v);
void buffer_u32(struct buffer *b, uint32_t v);
void buffer_u64(struct buffer *b, uint64_t v);
void buffer_f32(struct buffer *b, float v);
void buffer_f64(struct buffer *b, double v);
void buffer_varint(struct buffer *b, uint64_t v); /* LEB128 */
/* Appends zero bytes until b->len is a multiple of `alignment`. */
void buffer_align(struct buffer *b, size_t alignment);

static inline struct span buffer_span(const struct buffer *b)
{
    return span_of(b->data, b->len);
}

/* Returns DP_OK, or fails with the first failure of the buffer. `what` names the content in the message. */
enum dp_status buffer_check(const struct buffer *b, const char *what, struct dp_error *error);

#endif
