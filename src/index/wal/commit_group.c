/* commit_group.c: a queue whose first waiter commits for the others. */
#include "index/wal/commit_group.h"

#include <assert.h>
#include <string.h>

#include "os/clock.h"
#include "os/thread.h"

void commit_group_init(struct commit_group *g)
{
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    pthread_cond_init(&g->arrived, NULL);
    memset(&g->locked, 0, sizeof g->locked);
}

void commit_group_deinit(struct commit_group *g)
{
    assert(!g->locked.first && !g->locked.led);
    pthread_cond_destroy(&g->arrived);
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
}

static void queue_member(struct commit_group *g, struct group_member *m)
{
    m->next = NULL;
    m->state = MEMBER_WAITING;
    if (g->locked.last)
        g->locked.last->next = m;
    else
        g->locked.first = m;
    g->locked.last = m;
    g->locked.waiting++;
    if (g->locked.waiting >= g->locked.expected) /* else the leader would wake in vain */
        pthread_cond_signal(&g->arrived);
}

/* Takes a waiting member out of the queue. */
static void leave_queue(struct commit_group *g, const struct group_member *m)
{
    struct group_member *before = NULL, *at = g->locked.first;
    for (; at != m; at = at->next)
        before = at;
    if (before)
        before->next = m->next;
    else
        g->locked.first = m->next;
    if (g->locked.last == m)
        g->locked.last = before;
    g->locked.waiting--;
}

/* Waits a little for the writers that the last group left at work, and longer where writers are slowed down. The caller
 * holds the lock. */
static void gather_members(struct commit_group *g)
{
    int64_t wait_ns = g->locked.commit_ns / GROUP_GATHER_PART, max_ns = GROUP_GATHER_MS_MAX * 1000000;
    int64_t now_ns = os_now_ns(), hold_ns = g->locked.first->hurries ? 0 : g->locked.hold_ns;
    bool late = false;
    wait_ns = wait_ns < max_ns ? wait_ns : max_ns;
    wait_ns = wait_ns > g->locked.gather_ns ? wait_ns : g->locked.gather_ns;
    while (!late && g->locked.waiting < g->locked.expected)
        late = os_wait_until(&g->arrived, &g->lock, now_ns + wait_ns);
    late = hold_ns == 0;
    while (!late)
        late = os_wait_until(&g->arrived, &g->lock, g->locked.ended_ns + hold_ns);
}

void commit_group_pace(struct commit_group *g, int64_t gather_ns, int64_t hold_ns)
{
    pthread_mutex_lock(&g->lock);
    g->locked.gather_ns = gather_ns;
    g->locked.hold_ns = hold_ns;
    pthread_mutex_unlock(&g->lock);
}

/* Takes the members of the next group from the front of the queue. *last is the last of them. */
static struct group_member *take_group(struct commit_group *g, struct group_member **last, int64_t *deadline_ns)
{
    struct group_member *first = g->locked.first;
    size_t rows = 0;
    uint64_t bytes = 0;
    *last = NULL;
    *deadline_ns = 0;
    for (struct group_member *m = first; m; m = m->next) {
        rows += m->rows;
        bytes += m->bytes;
        if (*last && (rows > GROUP_ROWS_MAX || bytes > GROUP_BYTES_MAX))
            break;
        m->state = MEMBER_TAKEN;
        g->locked.waiting--;
        if (m->deadline_ns > *deadline_ns)
            *deadline_ns = m->deadline_ns;
        *last = m;
    }
    g->locked.first = (*last)->next;
    if (!g->locked.first)
        g->locked.last = NULL;
    (*last)->next = NULL;
    return first;
}

/* Marks the first `done` members of a group, and puts the others back to the front of the queue. */
static void end_group(struct commit_group *g, struct group_member *first, struct group_member *last, size_t done)
{
    struct group_member *m = first;
    for (size_t i = 0; i < done && m; i++) {
        struct group_member *next = m->next; /* a member may vanish once it is done */
        m->state = MEMBER_DONE;
        m = next;
    }
    if (m) {
        last->next = g->locked.first;
        g->locked.first = m;
        if (!g->locked.last)
            g->locked.last = last;
    }
    for (; m && m->state == MEMBER_TAKEN; m = m->next) {
        m->state = MEMBER_WAITING;
        g->locked.waiting++;
    }
    g->locked.expected = done + g->locked.waiting;
    g->locked.led = false;
    pthread_cond_broadcast(&g->changed);
}

/* Commits the next group. The caller holds the lock, which is free meanwhile. */
static void lead_group(struct call *call, struct commit_group *g, group_commit_fn *commit, void *context)
{
    struct arena arena;
    struct call own;
    struct group_member *last;
    int64_t deadline_ns;
    g->locked.led = true;
    gather_members(g);
    struct group_member *first = take_group(g, &last, &deadline_ns);
    int64_t began_ns = os_now_ns();
    pthread_mutex_unlock(&g->lock);
    arena_init(&arena, GROUP_ARENA_MAX);
    call_child(call, &own, &arena);
    own.cancelled = NULL;
    own.deadline_ns = deadline_ns;
    call_limit_ms(&own, GROUP_MS_MAX);
    size_t done = commit(&own, context, first);
    assert(done > 0);
    arena_deinit(&arena);
    dp_error_clear(&own.error);
    own.cost.rounds += call->cost.rounds; /* the group came after whatever the call did before */
    call_merge(call, &own);
    pthread_mutex_lock(&g->lock);
    g->locked.ended_ns = os_now_ns();
    g->locked.commit_ns = g->locked.ended_ns - began_ns;
    end_group(g, first, last, done);
}

enum dp_status commit_group_join(struct call *call, struct commit_group *g, struct group_member *m,
                                 group_commit_fn *commit, void *context)
{
    m->deadline_ns = call->deadline_ns;
    pthread_mutex_lock(&g->lock);
    queue_member(g, m);
    enum dp_status status = DP_OK;
    while (m->state != MEMBER_DONE && status == DP_OK) {
        if (m->state == MEMBER_TAKEN) {
            os_wait_until(&g->changed, &g->lock, INT64_MAX);
            continue;
        }
        status = call_check(call);
        if (status == DP_OK && !g->locked.led)
            lead_group(call, g, commit, context);
        else if (status == DP_OK)
            call_wait(call, &g->changed, &g->lock);
    }
    if (status)
        leave_queue(g, m);
    pthread_mutex_unlock(&g->lock);
    return status;
}
