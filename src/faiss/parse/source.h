/* faiss/parse/source.h: gives a parser the bytes of a file in order. Private to src/faiss/.
 *
 * The source keeps a window of the file in memory. When the parser needs bytes outside the window, the source
 * reads another window, in one round. The parser names each field, so that an error can name the field in which
 * the file ends. `ahead` is the number of bytes that surely follow a field. If the source needs a round for the
 * field, it reads those bytes too. Skipping bytes reads nothing. One owner thread.
 */
#ifndef FAISS_SOURCE_H
#define FAISS_SOURCE_H

#include "faiss/reader.h"

enum { SOURCE_FIELDS_MAX = 512 }; /* maximum bytes of one source_fields */

struct faiss_source {
    /* The caller sets these: either call and reader, or only `window`, with the file's first bytes. */
    struct call *call;
    const struct faiss_reader *reader;
    const char *name;
    struct dp_error *error;
    uint64_t size;      /* bytes of the file */
    size_t first_bytes; /* bytes of the first read */
    /* The source sets these. */
    uint64_t at;                      /* the next byte's offset */
    struct faiss_range window;        /* the last read */
    uint64_t rounds, bytes;           /* rounds and bytes of all reads so far */
    uint8_t joint[SOURCE_FIELDS_MAX]; /* fields that begin in one window and end in the next */
};

void source_deinit(struct faiss_source *s);

/* Fills the error with "NAME: " and the message. Returns `status`. */
enum dp_status source_fail(struct faiss_source *s, enum dp_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Checks that the next len bytes lie inside the file; DP_CORRUPT if not. Call it before you allocate for them. */
enum dp_status source_check(struct faiss_source *s, const char *what, uint64_t len);
/* Takes the next len ≤ SOURCE_FIELDS_MAX bytes. Sets *out to a cursor over them, which is valid until the next
 * call. */
enum dp_status source_fields(struct faiss_source *s, const char *what, size_t len, uint64_t ahead,
                             struct cursor *out);
/* Takes the next len bytes, and copies them to `to`. */
enum dp_status source_copy(struct faiss_source *s, const char *what, void *to, uint64_t len, uint64_t ahead);
/* Returns the file's first bytes, if the window still holds them; else an empty span. */
struct span source_head(const struct faiss_source *s);
enum dp_status source_skip(struct faiss_source *s, const char *what, uint64_t len);

#endif
