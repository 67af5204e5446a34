/* quota.c: keeps in memory this node's shares of its users' months.
 *
 * Each user has one atomic number `left`: the embeddings that the user may still take from this node. Usage has no
 * counter: it is `granted` − `left`, so it cannot get lost between two counters. One thread at a time settles a
 * user with the database and sets `settling`. It changes `left` only by atomic adding or exchanging, because
 * others spend meanwhile.
 *
 * locked.lock guards the list of users and each user's `settling` and `round`. No thread holds it during a
 * statement of the database. */
#include "account/quota.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "account/lease.h"
#include "base/alloc.h"
#include "os/clock.h"
#include "os/thread.h"

enum {
    SETTLED_AT_ONCE = 32, /* maximum users in one transaction */
    WAIT_MS = 5000,       /* longest wait for another thread that settles the same user */
};
static const int64_t LEASE_MS = 30000; /* a node that is silent for this long counts as crashed */
static const int64_t IDLE_NS = 5 * 1000000000LL;
static const int64_t RESERVE_NS = 1 * 1000000000LL;
static const int64_t BATCH_MOST = 1 << 20;
/* After a refusal this node asks the database again only when this time has passed. */
static const int64_t REFUSED_NS = 1 * 1000000000LL;

struct quotas {
    struct quota_options options;
    char node[ULID_LEN + 1];
    struct {
        pthread_mutex_t lock;
        pthread_cond_t settled;
        struct quota_user *users;
    } locked;
    uint64_t round;          /* number of quotas_settle calls; only the thread that makes them touches it */
    _Atomic uint64_t shares; /* number of shares begun so far */
};

static int64_t now_ms(const struct quotas *q)
{
    return q->options.clock.wall_ms(q->options.clock.context);
}

static int64_t now_ns(const struct quotas *q)
{
    return q->options.clock.steady_ns(q->options.clock.context);
}

static const struct tier_limits *limits_of(const struct quotas *q, const struct quota_user *user)
{
    return &q->options.tiers[atomic_load_explicit(&user->tier, memory_order_relaxed)];
}

/* ---- users ------------------------------------------------------------------------------------------ */

enum dp_status quotas_new(const struct quota_options *options, struct quotas **out, struct dp_error *error)
{
    *out = NULL;
    struct quotas *q = mem_calloc(1, sizeof *q);
    if (!q)
        return dp_fail_nomem(error, "quotas");
    q->options = *options;
    enum dp_status status = os_ulid(q->node, error);
    if (status != DP_OK) {
        mem_free(q);
        return status;
    }
    pthread_mutex_init(&q->locked.lock, NULL);
    pthread_cond_init(&q->locked.settled, NULL);
    *out = q;
    return DP_OK;
}

/* Begins an empty share of a month. The share gets a new name in the database, because writing a lease replaces
 * the record of that name. With the name of an earlier share, usage would get lost: when a forgotten user comes
 * back, or when the clock returns to an earlier month. */
static void begin_share(struct quotas *q, struct quota_user *user, int64_t month)
{
    snprintf(user->lease, sizeof user->lease, "%s.%" PRIu64, q->node, atomic_fetch_add(&q->shares, 1));
    atomic_store(&user->left, 0);
    atomic_store(&user->beyond, -1);
    atomic_store(&user->refused_until_ns, 0);
    user->granted = user->written = 0;
    atomic_store(&user->month, month);
}

static void free_user(struct quota_user *user)
{
    struct key_count *count = atomic_load(&user->counts);
    while (count) {
        struct key_count *next = count->next;
        mem_free(count);
        count = next;
    }
    mem_free(user);
}

void quotas_free(struct quotas *q)
{
    if (!q)
        return;
    while (q->locked.users) {
        struct quota_user *user = q->locked.users;
        q->locked.users = user->next;
        free_user(user);
    }
    pthread_cond_destroy(&q->locked.settled);
    pthread_mutex_destroy(&q->locked.lock);
    mem_free(q);
}

