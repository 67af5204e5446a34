/* transport.c: the loop that moves bytes for every round of a transport: one thread around a libcurl multi handle.
 *
 * Under the lock, transport_submit puts a try into its host's queue if that host has `per_host` tries in flight,
 * else into the list of tries to start. Then it wakes the loop. The loop gives a try to libcurl. When the try has
 * ended, stalled or been aborted, the loop takes it back and returns it to its round. Connections, resolved names
 * and TLS sessions stay with the multi handle and the easy handles, which are reused.
 *
 * The lock is a leaf, and nothing blocks under it.
 */
#include "store/http/transport.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/splitmix.h"
#include "base/url.h"
#include "os/clock.h"
#include "os/random.h"
#include "os/thread.h"
#include "store/implement.h"

enum { NS_PER_MS = 1000000, EASY_KEPT = 64, POLL_MS = 1000, IDLE_POLL_MS = 60000, CONNECTIONS_KEPT = 256 };

/* The last WAITS answers give the 95th percentile, which the loop computes anew after every WAITS_STEP answers.
 * GETS_A_HEDGE GETs earn one hedge; at most HEDGES_SAVED hedges are saved up. Hedges may take one in HEDGE_SHARE
 * of a host's places. */
enum { WAITS = 256, WAITS_STEP = 32, GETS_A_HEDGE = 20, HEDGES_SAVED = 10, HEDGE_SHARE = 8 };

/* One scheme://authority with tries in flight. */
struct http_host {
    struct http_host *next;
    bool hedges;                   /* a queue for hedges only, with an eighth of the places */
    unsigned active;               /* tries that are started or about to start */
    struct http_try *first, *last; /* the host's queue */
    size_t name_len;
    uint8_t name[];
};

struct transport {
    /* Not changed after transport_new. */
    struct transport_options options;
    struct trust trust;
    bool tries_set, connect_tries_set; /* the caller set this limit, so it holds for patient requests too */
    pthread_t thread;                  /* runs the loop */

    _Atomic size_t owners;
    _Atomic uint64_t random;
    struct transport_counts counts;

    /* Owned by the loop's thread; other threads may only wake `multi`. */
    struct {
        CURLM *multi;
        struct http_try *active;
        int64_t looked_ns; /* time of the last look for stalls */
        /* Waits of GETs from sending to a whole head: a ring of the last WAITS, their count, and the limit above
         * which a GET is slow. */
        int64_t waits_ns[WAITS];
        uint64_t wait_count;
        int64_t slow_ns; /* 0: unknown yet */
        unsigned gets;   /* GETs since the last hedge was earned */
        unsigned hedges; /* hedges that may be sent */
    } loop;

    /* `lock` guards this group, the hosts and rounds, and the `locked` group of each try. */
    struct {
        pthread_mutex_t lock;
        struct http_host *hosts;
        struct http_try *starting, *starting_last; /* the list to start, linked by `next` */
        bool aborting;                             /* some round or try has `aborted` set */
        bool closing;
        CURL *easy[EASY_KEPT];
        size_t easy_count;
    } locked;
};

/* ---- easy handles ----------------------------------------------------------------------------------- */

CURL *transport_easy_take(struct transport *transport)
{
    CURL *easy = NULL;
    pthread_mutex_lock(&transport->locked.lock);
    if (transport->locked.easy_count)
        easy = transport->locked.easy[--transport->locked.easy_count];
    pthread_mutex_unlock(&transport->locked.lock);
    return easy ? easy : curl_easy_init();
}

void transport_easy_return(struct transport *transport, CURL *easy)
{
    if (!easy)
        return;
    curl_easy_reset(easy);
    pthread_mutex_lock(&transport->locked.lock);
    if (transport->locked.easy_count < EASY_KEPT) {
        transport->locked.easy[transport->locked.easy_count++] = easy;
        easy = NULL;
    }
    pthread_mutex_unlock(&transport->locked.lock);
    if (easy)
        curl_easy_cleanup(easy);
}

const struct transport_options *transport_options_of(const struct transport *transport)
{
    return &transport->options;
}

bool transport_allows(const struct transport *transport, bool patient, unsigned tries, unsigned unconnected)
{
    const struct transport_options *o = &transport->options;
    return (tries < o->tries || (patient && !transport->tries_set)) &&
           (unconnected < o->connect_tries || (patient && !transport->connect_tries_set));
}

