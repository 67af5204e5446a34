/* server/exchange.h: one request and its answer, from head to log, independent of sockets.
 *
 * exchange_begin judges the head: framing, route, limits, key. If it refuses the request, the answer is ready
 * then. Next come the pieces of the body, exchange_try or exchange_run, and exchange_end, which counts and
 * logs. The next request of the connection uses the exchange again, with its memory if that is small.
 *
 * Belongs to one thread at a time; the transport hands it over.
 */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include "server/access_log.h"
#include "server/auth.h"
#include "server/body.h"
#include "server/embed_metrics.h"
#include "server/head.h"
#include "server/proxies.h"
#include "server/request_ids.h"
#include "server/routes.h"

enum {
    EXCHANGE_PEER_MAX = 64,
    EXCHANGE_ARENA_MAX = 1 << 30,
    EXCHANGE_KEPT_MAX = 64 << 10,    /* maximum bytes that stay allocated between requests */
    EXCHANGE_ATTEMPT_MAX = 16 << 10, /* maximum bytes of a body that an I/O thread parses */
    /* Bytes of a body that are kept before its key is judged; one piece of the transport may exceed it. */
    EXCHANGE_UNJUDGED_MAX = 16 << 10,
};

/* Shared by all exchanges of a server. Only the atomics change after the start. */
struct exchange_context {
    struct api_context api;
    size_t body_max;       /* maximum bytes of a body */
    size_t large_body_max; /* maximum bytes of a body of a route that takes large ones */
    int request_timeout_ms;
    struct span base_path; /* "/dipper": the path before all routes; empty: none */
    bool is_tls;           /* clients speak TLS with this server */
    enum access_log_format log;
    struct auth_rules auth;
    /* Bytes of bodies in memory, received and decompressed, of requests whose key was judged. */
    struct byte_quota bodies;
    struct byte_quota spilled; /* bytes of bodies in temporary files */
    struct byte_quota answers; /* bytes of large answers in progress, with their arenas */
    _Atomic int64_t in_flight; /* requests between exchange_begin and exchange_end */
    _Atomic uint64_t next_id;
    _Atomic uint64_t last_number; /* of an exchange */
    uint64_t id_seed;
    struct route_metrics *metrics; /* [ROUTE_COUNT + 1]: the last one is for requests without a route */
    struct embed_metrics embed_metrics;
    struct metric *in_flight_gauge, *request_bytes, *response_bytes;
    /* The transport counts these: open connections, those that a limit refused or closed. */
    struct metric *connections, *connections_refused, *idle_closed;
    struct proxies proxies; /* trusted ones */
};

/* Registers the metrics. */
enum dp_status exchange_context_init(struct exchange_context *c, struct metric_registry *registry,
                                     struct dp_error *error);
void exchange_context_deinit(struct exchange_context *c);

struct exchange {
    struct exchange_context *context;
    uint64_t number; /* of the connection, which is the client if the request has no key */
    struct arena arena;
    struct call call;
    _Atomic bool cancelled; /* any thread may set it while the exchange runs */
    struct http_request http;
    struct http_response response;
    struct head head;   /* its spans point into the transport's memory until exchange_end */
    struct buffer line; /* holds `target`; the arena might be freed before exchange_end */
    struct span target; /* of the request line, in `line` */
    struct request_body body;
    size_t answer_held; /* bytes counted in the context's `answers` */
    struct route_match match;
    struct auth auth;
    bool auth_waits; /* a thread that may block must judge the key */
    char method[16];
    struct request_ids ids;
    char peer[EXCHANGE_PEER_MAX];  /* address and port of the other end */
    char client[ADDRESS_TEXT_MAX]; /* the client that a trusted proxy asks for; empty: the peer itself */
    bool is_proxied;               /* the peer is a trusted proxy */
    int64_t began_ns;
    int timeout_ms;         /* time for the answer */
    int64_t handed_ns;      /* when the transport gave it to another thread; 0: it did not */
    uint64_t body_received; /* bytes, discarded ones included */
    bool active;            /* between exchange_begin and exchange_end */
    bool refused;           /* the response is ready, and the body is discarded */
    bool must_close;        /* the connection must close after the answer */
};

void exchange_init(struct exchange *ex, struct exchange_context *context);
void exchange_deinit(struct exchange *ex);

/* Copies the target of the request line, and notes the time. Returns false when out of memory. */
bool exchange_line(struct exchange *ex, struct span target);
/* Begins a request: judges ex->head, which the transport has filled in. */
void exchange_begin(struct exchange *ex);
enum exchange_next {
    EXCHANGE_CUT,   /* cut the connection: the body is far too long */
    EXCHANGE_MORE,  /* ready for the next piece */
    EXCHANGE_JUDGE, /* call exchange_judge first, on a thread that may block */
    EXCHANGE_STORE, /* call exchange_store first, on a thread that may block */
};

/* Takes a piece of the body. */
enum exchange_next exchange_body(struct exchange *ex, struct span bytes);
/* Judges the key while the body is incomplete, so that no large body is kept without a good key. */
void exchange_judge(struct exchange *ex);
/* Moves the received part of a large body to its spill, so that little of it stays in memory. */
void exchange_store(struct exchange *ex);
/* Makes the answer after the whole body, if that needs no waiting. Returns false if the transport must call
 * exchange_run on a thread that may block. */
bool exchange_try(struct exchange *ex);
/* Makes the answer. May block. For a refused request, only adds the headers that every answer has. */
void exchange_run(struct exchange *ex);
/* Answers with an error, in place of any other answer. */
void exchange_refuse(struct exchange *ex, unsigned status, enum dp_status why, const char *message);
/* Returns the number of the client: of its key, else of the client that a trusted proxy asks for, else of the
 * connection. */
uint64_t exchange_client(const struct exchange *ex);
/* Returns the bytes of the answer's body. */
struct span exchange_answer(const struct exchange *ex);
/* Counts and logs the request, and makes the exchange ready for the next one. `sent`: the whole answer was
 * sent. */
void exchange_end(struct exchange *ex, bool sent);

#endif
