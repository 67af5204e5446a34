/* account/database_driver.h: the interface between the pool and a kind of database. Private to database*.c. */
#ifndef ACCOUNT_DATABASE_DRIVER_H
#define ACCOUNT_DATABASE_DRIVER_H

#include "account/database.h"
#include "base/buffer.h"

/* The first member of each driver's connection. */
struct db_connection {
    int timeout_ms; /* of each statement */
};

struct db_driver {
    const char *name;
    /* Checks the target, and creates it if it is missing. Runs once, before any connection. */
    enum dp_status (*prepare)(struct call *call, const char *target);
    /* Opens a connection. `timeout_ms` limits connecting and each statement. `schema` (PostgreSQL only) is where
     * statements find the tables. */
    enum dp_status (*connect)(struct call *call, const char *target, const char *schema, int timeout_ms,
                              struct db_connection **out);
    void (*disconnect)(struct db_connection *c);
    /* Whether an idle connection still works; cheap, without a round trip. */
    bool (*alive)(struct db_connection *c);
    /* Runs one statement. Sets *broken if the connection must be closed. */
    enum dp_status (*run)(struct call *call, struct db_connection *c, const char *sql,
                          const struct db_value *parameters, size_t count, struct db_rows *out, bool *broken);
    /* Begins a transaction with its settings. No setting outlives the transaction: behind a pooler such as
     * pgbouncer, the session then belongs to another program. */
    enum dp_status (*begin)(struct call *call, struct db_connection *c, bool writes, bool *broken);
    /* Appends the place of the tables for messages, without user and password. */
    void (*describe)(const struct db_connection *c, const char *target, struct buffer *out);
};

extern const struct db_driver db_sqlite;
extern const struct db_driver db_postgres;

/* Milliseconds that a step may take: up to the call's deadline, at most `timeout_ms`, at least 1. */
int db_step_ms(const struct call *call, int timeout_ms);

#endif
