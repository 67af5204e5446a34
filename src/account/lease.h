/* account/lease.h: a node's share of a user's month in the database. One step of settling, in a transaction. */
#ifndef ACCOUNT_LEASE_H
#define ACCOUNT_LEASE_H

#include "account/database.h"

struct lease_settlement {
    struct span user_id, node;
    int64_t month, limit;
    int64_t spent;   /* by this node in this month, in all */
    int64_t written; /* of `spent`, already in the database, as far as this node knows */
    int64_t in_hand; /* reserved already, and to be kept */
    int64_t need;    /* minimum to hold: callers wait for it */
    int64_t batch;   /* to hold if enough is left; 0: only in_hand or need */
    bool release;    /* hold nothing */
    bool forget;     /* also drop the lease: this node ends */
    int64_t now_ms, expires_ms;
    /* answers */
    int64_t held;   /* reserved for this node from now on */
    int64_t beyond; /* neither used nor reserved by any node */
};

/* A settlement may be repeated if its answer was lost: it states totals, not additions. */
enum dp_status lease_settle(struct call *call, struct db_transaction *t, struct lease_settlement *s);
/* Adds to the counts of a key for a month. */
enum dp_status lease_count_key(struct call *call, struct db_transaction *t, struct span key_id, int64_t month,
                               int64_t embeddings, int64_t requests);
/* Drops leases that expired long ago. */
enum dp_status lease_sweep(struct call *call, struct database *db, int64_t now_ms);

#endif
