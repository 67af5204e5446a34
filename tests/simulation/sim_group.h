/* sim_group.h: tells the oracle which writes a leader has taken into a group.
 *
 * Nobody can tell from a log entry alone: a deletion has no value, so two writes of one process that delete the same
 * row make the same entry.
 */
#ifndef SIM_GROUP_H
#define SIM_GROUP_H

#include <stddef.h>

struct sim_op;

/* At most so many writes of a process are open at a time. */
enum { SIM_GROUP_MAX = 8 };

/* The writes of a group, in the order in which they joined the queue. Its leader has it. */
struct sim_group {
    struct sim_op *members[SIM_GROUP_MAX];
    size_t count;
    struct sim_group *next; /* the group that the same leader committed before */
};

/* Gives a leader a group without members. */
struct sim_group *sim_group_add(struct sim_op *leader);
/* Frees the groups of a leader. */
void sim_groups_free(struct sim_op *leader);

#endif