/* Adds a user with an empty share. The caller holds the lock. Returns NULL when out of memory. */
static struct quota_user *add_user(struct quotas *q, struct span id)
{
    struct quota_user *user = mem_calloc(1, sizeof *user);
    if (!user)
        return NULL;
    memcpy(user->id, id.data, id.len);
    begin_share(q, user, month_of(now_ms(q)));
    user->next = q->locked.users;
    q->locked.users = user;
    return user;
}

struct quota_user *quota_user_get(struct quotas *q, struct span id, enum account_tier tier)
{
    if (id.len > ULID_LEN)
        return NULL;
    pthread_mutex_lock(&q->locked.lock);
    struct quota_user *user = q->locked.users;
    while (user && !span_equal_str(id, user->id))
        user = user->next;
    if (!user)
        user = add_user(q, id);
    if (user) {
        atomic_store(&user->tier, (int)tier);
        atomic_fetch_add(&user->refs, 1);
    }
    pthread_mutex_unlock(&q->locked.lock);
    return user;
}

void quota_user_release(struct quotas *q, struct quota_user *user)
{
    (void)q; /* quotas_settle frees the user when all its usage is in the database */
    atomic_fetch_sub(&user->refs, 1);
}

/* Adds the count of an API key. The caller holds the lock. Returns NULL when out of memory. */
static struct key_count *add_key_count(struct quota_user *user, struct span key_id)
{
    struct key_count *count = mem_calloc(1, sizeof *count);
    if (!count)
        return NULL;
    memcpy(count->key_id, key_id.data, key_id.len);
    count->next = atomic_load(&user->counts);
    atomic_store(&user->counts, count);
    return count;
}

struct key_count *quota_key_count(struct quotas *q, struct quota_user *user, struct span key_id)
{
    if (key_id.len > ULID_LEN)
        return NULL;
    pthread_mutex_lock(&q->locked.lock);
    struct key_count *count = atomic_load(&user->counts);
    while (count && !span_equal_str(key_id, count->key_id))
        count = count->next;
    if (!count)
        count = add_key_count(user, key_id);
    pthread_mutex_unlock(&q->locked.lock);
    return count;
}

/* ---- spending --------------------------------------------------------------------------------------- */

enum quota_verdict quota_take_request(struct quotas *q, struct quota_user *user)
{
    const uint64_t limit = limits_of(q, user)->requests_a_minute;
    const uint64_t minute = (uint64_t)(now_ms(q) / 60000) << 32;
    uint64_t seen = atomic_load_explicit(&user->minute, memory_order_relaxed);
    for (;;) {
        uint64_t next = (seen & ~(uint64_t)UINT32_MAX) == minute ? seen + 1 : minute + 1;
        if (limit && (uint32_t)next > limit)
            return QUOTA_REFUSED;
        if (atomic_compare_exchange_weak(&user->minute, &seen, next))
            return QUOTA_GRANTED;
    }
}

enum quota_verdict quota_try_spend(struct quotas *q, struct quota_user *user, int64_t count)
{
    if (atomic_load(&user->month) != month_of(now_ms(q)))
        return QUOTA_WAIT;
    const int64_t now = now_ns(q);
    int64_t left = atomic_load_explicit(&user->left, memory_order_relaxed);
    while (left >= count)
        if (atomic_compare_exchange_weak(&user->left, &left, left - count)) {
            atomic_store_explicit(&user->spent_at_ns, now, memory_order_relaxed);
            return QUOTA_GRANTED;
        }
    if (now < atomic_load(&user->refused_until_ns) && count > left + atomic_load(&user->beyond))
        return QUOTA_REFUSED;
    return QUOTA_WAIT;
}

void quota_give_back(struct quotas *q, struct quota_user *user, int64_t count, int64_t month)
{
    (void)q;
    if (atomic_load(&user->month) == month)
        atomic_fetch_add(&user->left, count);
}

