/* server/server.h: the HTTP server: a service and its dialects on a socket.
 *
 * Threads: a few I/O threads run only what never blocks (health, metrics, the page, refusals); all else goes to a
 * bounded pool of request threads. A full pool is answered with 503 at once. docs/internals/server.md tells how a
 * request travels and what is refused on the way.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdint.h>

#include "server/access_log.h"
#include "service/service.h"

struct accounts;
struct server;

/* Zeros mean the defaults that are named. */
struct server_options {
    const char *listen;       /* "127.0.0.1:8000", "[::1]:8000", "localhost:0" (0: any free port) */
    bool insecure;            /* listen beyond the loopback interface although there are no accounts */
    unsigned io_threads;      /* 0: two, one where there is but one processor */
    unsigned request_threads; /* 64 */
    unsigned queue_max;       /* 256 requests that may wait for a thread */
    unsigned connections_max; /* 1024; fewer where the process may not open so many files */
    size_t body_max;          /* 32 MiB, of one request, decompressed too */
    size_t bodies_max;        /* 512 MiB, of all requests together; and as much of answers */
    int head_timeout_ms;      /* 10,000: from a request's first line (or the connection) to its last header */
    int body_timeout_ms;      /* 60,000: for a whole body */
    int request_timeout_ms;   /* 60,000: for computing the answer */
    int send_timeout_ms;      /* 60,000: for sending the answer */
    int idle_timeout_ms;      /* 75,000: between requests of a connection */
    int drain_timeout_ms;     /* 30,000: server_stop waits as long for requests in progress */
    bool needs_model;         /* /health/ready answers 503 while the service has no model */
    enum access_log_format log;
    struct accounts *accounts; /* who may ask; outlives the server. NULL: anybody */
    bool watch_needs_key;      /* /health and /metrics too */
    const char *cors_origin;   /* of Access-Control-Allow-Origin; NULL: pages of other sites may not ask */
};

/* Starts listening. `service` must outlive the server. DP_INVALID names what is wrong with the address, DP_IO why
 * it cannot be listened on; DP_DENIED when it is not a loopback address, and there are neither accounts nor `insecure`. */
enum dp_status server_start(const struct server_options *options, struct service *service, struct server **out,
                            struct dp_error *error);
/* "http://127.0.0.1:8000", with the port that was chosen. Lives as long as the server. */
const char *server_url(const struct server *server);

/* Stops accepting, lets requests in progress end (for at most the drain timeout, then they are cancelled), and
 * frees the server. NULL is fine. Not from one of the server's own threads. */
void server_stop(struct server *server);

#endif
