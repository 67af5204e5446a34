/* account/quota.h: counts the embeddings and requests that users have left, and settles the counts with the database.
 *
 * A node reserves a batch of a user's month in the database and hands it out with atomics. At least once a second it
 * writes the used embeddings, and gives back idle ones. docs/internals/accounts.md describes the algorithm. */
#ifndef ACCOUNT_QUOTA_H
#define ACCOUNT_QUOTA_H

#include "account/database.h"
#include "account/tier.h"
#include "os/random.h"

struct quotas;

/* The clocks; tests bring their own. */
struct account_clock {
    int64_t (*wall_ms)(void *context); /* Unix time */
    int64_t (*steady_ns)(void *context);
    void *context;
};

/* The use of one key since the last write to the database. Lives as long as the user. */
struct key_count {
    struct key_count *next;
    char key_id[ULID_LEN + 1];
    _Atomic int64_t embeddings, requests;
};

/* One user's share on this node. */
struct quota_user {
    struct quota_user *next; /* the quotas' list, under their lock */
    _Atomic unsigned refs;
    char id[ULID_LEN + 1];
    /* Name of the user's lease in the database (column `node`); each month begins a new lease. Only the thread that
     * settles the user touches the name. */
    char lease[ULID_LEN + 24];
    _Atomic int tier;
    _Atomic uint64_t minute; /* number of the minute << 32 | requests in it */
    _Atomic int64_t month;   /* the month to which the fields below belong */
    /* Embeddings reserved and not used yet; negative if this node counted without the database. */
    _Atomic int64_t left;
    /* Embeddings that no node had reserved or used at the last settlement; -1: there was none yet. */
    _Atomic int64_t beyond;
    _Atomic int64_t refused_until_ns; /* until then this node does not ask the database again */
    _Atomic int64_t spent_at_ns;
    _Atomic int64_t wanted;             /* embeddings for which callers wait */
    _Atomic(struct key_count *) counts; /* new entries go to the front */
    bool settling;                      /* one thread settles this user; under the quotas' lock */
    uint64_t round; /* the last round of settling that took this user; under the quotas' lock */
    /* The month's embeddings: reserved in all, and used as far as the database knows. Then the size and the time of
     * the last reservation. Only the thread that settles the user touches these four fields. */
    int64_t granted, written;
    int64_t batch, asked_ns;
};

struct quota_options {
    struct database *db;
    struct tier_limits tiers[TIER_COUNT];
    int64_t batch; /* minimum embeddings that a node reserves at once; a busy user gets more */
    bool open;     /* count without the database while it is away */
    struct account_clock clock;
};

enum dp_status quotas_new(const struct quota_options *options, struct quotas **out, struct dp_error *error);
/* NULL is fine; every user must have been released. Writes nothing: call quotas_settle first. */
void quotas_free(struct quotas *q);

/* The user's share, new if there was none; the caller releases it. NULL: out of memory. */
struct quota_user *quota_user_get(struct quotas *q, struct span id, enum account_tier tier);
void quota_user_release(struct quotas *q, struct quota_user *user);
/* The count of one key of the user; makes it if it is missing. NULL: out of memory. */
struct key_count *quota_key_count(struct quotas *q, struct quota_user *user, struct span key_id);

enum quota_verdict { QUOTA_GRANTED, QUOTA_REFUSED, QUOTA_WAIT };

/* Counts one request in this minute. Never blocks. */
enum quota_verdict quota_take_request(struct quotas *q, struct quota_user *user);
/* Spends embeddings that this node has reserved. Never blocks. QUOTA_WAIT: they do not suffice; call quota_spend. */
enum quota_verdict quota_try_spend(struct quotas *q, struct quota_user *user, int64_t count);
/* Spends embeddings, and asks the database if necessary. With DP_OK, *verdict is QUOTA_GRANTED or QUOTA_REFUSED.
 * DP_UNAVAILABLE: the database is away, and counting without it is not allowed. */
enum dp_status quota_spend(struct call *call, struct quotas *q, struct quota_user *user, int64_t count,
                           enum quota_verdict *verdict);
/* Gives back embeddings that were spent in that month. */
void quota_give_back(struct quotas *q, struct quota_user *user, int64_t count, int64_t month);

/* The figures that clients see. */
struct quota_view {
    int64_t limit, remaining; /* remaining -1: not known yet */
    int64_t reset_ms;         /* Unix time */
};
struct quota_view quota_view_month(const struct quotas *q, const struct quota_user *user);
struct quota_view quota_view_minute(const struct quotas *q, const struct quota_user *user);

/* Writes the usage since the last call, gives back idle embeddings (`all`: all that this node holds), and forgets users
 * without references. One thread calls it, at least once a second. */
enum dp_status quotas_settle(struct call *call, struct quotas *q, bool all);

#endif
