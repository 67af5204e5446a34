/* account/quota.h: how many embeddings and requests are left to a user, counted here and settled with the database.
 *
 * A node reserves a batch of a user's month in the database and hands it out with atomics; what it has used is written
 * back at least once a second, and what it holds and does not use is given back. docs/internals/accounts.md has the
 * algorithm. */
#ifndef ACCOUNT_QUOTA_H
#define ACCOUNT_QUOTA_H

#include "account/database.h"
#include "account/tier.h"
#include "os/random.h"

struct quotas;

/* Where time comes from; tests bring their own. */
struct account_clock {
    int64_t (*wall_ms)(void *context); /* Unix time */
    int64_t (*steady_ns)(void *context);
    void *context;
};

/* What one key of a user has done since that was last written. Lives as long as the user. */
struct key_count {
    struct key_count *next;
    char key_id[ULID_LEN + 1];
    _Atomic int64_t embeddings, requests;
};

/* One user's share on this node. */
struct quota_user {
    struct quota_user *next; /* of the quotas' list; their lock guards it */
    _Atomic unsigned refs;
    char id[ULID_LEN + 1];
    char lease[ULID_LEN +
               24]; /* the name of its share in the database; the settler's, as it begins with the month */
    _Atomic int tier;
    _Atomic uint64_t minute; /* its number << 32 | requests in it */
    _Atomic int64_t month;   /* that the following speak of */
    _Atomic int64_t left;    /* reserved and not used yet; below zero when counting went on without the database */
    _Atomic int64_t
        beyond; /* what the database had left beside, when it was last asked; -1: it was not asked yet */
    _Atomic int64_t refused_until_ns; /* until then `left` and `beyond` are all there is */
    _Atomic int64_t spent_at_ns;
    _Atomic int64_t wanted;             /* by those who wait for the database */
    _Atomic(struct key_count *) counts; /* grows in front */
    bool settling;            /* one thread talks to the database about this user; the quotas' lock guards it */
    uint64_t round;           /* of settling that it was last part of; guarded likewise */
    int64_t granted, written; /* of the month: reserved in all, and used as the database knows; the settler's */
    int64_t batch, asked_ns;  /* what was reserved at once the last time, and when; the settler's */
};

struct quota_options {
    struct database *db;
    struct tier_limits tiers[TIER_COUNT];
    int64_t batch; /* embeddings that a node reserves at once, at least; more for who uses them up in a moment */
    bool open;     /* while the database is away, go on counting here */
    struct account_clock clock;
};

enum dp_status quotas_new(const struct quota_options *options, struct quotas **out, struct dp_error *error);
void quotas_free(
    struct quotas *q); /* NULL is fine; every user must have been released. Writes nothing: see below */

/* The user's share, made when there is none; to be released. NULL: out of memory. */
struct quota_user *quota_user_get(struct quotas *q, struct span id, enum account_tier tier);
void quota_user_release(struct quotas *q, struct quota_user *user);
/* The count of one of its keys. NULL: out of memory. */
struct key_count *quota_key_count(struct quotas *q, struct quota_user *user, struct span key_id);

enum quota_verdict { QUOTA_GRANTED, QUOTA_REFUSED, QUOTA_WAIT };

/* One more request in this minute? Never blocks. */
enum quota_verdict quota_take_request(struct quotas *q, struct quota_user *user);
/* Embeddings from what is in hand. Never blocks; QUOTA_WAIT: quota_spend can tell. */
enum quota_verdict quota_try_spend(struct quotas *q, struct quota_user *user, int64_t count);
/* The same, asking the database when need be. *verdict is QUOTA_GRANTED or QUOTA_REFUSED when DP_OK. DP_UNAVAILABLE:
 * the database is away, and counting without it is not allowed. */
enum dp_status quota_spend(struct call *call, struct quotas *q, struct quota_user *user, int64_t count,
                           enum quota_verdict *verdict);
/* Undoes a spending of that month. */
void quota_give_back(struct quotas *q, struct quota_user *user, int64_t count, int64_t month);

/* What clients are told. */
struct quota_view {
    int64_t limit, remaining; /* remaining -1: not known yet */
    int64_t reset_ms;         /* Unix time */
};
struct quota_view quota_view_month(const struct quotas *q, const struct quota_user *user);
struct quota_view quota_view_minute(const struct quotas *q, const struct quota_user *user);

/* Writes what was used since the last time, gives back what lies idle (`all`: everything that is held), and forgets
 * users that nobody holds. To be called at least once a second, by one thread. */
enum dp_status quotas_settle(struct call *call, struct quotas *q, bool all);

#endif