/* Claims the user for settling by this thread. If another thread settles the user, waits at most `ms` milliseconds
 * for it and returns false; then the caller looks again at what is left. */
static bool begin_settling(struct quotas *q, struct quota_user *user, int ms)
{
    int64_t until_ns = os_now_ns() + ms * 1000000LL;
    pthread_mutex_lock(&q->locked.lock);
    bool mine = !user->settling;
    if (mine)
        user->settling = true;
    else
        os_wait_until(&q->locked.settled, &q->locked.lock, until_ns);
    pthread_mutex_unlock(&q->locked.lock);
    return mine;
}

static void end_settling(struct quotas *q, struct quota_user *user)
{
    pthread_mutex_lock(&q->locked.lock);
    user->settling = false;
    pthread_cond_broadcast(&q->locked.settled);
    pthread_mutex_unlock(&q->locked.lock);
}

/* ---- settling --------------------------------------------------------------------------------------- */

enum { COUNTS_MAX = 64 };

/* The settlement of one user: what to write, and what to give back. */
struct settling {
    struct quota_user *user;
    struct lease_settlement lease;
    int64_t taken; /* embeddings taken out of `left` to give them back to the database */
    struct {
        struct key_count *count;
        int64_t embeddings, requests;
    } keys[COUNTS_MAX];
    size_t key_count;
};

struct settling_batch {
    struct settling *items;
    size_t count;
};

static enum dp_status settle_in_transaction(struct call *call, struct db_transaction *t, void *context)
{
    struct settling_batch *batch = context;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < batch->count && status == DP_OK; i++) {
        struct settling *s = &batch->items[i];
        status = lease_settle(call, t, &s->lease);
        for (size_t k = 0; k < s->key_count && status == DP_OK; k++)
            status = lease_count_key(call, t, span_str(s->keys[k].count->key_id), s->lease.month,
                                     s->keys[k].embeddings, s->keys[k].requests);
    }
    return status;
}

/* Prepares the settlement of a user. The caller has claimed the user (begin_settling). `release`: give back all
 * that the node has reserved. */
static void prepare_settling(struct quotas *q, struct quota_user *user, bool release, struct settling *out)
{
    int64_t month = atomic_load(&user->month);
    int64_t left = release ? atomic_exchange(&user->left, 0) : atomic_load(&user->left);
    out->user = user;
    out->taken = release ? left : 0;
    out->key_count = 0;
    out->lease = (struct lease_settlement){.user_id = span_str(user->id),
                                           .node = span_str(user->lease),
                                           .month = month,
                                           .limit = limits_of(q, user)->embeddings_a_month,
                                           .spent = user->granted - left,
                                           .written = user->written,
                                           .in_hand = release || left < 0 ? 0 : left,
                                           .release = release,
                                           .now_ms = now_ms(q),
                                           .expires_ms = now_ms(q) + LEASE_MS};
    for (struct key_count *c = atomic_load(&user->counts); c; c = c->next) {
        int64_t embeddings = atomic_load(&c->embeddings), requests = atomic_load(&c->requests);
        if (!embeddings && !requests)
            continue;
        if (out->key_count == COUNTS_MAX)
            break; /* the next settlement takes the other keys */
        out->keys[out->key_count].count = c;
        out->keys[out->key_count].embeddings = embeddings;
        out->keys[out->key_count++].requests = requests;
    }
}

/* Updates the user's share and counts after the database has committed the settlement. */
static void take_over(struct settling *s)
{
    struct quota_user *user = s->user;
    int64_t granted = s->lease.spent + s->lease.held;
    user->written = s->lease.spent;
    atomic_fetch_add(&user->left, granted - (user->granted - s->taken));
    user->granted = granted;
    atomic_store(&user->beyond, s->lease.beyond);
    for (size_t i = 0; i < s->key_count; i++) {
        atomic_fetch_sub(&s->keys[i].count->embeddings, s->keys[i].embeddings);
        atomic_fetch_sub(&s->keys[i].count->requests, s->keys[i].requests);
    }
}

