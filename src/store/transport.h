/* store/transport.h: HTTP for the remote stores: rounds of requests in parallel, over libcurl.
 *
 * A transport owns one loop thread that moves bytes and nothing else: it reuses connections, keeps at most `per_host`
 * requests in flight to each host and queues the rest. Everything that decides or computes (signing, judging an answer,
 * backing off) runs on the thread that waits for its round; see store/http/run.h. Any number of threads may run rounds
 * over one transport.
 */
#ifndef STORE_TRANSPORT_H
#define STORE_TRANSPORT_H

#include "store/store.h"
#include "store/trust.h"

struct transport;

/* 0 or NULL means the default, which each comment ends with. */
struct transport_options {
    unsigned per_host;           /* requests in flight to one host: 128 */
    unsigned connect_timeout_ms; /* resolving, TCP and TLS together: 10,000 */
    unsigned stall_ms;           /* a try must move stall_bytes in each window of this length: 20,000 */
    unsigned stall_bytes;        /* 1,024 */
    unsigned tries;              /* of one request: 10; of a patient one: as many as retry_total_ms allows */
    unsigned connect_tries;      /* tries in a row without a connection: 4; of a patient one: no limit */
    unsigned retry_base_ms;      /* the first wait is random up to this, each later one up to twice as long: 100 */
    unsigned retry_cap_ms;       /* the longest wait: 10,000 (a Retry-After may ask for up to 30,000) */
    unsigned retry_total_ms;     /* no try begins later than this after the first: 60,000 */
    unsigned hedge_floor_ms;     /* a GET is not slow before this time: 50 */
    unsigned hedge_after;        /* no GET is slow before so many answers came: 200 */
    bool no_hedges;              /* never send a GET twice because it is slow: false */
    struct trust_settings trust; /* which certificates to trust: the system's */
    bool direct; /* use no proxy, whatever the environment says: for peers on or beside this host */
    /* Connect to public addresses only, whatever names resolve to, and use no proxy; DP_DENIED otherwise. For URLs from
     * strangers. */
    bool public_only;
};

enum dp_status transport_new(const struct transport_options *options, struct transport **out,
                             struct dp_error *error);
/* Adds an owner. */
struct transport *transport_retain(struct transport *transport);
/* Removes an owner; the last one ends the transport, when no round may be running. NULL is fine. */
void transport_free(struct transport *transport);

/* Adds dipper_store_http_* to a registry whose last printing comes before the transport's end. */
enum dp_status transport_add_metrics(const struct transport *transport, struct metric_registry *registry,
                                     struct dp_error *error);

#endif
