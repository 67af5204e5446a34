/* account/accounts.h: who asks, what they may do, and how much of it is left: the room's face.
 *
 * A server shows each request's key. The first try never blocks and is for threads that must not: it grants what is
 * remembered, refuses what is certainly wrong, and otherwise says that somebody who may block must ask:
 *
 *     verdict = accounts_try(accounts, key, &pass);
 *     if (verdict == ACCOUNT_WAIT)                         … on a thread that may block
 *         verdict = accounts_admit(call, accounts, key, &pass);
 *     if (verdict == ACCOUNT_GRANTED)
 *         verdict = account_may(&pass, RIGHT_EMBED, namespace);
 *     … once it is known how many texts there are:
 *     verdict = account_try_spend(&pass, texts);           … or account_spend(call, &pass, texts)
 *     … account_give_back(&pass) when the request failed after all
 *     account_leave(&pass);                                … always
 *
 * All functions are thread-safe; a pass belongs to one thread at a time. */
#ifndef ACCOUNT_ACCOUNTS_H
#define ACCOUNT_ACCOUNTS_H

#include "account/quota.h"
#include "account/records.h"

struct accounts;
struct account_key;

enum account_verdict { ACCOUNT_GRANTED, ACCOUNT_REFUSED, ACCOUNT_WAIT };

/* Why a request was refused. */
enum account_reason {
    ACCOUNT_FINE,
    ACCOUNT_NO_KEY,       /* none was shown */
    ACCOUNT_WRONG_KEY,    /* malformed, unknown, revoked or expired */
    ACCOUNT_NO_RIGHT,     /* the key may not do that */
    ACCOUNT_NO_NAMESPACE, /* the key may not touch that namespace */
    ACCOUNT_MINUTE_OVER,  /* too many requests in this minute */
    ACCOUNT_MONTH_OVER,   /* the month's embeddings are used up */
    ACCOUNT_BUSY,         /* too many new keys are being looked at */
    ACCOUNT_AWAY,         /* the database does not answer */
    ACCOUNT_REASONS
};

/* One request's. Zeroed: nobody's. */
struct account_pass {
    struct accounts *accounts;
    struct account_key *key; /* held; NULL: nobody's */
    enum account_reason reason;
    int64_t spent, month;   /* embeddings that were counted for it, and in which month */
    struct quota_view view; /* the month's, or the minute's when that refused */
    bool has_view;
};

struct account_options {
    const char *database_url;
    const char *database_schema; /* of PostgreSQL; NULL: DATABASE_SCHEMA */
    unsigned pool_min, pool_max;
    int database_timeout_ms;
    const char *key_scheme; /* what keys begin with: "fe_" */
    struct tier_limits tiers[TIER_COUNT];
    int64_t batch;                    /* embeddings that this node reserves at once, at least; 0: 256 */
    bool open;                        /* while the database is away, known keys go on working and counting */
    size_t keys_max;                  /* remembered; 0: 16,384 */
    unsigned waiting_max;             /* threads that may wait for new keys at once; 0: 16 */
    struct metric_registry *registry; /* NULL: no metrics */
    struct account_clock clock;       /* zeroed: the system's */
    int settle_ms;                    /* how often usage is written; 0: 500; below 0: only by accounts_settle */
};

enum {
    ACCOUNT_BATCH = 256,
    ACCOUNT_KEY_SECONDS = 60, /* a key is looked at again after that: a revoked one dies as soon */
};

/* Opens the database and brings it up to date. */
enum dp_status accounts_open(struct call *call, const struct account_options *options, struct accounts **out);
/* Writes what was used, gives back what is held, and closes. NULL is fine; every pass must have left. */
void accounts_close(struct accounts *a);

enum account_verdict accounts_try(struct accounts *a, struct span key, struct account_pass *pass);
/* May block. ACCOUNT_GRANTED or ACCOUNT_REFUSED. */
enum account_verdict accounts_admit(struct call *call, struct accounts *a, struct span key,
                                    struct account_pass *pass);
/* Whether the pass allows one of RIGHT_*, or any (0), on a namespace (data NULL: none is touched). */
enum account_verdict account_may(struct account_pass *pass, unsigned right, struct span namespace);
/* The same of a name, for sentences: no refusal follows from it. */
bool account_sees(const struct account_pass *pass, struct span namespace);
enum account_verdict account_try_spend(struct account_pass *pass, int64_t embeddings);
enum account_verdict account_spend(struct call *call, struct account_pass *pass, int64_t embeddings);
void account_give_back(struct account_pass *pass);
void account_leave(struct account_pass *pass);

/* Of a pass that was granted once; NULL: nobody's. Live as long as the pass. */
const char *account_key_id(const struct account_pass *pass);
const char *account_tier_name(const struct account_pass *pass);
/* Fills pass->view with what is left of the month, where that is known: this node has asked for some of it. */
void account_look(struct account_pass *pass);

/* Writes usage now. For tests, and for the end. */
enum dp_status accounts_settle(struct accounts *a);
struct database *accounts_database(struct accounts *a);

#endif
