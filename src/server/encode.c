/* encode.c: compresses answers with zlib and libzstd.
 *
 * Level 1 of both: the slower levels save few more bytes of an answer, most of which are digits of numbers. If a
 * client accepts both, zstd is chosen: it takes less time and makes fewer bytes.
 */
#include "server/encode.h"

#include <limits.h>
#include <zstd.h>

#include "server/zlib_memory.h"

enum {
    GZIP_LEVEL = 1,
    GZIP_MEMORY_LEVEL = 8,
    GZIP_STATE_BYTES = 288 << 10,
    ZSTD_LEVEL = 1,
    ZSTD_STATE_BYTES = 640 << 10, /* ZSTD_estimateCCtxSize(1), rounded up */
};

/* Returns whether the parameters of a coding say "q=0", which forbids it. */
static bool is_forbidden(struct span parameters)
{
    struct span value = span_trim(parameters, " \t");
    if (value.len < 3 || (value.data[0] != 'q' && value.data[0] != 'Q') || value.data[1] != '=')
        return false;
    for (size_t i = 2; i < value.len; i++)
        if (value.data[i] != '0' && value.data[i] != '.')
            return false;
    return true;
}

enum body_encoding encode_choose(struct span accept)
{
    enum body_encoding best = ENCODING_IDENTITY;
    while (accept.len) {
        const uint8_t *comma = memchr(accept.data, ',', accept.len);
        const size_t len = comma ? (size_t)(comma - accept.data) : accept.len;
        const uint8_t *semicolon = memchr(accept.data, ';', len);
        const size_t name_len = semicolon ? (size_t)(semicolon - accept.data) : len;
        const struct span name = span_trim(span_of(accept.data, name_len), " \t");
        enum body_encoding encoding;
        if (decode_find(name, &encoding) && encoding > best &&
            !(semicolon && is_forbidden(span_of(semicolon + 1, len - name_len - 1))))
            best = encoding;
        accept = comma ? span_of(comma + 1, accept.len - len - 1) : span_of(NULL, 0);
    }
    return best;
}

size_t encode_room(enum body_encoding encoding, size_t len)
{
    return len + (encoding == ENCODING_ZSTD ? ZSTD_STATE_BYTES : GZIP_STATE_BYTES);
}

/* Compresses the bytes into an empty buffer. Returns false if the stream would not be shorter. */
static bool write_gzip(struct span bytes, struct buffer *out)
{
    z_stream z = {.zalloc = zlib_memory_alloc, .zfree = zlib_memory_free};
    if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, ZLIB_GZIP_BITS, GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    z.next_in = (Bytef *)(uintptr_t)bytes.data; /* zlib only reads it */
    z.avail_in = (uInt)bytes.len;
    z.next_out = buffer_reserve(out, bytes.len);
    z.avail_out = (uInt)bytes.len; /* a longer stream is useless */
    const bool whole = z.next_out && deflate(&z, Z_FINISH) == Z_STREAM_END;
    out->len = whole ? bytes.len - z.avail_out : 0;
    deflateEnd(&z);
    return whole;
}

/* As write_gzip, with zstd. */
static bool write_zstd(struct span bytes, struct buffer *out)
{
    uint8_t *room = buffer_reserve(out, bytes.len);
    if (!room)
        return false;
    const size_t made = ZSTD_compress(room, bytes.len, bytes.data, bytes.len, ZSTD_LEVEL);
    out->len = ZSTD_isError(made) ? 0 : made;
    return out->len > 0;
}

bool encode_body(enum body_encoding encoding, struct buffer *body)
{
    struct buffer packed;
    if (encoding == ENCODING_IDENTITY || body->status != DP_OK || body->len == 0 || body->len > UINT_MAX)
        return false;
    buffer_init(&packed, body->max);
    const bool written = encoding == ENCODING_ZSTD ? write_zstd(buffer_span(body), &packed)
                                                   : write_gzip(buffer_span(body), &packed);
    const bool good = written && packed.len < body->len;
    if (good) {
        const struct buffer whole = *body;
        *body = packed;
        packed = whole;
    }
    buffer_deinit(&packed);
    return good;
}
