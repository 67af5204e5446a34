/* account/database_driver.h: what a kind of database gives to the pool; private to database*.c. */
#ifndef ACCOUNT_DATABASE_DRIVER_H
#define ACCOUNT_DATABASE_DRIVER_H

#include "account/database.h"
#include "base/buffer.h"

/* A driver's connection begins with it. */
struct db_connection {
    int timeout_ms; /* of each statement */
};

struct db_driver {
    const char *name;
    /* Checks what the URL names, and makes it where it is not there, once, before any connection. */
    enum dp_status (*prepare)(struct call *call, const char *target);
    /* Opens a connection within `timeout_ms`, which is also that of its statements. `schema`: where there are schemas, the
     * one that statements find the tables in. */
    enum dp_status (*connect)(struct call *call, const char *target, const char *schema, int timeout_ms,
                              struct db_connection **out);
    void (*disconnect)(struct db_connection *c);
    /* Whether a connection that lay idle is still there; cheap, without a round trip. */
    bool (*alive)(struct db_connection *c);
    /* One statement. Sets *broken when the connection cannot be used any more. */
    enum dp_status (*run)(struct call *call, struct db_connection *c, const char *sql,
                          const struct db_value *parameters, size_t count, struct db_rows *out, bool *broken);
    /* Begins a transaction, with all that is to hold in it. Nothing of that stays in the session when it ends: behind a
     * pooler like pgbouncer, the session is another program's then. */
    enum dp_status (*begin)(struct call *call, struct db_connection *c, bool writes, bool *broken);
    /* Appends where the tables are, for people: without user and password. */
    void (*describe)(const struct db_connection *c, const char *target, struct buffer *out);
};

extern const struct db_driver db_sqlite;
extern const struct db_driver db_postgres;

/* The milliseconds that a step may take: the lesser of the call's deadline and `timeout_ms`; at least 1. */
int db_step_ms(const struct call *call, int timeout_ms);

#endif
