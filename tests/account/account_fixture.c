/* account_fixture.c: accounts over a fresh database, with a clock that the test moves. */
#include "account_fixture.h"

#include <stdio.h>
#include <stdlib.h>

const int64_t FIXTURE_NOW_MS = 1795867200000;
_Atomic int64_t fixture_wall_ms = FIXTURE_NOW_MS, fixture_steady_ns = 1000000000000;

static int64_t wall_ms(void *context)
{
    (void)context;
    return atomic_load(&fixture_wall_ms);
}

static int64_t steady_ns(void *context)
{
    (void)context;
    return atomic_load(&fixture_steady_ns);
}

void fixture_pass_seconds(int64_t seconds)
{
    atomic_fetch_add(&fixture_wall_ms, seconds * 1000);
    atomic_fetch_add(&fixture_steady_ns, seconds * 1000000000);
}

static struct arena arena;
static struct call call;
static bool has_call;

struct call *account_call(void)
{
    account_call_end();
    arena_init(&arena, 64 << 20);
    call_init(&call, &arena);
    has_call = true;
    return &call;
}

void account_call_end(void)
{
    if (has_call)
        arena_deinit(&arena);
    has_call = false;
}

/* Empties the database that DIPPER_TEST_DATABASE_URL names. */
static enum dp_status empty(struct call *c, struct db_transaction *t, void *context)
{
    (void)context;
    enum dp_status status = db_run(c, t, "DROP SCHEMA IF EXISTS dipper CASCADE", NULL, 0, NULL);
    if (status == DP_OK)
        status = db_run(c, t, "DROP SCHEMA public CASCADE", NULL, 0, NULL);
    return status == DP_OK ? db_run(c, t, "CREATE SCHEMA public", NULL, 0, NULL) : status;
}

const char *fixture_database(void)
{
    static char url[600];
    static unsigned count;
    const char *given = getenv("DIPPER_TEST_DATABASE_URL");
    if (!given) {
        snprintf(url, sizeof url, "sqlite://%s/state/%u.db", test_tmpdir(), count++);
        return url;
    }
    struct database *db = NULL;
    const struct database_options options = {.url = given, .pool_min = 1, .pool_max = 1, .timeout_ms = 20000};
    assert_int_equal(database_open(account_call(), &options, &db), DP_OK);
    assert_int_equal(database_transact(&call, db, empty, NULL), DP_OK);
    database_close(db);
    account_call_end();
    snprintf(url, sizeof url, "%s", given);
    return url;
}

struct account_options fixture_options(const char *url)
{
    return (struct account_options){.database_url = url,
                                    .pool_min = 1,
                                    .pool_max = 4,
                                    .database_timeout_ms = 20000,
                                    .key_scheme = "fe_",
                                    .tiers = {{100, 20}, {1000, 0}, {10000, 0}},
                                    .batch = 8,
                                    .settle_ms = -1,
                                    .clock = {wall_ms, steady_ns, NULL}};
}

struct accounts *fixture_open(const struct account_options *options)
{
    struct accounts *a = NULL;
    if (accounts_open(account_call(), options, &a) != DP_OK)
        fail_msg("%s", call.error.message);
    account_call_end();
    return a;
}

const struct new_key *fixture_key_with(struct accounts *a, struct key_wish wish)
{
    static struct new_key keys[8];
    static unsigned next;
    struct new_key *key = &keys[next++ % 8];
    wish.cost = KEY_COST_TESTS;
    if (!wish.scheme.data)
        wish.scheme = span_str("fe_");
    if (!wish.rights)
        wish.rights = RIGHT_ALL;
    if (records_create(account_call(), accounts_database(a), &wish, atomic_load(&fixture_wall_ms), key) != DP_OK)
        fail_msg("%s", call.error.message);
    account_call_end();
    return key;
}

const struct new_key *fixture_key(struct accounts *a, const char *email, enum account_tier tier)
{
    return fixture_key_with(a, (struct key_wish){.email = span_str(email), .has_tier = true, .tier = tier});
}

enum account_verdict fixture_show(struct accounts *a, const char *key, struct account_pass *pass)
{
    enum account_verdict verdict = accounts_try(a, span_str(key), pass);
    if (verdict == ACCOUNT_WAIT)
        verdict = accounts_admit(account_call(), a, span_str(key), pass);
    account_call_end();
    return verdict;
}

enum account_reason fixture_use(struct accounts *a, const char *key, int64_t embeddings)
{
    struct account_pass pass;
    if (fixture_show(a, key, &pass) == ACCOUNT_GRANTED && account_try_spend(&pass, embeddings) == ACCOUNT_WAIT)
        account_spend(account_call(), &pass, embeddings);
    account_call_end();
    enum account_reason reason = pass.reason;
    account_leave(&pass);
    return reason;
}

int64_t fixture_used(struct accounts *a, const char *email)
{
    struct usage_rows rows;
    int64_t month = month_of(atomic_load(&fixture_wall_ms));
    assert_int_equal(
        records_usage(account_call(), accounts_database(a), month, span_str(email), span_str(""), false, &rows),
        DP_OK);
    assert_int_equal(rows.count, 1);
    int64_t used = rows.rows[0].embeddings;
    account_call_end();
    return used;
}

struct sql {
    const char *text;
    int64_t number;
};

static enum dp_status run_sql(struct call *c, struct db_transaction *t, void *context)
{
    struct sql *sql = context;
    struct db_rows rows;
    enum dp_status status = db_run(c, t, sql->text, NULL, 0, &rows);
    if (status == DP_OK && rows.count > 0)
        sql->number = db_row(&rows, 0)->number;
    return status;
}

int64_t fixture_sql(struct accounts *a, const char *text)
{
    struct sql sql = {text, -1};
    if (database_transact(account_call(), accounts_database(a), run_sql, &sql) != DP_OK)
        fail_msg("%s: %s", text, call.error.message);
    account_call_end();
    return sql.number;
}
