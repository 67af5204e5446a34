/* service/upkeep.h: keeps namespaces small in the background: folds their logs, merges their segments, removes their
 * garbage.
 *
 * `dipper serve` looks after the namespaces that its clients have opened, and asks the store nothing to find work,
 * because its readers know enough. `dipper index-worker` looks after all namespaces of a root, so it asks the
 * store for their state from time to time. An idle namespace costs no request that writes.
 *
 * Two threads work. One folds, because writes wait for folds; the other merges and collects. Any number of
 * processes may work on one root: a node that folds or merges claims the next folds or merges of the namespace for
 * itself.
 */
#ifndef SERVICE_UPKEEP_H
#define SERVICE_UPKEEP_H

#include "os/team.h"
#include "service/readers.h"

struct metric_registry;

enum upkeep_scope {
    UPKEEP_NONE, /* nothing in the background */
    UPKEEP_OPEN, /* namespaces that are or were open */
    UPKEEP_ROOT  /* all namespaces of the root */
};

enum {
    /* A fold is due when this many entries or bytes of the log wait for it, or when the oldest of them has this
     * age. */
    UPKEEP_FOLD_ENTRIES = 64,
    UPKEEP_FOLD_BYTES = 32 * 1024 * 1024,
    UPKEEP_FOLD_AGE_MS = 10 * 1000,
    UPKEEP_FOLD_PERIOD_MS = 500,  /* time between two looks for folds */
    UPKEEP_TIDY_PERIOD_MS = 1000, /* time between two looks for merges and garbage */
    UPKEEP_NAMESPACES_MAX = 65536
};

struct upkeep;

struct upkeep_options {
    struct store *store;
    struct readers *readers; /* store and readers outlive the upkeep */
    /* Clusters vectors. NULL: the upkeep's own threads cluster, so that no request waits for the team. */
    struct team *team;
    enum upkeep_scope scope; /* not UPKEEP_NONE */
    struct metric_registry *metrics;
    bool no_threads; /* the caller calls upkeep_fold() and upkeep_tidy() itself */
};

/* Registers metrics and starts the threads. */
enum dp_status upkeep_new(const struct upkeep_options *options, struct upkeep **out, struct dp_error *error);
/* Looks at each namespace, and folds where that is due. One thread at a time. */
enum dp_status upkeep_fold(struct upkeep *upkeep);
/* Looks at each namespace, and merges and collects where that is due. One thread at a time. */
void upkeep_tidy(struct upkeep *upkeep);
/* Ends the work in progress as soon as it can be ended, and frees. NULL is fine. */
void upkeep_free(struct upkeep *upkeep);

#endif
