/* settle.c: masks the rows that the tail replaces, in a view that was opened without looking them up. */
#include "index/query/settle.h"

#include "base/alloc.h"
#include "index/query/masking.h"

/* The search for the ids of the tail. Its owner has the view's turn. */
struct view_settling {
    struct masking masking;
    struct id_searching *search; /* or NULL */
    uint64_t last;               /* the newest entry whose ids it looks up */
};

static bool is_unsettled(struct view *view)
{
    view_lock(view);
    const bool unsettled = view->locked.unsettled;
    view_unlock(view);
    return unsettled;
}

/* Takes the turn to settle. If another thread has it: waits for its end, which counts as a round, or returns with *mine
 * false. */
static enum dp_status take_turn(struct call *call, struct view *view, bool wait, bool *mine)
{
    enum dp_status status = DP_OK;
    pthread_mutex_lock(&view->turn.lock);
    call->cost.rounds += view->turn.taken && wait;
    while (view->turn.taken && wait && status == DP_OK) {
        call_wait(call, &view->turn.ended, &view->turn.lock);
        status = call_check(call);
    }
    *mine = !view->turn.taken && status == DP_OK;
    if (*mine)
        view->turn.taken = true;
    pthread_mutex_unlock(&view->turn.lock);
    return status;
}

static void end_turn(struct view *view)
{
    pthread_mutex_lock(&view->turn.lock);
    view->turn.taken = false;
    pthread_cond_broadcast(&view->turn.ended);
    pthread_mutex_unlock(&view->turn.lock);
}

/* Gathers the ids of the tail and of the segments to search. */
static enum dp_status gather_tail_ids(struct view_settling *s)
{
    struct view *view = s->masking.view;
    enum dp_status status = DP_OK;
    masking_add_segments(&s->masking);
    view_lock(view);
    const struct tail *tail = &view->locked.tail;
    s->last = view->locked.at.last;
    for (size_t i = 0; i < tail->row_count && status == DP_OK; i++) {
        if (!tail->rows[i].superseded)
            status = masking_add_key(&s->masking, tail->rows[i].record->key);
    }
    view_unlock(view);
    return status;
}

/* Begins with the turn. *out is NULL if the view is settled; without `wait` also if another thread has the turn. */
static enum dp_status begin_settling(struct call *call, struct view *view, bool wait, struct view_settling **out)
{
    bool mine;
    *out = NULL;
    if (!is_unsettled(view))
        return DP_OK;
    enum dp_status status = take_turn(call, view, wait, &mine);
    if (status != DP_OK || !mine)
        return status;
    if (!is_unsettled(view)) {
        end_turn(view);
        return DP_OK;
    }
    struct view_settling *s = mem_calloc(1, sizeof *s);
    status = s ? masking_init(&s->masking, call, view) : call_nomem(call, "rows of the log");
    if (status) {
        mem_free(s);
        end_turn(view);
        return status;
    }
    status = gather_tail_ids(s);
    if (status == DP_OK)
        *out = s;
    else
        view_settle_drop(s);
    return status;
}

void view_settle_drop(struct view_settling *s)
{
    if (!s)
        return;
    end_turn(s->masking.view);
    id_search_free(s->search);
    masking_deinit(&s->masking);
    mem_free(s);
}

/* Masks the found rows. */
static enum dp_status end_settling(struct view_settling *s)
{
    struct view *view = s->masking.view;
    enum dp_status status = masking_make_masks(&s->masking);
    if (status == DP_OK) {
        pthread_rwlock_wrlock(&view->locked.lock);
        masking_apply(&s->masking);
        if (view->locked.at.last == s->last)
            view->locked.unsettled = false;
        view_unlock(view);
    }
    view_settle_drop(s);
    return status;
}

enum dp_status view_settle_ask(struct round *round, struct view *view, struct view_settling **out)
{
    struct view_settling *s;
    bool full;
    *out = NULL;
    enum dp_status status = begin_settling(round->call, view, false, &s);
    if (status != DP_OK || !s)
        return status;
    status = masking_ask(&s->masking, round, &s->search, &full);
    if (status == DP_OK && s->search) {
        *out = s;
        return DP_OK;
    }
    if (status == DP_OK && !full)
        return end_settling(s); /* no block may hold an id of the tail */
    view_settle_drop(s);
    return status == DP_OK ? view_settle(round->call, view) : status;
}

enum dp_status view_settle_take(struct view_settling *s)
{
    enum dp_status status = id_search_take(s->search);
    if (status == DP_OK)
        return end_settling(s);
    view_settle_drop(s);
    return status;
}

enum dp_status view_settle(struct call *call, struct view *view)
{
    for (;;) {
        struct view_settling *s;
        enum dp_status status = begin_settling(call, view, true, &s);
        if (status != DP_OK || !s)
            return status;
        status = masking_search(&s->masking);
        if (status == DP_OK)
            status = end_settling(s);
        else
            view_settle_drop(s);
        if (status)
            return status;
    }
}
