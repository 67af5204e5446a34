/* thread.c: starts threads that receive no signals, and waits with a time limit (see thread.h). */
#include "os/thread.h"

#include <errno.h>
#include <sys/resource.h>
#include <time.h>

void os_signals_block(struct os_signals *kept)
{
    sigset_t every;
    sigfillset(&every);
    pthread_sigmask(SIG_BLOCK, &every, &kept->before);
}

void os_signals_restore(const struct os_signals *kept)
{
    pthread_sigmask(SIG_SETMASK, &kept->before, NULL);
}

bool os_wait_until(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t until_ns)
{
    const struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    if (until_ns != INT64_MAX)
        return pthread_cond_clockwait(changed, lock, CLOCK_MONOTONIC, &until) == ETIMEDOUT;
    pthread_cond_wait(changed, lock);
    return false;
}

int os_thread_start(pthread_t *out, const char *name, void *(*run)(void *context), void *context)
{
    struct os_signals kept;
    os_signals_block(&kept);
    int failed = pthread_create(out, NULL, run, context);
    os_signals_restore(&kept);
    if (!failed)
        pthread_setname_np(*out, name);
    return failed;
}

void os_thread_yields(void)
{
    enum { NICE = 10 };
    setpriority(PRIO_PROCESS, 0, NICE); /* 0: this thread. If the system refuses, the thread keeps its priority. */
}
