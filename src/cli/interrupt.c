/* interrupt.c: turns the first SIGINT or SIGTERM into a flag, and leaves the second to the system. */
#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>

static _Atomic bool interrupted;

static void on_signal(int number)
{
    atomic_store(&interrupted, true);
    signal(number, SIG_DFL);
}

const _Atomic bool *interrupt_watch(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &interrupted;
}
