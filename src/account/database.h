/* account/database.h: SQLite or PostgreSQL behind one small interface: a pool of connections that runs transactions.
 *
 * Statements are constants of ours with parameters $1, $2, …: no value ever becomes part of a statement's text. A
 * transaction is a function that runs statements; it is committed when that answers DP_OK and undone otherwise. Every
 * wait ends at the call's deadline or the database's own time-out, whichever is sooner.
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

/* What a statement answers, in the call's arena. */
struct db_rows {
    size_t count, columns;
    const struct db_value *cells; /* [count][columns] */
};

static inline const struct db_value *db_row(const struct db_rows *rows, size_t row)
{
    return rows->cells + row * rows->columns;
}

enum { DB_PARAMETERS_MAX = 16, DB_ROWS_MAX = 1 << 20 };

/* What the schema of the tables is called unless told otherwise. */
#define DATABASE_SCHEMA "dipper"

struct database_options {
    const char *schema; /* of PostgreSQL, for the tables; NULL or "": DATABASE_SCHEMA */
    const char *url; /* sqlite:///absolute/path (a bare absolute path too), postgresql://… or postgres://… */
    unsigned pool_min, pool_max;
    int timeout_ms;                   /* of one statement, of connecting, and of waiting for a connection */
    struct metric_registry *registry; /* for the pool's gauges; NULL: none */
};

/* Opens the least number of connections, and makes SQLite's file and its folder where they are not there (for their
 * owner alone). Nothing else in the process may open that file: closing it would take SQLite's locks away. DP_INVALID: no such kind of URL. No message holds the URL's password. */
enum dp_status database_open(struct call *call, const struct database_options *options, struct database **out);
void database_close(struct database *db); /* NULL is fine; nothing may be in progress */
bool database_is_postgres(const struct database *db);
/* Where the tables are, for people: "the file accounts.db", "the schema dipper of the database app at db.example:5432".
 * Lives as long as the database. */
const char *database_place(const struct database *db);
/* The file that a URL of SQLite names; NULL when the URL is of another kind. */
const char *database_sqlite_path(const char *url);

/* Runs `work` in a transaction of its own. When the connection turns out to be broken before the commit was sent, it
 * is run once more on a fresh one. DP_UNAVAILABLE: the database does not answer, or another holds it too long. */
enum dp_status database_transact(struct call *call, struct database *db,
                                 enum dp_status (*work)(struct call *call, struct db_transaction *t,
                                                        void *context),
                                 void *context);
/* The same for work that only reads: it waits for no writer. */
enum dp_status database_read(struct call *call, struct database *db,
                             enum dp_status (*work)(struct call *call, struct db_transaction *t, void *context),
                             void *context);
/* Runs one statement; `out` may be NULL. DP_EXISTS: a value that must be unique is there already. */
enum dp_status db_run(struct call *call, struct db_transaction *t, const char *sql,
                      const struct db_value *parameters, size_t count, struct db_rows *out);
bool db_is_postgres(const struct db_transaction *t);
const char *db_schema(const struct db_transaction *t); /* of PostgreSQL */

/* Closes connections beyond the least number that nobody has used for a while. */
void database_tidy(struct database *db);

/* What the pool holds now: connections open, and of them in use. For tests and gauges. */
void database_count(struct database *db, unsigned *open, unsigned *busy);

#endif
