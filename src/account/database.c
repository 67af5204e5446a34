/* database.c: the pool of connections, and transactions on them.
 *
 * No thread holds the lock while it opens, uses or closes a connection. The pool grows up to its maximum while all
 * connections are in use; then callers wait, each until its deadline. If a connection cannot be opened, nobody
 * tries again for RETRY_NS and callers fail at once: a database that is away must not hold their threads. */
#include "account/database.h"

#include <pthread.h>
#include <stdio.h>

#include "account/database_driver.h"
#include "base/alloc.h"
#include "os/clock.h"
#include "os/thread.h"

enum { SCHEMA_NAME_MAX = 63, PLACE_MAX = 400 };
static const int64_t RETRY_NS = 500 * 1000000LL;
static const int64_t IDLE_NS = 60 * 1000000000LL;

struct pooled_connection {
    struct db_connection *connection;
    int64_t idle_since_ns;
    struct pooled_connection *next;
};

struct database {
    const struct db_driver *driver;
    char *target; /* the driver's argument: a URL or a path */
    char schema[SCHEMA_NAME_MAX + 1];
    char place[PLACE_MAX]; /* where the tables are, for messages */
    unsigned min, max;
    int timeout_ms;
    struct {
        pthread_mutex_t lock;
        pthread_cond_t freed;
        /* The last used connection comes first. So unused connections grow old, and database_tidy closes them. */
        struct pooled_connection *idle;
        unsigned open, busy, waiting; /* connections; connections in use; threads that wait for a connection */
        int64_t retry_at_ns;          /* nobody opens a connection before this time */
        struct dp_error why;          /* the last failure to open a connection */
    } locked;
    struct metric *open_gauge, *busy_gauge, *waiting_gauge, *failures;
};

struct db_transaction {
    struct database *db;
    struct pooled_connection *pooled;
    bool broken;
};

int db_step_ms(const struct call *call, int timeout_ms)
{
    int left = call_left_ms(call);
    int ms = left < 0 || left > timeout_ms ? timeout_ms : left;
    return ms > 0 ? ms : 1;
}

/* Writes the counts to the metrics. The caller holds the lock. */
static void show_counts(struct database *db)
{
    metric_set(db->open_gauge, db->locked.open);
    metric_set(db->busy_gauge, db->locked.busy);
    metric_set(db->waiting_gauge, db->locked.waiting);
}

static void discard_connection(struct database *db, struct pooled_connection *p)
{
    db->driver->disconnect(p->connection);
    mem_free(p);
}

/* ---- the pool --------------------------------------------------------------------------------------- */

/* Opens a connection. The caller has counted it as open and busy. A failure subtracts it from both counts. */
static enum dp_status open_connection(struct call *call, struct database *db, struct pooled_connection **out)
{
    struct pooled_connection *p = mem_calloc(1, sizeof *p);
    enum dp_status status = p ? db->driver->connect(call, db->target, db->schema, db->timeout_ms, &p->connection)
                              : call_nomem(call, "a connection to the database");
    if (status == DP_OK) {
        *out = p;
        return DP_OK;
    }
    mem_free(p);
    metric_add(db->failures, 1);
    pthread_mutex_lock(&db->locked.lock);
    db->locked.open--;
    db->locked.busy--;
    db->locked.retry_at_ns = os_now_ns() + RETRY_NS;
    db->locked.why = call->error;
    show_counts(db);
    pthread_cond_broadcast(&db->locked.freed);
    pthread_mutex_unlock(&db->locked.lock);
    return status;
}

/* Waits for `freed`, under the lock. False when the time is up. */
static bool wait_freed(struct database *db, int64_t until_ns)
{
    db->locked.waiting++;
    show_counts(db);
    bool timed_out = os_wait_until(&db->locked.freed, &db->locked.lock, until_ns);
    db->locked.waiting--;
    show_counts(db);
    return !timed_out;
}

