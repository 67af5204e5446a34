/* server/acceptor.h: a thread that takes connections from a listening socket and hands them on.
 *
 * libmicrohttpd would do that itself. But when it is told to stop listening (MHD_quiesce_daemon) with epoll, the caller
 * and its own threads race to take the socket out of their epoll sets, and whoever comes second ends the process
 * (0.9.75 to 1.0). So it never sees the socket.
 */
#ifndef SERVER_ACCEPTOR_H
#define SERVER_ACCEPTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"

/* Takes a connection's fd, which is its own from now on. False: it is closed already. On the acceptor's thread. */
typedef bool acceptor_take(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len);

struct acceptor {
    int listen_fd, wake_fd; /* the latter an eventfd: look again at what is below */
    unsigned open_max;
    _Atomic unsigned open; /* connections that were handed on and are not closed */
    _Atomic bool closing;
    bool started;
    acceptor_take *take;
    void *context;
    pthread_t thread;
};

/* listen_fd: not blocking; it becomes the acceptor's on success. No more than `open_max` connections are open at a
 * time: others wait in the socket's queue. */
enum dp_status acceptor_start(struct acceptor *a, int listen_fd, unsigned open_max, acceptor_take *take,
                              void *context, struct dp_error *error);
/* A connection that was handed on has been closed. From any thread. */
void acceptor_closed(struct acceptor *a);
/* Closes the socket; no connection is handed on any more once this returns. Again: does nothing. */
void acceptor_stop(struct acceptor *a);
/* Frees what acceptor_closed needs; nobody calls that any more. */
void acceptor_deinit(struct acceptor *a);

#endif
