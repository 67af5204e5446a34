/* server/http_mhd.h: HTTP/1.1 on a listening socket, by libmicrohttpd, which only http_mhd.c includes. */
#ifndef SERVER_HTTP_MHD_H
#define SERVER_HTTP_MHD_H

#include "server/connections.h"
#include "server/exchange.h"
#include "server/tls.h"
#include "server/request_pools.h"

struct http_options {
    unsigned io_threads, connections_max, peer_connections_max;
    const struct proxies *proxies; /* must outlive the server */
    struct tls *tls;               /* must outlive the server; NULL: plain HTTP */
    int head_timeout_ms, body_timeout_ms, send_timeout_ms, idle_timeout_ms;
};

struct http;

/* Serves the socket, and owns it on success. `pools` run exchanges that may block. */
enum dp_status http_start(int listen_fd, const struct http_options *options, struct exchange_context *context,
                          struct request_pools *pools, struct connections *connections, struct http **out,
                          struct dp_error *error);
/* Accepts no more connections. Closes each open one after the answer that it waits for. */
void http_quiesce(struct http *http);
/* Waits until no request is in progress, for at most `ms` milliseconds. Returns false if some still are. */
bool http_wait_idle(struct http *http, int ms);
/* Cancels every request in progress, and lets no more into the pools. */
void http_cancel_all(struct http *http);
/* Closes all connections and frees the server. The pools must have no exchange then. */
void http_stop(struct http *http);

#endif
