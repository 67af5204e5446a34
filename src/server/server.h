/* server/server.h: the HTTP server: offers a service on a socket, in several dialects.
 *
 * Threads: a few I/O threads do all that never blocks (health, metrics, the page, refusals). Everything else
 * goes to a bounded pool of request threads; when the pool is full, the server answers 503 at once.
 * docs/internals/server.md describes the path of a request.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdint.h>

#include "server/access_log.h"
#include "service/service.h"

struct accounts;
struct server;

/* A field that is zero means the default that its comment names. */
struct server_options {
    const char *listen;        /* "127.0.0.1:8000", "[::1]:8000", "localhost:0" (0: any free port) */
    const char *listen_origin; /* where `listen` was set, for errors about it; NULL: they name the address alone */
    const char *unix_socket;   /* path of a Unix socket to listen on in place of `listen`; NULL: none */
    int socket;                /* a listening socket in place of both, which the server owns; 0: none */
    const char *base_path;     /* path before all routes, as "/dipper"; those without it work, too. NULL: none */
    const char *tls_certificate, *tls_key; /* files (tls.h) that outlive the server; NULL: plain HTTP */
    bool insecure;                         /* permits an address beyond loopback without accounts */
    unsigned io_threads;                   /* 2; 1 on a single processor */
    unsigned request_threads;              /* 64 for each kind of request (request_pools.h) */
    unsigned queue_max;                    /* 256 requests of each kind that may wait for a thread */
    unsigned connections_max;              /* 1024; fewer if the process may not open that many files */
    unsigned peer_connections_max;         /* of one address; 3/4 of connections_max */
    const char *trusted_proxies;           /* addresses and ranges (proxies.h); none */
    size_t body_max;        /* 32 MiB: maximum of one request's body, before and after decompressing */
    size_t large_body_max;  /* 256 MiB: maximum of one body that writes rows, before and after decompressing */
    size_t bodies_max;      /* 512 MiB for the bodies of all requests, and 512 MiB for their answers */
    size_t spilled_max;     /* 4 GiB: maximum bytes of bodies of all requests in temporary files */
    int head_timeout_ms;    /* 10,000: from a request's first line (or the connection) to its last header */
    int body_timeout_ms;    /* 60,000: for a whole body */
    int request_timeout_ms; /* 60,000: from the end of the body to the answer */
    int send_timeout_ms;    /* 60,000: for sending the answer */
    int idle_timeout_ms;    /* 75,000: between requests of a connection */
    int drain_timeout_ms;   /* 30,000: server_stop waits this long for requests in progress */
    bool needs_model;       /* without a model /health/ready answers 503 */
    enum access_log_format log;
    struct accounts *accounts; /* accounts whose keys may ask; must outlive the server. NULL: anybody may */
    bool watch_needs_key;      /* /health and /metrics need a key too */
    const char *cors_origin;   /* origins whose pages may ask (sites.h); NULL: pages of other sites may not */
    /* Names that clients may call the server by (sites.h). NULL: any, but without accounts a server on loopback answers
     * only to addresses and localhost. */
    const char *allowed_hosts;
};

/* Starts listening. `service` must outlive the server. DP_INVALID: the address is wrong; DP_IO: it cannot be used;
 * DP_DENIED: it is beyond loopback, and there are neither accounts nor `insecure`. */
enum dp_status server_start(const struct server_options *options, struct service *service, struct server **out,
                            struct dp_error *error);
/* Returns the server's URL with the actual port: "http://127.0.0.1:8000", or "unix:/run/dipper.sock". It lives as long as the server. */
const char *server_url(const struct server *server);

/* Reads the certificate and its key again. If that fails, the server goes on with the former ones. Does nothing
 * without TLS. */
enum dp_status server_reload(struct server *server, struct dp_error *error);

/* Stops accepting, waits for requests in progress (after the drain timeout it cancels them), and frees the
 * server. NULL is fine. No thread of the server may call it. */
void server_stop(struct server *server);

#endif
