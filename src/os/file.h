/* os/file.h: whole files and mapped files. */
#ifndef OS_FILE_H
#define OS_FILE_H

#include <stdio.h>

#include "base/buffer.h"
#include "base/error.h"

/* Appends the file's bytes to `out` (whose max bounds it). */
enum dp_status os_read_file(const char *path, struct buffer *out, struct dp_error *error);
/* Writes a file whole or not at all: temporary name beside it, fsync, rename, fsync of the folder. */
enum dp_status os_write_file(const char *path, struct span bytes, struct dp_error *error);
/* Writes all of `bytes` to a file that is open; the errno of the failure, or 0. */
int os_write_all(int fd, struct span bytes);
/* mkdir -p with mode 0777 & ~umask. What was made is durable. */
enum dp_status os_make_dirs(const char *path, struct dp_error *error);

/* A read-only mapping of a whole file. */
struct os_map {
    struct span bytes;
};
enum dp_status os_map_file(const char *path, struct os_map *out, struct dp_error *error);
void os_unmap(struct os_map *map); /* an empty map is fine */

/* Reads lines of any stream, one at a time, each at most `max` bytes. */
struct line_reader {
    FILE *in;
    struct buffer line;
    uint64_t number; /* of the line just read, from 1 */
};
void line_reader_init(struct line_reader *r, FILE *in, size_t max_line);
void line_reader_deinit(struct line_reader *r);
/* True with the next line, without its newline (and without a final CR), valid until the next call. At the
 * end false with error->status DP_OK; false with DP_IO, DP_CANCELLED (the stream failed with ECANCELED), or
 * DP_TOO_LARGE for a line over the maximum (the rest of that line is skipped, so that reading may go on). */
bool line_reader_next(struct line_reader *r, struct span *line, struct dp_error *error);

#endif
