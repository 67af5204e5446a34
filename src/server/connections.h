/* server/connections.h: the open connections, and a thread that looks after them.
 *
 * libmicrohttpd times out connections that are silent, but not those that are slow, and does not watch a suspended
 * connection at all. So one thread here cuts connections whose deadline has passed (a head, body or answer that
 * takes too long in all) or from which no more can come, and tells a request that its client has left.
 */
#ifndef SERVER_CONNECTIONS_H
#define SERVER_CONNECTIONS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* The transport embeds this in what it knows of a connection. */
struct connection_link {
    int fd;
    _Atomic int64_t deadline_ns; /* os_now_ns() scale; INT64_MAX: none */
    _Atomic bool listening;      /* a request, or the rest of one, is to come */
    bool hung_up;                /* at the last look nothing more could come. Of the thread here. */
    _Atomic bool *leaving;       /* set when the client leaves; not NULL while watched. Under the lock. */
    uint64_t watch;              /* number of the watching, never used again, as an fd's is. Under the lock. */
    struct connection_link *next, *previous; /* under the lock */
};

struct connections {
    pthread_mutex_t lock;
    struct connection_link *first;
    uint64_t last_watch;
    int epoll_fd; /* the sockets of watched connections, and `wake_fd` */
    int wake_fd;  /* an eventfd: the thread is to end */
    pthread_t thread;
};

enum dp_status connections_start(struct connections *all, struct dp_error *error);
void connections_stop(struct connections *all); /* every connection must have been removed */

/* Between add and remove the fd must stay open. */
void connections_add(struct connections *all, struct connection_link *c, int fd, int64_t deadline_ns);
void connections_remove(struct connections *all, struct connection_link *c);

/* From now on *leaving is set when the client closes its side. */
void connections_watch(struct connections *all, struct connection_link *c, _Atomic bool *leaving);
void connections_unwatch(struct connections *all, struct connection_link *c);
/* Sets *leaving of every watched connection: the server is what leaves. */
void connections_tell_all(struct connections *all);

#endif
