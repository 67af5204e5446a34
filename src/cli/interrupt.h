/* cli/interrupt.h: Ctrl-C and SIGTERM end a command cleanly; a second signal ends it at once. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdatomic.h>
#include <stdbool.h>

/* Installs the handlers and returns the flag that they set: the cancel flag of the command's calls. A signal
 * that was ignored when the program began stays ignored: a shell starts a background job that way, and Ctrl-C
 * is not meant for that job. */
const _Atomic bool *interrupt_watch(void);

bool interrupt_is_ignored(int number);

bool interrupt_came(void);

/* Waits until `fd` can be read without blocking. Returns false if a signal has come or comes first, or if
 * `wake_fd` (-1: none) can be read. */
bool interrupt_wait_readable(int fd, int wake_fd);

/* If a signal has come, ends the program by that signal. So the shell sees the reason and ends its loop, too. */
void interrupt_end(void);

#endif
