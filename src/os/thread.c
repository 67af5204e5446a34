/* thread.c: threads that leave signals to the program's own. */
#include "os/thread.h"

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
