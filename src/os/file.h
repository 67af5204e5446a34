/* os/file.h: whole files and mapped files. */
#ifndef OS_FILE_H
#define OS_FILE_H

#include <stdio.h>

#include "base/buffer.h"
#include "base/error.h"

/* Appends the file to `out`, whose maximum limits its size. */
enum dp_status os_read_file(const char *path, struct buffer *out, struct dp_error *error);
/* Writes a file completely or not at all: a temporary name beside it, fsync, rename, fsync of the folder. */
enum dp_status os_write_file(const char *path, struct span bytes, struct dp_error *error);
/* Writes a file in pieces: begin, write …, then finish or abort, which free it. One owner thread. */
struct os_new_file;
enum dp_status os_new_file_begin(const char *path, struct os_new_file **out, struct dp_error *error);
enum dp_status os_new_file_write(struct os_new_file *file, struct span bytes, struct dp_error *error);
/* The file appears under its name. On failure it does not, and its temporary is removed. */
enum dp_status os_new_file_finish(struct os_new_file *file, struct dp_error *error);
void os_new_file_abort(struct os_new_file *file); /* NULL is fine */
/* Writes all of `bytes` to an open file; returns 0 or an errno. */
int os_write_all(int fd, struct span bytes);
/* mkdir -p with mode 0777 & ~umask. New folders are durable. */
enum dp_status os_make_dirs(const char *path, struct dp_error *error);

/* A read-only mapping of a whole file. */
struct os_map {
    struct span bytes;
};
enum dp_status os_map_file(const char *path, struct os_map *out, struct dp_error *error);
void os_unmap(struct os_map *map); /* an empty map is fine */

/* A file of any size, read in parts. */
struct os_input {
    int fd;
    uint64_t size; /* at the time of opening */
};
/* Opens a regular file. DP_INVALID for any other. */
enum dp_status os_input_open(const char *path, struct os_input *out, struct dp_error *error);
/* Reads exactly len bytes from `offset` on. DP_STALE if the file has become shorter. Thread-safe. */
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
/* True with the next line, without its newline (and without a final CR), valid until the next call.
 *
 * False with error->status DP_OK at the end. False with DP_IO; DP_CANCELLED: the stream failed with ECANCELED;
 * DP_INVALID: the first line shows that the stream is compressed, UTF-16 or otherwise not lines of text;
 * DP_TOO_LARGE: the line exceeds the maximum, and its rest was skipped, so reading may go on. */
bool line_reader_next(struct line_reader *r, struct span *line, struct dp_error *error);

#endif