const struct trust *transport_trust_of(const struct transport *transport)
{
    return &transport->trust;
}

struct transport_counts *transport_counts_of(struct transport *transport)
{
    return &transport->counts;
}

/* All threads share one sequence of SplitMix64; each call takes its next step. */
uint64_t transport_random(struct transport *transport, uint64_t bound)
{
    uint64_t state = atomic_fetch_add_explicit(&transport->random, SPLITMIX64_STEP, memory_order_relaxed);
    const uint64_t z = splitmix64_next(&state);
    return bound ? z % bound : 0;
}

/* ---- queues and lists, under the lock --------------------------------------------------------------- */

/* Finds or makes the host of a URL; NULL when out of memory. */
static struct http_host *find_host(struct transport *transport, struct span url, bool hedges)
{
    struct span authority = url_host_header(url);
    if (authority.len == 0)
        authority = span_of(url.data, 0);
    struct span name = span_of(url.data, (size_t)(authority.data - url.data) + authority.len);
    for (struct http_host *h = transport->locked.hosts; h; h = h->next)
        if (h->hedges == hedges && span_equal(span_of(h->name, h->name_len), name))
            return h;
    struct http_host *h = mem_alloc(sizeof *h + name.len);
    if (!h)
        return NULL;
    *h = (struct http_host){.next = transport->locked.hosts, .hedges = hedges, .name_len = name.len};
    memcpy(h->name, name.data, name.len);
    transport->locked.hosts = h;
    return h;
}

/* Returns how many tries of this host may be in flight. */
static unsigned places_of(const struct transport *transport, const struct http_host *host)
{
    unsigned places = transport->options.per_host;
    return host->hedges ? (places + HEDGE_SHARE - 1) / HEDGE_SHARE : places;
}

static void drop_idle_host(struct transport *transport, struct http_host *host)
{
    if (host->active || host->first)
        return;
    struct http_host **at = &transport->locked.hosts;
    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
    mem_free(host);
}

static void push_starting(struct transport *transport, struct http_try *t)
{
    t->locked.state = TRY_STARTING;
    t->next = NULL;
    if (transport->locked.starting)
        transport->locked.starting_last->next = t;
    else
        transport->locked.starting = t;
    transport->locked.starting_last = t;
    t->asked.host->active++;
}

static void unlink_waiting(struct http_host *host, struct http_try *t)
{
    if (t->previous)
        t->previous->next = t->next;
    else
        host->first = t->next;
    if (t->next)
        t->next->previous = t->previous;
    else
        host->last = t->previous;
}

/* Gives a try back to its round. */
static void return_try(struct http_try *t)
{
    t->locked.state = TRY_DONE;
    t->previous = NULL;
    t->next = t->asked.round->done;
    t->asked.round->done = t;
    pthread_cond_signal(&t->asked.round->wake);
}

enum dp_status transport_submit(struct transport *transport, struct http_round *round, struct http_try *t,
                                struct dp_error *error)
{
    pthread_mutex_lock(&transport->locked.lock);
    struct http_host *host = find_host(transport, http_try_target(t), t->asked.is_hedge);
    bool wake = false;
    if (host) {
        t->asked.round = round;
        t->asked.host = host;
        if (host->active < places_of(transport, host)) {
            wake = !transport->locked.starting; /* otherwise the loop was woken already and takes the whole list */
            push_starting(transport, t);
        } else {
            t->locked.state = TRY_QUEUED;
            t->next = NULL;
            t->previous = host->last;
            if (host->last)
                host->last->next = t;
            else
                host->first = t;
            host->last = t;
        }
    }
    pthread_mutex_unlock(&transport->locked.lock);
    if (!host)
        return dp_fail_nomem(error, "a request");
    if (wake)
        curl_multi_wakeup(transport->loop.multi);
    return DP_OK;
}

void transport_abort(struct transport *transport, struct http_round *round)
{
    pthread_mutex_lock(&transport->locked.lock);
    round->aborted = true;
    transport->locked.aborting = true;
    for (struct http_host *host = transport->locked.hosts; host; host = host->next)
        for (struct http_try *t = host->first, *next; t; t = next) {
            next = t->next;
            if (t->asked.round != round)
                continue;
            unlink_waiting(host, t);
            t->came.result = CURLE_ABORTED_BY_CALLBACK;
            return_try(t);
        }
    pthread_mutex_unlock(&transport->locked.lock);
    curl_multi_wakeup(transport->loop.multi);
}

