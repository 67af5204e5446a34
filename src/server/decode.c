/* decode.c: decompresses request bodies with zlib and libzstd.
 *
 * A gzip body is one or more members (RFC 1952), a zstd body one or more frames. zlib and libzstd check the streams'
 * sums; a gzip member also tells its size, which zlib compares at the end.
 */
#include "server/decode.h"

#include <limits.h>
#include <zstd.h>

#include "server/zlib_memory.h"

struct decoder {
    enum body_encoding encoding;
    bool whole;      /* the bytes so far end with a whole member or frame */
    z_stream z;      /* of gzip */
    ZSTD_DCtx *zstd; /* of zstd */
    uint8_t made[DECODE_STEP];
};

/* Names of codings know no case (RFC 9110, 8.4.1). */
bool decode_find(struct span name, enum body_encoding *out)
{
    static const struct {
        const char *name;
        enum body_encoding encoding;
    } known[] = {{"", ENCODING_IDENTITY},
                 {"identity", ENCODING_IDENTITY},
                 {"gzip", ENCODING_GZIP},
                 {"x-gzip", ENCODING_GZIP},
                 {"zstd", ENCODING_ZSTD}};
    *out = ENCODING_IDENTITY;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (span_equal_ignoring_case(name, span_str(known[i].name))) {
            *out = known[i].encoding;
            return true;
        }
    }
    return false;
}

struct decoder *decoder_new(enum body_encoding encoding)
{
    struct decoder *d = mem_alloc(sizeof *d);
    bool good = false;
    if (!d)
        return NULL;
    d->encoding = encoding;
    d->whole = false;
    d->zstd = NULL;
    d->z = (z_stream){.zalloc = zlib_memory_alloc, .zfree = zlib_memory_free};
    if (encoding == ENCODING_GZIP) {
        good = inflateInit2(&d->z, ZLIB_GZIP_BITS) == Z_OK;
    } else {
        d->zstd = ZSTD_createDCtx();
        good =
            d->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, DECODE_ZSTD_WINDOW_LOG));
    }
    if (good)
        return d;
    ZSTD_freeDCtx(d->zstd);
    mem_free(d);
    return NULL;
}

void decoder_free(struct decoder *d)
{
    if (!d)
        return;
    if (d->encoding == ENCODING_GZIP)
        inflateEnd(&d->z);
    ZSTD_freeDCtx(d->zstd);
    mem_free(d);
}

static enum dp_status refuse_gzip(struct dp_error *error)
{
    return dp_fail(error, DP_INVALID, "the body is not a whole gzip stream");
}

static enum dp_status feed_gzip(struct decoder *d, struct span piece, decode_sink sink, void *ctx,
                                struct dp_error *error)
{
    z_stream *z = &d->z;
    enum dp_status status = DP_OK;
    z->next_in = (Bytef *)(uintptr_t)piece.data; /* zlib only reads it */
    z->avail_in = (uInt)piece.len;
    z->avail_out = 0;
    /* A full step may have left more bytes inside zlib, except at the end of a member. */
    while (status == DP_OK && (z->avail_in || (z->avail_out == 0 && !d->whole))) {
        if (d->whole) { /* another member begins */
            inflateReset(z);
            d->whole = false;
        }
        z->next_out = d->made;
        z->avail_out = DECODE_STEP;
        const int code = inflate(z, Z_NO_FLUSH);
        const size_t made = DECODE_STEP - z->avail_out;
        if (code == Z_MEM_ERROR)
            return dp_fail_nomem(error, "decompressing a body");
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return refuse_gzip(error);
        d->whole = code == Z_STREAM_END;
        if (made)
            status = sink(ctx, span_of(d->made, made), error);
    }
    return status;
}

static enum dp_status feed_zstd(struct decoder *d, struct span piece, decode_sink sink, void *ctx,
                                struct dp_error *error)
{
    enum dp_status status = DP_OK;
    ZSTD_inBuffer in = {piece.data, piece.len, 0};
    bool more = false; /* a full step may have left more bytes inside libzstd */
    while (status == DP_OK && (in.pos < in.size || more)) {
        ZSTD_outBuffer out = {d->made, DECODE_STEP, 0};
        const size_t left = ZSTD_decompressStream(d->zstd, &out, &in);
        if (ZSTD_isError(left))
            return dp_fail(error, DP_INVALID,
                           "the body is not a whole zstd stream with a window of at most %u bytes: %s",
                           1u << DECODE_ZSTD_WINDOW_LOG, ZSTD_getErrorName(left));
        d->whole = left == 0;
        more = !d->whole && out.pos == out.size;
        if (out.pos)
            status = sink(ctx, span_of(d->made, out.pos), error);
    }
    return status;
}

enum dp_status decoder_feed(struct decoder *d, struct span piece, decode_sink sink, void *ctx,
                            struct dp_error *error)
{
    if (piece.len == 0)
        return DP_OK;
    if (d->encoding == ENCODING_ZSTD)
        return feed_zstd(d, piece, sink, ctx, error);
    if (piece.len > UINT_MAX)
        return dp_fail(error, DP_TOO_LARGE, "a compressed body of %zu bytes", piece.len);
    return feed_gzip(d, piece, sink, ctx, error);
}

size_t decoder_window(const struct decoder *d)
{
    return d->zstd ? ZSTD_sizeof_DCtx(d->zstd) : 0;
}

enum dp_status decoder_end(const struct decoder *d, struct dp_error *error)
{
    if (d->whole)
        return DP_OK;
    return d->encoding == ENCODING_GZIP ? refuse_gzip(error)
                                        : dp_fail(error, DP_INVALID, "the body is not a whole zstd stream");
}
