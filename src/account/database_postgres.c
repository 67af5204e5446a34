/* database_postgres.c: PostgreSQL through libpq's calls that do not block. Every wait is our poll(), which ends at
 * the step's time limit. If a statement is not answered in time, we close its connection, and the server ends the
 * statement by itself (statement_timeout). Values travel as text beside the statement, never in it.
 *
 * Time-outs and the schema are set for each transaction, never for the session, and statements have no names: a
 * pooler such as pgbouncer gives the session to another program after each transaction. */
#include <libpq-fe.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "account/database_driver.h"
#include "base/alloc.h"
#include "os/clock.h"

enum { BEGIN_MAX = 400, MESSAGE_MAX = 200, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, SLICE_MS = 100 };

struct pg_connection {
    struct db_connection base;
    PGconn *pg;
    const char *schema; /* owned by struct database */
};

static struct pg_connection *pg_of(struct db_connection *base)
{
    return (struct pg_connection *)base;
}

/* Fails with the first line of libpq's message. The line may name host, port, user and database; pg_prepare has
 * refused URLs in which libpq would take a part of the password for one of these. */
static enum dp_status pg_fail(struct call *call, enum dp_status status, const char *doing, const char *why)
{
    size_t len = strcspn(why, "\n");
    return call_fail(call, status, "cannot %s the accounts' database: %.*s", doing,
                     len < MESSAGE_MAX ? (int)len : MESSAGE_MAX, why);
}

/* Waits until the connection's socket is ready. DP_UNAVAILABLE at the time limit. */
static enum dp_status pg_await(struct call *call, PGconn *pg, short events, int64_t until_ns)
{
    struct pollfd fd = {.fd = PQsocket(pg), .events = events};
    for (;;) {
        int64_t left_ms = (until_ns - os_now_ns()) / 1000000;
        if (left_ms <= 0)
            return call_fail(call, DP_UNAVAILABLE, "the accounts' database does not answer in time");
        enum dp_status status = call_check(call);
        if (status != DP_OK)
            return status;
        int ready = poll(&fd, 1, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS);
        if (ready > 0)
            return DP_OK;
        if (ready < 0 && errno != EINTR)
            return call_fail(call, DP_IO, "cannot wait for the accounts' database: errno %d", errno);
    }
}

/* ---- one statement ---------------------------------------------------------------------------------- */

/* Maps a SQLSTATE. A statement that failed with one of these classes may succeed later: 08 connection, 40 rolled
 * back (deadlock), 53 resources, 55 lock not available, 57 operator intervention (shutdown, time-outs). */
static enum dp_status status_of(const char *state)
{
    static const char *const later[] = {"08", "40", "53", "55", "57"};
    if (strcmp(state, "23505") == 0)
        return DP_EXISTS;
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        if (strncmp(state, later[i], 2) == 0)
            return DP_UNAVAILABLE;
    return strcmp(state, "42501") == 0 ? DP_DENIED : DP_IO;
}

static enum dp_status fail_result(struct call *call, const struct pg_connection *c, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *why = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return pg_fail(call, state ? status_of(state) : DP_UNAVAILABLE, "ask", why ? why : PQerrorMessage(c->pg));
}

static bool is_number(Oid type)
{
    return type == OID_INT8 || type == OID_INT4 || type == OID_INT2;
}

static enum dp_status read_rows(struct call *call, const PGresult *result, struct db_rows *out)
{
    size_t count = (size_t)PQntuples(result), columns = (size_t)PQnfields(result);
    if (count > DB_ROWS_MAX)
        return call_fail(call, DP_TOO_LARGE, "the accounts' database returned more than %d records", DB_ROWS_MAX);
    struct db_value *cells = arena_calloc(call->arena, count * columns + 1, sizeof *cells);
    if (!cells)
        return call_nomem(call, "records of the accounts' database");
    *out = (struct db_rows){.count = count, .columns = columns, .cells = cells};
    for (size_t i = 0; i < count * columns; i++) {
        int row = (int)(i / columns), column = (int)(i % columns);
        if (PQgetisnull(result, row, column))
            continue;
        const char *text = PQgetvalue(result, row, column);
        if (is_number(PQftype(result, column))) {
            cells[i] = db_number(strtoll(text, NULL, 10));
            continue;
        }
        struct span copy = arena_copy(call->arena, span_of(text, (size_t)PQgetlength(result, row, column)));
        if (!copy.data)
            return call_nomem(call, "records of the accounts' database");
        cells[i] = db_text(copy);
    }
    return DP_OK;
}

