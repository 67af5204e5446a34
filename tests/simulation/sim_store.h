/* sim_store.h: an object store in a simulated world (sim.h): requests take virtual time, fail, lose their answers, are
 * carried out twice or hours late.
 *
 * All nodes see one set of objects, and each node has a handle on it, a struct store. The store carries out each
 * request at one moment; the reads of a batch happen at different moments. Two puts of one object never mix.
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

/* How often things go wrong: one time in so many; 0: never. Histories have different values, because some faults do
 * harm only while others are rare. */
struct sim_faults {
    unsigned error, stall, crash; /* of requests */
    unsigned late, twice, lost;   /* of puts */
    int64_t stall_least_ns, stall_most_ns;
    bool traps; /* see sim_trap.h */
};

/* What sim_trap.c holds back. */
struct sim_hold {
    void *op;       /* NULL: nothing */
    uint64_t known; /* checksum of the object that is not to be shown */
    size_t key_len;
    char key[STORE_KEY_MAX];
};

struct sim_object;

struct sim_store {
    struct sim *sim;
    struct sim_object *objects; /* [count], ascending by key */
    size_t count, room;
    struct sim_faults faults;
    bool calm; /* no faults, no stalls */
    struct sim_counts counts;
    const char *held;     /* the namespace of which a branching is held; NULL: none */
    struct sim_hold kept; /* the number of a log entry that a kept put waits for */
    /* `putting` is called before each put changes the object, `removing` before each removal. `op`: the operation of
     * the task that sent the put. */
    void (*putting)(void *watcher, void *op, struct span key, struct span body);
    void (*removing)(void *watcher, struct span key);
    /* Called for each object that is read whole or in part, with all of its bytes. */
    void (*reading)(void *watcher, void *op, struct span key, struct span body);
    void *watcher;
};

/* A process on a host: its handle on the store, its clocks, and whether it has crashed. After a crash each
 * request and each wait fails at once, until everything that ran has ended and sim_node_restart() is called. */
struct sim_node {
    struct store base;
    struct sim_store *store;
    const char *name;
    bool crashed;
    const char *branches;     /* the namespace of which it makes a branch now; NULL: none */
    struct sim_hold hold;     /* of its next look */
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
