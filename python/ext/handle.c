/* handle.c: counts the threads that use a handle of the library, so that the last one frees it. */
#include "ext.h"

#include <pthread.h>
#include <stdatomic.h>

/* The number of forks from the first process to this one. */
static _Atomic unsigned process_number;

static void in_child(void)
{
    atomic_fetch_add(&process_number, 1);
}

void handle_watch_forks(void)
{
    pthread_atfork(NULL, NULL, in_child);
}

void handle_init(struct handle *h)
{
    *h = (struct handle){.process = atomic_load(&process_number)};
}

bool handle_is_ours(const struct handle *h)
{
    return h->process == atomic_load(&process_number);
}

bool handle_enter(struct handle *h, const char *what)
{
    if (h->closed) {
        PyErr_Format(PyExc_ValueError, "%s is closed", what);
        return false;
    }
    if (!handle_is_ours(h)) {
        PyErr_Format(PyExc_RuntimeError,
                     "%s was opened before a fork(), and this process lacks its threads: open it again", what);
        return false;
    }
    h->users++;
    return true;
}

bool handle_leave(struct handle *h)
{
    return --h->users == 0 && h->closed;
}

bool handle_close(struct handle *h)
{
    bool first = !h->closed;

    h->closed = true;
    return first && h->users == 0 && handle_is_ours(h);
}