static void put_back(struct settling *s)
{
    atomic_fetch_add(&s->user->left, s->taken);
}

static enum dp_status settle_batch(struct call *call, struct quotas *q, struct settling_batch *batch)
{
    enum dp_status status = database_transact(call, q->options.db, settle_in_transaction, batch);
    for (size_t i = 0; i < batch->count; i++) {
        if (status == DP_OK)
            take_over(&batch->items[i]);
        else
            put_back(&batch->items[i]);
    }
    return status;
}

/* Settles the old share and begins an empty one if the month has changed. The caller has claimed the user. */
static enum dp_status turn_month(struct call *call, struct quotas *q, struct quota_user *user, int64_t month)
{
    int64_t before = atomic_load(&user->month);
    enum dp_status status = DP_OK;
    if (before == month)
        return DP_OK;
    struct settling *s = arena_calloc(call->arena, 1, sizeof *s);
    if (!s)
        return call_nomem(call, "quotas");
    prepare_settling(q, user, true, s);
    status = settle_batch(call, q, &(struct settling_batch){s, 1});
    if (status != DP_OK && !q->options.open)
        return status;
    /* After a failure, lose the unwritten usage of the old month rather than delay the new month. */
    if (status != DP_OK)
        dp_error_clear(&call->error);
    begin_share(q, user, month);
    return DP_OK;
}

/* Returns how many embeddings to reserve at once: the batch of the settings, or twice the last batch if that one
 * lasted less than RESERVE_NS. So a busy user costs the database only a few transactions per second. */
static int64_t next_batch(const struct quotas *q, const struct quota_user *user)
{
    if (user->batch == 0 || now_ns(q) - user->asked_ns > RESERVE_NS)
        return q->options.batch;
    return user->batch < BATCH_MOST / 2 ? user->batch * 2 : BATCH_MOST;
}

/* Reserves in the database the embeddings that callers wait for. The caller has claimed the user. */
static enum dp_status ask_database(struct call *call, struct quotas *q, struct quota_user *user)
{
    enum dp_status status = turn_month(call, q, user, month_of(now_ms(q)));
    struct settling *s = status == DP_OK ? arena_calloc(call->arena, 1, sizeof *s) : NULL;
    if (status != DP_OK)
        return status;
    if (!s)
        return call_nomem(call, "quotas");
    prepare_settling(q, user, false, s);
    s->lease.need = atomic_load(&user->wanted);
    s->lease.batch = user->batch = next_batch(q, user);
    user->asked_ns = now_ns(q);
    status = settle_batch(call, q, &(struct settling_batch){s, 1});
    if (status == DP_OK && s->lease.held < s->lease.need)
        atomic_store(&user->refused_until_ns, now_ns(q) + REFUSED_NS);
    return status;
}

enum dp_status quota_spend(struct call *call, struct quotas *q, struct quota_user *user, int64_t count,
                           enum quota_verdict *verdict)
{
    enum dp_status status = DP_OK;
    atomic_fetch_add(&user->wanted, count);
    while ((*verdict = quota_try_spend(q, user, count)) == QUOTA_WAIT && status == DP_OK) {
        status = call_check(call);
        int left_ms = call_left_ms(call);
        if (status == DP_OK && begin_settling(q, user, left_ms < 0 || left_ms > WAIT_MS ? WAIT_MS : left_ms)) {
            if (atomic_load(&user->month) != month_of(now_ms(q)) || atomic_load(&user->left) < count)
                status = ask_database(call, q, user);
            end_settling(q, user);
        }
    }
    atomic_fetch_sub(&user->wanted, count);
    if (status == DP_OK || !q->options.open || (status != DP_UNAVAILABLE && status != DP_IO))
        return status;
    dp_error_clear(&call->error);
    atomic_fetch_sub(&user->left, count);
    *verdict = QUOTA_GRANTED;
    return DP_OK;
}

