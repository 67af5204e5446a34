/* account/database.h: SQLite or PostgreSQL behind one small interface: a pool of connections that runs transactions.
 *
 * Statements are our own constants with parameters $1, $2, …: no value becomes part of a statement's text. A
 * transaction is a function that runs statements; it is committed if the function returns DP_OK, and rolled back
 * otherwise. Every wait ends at the call's deadline or at the database's time-out, whichever is sooner.
 *
 * All functions but database_open and database_close are thread-safe. */
#ifndef ACCOUNT_DATABASE_H
#define ACCOUNT_DATABASE_H

#include "base/metrics.h"
#include "os/call.h"

struct database;
struct db_transaction;

enum db_type { DB_NULL, DB_NUMBER, DB_TEXT };

struct db_value {
    enum db_type type;
    int64_t number;
    struct span text;
};

static inline struct db_value db_number(int64_t number)
{
    return (struct db_value){.type = DB_NUMBER, .number = number};
}

static inline struct db_value db_text(struct span text)
{
    return (struct db_value){.type = DB_TEXT, .text = text};
}

static inline struct db_value db_text_str(const char *text)
{
    return db_text(span_str(text));
}

/* The result of a statement, in the call's arena. */
struct db_rows {
    size_t count, columns;
    const struct db_value *cells; /* [count][columns] */
};

static inline const struct db_value *db_row(const struct db_rows *rows, size_t row)
{
    return rows->cells + row * rows->columns;
}

enum { DB_PARAMETERS_MAX = 16, DB_ROWS_MAX = 1 << 20 };

/* The default schema of the tables. */
#define DATABASE_SCHEMA "dipper"

struct database_options {
    const char *schema; /* PostgreSQL only; NULL or "": DATABASE_SCHEMA */
    const char *url; /* sqlite:///absolute/path (a bare absolute path too), postgresql://… or postgres://… */
    unsigned pool_min, pool_max;
    int timeout_ms; /* maximum time of a statement, of connecting, and of waiting for a free connection */
    struct metric_registry *registry; /* for the pool's gauges; NULL: none */
};

/* Opens the minimum number of connections. Creates SQLite's folder and file if they are missing, for their owner
 * alone. Nothing else in the process may open that file: closing it would release SQLite's locks. DP_INVALID: not a
 * URL of a database. No message shows the URL's password. */
enum dp_status database_open(struct call *call, const struct database_options *options, struct database **out);
void database_close(struct database *db); /* NULL is fine; no transaction may be running */
bool database_is_postgres(const struct database *db);
/* The place of the tables, for messages: "the file /srv/accounts.db", "the schema dipper of the PostgreSQL database app
 * at db.example:5432". Valid as long as the database. */
const char *database_place(const struct database *db);
/* The path in a URL of SQLite; NULL for any other URL. */
const char *database_sqlite_path(const char *url);

/* Runs `work` in a transaction. If the connection breaks before the commit is sent, `work` runs once more on a fresh
 * connection. DP_UNAVAILABLE: the database does not answer, or another program locks it for too long. */
enum dp_status database_transact(struct call *call, struct database *db,
                                 enum dp_status (*work)(struct call *call, struct db_transaction *t,
                                                        void *context),
                                 void *context);
/* Runs `work`, which must only read, in a transaction. It does not wait for writers. */
enum dp_status database_read(struct call *call, struct database *db,
                             enum dp_status (*work)(struct call *call, struct db_transaction *t, void *context),
                             void *context);
/* Runs one statement; `out` may be NULL. DP_EXISTS: a value that must be unique exists already. */
enum dp_status db_run(struct call *call, struct db_transaction *t, const char *sql,
                      const struct db_value *parameters, size_t count, struct db_rows *out);
bool db_is_postgres(const struct db_transaction *t);
const char *db_schema(const struct db_transaction *t); /* PostgreSQL only */

/* Closes idle connections beyond the minimum number. */
void database_tidy(struct database *db);

/* Connections that are open, and those in use. For tests and gauges. */
void database_count(struct database *db, unsigned *open, unsigned *busy);

#endif
