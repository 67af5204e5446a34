/* account_fixture.h: accounts over a fresh database, with a clock that the test moves.
 *
 * The database is SQLite in a new folder, unless DIPPER_TEST_DATABASE_URL names one: tests/e2e/test_postgres.py runs
 * these tests on PostgreSQL, with a fresh database for each. */
#ifndef ACCOUNT_FIXTURE_H
#define ACCOUNT_FIXTURE_H

#include "test_support.h"

#include "account/accounts.h"

/* 2026-11-28T12:00:00Z. */
extern const int64_t FIXTURE_NOW_MS;

/* The clock of all accounts of this program. */
extern _Atomic int64_t fixture_wall_ms, fixture_steady_ns;
void fixture_pass_seconds(int64_t seconds); /* moves both clocks */

/* Returns a call whose results live until the next account_call. account_call_end frees the last call's results. */
struct call *account_call(void);
void account_call_end(void);

/* Returns the URL of a fresh, empty database. */
const char *fixture_database(void);
/* Settings for tests: keys with cheap hashes, and batches of 8. FREE, PRO and SCALE have limits of 100, 1,000 and
 * 10,000 embeddings a month, and of 20, 0 and 0 requests a minute. Only accounts_settle writes usage. */
struct account_options fixture_options(const char *url);
struct accounts *fixture_open(const struct account_options *options); /* fails the test on an error */

/* Makes a key for a user of this tier. The eight latest keys stay in static buffers. */
const struct new_key *fixture_key(struct accounts *a, const char *email, enum account_tier tier);
const struct new_key *fixture_key_with(struct accounts *a, struct key_wish wish);

/* Shows the key, as a server would. If the pass is granted, the caller leaves it with account_leave. */
enum account_verdict fixture_show(struct accounts *a, const char *key, struct account_pass *pass);
/* Shows the key, spends embeddings, and leaves. Returns ACCOUNT_FINE or the reason of the refusal. */
enum account_reason fixture_use(struct accounts *a, const char *key, int64_t embeddings);
/* Returns the usage of a user in the clock's month, from the database. */
int64_t fixture_used(struct accounts *a, const char *email);
/* Runs one statement and returns the first number of its answer. */
int64_t fixture_sql(struct accounts *a, const char *sql);

#endif
