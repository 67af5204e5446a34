/* source.c: moves a window of bytes over a file as the parser goes forward. */
#include "faiss/parse/source.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/error.h"

/* Maximum bytes of an array per range. source_copy() reads a longer array in pieces, all in one round: for a
 * longer range, a store would first look up the object's size. */
enum { PIECE_BYTES = 32 << 20 };

void source_deinit(struct faiss_source *s)
{
    if (s->reader && s->window.bytes.data)
        s->reader->release(s->reader->ctx, &s->window, 1);
    s->window = (struct faiss_range){0};
}

enum dp_status source_fail(struct faiss_source *s, enum dp_status status, const char *format, ...)
{
    char message[DP_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return dp_fail(s->error, status, "%s: %s", s->name, message);
}

enum dp_status source_check(struct faiss_source *s, const char *what, uint64_t len)
{
    if (s->at <= s->size && len <= s->size - s->at)
        return DP_OK;
    return source_fail(s, DP_CORRUPT,
                       "it ends within %s: %" PRIu64 " bytes at offset %" PRIu64 ", in a file of %" PRIu64, what,
                       len, s->at, s->size);
}

/* Returns the bytes of the window from s->at on; empty when the window does not hold s->at. */
static struct span rest_of_window(const struct faiss_source *s)
{
    uint64_t passed = s->at - s->window.offset; /* the parser never goes back */
    if (s->at < s->window.offset || passed >= s->window.bytes.len)
        return span_of(NULL, 0);
    return span_of(s->window.bytes.data + passed, s->window.bytes.len - (size_t)passed);
}

/* Moves the window to `offset` and reads len bytes, which must lie inside the file. It also reads up to `ahead`
 * more bytes, as far as the file has them. DP_CORRUPT without a reader; DP_IO when the reader gives fewer
 * bytes. */
static enum dp_status move_window(struct faiss_source *s, const char *what, uint64_t offset, uint64_t len,
                                  uint64_t ahead)
{
    if (!s->reader)
        return source_fail(s, DP_CORRUPT, "its head of %zu bytes is cut short, within %s at offset %" PRIu64,
                           s->window.bytes.len, what, offset);
    enum dp_status status = call_check(s->call);
    if (status != DP_OK)
        return status;
    uint64_t left = s->size - offset;
    uint64_t want = left - len < ahead ? left : len + ahead;
    if (s->rounds == 0 && want < s->first_bytes)
        want = left < s->first_bytes ? left : s->first_bytes;
    struct faiss_range range = {.offset = offset, .len = (size_t)want};
    source_deinit(s);
    status = s->reader->read(s->call, s->reader->ctx, &range, 1);
    if (status != DP_OK)
        return status;
    s->rounds++;
    s->bytes += want;
    s->window = range;
    if (range.bytes.len == range.len)
        return DP_OK;
    return source_fail(s, DP_IO, "the reader answered %zu bytes for %zu at offset %" PRIu64, range.bytes.len,
                       range.len, offset);
}

enum dp_status source_fields(struct faiss_source *s, const char *what, size_t len, uint64_t ahead,
                             struct cursor *out)
{
    struct span rest = rest_of_window(s);
    enum dp_status status = source_check(s, what, len);
    if (status != DP_OK)
        return status;
    if (rest.len >= len) {
        *out = cursor_over(span_of(rest.data, len));
    } else {
        size_t had = rest.len;
        if (had > 0)
            memcpy(s->joint, rest.data, had);
        status = move_window(s, what, s->at + had, len - had, ahead);
        if (status != DP_OK)
            return status;
        memcpy(s->joint + had, s->window.bytes.data, len - had);
        *out = cursor_over(span_of(s->joint, len));
    }
    s->at += len;
    return DP_OK;
}

/* Reads len bytes at `offset` in one round. Copies all pieces but the last into `to`. The last piece, with the
 * `ahead` bytes behind it, becomes the window; the caller must copy the window's first *left bytes. */
static enum dp_status copy_pieces(struct faiss_source *s, uint8_t *to, uint64_t offset, uint64_t len,
                                  uint64_t ahead, uint64_t *left)
{
    size_t count = (size_t)((len - 1) / PIECE_BYTES);
    uint64_t rest = s->size - offset;
    struct faiss_range *ranges = mem_calloc(count + 1, sizeof *ranges);
    if (!ranges)
        return dp_fail_nomem(s->error, "the ranges of a FAISS file");
    for (size_t i = 0; i < count; i++)
        ranges[i] = (struct faiss_range){.offset = offset + i * (uint64_t)PIECE_BYTES, .len = PIECE_BYTES};
    *left = len - count * (uint64_t)PIECE_BYTES;
    uint64_t last = rest - len < ahead ? rest - (len - *left) : *left + ahead;
    ranges[count] = (struct faiss_range){.offset = offset + len - *left, .len = (size_t)last};
    source_deinit(s);
    enum dp_status status = call_check(s->call);
    if (status == DP_OK)
        status = s->reader->read(s->call, s->reader->ctx, ranges, count + 1);
    if (status == DP_OK) {
        s->rounds++;
        s->window = ranges[count];
        s->bytes += count * (uint64_t)PIECE_BYTES + last;
        bool whole = s->window.bytes.len == s->window.len;
        for (size_t i = 0; i < count; i++) {
            if (ranges[i].bytes.len == PIECE_BYTES)
                memcpy(to + i * (size_t)PIECE_BYTES, ranges[i].bytes.data, PIECE_BYTES);
            whole = whole && ranges[i].bytes.len == PIECE_BYTES;
        }
        if (count > 0)
            s->reader->release(s->reader->ctx, ranges, count);
        if (!whole)
            status = source_fail(
                s, DP_IO, "the reader answered fewer bytes than were asked for, from offset %" PRIu64, offset);
    }
    mem_free(ranges);
    return status;
}

enum dp_status source_copy(struct faiss_source *s, const char *what, void *to, uint64_t len, uint64_t ahead)
{
    struct span rest = rest_of_window(s);
    uint8_t *next = to;
    enum dp_status status = source_check(s, what, len);
    if (status != DP_OK)
        return status;
    uint64_t had = rest.len < len ? rest.len : len, left = len - had;
    if (had > 0)
        memcpy(next, rest.data, (size_t)had);
    if (left > PIECE_BYTES && s->reader)
        status = copy_pieces(s, next + had, s->at + had, len - had, ahead, &left);
    else if (left > 0)
        status = move_window(s, what, s->at + had, left, ahead);
    if (status != DP_OK)
        return status;
    if (left > 0)
        memcpy(next + (len - left), s->window.bytes.data, (size_t)left);
    s->at += len;
    return DP_OK;
}

enum dp_status source_skip(struct faiss_source *s, const char *what, uint64_t len)
{
    enum dp_status status = source_check(s, what, len);
    if (status == DP_OK)
        s->at += len;
    return status;
}

struct span source_head(const struct faiss_source *s)
{
    return s->window.offset == 0 ? s->window.bytes : span_of(NULL, 0);
}
