/* os/log_writer.h: sends log lines to stderr, without making their authors wait for a slow reader.
 *
 * A line goes out with one write that does not block. While the reader is slow, lines wait in memory, and a thread
 * sends them in order. Lines that find no room there are dropped and counted. Only a program that serves others
 * wants this: a command may well wait for the reader of its log.
 */
#ifndef OS_LOG_WRITER_H
#define OS_LOG_WRITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOG_PIECE_MAX = 4096,        /* bytes of one write; a pipe takes that many whole or not at all (PIPE_BUF) */
    LOG_WAITING_MAX = 512 << 10, /* bytes of lines that wait */
};

/* From now on log lines do not wait. Changes nothing if stderr is a file, which has no slow reader, or if the
 * system cannot open it anew. `json`: the writer's own lines are JSON. */
void log_writer_start(bool json);
/* Sends the lines that wait, for at most `ms` milliseconds. Later lines wait for the reader again. */
void log_writer_stop(int64_t ms);
/* Sends a line, or keeps or drops it. Returns false if the caller must write it itself. Thread-safe. */
bool log_writer_send(const char *line, size_t len);
/* Returns the number of dropped lines, which any thread may read. */
const _Atomic int64_t *log_writer_dropped(void);

#endif
