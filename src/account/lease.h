/* account/lease.h: leases in the database. A lease is a node's share of a user's month; lease.c describes how a
 * node settles one. */
#ifndef ACCOUNT_LEASE_H
#define ACCOUNT_LEASE_H

#include "account/database.h"

/* One settlement of one lease. All amounts are embeddings. */
struct lease_settlement {
    struct span user_id, node;
    int64_t month, limit;
    int64_t spent;   /* total that this node has used in this month */
    int64_t written; /* part of `spent` that this node has written to the database, as far as it knows */
    int64_t in_hand; /* reservation that the node has and keeps */
    int64_t need;    /* minimum of the new reservation: callers wait for these embeddings */
    int64_t batch;   /* reservation to make if enough is left; 0: only in_hand or need */
    bool release;    /* give the whole reservation back */
    bool forget;     /* delete the lease, because this node ends */
    int64_t now_ms, expires_ms; /* Unix milliseconds: now, and when the lease will expire */
    /* out */
    int64_t held;   /* reservation of this node from now on */
    int64_t beyond; /* part of the limit that no node has used or reserved */
};

/* Settles a lease and sets the outputs of `s`. The caller may repeat it if the answer was lost, because the
 * amounts are totals, not additions. */
enum dp_status lease_settle(struct call *call, struct db_transaction *t, struct lease_settlement *s);
/* Adds embeddings and requests to the counts of an API key for a month. */
enum dp_status lease_count_key(struct call *call, struct db_transaction *t, struct span key_id, int64_t month,
                               int64_t embeddings, int64_t requests);
/* Deletes leases that expired more than two days ago. */
enum dp_status lease_sweep(struct call *call, struct database *db, int64_t now_ms);

#endif
