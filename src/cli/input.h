/* cli/input.h: opens a file or standard input as a stream that Ctrl-C ends. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

/* One owner thread, except for input_wake. */
struct input {
    FILE *stream;
    int fd, wake_fd;
    /* Called before a read that would block; false ends the stream. May be NULL. */
    bool (*idle)(void *ctx);
    void *ctx;
};

/* Opens a file, or standard input for "-". Set `idle` afterwards. A signal (cli/interrupt.h) makes reads fail with
 * ECANCELED. DP_NOT_FOUND, DP_DENIED, DP_IO; DP_INVALID for a folder. */
enum dp_status input_open(struct input *input, const char *path, struct dp_error *error);
void input_close(struct input *input);
/* Makes the current or the next read fail with ECANCELED. Any thread may call it; ctx: the struct input. */
void input_wake(void *ctx);

#endif
