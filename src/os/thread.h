/* os/thread.h: threads that leave signals to the program's own, and waits that end.
 *
 * A thread inherits the mask of who starts it, so signals are blocked around the start; a signal then goes to the
 * threads that the program (or, in a library, its caller) made itself.
 */
#ifndef OS_THREAD_H
#define OS_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct os_signals {
    sigset_t before;
};

/* For code of others that starts threads: between the two, every signal is blocked. */
void os_signals_block(struct os_signals *kept);
void os_signals_restore(const struct os_signals *kept);

/* Waits for `changed` until `until_ns` on the scale of os_now_ns(); INT64_MAX: for ever. The lock is held. True when
 * the time is up; a false one may have woken for nothing. */
bool os_wait_until(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t until_ns);

/* Starts a thread with all signals blocked and a name of at most 15 characters. 0, or an errno. */
int os_thread_start(pthread_t *out, const char *name, void *(*run)(void *context), void *context);

#endif
