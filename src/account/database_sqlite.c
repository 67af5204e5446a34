/* database_sqlite.c: SQLite, for one host: a file in write-ahead mode, so that readers and the one writer do not
 * wait for each other. Several processes may share the file.
 *
 * A statement waits for another writer only until its time limit (the busy time-out); the progress handler
 * interrupts a statement that runs too long. A commit is on the disk when it returns (synchronous = FULL). */
#include <sqlite3.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/database_driver.h"
#include "base/alloc.h"
#include "base/array.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/log.h"

enum { PROGRESS_STEPS = 10000, MESSAGE_MAX = 200 };

struct sqlite_connection {
    struct db_connection base;
    sqlite3 *handle;
    int64_t until_ns; /* time limit of the running statement */
    const _Atomic bool *cancelled;
};

static struct sqlite_connection *sqlite_of(struct db_connection *base)
{
    return (struct sqlite_connection *)base;
}

/* Whether the statement failed because another record has the value. Other constraints are foreign keys and NOT NULL. */
static bool is_duplicate(sqlite3 *handle)
{
    const int code = sqlite3_extended_errcode(handle);
    return code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY;
}

static enum dp_status sqlite_fail(struct call *call, struct sqlite_connection *c, int code, const char *doing,
                                  bool *broken)
{
    const char *why = c->handle ? sqlite3_errmsg(c->handle) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return call_fail(call, DP_UNAVAILABLE, "another program locks the accounts' database for too long");
    case SQLITE_INTERRUPT:
        return call_fail(call, DP_UNAVAILABLE, "the accounts' database took too long to %s", doing);
    case SQLITE_NOMEM: return call_nomem(call, "the accounts' database");
    case SQLITE_CONSTRAINT:
        if (is_duplicate(c->handle))
            return call_fail(call, DP_EXISTS, "the accounts' database already has a record with that value");
        return call_fail(call, DP_CORRUPT, "the accounts' database refuses a record: %.*s", MESSAGE_MAX, why);
    case SQLITE_FULL: *broken = true; return call_fail(call, DP_FULL, "no space left for the accounts' database");
    case SQLITE_READONLY:
    case SQLITE_PERM:
        *broken = true;
        return call_fail(call, DP_DENIED, "no permission to write the accounts' database: %.*s", MESSAGE_MAX, why);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        *broken = true;
        return call_fail(call, DP_CORRUPT, "the accounts' database is damaged: %.*s", MESSAGE_MAX, why);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        *broken = true;
        return call_fail(call, DP_UNAVAILABLE, "cannot %s the accounts' database: %.*s", doing, MESSAGE_MAX, why);
    default: return call_fail(call, DP_IO, "cannot %s the accounts' database: %.*s", doing, MESSAGE_MAX, why);
    }
}

/* Whether to interrupt the running statement. */
static int too_late(void *context)
{
    const struct sqlite_connection *c = context;
    return os_now_ns() > c->until_ns || (c->cancelled && atomic_load_explicit(c->cancelled, memory_order_relaxed));
}

static enum dp_status sqlite_bind(struct call *call, struct sqlite_connection *c, sqlite3_stmt *statement,
                                  const struct db_value *parameters, size_t count, bool *broken)
{
    static const char *const names[DB_PARAMETERS_MAX] = {"$1", "$2",  "$3",  "$4",  "$5",  "$6",  "$7",  "$8",
                                                         "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$16"};
    for (size_t i = 0; i < count; i++) {
        const struct db_value *v = &parameters[i];
        int at = sqlite3_bind_parameter_index(statement, names[i]);
        int code = SQLITE_OK;
        if (v->type == DB_NUMBER)
            code = sqlite3_bind_int64(statement, at, v->number);
        else if (v->type == DB_TEXT)
            code = sqlite3_bind_text64(statement, at, v->text.data ? (const char *)v->text.data : "", v->text.len,
                                       SQLITE_STATIC, SQLITE_UTF8);
        if (code != SQLITE_OK)
            return sqlite_fail(call, c, code, "ask", broken);
    }
    return DP_OK;
}

/* Reads the cells of the current record. */
static enum dp_status read_row(struct call *call, sqlite3_stmt *statement, struct db_value *cells, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        int column = (int)i;
        cells[i] = (struct db_value){.type = DB_NULL};
        if (sqlite3_column_type(statement, column) == SQLITE_NULL)
            continue;
        if (sqlite3_column_type(statement, column) == SQLITE_INTEGER) {
            cells[i] = db_number(sqlite3_column_int64(statement, column));
            continue;
        }
        const unsigned char *text = sqlite3_column_text(statement, column);
        struct span copy =
            text ? arena_copy(call->arena, span_of(text, (size_t)sqlite3_column_bytes(statement, column)))
                 : span_of(NULL, 0);
        if (!copy.data)
            return call_nomem(call, "records of the accounts' database");
        cells[i] = db_text(copy);
    }
    return DP_OK;
}

/* Runs the statement to its end and collects its records. */
static enum dp_status sqlite_step_all(struct call *call, struct sqlite_connection *c, sqlite3_stmt *statement,
                                      struct db_rows *out, bool *broken)
{
    size_t columns = (size_t)sqlite3_column_count(statement), room = 0;
    struct db_value *cells = NULL;
    *out = (struct db_rows){.columns = columns};
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (out->count == DB_ROWS_MAX)
            return call_fail(call, DP_TOO_LARGE, "the accounts' database returned more than %d records",
                             DB_ROWS_MAX);
        struct db_value *grown = arena_reserve(call->arena, cells, out->count, &room, columns * sizeof *grown, 1);
        if (!grown)
            return call_nomem(call, "records of the accounts' database");
        cells = grown;
        enum dp_status status = read_row(call, statement, cells + out->count * columns, columns);
        if (status != DP_OK)
            return status;
        out->count++;
        out->cells = cells;
    }
    return code == SQLITE_DONE ? DP_OK : sqlite_fail(call, c, code, "ask", broken);
}

