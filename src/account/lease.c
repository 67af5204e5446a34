/* lease.c: settling a node's share of a user's month.
 *
 * Writing the user's record in `usage` locks it, so one node settles at a time. That record holds the used
 * embeddings and the sum that all nodes have reserved. A node's record in `leases` holds what the node has used
 * in the month, and what it still holds. With the record of `usage` locked:
 *     used'   = used + (spent now − spent as written)
 *     others  = reserved − (held as written)
 *     held    = what is wanted, at most limit − used' − others
 * If that is not enough, this node takes back the share of nodes whose leases have expired: they crashed. */
#include "account/lease.h"

static const int64_t SWEEP_AFTER_MS = 2 * 86400000LL;

/* Locks and reads the user's record of the month; inserts it if it is missing. */
static enum dp_status lock_usage(struct call *call, struct db_transaction *t, const struct lease_settlement *s,
                                 int64_t *used, int64_t *reserved)
{
    const struct db_value which[] = {db_text(s->user_id), db_number(s->month)};
    struct db_rows rows;
    enum dp_status status = db_run(call, t,
                                   "INSERT INTO usage (user_id, month, used, reserved) VALUES ($1, $2, 0, 0) "
                                   "ON CONFLICT (user_id, month) DO UPDATE SET used = usage.used "
                                   "RETURNING used, reserved",
                                   which, 2, &rows);
    if (status != DP_OK)
        return status;
    if (rows.count != 1)
        return call_fail(call, DP_CORRUPT, "the accounts' database returned no record of usage");
    *used = db_row(&rows, 0)[0].number;
    *reserved = db_row(&rows, 0)[1].number;
    return DP_OK;
}

static enum dp_status read_lease(struct call *call, struct db_transaction *t, const struct lease_settlement *s,
                                 int64_t *spent, int64_t *held)
{
    const struct db_value which[] = {db_text(s->user_id), db_number(s->month), db_text(s->node)};
    struct db_rows rows;
    enum dp_status status =
        db_run(call, t, "SELECT spent, held FROM leases WHERE user_id = $1 AND month = $2 AND node = $3", which, 3,
               &rows);
    if (status != DP_OK)
        return status;
    /* No record: this node has written none yet, or a sweep deleted it. Then only this node knows what it wrote. */
    *spent = rows.count ? db_row(&rows, 0)[0].number : s->written;
    *held = rows.count ? db_row(&rows, 0)[1].number : 0;
    return DP_OK;
}

/* Takes back the share of other nodes whose leases have expired. The records of these nodes stay,
 * because they say how much of each node's use is already in `usage`. */
static enum dp_status take_back(struct call *call, struct db_transaction *t, const struct lease_settlement *s,
                                int64_t *reserved)
{
    const struct db_value which[] = {db_text(s->user_id), db_number(s->month), db_text(s->node),
                                     db_number(s->now_ms)};
    struct db_rows rows;
    enum dp_status status =
        db_run(call, t,
               "SELECT CAST(COALESCE(SUM(held), 0) AS BIGINT) FROM leases WHERE user_id = $1 AND month = $2 "
               "AND node <> $3 AND expires_at < $4",
               which, 4, &rows);
    if (status != DP_OK || rows.count == 0 || db_row(&rows, 0)->number == 0)
        return status;
    *reserved -= db_row(&rows, 0)->number;
    return db_run(
        call, t, "UPDATE leases SET held = 0 WHERE user_id = $1 AND month = $2 AND node <> $3 AND expires_at < $4",
        which, 4, NULL);
}

static int64_t least_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* How much of the free embeddings to hold. Near the limit a node takes little more than it needs, so that other
 * nodes can use the rest. */
static int64_t share_of(const struct lease_settlement *s, int64_t free)
{
    const int64_t part = 16;
    if (s->release)
        return 0;
    return most_i64(0, least_i64(free, most_i64(s->in_hand, most_i64(s->need, least_i64(s->batch, free / part)))));
}

static enum dp_status write_lease(struct call *call, struct db_transaction *t, const struct lease_settlement *s)
{
    const struct db_value row[] = {db_text(s->user_id), db_number(s->month), db_text(s->node),
                                   db_number(s->spent), db_number(s->held),  db_number(s->expires_ms)};
    if (s->forget)
        return db_run(call, t, "DELETE FROM leases WHERE user_id = $1 AND month = $2 AND node = $3", row, 3, NULL);
    return db_run(
        call, t,
        "INSERT INTO leases (user_id, month, node, spent, held, expires_at) VALUES ($1, $2, $3, $4, $5, $6) "
        "ON CONFLICT (user_id, month, node) DO UPDATE SET spent = excluded.spent, held = excluded.held, "
        "expires_at = excluded.expires_at",
        row, 6, NULL);
}

enum dp_status lease_settle(struct call *call, struct db_transaction *t, struct lease_settlement *s)
{
    int64_t used = 0, reserved = 0, spent = 0, held = 0;
    enum dp_status status = lock_usage(call, t, s, &used, &reserved);
    if (status == DP_OK)
        status = read_lease(call, t, s, &spent, &held);
    if (status != DP_OK)
        return status;
    used = most_i64(0, used + s->spent - spent);
    int64_t others = most_i64(0, reserved - held);
    if (!s->release && s->limit - used - others < most_i64(s->need, s->in_hand)) {
        status = take_back(call, t, s, &others);
        others = most_i64(0, others);
    }
    s->held = share_of(s, s->limit - used - others);
    s->beyond = most_i64(0, s->limit - used - others - s->held);
    const struct db_value row[] = {db_text(s->user_id), db_number(s->month), db_number(used),
                                   db_number(others + s->held)};
    if (status == DP_OK)
        status = db_run(call, t, "UPDATE usage SET used = $3, reserved = $4 WHERE user_id = $1 AND month = $2",
                        row, 4, NULL);
    return status == DP_OK ? write_lease(call, t, s) : status;
}

enum dp_status lease_count_key(struct call *call, struct db_transaction *t, struct span key_id, int64_t month,
                               int64_t embeddings, int64_t requests)
{
    const struct db_value row[] = {db_text(key_id), db_number(month), db_number(embeddings), db_number(requests)};
    return db_run(
        call, t,
        "INSERT INTO key_usage (key_id, month, embeddings, requests) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (key_id, month) DO UPDATE SET embeddings = key_usage.embeddings + excluded.embeddings, "
        "requests = key_usage.requests + excluded.requests",
        row, 4, NULL);
}

static enum dp_status sweep_in_transaction(struct call *call, struct db_transaction *t, void *context)
{
    const struct db_value before = db_number(*(const int64_t *)context);
    return db_run(call, t, "DELETE FROM leases WHERE held = 0 AND expires_at < $1", &before, 1, NULL);
}

enum dp_status lease_sweep(struct call *call, struct database *db, int64_t now_ms)
{
    int64_t before = now_ms - SWEEP_AFTER_MS;
    return database_transact(call, db, sweep_in_transaction, &before);
}
