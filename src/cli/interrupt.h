/* cli/interrupt.h: Ctrl-C and SIGTERM end a command cleanly; a second one ends it at once. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdatomic.h>
#include <stdbool.h>

/* Installs the handlers and answers the flag that they set: the cancel flag of the command's calls. */
const _Atomic bool *interrupt_watch(void);

#endif
