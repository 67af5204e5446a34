/* sim_group.c: stands between index_write() and the queue of a namespace. */
#include "sim_group.h"

#include <assert.h>
#include <stdlib.h>

#include "index/wal/member.h"
#include "sim_truth.h"

/* What a leader commits with. */
struct watched_commit {
    group_commit_fn *commit;
    void *context;
    struct sim_op *leader;
};

struct sim_group *sim_group_add(struct sim_op *leader)
{
    struct sim_group *group = calloc(1, sizeof *group);
    assert(group);
    group->next = leader->groups;
    leader->groups = group;
    return group;
}

void sim_groups_free(struct sim_op *leader)
{
    while (leader->groups) {
        struct sim_group *group = leader->groups;
        leader->groups = group->next;
        free(group);
    }
}

/* Returns the write that waits as member `m`. */
static struct sim_op *op_of(struct sim_truth *truth, const struct group_member *m)
{
    struct sim_op *op = truth->ops;
    while (op && op->member != m)
        op = op->next;
    assert(op);
    return op;
}

/* Notes the members of a group before they are committed. */
static size_t commit_watched(struct call *call, void *context, struct group_member *first)
{
    const struct watched_commit *watched = context;
    struct sim_group *group = sim_group_add(watched->leader);
    for (const struct group_member *m = first; m; m = m->next) {
        assert(group->count < SIM_GROUP_MAX);
        group->members[group->count++] = op_of(watched->leader->truth, m);
    }
    return watched->commit(call, watched->context, first);
}

/* The linker puts this in the place of commit_group_join (--wrap). */
enum dp_status sim_join(struct call *call, struct commit_group *g, struct group_member *m, group_commit_fn *commit,
                        void *context) __asm__("__wrap_commit_group_join");
enum dp_status real_join(struct call *call, struct commit_group *g, struct group_member *m,
                         group_commit_fn *commit, void *context) __asm__("__real_commit_group_join");

enum dp_status sim_join(struct call *call, struct commit_group *g, struct group_member *m, group_commit_fn *commit,
                        void *context)
{
    struct sim_op *op = sim_current_op();
    if (!op || op->kind != SIM_WRITE)
        return real_join(call, g, m, commit, context);
    struct watched_commit watched = {commit, context, op};
    op->member = m;
    op->incarnation = ((const struct write_member *)m)->incarnation;
    enum dp_status status = real_join(call, g, m, commit_watched, &watched);
    op->member = NULL;
    return status;
}
