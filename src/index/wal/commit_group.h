/* index/wal/commit_group.h: writes of one namespace that come at the same time share a log entry.
 *
 * A write joins the queue of its namespace and waits. The first that finds no leader leads: it takes writes from the
 * front, commits them, and tells each its outcome, while later ones gather for the next group. Writers that have just
 * got an outcome often write again at once, so a leader waits for them, for a small part of the time that a commit
 * takes. If it did not wait, two halves of the writers would take turns. A write alone waits only if
 * commit_group_pace() says so. If the call of a write ends before a leader has taken it, the write leaves the queue.
 * A write that was taken waits for the outcome, because its entry may be on its way to the store.
 */
#ifndef INDEX_WAL_COMMIT_GROUP_H
#define INDEX_WAL_COMMIT_GROUP_H

#include <pthread.h>

#include "os/call.h"

enum {
    GROUP_ROWS_MAX = 64 * 1024,         /* maximum rows of a group of several writes */
    GROUP_BYTES_MAX = 16 * 1024 * 1024, /* maximum bytes of a group of several writes */
    GROUP_GATHER_PART = 16,             /* a leader waits for others this part of the last commit's time */
    GROUP_GATHER_MS_MAX = 2,            /* and no longer than this */
    GROUP_MS_MAX = 2 * 60 * 1000,       /* a group's commit ends after this time at the latest */
    GROUP_ARENA_MAX = 512 * 1024 * 1024 /* maximum memory of a group's commit */
};

/* A write in the queue. Its owner embeds it. The group's lock guards `next` and `state`. */
struct group_member {
    struct group_member *next;
    enum { MEMBER_WAITING, MEMBER_TAKEN, MEMBER_DONE } state;
    size_t rows;
    uint64_t bytes;      /* about how many bytes it adds to an entry */
    bool hurries;        /* if it is the first of its group, the group is not held back */
    int64_t deadline_ns; /* of its call */
};

/* The queue of one namespace. */
struct commit_group {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a member is done, or the leader's place is free */
    pthread_cond_t arrived; /* a member has joined the queue */
    struct {
        struct group_member *first, *last;
        size_t waiting; /* members in the queue */
        bool led;       /* whether a thread commits a group now */
        /* Number of writes at work when the last group ended: those of the group, and those that waited. */
        size_t expected;
        int64_t commit_ns, ended_ns; /* duration and end of the last group's commit */
        int64_t gather_ns, hold_ns;  /* commit_group_pace() */
    } locked;
};

/* Commits the writes from `first` on, which are linked by `next`, and records the outcome of each. Returns how many
 * of them have an outcome, at least 1; the others go back to the front of the queue. `call` has the latest deadline
 * of them all, and nobody can cancel it. */
typedef size_t group_commit_fn(struct call *call, void *context, struct group_member *first);

void commit_group_init(struct commit_group *group);
void commit_group_deinit(struct commit_group *group);

/* Queues the member and waits until it has its outcome. Costs of a group go to its leader's call. Fails with
 * DP_DEADLINE or DP_CANCELLED when the call ended before a group took the member: then it was not committed. */
enum dp_status commit_group_join(struct call *call, struct commit_group *group, struct group_member *member,
                                 group_commit_fn *commit, void *context);

/* Slows the writers down. A leader waits gather_ns for the writers that the last group left at work, so that groups
 * grow; and groups follow each other at least hold_ns apart. 0, 0: as usual. */
void commit_group_pace(struct commit_group *group, int64_t gather_ns, int64_t hold_ns);

#endif
