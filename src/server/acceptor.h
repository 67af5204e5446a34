/* server/acceptor.h: a thread that accepts connections and hands them on.
 *
 * libmicrohttpd could do that itself. But when MHD_quiesce_daemon stops it with epoll, the caller and the
 * library's threads race to remove the socket from their epoll sets, and the second one ends the process
 * (0.9.75 to 1.0). So the library never sees the socket.
 */
#ifndef SERVER_ACCEPTOR_H
#define SERVER_ACCEPTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/error.h"

/* Takes over a connection's fd. Returns false after it has closed the fd. Runs on the acceptor's thread. */
typedef bool acceptor_take(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len);

/* Is called when a client waits and no connection is left for it. It may have an idle one closed. Same thread. */
typedef void acceptor_make_room(void *context);

struct acceptor {
    int listen_fd, wake_fd; /* wake_fd: an eventfd that makes the thread look at `open` and `closing` */
    unsigned open_max;
    _Atomic unsigned open; /* connections handed on and not yet closed */
    _Atomic bool closing;
    bool started;
    acceptor_take *take;
    acceptor_make_room *make_room;
    void *context;
    pthread_t thread;
};

/* Starts the thread. On success takes over listen_fd, which must not block. At most `open_max` connections are
 * open at a time; others wait in the socket's queue. */
enum dp_status acceptor_start(struct acceptor *a, int listen_fd, unsigned open_max, acceptor_take *take,
                              acceptor_make_room *make_room, void *context, struct dp_error *error);
/* Counts a connection that was handed on as closed. Any thread may call it. */
void acceptor_closed(struct acceptor *a);
/* Closes the socket. Hands on no connection after it has returned. A second call does nothing. */
void acceptor_stop(struct acceptor *a);
/* Frees the rest, after the last call of acceptor_closed. */
void acceptor_deinit(struct acceptor *a);

#endif