/* ---- views ------------------------------------------------------------------------------------------ */

struct quota_view quota_view_month(const struct quotas *q, const struct quota_user *user)
{
    int64_t month = month_of(now_ms(q)), limit = limits_of(q, user)->embeddings_a_month;
    int64_t left = atomic_load(&user->left), beyond = atomic_load(&user->beyond), remaining = -1;
    if (atomic_load(&user->month) == month && beyond >= 0)
        remaining = (left > 0 ? left : 0) + beyond;
    return (struct quota_view){limit, remaining, month_begins_ms(month + 1)};
}

struct quota_view quota_view_minute(const struct quotas *q, const struct quota_user *user)
{
    int64_t limit = limits_of(q, user)->requests_a_minute, minute = now_ms(q) / 60000;
    uint64_t seen = atomic_load(&user->minute);
    int64_t used = (int64_t)(seen >> 32) == minute ? (int64_t)(seen & UINT32_MAX) : 0;
    return (struct quota_view){limit, limit > used ? limit - used : 0, (minute + 1) * 60000};
}

/* ---- settling all users ----------------------------------------------------------------------------- */

static bool has_counts(const struct quota_user *user)
{
    for (struct key_count *c = atomic_load(&user->counts); c; c = c->next)
        if (atomic_load(&c->embeddings) || atomic_load(&c->requests))
            return true;
    return false;
}

/* Returns whether a user has usage to write or a reservation to give back. *release: the settlement gives it
 * back. */
static bool wants_settling(const struct quotas *q, const struct quota_user *user, bool all, bool *release)
{
    int64_t left = atomic_load(&user->left), spent = user->granted - left;
    bool idle = now_ns(q) - atomic_load(&user->spent_at_ns) > IDLE_NS;
    *release = all || idle || atomic_load(&user->month) != month_of(now_ms(q));
    return spent != user->written || has_counts(user) || (*release && user->granted != user->written);
}

static int by_id(const void *a, const void *b)
{
    const struct settling *x = a, *y = b;
    return strcmp(x->user->id, y->user->id);
}

/* Prepares the settlements of up to SETTLED_AT_ONCE users, and frees users that nobody references. */
static void collect_users(struct quotas *q, bool all, struct settling_batch *batch)
{
    batch->count = 0;
    pthread_mutex_lock(&q->locked.lock);
    struct quota_user **at = &q->locked.users;
    while (*at && batch->count < SETTLED_AT_ONCE) {
        struct quota_user *user = *at;
        bool release;
        bool has_had_its_turn = user->round == q->round && !all;
        if (!user->settling && !has_had_its_turn && wants_settling(q, user, all, &release)) {
            user->settling = true;
            user->round = q->round;
            prepare_settling(q, user, release, &batch->items[batch->count]);
            batch->items[batch->count++].lease.forget = all;
        } else if (!user->settling && atomic_load(&user->refs) == 0 && user->granted == user->written &&
                   !has_counts(user)) {
            *at = user->next;
            free_user(user);
            continue;
        }
        at = &user->next;
    }
    pthread_mutex_unlock(&q->locked.lock);
    /* All nodes lock users in one order, so they cannot deadlock. */
    qsort(batch->items, batch->count, sizeof *batch->items, by_id);
}

enum dp_status quotas_settle(struct call *call, struct quotas *q, bool all)
{
    struct settling_batch batch;
    enum dp_status status = DP_OK;
    batch.items = arena_calloc(call->arena, SETTLED_AT_ONCE, sizeof *batch.items);
    if (!batch.items)
        return call_nomem(call, "quotas");
    q->round++;
    do {
        collect_users(q, all, &batch);
        if (batch.count)
            status = settle_batch(call, q, &batch);
        for (size_t i = 0; i < batch.count; i++)
            end_settling(q, batch.items[i].user);
    } while (status == DP_OK && batch.count);
    return status;
}
