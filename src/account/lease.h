/* account/lease.h: a node's share of a user's month in the database: one step of settling, in a transaction. */
#ifndef ACCOUNT_LEASE_H
#define ACCOUNT_LEASE_H

#include "account/database.h"

struct lease_settlement {
    struct span user_id, node;
    int64_t month, limit;
    int64_t spent;   /* of the month, by this node, in all */
    int64_t written; /* of it, as far as this node knows, in the database already */
    int64_t in_hand; /* to go on holding, which is reserved already */
    int64_t need;    /* that somebody waits for, at least */
    int64_t batch;   /* to hold if there is plenty; 0: no more than in_hand or need */
    bool release;    /* hold nothing */
    bool forget;     /* and drop the lease: this node ends */
    int64_t now_ms, expires_ms;
    /* answers */
    int64_t held;   /* reserved for this node from now on */
    int64_t beyond; /* not used, and reserved by nobody */
};

/* Repeating a settlement whose answer was lost changes nothing: it says what is, not what is to be added. */
enum dp_status lease_settle(struct call *call, struct db_transaction *t, struct lease_settlement *s);
/* Adds to what a key has done in a month. */
enum dp_status lease_count_key(struct call *call, struct db_transaction *t, struct span key_id, int64_t month,
                               int64_t embeddings, int64_t requests);
/* Drops leases that ended long ago. */
enum dp_status lease_sweep(struct call *call, struct database *db, int64_t now_ms);

#endif