/* Takes an idle connection that still works, or the right to open one (*out NULL). `fresh`: closes all idle
 * connections and takes the right. */
static enum dp_status take_idle_connection(struct call *call, struct database *db, bool fresh,
                                           struct pooled_connection **out)
{
    const int64_t until_ns = os_now_ns() + db_step_ms(call, db->timeout_ms) * 1000000LL;
    enum dp_status status = DP_OK;
    *out = NULL;
    pthread_mutex_lock(&db->locked.lock);
    for (;;) {
        struct pooled_connection *p = db->locked.idle;
        if (p) {
            db->locked.idle = p->next;
            db->locked.busy++;
            if (!fresh && db->driver->alive(p->connection)) {
                *out = p;
                break;
            }
            db->locked.open--;
            db->locked.busy--;
            pthread_mutex_unlock(&db->locked.lock);
            discard_connection(db, p);
            pthread_mutex_lock(&db->locked.lock);
        } else if (db->locked.open < db->max) {
            if (os_now_ns() < db->locked.retry_at_ns) {
                status = call_fail(call, db->locked.why.status, "%s", db->locked.why.message);
                break;
            }
            db->locked.open++;
            db->locked.busy++;
            break;
        } else if (!wait_freed(db, until_ns)) {
            status = call_fail(call, DP_UNAVAILABLE, "all %u connections to the database are in use", db->max);
            break;
        }
    }
    show_counts(db);
    pthread_mutex_unlock(&db->locked.lock);
    return status;
}

static enum dp_status acquire_connection(struct call *call, struct database *db, bool fresh,
                                         struct pooled_connection **out)
{
    enum dp_status status = call_check(call);
    if (status == DP_OK)
        status = take_idle_connection(call, db, fresh, out);
    if (status == DP_OK && !*out)
        status = open_connection(call, db, out);
    return status;
}

static void release_connection(struct database *db, struct pooled_connection *p, bool broken)
{
    if (broken)
        discard_connection(db, p);
    pthread_mutex_lock(&db->locked.lock);
    db->locked.busy--;
    if (broken) {
        db->locked.open--;
    } else {
        p->idle_since_ns = os_now_ns();
        p->next = db->locked.idle;
        db->locked.idle = p;
        db->locked.retry_at_ns = 0;
    }
    show_counts(db);
    pthread_cond_signal(&db->locked.freed);
    pthread_mutex_unlock(&db->locked.lock);
}

void database_tidy(struct database *db)
{
    struct pooled_connection *old = NULL;
    pthread_mutex_lock(&db->locked.lock);
    struct pooled_connection **at = &db->locked.idle;
    while (*at) {
        struct pooled_connection *p = *at;
        if (db->locked.open > db->min && os_now_ns() - p->idle_since_ns > IDLE_NS) {
            *at = p->next;
            p->next = old;
            old = p;
            db->locked.open--;
        } else {
            at = &p->next;
        }
    }
    show_counts(db);
    pthread_mutex_unlock(&db->locked.lock);
    while (old) {
        struct pooled_connection *p = old;
        old = p->next;
        discard_connection(db, p);
    }
}

void database_count(struct database *db, unsigned *open, unsigned *busy)
{
    pthread_mutex_lock(&db->locked.lock);
    *open = db->locked.open;
    *busy = db->locked.busy;
    pthread_mutex_unlock(&db->locked.lock);
}

/* ---- transactions ----------------------------------------------------------------------------------- */

enum dp_status db_run(struct call *call, struct db_transaction *t, const char *sql,
                      const struct db_value *parameters, size_t count, struct db_rows *out)
{
    struct db_rows unwanted;
    enum dp_status status = call_check(call);
    if (status != DP_OK)
        return status;
    return t->db->driver->run(call, t->pooled->connection, sql, parameters, count, out ? out : &unwanted,
                              &t->broken);
}

bool db_is_postgres(const struct db_transaction *t)
{
    return database_is_postgres(t->db);
}