static enum dp_status sqlite_run(struct call *call, struct db_connection *base, const char *sql,
                                 const struct db_value *parameters, size_t count, struct db_rows *out,
                                 bool *broken)
{
    struct sqlite_connection *c = sqlite_of(base);
    sqlite3_stmt *statement = NULL;
    int ms = db_step_ms(call, c->base.timeout_ms);
    c->until_ns = os_now_ns() + ms * 1000000LL;
    c->cancelled = call->cancelled;
    sqlite3_busy_timeout(c->handle, ms);
    int code = sqlite3_prepare_v2(c->handle, sql, -1, &statement, NULL);
    if (code != SQLITE_OK)
        return sqlite_fail(call, c, code, "ask", broken);
    enum dp_status status = sqlite_bind(call, c, statement, parameters, count, broken);
    if (status == DP_OK)
        status = sqlite_step_all(call, c, statement, out, broken);
    sqlite3_finalize(statement);
    c->cancelled = NULL;
    return status;
}

/* Creates the folder for its owner alone: the file holds hashes of keys and addresses of people. */
static enum dp_status make_folder(struct call *call, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == path || access(path, F_OK) == 0)
        return DP_OK;
    char *folder = arena_printf(call->arena, "%.*s", (int)(slash - path), path);
    if (!folder)
        return call_nomem(call, "the name of a folder");
    mode_t before = umask(077);
    enum dp_status status = os_make_dirs(folder, &call->error);
    umask(before);
    return status;
}

/* Warns if other users of the host can change the accounts. */
static void warn_of_modes(struct call *call, const char *path)
{
    struct stat file, folder;
    const char *slash = strrchr(path, '/');
    const char *above = arena_printf(call->arena, "%.*s", slash > path ? (int)(slash - path) : 1, path);
    if (stat(path, &file) == 0 && (file.st_mode & (S_IWGRP | S_IWOTH)))
        log_write(LOG_WARN, "other users may write the accounts' database %s (mode %03o): chmod 600 it", path,
                  (unsigned)(file.st_mode & 0777));
    if (above && stat(above, &folder) == 0 && (folder.st_mode & S_IWOTH) && !(folder.st_mode & S_ISVTX))
        log_write(LOG_WARN, "anyone may replace the accounts' database in the folder %s (mode %03o): chmod 700 it",
                  above, (unsigned)(folder.st_mode & 0777));
}

/* Creates the file for its owner alone, once, before the first connection.
 *
 * SQLite guards the file with POSIX locks. A process loses *all* of them when it closes *any* descriptor of the
 * file (sqlite.org/howtocorrupt.html, 2.2); another process then concludes that it is alone, and deletes the
 * write-ahead log that this process still uses. So only SQLite may open the file in this process, and mknod()
 * creates it without a descriptor. An existing file, perhaps just created by another process, is left alone. */
static enum dp_status sqlite_prepare(struct call *call, const char *path)
{
    enum dp_status status = make_folder(call, path);
    if (status != DP_OK)
        return status;
    if (mknod(path, S_IFREG | S_IRUSR | S_IWUSR, 0) != 0 && errno != EEXIST)
        return dp_fail_errno(&call->error, errno, "create the accounts' database", path);
    warn_of_modes(call, path);
    return DP_OK;
}

static void sqlite_disconnect(struct db_connection *base)
{
    struct sqlite_connection *c = sqlite_of(base);
    sqlite3_close_v2(c->handle);
    mem_free(c);
}

static enum dp_status sqlite_connect(struct call *call, const char *path, const char *schema, int timeout_ms,
                                     struct db_connection **out)
{
    (void)schema;
    static const char *const settings[] = {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
                                           "PRAGMA foreign_keys = ON", "PRAGMA trusted_schema = OFF"};
    enum dp_status status = DP_OK;
    struct sqlite_connection *c = mem_calloc(1, sizeof *c);
    if (!c)
        return call_nomem(call, "a connection to the database");
    c->base.timeout_ms = timeout_ms;
    bool broken = false;
    struct db_rows rows;
    int code = sqlite3_open_v2(path, &c->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        status = sqlite_fail(call, c, code, "open", &broken);
    else
        sqlite3_progress_handler(c->handle, PROGRESS_STEPS, too_late, c);
    for (size_t i = 0; i < sizeof settings / sizeof *settings && status == DP_OK; i++)
        status = sqlite_run(call, &c->base, settings[i], NULL, 0, &rows, &broken);
    if (status == DP_OK)
        *out = &c->base;
    else
        sqlite_disconnect(&c->base);
    return status;
}

/* A writer takes the lock at once. If two transactions read first and then wanted to write, they would deadlock. */
static enum dp_status sqlite_begin(struct call *call, struct db_connection *base, bool writes, bool *broken)
{
    struct db_rows rows;
    return sqlite_run(call, base, writes ? "BEGIN IMMEDIATE" : "BEGIN", NULL, 0, &rows, broken);
}

static void sqlite_describe(const struct db_connection *base, const char *path, struct buffer *out)
{
    (void)base;
    buffer_printf(out, "the file %s", path);
}

static bool sqlite_alive(struct db_connection *base)
{
    (void)base;
    return true;
}

const struct db_driver db_sqlite = {.name = "sqlite",
                                    .prepare = sqlite_prepare,
                                    .connect = sqlite_connect,
                                    .disconnect = sqlite_disconnect,
                                    .alive = sqlite_alive,
                                    .run = sqlite_run,
                                    .begin = sqlite_begin,
                                    .describe = sqlite_describe};
