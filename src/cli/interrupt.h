/* cli/interrupt.h: Ctrl-C and SIGTERM end a command cleanly; a second one ends it at once. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdatomic.h>
#include <stdbool.h>

/* Installs the handlers and answers the flag that they set: the cancel flag of the command's calls. A signal that was
 * ignored when the program began stays so: a shell starts jobs in the background that way, which Ctrl-C is not meant for. */
const _Atomic bool *interrupt_watch(void);

/* Whether the signal is ignored now. */
bool interrupt_is_ignored(int number);

/* Whether a signal has come. */
bool interrupt_came(void);

/* Waits until `fd` can be read without blocking; false when a signal comes first, or has come before, or when
 * `wake_fd` can be read (-1: none). */
bool interrupt_wait_readable(int fd, int wake_fd);

/* Ends the program by the signal that has come, if one has: the shell then sees why, and ends its loop too. */
void interrupt_end(void);

#endif
