/* schema.c: the migrations, each a list of statements that both databases accept. We only add migrations
 * and never change one, because a database remembers only the number of its migrations.
 *
 * users       a person or company, with a tier
 * api_keys    hashes of keys; several may share a prefix. digest: SHA-256 of the key's text, valid while digest_hash
 *             equals the hash
 * usage       embeddings of a user in a month (year * 12 + month - 1, UTC): used, and reserved by nodes
 * leases      how much of the reserved embeddings each node holds, and how many it has used so far
 * key_usage   usage by key and month, for reports
 * Times are Unix milliseconds, ids are ULIDs. */
#include "account/schema.h"

#include <inttypes.h>

#include "os/clock.h"
#include "os/log.h"

enum { STATEMENTS_MAX = 10 };

/* For pg_advisory_xact_lock: any number that others do not use. */
static const int64_t LOCK = 0x6469707065723031;

static const char *const MIGRATIONS[][STATEMENTS_MAX] = {
    {"CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, tier TEXT NOT NULL, "
     "created_at BIGINT NOT NULL)",
     "CREATE TABLE api_keys (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id), prefix TEXT NOT "
     "NULL, "
     "hash TEXT NOT NULL, name TEXT NOT NULL, rights BIGINT NOT NULL, namespaces TEXT NOT NULL, "
     "created_at BIGINT NOT NULL, expires_at BIGINT, revoked_at BIGINT)",
     "CREATE INDEX api_keys_prefix ON api_keys (prefix)", "CREATE INDEX api_keys_user ON api_keys (user_id)",
     "CREATE TABLE usage (user_id TEXT NOT NULL REFERENCES users (id), month BIGINT NOT NULL, "
     "used BIGINT NOT NULL, reserved BIGINT NOT NULL, PRIMARY KEY (user_id, month))",
     "CREATE TABLE leases (user_id TEXT NOT NULL REFERENCES users (id), month BIGINT NOT NULL, node TEXT NOT "
     "NULL, "
     "spent BIGINT NOT NULL, held BIGINT NOT NULL, expires_at BIGINT NOT NULL, PRIMARY KEY (user_id, month, "
     "node))",
     "CREATE INDEX leases_expiry ON leases (expires_at)",
     "CREATE TABLE key_usage (key_id TEXT NOT NULL REFERENCES api_keys (id), month BIGINT NOT NULL, "
     "embeddings BIGINT NOT NULL, requests BIGINT NOT NULL, PRIMARY KEY (key_id, month))"},
    {"ALTER TABLE api_keys ADD COLUMN digest TEXT", "ALTER TABLE api_keys ADD COLUMN digest_hash TEXT"},
};
enum { MIGRATION_COUNT = sizeof MIGRATIONS / sizeof *MIGRATIONS };

const int64_t SCHEMA_VERSION = MIGRATION_COUNT;

static enum dp_status apply_migration(struct call *call, struct db_transaction *t, int64_t version)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < STATEMENTS_MAX && MIGRATIONS[version - 1][i] && status == DP_OK; i++)
        status = db_run(call, t, MIGRATIONS[version - 1][i], NULL, 0, NULL);
    struct db_value row[] = {db_number(version), db_number(os_wall_ms())};
    if (status == DP_OK)
        status = db_run(call, t, "INSERT INTO dipper_schema (version, applied_at) VALUES ($1, $2)", row, 2, NULL);
    if (status != DP_OK)
        dp_error_prefix(&call->error, "cannot bring the accounts' database to version %" PRId64, version);
    return status;
}

/* ---- the schema of PostgreSQL ------------------------------------------------------------------------ */

/* Moves tables of the first versions of this program. They lie in the schema "public" or in a schema with the user's
 * name, perhaps among other programs' tables. A schema that contains the table dipper_schema contains Dipper's tables.
 * Tables in the default schema stay there: another deployment may use them. */
