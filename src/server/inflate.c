/* inflate.c: decompresses gzip request bodies with zlib, into a bounded buffer. */
#include "server/inflate.h"

#include <limits.h>
#include <zlib.h>

#include "base/alloc.h"

enum { STEP = 64 << 10, GZIP_ONLY = 16, HEAD_AND_TRAILER = 18 };

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size)
{
    (void)opaque;
    return mem_calloc(items, size);
}

static void zlib_free(voidpf opaque, voidpf block)
{
    (void)opaque;
    mem_free(block);
}

size_t inflate_gzip_size(struct span in)
{
    if (in.len < HEAD_AND_TRAILER)
        return 0;
    const uint8_t *size = in.data + in.len - 4;
    return (size_t)size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
}

enum dp_status inflate_gzip(struct span in, struct buffer *out, struct dp_error *error)
{
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (in.len > UINT_MAX)
        return dp_fail(error, DP_TOO_LARGE, "a compressed body of %zu bytes", in.len);
    if (inflateInit2(&z, MAX_WBITS + GZIP_ONLY) != Z_OK)
        return dp_fail_nomem(error, "decompressing a body");
    z.next_in = (Bytef *)(uintptr_t)in.data; /* zlib only reads it */
    z.avail_in = (uInt)in.len;
    int code = Z_OK;
    while (code == Z_OK) {
        size_t room = out->max - out->len < STEP ? out->max - out->len : STEP;
        uint8_t spare;
        /* One byte beyond the maximum distinguishes "exactly full" from "too large". */
        uint8_t *to = room ? buffer_reserve(out, room) : &spare;
        if (!to)
            break;
        z.next_out = to;
        z.avail_out = room ? (uInt)room : 1;
        code = inflate(&z, Z_NO_FLUSH);
        size_t made = (room ? room : 1) - z.avail_out;
        if (!room && made) {
            code = Z_STREAM_ERROR;
            out->status = DP_TOO_LARGE;
        } else if (room) {
            out->len += made;
        }
    }
    unsigned behind = z.avail_in;
    inflateEnd(&z);
    if (out->status != DP_OK)
        return buffer_check(out, "the decompressed body", error);
    if (code == Z_MEM_ERROR)
        return dp_fail_nomem(error, "decompressing a body");
    if (code != Z_STREAM_END || behind)
        return dp_fail(error, DP_INVALID, "the body is not a whole gzip stream");
    return DP_OK;
}
