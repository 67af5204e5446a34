/* os/thread.h: starts threads that receive no signals, and waits with a time limit.
 *
 * A thread inherits the signal mask of its starter. All signals are blocked around the start, so the new thread
 * receives none. Signals go to the threads that the program (or the caller of the library) made itself.
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

/* Block every signal and restore the former mask. Foreign code that starts threads runs between the two calls. */
void os_signals_block(struct os_signals *kept);
void os_signals_restore(const struct os_signals *kept);

/* Waits for `changed` until `until_ns`, on the scale of os_now_ns(); INT64_MAX: no limit. The caller holds the
 * lock. Returns true when the time is up. May return false without a signal (a spurious wake-up). */
bool os_wait_until(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t until_ns);

/* Starts a thread with all signals blocked and a name of at most 15 characters. Returns 0 or an errno. */
int os_thread_start(pthread_t *out, const char *name, void *(*run)(void *context), void *context);

/* Lowers the priority of the calling thread for the rest of its life, so that threads of normal priority run
 * first. */
void os_thread_yields(void);

#endif
