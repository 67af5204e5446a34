/* sim_store.h: an object store in a simulated world (sim.h): requests take virtual time, fail, lose their answers, are
 * carried out twice or hours late.
 *
 * All nodes see one set of objects, each through a handle of its own: a struct store. Each request is carried out at one
 * moment; those of a read batch at different ones. A put never mixes with another.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "index/clock.h"
#include "sim.h"
#include "store/store.h"

/* What happened, for the report. */
struct sim_counts {
    uint64_t requests, puts, put_refused; /* refused: the condition did not hold */
    uint64_t errors;                      /* requests that failed and were not carried out */
    uint64_t lost;                        /* puts that were carried out, and answered "unknown" */
    uint64_t late, late_landed; /* puts that the store kept for later; those that then changed something */
    uint64_t twice;             /* puts that were carried out now, and again later */
    uint64_t stalls;            /* requests that took minutes or hours */
    uint64_t crashes;
};

/* How often things go wrong, each "1 in so many"; 0: never. Histories differ in them, because some faults need others
 * to be rare to do harm. */
struct sim_faults {
    unsigned error, stall, crash; /* of requests */
    unsigned late, twice, lost;   /* of puts */
    int64_t stall_least_ns, stall_most_ns;
};

struct sim_object;

struct sim_store {
    struct sim *sim;
    struct sim_object *objects; /* [count], ascending by key */
    size_t count, room;
    struct sim_faults faults;
    bool calm; /* no faults, no stalls */
    struct sim_counts counts;
    /* Watches each put before it changes the object: `op` is what the task was doing that sent it. And each removal. */
    void (*putting)(void *watcher, void *op, struct span key, struct span body);
    void (*removing)(void *watcher, struct span key);
    void *watcher;
};

/* A process on a host: its handle on the store, its clocks, and whether it has crashed. From a crash on, each request
 * and each wait fails at once, until everything that ran has ended and the process is started again. */
struct sim_node {
    struct store base;
    struct sim_store *store;
    const char *name;
    bool crashed;
    int64_t skew_ms, boot_ns; /* of the host's clocks */
    struct index_process process;
    struct index_clock clock;
};

void sim_store_init(struct sim_store *store, struct sim *sim);
void sim_store_deinit(struct sim_store *store);
void sim_node_init(struct sim_node *node, struct sim_store *store, const char *name);
void sim_node_deinit(struct sim_node *node);
/* Starts a crashed process again. */
void sim_node_restart(struct sim_node *node);
/* The store's clock, Unix milliseconds. */
int64_t sim_store_ms(const struct sim_store *store);
/* Returns the content of an object; .data NULL: there is none. */
struct span sim_store_get(const struct sim_store *store, struct span key);
size_t sim_store_faults(const struct sim_store *store);

#endif
