/* account_fixture.h: accounts over a fresh database, with a clock that the test moves.
 *
 * The database is SQLite in a folder of its own, unless DIPPER_TEST_DATABASE_URL names one: tests/e2e/test_postgres.py
 * runs the same tests on PostgreSQL, with a fresh database for each. */
#ifndef ACCOUNT_FIXTURE_H
#define ACCOUNT_FIXTURE_H

#include "test_support.h"

#include "account/accounts.h"

/* 2026-11-28T12:00:00Z. */
extern const int64_t FIXTURE_NOW_MS;

/* The clock of all accounts of this program. */
extern _Atomic int64_t fixture_wall_ms, fixture_steady_ns;
void fixture_pass_seconds(int64_t seconds); /* moves both */

/* A call whose results live until the next; account_call_end frees the last. */
struct call *account_call(void);
void account_call_end(void);

/* The URL of a fresh, empty database. */
const char *fixture_database(void);
/* Settings for tests: cheap hashes are the keys' own; limits 100, 1,000 and 10,000 a month, 20, 0 and 0 a minute;
 * batches of 8; usage is written by accounts_settle alone. */
struct account_options fixture_options(const char *url);
struct accounts *fixture_open(const struct account_options *options); /* fails the test when it can't */

/* A key of a user of this tier; the text lies in a static buffer of eight. */
const struct new_key *fixture_key(struct accounts *a, const char *email, enum account_tier tier);
const struct new_key *fixture_key_with(struct accounts *a, struct key_wish wish);

/* Shows the key as a server would; the pass is to be left when it was granted. */
enum account_verdict fixture_show(struct accounts *a, const char *key, struct account_pass *pass);
/* Shows the key, spends, and leaves: ACCOUNT_FINE or why not. */
enum account_reason fixture_use(struct accounts *a, const char *key, int64_t embeddings);
/* The usage of a user in the clock's month, from the database. */
int64_t fixture_used(struct accounts *a, const char *email);
/* One statement, and the first number of its answer. */
int64_t fixture_sql(struct accounts *a, const char *sql);

#endif