/* Rolls back, even after the call's deadline. Keeps the call's error. */
static void undo_transaction(struct call *call, struct db_transaction *t)
{
    struct call after;
    if (t->broken)
        return;
    call_init(&after, call->arena);
    if (db_run(&after, t, "ROLLBACK", NULL, 0, NULL) != DP_OK)
        t->broken = true;
}

/* Runs the transaction once. *again: its connection broke before COMMIT, so the caller may run it on another one. */
static enum dp_status try_transaction(struct call *call, struct database *db, bool writes, bool fresh,
                                      enum dp_status (*work)(struct call *, struct db_transaction *, void *),
                                      void *context, bool *again)
{
    struct db_transaction t = {.db = db};
    *again = false;
    enum dp_status status = acquire_connection(call, db, fresh, &t.pooled);
    if (status != DP_OK)
        return status;
    status = call_check(call);
    if (status == DP_OK)
        status = db->driver->begin(call, t.pooled->connection, writes, &t.broken);
    if (status == DP_OK) {
        status = work(call, &t, context);
        *again = status != DP_OK && t.broken;
        if (status == DP_OK)
            status = db_run(call, &t, "COMMIT", NULL, 0, NULL);
        if (status != DP_OK)
            undo_transaction(call, &t);
    } else {
        *again = t.broken;
    }
    release_connection(db, t.pooled, t.broken);
    return status;
}

static enum dp_status run_transaction(struct call *call, struct database *db, bool writes,
                                      enum dp_status (*work)(struct call *, struct db_transaction *, void *),
                                      void *context)
{
    bool again;
    enum dp_status status = try_transaction(call, db, writes, false, work, context, &again);
    if (!again)
        return status;
    dp_error_clear(&call->error);
    return try_transaction(call, db, writes, true, work, context, &again);
}

enum dp_status database_transact(struct call *call, struct database *db,
                                 enum dp_status (*work)(struct call *call, struct db_transaction *t,
                                                        void *context),
                                 void *context)
{
    return run_transaction(call, db, true, work, context);
}

enum dp_status database_read(struct call *call, struct database *db,
                             enum dp_status (*work)(struct call *call, struct db_transaction *t, void *context),
                             void *context)
{
    return run_transaction(call, db, false, work, context);
}

/* ---- opening ---------------------------------------------------------------------------------------- */

const char *database_sqlite_path(const char *url)
{
    static const char sqlite[] = "sqlite://";
    const char *path = strncmp(url, sqlite, sizeof sqlite - 1) == 0 ? url + sizeof sqlite - 1 : url;
    return *path == '/' && path[1] ? path : NULL;
}

static enum dp_status choose_driver(struct call *call, struct database *db, const char *url)
{
    const char *target = url;
    if (strncmp(url, "postgresql://", 13) == 0 || strncmp(url, "postgres://", 11) == 0) {
        db->driver = &db_postgres;
    } else {
        db->driver = &db_sqlite;
        target = database_sqlite_path(url);
        if (!target)
            return call_fail(
                call, DP_INVALID,
                "DATABASE_URL must be sqlite:///absolute/path or postgresql://user:password@host/name");
    }
    size_t size = strlen(target) + 1;
    db->target = mem_alloc(size);
    if (!db->target)
        return call_nomem(call, "the database");
    memcpy(db->target, target, size);
    return DP_OK;
}

static enum dp_status register_pool_metrics(struct call *call, struct database *db, struct metric_registry *r)
{
    if (!r)
        return DP_OK;
    db->open_gauge = metric_gauge(r, "dipper_database_connections", "state=\"open\"",
                                  "Connections to the accounts' database: all open ones, and those in use.");
    db->busy_gauge = metric_gauge(r, "dipper_database_connections", "state=\"busy\"",
                                  "Connections to the accounts' database: all open ones, and those in use.");
    db->waiting_gauge = metric_gauge(r, "dipper_database_waiting", "",
                                     "Threads that wait for a connection to the accounts' database.");
    db->failures = metric_counter(r, "dipper_database_connect_failures_total", "",
                                  "Connections to the accounts' database that could not be opened.");
    if (!db->open_gauge || !db->busy_gauge || !db->waiting_gauge || !db->failures)
        return call_nomem(call, "metrics");
    return DP_OK;
}