/* Converts parameters for libpq: NUL-terminated texts. */
static enum dp_status parameters_of(struct call *call, const struct db_value *parameters, size_t count,
                                    const char *texts[DB_PARAMETERS_MAX])
{
    for (size_t i = 0; i < count; i++) {
        const struct db_value *v = &parameters[i];
        texts[i] = NULL;
        if (v->type == DB_NULL)
            continue;
        if (v->type == DB_TEXT && v->text.len && memchr(v->text.data, 0, v->text.len))
            return call_fail(call, DP_INVALID, "a value for the accounts' database holds a NUL");
        texts[i] = v->type == DB_NUMBER ? arena_printf(call->arena, "%" PRId64, v->number)
                                        : (const char *)arena_copy(call->arena, v->text).data;
        if (!texts[i])
            return call_nomem(call, "a statement's values");
    }
    return DP_OK;
}

/* Sends what is queued and receives the answer until it is complete. */
static enum dp_status pg_exchange(struct call *call, struct pg_connection *c, int64_t until_ns)
{
    int unsent;
    while ((unsent = PQflush(c->pg)) > 0) {
        enum dp_status status = pg_await(call, c->pg, POLLIN | POLLOUT, until_ns);
        if (status != DP_OK)
            return status;
        if (!PQconsumeInput(c->pg))
            return pg_fail(call, DP_UNAVAILABLE, "reach", PQerrorMessage(c->pg));
    }
    if (unsent < 0)
        return pg_fail(call, DP_UNAVAILABLE, "reach", PQerrorMessage(c->pg));
    while (PQisBusy(c->pg)) {
        enum dp_status status = pg_await(call, c->pg, POLLIN, until_ns);
        if (status != DP_OK)
            return status;
        if (!PQconsumeInput(c->pg))
            return pg_fail(call, DP_UNAVAILABLE, "reach", PQerrorMessage(c->pg));
    }
    return DP_OK;
}

/* Receives the answers to all statements that were sent. *out gets the records of the last answer before a
 * failure. *broken: not all answers came. */
static enum dp_status pg_collect(struct call *call, struct pg_connection *c, int64_t until_ns, struct db_rows *out,
                                 bool *broken)
{
    enum dp_status status = DP_OK;
    for (;;) {
        enum dp_status now = pg_exchange(call, c, until_ns);
        if (now != DP_OK)
            return now;
        PGresult *result = PQgetResult(c->pg);
        if (!result)
            break;
        ExecStatusType kind = PQresultStatus(result);
        if (status == DP_OK && (kind == PGRES_TUPLES_OK || kind == PGRES_COMMAND_OK))
            status = read_rows(call, result, out);
        else if (status == DP_OK)
            status = fail_result(call, c, result);
        PQclear(result);
    }
    *broken = PQstatus(c->pg) != CONNECTION_OK;
    return status;
}

static enum dp_status pg_run(struct call *call, struct db_connection *base, const char *sql,
                             const struct db_value *parameters, size_t count, struct db_rows *out, bool *broken)
{
    struct pg_connection *c = pg_of(base);
    const char *texts[DB_PARAMETERS_MAX];
    const int64_t until_ns = os_now_ns() + db_step_ms(call, c->base.timeout_ms) * 1000000LL;
    *out = (struct db_rows){.count = 0};
    enum dp_status status = parameters_of(call, parameters, count, texts);
    if (status != DP_OK)
        return status;
    *broken = true; /* until the answer is complete */
    if (!PQsendQueryParams(c->pg, sql, (int)count, NULL, texts, NULL, NULL, 0))
        return pg_fail(call, DP_UNAVAILABLE, "reach", PQerrorMessage(c->pg));
    return pg_collect(call, c, until_ns, out, broken);
}

static enum dp_status pg_begin(struct call *call, struct db_connection *base, bool writes, bool *broken)
{
    struct pg_connection *c = pg_of(base);
    char sql[BEGIN_MAX];
    struct db_rows rows;
    const int64_t until_ns = os_now_ns() + db_step_ms(call, c->base.timeout_ms) * 1000000LL;
    snprintf(sql, sizeof sql,
             "BEGIN%s; SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = %d; "
             "SET LOCAL idle_in_transaction_session_timeout = %d; SET LOCAL search_path = %s",
             writes ? "" : " READ ONLY", c->base.timeout_ms, c->base.timeout_ms, c->base.timeout_ms, c->schema);
    *broken = true;
    if (!PQsendQuery(c->pg, sql))
        return pg_fail(call, DP_UNAVAILABLE, "reach", PQerrorMessage(c->pg));
    return pg_collect(call, c, until_ns, &rows, broken);
}

/* ---- URLs ------------------------------------------------------------------------------------------- */

static const char REMEDY[] =
    "set DATABASE_URL to postgresql://user:password@host:port/name; in user, password and name write "
    "'%', '/', '@', ':', '?' and '#' as %25, %2F, %40, %3A, %3F and %23";

