/* server/http_mhd.h: HTTP/1.1 on a listening socket, by libmicrohttpd. http_mhd.c alone includes that library. */
#ifndef SERVER_HTTP_MHD_H
#define SERVER_HTTP_MHD_H

#include "os/pool.h"
#include "server/connections.h"
#include "server/exchange.h"

struct http_options {
    unsigned io_threads, connections_max;
    int head_timeout_ms, body_timeout_ms, send_timeout_ms, idle_timeout_ms;
};

struct http;

/* Serves the socket, which becomes the http's on success. `pool` runs what blocks. */
enum dp_status http_start(int listen_fd, const struct http_options *options, struct exchange_context *context,
                          struct pool *pool, struct connections *connections, struct http **out,
                          struct dp_error *error);
/* Accepts no more connections, and closes each after the answer it is owed. */
void http_quiesce(struct http *http);
/* Waits until no request is in progress, at most so long. False: some are. */
bool http_wait_idle(struct http *http, int ms);
/* Tells every request in progress to end, and lets no further one into the pool. */
void http_cancel_all(struct http *http);
/* Closes what is open and frees. No job of ours may be in the pool. */
void http_stop(struct http *http);

#endif
