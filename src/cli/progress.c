/* progress.c: prints the progress of a long command, its rate, and the time left. */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "os/clock.h"

enum { BAR_WIDTH = 24 };

void progress_begin(struct progress *p, const char *what)
{
    p->what = what;
    p->terminal = isatty(STDERR_FILENO);
    p->started_ns = p->printed_ns = os_now_ns();
}

static void print_bar(double fraction)
{
    char bar[BAR_WIDTH + 1];

    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < (int)(fraction * BAR_WIDTH) ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "[%s] %3d %%  ", bar, (int)(fraction * 100));
}

void progress_update(struct progress *p, uint64_t done, uint64_t part, uint64_t whole)
{
    int64_t now = os_now_ns();
    int64_t pause_ns = p->terminal ? 100000000 : 5000000000;
    double seconds = (double)(now - p->started_ns) * 1e-9;

    if (now - p->printed_ns < pause_ns)
        return;
    p->printed_ns = now;
    if (p->terminal)
        fputs("\r\033[K", stderr);
    if (whole)
        print_bar((double)part / (double)whole);
    fprintf(stderr, "%" PRIu64 " %s, %.0f/s", done, p->what, (double)done / seconds);
    if (whole && part)
        fprintf(stderr, ", %.0f s left", seconds * (double)(whole - part) / (double)part);
    if (!p->terminal)
        fputc('\n', stderr);
    fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->terminal)
        fputs("\r\033[K", stderr);
}