/* Whether the URL has at most one '@', which ends user and password, and no '/' before it. libpq would split a
 * password that contains '@' or '/', and take the rest for a host, a port or a name, which messages show. */
static bool has_clear_user(const char *url)
{
    const char *begin = strstr(url, "://") + 3, *at = strchr(begin, '@');
    return !at || (at == strrchr(begin, '@') && strcspn(begin, "/") > (size_t)(at - begin));
}

static bool is_port_list(const char *text)
{
    return strspn(text, "0123456789,") == strlen(text);
}

/* libpq's messages about malformed URLs quote the offending part, which is usually the password. So we write our
 * own.
 */
static enum dp_status pg_prepare(struct call *call, const char *url)
{
    char *why = NULL;
    if (!has_clear_user(url))
        return call_fail(call, DP_INVALID, "the URL of the accounts' database has a misplaced '@' or '/': %s",
                         REMEDY);
    PQconninfoOption *options = PQconninfoParse(url, &why);
    PQfreemem(why);
    bool good = options != NULL;
    for (const PQconninfoOption *o = options; good && o->keyword; o++)
        good = strcmp(o->keyword, "port") != 0 || !o->val || is_port_list(o->val);
    PQconninfoFree(options);
    return good ? DP_OK
                : call_fail(call, DP_INVALID, "the URL of the accounts' database is malformed: %s", REMEDY);
}

/* ---- connections ------------------------------------------------------------------------------------ */

static void pg_disconnect(struct db_connection *base)
{
    struct pg_connection *c = pg_of(base);
    PQfinish(c->pg);
    mem_free(c);
}

/* Drops the server's notices ("relation exists, skipping"), which libpq would print to stderr. */
static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

/* Connects. libpq tries the hosts of the URL in order; only its name look-up has no time limit. */
static enum dp_status pg_handshake(struct call *call, struct pg_connection *c, const char *url)
{
    static const char *const names[] = {"dbname", "application_name", "client_encoding", NULL};
    const char *const values[] = {url, "dipper", "UTF8", NULL};
    const int64_t until_ns = os_now_ns() + db_step_ms(call, c->base.timeout_ms) * 1000000LL;
    c->pg = PQconnectStartParams(names, values, 1);
    if (!c->pg)
        return call_nomem(call, "a connection to the database");
    PQsetNoticeReceiver(c->pg, ignore_notice, NULL);
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (PQstatus(c->pg) != CONNECTION_BAD && next != PGRES_POLLING_OK && next != PGRES_POLLING_FAILED) {
        enum dp_status status = pg_await(call, c->pg, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_ns);
        if (status != DP_OK)
            return status;
        next = PQconnectPoll(c->pg);
    }
    if (PQstatus(c->pg) != CONNECTION_OK)
        return pg_fail(call, DP_UNAVAILABLE, "connect to", PQerrorMessage(c->pg));
    return PQsetnonblocking(c->pg, 1) == 0 ? DP_OK : pg_fail(call, DP_IO, "connect to", PQerrorMessage(c->pg));
}

static enum dp_status pg_connect(struct call *call, const char *url, const char *schema, int timeout_ms,
                                 struct db_connection **out)
{
    struct pg_connection *c = mem_calloc(1, sizeof *c);
    if (!c)
        return call_nomem(call, "a connection to the database");
    c->base.timeout_ms = timeout_ms;
    c->schema = schema;
    enum dp_status status = pg_handshake(call, c, url);
    if (status == DP_OK)
        *out = &c->base;
    else
        pg_disconnect(&c->base);
    return status;
}

static void pg_describe(const struct db_connection *base, const char *url, struct buffer *out)
{
    const struct pg_connection *c = (const struct pg_connection *)base;
    (void)url;
    buffer_printf(out, "the schema %s of the PostgreSQL database %s at %s:%s", c->schema, PQdb(c->pg),
                  PQhost(c->pg), PQport(c->pg));
}

/* An idle server rarely sends anything but the end of the connection. If the socket is readable, libpq reads it and
 * finds out whether the server closed the connection. */
static bool pg_alive(struct db_connection *base)
{
    struct pg_connection *c = pg_of(base);
    struct pollfd fd = {.fd = PQsocket(c->pg), .events = POLLIN};
    if (PQstatus(c->pg) != CONNECTION_OK)
        return false;
    return poll(&fd, 1, 0) <= 0 || (PQconsumeInput(c->pg) && PQstatus(c->pg) == CONNECTION_OK);
}

const struct db_driver db_postgres = {.name = "postgresql",
                                      .prepare = pg_prepare,
                                      .connect = pg_connect,
                                      .disconnect = pg_disconnect,
                                      .alive = pg_alive,
                                      .run = pg_run,
                                      .begin = pg_begin,
                                      .describe = pg_describe};
