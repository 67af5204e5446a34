/* acceptor.c: accepts connections. When too many are open, or the process has no file descriptor left, waits
 * until one closes. */
#include "server/acceptor.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "os/thread.h"

enum { PAUSE_MS = 100 }; /* pause without a place or a file descriptor; idle connections may close meanwhile */

static void wake_acceptor(const struct acceptor *a)
{
    const uint64_t one = 1;
    ssize_t written = write(a->wake_fd, &one, sizeof one);
    (void)written; /* EAGAIN: the thread was woken already */
}

/* Hands on all waiting connections. Returns false when no file descriptor or memory is left. */
static bool accept_all(struct acceptor *a)
{
    while (!atomic_load(&a->closing) && atomic_load(&a->open) < a->open_max) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        int fd = accept4(a->listen_fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
            return false;
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (fd < 0)
            continue; /* that connection has already failed (accept(2)) */
        atomic_fetch_add(&a->open, 1);
        if (!a->take(a->context, fd, (const struct sockaddr *)&peer, len))
            atomic_fetch_sub(&a->open, 1);
    }
    return true;
}

static void *accept_connections(void *context)
{
    struct acceptor *a = context;
    bool has_files = true, pauses = false;
    while (!atomic_load(&a->closing)) {
        const bool full = !has_files || atomic_load(&a->open) >= a->open_max;
        const bool wants = !full || !pauses;
        struct pollfd fds[2] = {{.fd = a->wake_fd, .events = POLLIN},
                                {.fd = wants ? a->listen_fd : -1, .events = POLLIN}};
        poll(fds, 2, wants ? -1 : PAUSE_MS);
        pauses = full && fds[1].revents;
        if (pauses)
            a->make_room(a->context);
        uint64_t times;
        ssize_t got = fds[0].revents ? read(a->wake_fd, &times, sizeof times) : 0;
        (void)got; /* the number does not matter: the loop checks everything again */
        has_files = accept_all(a);
    }
    return NULL;
}

enum dp_status acceptor_start(struct acceptor *a, int listen_fd, unsigned open_max, acceptor_take *take,
                              acceptor_make_room *make_room, void *context, struct dp_error *error)
{
    *a = (struct acceptor){
        .listen_fd = listen_fd, .open_max = open_max, .take = take, .make_room = make_room, .context = context};
    a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->wake_fd < 0)
        return dp_fail(error, DP_IO, "cannot make an eventfd: %s", strerror(errno));
    int failed = os_thread_start(&a->thread, "dipper-accept", accept_connections, a);
    if (failed) {
        close(a->wake_fd);
        return dp_fail(error, DP_UNAVAILABLE, "cannot start a thread: %s", strerror(failed));
    }
    a->started = true;
    return DP_OK;
}

void acceptor_closed(struct acceptor *a)
{
    if (atomic_fetch_sub(&a->open, 1) == a->open_max)
        wake_acceptor(a);
}

void acceptor_stop(struct acceptor *a)
{
    if (!a->started)
        return;
    atomic_store(&a->closing, true);
    wake_acceptor(a);
    pthread_join(a->thread, NULL);
    close(a->listen_fd);
    a->started = false;
}

void acceptor_deinit(struct acceptor *a)
{
    close(a->wake_fd);
}