void transport_abort_try(struct transport *transport, struct http_try *t)
{
    pthread_mutex_lock(&transport->locked.lock);
    if (t->locked.state == TRY_QUEUED) {
        unlink_waiting(t->asked.host, t);
        t->came.result = CURLE_ABORTED_BY_CALLBACK;
        return_try(t);
    } else if (t->locked.state != TRY_DONE) {
        t->locked.aborted = true;
        transport->locked.aborting = true;
    }
    pthread_mutex_unlock(&transport->locked.lock);
    curl_multi_wakeup(transport->loop.multi);
}

struct http_try *transport_wait(struct transport *transport, struct http_round *round, int64_t until_ns,
                                struct http_try **slow)
{
    pthread_mutex_lock(&transport->locked.lock);
    bool timed_out = false;
    while (!round->done && !round->slow && !timed_out)
        timed_out = os_wait_until(&round->wake, &transport->locked.lock, until_ns);
    struct http_try *done = round->done;
    *slow = round->slow;
    round->done = round->slow = NULL;
    /* Drop slow tries that have ended meanwhile: they are in `done`. */
    for (struct http_try **at = slow; *at;) {
        if ((*at)->locked.state == TRY_DONE)
            *at = (*at)->locked.next_slow;
        else
            at = &(*at)->locked.next_slow;
    }
    pthread_mutex_unlock(&transport->locked.lock);
    return done;
}

/* ---- the loop --------------------------------------------------------------------------------------- */

