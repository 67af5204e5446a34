/* account/accounts.h: the face of the room: identifies the user of a request, checks rights, and counts embeddings.
 *
 * A server shows each request's key. The first try never blocks, so an I/O thread may make it: it grants a key that
 * the memory holds, and refuses a key that is certainly wrong. Otherwise it answers ACCOUNT_WAIT:
 *
 *     verdict = accounts_try(accounts, key, &pass);
 *     if (verdict == ACCOUNT_WAIT)                         … on a thread that may block
 *         verdict = accounts_admit(call, accounts, key, &pass);
 *     if (verdict == ACCOUNT_GRANTED)
 *         verdict = account_may(&pass, RIGHT_EMBED, namespace);
 *     … as soon as the number of texts is known:
 *     verdict = account_try_spend(&pass, texts);           … or account_spend(call, &pass, texts)
 *     … account_give_back(&pass) if the request fails after that
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
    ACCOUNT_NO_KEY,       /* the request shows no key */
    ACCOUNT_WRONG_KEY,    /* malformed, unknown, revoked or expired */
    ACCOUNT_NO_RIGHT,     /* the key may not do that */
    ACCOUNT_NO_NAMESPACE, /* the key may not touch that namespace */
    ACCOUNT_MINUTE_OVER,  /* too many requests in this minute */
    ACCOUNT_MONTH_OVER,   /* the month's embeddings are used up */
    ACCOUNT_BUSY,         /* too many unknown keys are being checked */
    ACCOUNT_AWAY,         /* the database does not answer */
    ACCOUNT_REASONS
};

/* The pass of one request. Zeroed: a pass without a user. */
struct account_pass {
    struct accounts *accounts;
    struct account_key *key; /* the pass owns one reference; NULL: a pass without a user */
    enum account_reason reason;
    int64_t spent, month;   /* embeddings counted for this request, and their month */
    struct quota_view view; /* figures of the month; after ACCOUNT_MINUTE_OVER, of the minute */
    bool has_view;
};

struct account_options {
    const char *database_url;
    const char *database_schema; /* PostgreSQL only; NULL: DATABASE_SCHEMA */
    unsigned pool_min, pool_max;
    int database_timeout_ms;
    const char *key_scheme; /* the prefix of keys: "fe_" */
    struct tier_limits tiers[TIER_COUNT];
    int64_t batch;                    /* minimum embeddings that this node reserves at once; 0: 256 */
    bool open;                        /* remembered keys work while the database is away */
    size_t keys_max;                  /* maximum keys remembered; 0: 16,384 */
    unsigned waiting_max;             /* maximum threads that wait for checks; 0: 16 */
    struct metric_registry *registry; /* NULL: no metrics */
    struct account_clock clock;       /* zeroed: the system's clock */
    int settle_ms;                    /* period of writing usage; 0: 500; negative: only accounts_settle writes */
};

enum {
    ACCOUNT_BATCH = 256,
    /* After this time a request asks the database about the key again, so a revoked key stops working. With `open`,
     * a remembered key continues to work while the database is away. */
    ACCOUNT_KEY_SECONDS = 60,
};

/* Opens the database and brings it up to date. */
enum dp_status accounts_open(struct call *call, const struct account_options *options, struct accounts **out);
/* Writes the last usage, gives back unused embeddings, and closes. NULL is fine; every pass must have left. */
void accounts_close(struct accounts *a);

enum account_verdict accounts_try(struct accounts *a, struct span key, struct account_pass *pass);
/* May block. ACCOUNT_GRANTED or ACCOUNT_REFUSED. */
enum account_verdict accounts_admit(struct call *call, struct accounts *a, struct span key,
                                    struct account_pass *pass);
/* Whether the pass has the right `right` (one of RIGHT_*; 0: no right is needed) on a namespace (data NULL: the request
 * uses no namespace). */
enum account_verdict account_may(struct account_pass *pass, unsigned right, struct span namespace);
/* Whether the pass may learn that a namespace exists. Refuses nothing and counts nothing. */
bool account_sees(const struct account_pass *pass, struct span namespace);
enum account_verdict account_try_spend(struct account_pass *pass, int64_t embeddings);
enum account_verdict account_spend(struct call *call, struct account_pass *pass, int64_t embeddings);
void account_give_back(struct account_pass *pass);
void account_leave(struct account_pass *pass);

/* The id and the tier of the pass's key; NULL: the pass has no key. Valid as long as the pass. */
const char *account_key_id(const struct account_pass *pass);
const char *account_tier_name(const struct account_pass *pass);
/* Fills pass->view with the rest of the month if this node knows it. */
void account_look(struct account_pass *pass);

/* Writes usage now. For tests and for the end. */
enum dp_status accounts_settle(struct accounts *a);
struct database *accounts_database(struct accounts *a);

#endif
