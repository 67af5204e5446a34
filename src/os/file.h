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
/* The same in pieces. One owner thread; begin, write …, then finish or abort, which frees. */
struct os_new_file;
enum dp_status os_new_file_begin(const char *path, struct os_new_file **out, struct dp_error *error);
enum dp_status os_new_file_write(struct os_new_file *file, struct span bytes, struct dp_error *error);
/* The file appears under its name; or it does not, and what was written is gone. */
enum dp_status os_new_file_finish(struct os_new_file *file, struct dp_error *error);
void os_new_file_abort(struct os_new_file *file); /* NULL is fine */
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

/* A file that is read in parts, however large it is: never more of it in memory than is asked for. */
struct os_input {
    int fd;
    uint64_t size; /* when it was opened */
};
/* A regular file. DP_INVALID for others. */
enum dp_status os_input_open(const char *path, struct os_input *out, struct dp_error *error);
/* Exactly len bytes from `offset` on. DP_STALE when the file has become shorter. Thread-safe. */
enum dp_status os_input_read(const struct os_input *input, const char *path, uint64_t offset, void *into,
                             size_t len, struct dp_error *error);
void os_input_close(struct os_input *input); /* fd -1 is fine */

/* Reads lines of any stream, one at a time, each at most `max` bytes. */
struct line_reader {
    FILE *in;
    struct buffer line;
    uint64_t number; /* of the line just read, from 1 */
};
void line_reader_init(struct line_reader *r, FILE *in, size_t max_line);
void line_reader_deinit(struct line_reader *r);
/* True with the next line, without its newline (and without a final CR), valid until the next call. At the
 * end false with error->status DP_OK; false with DP_IO, DP_CANCELLED (the stream failed with ECANCELED), DP_INVALID (the
 * first line shows that the stream is compressed, UTF-16 or another thing without lines of text), or DP_TOO_LARGE for a line over the maximum (the rest of that line is skipped, so that reading may go on). */
bool line_reader_next(struct line_reader *r, struct span *line, struct dp_error *error);

#endif