static int compare_waits(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Records how long a GET waited for a whole head, and updates the limit for slow GETs from time to time. Every GET
 * that was sent counts towards the next hedge, even one that may not be hedged or has no answer. */
static void count_wait(struct transport *transport, const struct http_try *t)
{
    if (t->asked.req->method != HTTP_GET || t->asked.is_hedge || t->came.sent == 0)
        return;
    if (++transport->loop.gets == GETS_A_HEDGE) {
        transport->loop.gets = 0;
        transport->loop.hedges += transport->loop.hedges < HEDGES_SAVED;
    }
    if (!t->came.decided)
        return;
    transport->loop.waits_ns[transport->loop.wait_count++ % WAITS] = t->loop.decided_ns - t->loop.sent_ns;
    uint64_t seen = transport->loop.wait_count;
    if (transport->options.no_hedges || seen < transport->options.hedge_after || seen % WAITS_STEP != 0)
        return;
    int64_t sorted[WAITS];
    size_t n = seen < WAITS ? (size_t)seen : WAITS;
    memcpy(sorted, transport->loop.waits_ns, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_waits);
    int64_t slow = sorted[n * 95 / 100], floor = (int64_t)transport->options.hedge_floor_ms * NS_PER_MS;
    transport->loop.slow_ns = slow > floor ? slow : floor;
}

/* Takes a try out of libcurl and gives it to its round. The next try in its host's queue starts. */
static void end_try(struct transport *transport, struct http_try *t, CURLcode result)
{
    curl_multi_remove_handle(transport->loop.multi, t->asked.easy);
    if (t->previous)
        t->previous->next = t->next;
    else
        transport->loop.active = t->next;
    if (t->next)
        t->next->previous = t->previous;
    t->came.result = result;
    count_wait(transport, t);
    pthread_mutex_lock(&transport->locked.lock);
    struct http_host *host = t->asked.host;
    host->active--;
    if (host->first) {
        struct http_try *next = host->first;
        unlink_waiting(host, next);
        push_starting(transport, next);
    }
    drop_idle_host(transport, host);
    return_try(t);
    pthread_mutex_unlock(&transport->locked.lock);
}

static void start_try(struct transport *transport, struct http_try *t)
{
    t->previous = NULL;
    t->next = transport->loop.active;
    if (t->next)
        t->next->previous = t;
    transport->loop.active = t;
    CURLMcode added = curl_multi_add_handle(transport->loop.multi, t->asked.easy);
    if (added != CURLM_OK)
        end_try(transport, t, added == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_FAILED_INIT);
}

/* Ends tries that moved too few bytes since the last look. */
static void end_stalled(struct transport *transport, int64_t now)
{
    for (struct http_try *t = transport->loop.active, *next; t; t = next) {
        next = t->next;
        unsigned slow_ms = t->asked.req->slow_ms, least = slow_ms ? 1 : transport->options.stall_bytes;
        const int64_t window = (int64_t)(slow_ms ? slow_ms : transport->options.stall_ms) * NS_PER_MS;
        if (t->loop.window_ns == 0 || now - t->loop.window_ns < window)
            continue;
        if (t->loop.moved - t->loop.window_moved < least) {
            t->came.fault = HTTP_FAULT_STALLED;
            end_try(transport, t, CURLE_OPERATION_TIMEDOUT);
            continue;
        }
        t->loop.window_ns = now;
        t->loop.window_moved = t->loop.moved;
    }
}

/* Reports GETs that are past the 95th percentile to their rounds, while the hedge budget lasts. Returns when to
 * look again (os_now_ns() scale). */
static int64_t call_slow(struct transport *transport, int64_t now)
{
    int64_t next = INT64_MAX;
    if (transport->loop.slow_ns == 0 || transport->loop.hedges == 0)
        return next;
    for (struct http_try *t = transport->loop.active; t && transport->loop.hedges; t = t->next) {
        if (!t->asked.hedgeable || t->loop.asked_twice || t->came.decided || t->loop.sent_ns == 0)
            continue;
        int64_t due = t->loop.sent_ns + transport->loop.slow_ns;
        if (due > now) {
            next = due < next ? due : next;
            continue;
        }
        transport->loop.hedges--;
        t->loop.asked_twice = true;
        pthread_mutex_lock(&transport->locked.lock);
        t->locked.next_slow = t->asked.round->slow;
        t->asked.round->slow = t;
        pthread_cond_signal(&t->asked.round->wake);
        pthread_mutex_unlock(&transport->locked.lock);
    }
    return next;
}

/* Starts and aborts the tries that other threads asked for. Returns false when the transport closes. */
static bool take_orders(struct transport *transport)
{
    pthread_mutex_lock(&transport->locked.lock);
    bool closing = transport->locked.closing, aborting = transport->locked.aborting;
    struct http_try *starting = transport->locked.starting;
    transport->locked.starting = NULL;
    transport->locked.aborting = false;
    for (struct http_try *t = starting; t; t = t->next)
        t->locked.state = TRY_ACTIVE;
    pthread_mutex_unlock(&transport->locked.lock);
    for (struct http_try *t = starting, *next; t; t = next) {
        next = t->next;
        start_try(transport, t);
    }
    for (struct http_try *t = aborting ? transport->loop.active : NULL, *next; t; t = next) {
        next = t->next;
        pthread_mutex_lock(&transport->locked.lock);
        bool aborted = t->locked.aborted || t->asked.round->aborted;
        pthread_mutex_unlock(&transport->locked.lock);
        if (aborted)
            end_try(transport, t, CURLE_ABORTED_BY_CALLBACK);
    }
    return !closing;
}

static void *run_loop(void *context)
{
    struct transport *transport = context;
    const int look_ms =
        transport->options.stall_ms < 4 * POLL_MS ? (int)(transport->options.stall_ms + 3) / 4 : POLL_MS;
    while (take_orders(transport)) {
        int running, left;
        curl_multi_perform(transport->loop.multi, &running);
        for (CURLMsg *message = curl_multi_info_read(transport->loop.multi, &left); message;
             message = curl_multi_info_read(transport->loop.multi, &left)) {
            if (message->msg != CURLMSG_DONE)
                continue;
            char *mine = NULL;
            CURLcode result = message->data.result; /* removing the handle frees the message */
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &mine);
            end_try(transport, (struct http_try *)(void *)mine, result);
        }
        int64_t now = os_now_ns();
        if (now - transport->loop.looked_ns >= (int64_t)look_ms * NS_PER_MS) {
            transport->loop.looked_ns = now;
            end_stalled(transport, now);
        }
        pthread_mutex_lock(&transport->locked.lock);
        bool more = transport->locked.starting || transport->locked.aborting;
        pthread_mutex_unlock(&transport->locked.lock);
        int64_t next = call_slow(transport, now);
        int wait_ms = transport->loop.active ? look_ms : IDLE_POLL_MS;
        if (next - now < (int64_t)wait_ms * NS_PER_MS)
            wait_ms = (int)((next - now) / NS_PER_MS) + 1;
        if (!more)
            curl_multi_poll(transport->loop.multi, NULL, 0, wait_ms, NULL);
    }
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------- */

static unsigned option_or(unsigned value, unsigned initial)
{
    return value ? value : initial;
}

/* Initializes libcurl for the process (libcurl counts these calls), and makes the multi handle. */
static enum dp_status open_multi(struct transport *transport, struct dp_error *error)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return dp_fail_nomem(error, "libcurl");
    transport->loop.multi = curl_multi_init();
    if (!transport->loop.multi) {
        curl_global_cleanup();
        return dp_fail_nomem(error, "libcurl");
    }
    long kept = 2L * transport->options.per_host;
    curl_multi_setopt(transport->loop.multi, CURLMOPT_MAXCONNECTS,
                      kept < CONNECTIONS_KEPT ? CONNECTIONS_KEPT : kept);
    curl_multi_setopt(transport->loop.multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return DP_OK;
}

enum dp_status transport_new(const struct transport_options *options, struct transport **out,
                             struct dp_error *error)
{
    *out = NULL;
    struct transport *transport = mem_calloc(1, sizeof *transport);
    if (!transport)
        return dp_fail_nomem(error, "the transport");
    struct transport_options *o = &transport->options;
    if (options)
        *o = *options;
    o->per_host = option_or(o->per_host, 128);
    o->connect_timeout_ms = option_or(o->connect_timeout_ms, 10000);
    o->stall_ms = option_or(o->stall_ms, 20000);
    o->stall_bytes = option_or(o->stall_bytes, 1024);
    transport->tries_set = o->tries;
    transport->connect_tries_set = o->connect_tries;
    o->tries = option_or(o->tries, 10);
    o->connect_tries = option_or(o->connect_tries, 4);
    o->retry_base_ms = option_or(o->retry_base_ms, 100);
    o->retry_cap_ms = option_or(o->retry_cap_ms, 10000);
    o->retry_total_ms = option_or(o->retry_total_ms, 60000);
    o->hedge_floor_ms = option_or(o->hedge_floor_ms, 50);
    o->hedge_after = option_or(o->hedge_after, 200);
    uint64_t seed;
    enum dp_status status = os_random(&seed, sizeof seed, error);
    trust_find(&o->trust, &transport->trust);
    o->trust = (struct trust_settings){0}; /* its texts belong to the caller */
    if (status == DP_OK)
        status = open_multi(transport, error);
    if (status != DP_OK) {
        mem_free(transport);
        return status;
    }
    atomic_init(&transport->owners, 1);
    atomic_init(&transport->random, seed);
    pthread_mutex_init(&transport->locked.lock, NULL);
    int failed = os_thread_start(&transport->thread, "dipper-http", run_loop, transport);
    if (failed) {
        curl_multi_cleanup(transport->loop.multi);
        curl_global_cleanup();
        pthread_mutex_destroy(&transport->locked.lock);
        mem_free(transport);
        return dp_fail(error, DP_UNAVAILABLE, "cannot start a thread: %s", strerror(failed));
    }
    *out = transport;
    return DP_OK;
}

enum dp_status transport_of_options(const struct store_options *options, struct transport **out,
                                    struct dp_error *error)
{
    if (!options->transport)
        return transport_new(&(struct transport_options){.trust = options->trust}, out, error);
    *out = transport_retain(options->transport);
    return DP_OK;
}

struct transport *transport_retain(struct transport *transport)
{
    atomic_fetch_add_explicit(&transport->owners, 1, memory_order_relaxed);
    return transport;
}

void transport_free(struct transport *transport)
{
    if (!transport || atomic_fetch_sub_explicit(&transport->owners, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_lock(&transport->locked.lock);
    assert(!transport->locked.hosts);
    transport->locked.closing = true;
    pthread_mutex_unlock(&transport->locked.lock);
    curl_multi_wakeup(transport->loop.multi);
    pthread_join(transport->thread, NULL);
    for (size_t i = 0; i < transport->locked.easy_count; i++)
        curl_easy_cleanup(transport->locked.easy[i]);
    curl_multi_cleanup(transport->loop.multi);
    curl_global_cleanup();
    pthread_mutex_destroy(&transport->locked.lock);
    mem_free(transport);
}
