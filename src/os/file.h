/* os/file.h: reads, writes and maps whole files, makes folders, reads parts of large files, and reads lines. */
#ifndef OS_FILE_H
#define OS_FILE_H

#include <stdio.h>

#include "base/buffer.h"
#include "base/error.h"

/* Appends the content of a file to `out`. Fails with DP_TOO_LARGE if it exceeds the maximum of `out`. */
enum dp_status os_read_file(const char *path, struct buffer *out, struct dp_error *error);
/* Writes a file completely or not at all: writes to a temporary name beside it, fsyncs, renames, fsyncs the
 * folder. */
enum dp_status os_write_file(const char *path, struct span bytes, struct dp_error *error);
/* Like os_write_file, but only the file's owner may read it: for secrets. */
enum dp_status os_write_secret_file(const char *path, struct span bytes, struct dp_error *error);
/* A file that its owner writes in pieces: begin, write …, then finish or abort, which free the struct. One owner
 * thread. */
struct os_new_file;
enum dp_status os_new_file_begin(const char *path, struct os_new_file **out, struct dp_error *error);
enum dp_status os_new_file_write(struct os_new_file *file, struct span bytes, struct dp_error *error);
/* Makes the file durable under its name. On failure the file does not appear and its temporary name is removed.
 * One exception: if only the sync of the folder fails, the file is there, but a crash of the host may undo
 * that. */
enum dp_status os_new_file_finish(struct os_new_file *file, struct dp_error *error);
void os_new_file_abort(struct os_new_file *file); /* NULL is fine */
/* Writes all of `bytes` to an open file; returns 0 or an errno. */
int os_write_all(int fd, struct span bytes);
/* Makes a folder and the missing folders above it, like mkdir -p, with mode 0777 & ~umask. New folders are
 * durable. */
enum dp_status os_make_dirs(const char *path, struct dp_error *error);

/* A whole file as read-only memory. */
struct os_map {
    struct span bytes;
};
enum dp_status os_map_file(const char *path, struct os_map *out, struct dp_error *error);
/* Copies a whole file into read-only memory at a page's boundary. Use it for a file that others may write in place
 * meanwhile: the copy stays as it is, while a mapping would change, and end the process where the file ends
 * (SIGBUS). Fails with DP_STALE if the file becomes shorter during the copy. */
enum dp_status os_load_file(const char *path, struct os_map *out, struct dp_error *error);
void os_unmap(struct os_map *map); /* an empty map is fine */

/* A file of any size, read in parts. */
struct os_input {
    int fd;
    uint64_t size; /* bytes, when the file was opened */
};
/* Opens a regular file. Fails with DP_INVALID for other kinds of file. */
enum dp_status os_input_open(const char *path, struct os_input *out, struct dp_error *error);
/* Reads exactly len bytes from `offset` on. Fails with DP_STALE if the file has become shorter.
 * Thread-safe. */
enum dp_status os_input_read(const struct os_input *input, const char *path, uint64_t offset, void *into,
                             size_t len, struct dp_error *error);
void os_input_close(struct os_input *input); /* fd -1 is fine */

/* Reads the lines of a stream, one at a time. A line has at most `max_line` bytes. */
struct line_reader {
    FILE *in;
    struct buffer line;
    uint64_t number; /* number of the last line read; the first is 1 */
};
void line_reader_init(struct line_reader *r, FILE *in, size_t max_line);
void line_reader_deinit(struct line_reader *r);
/* Reads the next line and returns true. *line has no newline and no CR before it, and is valid until the next
 * call.
 *
 * Returns false with error->status
 *   DP_OK         at the end of the stream
 *   DP_IO         when the stream cannot be read
 *   DP_CANCELLED  when the stream failed with ECANCELED
 *   DP_INVALID    when the first line shows that the stream is compressed, UTF-16 or otherwise not lines of text
 *   DP_TOO_LARGE  when the line exceeds the maximum; its rest was skipped, so the caller may read on
 *   DP_NOMEM      when out of memory */
bool line_reader_next(struct line_reader *r, struct span *line, struct dp_error *error);

#endif
