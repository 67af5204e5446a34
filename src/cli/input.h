/* cli/input.h: the file or the standard input that a command reads, as a stream that Ctrl-C ends. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

/* One owner thread, but for input_wake. */
struct input {
    FILE *stream;
    int fd, wake_fd;
    /* Called before a read that would block; false ends the stream. NULL: nobody is asked. */
    bool (*idle)(void *ctx);
    void *ctx;
};

/* Opens a file, or standard input for "-". Set `idle` afterwards. When a signal comes (cli/interrupt.h) while
 * the stream is read, it fails with ECANCELED. DP_NOT_FOUND, DP_DENIED, DP_IO; DP_INVALID for a folder. */
enum dp_status input_open(struct input *input, const char *path, struct dp_error *error);
void input_close(struct input *input);
/* Ends reading: a read that waits, or the next one, fails with ECANCELED. From any thread; ctx: the struct input. */
void input_wake(void *ctx);

#endif
