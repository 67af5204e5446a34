/* account/quota.h: how many embeddings and requests a user has left, counted here and settled with the database.
 *
 * A node reserves a batch of a user's month in the database and hands it out with atomics. It writes what was used at
 * least once a second, and gives back what lies idle. docs/internals/accounts.md describes the algorithm. */
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

/* What one key of a user has done since the last write. Lives as long as the user. */
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
    /* The name of its share in the database, which begins with the month. The settler's. */
    char lease[ULID_LEN + 24];
    _Atomic int tier;
    _Atomic uint64_t minute; /* number of the minute << 32 | requests in it */
    _Atomic int64_t month;   /* of the fields below */
    /* Reserved and not used yet; negative if counted without the database. */
    _Atomic int64_t left;
    /* The database's rest when it was last asked, beside `left`; -1: it was not asked yet. */
    _Atomic int64_t beyond;
    _Atomic int64_t refused_until_ns; /* until then the database is not asked again */
    _Atomic int64_t spent_at_ns;
    _Atomic int64_t wanted;             /* by callers that wait for the database */
    _Atomic(struct key_count *) counts; /* new entries go to the front */
    bool settling;                      /* one thread settles this user; under the quotas' lock */
    uint64_t round; /* the last round of settling that took this user; under the quotas' lock */
    /* In this month: reserved in all; used, as far as the database knows. The settler's. */
    int64_t granted, written;
    int64_t batch, asked_ns; /* size and time of the last reservation. The settler's */
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
/* The count of one of its keys. NULL: out of memory. */
struct key_count *quota_key_count(struct quotas *q, struct quota_user *user, struct span key_id);

enum quota_verdict { QUOTA_GRANTED, QUOTA_REFUSED, QUOTA_WAIT };

/* Counts one request in this minute. Never blocks. */
enum quota_verdict quota_take_request(struct quotas *q, struct quota_user *user);
/* Spends embeddings that are in hand. Never blocks; QUOTA_WAIT: only quota_spend can tell. */
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

/* Writes the usage since the last call, gives back what lies idle (`all`: everything that is held), and forgets users
 * without references. One thread calls it, at least once a second. */
enum dp_status quotas_settle(struct call *call, struct quotas *q, bool all);

#endif