static enum dp_status describe_place(struct call *call, struct database *db, const struct db_connection *c)
{
    struct buffer text;
    buffer_init(&text, PLACE_MAX - 1);
    db->driver->describe(c, db->target, &text);
    snprintf(db->place, sizeof db->place, "%.*s", SPAN_FMT(buffer_span(&text)));
    enum dp_status status =
        text.status == DP_NOMEM ? call_nomem(call, "the name of the accounts' database") : DP_OK;
    buffer_deinit(&text);
    return status;
}

/* Copies the schema's name. Statements contain the name without quotes, so it must not need quotes. */
static enum dp_status take_schema(struct call *call, struct database *db, const char *name)
{
    if (!name || !*name)
        name = DATABASE_SCHEMA;
    size_t len = strlen(name);
    bool good = len <= SCHEMA_NAME_MAX && (name[0] < '0' || name[0] > '9') && strncmp(name, "pg_", 3) != 0 &&
                strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
    if (!good)
        return call_fail(
            call, DP_INVALID,
            "the schema of the accounts is \"%.63s\", but must be 1 to 63 characters of a-z, 0-9 and _, and must "
            "not begin with a digit or pg_",
            name);
    memcpy(db->schema, name, len + 1);
    return DP_OK;
}

/* Opens the minimum number of connections. */
static enum dp_status fill_pool(struct call *call, struct database *db)
{
    struct pooled_connection *opened = NULL;
    enum dp_status status = DP_OK;
    for (unsigned i = 0; i < db->min && status == DP_OK; i++) {
        struct pooled_connection *p = NULL;
        status = acquire_connection(call, db, false, &p);
        if (status == DP_OK) {
            p->next = opened;
            opened = p;
        }
    }
    if (status == DP_OK)
        status = describe_place(call, db, opened->connection);
    while (opened) {
        struct pooled_connection *p = opened;
        opened = p->next;
        release_connection(db, p, false);
    }
    return status;
}

enum dp_status database_open(struct call *call, const struct database_options *options, struct database **out)
{
    *out = NULL;
    struct database *db = mem_calloc(1, sizeof *db);
    if (!db)
        return call_nomem(call, "the database");
    pthread_mutex_init(&db->locked.lock, NULL);
    pthread_cond_init(&db->locked.freed, NULL);
    db->max = options->pool_max ? options->pool_max : 1;
    db->min = options->pool_min && options->pool_min < db->max ? options->pool_min
              : options->pool_min                              ? db->max
                                                               : 1;
    db->timeout_ms = options->timeout_ms;
    enum dp_status status = choose_driver(call, db, options->url);
    if (status == DP_OK)
        status = take_schema(call, db, options->schema);
    if (status == DP_OK)
        status = register_pool_metrics(call, db, options->registry);
    if (status == DP_OK)
        status = db->driver->prepare(call, db->target);
    if (status == DP_OK)
        status = fill_pool(call, db);
    if (status == DP_OK)
        *out = db;
    else
        database_close(db);
    return status;
}

void database_close(struct database *db)
{
    if (!db)
        return;
    while (db->locked.idle) {
        struct pooled_connection *p = db->locked.idle;
        db->locked.idle = p->next;
        discard_connection(db, p);
    }
    pthread_cond_destroy(&db->locked.freed);
    pthread_mutex_destroy(&db->locked.lock);
    mem_free(db->target);
    mem_free(db);
}

const char *database_place(const struct database *db)
{
    return db->place;
}

const char *db_schema(const struct db_transaction *t)
{
    return t->db->schema;
}

bool database_is_postgres(const struct database *db)
{
    return db->driver == &db_postgres;
}
