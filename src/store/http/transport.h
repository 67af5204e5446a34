/* store/http/transport.h: the transport as the rounds of store/http/run.c use it: easy handles, and tries handed
 * to the loop and taken back.
 */
#ifndef STORE_HTTP_TRANSPORT_H
#define STORE_HTTP_TRANSPORT_H

#include <pthread.h>

#include "store/http/try.h"
#include "store/transport.h"

/* The tries of one transport_run. It lies on the stack of the thread that runs them; the transport's lock guards
 * it. */
struct http_round {
    pthread_cond_t wake;
    bool aborted;
    struct http_try *done; /* by `next` */
    struct http_try *slow; /* by `next_slow`: late GETs that may be hedged */
};

enum { HTTP_CLASSES = 4 };

/* What a transport has done so far. */
struct transport_counts {
    _Atomic int64_t in_flight, tries, retries, hedges, failures, received_bytes;
    _Atomic int64_t answers[HTTP_CLASSES]; /* 2xx, 3xx, 4xx, 5xx: of tries, as they came */
    _Atomic int64_t broken;                /* tries without a whole answer */
};
struct transport_counts *transport_counts_of(struct transport *transport);

const struct transport_options *transport_options_of(const struct transport *transport);
/* Returns whether a request may be tried again after so many tries, the last `unconnected` of which made no
 * connection. */
bool transport_allows(const struct transport *transport, bool patient, unsigned tries, unsigned unconnected);
const struct trust *transport_trust_of(const struct transport *transport);
/* A pseudo-random number below `bound`; 0 if `bound` is 0. */
uint64_t transport_random(struct transport *transport, uint64_t bound);
/* An easy handle, reset; NULL when out of memory. */
CURL *transport_easy_take(struct transport *transport);
void transport_easy_return(struct transport *transport, CURL *easy); /* NULL is fine */

/* Hands an armed try to the loop, or queues it at its host. DP_NOMEM: the try stays the caller's. */
enum dp_status transport_submit(struct transport *transport, struct http_round *round, struct http_try *t,
                                struct dp_error *error);
/* Makes the loop return all tries of the round soon, and sends none from now on. */
void transport_abort(struct transport *transport, struct http_round *round);
/* Makes the loop return one try soon. */
void transport_abort_try(struct transport *transport, struct http_try *t);
/* Takes the tries of the round that are done, and its slow ones. If there are none, waits for one until `until_ns`
 * (os_now_ns() scale). */
struct http_try *transport_wait(struct transport *transport, struct http_round *round, int64_t until_ns,
                                struct http_try **slow);

#endif
