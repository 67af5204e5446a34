/* batch_queue.c: shares of clients, small requests first, and turns of bounded time. */
#include "embed/batch_queue.h"

enum {
    LINEAR_COST = 500,     /* in a text of this many tokens, attention costs as much as the linear layers */
    SMALL_TOKENS = 256,    /* a request of the work of one text of this many tokens is small */
    TURN_NS = 15000000,    /* time of a batch */
    FIRST_NS = 15000000,   /* assumed time of a text of SMALL_TOKENS on one worker, until a batch was measured */
    SMALL_SHARE = 3,       /* while both kinds wait, small requests get this many times the work of large ones */
    MEASURED_TOKENS = 128, /* the time of a batch with less work says little */
    STEPS_MAX = 1000,
    SMOOTHING = 8, /* a batch counts for 1/8 of the measured speed */
};

uint64_t batch_cost(size_t tokens)
{
    return (uint64_t)tokens * (LINEAR_COST + tokens);
}

/* A turn is at most TURN_NS, but at least a text of SMALL_TOKENS for each worker. It is a multiple of that, so that
 * the workers end at about the same time. */
static void set_turn(struct batch_queue *q)
{
    const uint64_t least = q->workers * batch_cost(SMALL_TOKENS);
    const double steps = (double)TURN_NS / (q->cost_ns * (double)least);
    q->turn_cost = steps < 2 ? least : steps > STEPS_MAX ? STEPS_MAX * least : (uint64_t)steps * least;
}

void batch_queue_init(struct batch_queue *q, size_t workers)
{
    *q = (struct batch_queue){.workers = workers};
    q->cost_ns = (double)FIRST_NS / (double)(workers * batch_cost(SMALL_TOKENS));
    set_turn(q);
}

void batch_queue_took(struct batch_queue *q, size_t workers, uint64_t cost, int64_t ns)
{
    if (cost < batch_cost(MEASURED_TOKENS))
        return;
    const double measured = (double)ns / (double)cost * (double)workers / (double)q->workers;
    q->cost_ns = q->is_measured ? q->cost_ns + (measured - q->cost_ns) / SMOOTHING : measured;
    q->is_measured = true;
    set_turn(q);
}

int64_t batch_queue_ns(const struct batch_queue *q)
{
    return (int64_t)((double)q->waiting_cost * q->cost_ns);
}

/* ---- requests --------------------------------------------------------------------------------------- */

/* Returns the place at which a new request of the client begins: now, or where its client's waiting requests are. */
static uint64_t place_of(const struct batch_queue *q, uint64_t client, bool small)
{
    for (const struct batch_request *r = q->first; r; r = r->behind)
        if (r->client == client && r->small == small && r->served > q->clock[small])
            return r->served;
    return q->clock[small];
}

void batch_queue_add(struct batch_queue *q, struct batch_request *r)
{
    r->next = 0;
    r->tokens_left = 0;
    r->cost_left = 0;
    for (size_t i = 0; i < r->n; i++) {
        r->tokens_left += r->seqs[i].count;
        r->cost_left += batch_cost(r->seqs[i].count);
    }
    r->small = r->n == 1 || r->cost_left <= batch_cost(SMALL_TOKENS);
    r->served = place_of(q, r->client, r->small);
    r->before = q->last;
    r->behind = NULL;
    if (q->last)
        q->last->behind = r;
    else
        q->first = r;
    q->last = r;
    r->queued = true;
    q->waiting[r->small]++;
    q->waiting_tokens += r->tokens_left;
    q->waiting_cost += r->cost_left;
}

void batch_queue_remove(struct batch_queue *q, struct batch_request *r)
{
    if (r->before)
        r->before->behind = r->behind;
    else
        q->first = r->behind;
    if (r->behind)
        r->behind->before = r->before;
    else
        q->last = r->before;
    r->queued = false;
    q->waiting[r->small]--;
    q->waiting_tokens -= r->tokens_left;
    q->waiting_cost -= r->cost_left;
}

/* ---- batches ---------------------------------------------------------------------------------------- */

/* Returns the waiting request of this kind whose client got the least; of several the one that came first. */
static struct batch_request *least_served(const struct batch_queue *q, bool small)
{
    struct batch_request *least = NULL;
    for (struct batch_request *r = q->first; r; r = r->behind)
        if (r->small == small && (!least || r->served < least->served))
            least = r;
    return least;
}

/* Counts work for the client of a request, in all its waiting requests of this kind. */
static void serve_client(struct batch_queue *q, const struct batch_request *served, uint64_t place)
{
    for (struct batch_request *r = q->first; r; r = r->behind)
        if (r->client == served->client && r->small == served->small && r->served < place)
            r->served = place;
}

/* Takes the next text of a request. */
static void take_text(struct batch_queue *q, struct batch_request *r, uint64_t cost, struct batch_text *text)
{
    const size_t tokens = r->seqs[r->next].count;
    *text = (struct batch_text){r, r->next++};
    r->tokens_left -= tokens;
    r->cost_left -= cost;
    q->waiting_tokens -= tokens;
    q->waiting_cost -= cost;
    q->clock[r->small] = r->served;
    serve_client(q, r, r->served + cost);
    if (r->next == r->n)
        batch_queue_remove(q, r);
}

/* Notes which kind got a turn while both waited. */
static void count_turn(struct batch_queue *q, bool small, uint64_t cost)
{
    const int64_t most = (int64_t)(SMALL_SHARE * q->turn_cost);
    q->lead += small ? (int64_t)cost : -SMALL_SHARE * (int64_t)cost;
    q->lead = q->lead < -most ? -most : q->lead;
}

size_t batch_queue_take(struct batch_queue *q, const struct batch_share *share, struct batch_text *texts,
                        size_t *tokens)
{
    const uint64_t most = q->turn_cost / q->workers * share->workers;
    const bool both = q->waiting[true] > 0 && q->waiting[false] > 0;
    const bool small = both ? q->lead < (int64_t)q->turn_cost : q->waiting[true] > 0;
    size_t n = 0;
    uint64_t taken = 0;
    *tokens = 0;
    for (struct batch_request *r; (r = least_served(q, small)) != NULL;) {
        const size_t count = r->seqs[r->next].count;
        const uint64_t cost = batch_cost(count);
        if (n > 0 && (taken + cost > most || *tokens + count > share->tokens_max))
            break;
        take_text(q, r, cost, &texts[n++]);
        taken += cost;
        *tokens += count;
    }
    if (both)
        count_turn(q, small, taken);
    else
        q->lead = 0;
    return n;
}
