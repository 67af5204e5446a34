/* server/exchange.h: one request and its answer, through the whole chain, without knowing of sockets.
 *
 * exchange_begin looks at the head: framing, route, limits. A refused request already has its answer. Then come
 * the body's bytes, exchange_run on whatever thread is right, and exchange_end, which counts and logs. An exchange
 * is used again for the next request of its connection, and keeps its memory when that is small.
 *
 * One thread at a time; the transport hands it over.
 */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include "server/access_log.h"
#include "server/auth.h"
#include "server/embed_metrics.h"
#include "server/head.h"
#include "server/request_ids.h"
#include "server/routes.h"

enum {
    EXCHANGE_PEER_MAX = 64,
    EXCHANGE_ARENA_MAX = 1 << 30,
    EXCHANGE_KEPT_MAX = 64 << 10,    /* bytes that stay allocated between requests */
    EXCHANGE_ATTEMPT_MAX = 16 << 10, /* bytes of a body that is looked at on an I/O thread */
    /* Bytes of a body that are kept before its key has been looked at; at most one piece of the transport's more. */
    EXCHANGE_UNJUDGED_MAX = 16 << 10,
};

/* What all exchanges of a server share. Only the atomics change after the start. */
struct exchange_context {
    struct api_context api;
    size_t body_max, bodies_max;
    int request_timeout_ms;
    enum access_log_format log;
    struct auth_rules auth;
    _Atomic size_t bodies; /* bytes of bodies in memory, as received and decompressed, of who may have them kept */
    _Atomic size_t answers;    /* bytes of large answers that are being sent, and what they were made from */
    _Atomic int64_t in_flight; /* requests between begin and end */
    _Atomic uint64_t next_id;
    uint64_t id_seed;
    struct route_metrics *metrics; /* [ROUTE_COUNT + 1]: the last is "no route" */
    struct embed_metrics embed_metrics;
    struct metric *in_flight_gauge, *request_bytes, *response_bytes;
    struct metric *connections; /* that are open: the transport's to count */
};

/* The metrics of each route; `metrics` is freed by exchange_context_deinit. */
enum dp_status exchange_context_init(struct exchange_context *c, struct metric_registry *registry,
                                     struct dp_error *error);
void exchange_context_deinit(struct exchange_context *c);

struct exchange {
    struct exchange_context *context;
    struct arena arena;
    struct call call;
    _Atomic bool cancelled; /* set by anyone while the exchange runs */
    struct http_request http;
    struct http_response response;
    struct head head;   /* spans of the transport's memory, valid until the end */
    struct buffer line; /* its memory is not the arena's, which may be given up before the end */
    struct span target; /* the request line's, in `line` */
    struct buffer body;
    size_t body_held;   /* bytes of it that count in the context's `bodies` */
    size_t answer_held; /* bytes that this answer counts in the context's `answers` */
    struct route_match match;
    struct auth auth;
    bool auth_waits; /* the key must be looked at by a thread that may block */
    char method[16];
    struct request_ids ids;
    char peer[EXCHANGE_PEER_MAX];
    int64_t began_ns;
    int64_t handed_ns;      /* when the transport gave it to another thread to be run; 0: it did not */
    uint64_t body_received; /* bytes, also of a body that is thrown away */
    bool active;            /* between begin and end */
    bool refused;           /* the response is ready; the body, if any, is thrown away */
    bool must_close;        /* the connection cannot be used further */
};

void exchange_init(struct exchange *ex, struct exchange_context *context);
void exchange_deinit(struct exchange *ex);

/* The request line has come: keeps its target and the time. False when out of memory. */
bool exchange_line(struct exchange *ex, struct span target);
/* ex->head is filled. */
void exchange_begin(struct exchange *ex);
enum exchange_next {
    EXCHANGE_CUT,   /* there is no sense in reading on: the connection must be cut */
    EXCHANGE_MORE,  /* the next piece may come */
    EXCHANGE_JUDGE, /* but first exchange_judge is to be called, on a thread that may block */
};

/* A piece of the body. */
enum exchange_next exchange_body(struct exchange *ex, struct span bytes);
/* Amid a body: looks at the key, so that nobody without a good one has a large body kept. */
void exchange_judge(struct exchange *ex);
/* The body is whole. Makes the answer if that takes no waiting; false: exchange_run is to be called, on a thread that
 * may block. */
bool exchange_try(struct exchange *ex);
/* Makes the answer; does nothing when the request was refused. */
void exchange_run(struct exchange *ex);
/* Replaces whatever answer there is. */
void exchange_refuse(struct exchange *ex, unsigned status, enum dp_status why, const char *message);
/* The bytes of the answer, whichever way it holds them. */
struct span exchange_answer(const struct exchange *ex);
/* Counts and logs; `sent`: the whole answer has gone out. Ready for the next request afterwards. */
void exchange_end(struct exchange *ex, bool sent);

#endif
