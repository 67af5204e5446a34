/* server/connections.h: the open connections, and a thread that watches them.
 *
 * libmicrohttpd times out silent connections but not slow ones, and does not watch a suspended connection. So
 * one thread here cuts a connection when its deadline for a whole head, body or answer has passed, or when its
 * client can send no more. When the client of a running request leaves, the thread sets a flag of the request.
 */
#ifndef SERVER_CONNECTIONS_H
#define SERVER_CONNECTIONS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "server/peers.h"

/* The transport embeds this in its struct of a connection. */
struct connection_link {
    int fd;
    const struct peer *peer;     /* NULL: unknown */
    _Atomic int64_t deadline_ns; /* os_now_ns() scale; INT64_MAX: none */
    _Atomic int64_t idle_ns;     /* since when it is idle, same scale; 0: a request is in progress */
    _Atomic bool listening;      /* the transport expects a request or the rest of one */
    bool hung_up;          /* the client could send no more at the last look; only the watching thread uses it */
    _Atomic bool *leaving; /* becomes true when the client leaves; NULL: not watched; under the lock */
    uint64_t watch;        /* number of the watch: unlike an fd, never used again; under the lock */
    struct connection_link *next, *previous; /* under the lock */
};

struct connections {
    pthread_mutex_t lock;
    struct connection_link *first;
    uint64_t last_watch;
    int epoll_fd; /* watches sockets of connections, and wake_fd */
    int wake_fd;  /* an eventfd that ends the thread */
    pthread_t thread;
};

enum dp_status connections_start(struct connections *all, struct dp_error *error);
void connections_stop(struct connections *all); /* after the last connections_remove */

/* The fd must stay open between add and remove, and the peer must stay. */
void connections_add(struct connections *all, struct connection_link *c, int fd, const struct peer *peer,
                     int64_t deadline_ns);
/* Shuts down an idle connection: of the peer, or, if it is NULL, of the peer that has most. Of these the one that
 * is idle for the longest time. Returns false if there is none. */
bool connections_end_idle(struct connections *all, const struct peer *peer);
void connections_remove(struct connections *all, struct connection_link *c);

/* Watches a connection. Sets *leaving as soon as the client closes its side. */
void connections_watch(struct connections *all, struct connection_link *c, _Atomic bool *leaving);
void connections_unwatch(struct connections *all, struct connection_link *c);
/* Sets *leaving of every watched connection, because the server ends. */
void connections_tell_all(struct connections *all);

#endif
