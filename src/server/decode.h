/* server/decode.h: decompresses request bodies (Content-Encoding: gzip or zstd), piece by piece.
 *
 * A decoder keeps no decompressed bytes: it hands them to a sink, at most DECODE_STEP at a time, so the sink can
 * stop a small body that becomes a very large one. One owner thread.
 */
#ifndef SERVER_DECODE_H
#define SERVER_DECODE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

enum body_encoding { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_ZSTD };

enum {
    DECODE_STEP = 64 << 10,
    DECODE_ZSTD_WINDOW_LOG = 23, /* 8 MiB, the largest window that RFC 9659 allows in HTTP */
};

struct decoder;

/* Reads the value of Content-Encoding; empty: identity. Returns false if this server does not know it. */
bool decode_find(struct span name, enum body_encoding *out);

struct decoder *decoder_new(enum body_encoding encoding); /* gzip or zstd; NULL when out of memory */
void decoder_free(struct decoder *d);                     /* NULL is fine */

/* Takes decompressed bytes. A status other than DP_OK ends the decoding, and decoder_feed returns it. */
typedef enum dp_status (*decode_sink)(void *ctx, struct span bytes, struct dp_error *error);

/* Decompresses the next piece. Fails with DP_INVALID if the pieces so far cannot begin one stream, with DP_NOMEM,
 * or with the sink's status. */
enum dp_status decoder_feed(struct decoder *d, struct span piece, decode_sink sink, void *ctx,
                            struct dp_error *error);
/* Returns the memory that the decoder uses for the stream's window; 0 for gzip, whose window is small. */
size_t decoder_window(const struct decoder *d);
/* Checks that the pieces made a whole stream. DP_INVALID. */
enum dp_status decoder_end(const struct decoder *d, struct dp_error *error);

#endif
