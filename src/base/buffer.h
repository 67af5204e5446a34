/* base/buffer.h: bytes that grow up to a maximum.
 *
 * Appending returns no error: the buffer remembers its first failure (the maximum, or no memory), ignores later
 * appends, and the writer calls buffer_check() once at the end. One owner thread.
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
void buffer_clear(struct buffer *b); /* empties it and forgets a failure; keeps the memory */

/* Makes room for `extra` more bytes and returns where to write them (then add to b->len); NULL on failure. */
uint8_t *buffer_reserve(struct buffer *b, size_t extra);
void buffer_append(struct buffer *b, struct span bytes);
void buffer_append_str(struct buffer *b, const char *text);
void buffer_append_zeros(struct buffer *b, size_t count);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Little-endian values. */
void buffer_u8(struct buffer *b, uint8_t v);
void buffer_u16(struct buffer *b, uint16_t v);
void buffer_u32(struct buffer *b, uint32_t v);
void buffer_u64(struct buffer *b, uint64_t v);
void buffer_f32(struct buffer *b, float v);
void buffer_f64(struct buffer *b, double v);
void buffer_varint(struct buffer *b, uint64_t v); /* LEB128 */
/* Zero bytes until len is a multiple of `alignment`. */
void buffer_align(struct buffer *b, size_t alignment);

static inline struct span buffer_span(const struct buffer *b)
{
    return span_of(b->data, b->len);
}

/* DP_OK, or fills `error` with the first failure; `what` names what is written. */
enum dp_status buffer_check(const struct buffer *b, const char *what, struct dp_error *error);

#endif