static enum dp_status move_tables(struct call *call, struct db_transaction *t)
{
    static const char *const tables[] = {"users", "api_keys", "usage", "leases", "key_usage", "dipper_schema"};
    const struct db_value schema = db_text_str(db_schema(t));
    struct db_rows rows;
    enum dp_status status =
        db_run(call, t,
               "SELECT CAST(quote_ident(n.nspname) AS TEXT) FROM pg_class c JOIN pg_namespace n ON n.oid = "
               "c.relnamespace WHERE c.relname = 'dipper_schema' AND c.relkind = 'r' AND n.nspname <> $1 AND "
               "n.nspname <> '" DATABASE_SCHEMA
               "' AND n.nspname IN ('public', current_user) ORDER BY n.nspname = 'public' LIMIT 1",
               &schema, 1, &rows);
    if (status != DP_OK || rows.count == 0)
        return status;
    struct span from = db_row(&rows, 0)->text;
    for (size_t i = 0; i < sizeof tables / sizeof *tables && status == DP_OK; i++) {
        const char *sql = arena_printf(call->arena, "ALTER TABLE %.*s.%s SET SCHEMA %s", SPAN_FMT(from), tables[i],
                                       db_schema(t));
        status = sql ? db_run(call, t, sql, NULL, 0, NULL) : call_nomem(call, "a statement");
    }
    if (status == DP_OK)
        log_write(LOG_INFO, "the accounts' tables were moved from the schema %.*s to %s", SPAN_FMT(from),
                  db_schema(t));
    return status;
}

/* Creates the schema if it is missing. Moves tables of older versions into it if it has no tables. */
static enum dp_status have_schema(struct call *call, struct db_transaction *t)
{
    const struct db_value schema = db_text_str(db_schema(t));
    struct db_rows rows;
    /* Asks first: CREATE SCHEMA IF NOT EXISTS would need the right to create a schema, even if the schema exists. */
    enum dp_status status =
        db_run(call, t, "SELECT CAST(COUNT(*) AS BIGINT) FROM pg_namespace WHERE nspname = $1", &schema, 1, &rows);
    if (status == DP_OK && db_row(&rows, 0)->number == 0) {
        const char *sql = arena_printf(call->arena, "CREATE SCHEMA %s", db_schema(t));
        status = sql ? db_run(call, t, sql, NULL, 0, NULL) : call_nomem(call, "a statement");
        if (status == DP_DENIED)
            dp_error_prefix(&call->error,
                            "cannot make the schema %s (have its owner run CREATE SCHEMA %s AUTHORIZATION …, or "
                            "name another: DIPPER_DATABASE_SCHEMA)",
                            db_schema(t), db_schema(t));
    }
    if (status == DP_OK)
        status = db_run(call, t,
                        "SELECT CAST(COUNT(*) AS BIGINT) FROM pg_class c JOIN pg_namespace n ON n.oid = "
                        "c.relnamespace WHERE c.relname = 'dipper_schema' AND n.nspname = $1",
                        &schema, 1, &rows);
    return status == DP_OK && db_row(&rows, 0)->number == 0 ? move_tables(call, t) : status;
}

/* ---- bringing up to date ----------------------------------------------------------------------------- */

static enum dp_status migrate_in_transaction(struct call *call, struct db_transaction *t, void *context)
{
    bool *changed = context;
    struct db_value lock = db_number(LOCK);
    struct db_rows rows;
    enum dp_status status = DP_OK;
    if (db_is_postgres(t)) /* SQLite has only one writer at a time */
        status = db_run(call, t, "SELECT pg_advisory_xact_lock($1)", &lock, 1, NULL);
    if (status == DP_OK && db_is_postgres(t))
        status = have_schema(call, t);
    if (status == DP_OK)
        status = db_run(call, t,
                        "CREATE TABLE IF NOT EXISTS dipper_schema (version BIGINT PRIMARY KEY, "
                        "applied_at BIGINT NOT NULL)",
                        NULL, 0, NULL);
    if (status == DP_OK)
        status = db_run(call, t, "SELECT COALESCE(MAX(version), 0) FROM dipper_schema", NULL, 0, &rows);
    if (status != DP_OK)
        return status;
    int64_t version = rows.count ? db_row(&rows, 0)->number : 0;
    if (version > SCHEMA_VERSION)
        return call_fail(call, DP_UNSUPPORTED,
                         "the accounts' database is of version %" PRId64
                         ", and this program knows versions up to %" PRId64 ": "
                         "use the newer dipper that migrated the database",
                         version, SCHEMA_VERSION);
    *changed = version < SCHEMA_VERSION;
    while (status == DP_OK && version < SCHEMA_VERSION)
        status = apply_migration(call, t, ++version);
    return status;
}

enum dp_status schema_migrate(struct call *call, struct database *db)
{
    bool changed = false;
    enum dp_status status = database_transact(call, db, migrate_in_transaction, &changed);
    if (status == DP_OK && changed)
        log_write(LOG_INFO, "accounts are kept in %s, now of version %" PRId64, database_place(db),
                  SCHEMA_VERSION);
    else if (status != DP_OK)
        dp_error_prefix(&call->error, "accounts in %s", database_place(db));
    return status;
}
