/* sim_branch.h: branches of the simulated namespace, and of each other: they come and go, and what they hold never
 * changes.
 *
 * A branch holds what its source held at one moment between the beginning and the end of the branching. Its rows
 * do not change after that, but its objects do: actors write rows again as they are, fold, merge and collect.
 */
#ifndef SIM_BRANCH_H
#define SIM_BRANCH_H

#include "index/index.h"
#include "sim_truth.h"

enum { BRANCH_NAMES = 3, BRANCH_LIVES_MAX = 128 };

/* A life of a branch's name that somebody has read. */
struct branch_life {
    struct ulid incarnation;
    struct sim_state state;
};

/* A name of branches. */
struct branch_name {
    struct branch_life lives[BRANCH_LIVES_MAX]; /* [life_count] */
    size_t life_count;
    uint64_t attempts, running; /* branchings that have begun; that have not ended */
};

struct branch_counts {
    uint64_t made, of_branches, failed, deleted, reads, absent, rewrites, undermined;
};

struct sim_branches {
    struct branch_name names[BRANCH_NAMES];
    struct branch_counts counts;
};

/* Who acts on branches. */
struct branch_actor {
    struct sim *sim;
    struct sim_truth *truth;
    struct sim_branches *branches;
    struct sim_node *node;
    struct call *call;
    const char *name;
};

/* Lets the truth watch what the branches list. */
void sim_branches_init(struct sim_branches *branches, struct sim_truth *truth);
/* Does one thing with a branch: makes, reads, rewrites, folds, merges, collects or deletes it. */
void sim_branch_act(const struct branch_actor *by);
/* When all is quiet: all branches must be whole, also behind their collectors. */
void sim_branch_look(const struct branch_actor *by);
/* Makes the state of an answer that holds all rows. */
void sim_state_of_answer(struct sim *sim, const struct index_answer *answer, struct sim_state *out);

#endif
