/* interrupt.c: turns the first SIGINT or SIGTERM into a flag, and leaves the second to the system.
 *
 * The flag alone would not end a read that waits for a terminal or a pipe: a signal could come after the test of
 * the flag and before the read. So ppoll() waits in place of the read, and signals arrive only while it waits.
 */
#include "cli/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

static _Atomic bool interrupted;
static _Atomic int number_of_signal;

static void on_signal(int number)
{
    atomic_store(&number_of_signal, number);
    atomic_store(&interrupted, true);
    signal(number, SIG_DFL);
}

bool interrupt_is_ignored(int number)
{
    struct sigaction now;

    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

const _Atomic bool *interrupt_watch(void)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!interrupt_is_ignored(numbers[i]))
            sigaction(numbers[i], &action, NULL);
    return &interrupted;
}

bool interrupt_came(void)
{
    return atomic_load(&interrupted);
}

bool interrupt_wait_readable(int fd, int wake_fd)
{
    struct pollfd ready[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
    sigset_t ends, before;
    int found = 0;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, &before);
    do
        found = interrupt_came() ? 0 : ppoll(ready, 2, NULL, &before);
    while (found < 0 && errno == EINTR);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    /* After a failed poll the read will report the error. */
    return found != 0 && !interrupt_came() && !(found > 0 && ready[1].revents);
}

void interrupt_end(void)
{
    if (interrupt_came()) {
        signal(number_of_signal, SIG_DFL);
        raise(number_of_signal);
    }
}
