/* cli/progress.h: reports progress on stderr: one line that changes on a terminal, a new line now and then
 * elsewhere. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* The state of a progress report. It prints at most ten times a second on a terminal, every five seconds
 * elsewhere. It has one owner thread. */
struct progress {
    const char *what; /* the things that are counted, such as "rows" */
    bool terminal;
    int64_t started_ns, printed_ns;
};

void progress_begin(struct progress *p, const char *what);
/* Prints how many things are `done`, and how much of the input: `part` of `whole` bytes; whole is 0 if unknown. */
void progress_update(struct progress *p, uint64_t done, uint64_t part, uint64_t whole);
/* Clears the line, so that a summary can be printed. */
void progress_end(struct progress *p);

#endif
