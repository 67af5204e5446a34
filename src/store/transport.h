/* store/transport.h: sends rounds of HTTP requests in parallel for the remote stores, with libcurl.
 *
 * A transport owns one loop thread, which only moves bytes: it reuses connections, keeps at most `per_host`
 * requests in flight to each host and queues the others. The thread that waits for a round does everything else
 * (it signs, judges answers and backs off); see store/http/run.h. Any number of threads may run rounds over one
 * transport.
 */
#ifndef STORE_TRANSPORT_H
#define STORE_TRANSPORT_H

#include "store/store.h"
#include "store/trust.h"

struct transport;

/* Settings of a transport. Each comment ends with the default, which 0 or NULL selects. */
struct transport_options {
    unsigned per_host;           /* requests in flight to one host: 128 */
    unsigned connect_timeout_ms; /* resolving, TCP and TLS together: 10,000 */
    unsigned stall_ms;           /* a try must move stall_bytes in each window of this length: 20,000 */
    unsigned stall_bytes;        /* minimum bytes per window: 1,024 */
    unsigned tries;              /* maximum per request: 10; a patient request: as many as retry_total_ms allows */
    unsigned connect_tries;      /* maximum in a row without a connection: 4; a patient request: no limit */
    unsigned retry_base_ms;      /* maximum of the first random wait; it doubles with each later wait: 100 */
    unsigned retry_cap_ms;       /* the longest wait: 10,000 (a Retry-After may ask for up to 30,000) */
    unsigned retry_total_ms;     /* no try begins later than this after the first: 60,000 */
    unsigned hedge_floor_ms;     /* a GET is not slow before this time: 50 */
    unsigned hedge_after;        /* no GET is slow before this number of answers: 200 */
    bool no_hedges;              /* never send a GET twice because it is slow: false */
    struct trust_settings trust; /* certificates to trust: the system's */
    bool direct; /* for peers on or beside this host: use no proxy, whatever the environment says: false */
    /* Connect only to public addresses, whatever names resolve to, and use no proxy: false. DP_DENIED for other
     * addresses. For URLs from strangers. */
    bool public_only;
};

enum dp_status transport_new(const struct transport_options *options, struct transport **out,
                             struct dp_error *error);
/* Gives a store that opens the transport of its options, as another owner, or else a new one. */
enum dp_status transport_of_options(const struct store_options *options, struct transport **out,
                                    struct dp_error *error);
/* Adds an owner. */
struct transport *transport_retain(struct transport *transport);
/* Removes an owner. Removing the last one ends the transport; no round may run then. NULL is fine. */
void transport_free(struct transport *transport);

/* Adds dipper_store_http_* to a registry. Nobody may print the registry after the transport's end. */
enum dp_status transport_add_metrics(const struct transport *transport, struct metric_registry *registry,
                                     struct dp_error *error);

#endif
