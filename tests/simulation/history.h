/* history.h: one random history of a namespace: writers, readers, folders, mergers, collectors and others on several
 * nodes, over a simulated store (sim_store.h), checked against a sequential model (sim_truth.h). */
#ifndef HISTORY_H
#define HISTORY_H

#include "sim_branch.h"

enum { HISTORY_OPERATIONS_MIN = 100, HISTORY_FAULTS_MIN = 5, HISTORY_ACTORS_MAX = 18 };

enum history_kind {
    HISTORY_LOADS,    /* a namespace without a log: loads, merges, collectors, queries */
    HISTORY_LOG,      /* a namespace with a log: writes, folds, merges, collectors, queries */
    HISTORY_LIVES,    /* HISTORY_LOG, and the namespace is deleted and made again */
    HISTORY_BRANCHES, /* HISTORY_LIVES, and branches of it, and of these, come and go */
    HISTORY_KINDS
};

struct history_result {
    uint64_t seed;
    enum history_kind kind;
    uint64_t operations, nodes, faults, steps;
    struct sim_counts store;
    struct sim_truth truth; /* its counts only */
    struct branch_counts branches;
    bool failed;
    char failure[1024];
};

/* Runs the history of a seed. `trace` prints each step to stderr. */
void history_run(uint64_t seed, bool trace, struct history_result *out);
const char *history_kind_name(enum history_kind kind);

#endif
