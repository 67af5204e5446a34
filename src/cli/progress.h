/* cli/progress.h: a progress line on a terminal; elsewhere a line now and then. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Written to stderr: at most ten times a second on a terminal, every five seconds elsewhere. One owner. */
struct progress {
    const char *what; /* "rows" */
    bool terminal;
    int64_t started_ns, printed_ns;
};

void progress_begin(struct progress *p, const char *what);
/* Prints that `done` things are done, and the bar at `part` of `whole` (bytes of the input; whole 0: unknown). */
void progress_update(struct progress *p, uint64_t done, uint64_t part, uint64_t whole);
/* Clears the line for a summary. */
void progress_end(struct progress *p);

#endif
