/* os/process.h: runs another program and takes what it prints, within limits of time and size. */
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include "base/buffer.h"
#include "os/call.h"

/* How a program ended. */
struct process_end {
    int status;   /* its exit status; -1 if a signal ended it */
    bool unknown; /* another part of this process took the exit status (a handler that waits for any child) */
};

/* Runs argv[0], found in PATH, with the arguments argv[1…] up to a NULL. No shell takes part. The program gets this
 * process's environment and an empty standard input; its signals are as after a start from a shell. It runs in a
 * process group of its own, which is killed if the call ends or the program has not ended within limit_ms
 * milliseconds.
 *
 * Appends its standard output to `out` and its standard error to `err`. More output than the maximum of `out` ends the
 * program: DP_TOO_LARGE. Of `err` the surplus is dropped. DP_NOT_FOUND: there is no such program. DP_DENIED: it may not
 * be executed. DP_UNAVAILABLE: it did not end in time. Messages name argv[0] and no argument. Blocks. */
enum dp_status process_run(struct call *call, const char *const *argv, int limit_ms, struct buffer *out,
                           struct buffer *err, struct process_end *end);

#endif
