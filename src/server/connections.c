/* connections.c: cuts late connections, and notices clients that leave.
 *
 * A client that has closed its side for writing counts as gone, as in most servers. Before an answer is sent,
 * TCP cannot distinguish a client that has sent everything from one that has left.
 */
#include "server/connections.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/thread.h"

enum { LOOK_EVERY_MS = 200, EVENTS_MAX = 64, WAKE = 0, IDLE_TRIES = 8 };

/* Returns true if the transport waits for more of a request, but the client has closed and all its bytes were
 * read. libmicrohttpd 0.9.75 misses an end of stream that arrives together with data, because epoll reports
 * both only once. Two looks in a row must find this state, because the transport may be reading the last bytes
 * just now. */
static bool waits_in_vain(struct connection_link *c)
{
    uint8_t byte;
    bool before = c->hung_up;
    c->hung_up = atomic_load(&c->listening) && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    return before && c->hung_up;
}

/* Shuts down connections that are late or dead. The transport's thread then sees the end of the stream and
 * closes. */
static void cut_late(struct connections *all)
{
    int64_t now = os_now_ns();
    pthread_mutex_lock(&all->lock);
    for (struct connection_link *c = all->first; c; c = c->next) {
        if (now < atomic_load_explicit(&c->deadline_ns, memory_order_relaxed) && !waits_in_vain(c))
            continue;
        shutdown(c->fd, SHUT_RDWR);
        atomic_store(&c->deadline_ns, INT64_MAX);
    }
    pthread_mutex_unlock(&all->lock);
}

static void tell_left(struct connections *all, uint64_t watch)
{
    pthread_mutex_lock(&all->lock);
    for (struct connection_link *c = all->first; c; c = c->next)
        if (c->watch == watch && c->leaving)
            atomic_store(c->leaving, true);
    pthread_mutex_unlock(&all->lock);
}

static void *look_after(void *context)
{
    struct connections *all = context;
    struct epoll_event events[EVENTS_MAX];
    int64_t last = 0;
    for (;;) {
        int n = epoll_wait(all->epoll_fd, events, EVENTS_MAX, LOOK_EVERY_MS);
        for (int i = 0; i < n; i++) {
            if (events[i].data.u64 == WAKE)
                return NULL;
            tell_left(all, events[i].data.u64);
        }
        int64_t now = os_now_ns();
        if (now - last >= (int64_t)LOOK_EVERY_MS * 1000000) {
            cut_late(all);
            last = now;
        }
    }
}

enum dp_status connections_start(struct connections *all, struct dp_error *error)
{
    *all = (struct connections){.epoll_fd = epoll_create1(EPOLL_CLOEXEC), .wake_fd = eventfd(0, EFD_CLOEXEC)};
    struct epoll_event wake = {.events = EPOLLIN, .data.u64 = WAKE};
    const bool open = all->epoll_fd >= 0 && all->wake_fd >= 0 &&
                      epoll_ctl(all->epoll_fd, EPOLL_CTL_ADD, all->wake_fd, &wake) == 0;
    int failed = errno;
    if (open) {
        pthread_mutex_init(&all->lock, NULL);
        failed = os_thread_start(&all->thread, "dipper-conns", look_after, all);
        if (failed == 0)
            return DP_OK;
        pthread_mutex_destroy(&all->lock);
    }
    if (all->epoll_fd >= 0)
        close(all->epoll_fd);
    if (all->wake_fd >= 0)
        close(all->wake_fd);
    return dp_fail_errno(error, failed, "watch connections of", "the server");
}

void connections_stop(struct connections *all)
{
    uint64_t one = 1;
    while (write(all->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {}
    pthread_join(all->thread, NULL);
    close(all->epoll_fd);
    close(all->wake_fd);
    pthread_mutex_destroy(&all->lock);
}

void connections_add(struct connections *all, struct connection_link *c, int fd, const struct peer *peer,
                     int64_t deadline_ns)
{
    c->fd = fd;
    c->peer = peer;
    atomic_init(&c->idle_ns, os_now_ns());
    c->leaving = NULL;
    c->watch = 0;
    c->hung_up = false;
    atomic_init(&c->listening, true);
    atomic_init(&c->deadline_ns, deadline_ns);
    pthread_mutex_lock(&all->lock);
    c->previous = NULL;
    c->next = all->first;
    if (c->next)
        c->next->previous = c;
    all->first = c;
    pthread_mutex_unlock(&all->lock);
}

/* Returns whether to end `c` before `other`, both of them idle. */
static bool ends_before(const struct connection_link *c, const struct connection_link *other)
{
    const unsigned open = c->peer ? atomic_load(&c->peer->open) : 0;
    const unsigned others = other->peer ? atomic_load(&other->peer->open) : 0;
    return open != others ? open > others : atomic_load(&c->idle_ns) < atomic_load(&other->idle_ns);
}

/* Returns the idle connection to end, or NULL. The caller holds the lock. */
static struct connection_link *find_idle(const struct connections *all, const struct peer *peer)
{
    struct connection_link *found = NULL;
    for (struct connection_link *c = all->first; c; c = c->next)
        if (atomic_load(&c->idle_ns) && (!peer || c->peer == peer) && (!found || ends_before(c, found)))
            found = c;
    return found;
}

bool connections_end_idle(struct connections *all, const struct peer *peer)
{
    bool ended = false;
    pthread_mutex_lock(&all->lock);
    for (int tries = 0; !ended && tries < IDLE_TRIES; tries++) {
        struct connection_link *c = find_idle(all, peer);
        if (!c)
            break;
        uint8_t byte;
        int64_t since_ns = atomic_load(&c->idle_ns);
        /* A request that has just come is not idle. */
        ended = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
        atomic_compare_exchange_strong(&c->idle_ns, &since_ns, ended ? 0 : os_now_ns());
        if (ended)
            shutdown(c->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&all->lock);
    return ended;
}

void connections_remove(struct connections *all, struct connection_link *c)
{
    pthread_mutex_lock(&all->lock);
    if (c->previous)
        c->previous->next = c->next;
    else
        all->first = c->next;
    if (c->next)
        c->next->previous = c->previous;
    pthread_mutex_unlock(&all->lock);
}

void connections_watch(struct connections *all, struct connection_link *c, _Atomic bool *leaving)
{
    pthread_mutex_lock(&all->lock);
    c->leaving = leaving;
    c->watch = ++all->last_watch;
    pthread_mutex_unlock(&all->lock);
    /* EPOLLONESHOT: epoll reports the departure once, so the thread does not spin. If epoll_ctl fails, nobody
     * reports it. */
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.u64 = c->watch};
    epoll_ctl(all->epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

void connections_unwatch(struct connections *all, struct connection_link *c)
{
    epoll_ctl(all->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    pthread_mutex_lock(&all->lock);
    c->leaving = NULL;
    pthread_mutex_unlock(&all->lock);
}

void connections_tell_all(struct connections *all)
{
    pthread_mutex_lock(&all->lock);
    for (struct connection_link *c = all->first; c; c = c->next)
        if (c->leaving)
            atomic_store(c->leaving, true);
    pthread_mutex_unlock(&all->lock);
}
