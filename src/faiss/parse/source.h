/* faiss/parse/source.h: the bytes of a file in order, for a parser. The source keeps a window of the file in
 * memory and reads another one, in one round, when the parser leaves it. Private to this room.
 *
 * The parser names each field, so that an error can say within which one the file ends. `ahead` counts the bytes
 * that are known to follow a field: if the source needs a round, it reads those too. Skipping bytes costs nothing.
 * One owner thread.
 */
#ifndef FAISS_SOURCE_H
#define FAISS_SOURCE_H

#include "faiss/reader.h"

enum { SOURCE_FIELDS_MAX = 512 }; /* bytes that source_fields answers at once */

struct faiss_source {
    /* in; either call and reader, or `window` alone holding the file's first bytes */
    struct call *call;
    const struct faiss_reader *reader;
    const char *name;
    struct dp_error *error;
    uint64_t size;      /* of the file */
    size_t first_bytes; /* of the first read */
    /* state */
    uint64_t at;                      /* the next byte's offset */
    struct faiss_range window;        /* the last read */
    uint64_t rounds, bytes;           /* read so far */
    uint8_t joint[SOURCE_FIELDS_MAX]; /* fields that begin in one window and end in the next */
};

void source_deinit(struct faiss_source *s);

/* Fails with "NAME: message". */
enum dp_status source_fail(struct faiss_source *s, enum dp_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* DP_CORRUPT unless the next len bytes lie inside the file. Check before you allocate. */
enum dp_status source_check(struct faiss_source *s, const char *what, uint64_t len);
/* Takes the next len ≤ SOURCE_FIELDS_MAX bytes: a cursor over them, valid until the next call. */
enum dp_status source_fields(struct faiss_source *s, const char *what, size_t len, uint64_t ahead,
                             struct cursor *out);
/* Copies the next len bytes. */
enum dp_status source_copy(struct faiss_source *s, const char *what, void *to, uint64_t len, uint64_t ahead);
/* The file's first bytes, as far as the window holds them; empty once the window has moved. */
struct span source_head(const struct faiss_source *s);
enum dp_status source_skip(struct faiss_source *s, const char *what, uint64_t len);

#endif
