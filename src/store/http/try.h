/* store/http/try.h: one try of a request: what it asks, and what comes back. Between http/run.c, which decides,
 * http/try.c, which speaks to libcurl, and transport.c, whose loop moves the bytes.
 *
 * A try belongs to the thread that runs the round until transport_submit, then to the loop, and to the round
 * again when it is TRY_DONE. Fields that the loop and the round both touch in between are guarded by the
 * transport's lock and marked so.
 */
#ifndef STORE_HTTP_TRY_H
#define STORE_HTTP_TRY_H

#include <curl/curl.h>
#include <pthread.h>

#include "base/buffer.h"
#include "store/implement.h"
#include "store/transport.h"

enum {
    HTTP_HEAD_MAX = 64 << 10,       /* bytes of an answer's header lines */
    HTTP_ERROR_BODY_MAX = 64 << 10, /* of an answer that is no 2xx */
    HTTP_BODY_DEFAULT_MAX = 16 << 20,
    HTTP_CLASSES = 4
};

/* Why we broke a try off ourselves. */
enum http_fault {
    HTTP_FAULT_NONE,
    HTTP_FAULT_HEAD,      /* more than HTTP_HEAD_MAX */
    HTTP_FAULT_BODY,      /* more than may come */
    HTTP_FAULT_BAD_RANGE, /* 206 with another range than asked, or none */
    HTTP_FAULT_NO_RANGES, /* 200 with a larger object than the range */
    HTTP_FAULT_STALE,     /* not the ETag of if_match */
    HTTP_FAULT_CHANGED,   /* not the version that an earlier try began to read */
    HTTP_FAULT_RESENT,    /* libcurl was about to send a `once` request a second time */
    HTTP_FAULT_STALLED,
    HTTP_FAULT_CUT, /* an error's body beyond HTTP_ERROR_BODY_MAX: the answer is complete enough */
    HTTP_FAULT_NOMEM
};

/* Where the bytes of a 2xx answer go. Tries hand it on when they resume. */
struct http_sink {
    uint8_t *data; /* NULL: nothing yet */
    size_t room, len;
    struct store_block *block; /* that data lies in; NULL: the caller's `into` */
    bool grows;                /* the length is not known */
};

enum http_try_state { TRY_IDLE, TRY_QUEUED, TRY_STARTING, TRY_ACTIVE, TRY_DONE };

struct http_round;
struct http_host;
struct job;

struct http_try {
    const struct http_request *req;
    struct job *job; /* in http/run.c */
    CURL *easy;
    bool is_hedge;  /* goes to a line of its own, and into a block of its own */
    bool hedgeable; /* the loop may call it slow */
    struct curl_slist *headers;
    struct buffer url; /* what prepare changed it to; empty: req's */
    char curl_error[CURL_ERROR_SIZE];

    /* guarded by the transport's lock */
    enum http_try_state state;
    bool aborted;
    bool slow; /* in the round's list, by next_slow */
    struct http_try *next_slow;
    struct http_try *next, *previous; /* in a host's queue, a list of the loop, or the round's finished ones */
    struct http_host *host;
    struct http_round *round;

    /* resuming: the first byte that is still missing is `at` bytes into what was asked for */
    uint64_t at;
    struct span first_head; /* of the answer that the sink's bytes came with; .data NULL: a fresh start */

    /* the loop's, while active */
    size_t upload_at;
    uint64_t moved, window_moved; /* bytes in either direction; at the last look for stalls */
    int64_t window_ns;            /* when that was; 0: not sent yet */
    int64_t sent_ns;              /* 0: not sent yet */
    int64_t decided_ns;           /* when the head was whole */
    bool asked_twice;             /* was called slow */

    /* what came */
    CURLcode result;
    enum http_fault fault;
    bool refused; /* an address that is not public */
    unsigned sent;
    int code;
    struct buffer head; /* header lines, without the status line */
    bool decided;       /* the head was judged */
    bool expected_known;
    uint64_t expected, body_len; /* bytes of this answer's body */
    uint64_t size;               /* of the whole object */
    bool size_known;
    struct http_sink sink;
    struct buffer error_body;
};

/* ---- http/try.c ------------------------------------------------------------------------------------- */

/* Zeroes a try of `req`. */
void http_try_init(struct http_try *t, const struct http_request *req);
/* Frees all but the easy handle and the sink. */
void http_try_deinit(struct http_try *t);
/* Tells t->easy, which is as curl_easy_init left it, what to do. `trust` is for requests without their own. */
enum dp_status http_try_arm(struct http_try *t, const struct transport_options *options, const struct trust *trust,
                            struct dp_error *error);
struct span http_try_target(const struct http_try *t);
/* What libcurl hands over: a header line with its line end (the status line begins an answer, an empty line ends its
 * head), and a piece of the body. False when the try is to be broken off: `fault` says why. */
bool http_try_take_head(struct http_try *t, struct span line);
bool http_try_take_body(struct http_try *t, struct span data);
void http_sink_drop(struct http_sink *sink);
/* Whether an answer with this code and head has the identity of `first` (a head too): same ETag, or where it has
 * none, same Last-Modified. False when neither has any. */
bool http_same_version(struct span first, struct span head);

/* ---- transport.c ------------------------------------------------------------------------------------ */

/* Tries of one transport_run. On its thread's stack; guarded by the transport's lock. */
struct http_round {
    pthread_cond_t wake;
    bool aborted;
    struct http_try *done;
    struct http_try *slow; /* called slow, not looked at yet */
};

/* What a transport has done so far. */
struct transport_counts {
    _Atomic int64_t in_flight, tries, retries, hedges, failures, received_bytes;
    _Atomic int64_t answers[HTTP_CLASSES]; /* 2xx, 3xx, 4xx, 5xx: of tries, as they came */
    _Atomic int64_t broken;                /* tries without a whole answer */
};
struct transport_counts *transport_counts_of(struct transport *transport);

const struct transport_options *transport_options_of(const struct transport *transport);
/* Whether a request may be tried again after so many tries, the last `unconnected` of which made no connection. */
bool transport_allows(const struct transport *transport, bool patient, unsigned tries, unsigned unconnected);
const struct trust *transport_trust_of(const struct transport *transport);
/* A number without pattern below `bound` (0: 0). */
uint64_t transport_random(struct transport *transport, uint64_t bound);
/* An easy handle, reset; NULL when out of memory. */
CURL *transport_easy_take(struct transport *transport);
void transport_easy_return(struct transport *transport, CURL *easy); /* NULL is fine */

/* Hands an armed try to the loop, or puts it in its host's line. DP_NOMEM: the try stays the caller's. */
enum dp_status transport_submit(struct transport *transport, struct http_round *round, struct http_try *t,
                                struct dp_error *error);
/* Asks for all tries of the round back soon; none is sent from now on. */
void transport_abort(struct transport *transport, struct http_round *round);
/* Asks for one try back soon. */
void transport_abort_try(struct transport *transport, struct http_try *t);
/* Takes the tries of the round that are done, and those that are slow; waits for one until `until_ns` (os_now_ns()
 * scale) when there is none. */
struct http_try *transport_wait(struct transport *transport, struct http_round *round, int64_t until_ns,
                                struct http_try **slow);

#endif
