/* store/http/transport.h: the part of the transport that store/http/run.c uses. It lends easy handles, takes tries
 * for its loop, and returns them when they are done.
 */
#ifndef STORE_HTTP_TRANSPORT_H
#define STORE_HTTP_TRANSPORT_H

#include <pthread.h>

#include "store/http/try.h"
#include "store/transport.h"

/* The tries of one transport_run that the loop has returned. The struct lies on the stack of the thread that
 * called transport_run; the transport's lock guards it. */
struct http_round {
    pthread_cond_t wake;
    bool aborted;
    struct http_try *done; /* finished tries, chained by `next` */
    struct http_try *slow; /* late GETs that may be hedged, chained by `next_slow` */
};

enum { HTTP_CLASSES = 4 };

/* Counts of a transport since its start. */
struct transport_counts {
    _Atomic int64_t in_flight, tries, retries, hedges, failures, received_bytes;
    _Atomic int64_t answers[HTTP_CLASSES]; /* answers to tries, by class: 2xx, 3xx, 4xx, 5xx */
    _Atomic int64_t broken;                /* tries that ended without a complete answer */
};
struct transport_counts *transport_counts_of(struct transport *transport);

const struct transport_options *transport_options_of(const struct transport *transport);
/* Returns whether a request may be tried again after `tries` tries, of which the last `unconnected` made no
 * connection. */
bool transport_allows(const struct transport *transport, bool patient, unsigned tries, unsigned unconnected);
const struct trust *transport_trust_of(const struct transport *transport);
/* Returns a pseudo-random number below `bound`; 0 if `bound` is 0. */
uint64_t transport_random(struct transport *transport, uint64_t bound);
/* Lends an easy handle with default options. Returns NULL when out of memory. */
CURL *transport_easy_take(struct transport *transport);
void transport_easy_return(struct transport *transport, CURL *easy); /* NULL is fine */

/* Hands an armed try to the loop, or queues it while its host has as many tries in flight as the options allow.
 * DP_NOMEM: the caller still owns it. */
enum dp_status transport_submit(struct transport *transport, struct http_round *round, struct http_try *t,
                                struct dp_error *error);
/* Makes the loop return all tries of the round soon. From now on the loop sends no try of the round. */
void transport_abort(struct transport *transport, struct http_round *round);
/* Makes the loop return one try soon. */
void transport_abort_try(struct transport *transport, struct http_try *t);
/* Removes the finished tries of the round and returns them; sets *slow to its slow tries. If there are none, waits
 * for one until `until_ns` (on the scale of os_now_ns()). */
struct http_try *transport_wait(struct transport *transport, struct http_round *round, int64_t until_ns,
                                struct http_try **slow);

#endif
